package sandbox

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// groupsState is what resource-groups has in one account and Region.
type groupsState struct {
	Groups table[resourceGroup] `json:"groups,omitempty"` // by name
}

// resourceGroup is a group whose members are what fits its query whenever it is
// asked. Groups by a CloudFormation stack are not simulated.
type resourceGroup struct {
	Description string   `json:"description,omitempty"`
	Query       string   `json:"query"`
	Types       []string `json:"types"`
	Filters     []object `json:"filters"`
}

const (
	tagFilters   = "TAG_FILTERS_1_0"
	allSupported = "AWS::AllSupported"
)

var resourceGroupName = patternOf(`^[A-Za-z0-9_.-]{1,300}$`)

// groupTypes are the types of resources as groups have them, by those of the tagging
// API. Source: AWS Resource Groups User Guide, "Resource types you can use with AWS
// Resource Groups and Tag Editor".
var groupTypes = map[string]string{
	"cloudtrail:trail": "AWS::CloudTrail::Trail", "dynamodb:table": "AWS::DynamoDB::Table", "ec2:instance": "AWS::EC2::Instance", "ec2:security-group": "AWS::EC2::SecurityGroup",
	"ec2:snapshot": "AWS::EC2::Snapshot", "ec2:subnet": "AWS::EC2::Subnet", "ec2:volume": "AWS::EC2::Volume", "ec2:vpc": "AWS::EC2::VPC",
	"elasticloadbalancing:loadbalancer": "AWS::ElasticLoadBalancingV2::LoadBalancer", "events:rule": "AWS::Events::Rule", "kms:key": "AWS::KMS::Key",
	"lambda:function": "AWS::Lambda::Function", "rds:db": "AWS::RDS::DBInstance", "rds:snapshot": "AWS::RDS::DBSnapshot", "s3:bucket": "AWS::S3::Bucket",
	"sns:topic": "AWS::SNS::Topic", "sqs:queue": "AWS::SQS::Queue",
}

func badGroup(format string, args ...any) error {
	return failure(400, "BadRequestException", format, args...)
}

func (c *call) resourceGroupARN(name string) string {
	return c.arnOf("resource-groups", "group/"+name)
}

// resourceGroup finds the group that a call names, by its name or ARN.
func (c *call) resourceGroup(at time.Time) (string, *record[resourceGroup], resourceGroup, error) {
	name := c.str("Group")
	if name == "" {
		name = c.str("GroupName")
	}
	name = strings.TrimPrefix(name, c.resourceGroupARN(""))
	if r, g, ok := c.home().TagGroups.Groups.live(name, at); ok {
		return name, r, g, nil
	}
	return "", nil, resourceGroup{}, failure(404, "NotFoundException", "Cannot find group for group name: %s", name)
}

func (c *call) resourceGroupOut(name string, g resourceGroup) object {
	out := object{"GroupArn": c.resourceGroupARN(name), "Name": name}
	if g.Description != "" {
		out["Description"] = g.Description
	}
	return out
}

func (g resourceGroup) query() object { return object{"Type": tagFilters, "Query": g.Query} }

func createResourceGroup(c *call) (map[string]any, error) {
	name, query := c.str("Name"), c.object("ResourceQuery")
	if lower := strings.ToLower(name); !resourceGroupName.MatchString(name) || strings.HasPrefix(lower, "aws") {
		return nil, badGroup("The group name %q is not valid", name)
	}
	if _, _, there := c.home().TagGroups.Groups.live(name, c.now); there {
		return nil, badGroup("The group %s exists already", name)
	}
	if kind, _ := query["Type"].(string); kind != tagFilters {
		return nil, badGroup("The sandbox has groups by %s alone, not by %q", tagFilters, kind)
	}
	g := resourceGroup{Description: c.str("Description")}
	g.Query, _ = query["Query"].(string)
	var asked struct {
		ResourceTypeFilters []string
		TagFilters          []struct {
			Key    string
			Values []string
		}
	}
	if err := json.Unmarshal([]byte(g.Query), &asked); err != nil || len(asked.ResourceTypeFilters) == 0 {
		return nil, badGroup("Query not valid: %s", g.Query)
	}
	g.Types = asked.ResourceTypeFilters
	for _, f := range asked.TagFilters {
		if f.Key == "" {
			return nil, badGroup("Query not valid: a tag filter has no key")
		}
		g.Filters = append(g.Filters, object{"Key": f.Key, "Values": anys(f.Values)})
	}
	c.home().TagGroups.Groups.put(name, c.now, g)
	return object{"Group": c.resourceGroupOut(name, g), "ResourceQuery": g.query()}, nil
}

func getResourceGroup(c *call) (map[string]any, error) {
	name, _, g, err := c.resourceGroup(c.view)
	return object{"Group": c.resourceGroupOut(name, g)}, err
}

func deleteResourceGroup(c *call) (map[string]any, error) {
	name, r, g, err := c.resourceGroup(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{"Group": c.resourceGroupOut(name, g)}, nil
}

// listGroupResources answers with the resources that have the tags of the group's
// query, and are of its types.
func listGroupResources(c *call) (map[string]any, error) {
	_, _, g, err := c.resourceGroup(c.view)
	if err != nil {
		return nil, err
	}
	types := g.Types
	for _, f := range c.objects("Filters") {
		if name, _ := f["Name"].(string); name != "resource-type" {
			return nil, badGroup("The filter %q is not valid", name)
		}
		types = texts(f["Values"])
	}
	var found []object
	for _, r := range c.taggedResources(c.view) {
		kind := groupTypes[r.Kind]
		if kind != "" && len(r.Tags) > 0 && (slices.Contains(types, kind) || slices.Contains(types, allSupported)) && r.hasTags(g.Filters) {
			found = append(found, object{"ResourceArn": r.ARN, "ResourceType": kind})
		}
	}
	out, err := paged(c, "ResourceIdentifiers", found, func(o object) any { return o })
	if err != nil {
		return nil, badGroup("The NextToken is not valid")
	}
	var members []any
	for _, o := range out["ResourceIdentifiers"].([]any) {
		members = append(members, object{"Identifier": o})
	}
	out["Resources"] = members
	return out, nil
}

var resourceGroupsHandlers = map[string]handler{
	"CreateGroup":        {"resource-groups:CreateGroup", createResourceGroup},
	"DeleteGroup":        {"resource-groups:DeleteGroup", deleteResourceGroup},
	"GetGroup":           {"resource-groups:GetGroup", getResourceGroup},
	"ListGroupResources": {"resource-groups:ListGroupResources", listGroupResources},
}

// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for AWS Resource Groups".
var resourceGroupsAccess = serviceAccess{
	arn: "arn:{Partition}:resource-groups:{Region}:{Account}:group/",
	on: map[string]string{
		"DeleteGroup":        "{Group} {GroupName}",
		"GetGroup":           "{Group} {GroupName}",
		"ListGroupResources": "{Group} {GroupName}",
	},
}
