package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// maxTrail is how many records an account keeps in a Region; the oldest go.
const maxTrail = 5000

// apiCallEvent is the detail-type of the event of a call.
const apiCallEvent = "AWS API Call via CloudTrail"

// trailRecord is CloudTrail's record of a call, and what it is looked up by.
type trailRecord struct {
	ID        string          `json:"id"`
	Time      time.Time       `json:"time"`
	Source    string          `json:"source"`
	Name      string          `json:"name"`
	User      string          `json:"user,omitempty"`
	KeyID     string          `json:"accessKeyId,omitempty"`
	ReadOnly  bool            `json:"readOnly,omitempty"`
	Resources []trailResource `json:"resources,omitempty"`
	Event     *trailEvent     `json:"event"`
}

// trailEvent is a record's own text. Most records are never read, so it is made
// when it is first asked for.
type trailEvent struct {
	members *trailMembers // until then
	text    json.RawMessage
}

// trailMembers are a record's members in CloudTrail's order. None of their values
// is shared with the call.
type trailMembers struct {
	EventVersion       string    `json:"eventVersion"`
	UserIdentity       object    `json:"userIdentity"`
	EventTime          time.Time `json:"eventTime"`
	EventSource        string    `json:"eventSource"`
	EventName          string    `json:"eventName"`
	Region             string    `json:"awsRegion"`
	SourceIP           string    `json:"sourceIPAddress"`
	UserAgent          string    `json:"userAgent"`
	ErrorCode          string    `json:"errorCode,omitempty"`
	ErrorMessage       string    `json:"errorMessage,omitempty"`
	RequestParameters  any       `json:"requestParameters"`
	ResponseElements   any       `json:"responseElements"`
	RequestID          string    `json:"requestID"`
	EventID            string    `json:"eventID"`
	ReadOnly           bool      `json:"readOnly"`
	EventType          string    `json:"eventType"`
	ManagementEvent    bool      `json:"managementEvent"`
	RecipientAccountID string    `json:"recipientAccountId"`
	EventCategory      string    `json:"eventCategory"`
}

// MarshalJSON gives the record's text. The sandbox is locked for it.
func (e *trailEvent) MarshalJSON() ([]byte, error) {
	if e == nil { // of a snapshot that lacks it
		return []byte("null"), nil
	}
	if e.text == nil {
		raw, err := json.Marshal(e.members)
		if err != nil {
			return nil, err
		}
		e.members, e.text = nil, raw
	}
	return e.text, nil
}

// UnmarshalJSON keeps the text.
func (e *trailEvent) UnmarshalJSON(raw []byte) error {
	e.text = slices.Clone(raw)
	return nil
}

