package sandbox

import (
	"slices"
	"strings"
	"time"
)

// logsState is what CloudWatch Logs has in one account and Region.
type logsState struct {
	Groups table[logGroup] `json:"logGroups,omitempty"` // by name
}

type logGroup struct {
	Created   time.Time            `json:"created"`
	Class     string               `json:"class"`
	Retention int64                `json:"retentionInDays,omitempty"` // 0: for ever
	Key       string               `json:"kmsKeyId,omitempty"`
	Tags      tagSet               `json:"tags,omitempty"`
	Filters   map[string]structure `json:"metricFilters,omitempty"` // by name
}

// Limits and values of CloudWatch Logs. Source: Amazon CloudWatch Logs API
// Reference, CreateLogGroup, PutRetentionPolicy and PutMetricFilter.
var (
	logGroupName  = patternOf(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	retentionDays = []int64{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
)

const maxMetricFilters = 100

func logsInvalid(format string, args ...any) error {
	return failure(400, "InvalidParameterException", format, args...)
}

// logGroup finds the group that a call names, as of a time.
func (c *call) logGroup(at time.Time) (string, *record[logGroup], logGroup, error) {
	name := c.str("logGroupName")
	if r, g, ok := c.home().Logs.Groups.live(name, at); ok {
		return name, r, g, nil
	}
	return "", nil, logGroup{}, failure(400, "ResourceNotFoundException", "The specified log group does not exist.")
}

func createLogGroup(c *call) (map[string]any, error) {
	name := c.str("logGroupName")
	g := logGroup{Created: c.now, Class: "STANDARD", Key: c.str("kmsKeyId"), Tags: tagsOf(c.in["tags"])}
	if class := c.str("logGroupClass"); class != "" {
		g.Class = class
	}
	if !logGroupName.MatchString(name) {
		return nil, logsInvalid("1 validation error detected: Value at 'logGroupName' failed to satisfy constraint")
	}
	if strings.HasPrefix(name, "aws/") {
		return nil, logsInvalid("Log groups starting with AWS/ are reserved for AWS.")
	}
	if _, _, ok := c.home().Logs.Groups.live(name, c.now); ok {
		return nil, failure(400, "ResourceAlreadyExistsException", "The specified log group already exists")
	}
	if g.Key != "" && !strings.HasPrefix(g.Key, "arn:") {
		return nil, logsInvalid("KmsKeyId must be the ARN of a key.")
	}
	c.home().Logs.Groups.put(name, c.now, g)
	return object{}, nil
}

func deleteLogGroup(c *call) (map[string]any, error) {
	_, r, _, err := c.logGroup(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{}, nil
}

func describeLogGroups(c *call) (map[string]any, error) {
	prefix, pattern := c.str("logGroupNamePrefix"), c.str("logGroupNamePattern")
	if prefix != "" && pattern != "" {
		return nil, logsInvalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	out := []any{}
	for name, g := range c.home().Logs.Groups.all(c.view) {
		if !strings.HasPrefix(name, prefix) || !strings.Contains(name, pattern) {
			continue
		}
		arn := c.arnOf("logs", "log-group:"+name)
		o := object{"logGroupName": name, "creationTime": g.Created.UnixMilli(), "arn": arn + ":*", "logGroupArn": arn, "storedBytes": int64(0), "metricFilterCount": int64(len(g.Filters)), "logGroupClass": g.Class}
		if g.Retention > 0 {
			o["retentionInDays"] = g.Retention
		}
		out = append(out, withTexts(o, map[string]string{"kmsKeyId": g.Key}))
	}
	return c.logsPage("logGroups", out)
}

// logsPage cuts a list by limit and nextToken.
func (c *call) logsPage(key string, items []any) (map[string]any, error) {
	at := *c
	at.in = object{"NextToken": c.in["nextToken"], "MaxResults": c.in["limit"]}
	out, err := at.pageOf(key, items, 50)
	if err != nil {
		return nil, logsInvalid("The specified nextToken is invalid.")
	}
	if t, ok := out["NextToken"]; ok {
		out["nextToken"] = t
		delete(out, "NextToken")
	}
	return out, nil
}

func putRetention(c *call) (map[string]any, error) {
	days, _ := c.int("retentionInDays")
	_, r, _, err := c.logGroup(c.now)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(retentionDays, days) {
		return nil, logsInvalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %v", days, retentionDays)
	}
	r.change(c.now, func(g *logGroup) { g.Retention = days })
	return object{}, nil
}

func deleteRetention(c *call) (map[string]any, error) {
	_, r, _, err := c.logGroup(c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(g *logGroup) { g.Retention = 0 })
	return object{}, nil
}

func putMetricFilter(c *call) (map[string]any, error) {
	name, r, g, err := c.logGroup(c.now)
	if err != nil {
		return nil, err
	}
	filter := c.str("filterName")
	if _, there := g.Filters[filter]; !there && len(g.Filters) >= maxMetricFilters {
		return nil, failure(400, "LimitExceededException", "Resource limit exceeded.")
	}
	filters := map[string]structure{filter: {"filterName": filter, "filterPattern": c.str("filterPattern"), "metricTransformations": c.in["metricTransformations"],
		"creationTime": c.now.UnixMilli(), "logGroupName": name}}
	for k, v := range g.Filters {
		if k != filter {
			filters[k] = v
		}
	}
	r.change(c.now, func(g *logGroup) { g.Filters = filters })
	return object{}, nil
}

func describeMetricFilters(c *call) (map[string]any, error) {
	only := c.str("logGroupName")
	if only != "" {
		if _, _, _, err := c.logGroup(c.view); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for name, g := range c.home().Logs.Groups.all(c.view) {
		if only != "" && name != only {
			continue
		}
		for _, filter := range sorted(g.Filters) {
			if strings.HasPrefix(filter, c.str("filterNamePrefix")) && c.watches(g.Filters[filter]) {
				out = append(out, object(g.Filters[filter]))
			}
		}
	}
	return c.logsPage("metricFilters", out)
}

// watches says whether a metric filter feeds the metric that the call asks for.
func (c *call) watches(filter structure) bool {
	metric, namespace := c.str("metricName"), c.str("metricNamespace")
	return slices.ContainsFunc(objects(filter["metricTransformations"]), func(t object) bool {
		return (metric == "" || t["metricName"] == metric) && (namespace == "" || t["metricNamespace"] == namespace)
	})
}

func deleteMetricFilter(c *call) (map[string]any, error) {
	_, r, g, err := c.logGroup(c.now)
	if err != nil {
		return nil, err
	}
	if _, ok := g.Filters[c.str("filterName")]; !ok {
		return nil, failure(400, "ResourceNotFoundException", "The specified metric filter does not exist.")
	}
	filters := map[string]structure{}
	for k, v := range g.Filters {
		if k != c.str("filterName") {
			filters[k] = v
		}
	}
	r.change(c.now, func(g *logGroup) { g.Filters = filters })
	return object{}, nil
}

var logsHandlers = map[string]handler{
	"CreateLogGroup":        {"logs:CreateLogGroup", createLogGroup},
	"DeleteLogGroup":        {"logs:DeleteLogGroup", deleteLogGroup},
	"DeleteMetricFilter":    {"logs:DeleteMetricFilter", deleteMetricFilter},
	"DeleteRetentionPolicy": {"logs:DeleteRetentionPolicy", deleteRetention},
	"DescribeLogGroups":     {"logs:DescribeLogGroups", describeLogGroups},
	"DescribeMetricFilters": {"logs:DescribeMetricFilters", describeMetricFilters},
	"PutMetricFilter":       {"logs:PutMetricFilter", putMetricFilter},
	"PutRetentionPolicy":    {"logs:PutRetentionPolicy", putRetention},
}

// What the operations of CloudWatch Logs are on. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon CloudWatch Logs".
const onLogGroup = "log-group:{logGroupName}"

var logsAccess = serviceAccess{
	arn: "arn:{Partition}:logs:{Region}:{Account}:",
	on: map[string]string{
		"CreateLogGroup": onLogGroup, "DeleteLogGroup": onLogGroup, "DeleteMetricFilter": onLogGroup, "DeleteRetentionPolicy": onLogGroup,
		"DescribeMetricFilters": onLogGroup, "PutMetricFilter": onLogGroup, "PutRetentionPolicy": onLogGroup,
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.homeOf(a.account, a.region)
		if home == nil {
			return resource{}
		}
		_, g, _ := home.Logs.Groups.live(strings.TrimPrefix(a.resource, "log-group:"), c.now)
		return resource{tags: g.Tags}
	},
}
