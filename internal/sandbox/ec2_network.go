package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// vpcEndpoints and transitGateways are kept as they were given; no packet flows.
var (
	vpcEndpoints = kind[structure]{
		key: "VpcEndpoints", ids: "VpcEndpointIds", missing: "InvalidVpcEndpointId.NotFound", what: "Vpc Endpoint",
		table: func(r *region) map[string]*record[structure] { return r.EC2.Endpoints },
		tags:  structureTags,
		out:   func(_ *call, _ string, v structure) object { return object(v) },
		filters: filterTable[structure]{
			"vpc-endpoint-id":    func(_ *call, id string, _ structure) []string { return []string{id} },
			"vpc-id":             memberFilter("VpcId"),
			"service-name":       memberFilter("ServiceName"),
			"vpc-endpoint-type":  memberFilter("VpcEndpointType"),
			"vpc-endpoint-state": memberFilter("State"),
		},
	}
	transitGateways = kind[structure]{
		key: "TransitGateways", ids: "TransitGatewayIds", missing: "InvalidTransitGatewayID.NotFound", what: "Transit Gateway",
		table: func(r *region) map[string]*record[structure] { return r.EC2.Gateways },
		tags:  structureTags,
		out:   func(_ *call, _ string, v structure) object { return object(v) },
		filters: filterTable[structure]{
			"transit-gateway-id": func(_ *call, id string, _ structure) []string { return []string{id} },
			"owner-id":           memberFilter("OwnerId"),
			"state":              memberFilter("State"),
		},
	}
)

func memberFilter(name string) func(*call, string, structure) []string {
	return func(_ *call, _ string, v structure) []string { return present(v.str(name)) }
}

func structureTags(v structure) tagSet { return tagsOf(v["Tags"]) }

// How long they take to be made and to change; of the order that people see.
const (
	endpointCreation = time.Minute
	gatewayCreation  = 2 * time.Minute
	gatewayChange    = 30 * time.Second
)

// vpcAttributes are the attributes of a VPC that say how names are found: whether a
// new VPC has them, and the member of an answer. Only a default VPC begins with
// names for its hosts. Source: Amazon VPC User Guide, "DNS attributes for your VPC".
var vpcAttributes = map[string]string{"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames", "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics"}

func (v vpc) attribute(name string) bool {
	if on, ok := v.Attributes[name]; ok {
		return on
	}
	return name == "enableDnsSupport" || name == "enableDnsHostnames" && v.Default
}