// json is the record's text. The models describe nothing that has none.
func (e *trailEvent) json() json.RawMessage {
	raw, err := e.MarshalJSON()
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

type trailResource struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// trail records the call as CloudTrail does: in the Region of the call, or for
// the global services in us-east-1. Data events have no record, since a trail
// has them only where it is asked to, and the event history never.
//
// Source: CloudTrail User Guide, "CloudTrail record contents".
//
// logged says whether a trail logged the call's Region before it.
func (c *call) trail(logged bool, out map[string]any, err error) {
	var e *awsapi.Error
	if errors.As(err, &e) && (e.Status == 0 || e.Status == 501) || dataEvent(c.operation) {
		return // it never reached the service, or is one that AWS would have served
	}
	at := c.inRecord()
	r := trailRecord{ID: c.occurrence(), Time: c.now.UTC().Truncate(time.Second), Source: eventSource(c.operation.Service), Name: eventName(c.operation),
		KeyID: c.request.AccessKeyID, ReadOnly: c.readOnly(), Resources: c.trailResources(out)}
	identity, user := c.userIdentity()
	r.User = user
	event := trailMembers{
		EventVersion: "1.11", UserIdentity: identity, EventTime: r.Time, EventSource: r.Source, EventName: r.Name, Region: at.region,
		SourceIP: cmp.Or(c.request.SourceIP, "127.0.0.1"), UserAgent: cmp.Or(c.request.UserAgent, "knowngood-sandbox"),
		RequestParameters: c.requestParameters(), RequestID: c.request.ID, EventID: r.ID, ReadOnly: r.ReadOnly,
		EventType: "AwsApiCall", ManagementEvent: true, RecipientAccountID: c.who.Account, EventCategory: "Management",
	}
	if e != nil {
		event.ErrorCode, event.ErrorMessage = c.trailCode(e), e.Message
	} else if !r.ReadOnly || c.operation.Name == "AssumeRole" {
		event.ResponseElements = c.responseElements(out)
	}
	r.Event = &trailEvent{members: &event}
	at.home().CloudTrail.keep(r)
	if (logged || at.logged()) && (!r.ReadOnly || at.readsMatter()) {
		source, _, _ := strings.Cut(r.Source, ".")
		at.send(defaultBus, c.now, envelope{Source: "aws." + source, DetailType: apiCallEvent, Detail: r.Event.json()})
	}
}

// inRecord is the call in the Region that has its record.
func (c *call) inRecord() *call {
	at := *c
	if globalService(c.operation.Service.Name) {
		at.region = "us-east-1"
	}
	return &at
}

// globalService says whether a service has one endpoint for all Regions.
func globalService(name string) bool { return name == "iam" || name == "organizations" }

// keep files a record by its time.
func (s *cloudtrailState) keep(r trailRecord) {
	i := len(s.Records)
	for i > 0 && s.Records[i-1].Time.After(r.Time) {
		i-- // a scenario's calls lie before those that were made already
	}
	s.Records = slices.Insert(s.Records, i, r)
	if over := len(s.Records) - maxTrail; over > 0 {
		s.Records = s.Records[over:]
	}
}

// userIdentity is who made the call, and the user name that LookupEvents knows.
// Source: CloudTrail User Guide, "CloudTrail userIdentity element".
func (c *call) userIdentity() (identity object, user string) {
	identity = object{"principalId": c.who.UserID, "arn": c.who.ARN, "accountId": c.who.Account, "accessKeyId": c.request.AccessKeyID}
	name := c.who.ARN[strings.LastIndexByte(c.who.ARN, '/')+1:]
	switch {
	case c.who.Role != "":
		id, _, _ := strings.Cut(c.who.UserID, ":")
		issuer := object{"type": "Role", "principalId": id, "arn": c.who.Role, "accountId": c.who.Account, "userName": c.who.Role[strings.LastIndexByte(c.who.Role, '/')+1:]}
		attributes := object{"mfaAuthenticated": "false"}
		if !c.who.Issued.IsZero() {
			attributes["creationDate"] = c.who.Issued.UTC().Truncate(time.Second)
		}
		identity["type"], identity["sessionContext"] = "AssumedRole", object{"sessionIssuer": issuer, "attributes": attributes}
		return identity, name
	case strings.HasSuffix(c.who.ARN, ":root"):
		identity["type"], identity["principalId"] = "Root", c.who.Account
		return identity, "root"
	}
	identity["type"], identity["userName"] = "IAMUser", name
	return identity, name
}

// trailCode is an error's code as CloudTrail has it: EC2's say whose fault it
// is, and the others' are the names of the model's errors, which for services of
// the query protocol are not always what goes over the wire.
func (c *call) trailCode(e *awsapi.Error) string {
	if c.operation.Service.Name == "ec2" {
		if strings.HasPrefix(e.Code, "Client.") {
			return e.Code
		}
		if e.Status >= 500 {
			return "Server." + e.Code
		}
		return "Client." + e.Code
	}
	for _, shape := range c.operation.Errors {
		if shape.ErrorCode() == e.Code {
			return shape.Name
		}
	}
	return e.Code
}

func eventSource(s *awsapi.Service) string {
	return cmp.Or(s.SigningName, s.EndpointPrefix) + ".amazonaws.com"
}

// eventNames are the operations that CloudTrail calls otherwise than the models.
// Sources: Amazon S3 User Guide, "Amazon S3 CloudTrail events"; AWS Lambda
// Developer Guide, "Logging AWS Lambda API calls using AWS CloudTrail".
var eventNames = map[string]string{
	"s3:GetPublicAccessBlock":               "GetBucketPublicAccessBlock",
	"s3:PutPublicAccessBlock":               "PutBucketPublicAccessBlock",
	"s3:DeletePublicAccessBlock":            "DeleteBucketPublicAccessBlock",
	"s3:GetBucketLifecycleConfiguration":    "GetBucketLifecycle",
	"s3:PutBucketLifecycleConfiguration":    "PutBucketLifecycle",
	"s3:GetBucketNotificationConfiguration": "GetBucketNotification",
	"s3:PutBucketNotificationConfiguration": "PutBucketNotification",
	"s3:GetObjectLockConfiguration":         "GetBucketObjectLockConfiguration",
	"s3:PutObjectLockConfiguration":         "PutBucketObjectLockConfiguration",
	"s3control:GetPublicAccessBlock":        "GetAccountPublicAccessBlock",
	"s3control:PutPublicAccessBlock":        "PutAccountPublicAccessBlock",
	"s3control:DeletePublicAccessBlock":     "DeleteAccountPublicAccessBlock",
	"lambda:AddPermission":                  "AddPermission20150331v2",
	"lambda:CreateFunction":                 "CreateFunction20150331",
	"lambda:DeleteFunction":                 "DeleteFunction20150331",
	"lambda:GetFunction":                    "GetFunction20150331v2",
	"lambda:GetFunctionConfiguration":       "GetFunctionConfiguration20150331v2",
	"lambda:GetPolicy":                      "GetPolicy20150331v2",
	"lambda:ListFunctions":                  "ListFunctions20150331",
	"lambda:ListTags":                       "ListTags20170331",
	"lambda:RemovePermission":               "RemovePermission20150331v2",
	"lambda:TagResource":                    "TagResource20170331v2",
	"lambda:UntagResource":                  "UntagResource20170331v2",
	"lambda:UpdateFunctionCode":             "UpdateFunctionCode20150331v2",
	"lambda:UpdateFunctionConfiguration":    "UpdateFunctionConfiguration20150331v2",
	"lambda:PutFunctionConcurrency":         "PutFunctionConcurrency20171031",
	"lambda:DeleteFunctionConcurrency":      "DeleteFunctionConcurrency20171031",
	"lambda:PublishVersion":                 "PublishVersion20150331",
	"lambda:ListVersionsByFunction":         "ListVersionsByFunction20150331",
	"lambda:ListEventSourceMappings":        "ListEventSourceMappings20150331",
	"lambda:CreateEventSourceMapping":       "CreateEventSourceMapping20150331",
	"lambda:DeleteEventSourceMapping":       "DeleteEventSourceMapping20150331",
	"lambda:GetEventSourceMapping":          "GetEventSourceMapping20150331",
	"lambda:UpdateEventSourceMapping":       "UpdateEventSourceMapping20150331",
	"lambda:GetAccountSettings":             "GetAccountSettings20160819",
	"lambda:GetFunctionConcurrency":         "GetFunctionConcurrency20190930",
	"s3:GetBucketAccelerateConfiguration":   "GetAccelerateConfiguration",
	"s3:PutBucketAccelerateConfiguration":   "PutAccelerateConfiguration",
}

func eventName(op *awsapi.Operation) string {
	return cmp.Or(eventNames[op.Service.Name+":"+op.Name], op.Name)
}

// dataEvents are the operations on what is in a resource, by service.
// Source: CloudTrail User Guide, "Logging data events".
var dataEvents = map[string][]string{
	"cloudwatch": {"PutMetricData", "GetMetricData", "GetMetricStatistics", "GetMetricWidgetImage", "ListMetrics"},
	"dynamodb": {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan", "TransactGetItems", "TransactWriteItems",
		"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"},
	"events": {"PutEvents"},
	"lambda": {"Invoke", "InvokeAsync", "InvokeWithResponseStream"},
	"s3": {"AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject", "DeleteObjects", "DeleteObjectTagging", "GetObject",
		"GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging", "GetObjectTorrent", "HeadBucket", "HeadObject",
		"ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts", "PutObject", "PutObjectAcl", "PutObjectLegalHold",
		"PutObjectRetention", "PutObjectTagging", "RestoreObject", "SelectObjectContent", "UploadPart", "UploadPartCopy"},
	"sns": {"Publish", "PublishBatch"},
	"sqs": {"ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "DeleteMessage", "DeleteMessageBatch", "ReceiveMessage", "SendMessage", "SendMessageBatch"},
}

func dataEvent(op *awsapi.Operation) bool {
	return slices.Contains(dataEvents[op.Service.Name], op.Name)
}
