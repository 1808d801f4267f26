package sandbox

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type instance struct {
	State       string    `json:"state"`
	Reason      string    `json:"stateTransitionReason,omitempty"`
	Reservation string    `json:"reservation,omitempty"`
	Index       int64     `json:"launchIndex,omitempty"`
	Token       string    `json:"clientToken,omitempty"`
	Launched    time.Time `json:"launched"`
	Checked     time.Time `json:"checked,omitzero"`  // when the status checks have passed
	Rebooted    time.Time `json:"rebooted,omitzero"` // last; a start is no reboot
	Type        string    `json:"type"`
	Zone        string    `json:"zone"`
	Image       string    `json:"image"`
	Root        string    `json:"rootDevice"`
	Arch        string    `json:"architecture,omitempty"`
	Platform    string    `json:"platform,omitempty"`
	Lifecycle   string    `json:"lifecycle,omitempty"` // spot
	Persistent  bool      `json:"persistentSpot,omitempty"`
	Key         string    `json:"keyName,omitempty"`
	Profile     string    `json:"instanceProfile,omitempty"` // ARN
	UserData    string    `json:"userData,omitempty"`
	Tenancy     string    `json:"tenancy,omitempty"`

	StopGuard      bool   `json:"disableApiStop,omitempty"`
	TerminateGuard bool   `json:"disableApiTermination,omitempty"`
	OnShutdown     string `json:"shutdownBehavior,omitempty"` // empty: stop
	Monitored      bool   `json:"monitoring,omitempty"`
	EBSOptimized   bool   `json:"ebsOptimized,omitempty"`
	Unchecked      bool   `json:"noSourceDestCheck,omitempty"`

	Metadata metadataOptions `json:"metadataOptions"`

	PrivateIP  string   `json:"privateIp"`
	PublicIP   string   `json:"publicIp,omitempty"`
	PublicFrom string   `json:"publicIpOwner,omitempty"` // amazon, or the account for an Elastic IP address
	Subnet     string   `json:"subnet,omitempty"`
	VPC        string   `json:"vpc,omitempty"`
	Groups     []string `json:"securityGroups,omitempty"`
	Tags       tagSet   `json:"tags,omitempty"`
}

// metadataOptions are the instance metadata service's; State is pending until a
// change has been applied.
type metadataOptions struct {
	State    string `json:"state"`
	Tokens   string `json:"tokens"`
	Hops     int64  `json:"hops"`
	Endpoint string `json:"endpoint"`
	IPv6     string `json:"ipv6"`
	Tags     string `json:"tags"`
}