func describeVPCAttribute(c *call) (map[string]any, error) {
	id, name := c.str("VpcId"), c.str("Attribute")
	r, _, err := vpcs.now(c, id)
	if err != nil {
		return nil, err
	}
	v, _ := r.as(c.view)
	member, ok := vpcAttributes[name]
	if !ok {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return object{"VpcId": id, member: object{"Value": v.attribute(name)}}, nil
}

func modifyVPCAttribute(c *call) (map[string]any, error) {
	r, _, err := vpcs.now(c, c.str("VpcId"))
	if err != nil {
		return nil, err
	}
	set := map[string]bool{}
	for name, member := range vpcAttributes {
		if on, ok := c.object(member)["Value"].(bool); ok {
			set[name] = on
		}
	}
	if len(set) != 1 {
		return nil, failure(400, "InvalidParameterCombination", "One attribute at a time can be modified.")
	}
	r.change(c.now, func(v *vpc) {
		v.Attributes = maps.Clone(v.Attributes)
		if v.Attributes == nil {
			v.Attributes = map[string]bool{}
		}
		maps.Copy(v.Attributes, set)
	})
	return object{}, nil
}

func createVPCEndpoint(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		_, v, _ := vpcEndpoints.now(c, id)
		return object{"VpcEndpoint": object(v), "ClientToken": c.str("ClientToken")}, err
	}
	_, v, err := vpcs.now(c, c.str("VpcId"))
	if err != nil {
		return nil, err
	}
	tags, err := c.newTags("vpc-endpoint")
	if err != nil {
		return nil, err
	}
	service, kind := c.str("ServiceName"), c.str("VpcEndpointType")
	if kind == "" {
		kind = "Gateway"
	}
	if !strings.HasPrefix(service, "com.amazonaws."+c.region+".") {
		return nil, failure(400, "InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", service)
	}
	private, given := c.in["PrivateDnsEnabled"].(bool)
	private = kind == "Interface" && (private || !given)
	if private && !(v.attribute("enableDnsSupport") && v.attribute("enableDnsHostnames")) {
		return nil, failure(400, "InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", c.str("VpcId"))
	}
	zones := map[string]bool{}
	for _, id := range c.strings("SubnetIds") {
		_, s, err := subnets.now(c, id)
		switch {
		case err != nil:
			return nil, err
		case s.VPC != c.str("VpcId"):
			return nil, failure(400, "InvalidParameter", "The subnet ID %s is not in the VPC %s", id, c.str("VpcId"))
		case zones[s.Zone]:
			return nil, failure(400, "DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s. VPC endpoint subnets should be in different availability zones supported by the VPC endpoint service.", id)
		}
		zones[s.Zone] = true
	}
	for _, had := range table[structure](c.home().EC2.Endpoints).all(c.now) {
		if had.str("VpcId") == c.str("VpcId") && had.str("ServiceName") == service && private && had.bool("PrivateDnsEnabled") {
			return nil, failure(400, "InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s", service, c.str("VpcId"))
		}
	}
	id := c.id("vpce-0", 16)
	groups := []any{}
	for _, g := range c.strings("SecurityGroupIds") {
		groups = append(groups, object{"GroupId": g})
	}
	out := structure{"VpcEndpointId": id, "VpcEndpointType": kind, "VpcId": c.str("VpcId"), "ServiceName": service, "State": "pending", "PrivateDnsEnabled": private, "OwnerId": c.who.Account,
		"SubnetIds": anys(c.strings("SubnetIds")), "RouteTableIds": anys(c.strings("RouteTableIds")), "Groups": groups, "CreationTimestamp": c.now, "RequesterManaged": false, "Tags": tags.list(),
		"PolicyDocument": `{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}`}
	if p := c.str("PolicyDocument"); p != "" {
		out["PolicyDocument"] = p
	}
	r := c.home().EC2.Endpoints.put(id, c.now, out)
	become(r, c.now.Add(endpointCreation), structure{"State": "available"})
	c.remember(id)
	return object{"VpcEndpoint": object(out)}, nil
}

// newGatewayOptions are a transit gateway's where nothing is said. Source: Amazon
// EC2 API Reference, TransitGatewayRequestOptions.
var newGatewayOptions = structure{"AmazonSideAsn": int64(64512), "AutoAcceptSharedAttachments": "disable", "DefaultRouteTableAssociation": "enable", "DefaultRouteTablePropagation": "enable",
	"VpnEcmpSupport": "enable", "DnsSupport": "enable", "SecurityGroupReferencingSupport": "disable", "MulticastSupport": "disable"}

func createTransitGateway(c *call) (map[string]any, error) {
	tags, err := c.newTags("transit-gateway")
	if err != nil {
		return nil, err
	}
	id := c.id("tgw-0", 16)
	v := structure{"TransitGatewayId": id, "TransitGatewayArn": c.ec2ARN("transit-gateway", id), "State": "pending", "OwnerId": c.who.Account, "Description": c.str("Description"), "CreationTime": c.now,
		"Options": object(newGatewayOptions.with(c.object("Options"))), "Tags": tags.list()}
	become(c.home().EC2.Gateways.put(id, c.now, v), c.now.Add(gatewayCreation), structure{"State": "available"})
	return object{"TransitGateway": object(v)}, nil
}

