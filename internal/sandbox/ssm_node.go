package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

// An EC2 instance is a managed node once an SSM Agent on it has registered: the
// instance has an instance profile whose role may call
// ssm:UpdateInstanceInformation (as AmazonSSMManagedInstanceCore allows), it has
// run for agentStart, and its image has an agent, as Amazon's images have. What
// no API says of an instance, tags do, since only the sandbox reads them:
//
//	sandbox:ssm-agent  none: there is no agent; lost: it has lost its connection
//	sandbox:os         an OperatingSystem of patch baselines; by default WINDOWS if
//	                   the image is of Windows, else AMAZON_LINUX_2023
//
// A node whose instance doesn't run, or reboots, has lost its connection; one
// whose instance is terminated is no node any more.
const (
	agentTag = "sandbox:ssm-agent"
	osTag    = "sandbox:os"
)

const (
	agentStart   = 20 * time.Second // from running to registered, and to online again
	agentVersion = "3.3.3050.0"
)

// operatingSystems are those that nodes can have. Source of the names:
// DescribeInstanceInformation's examples in the Systems Manager API Reference.
var operatingSystems = map[string]struct{ platform, name, version string }{
	"AMAZON_LINUX_2":          {"Linux", "Amazon Linux", "2"},
	"AMAZON_LINUX_2023":       {"Linux", "Amazon Linux", "2023"},
	"REDHAT_ENTERPRISE_LINUX": {"Linux", "Red Hat Enterprise Linux", "9.6"},
	"UBUNTU":                  {"Linux", "Ubuntu", "24.04"},
	"WINDOWS":                 {"Windows", "Microsoft Windows Server 2022 Datacenter", "10.0.20348"},
	"DEBIAN":                  {"Linux", "Debian GNU/Linux", "12"},
	"SUSE":                    {"Linux", "SLES", "15.6"},
	"ROCKY_LINUX":             {"Linux", "Rocky Linux", "9.6"},
	"ALMA_LINUX":              {"Linux", "AlmaLinux", "9.6"},
}

const defaultOS = "AMAZON_LINUX_2023"

// node is a managed instance as of a time.
type node struct {
	id         string
	registered time.Time
	online     bool
	pinged     time.Time // last
	os         string
	instance   instance
}

// node gives a managed instance as of a time; false: it is none.
func (c *call) node(id string, at time.Time) (node, bool) {
	r := c.home().Instances[id]
	if r == nil {
		return node{}, false
	}
	i, ok := r.as(at)
	if !ok || i.State == "terminated" || i.State == "shutting-down" || i.Tags[agentTag] == "none" || !c.mayBeManaged(id, i, at) {
		return node{}, false
	}
	n := node{id: id, instance: i, os: nodeOS(i)}
	var since time.Time // it runs
	for _, v := range r.Versions {
		if v.At.After(at) {
			break
		}
		if v.Value.State != "running" {
			if !since.IsZero() && n.online {
				n.pinged = v.At
			}
			since, n.online = time.Time{}, false
			continue
		}
		if since.IsZero() {
			since = v.At
		}
		n.online = true
		if n.registered.IsZero() {
			n.registered = since.Add(agentStart)
		}
	}
	if up := i.Rebooted.Add(instanceReboot); n.online && since.Before(up) {
		since, n.pinged = up, i.Rebooted
	}
	n.online = n.online && !since.Add(agentStart).After(at) && i.Tags[agentTag] != "lost"
	if n.online {
		n.pinged = at.Truncate(time.Minute)
		if n.pinged.Before(since) {
			n.pinged = since.Add(agentStart)
		}
	}
	if n.pinged.IsZero() {
		n.pinged = n.registered
	}
	return n, !n.registered.IsZero() && !n.registered.After(at)
}

