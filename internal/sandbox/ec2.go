package sandbox

import (
	"slices"
	"strings"
	"time"
)

// ec2State is what EC2 has in one account and Region beside what region names.
type ec2State struct {
	Images    table[image]          `json:"images,omitempty"`
	Templates table[launchTemplate] `json:"launchTemplates,omitempty"`
	FlowLogs  table[flowLog]        `json:"flowLogs,omitempty"`
	// DefaultKey is the ARN of the key for EBS; empty: AWS's own.
	DefaultKey string `json:"defaultKmsKey,omitempty"`
	// BlockPublic is the snapshots' block of public access; empty: unblocked.
	BlockPublic string `json:"snapshotBlockPublicAccess,omitempty"`
	// Modifications are each volume's last one.
	Modifications table[modification] `json:"volumeModifications,omitempty"`
	Endpoints     table[structure]    `json:"vpcEndpoints,omitempty"`
	Gateways      table[structure]    `json:"transitGateways,omitempty"`
}

func (s *ec2State) check() error {
	return first(whole("image", s.Images), whole("launch template", s.Templates), whole("flow log", s.FlowLogs),
		whole("volume modification", s.Modifications), whole("VPC endpoint", s.Endpoints), whole("transit gateway", s.Gateways))
}

// How long EBS and EC2 take for a change, on the sandbox's clock. AWS publishes
// no figures; these are of the order that people see.
const (
	volumeCreation  = 3 * time.Second
	attachTime      = 2 * time.Second
	detachTime      = 4 * time.Second
	snapshotBase    = 20 * time.Second
	snapshotPerGiB  = 200 * time.Millisecond
	instanceStart   = 15 * time.Second
	instanceStop    = 30 * time.Second
	instanceDestroy = 20 * time.Second
	instanceChecks  = 2 * time.Minute // until the status checks have passed
	instanceReboot  = 20 * time.Second
)

// optInRegions are the Regions that an account has only after it opted in.
// Source: AWS Account Management Reference Guide, "Enable or disable AWS Regions
// in your account".
var optInRegions = []string{"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1", "mx-central-1"}

func zones(region string) []string { return []string{region + "a", region + "b", region + "c"} }

// zoneID is a zone's id, such as euw1-az1 for eu-west-1a.
func zoneID(zone string) string {
	parts := strings.Split(zone[:len(zone)-1], "-")
	short := parts[0]
	for _, word := range parts[1 : len(parts)-1] {
		for _, direction := range []string{"north", "south", "east", "west", "central"} {
			if rest, ok := strings.CutPrefix(word, direction); ok {
				word = rest
				short += direction[:1]
			}
		}
	}
	return short + parts[len(parts)-1] + "-az" + string('1'+zone[len(zone)-1]-'a')
}

func describeRegions(c *call) (map[string]any, error) {
	status := map[string]string{}
	for _, r := range c.regions {
		status[r] = "opt-in-not-required"
		if slices.Contains(optInRegions, r) {
			status[r] = "opted-in"
		}
	}
	names := c.strings("RegionNames")
	if c.bool("AllRegions") || len(names) > 0 {
		for _, r := range optInRegions {
			if status[r] == "" {
				status[r] = "not-opted-in"
			}
		}
	}
	for _, name := range names {
		if status[name] == "" || status[name] == "not-opted-in" && !c.bool("AllRegions") {
			return nil, failure(400, "InvalidParameterValue", "Invalid region name(s): %s", name)
		}
	}
	fits, err := filtering(c, filterTable[string]{
		"region-name":   func(_ *call, name, _ string) []string { return []string{name} },
		"endpoint":      func(_ *call, name, _ string) []string { return []string{"ec2." + name + ".amazonaws.com"} },
		"opt-in-status": func(_ *call, _, status string) []string { return []string{status} },
	})
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, name := range sorted(status) {
		if (len(names) == 0 || slices.Contains(names, name)) && fits(name, status[name], nil) {
			out = append(out, object{"RegionName": name, "Endpoint": "ec2." + name + ".amazonaws.com", "OptInStatus": status[name]})
		}
	}
	return object{"Regions": out}, nil
}

func describeZones(c *call) (map[string]any, error) {
	names := c.strings("ZoneNames")
	for _, name := range names {
		if !slices.Contains(zones(c.region), name) {
			return nil, failure(400, "InvalidParameterValue", "Invalid availability zone: [%s]", name)
		}
	}
	out := []any{}
	for _, z := range zones(c.region) {
		fits, err := c.matches(nil, func(name string) ([]string, bool) {
			v, ok := map[string]string{"zone-name": z, "zone-id": zoneID(z), "zone-type": "availability-zone", "state": "available", "region-name": c.region,
				"opt-in-status": "opt-in-not-required"}[name]
			return []string{v}, ok
		})
		if err != nil {
			return nil, err
		}
		if fits && (len(names) == 0 || slices.Contains(names, z)) {
			out = append(out, object{"ZoneName": z, "ZoneId": zoneID(z), "RegionName": c.region, "State": "available", "ZoneType": "availability-zone",
				"OptInStatus": "opt-in-not-required", "GroupName": c.region, "NetworkBorderGroup": c.region, "Messages": []any{}})
		}
	}
	return object{"AvailabilityZones": out}, nil
}

// inRegion is the call as if it were made in another Region.
func (c *call) inRegion(region string) *call {
	at := *c
	at.region = region
	return &at
}

// sub makes another call of the same caller, through the same handler as it
// would itself come to.
func (c *call) sub(run func(*call) (map[string]any, error), service, operation string, in object) (map[string]any, error) {
	op, err := c.catalog.Operation(service, operation)
	if err != nil {
		return nil, err
	}
	at := *c
	at.in, at.operation = in, op
	return run(&at)
}
