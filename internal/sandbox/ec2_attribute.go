package sandbox

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
)

// defaultMetadata is the metadata service's of an instance where nothing else is
// asked for.
func (i image) metadata() metadataOptions {
	m := metadataOptions{State: "applied", Tokens: "optional", Hops: 1, Endpoint: "enabled", IPv6: "disabled", Tags: "disabled"}
	if i.IMDS == "v2.0" { // Source: Amazon EC2 User Guide, "Configure the Instance Metadata Service options"
		m.Tokens, m.Hops = "required", 2
	}
	return m
}

// set takes over what a call gives of the options.
func (m *metadataOptions) set(in object) error {
	for name, o := range map[string]struct {
		to   *string
		from []string
	}{
		"HttpTokens":           {&m.Tokens, []string{"optional", "required"}},
		"HttpEndpoint":         {&m.Endpoint, []string{"enabled", "disabled"}},
		"HttpProtocolIpv6":     {&m.IPv6, []string{"enabled", "disabled"}},
		"InstanceMetadataTags": {&m.Tags, []string{"enabled", "disabled"}},
	} {
		v, given := in[name].(string)
		if !given {
			continue
		}
		if !slices.Contains(o.from, v) {
			return failure(400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid. Valid values: %s", v, name, strings.Join(o.from, ", "))
		}
		*o.to = v
	}
	if hops, given := in["HttpPutResponseHopLimit"].(int64); given {
		if hops < 1 || hops > 64 {
			return failure(400, "InvalidParameterValue", "Value (%d) for parameter HttpPutResponseHopLimit is invalid. It is from 1 to 64", hops)
		}
		m.Hops = hops
	}
	return nil
}

// metadataTime is how long a change of the metadata options is pending.
const metadataTime = 2 * time.Second

func modifyMetadataOptions(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	r, i, err := c.liveInstance(id, c.now)
	if err != nil {
		return nil, err
	}
	if i.State == "terminated" || i.State == "shutting-down" {
		return nil, failure(400, "IncorrectInstanceState", "The instance '%s' is %s.", id, i.State)
	}
	m := i.Metadata
	if err := m.set(c.in); err != nil {
		return nil, err
	}
	m.State = "pending"
	r.change(c.now, func(i *instance) { i.Metadata = m })
	r.change(c.now.Add(metadataTime), func(i *instance) { i.Metadata.State = "applied" })
	return object{"InstanceId": id, "InstanceMetadataOptions": m.out()}, nil
}

func describeInstanceAttribute(c *call) (map[string]any, error) {
	id, name := c.str("InstanceId"), c.str("Attribute")
	_, i, err := c.liveInstance(id, c.view)
	if err != nil {
		return nil, err
	}
	out := object{"InstanceId": id}
	switch name {
	case "disableApiStop":
		out["DisableApiStop"] = object{"Value": i.StopGuard}
	case "disableApiTermination":
		out["DisableApiTermination"] = object{"Value": i.TerminateGuard}
	case "instanceInitiatedShutdownBehavior":
		out["InstanceInitiatedShutdownBehavior"] = object{"Value": i.onShutdown()}
	case "instanceType":
		out["InstanceType"] = object{"Value": i.Type}
	case "rootDeviceName":
		out["RootDeviceName"] = object{"Value": i.Root}
	case "ebsOptimized":
		out["EbsOptimized"] = object{"Value": i.EBSOptimized}
	case "enaSupport":
		out["EnaSupport"] = object{"Value": true}
	case "sourceDestCheck":
		out["SourceDestCheck"] = object{"Value": !i.Unchecked}
	case "sriovNetSupport":
		out["SriovNetSupport"] = object{"Value": "simple"}
	case "userData":
		out["UserData"] = object{}
		if i.UserData != "" {
			out["UserData"] = object{"Value": i.UserData}
		}
	case "kernel", "ramdisk", "productCodes":
		// HVM instances have none.
	case "groupSet":
		groups := []any{}
		for _, g := range i.Groups {
			r, _ := c.home().SecurityGroups[g].as(c.view)
			groups = append(groups, object{"GroupId": g, "GroupName": r.Name})
		}
		out["Groups"] = groups
	case "blockDeviceMapping":
		out["BlockDeviceMappings"] = c.instanceOut(id, i, c.view, c.devices(c.view, id)[id])["BlockDeviceMappings"]
	default:
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return out, nil
}

func (i instance) onShutdown() string {
	if i.OnShutdown == "" {
		return "stop"
	}
	return i.OnShutdown
}

// attributeInput reads ModifyInstanceAttribute's two forms, Attribute with Value and a
// member by the attribute's name, as one.
func (c *call) attributeInput() (object, error) {
	in := object{}
	for k, v := range c.in {
		in[k] = v
	}
	name, value := c.str("Attribute"), c.str("Value")
	if name == "" {
		return in, nil
	}
	member := strings.ToUpper(name[:1]) + name[1:]
	switch name {
	case "disableApiStop", "disableApiTermination", "ebsOptimized", "enaSupport", "sourceDestCheck":
		if value != "true" && value != "false" {
			return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter value is invalid. It is true or false.", value)
		}
		in[member] = object{"Value": value == "true"}
	case "instanceType", "instanceInitiatedShutdownBehavior", "userData":
		in[member] = object{"Value": value}
	default:
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid. It can't be modified so.", name)
	}
	return in, nil
}

func modifyInstanceAttribute(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	r, i, err := c.liveInstance(id, c.now)
	if err != nil {
		return nil, err
	}
	in, err := c.attributeInput()
	if err != nil {
		return nil, err
	}
	// All is checked before anything is changed.
	var changes []func(*instance)
	flag := func(member string, set func(*instance, bool)) {
		o, _ := in[member].(object)
		if v, ok := o["Value"].(bool); ok {
			changes = append(changes, func(i *instance) { set(i, v) })
		}
	}
	flag("DisableApiStop", func(i *instance, v bool) { i.StopGuard = v })
	flag("DisableApiTermination", func(i *instance, v bool) { i.TerminateGuard = v })
	flag("SourceDestCheck", func(i *instance, v bool) { i.Unchecked = !v })
	// These can be modified of a stopped instance only.
	stopped := func(member string) (any, bool, error) {
		o, given := in[member].(object)
		if given && i.State != "stopped" {
			return nil, false, failure(400, "IncorrectInstanceState", "The instance '%s' is not in the 'stopped' state.", id)
		}
		v := o["Value"]
		return v, given && v != nil, nil
	}
	if v, given, err := stopped("InstanceType"); err != nil {
		return nil, err
	} else if given {
		name, _ := v.(string)
		if err := mustBeType(name); err != nil {
			return nil, err
		}
		if kind := instanceTypes[name]; i.Arch != "" && kind.Arch != i.Arch {
			return nil, failure(400, "InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the instance.", kind.Arch, i.Arch)
		}
		changes = append(changes, func(i *instance) { i.Type = name })
	}
	if v, given, err := stopped("EbsOptimized"); err != nil {
		return nil, err
	} else if given {
		changes = append(changes, func(i *instance) { i.EBSOptimized = v == true })
	}
	if v, given, err := stopped("UserData"); err != nil {
		return nil, err
	} else if given {
		changes = append(changes, func(i *instance) { i.UserData = userData(v) })
	}
	if o, given := in["InstanceInitiatedShutdownBehavior"].(object); given {
		v, _ := o["Value"].(string)
		if v != "stop" && v != "terminate" {
			return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", v)
		}
		changes = append(changes, func(i *instance) { i.OnShutdown = v })
	}
	if groups := c.strings("Groups"); len(groups) > 0 {
		for _, g := range groups {
			_, v, err := securityGroups.now(c, g)
			if err != nil {
				return nil, err
			}
			if v.VPC != i.VPC {
				return nil, failure(400, "InvalidGroup.NotFound", "The security group '%s' does not exist in VPC '%s'", g, i.VPC)
			}
		}
		changes = append(changes, func(i *instance) { i.Groups = groups })
	}
	mappings, err := c.mappingChanges(id)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		r.change(c.now, change)
	}
	for _, change := range mappings {
		change()
	}
	return object{}, nil
}

// userData is user data as it is described: in base64.
func userData(v any) string {
	switch v := v.(type) {
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case string:
		return v
	}
	return ""
}

// mappingChanges are the changes of DeleteOnTermination in a call.
func (c *call) mappingChanges(id string) ([]func(), error) {
	var out []func()
	devices := c.devices(c.now, id)[id]
	for _, m := range c.objects("BlockDeviceMappings") {
		name, _ := m["DeviceName"].(string)
		n := slices.IndexFunc(devices, func(d placed) bool { return d.on.Device == name })
		if n < 0 {
			return nil, failure(400, "InvalidInstanceAttributeValue", "No device is currently mapped at %s", name)
		}
		ebs, _ := m["Ebs"].(object)
		if keep, ok := ebs["DeleteOnTermination"].(bool); ok {
			r := c.home().Volumes[devices[n].id]
			out = append(out, func() {
				r.change(c.now, func(v *volume) { v.attached(id, func(a *attachment) { a.DeleteOn = keep }) })
			})
		}
	}
	return out, nil
}