func modifyTransitGateway(c *call) (map[string]any, error) {
	r, v, err := transitGateways.now(c, c.str("TransitGatewayId"))
	if err != nil {
		return nil, err
	}
	if v.str("State") != "available" {
		return nil, failure(400, "IncorrectState", "Transit gateway %s is in invalid state", c.str("TransitGatewayId"))
	}
	options, _ := v["Options"].(object)
	changes := structure{"State": "modifying", "Options": object(structure(options).with(c.object("Options")))}
	if d := c.str("Description"); d != "" {
		changes["Description"] = d
	}
	become(r, c.now, changes)
	become(r, c.now.Add(gatewayChange), structure{"State": "available"})
	v, _ = r.as(c.now)
	return object{"TransitGateway": object(v)}, nil
}

// An instance's profile is known by an association too, whose id is made of the
// instance's.

const associationPrefix = "iip-assoc-"

func (c *call) associationOut(id string, i instance, state string) object {
	return object{"AssociationId": associationPrefix + strings.TrimPrefix(id, "i-"), "InstanceId": id, "State": state, "IamInstanceProfile": object{"Arn": i.Profile, "Id": c.profileID(i.Profile)}}
}

func associateProfile(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	r, i, err := c.liveInstance(id, c.now)
	switch {
	case err != nil:
		return nil, err
	case i.Profile != "":
		return nil, failure(400, "IncorrectState", "There is an existing association for instance %s", id)
	}
	profile, err := c.profileOf(c.object("IamInstanceProfile"))
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(i *instance) { i.Profile = profile })
	i.Profile = profile
	return object{"IamInstanceProfileAssociation": c.associationOut(id, i, "associating")}, nil
}

func disassociateProfile(c *call) (map[string]any, error) {
	association := c.str("AssociationId")
	id := "i-" + strings.TrimPrefix(association, associationPrefix)
	r, i, err := c.liveInstance(id, c.now)
	if err != nil || i.Profile == "" {
		return nil, failure(400, "InvalidAssociationID.NotFound", "An invalid association-id of '%s' was given", association)
	}
	r.change(c.now, func(i *instance) { i.Profile = "" })
	return object{"IamInstanceProfileAssociation": c.associationOut(id, i, "disassociating")}, nil
}

func describeProfileAssociations(c *call) (map[string]any, error) {
	out := []any{}
	for id, i := range table[instance](c.home().Instances).all(c.view) {
		o := c.associationOut(id, i, "associated")
		if i.Profile == "" || i.State == "terminated" || len(c.strings("AssociationIds")) > 0 && !slices.Contains(c.strings("AssociationIds"), o["AssociationId"].(string)) {
			continue
		}
		fits, err := c.matches(nil, func(name string) ([]string, bool) {
			switch name {
			case "instance-id":
				return []string{id}, true
			case "state":
				return []string{"associated"}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, o)
		}
	}
	return c.page("IamInstanceProfileAssociations", out)
}

var ec2NetworkHandlers = map[string]handler{
	"AssociateIamInstanceProfile":            {"ec2:AssociateIamInstanceProfile", associateProfile},
	"CreateTransitGateway":                   {"ec2:CreateTransitGateway", createTransitGateway},
	"CreateVpcEndpoint":                      {"ec2:CreateVpcEndpoint", createVPCEndpoint},
	"DescribeIamInstanceProfileAssociations": {"ec2:DescribeIamInstanceProfileAssociations", describeProfileAssociations},
	"DescribeTransitGateways":                {"ec2:DescribeTransitGateways", transitGateways.describe},
	"DescribeVpcAttribute":                   {"ec2:DescribeVpcAttribute", describeVPCAttribute},
	"DescribeVpcEndpoints":                   {"ec2:DescribeVpcEndpoints", vpcEndpoints.describe},
	"DisassociateIamInstanceProfile":         {"ec2:DisassociateIamInstanceProfile", disassociateProfile},
	"ModifyTransitGateway":                   {"ec2:ModifyTransitGateway", modifyTransitGateway},
	"ModifyVpcAttribute":                     {"ec2:ModifyVpcAttribute", modifyVPCAttribute},
}