// mayBeManaged says whether an instance's role lets its agent register.
func (c *call) mayBeManaged(id string, i instance, at time.Time) bool {
	agent := *c
	agent.now, agent.me, agent.host = at, nil, ""
	role := agent.profileRole(last(i.Profile))
	_, r, ok := agent.accountState().Roles.live(last(role), at)
	if role == "" || !ok {
		return false
	}
	agent.who = accessKey{Account: c.who.Account, ARN: "arn:" + c.partition() + ":sts::" + c.who.Account + ":assumed-role/" + last(role) + "/" + id, Role: role, UserID: r.ID + ":" + id}
	me := agent.identity()
	ask := iampolicy.Request{Principal: me.principal, Action: "ssm:UpdateInstanceInformation", Resource: c.ec2ARN("instance", id)}
	return iampolicy.Evaluate(&ask, &me.policies).Allowed
}

func nodeOS(i instance) string {
	if os := i.Tags[osTag]; operatingSystems[os].platform != "" {
		return os
	}
	if i.Platform == "Windows" {
		return "WINDOWS"
	}
	return defaultOS
}

// nodes gives all managed instances as of a time, by their ids.
func (c *call) nodes(at time.Time) []node {
	var out []node
	for _, id := range sorted(c.home().Instances) {
		if n, ok := c.node(id, at); ok {
			out = append(out, n)
		}
	}
	return out
}

func (n node) ping() string {
	if n.online {
		return "Online"
	}
	return "ConnectionLost"
}

func (n node) hostName(region string) string {
	host := "ip-" + strings.ReplaceAll(n.instance.PrivateIP, ".", "-")
	if region == "us-east-1" {
		return host + ".ec2.internal"
	}
	return host + "." + region + ".compute.internal"
}

func (n node) role() string {
	return n.instance.Profile[strings.LastIndexByte(n.instance.Profile, '/')+1:]
}

func (n node) out(c *call) object {
	os := operatingSystems[n.os]
	return object{"InstanceId": n.id, "PingStatus": n.ping(), "LastPingDateTime": n.pinged, "AgentVersion": agentVersion, "IsLatestVersion": true,
		"PlatformType": os.platform, "PlatformName": os.name, "PlatformVersion": os.version, "ResourceType": "EC2Instance", "IPAddress": n.instance.PrivateIP,
		"ComputerName": n.hostName(c.region), "SourceId": n.id, "SourceType": "AWS::EC2::Instance"}
}

func describeInstanceInformation(c *call) (map[string]any, error) {
	list := append(ssmFilters(c.in["Filters"]), ssmFilters(c.in["InstanceInformationFilterList"])...)
	if len(c.objects("Filters")) > 0 && len(c.objects("InstanceInformationFilterList")) > 0 {
		return nil, failure(400, "InvalidInstanceInformationFilterValue", "Filters and InstanceInformationFilterList can't be used together.")
	}
	for _, f := range list {
		if f.key != "InstanceIds" {
			continue
		}
		for _, id := range f.values {
			if !instanceIDPattern.MatchString(id) {
				return nil, failure(400, "InvalidInstanceId", "%s is not a valid instance ID.", id)
			}
		}
	}
	out := []any{}
	for _, n := range c.nodes(c.view) {
		fits, err := passes(list, n.filterValues)
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, n.out(c))
		}
	}
	if len(out) == 0 { // a filter that isn't one is wrong also if there is nothing to filter
		if _, err := passes(list, node{}.filterValues); err != nil {
			return nil, err
		}
	}
	return c.ssmPage("InstanceInformationList", 50, out)
}

func (n node) filterValues(key string) ([]string, bool) {
	switch key {
	case "InstanceIds":
		return []string{n.id}, true
	case "PingStatus":
		return []string{n.ping()}, true
	case "AgentVersion":
		return []string{agentVersion}, true
	case "PlatformTypes":
		return []string{operatingSystems[n.os].platform}, true
	case "ResourceType":
		return []string{"EC2Instance"}, true
	case "IamRole":
		return []string{n.role()}, true
	case "ActivationIds", "AssociationStatus":
		return nil, true
	case "tag-key":
		return sorted(n.instance.Tags), true
	}
	if tag, ok := strings.CutPrefix(key, "tag:"); ok {
		v, has := n.instance.Tags[tag]
		if !has {
			return nil, true
		}
		return []string{v}, true
	}
	return nil, false
}

