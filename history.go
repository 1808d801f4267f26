package knowngood

import "time"

// Observation is a state of a resource as the inventory's history keeps it. An
// item that was read again and had not changed is the same observation, seen
// later.
type Observation struct {
	// Item is the configuration item. Its CaptureTime is when it was first read
	// so.
	Item   Resource  `json:"configurationItem"`
	Source string    `json:"source"` // where it was read, as SourceAPI
	Seen   time.Time `json:"seen"`   // the CaptureTime of the last item that was the same
	// Since is when the resource was last known not to be so: the change came
	// after it, and not after the item's CaptureTime. Nil: not known.
	Since *time.Time `json:"since,omitempty"`
	// Hash is of what makes an item another, so that a change is found without the
	// item.
	Hash string `json:"hash,omitempty"`
}

// SourceAPI is the source of items that were read by the services' own APIs.
const SourceAPI = "api"

// ItemScope is one resource type in one place, as one source has it.
type ItemScope struct {
	Account string
	Region  string // "global" for global types
	Type    string
	Source  string
}

// ItemBatch is what is known of a scope.
type ItemBatch struct {
	Latest []Observation // one a resource
	// Read is when a read of the whole scope began, so that what it did not find
	// was not there; zero: there was none.
	Read time.Time
}

// ItemFilter chooses observations; its zero fields choose all.
type ItemFilter struct {
	Ref     string // a resource's id, ARN or name
	Account string
	Region  string
	Type    string
	TagKey  string
	Tag     string // the value of the tag TagKey
	Deleted bool   // deleted resources too
}

// TrailCall is an API call that may have changed a resource, as CloudTrail
// recorded it.
type TrailCall struct {
	EventID     string    `json:"eventID"`
	EventName   string    `json:"eventName"`
	EventSource string    `json:"eventSource"`
	Time        time.Time `json:"eventTime"` // in whole seconds
	Principal   string    `json:"arn"`       // who called: an ARN, or the name of a service
	SourceIP    string    `json:"sourceIPAddress,omitempty"`
	Account     string    `json:"recipientAccountId"`
	Region      string    `json:"awsRegion"`
	Type        string    `json:"resourceType"`
	Ref         string    `json:"resource"` // how the call names the resource: its id, name or ARN
}

// CallFilter chooses the calls that may have changed one resource.
type CallFilter struct {
	Account string
	Region  string // empty: all
	Type    string
	Refs    []string
}

// QueryResult is the answer to a query of what the store holds.
type QueryResult struct {
	Columns []string
	Rows    [][]any // nil, int64, float64, string or []byte
	// More says that there are more rows than the limit.
	More bool
}
