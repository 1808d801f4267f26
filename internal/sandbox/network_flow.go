package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

type flowLog struct {
	Created     time.Time `json:"created"`
	Resource    string    `json:"resource"`
	Traffic     string    `json:"trafficType"`
	Kind        string    `json:"destinationType"`
	Destination string    `json:"destination,omitempty"`
	Group       string    `json:"logGroup,omitempty"`
	Role        string    `json:"deliverLogsPermissionArn,omitempty"`
	Format      string    `json:"format"`
	Interval    int64     `json:"maxAggregationInterval"`
	Tags        tagSet    `json:"tags,omitempty"`
}

// defaultFormat is what a flow log records. Source: Amazon VPC User Guide, "Flow
// log records".
const defaultFormat = "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"

// specFlowLog checks what all flow logs of a call have in common.
func (c *call) specFlowLog() (flowLog, error) {
	interval, given := c.int("MaxAggregationInterval")
	if !given {
		interval = 600
	}
	f := flowLog{Created: c.now, Traffic: c.str("TrafficType"), Kind: cmp.Or(c.str("LogDestinationType"), "cloud-watch-logs"), Destination: c.str("LogDestination"),
		Group: c.str("LogGroupName"), Role: c.str("DeliverLogsPermissionArn"), Format: cmp.Or(c.str("LogFormat"), defaultFormat), Interval: interval}
	wrong := func(format string, args ...any) (flowLog, error) {
		return f, failure(400, "InvalidParameter", format, args...)
	}
	switch {
	case f.Interval != 60 && f.Interval != 600:
		return wrong("Invalid Flow Log Max Aggregation Interval: %d. It is 60 or 600", f.Interval)
	case f.Traffic == "":
		return f, failure(400, "MissingParameter", "The request must contain the parameter TrafficType")
	case !slices.Contains([]string{"ACCEPT", "REJECT", "ALL"}, f.Traffic):
		return wrong("Unknown traffic type: %s", f.Traffic)
	case f.Kind == "cloud-watch-logs" && f.Role == "":
		return wrong("DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.")
	case f.Kind == "cloud-watch-logs" && f.Group == "" && f.Destination == "":
		return wrong("LogDestination can't be empty if LogGroupName is not provided.")
	case f.Kind == "s3" && (f.Destination == "" || f.Group != ""):
		return wrong("With LogDestinationType s3, LogDestination is required and LogGroupName is not allowed.")
	case f.Kind == "s3" && f.Role != "":
		return wrong("DeliverLogsPermissionArn is not applicable for s3 delivery")
	case !slices.Contains([]string{"cloud-watch-logs", "s3", "kinesis-data-firehose"}, f.Kind):
		return wrong("Unknown log destination type: %s", f.Kind)
	}
	return f, nil
}

func createFlowLogs(c *call) (map[string]any, error) {
	if made, err := c.once(); err != nil || made != "" {
		return object{"FlowLogIds": anys(strings.Fields(made)), "Unsuccessful": []any{}, "ClientToken": c.str("ClientToken")}, err
	}
	tags, err := c.newTags("vpc-flow-log")
	if err != nil {
		return nil, err
	}
	f, err := c.specFlowLog()
	if err != nil {
		return nil, err
	}
	f.Tags = tags
	var made []string
	refused := []any{}
	for _, id := range c.strings("ResourceIds") {
		f.Resource = id
		if err := c.mayLog(f); err != nil {
			refused = append(refused, object{"ResourceId": id, "Error": object{"Code": codeOf(err), "Message": err.Error()}})
			continue
		}
		flow := c.id("fl-0", 16)
		c.home().EC2.FlowLogs.put(flow, c.now, f)
		made = append(made, flow)
	}
	if len(made) > 0 {
		c.remember(strings.Join(made, " "))
	}
	return object{"FlowLogIds": anys(made), "Unsuccessful": refused, "ClientToken": c.str("ClientToken")}, nil
}

// mayLog says whether a flow log can be made of its resource.
func (c *call) mayLog(f flowLog) error {
	var err error
	switch kind := c.str("ResourceType"); kind {
	case "VPC":
		_, _, err = vpcs.now(c, f.Resource)
	case "Subnet":
		_, _, err = subnets.now(c, f.Resource)
	case "NetworkInterface":
		_, _, err = c.liveInstance("i-"+strings.TrimPrefix(f.Resource, "eni-"), c.now)
		if err != nil {
			err = failure(400, "InvalidNetworkInterfaceId.NotFound", "The network interface '%s' does not exist", f.Resource)
		}
	default:
		err = failure(400, "InvalidParameter", "The sandbox has no flow logs of a %s", kind)
	}
	if err != nil {
		return err
	}
	if f.Kind == "s3" {
		name, _, _ := strings.Cut(f.Destination[strings.LastIndexByte(f.Destination, ':')+1:], "/")
		if _, _, ok := table[bucket](c.state.Buckets).live(name, c.now); !ok {
			return failure(400, "400", "LogDestination: %s does not exist", name)
		}
	}
	for _, o := range c.home().EC2.FlowLogs.all(c.now) {
		if o.Resource == f.Resource && o.Traffic == f.Traffic && o.Kind == f.Kind && o.Destination == f.Destination && o.Group == f.Group {
			return failure(400, "FlowLogAlreadyExists", "Error. There is an existing Flow Log with the same configuration and log destination.")
		}
	}
	return nil
}

func deleteFlowLogs(c *call) (map[string]any, error) {
	refused := []any{}
	for _, id := range c.strings("FlowLogIds") {
		r, _, err := flowLogs.now(c, id)
		if err != nil {
			refused = append(refused, object{"ResourceId": id, "Error": object{"Code": codeOf(err), "Message": err.Error()}})
			continue
		}
		r.end(c.now)
	}
	return object{"Unsuccessful": refused}, nil
}

var flowLogs = kind[flowLog]{
	key: "FlowLogs", ids: "FlowLogIds", missing: "InvalidFlowLogId.NotFound", what: "flow log",
	table: func(r *region) map[string]*record[flowLog] { return r.EC2.FlowLogs },
	tags:  func(f flowLog) tagSet { return f.Tags },
	filters: filterTable[flowLog]{
		"flow-log-id":          func(_ *call, id string, _ flowLog) []string { return []string{id} },
		"resource-id":          func(_ *call, _ string, f flowLog) []string { return []string{f.Resource} },
		"traffic-type":         func(_ *call, _ string, f flowLog) []string { return []string{f.Traffic} },
		"log-destination-type": func(_ *call, _ string, f flowLog) []string { return []string{f.Kind} },
		"log-group-name":       func(_ *call, _ string, f flowLog) []string { return present(f.Group) },
		"deliver-log-status":   func(*call, string, flowLog) []string { return []string{"SUCCESS"} },
	},
	out: func(_ *call, id string, f flowLog) object {
		out := object{"FlowLogId": id, "FlowLogStatus": "ACTIVE", "DeliverLogsStatus": "SUCCESS", "CreationTime": f.Created, "ResourceId": f.Resource, "TrafficType": f.Traffic,
			"LogDestinationType": f.Kind, "LogFormat": f.Format, "MaxAggregationInterval": f.Interval}
		return withTexts(out, map[string]string{"LogDestination": f.Destination, "LogGroupName": f.Group, "DeliverLogsPermissionArn": f.Role})
	},
}