// instanceInventory is the only type of inventory that nodes report.
const instanceInventory = "AWS:InstanceInformation"

func (n node) inventory(c *call) object {
	os := operatingSystems[n.os]
	return object{"AgentType": "amazon-ssm-agent", "AgentVersion": agentVersion, "ComputerName": n.hostName(c.region), "InstanceId": n.id, "InstanceStatus": "Active",
		"IpAddress": n.instance.PrivateIP, "PlatformName": os.name, "PlatformType": os.platform, "PlatformVersion": os.version, "ResourceType": "EC2Instance"}
}

func getInventory(c *call) (map[string]any, error) {
	if len(c.objects("Aggregators")) > 0 {
		return nil, failure(501, "NotImplemented", "The sandbox does not aggregate inventory.")
	}
	for _, a := range c.objects("ResultAttributes") {
		if a["TypeName"] != instanceInventory {
			return nil, failure(400, "InvalidTypeNameException", "The sandbox's nodes report %s only, not %v.", instanceInventory, a["TypeName"])
		}
	}
	out := []any{}
	for _, n := range c.nodes(c.view) {
		content := n.inventory(c)
		keep := true
		for _, f := range c.objects("Filters") {
			key, _ := f["Key"].(string)
			have, known := content[strings.TrimPrefix(key, instanceInventory+".")].(string)
			if !known || !strings.HasPrefix(key, instanceInventory+".") {
				return nil, failure(400, "InvalidFilter", "The filter %s is not valid. Verify that you entered the correct name.", key)
			}
			kind, _ := f["Type"].(string)
			meets, err := compareInventory(cmp.Or(kind, "Equal"), have, texts(f["Values"]))
			if err != nil {
				return nil, err
			}
			keep = keep && meets
		}
		if keep {
			out = append(out, object{"Id": n.id, "Data": object{instanceInventory: object{"TypeName": instanceInventory, "SchemaVersion": "1.0", "CaptureTime": stampSeconds(n.pinged),
				"Content": []any{content}}}})
		}
	}
	return c.ssmPage("Entities", 50, out)
}

func compareInventory(kind, have string, want []string) (bool, error) {
	switch kind {
	case "Equal":
		return slices.Contains(want, have), nil
	case "NotEqual":
		return !slices.Contains(want, have), nil
	case "BeginWith":
		return slices.ContainsFunc(want, func(w string) bool { return strings.HasPrefix(have, w) }), nil
	case "Exists":
		return true, nil
	}
	return false, failure(501, "NotImplemented", "The sandbox does not compare inventory by %s.", kind)
}

func stampSeconds(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func listInventoryEntries(c *call) (map[string]any, error) {
	n, ok := c.node(c.str("InstanceId"), c.view)
	if !ok {
		return nil, failure(400, "InvalidInstanceId", "The instance %s is not a managed node.", c.str("InstanceId"))
	}
	if c.str("TypeName") != instanceInventory {
		return nil, failure(400, "InvalidTypeNameException", "The sandbox's nodes report %s only, not %s.", instanceInventory, c.str("TypeName"))
	}
	entry := object{}
	for k, v := range n.inventory(c) {
		entry[k] = v
	}
	return object{"TypeName": instanceInventory, "InstanceId": n.id, "SchemaVersion": "1.0", "CaptureTime": stampSeconds(n.pinged), "Entries": []any{entry}}, nil
}

var nodeHandlers = map[string]handler{
	"DescribeInstanceInformation": {"ssm:DescribeInstanceInformation", checked(describeInstanceInformation)},
	"GetInventory":                {"ssm:GetInventory", checked(getInventory)},
	"ListInventoryEntries":        {"ssm:ListInventoryEntries", checked(listInventoryEntries)},
}
