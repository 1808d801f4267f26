package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// call is one call under way. The sandbox is locked for it.
type call struct {
	*Sandbox
	now       time.Time
	view      time.Time // as of which reads see the world
	region    string
	in        map[string]any
	who       accessKey
	operation *awsapi.Operation
	request   Request
	me        *identity // once identity was asked for
	host      string    // the account that the call goes on in, if not the caller's
	// after, if a handler sets it, gives the call's answer once the sandbox is
	// unlocked.
	after func(context.Context) (map[string]any, error)
}

// handler serves one operation. action is the IAM action that it needs.
type handler struct {
	action string
	run    func(*call) (map[string]any, error)
}

// handlers are the operations that are simulated, by service.
var handlers = map[string]map[string]handler{
	"autoscaling":              autoscalingHandlers,
	"secretsmanager":           secretsHandlers,
	"redshift":                 redshiftHandlers,
	"macie2":                   macieHandlers,
	"logs":                     logsHandlers,
	"elasticache":              elasticacheHandlers,
	"ecs":                      ecsHandlers,
	"ecr":                      ecrHandlers,
	"codebuild":                codebuildHandlers,
	"cloudfront":               cloudfrontHandlers,
	"athena":                   athenaHandlers,
	"application-autoscaling":  scalingHandlers,
	"apigatewayv2":             apigatewayv2Handlers,
	"apigateway":               apigatewayHandlers,
	"backup":                   backupHandlers,
	"cloudtrail":               cloudtrailHandlers,
	"cloudwatch":               cloudwatchHandlers,
	"compute-optimizer":        optimizerHandlers,
	"config":                   configHandlers,
	"dynamodb":                 dynamodbHandlers,
	"ec2":                      merged(instanceHandlers, ebsHandlers, imageHandlers, networkHandlers, ec2NetworkHandlers),
	"elbv2":                    elbHandlers,
	"events":                   eventsHandlers,
	"guardduty":                guarddutyHandlers,
	"iam":                      merged(iamHandlers, iamReportHandlers),
	"inspector2":               inspectorHandlers,
	"kms":                      kmsHandlers,
	"lambda":                   lambdaHandlers,
	"organizations":            organizationsHandlers,
	"rds":                      rdsHandlers,
	"resource-groups":          resourceGroupsHandlers,
	"resourcegroupstaggingapi": taggingHandlers,
	"s3":                       s3Handlers,
	"s3control":                s3controlHandlers,
	"securityhub":              securityhubHandlers,
	"sns":                      snsHandlers,
	"sqs":                      sqsHandlers,
	"ssm":                      ssmHandlers,
	"sts":                      stsHandlers,
}

// merged puts the tables of one service together.
func merged(tables ...map[string]handler) map[string]handler {
	out := map[string]handler{}
	for _, t := range tables {
		maps.Copy(out, t)
	}
	return out
}

type object = map[string]any

// Simulated lists the operations that the sandbox serves, as service:Operation,
// sorted.
func Simulated() []string {
	var out []string
	for service, ops := range handlers {
		for op := range ops {
			out = append(out, service+":"+op)
		}
	}
	slices.Sort(out)
	return out
}

func (c *call) str(name string) string {
	s, _ := c.in[name].(string)
	return s
}

func (c *call) bool(name string) bool {
	b, _ := c.in[name].(bool)
	return b
}

func (c *call) int(name string) (int64, bool) {
	i, ok := c.in[name].(int64)
	return i, ok
}

func (c *call) strings(name string) []string { return texts(c.in[name]) }

func (c *call) object(name string) object {
	o, _ := c.in[name].(object)
	return o
}

func (c *call) objects(name string) []object { return objects(c.in[name]) }

