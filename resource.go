package knowngood

import (
	"strings"
	"time"
)

// Place is where a call is made or a resource lives.
type Place struct {
	Partition string `json:"partition"` // aws, aws-cn, aws-us-gov, ...
	Account   string `json:"account"`   // twelve digits
	Region    string `json:"region"`
}

// ResourceKey names one resource among all accounts and Regions.
type ResourceKey struct {
	Account string `json:"accountId"`
	Region  string `json:"awsRegion"`
	Type    string `json:"resourceType"` // AWS::EC2::Volume
	ID      string `json:"resourceId"`
}

// String is the key as account/region/type/id.
func (k ResourceKey) String() string {
	return strings.Join([]string{k.Account, k.Region, k.Type, k.ID}, "/")
}

// Resource is a configuration item in the form of AWS Config's
// GetResourceConfigHistory, save that Configuration and the members of
// SupplementaryConfiguration are values where Config's API has JSON text.
//
// Values are those of encoding/json with UseNumber off and integers kept:
// nil, bool, string, int64, float64, []any, map[string]any.
type Resource struct {
	Version          string            `json:"version"`
	AccountID        string            `json:"accountId"`
	CaptureTime      time.Time         `json:"configurationItemCaptureTime"`
	Status           ItemStatus        `json:"configurationItemStatus"`
	StateID          string            `json:"configurationStateId,omitempty"`
	ARN              string            `json:"arn,omitempty"`
	Type             string            `json:"resourceType"`
	ID               string            `json:"resourceId"`
	Name             string            `json:"resourceName,omitempty"`
	Region           string            `json:"awsRegion"`
	AvailabilityZone string            `json:"availabilityZone,omitempty"`
	CreationTime     *time.Time        `json:"resourceCreationTime,omitempty"`
	Tags             map[string]string `json:"tags"`
	RelatedEvents    []string          `json:"relatedEvents"`
	Relationships    []Relationship    `json:"relationships"`
	Configuration    map[string]any    `json:"configuration"`
	Supplementary    map[string]any    `json:"supplementaryConfiguration"`

	// Unread lists what could not be read, so that absent can be told from
	// not read. It is ours; Config's item has no such member.
	Unread []ReadError `json:"unread,omitempty"`
}

// Key is the resource's key.
func (r *Resource) Key() ResourceKey {
	return ResourceKey{Account: r.AccountID, Region: r.Region, Type: r.Type, ID: r.ID}
}

// ItemStatus is Config's configurationItemStatus.
type ItemStatus string

// The statuses that knowngood emits.
const (
	ItemOK      ItemStatus = "OK"
	ItemDeleted ItemStatus = "ResourceDeleted"
)

// Relationship is one edge to another resource, as Config records it.
type Relationship struct {
	Type             string `json:"resourceType"`
	ID               string `json:"resourceId,omitempty"`
	Name             string `json:"resourceName,omitempty"`
	RelationshipName string `json:"relationshipName"`
}

// ReadError says that a part of the inventory could not be read.
type ReadError struct {
	Place
	Type      string `json:"resourceType"`         // the type that was being read
	ID        string `json:"resourceId,omitempty"` // empty: the whole list
	Path      string `json:"path,omitempty"`       // the member of the item that is missing for it; empty: the whole item
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Code      string `json:"code"` // AWS's error code, or "Failed"
	Message   string `json:"message"`
}

// Error implements error.
func (e ReadError) Error() string {
	return e.Service + ":" + e.Operation + " in " + e.Account + "/" + e.Region + ": " + e.Code + ": " + e.Message
}

// Collection is what one reading of a type in a Region of an account found.
type Collection struct {
	Account  string      `json:"accountId"`
	Region   string      `json:"awsRegion"` // "global" of a type without
	Type     string      `json:"resourceType"`
	Began    time.Time   `json:"began"`
	Finished time.Time   `json:"finished"`
	Reads    string      `json:"reads"` // a digest of the members that were read
	Count    int         `json:"count"` // of the resources
	Items    []Resource  `json:"-"`
	Errors   []ReadError `json:"-"`
}
