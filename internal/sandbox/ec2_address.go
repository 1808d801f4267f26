package sandbox

import (
	"slices"
	"strconv"
)

// address is an Elastic IP address.
type address struct {
	PublicIP string `json:"publicIp"`
	Instance string `json:"instance,omitempty"`
	Tags     tagSet `json:"tags,omitempty"`
}

// associationID is of an address's association to an instance.
func associationID(id string, a address) string {
	return "eipassoc-0" + derived(0, id+a.Instance, 0)[:16]
}

func allocateAddress(c *call) (map[string]any, error) {
	tags, err := c.newTags("elastic-ip")
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, a := range table[address](c.home().Addresses).all(c.now) {
		taken[a.PublicIP] = true
	}
	id := c.id("eipalloc-0", 16)
	start, _ := strconv.Atoi(octet(id[10:12]))
	ip := ""
	for n := range 254 { // 198.51.100.0/24 is for documentation
		if ip = "198.51.100." + strconv.Itoa(1+(start+n)%254); !taken[ip] {
			break
		}
	}
	if taken[ip] {
		return nil, failure(400, "AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	c.home().Addresses[id] = newRecord(c.now, address{PublicIP: ip, Tags: tags})
	return object{"AllocationId": id, "PublicIp": ip, "Domain": "vpc", "PublicIpv4Pool": "amazon", "NetworkBorderGroup": c.region}, nil
}

// findAddress gives the address that a call names by allocation id or public IP.
func (c *call) findAddress() (string, *record[address], address, error) {
	if id := c.str("AllocationId"); id != "" {
		r, a, err := addresses.now(c, id)
		return id, r, a, err
	}
	ip := c.str("PublicIp")
	if ip == "" {
		return "", nil, address{}, failure(400, "MissingParameter", "Either PublicIp or AllocationId must be specified")
	}
	for id, a := range table[address](c.home().Addresses).all(c.now) {
		if a.PublicIP == ip {
			return id, c.home().Addresses[id], a, nil
		}
	}
	return "", nil, address{}, failure(400, "InvalidAddress.NotFound", "Address '%s' not found.", ip)
}

func associateAddress(c *call) (map[string]any, error) {
	id, r, a, err := c.findAddress()
	if err != nil {
		return nil, err
	}
	instanceID := c.str("InstanceId")
	if nic := c.str("NetworkInterfaceId"); instanceID == "" && len(nic) > 4 {
		instanceID = "i-" + nic[4:]
	}
	if instanceID == "" {
		return nil, failure(400, "MissingParameter", "Either instance ID or network interface id must be specified")
	}
	ir, i, err := c.liveInstance(instanceID, c.now)
	if err != nil {
		return nil, err
	}
	if i.State != "running" && i.State != "stopped" && i.State != "stopping" {
		return nil, failure(400, "InvalidInstanceID", "The %s instance '%s' is not in a valid state for this operation.", i.State, instanceID)
	}
	if allow, given := c.in["AllowReassociation"].(bool); given && !allow && a.Instance != "" && a.Instance != instanceID {
		return nil, failure(400, "Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", id, associationID(id, a))
	}
	if a.Instance != "" && a.Instance != instanceID {
		c.loseAddress(a.Instance)
	}
	for _, other := range c.home().Addresses { // an instance has one
		if o, ok := other.as(c.now); ok && other != r && o.Instance == instanceID {
			other.change(c.now, func(a *address) { a.Instance = "" })
		}
	}
	r.change(c.now, func(a *address) { a.Instance = instanceID })
	ir.change(c.now, func(i *instance) { i.PublicIP, i.PublicFrom = a.PublicIP, c.who.Account })
	a.Instance = instanceID
	return object{"AssociationId": associationID(id, a)}, nil
}

// loseAddress takes an Elastic IP address from an instance. One that runs in a
// subnet that gives addresses gets one of Amazon's.
func (c *call) loseAddress(instanceID string) {
	r, i, err := c.liveInstance(instanceID, c.now)
	if err != nil {
		return
	}
	ip, from := "", ""
	if _, s, err := subnets.now(c, i.Subnet); err == nil && s.Public {
		if from = "amazon"; i.State == "running" {
			ip = "203.0.113." + octet(c.id("", 2))
		}
	}
	r.change(c.now, func(i *instance) { i.PublicIP, i.PublicFrom = ip, from })
}

func disassociateAddress(c *call) (map[string]any, error) {
	want := c.str("AssociationId")
	if want == "" {
		_, r, a, err := c.findAddress()
		if err != nil {
			return nil, err
		}
		if a.Instance == "" {
			return nil, failure(400, "InvalidAssociationID.NotFound", "The address %s has no association", a.PublicIP)
		}
		return c.disassociate(r, a), nil
	}
	for id, a := range table[address](c.home().Addresses).all(c.now) {
		if a.Instance != "" && associationID(id, a) == want {
			return c.disassociate(c.home().Addresses[id], a), nil
		}
	}
	return nil, failure(400, "InvalidAssociationID.NotFound", "The association ID '%s' does not exist", want)
}

func (c *call) disassociate(r *record[address], a address) object {
	r.change(c.now, func(a *address) { a.Instance = "" })
	c.loseAddress(a.Instance)
	return object{}
}

func releaseAddress(c *call) (map[string]any, error) {
	_, r, a, err := c.findAddress()
	if err != nil {
		return nil, err
	}
	if a.Instance != "" {
		return nil, failure(400, "InvalidIPAddress.InUse", "Address %s is in use.", a.PublicIP)
	}
	r.end(c.now)
	return object{}, nil
}

var addresses = kind[address]{
	key: "Addresses", ids: "AllocationIds", missing: "InvalidAllocationID.NotFound", what: "allocation",
	table: func(r *region) map[string]*record[address] { return r.Addresses },
	tags:  func(a address) tagSet { return a.Tags },
	filters: filterTable[address]{
		"allocation-id":        func(_ *call, id string, _ address) []string { return []string{id} },
		"instance-id":          func(_ *call, _ string, a address) []string { return present(a.Instance) },
		"public-ip":            func(_ *call, _ string, a address) []string { return []string{a.PublicIP} },
		"domain":               func(*call, string, address) []string { return []string{"vpc"} },
		"network-border-group": func(c *call, _ string, _ address) []string { return []string{c.region} },
		"association-id": func(_ *call, id string, a address) []string {
			if a.Instance == "" {
				return nil
			}
			return []string{associationID(id, a)}
		},
		"network-interface-id": func(_ *call, _ string, a address) []string {
			if a.Instance == "" {
				return nil
			}
			return []string{"eni-" + a.Instance[2:]}
		},
		"private-ip-address": func(c *call, _ string, a address) []string {
			_, i, _ := c.liveInstance(a.Instance, c.view)
			return present(i.PrivateIP)
		},
	},
}

func (c *call) addressOut(id string, a address) object {
	out := object{"AllocationId": id, "PublicIp": a.PublicIP, "Domain": "vpc", "PublicIpv4Pool": "amazon", "NetworkBorderGroup": c.region}
	if a.Instance != "" {
		out["InstanceId"], out["AssociationId"] = a.Instance, associationID(id, a)
		if _, i, err := c.liveInstance(a.Instance, c.view); err == nil {
			out["PrivateIpAddress"], out["NetworkInterfaceId"], out["NetworkInterfaceOwnerId"] = i.PrivateIP, "eni-"+a.Instance[2:], c.who.Account
		}
	}
	return withTags(out, a.Tags)
}

// describeAddresses has no pages.
func describeAddresses(c *call) (map[string]any, error) {
	found, err := addresses.find(c)
	if err != nil {
		return nil, err
	}
	ips := c.strings("PublicIps")
	for _, ip := range ips {
		if !slices.ContainsFunc(found, func(e held[address]) bool { return e.v.PublicIP == ip }) {
			return nil, failure(400, "InvalidAddress.NotFound", "Address '%s' not found.", ip)
		}
	}
	out := []any{}
	for _, e := range found {
		if len(ips) == 0 || slices.Contains(ips, e.v.PublicIP) {
			out = append(out, c.addressOut(e.id, e.v))
		}
	}
	return object{"Addresses": out}, nil
}