func texts(v any) []string {
	l, _ := v.([]any)
	out := make([]string, 0, len(l))
	for _, e := range l {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func objects(v any) []object {
	l, _ := v.([]any)
	out := make([]object, 0, len(l))
	for _, e := range l {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

func anys[T any](l []T) []any {
	out := make([]any, len(l))
	for i, e := range l {
		out[i] = e
	}
	return out
}

// matches says whether a resource passes the call's Filters. values gives what
// the resource has under a filter's name; false: there is no such filter.
func (c *call) matches(tags tagSet, values func(name string) ([]string, bool)) (bool, error) {
	for _, f := range c.objects("Filters") {
		name, _ := f["Name"].(string)
		var have []string
		if key, ok := strings.CutPrefix(name, "tag:"); ok {
			if v, ok := tags[key]; ok {
				have = []string{v}
			}
		} else if name == "tag-key" {
			have = sorted(tags)
		} else if have, ok = values(name); !ok {
			return false, failure(400, "InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if !slices.ContainsFunc(texts(f["Values"]), func(want string) bool {
			return slices.ContainsFunc(have, func(h string) bool { return wildcard(want, h) })
		}) {
			return false, nil
		}
	}
	return true, nil
}

// wildcard matches * and ? as filters and policies do.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j] && pattern[i] != '*'):
			i++
			j++
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// page cuts a list by MaxResults and NextToken.
func (c *call) page(key string, items []any) (map[string]any, error) {
	return c.pageOf(key, items, len(items))
}

// pageOf is page for a service whose pages have no more than so many items.
func (c *call) pageOf(key string, items []any, most int) (map[string]any, error) {
	start, end, err := c.span(len(items), most)
	if err != nil {
		return nil, err
	}
	return c.pageOut(key, items[start:end:end], end, len(items)), nil
}

// span is the part of a list of n items that MaxResults and NextToken ask for,
// of at most so many.
func (c *call) span(n, most int) (start, end int, err error) {
	if t := c.str("NextToken"); t != "" {
		start, err = strconv.Atoi(strings.TrimPrefix(t, "page-"))
		if err != nil || start < 0 || start > n {
			return 0, 0, failure(400, "InvalidNextToken", "The token is not valid.")
		}
	}
	if m, ok := c.int("MaxResults"); ok && m > 0 && m < int64(most) {
		most = int(m)
	}
	return start, min(start+most, n), nil
}

// pageOut is a page that ends at an item of n.
func (c *call) pageOut(key string, page []any, end, n int) map[string]any {
	out := object{key: page}
	if end < n {
		out["NextToken"] = fmt.Sprintf("page-%d", end)
	}
	return out
}

// withTexts puts text into an answer, if there is any.
func withTexts(out object, values map[string]string) object {
	for k, v := range values {
		if v != "" {
			out[k] = v
		}
	}
	return out
}

// markers are a service's words for pages by Marker.
type markers struct{ limit, next, more, badMarker, badLimit string }

// marked cuts a list by a Marker and the member that limits it.
func (c *call) marked(key string, items []any, m markers) (map[string]any, error) {
	start := 0
	if mark := c.str("Marker"); mark != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(mark, "marker-"))
		if err != nil || n < 0 || n > len(items) {
			return nil, failure(400, m.badMarker, "The marker is not valid.")
		}
		start = n
	}
	n, given := c.int(m.limit)
	if !given {
		n = 100
	}
	if n < 1 || n > 1000 {
		return nil, failure(400, m.badLimit, "%s must be between 1 and 1000.", m.limit)
	}
	end := min(start+int(n), len(items))
	out := object{key: items[start:end:end], m.more: end < len(items)}
	if end < len(items) {
		out[m.next] = "marker-" + strconv.Itoa(end)
	}
	return out, nil
}

// tagSet are a resource's tags.
type tagSet map[string]string

func (t tagSet) list() []any {
	out := make([]any, 0, len(t))
	for _, k := range sorted(t) {
		out = append(out, object{"Key": k, "Value": t[k]})
	}
	return out
}

// with gives a copy with tags added; versions of a resource don't share them.
func (t tagSet) with(more tagSet) tagSet {
	out := tagSet{}
	for k, v := range t {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// without gives a copy without some keys.
func (t tagSet) without(keys []string) tagSet {
	out := t.with(nil)
	for _, k := range keys {
		delete(out, k)
	}
	return out
}

func parseTags(v any) (tagSet, error) {
	out := tagSet{}
	for _, o := range objects(v) {
		k, _ := o["Key"].(string)
		value, _ := o["Value"].(string)
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, failure(400, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		if k == "" || len(k) > 128 || len(value) > 256 {
			return nil, failure(400, "InvalidParameterValue", "Tag key must be between 1 and 128 characters, and its value at most 256.")
		}
		out[k] = value
	}
	if len(out) > 50 {
		return nil, failure(400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return out, nil
}

// makesSeveral are the operations that make, and tag, more than one kind of
// resource.
var makesSeveral = []string{"RunInstances", "CreateImage", "CopyImage"}

// newTags reads TagSpecifications for a resource type.
func (c *call) newTags(resourceType string) (tagSet, error) {
	out := tagSet{}
	for _, spec := range c.objects("TagSpecifications") {
		t, _ := spec["ResourceType"].(string)
		if t == "" {
			return nil, failure(400, "InvalidParameterValue", "Tag specification must have a resource type")
		}
		if len(objects(spec["Tags"])) == 0 {
			return nil, failure(400, "InvalidParameterValue", "Tag specification must have at least one tag")
		}
		if t != resourceType && !slices.Contains(makesSeveral, c.operation.Name) {
			return nil, failure(400, "InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", t)
		}
		if t != resourceType {
			continue
		}
		tags, err := parseTags(spec["Tags"])
		if err != nil {
			return nil, err
		}
		out = out.with(tags)
	}
	return out, nil
}

// once gives the id that a client token was used for; what is new is "".
func (c *call) once() (id string, err error) {
	t := c.str("ClientToken")
	if t == "" {
		return "", nil
	}
	used, ok := c.home().Tokens[c.operation.Name+"/"+t]
	if !ok {
		return "", nil
	}
	if used.Input != c.inputText() {
		return "", failure(400, "IdempotentParameterMismatch", "The client token you have provided is associated with a resource of different parameters.")
	}
	return used.ID, nil
}

func (c *call) remember(id string) {
	if t := c.str("ClientToken"); t != "" {
		c.home().Tokens[c.operation.Name+"/"+t] = token{c.inputText(), id}
	}
}

func (c *call) inputText() string {
	raw, err := json.Marshal(c.in)
	if err != nil {
		return fmt.Sprint(c.in)
	}
	return string(raw)
}