var stateCodes = map[string]int64{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// terminatedFor is how long a terminated instance is still described. Source:
// Amazon EC2 User Guide, "Terminate Amazon EC2 instances".
const terminatedFor = time.Hour

func (c *call) liveInstance(id string, at time.Time) (*record[instance], instance, error) {
	r, ok := c.home().Instances[id]
	if ok {
		if i, ok := r.as(at); ok {
			return r, i, nil
		}
	}
	return nil, instance{}, failure(400, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
}

// placed is where a volume is attached.
type placed struct {
	id string
	on attachment
}

// devices gives the volumes of instances, by instance and in the order of their
// ids. With no instances named it is of all.
func (c *call) devices(at time.Time, instances ...string) map[string][]placed {
	out := map[string][]placed{}
	for id, r := range c.home().Volumes {
		v, ok := r.as(at)
		if !ok || v.State == gone {
			continue
		}
		for _, a := range v.Attachments {
			if len(instances) == 0 || slices.Contains(instances, a.Instance) {
				out[a.Instance] = append(out[a.Instance], placed{id, a})
			}
		}
	}
	for _, l := range out {
		slices.SortFunc(l, func(a, b placed) int { return cmp.Compare(a.id, b.id) })
	}
	return out
}

func (c *call) instanceOut(id string, i instance, at time.Time, devices []placed) object {
	mappings := []any{}
	for _, d := range devices {
		mappings = append(mappings, object{"DeviceName": d.on.Device, "Ebs": object{"VolumeId": d.id, "Status": d.on.State, "AttachTime": d.on.At, "DeleteOnTermination": d.on.DeleteOn}})
	}
	groups := []any{}
	for _, g := range i.Groups {
		r, _ := c.home().SecurityGroups[g].as(at)
		groups = append(groups, object{"GroupId": g, "GroupName": r.Name})
	}
	out := object{
		"InstanceId": id, "ImageId": i.Image, "InstanceType": i.Type, "LaunchTime": i.Launched, "State": stateOut(i.State),
		"Placement":      object{"AvailabilityZone": i.Zone, "AvailabilityZoneId": zoneID(i.Zone), "Tenancy": cmp.Or(i.Tenancy, "default"), "GroupName": ""},
		"RootDeviceName": i.Root, "RootDeviceType": "ebs", "BlockDeviceMappings": mappings, "Architecture": cmp.Or(i.Arch, "x86_64"), "Hypervisor": "xen", "VirtualizationType": "hvm",
		"AmiLaunchIndex": i.Index, "ClientToken": i.Token, "EbsOptimized": i.EBSOptimized, "EnaSupport": true, "SourceDestCheck": !i.Unchecked, "ProductCodes": []any{},
		"MetadataOptions": i.Metadata.out(), "Monitoring": object{"State": monitoringState(i)}, "PlatformDetails": cmp.Or(i.Platform, "Linux/UNIX"), "UsageOperation": "RunInstances",
		"StateTransitionReason": i.Reason, "SecurityGroups": groups, "PrivateDnsName": "", "PublicDnsName": "",
	}
	if i.Platform == "Windows" {
		out["Platform"] = "windows"
	}
	if i.Lifecycle != "" {
		out["InstanceLifecycle"], out["SpotInstanceRequestId"] = i.Lifecycle, "sir-"+id[len(id)-8:]
	}
	if i.Key != "" {
		out["KeyName"] = i.Key
	}
	if i.Profile != "" {
		out["IamInstanceProfile"] = object{"Arn": i.Profile, "Id": c.profileID(i.Profile)}
	}
	if i.Reason != "" && (i.State == "stopped" || i.State == "stopping" || i.State == "terminated" || i.State == "shutting-down") {
		out["StateReason"] = object{"Code": "Client.UserInitiatedShutdown", "Message": "Client.UserInitiatedShutdown: User initiated shutdown"}
	}
	if i.State != "terminated" { // its interface is gone with it
		nic := object{"NetworkInterfaceId": "eni-" + id[2:], "PrivateIpAddress": i.PrivateIP, "Status": "in-use", "OwnerId": c.who.Account, "Groups": groups,
			"SourceDestCheck": !i.Unchecked, "InterfaceType": "interface", "Attachment": object{"DeviceIndex": int64(0), "Status": "attached", "DeleteOnTermination": true, "AttachmentId": "eni-attach-" + id[2:]}}
		out["PrivateIpAddress"], out["PrivateDnsName"] = i.PrivateIP, privateName(c.region, i.PrivateIP)
		if i.PublicIP != "" {
			out["PublicIpAddress"] = i.PublicIP
			nic["Association"] = object{"PublicIp": i.PublicIP, "IpOwnerId": i.PublicFrom}
		}
		if i.Subnet != "" {
			out["SubnetId"], out["VpcId"], nic["SubnetId"], nic["VpcId"] = i.Subnet, i.VPC, i.Subnet, i.VPC
		}
		out["NetworkInterfaces"] = []any{nic}
	} else {
		out["NetworkInterfaces"] = []any{}
	}
	return withTags(out, i.Tags)
}

func (m metadataOptions) out() object {
	return object{"State": m.State, "HttpTokens": m.Tokens, "HttpPutResponseHopLimit": m.Hops, "HttpEndpoint": m.Endpoint, "HttpProtocolIpv6": m.IPv6, "InstanceMetadataTags": m.Tags}
}

func monitoringState(i instance) string {
	if i.Monitored {
		return "enabled"
	}
	return "disabled"
}

// profileID is an instance profile's id, by its ARN.
func (c *call) profileID(arn string) string {
	_, p, _ := c.accountState().Profiles.live(last(arn), c.now)
	return p.ID
}

func privateName(region, ip string) string {
	name := "ip-" + strings.ReplaceAll(ip, ".", "-")
	if region == "us-east-1" {
		return name + ".ec2.internal"
	}
	return name + "." + region + ".compute.internal"
}

func stateOut(name string) object { return object{"Name": name, "Code": stateCodes[name]} }

var instances = kind[instance]{
	key: "Reservations", ids: "InstanceIds", missing: "InvalidInstanceID.NotFound", what: "instance", alone: true,
	table:   func(r *region) map[string]*record[instance] { return r.Instances },
	tags:    func(i instance) tagSet { return i.Tags },
	filters: instanceFilters(),
}

// instanceFilters are DescribeInstances's. Its documentation lists more, of
// features that the sandbox has no state for.
func instanceFilters() filterTable[instance] {
	text := func(of func(instance) string) func(*call, string, instance) []string {
		return func(_ *call, _ string, i instance) []string { return present(of(i)) }
	}
	device := func(of func(placed) string) func(*call, string, instance) []string {
		return func(c *call, id string, _ instance) []string {
			var out []string
			for _, d := range c.devices(c.view, id)[id] {
				out = append(out, of(d))
			}
			return out
		}
	}
	groupNames := func(c *call, _ string, i instance) []string {
		var out []string
		for _, g := range i.Groups {
			r, _ := c.home().SecurityGroups[g].as(c.view)
			out = append(out, r.Name)
		}
		return out
	}
	groupIDs := func(_ *call, _ string, i instance) []string { return i.Groups }
	address := text(func(i instance) string { return i.PublicIP })
	return filterTable[instance]{
		"instance-id":          func(_ *call, id string, _ instance) []string { return []string{id} },
		"instance-state-name":  text(func(i instance) string { return i.State }),
		"instance-state-code":  func(_ *call, _ string, i instance) []string { return numeral(stateCodes[i.State]) },
		"instance-type":        text(func(i instance) string { return i.Type }),
		"instance-lifecycle":   text(func(i instance) string { return i.Lifecycle }),
		"instance.group-id":    groupIDs,
		"instance.group-name":  groupNames,
		"availability-zone":    text(func(i instance) string { return i.Zone }),
		"availability-zone-id": text(func(i instance) string { return zoneID(i.Zone) }),
		"architecture":         text(func(i instance) string { return i.Arch }),
		"client-token":         text(func(i instance) string { return i.Token }),
		"hypervisor":           func(*call, string, instance) []string { return []string{"xen"} },
		"virtualization-type":  func(*call, string, instance) []string { return []string{"hvm"} },
		"root-device-type":     func(*call, string, instance) []string { return []string{"ebs"} },
		"owner-id":             func(c *call, _ string, _ instance) []string { return []string{c.who.Account} },
		"image-id":             text(func(i instance) string { return i.Image }),
		"key-name":             text(func(i instance) string { return i.Key }),
		"launch-index":         func(_ *call, _ string, i instance) []string { return numeral(i.Index) },
		"launch-time":          func(_ *call, _ string, i instance) []string { return []string{moment(i.Launched)} },
		"monitoring-state":     func(_ *call, _ string, i instance) []string { return []string{monitoringState(i)} },
		"platform":             text(func(i instance) string { return strings.ToLower(i.Platform) }),
		"platform-details":     func(_ *call, _ string, i instance) []string { return []string{cmp.Or(i.Platform, "Linux/UNIX")} },
		"private-ip-address":   text(func(i instance) string { return i.PrivateIP }),
		"private-dns-name":     func(c *call, _ string, i instance) []string { return []string{privateName(c.region, i.PrivateIP)} },
		"ip-address":           address,
		"reason":               text(func(i instance) string { return i.Reason }),
		"reservation-id":       func(_ *call, id string, i instance) []string { return []string{i.reservation(id)} },
		"root-device-name":     text(func(i instance) string { return i.Root }),
		"source-dest-check":    func(_ *call, _ string, i instance) []string { return boolean(!i.Unchecked) },
		"subnet-id":            text(func(i instance) string { return i.Subnet }),
		"tenancy":              func(_ *call, _ string, i instance) []string { return []string{cmp.Or(i.Tenancy, "default")} },
		"vpc-id":               text(func(i instance) string { return i.VPC }),

		"iam-instance-profile.arn":  text(func(i instance) string { return i.Profile }),
		"iam-instance-profile.id":   func(c *call, _ string, i instance) []string { return present(c.profileID(i.Profile)) },
		"iam-instance-profile.name": text(func(i instance) string { return i.Profile[strings.LastIndexByte(i.Profile, '/')+1:] }),

		"metadata-options.http-tokens":                 text(func(i instance) string { return i.Metadata.Tokens }),
		"metadata-options.http-endpoint":               text(func(i instance) string { return i.Metadata.Endpoint }),
		"metadata-options.http-put-response-hop-limit": func(_ *call, _ string, i instance) []string { return numeral(i.Metadata.Hops) },
		"metadata-options.http-protocol-ipv4":          text(func(i instance) string { return i.Metadata.Endpoint }),
		"metadata-options.http-protocol-ipv6":          text(func(i instance) string { return i.Metadata.IPv6 }),
		"metadata-options.instance-metadata-tags":      text(func(i instance) string { return i.Metadata.Tags }),

		"block-device-mapping.volume-id":             device(func(d placed) string { return d.id }),
		"block-device-mapping.device-name":           device(func(d placed) string { return d.on.Device }),
		"block-device-mapping.status":                device(func(d placed) string { return d.on.State }),
		"block-device-mapping.delete-on-termination": device(func(d placed) string { return strconv.FormatBool(d.on.DeleteOn) }),

		"network-interface.network-interface-id":            func(_ *call, id string, _ instance) []string { return []string{"eni-" + id[2:]} },
		"network-interface.subnet-id":                       text(func(i instance) string { return i.Subnet }),
		"network-interface.vpc-id":                          text(func(i instance) string { return i.VPC }),
		"network-interface.group-id":                        groupIDs,
		"network-interface.group-name":                      groupNames,
		"network-interface.association.public-ip":           address,
		"network-interface.association.ip-owner-id":         text(instance.publicOwner),
		"network-interface.addresses.private-ip-address":    text(func(i instance) string { return i.PrivateIP }),
		"network-interface.addresses.association.public-ip": address,
	}
}

// publicOwner is who owns the public address, where there is one.
func (i instance) publicOwner() string {
	if i.PublicIP == "" {
		return "" // a stopped instance has lost it
	}
	return i.PublicFrom
}

// moment writes a time as filters have it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// reservation is the id of an instance's reservation.
func (i instance) reservation(id string) string { return cmp.Or(i.Reservation, "r-"+id[2:]) }

func describeInstances(c *call) (map[string]any, error) {
	found, err := instances.find(c)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(e held[instance]) bool { return c.forgotten(e.id, e.v) })
	// A page is of reservations with the instances that passed.
	var order []string
	members := map[string][]held[instance]{}
	for _, e := range found {
		r := e.v.reservation(e.id)
		if members[r] == nil {
			order = append(order, r)
		}
		members[r] = append(members[r], e)
	}
	var devices map[string][]placed
	return paged(c, instances.key, order, func(r string) any {
		if devices == nil {
			devices = c.devices(c.view)
		}
		list := []any{}
		for _, e := range members[r] {
			list = append(list, c.instanceOut(e.id, e.v, c.view, devices[e.id]))
		}
		return object{"ReservationId": r, "OwnerId": c.who.Account, "Instances": list, "Groups": []any{}}
	})
}

// forgotten says whether an instance has been terminated for so long that it is
// no longer described.
func (c *call) forgotten(id string, i instance) bool {
	r := c.home().Instances[id]
	return i.State == "terminated" && r.Versions[r.index(c.view)-1].At.Before(c.view.Add(-terminatedFor))
}

func describeInstanceStatus(c *call) (map[string]any, error) {
	k := kind[instance]{ids: instances.ids, missing: instances.missing, what: instances.what, alone: true, table: instances.table, tags: instances.tags, filters: filterTable[instance]{
		"availability-zone":            instances.filters["availability-zone"],
		"availability-zone-id":         instances.filters["availability-zone-id"],
		"instance-state-name":          instances.filters["instance-state-name"],
		"instance-state-code":          instances.filters["instance-state-code"],
		"instance-status.status":       func(c *call, _ string, i instance) []string { return []string{c.checks(i)} },
		"system-status.status":         func(c *call, _ string, i instance) []string { return []string{c.checks(i)} },
		"instance-status.reachability": func(c *call, _ string, i instance) []string { return []string{reachability(c.checks(i))} },
		"system-status.reachability":   func(c *call, _ string, i instance) []string { return []string{reachability(c.checks(i))} },
		"attached-ebs-status.status":   func(c *call, _ string, i instance) []string { return []string{c.checks(i)} },
	}}
	found, err := k.find(c)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(e held[instance]) bool {
		return c.forgotten(e.id, e.v) || e.v.State != "running" && !c.bool("IncludeAllInstances")
	})
	return paged(c, "InstanceStatuses", found, func(e held[instance]) any {
		status := c.checks(e.v)
		check := object{"Status": status, "Details": []any{object{"Name": "reachability", "Status": reachability(status)}}}
		return object{"InstanceId": e.id, "AvailabilityZone": e.v.Zone, "AvailabilityZoneId": zoneID(e.v.Zone), "InstanceState": stateOut(e.v.State),
			"InstanceStatus": check, "SystemStatus": check, "AttachedEbsStatus": check, "Events": []any{}}
	})
}

// checks is the summary of an instance's status checks.
func (c *call) checks(i instance) string {
	switch {
	case i.State != "running":
		return "not-applicable"
	case c.view.Before(i.Checked):
		return "initializing"
	}
	return "ok"
}

func reachability(status string) string {
	switch status {
	case "ok":
		return "passed"
	case "initializing":
		return "initializing"
	}
	return "insufficient-data"
}
