package sandbox

import (
	"cmp"
	"slices"
	"strings"
)

func createLoadBalancer(c *call) (map[string]any, error) {
	b := loadBalancer{Name: c.str("Name"), Kind: cmp.Or(c.str("Type"), "application"), Scheme: cmp.Or(c.str("Scheme"), "internet-facing"), Subnets: c.strings("Subnets"), Groups: c.strings("SecurityGroups"), Created: c.now, State: "provisioning"}
	for _, m := range c.objects("SubnetMappings") {
		b.Subnets = append(b.Subnets, members([]any{m}, "SubnetId")...)
	}
	zones := map[string]bool{}
	for _, id := range b.Subnets {
		_, s, err := subnets.now(c, id)
		if err != nil {
			return nil, failure(400, "SubnetNotFound", "The subnet ID '%s' is not valid", id)
		}
		b.VPC, zones[s.Zone] = s.VPC, true
	}
	if len(zones) == 0 || b.Kind == "application" && len(zones) < 2 {
		return nil, validation("At least two subnets in two different Availability Zones must be specified")
	}
	for _, id := range b.Groups {
		if _, _, err := securityGroups.now(c, id); err != nil {
			return nil, failure(400, "InvalidSecurityGroup", "The security group '%s' is not valid", id)
		}
	}
	if b.Kind == "application" && len(b.Groups) == 0 {
		b.Groups = []string{c.groupNamed("default", b.VPC)}
	}
	for _, o := range c.home().ELB.Balancers.all(c.now) {
		if o.Name == b.Name {
			return nil, failure(400, "DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", b.Name)
		}
	}
	var err error
	if b.Tags, err = parseTags(c.in["Tags"]); err != nil {
		return nil, validation("%v", err)
	}
	kind := map[string]string{"application": "app", "network": "net", "gateway": "gwy"}[b.Kind]
	if kind == "" {
		return nil, validation("The load balancer type '%s' is not valid", b.Kind)
	}
	arn := c.elbARN("loadbalancer/"+kind, b.Name)
	b.ID = arn[strings.LastIndexByte(arn, '/')+1:]
	r := c.home().ELB.Balancers.put(arn, c.now, b)
	r.change(c.now.Add(provisioning), func(b *loadBalancer) { b.State = "active" })
	return object{"LoadBalancers": []any{c.balancerOut(arn, b)}}, nil
}

func (c *call) balancerOut(arn string, b loadBalancer) object {
	zones := []any{}
	for _, id := range b.Subnets {
		if _, s, err := subnets.now(c, id); err == nil {
			zones = append(zones, object{"SubnetId": id, "ZoneName": s.Zone})
		}
	}
	return object{"LoadBalancerArn": arn, "LoadBalancerName": b.Name, "DNSName": b.Name + "-" + b.ID + ".elb." + c.region + ".amazonaws.com", "CreatedTime": b.Created, "Scheme": b.Scheme,
		"VpcId": b.VPC, "State": object{"Code": b.State}, "Type": b.Kind, "AvailabilityZones": zones, "SecurityGroups": anys(b.Groups), "IpAddressType": "ipv4"}
}

func describeLoadBalancers(c *call) (map[string]any, error) {
	arns, names := c.strings("LoadBalancerArns"), c.strings("Names")
	var found []held[loadBalancer]
	for arn, b := range c.home().ELB.Balancers.all(c.view) {
		if (len(arns) == 0 || slices.Contains(arns, arn)) && (len(names) == 0 || slices.Contains(names, b.Name)) {
			found = append(found, held[loadBalancer]{arn, b})
		}
	}
	if len(found) < len(arns) || len(found) < len(names) {
		return nil, failure(400, "LoadBalancerNotFound", "One or more load balancers not found")
	}
	return byMarker(c, "LoadBalancers", found, func(e held[loadBalancer]) any { return c.balancerOut(e.id, e.v) })
}

// deleteLoadBalancer succeeds where there is none, as AWS's does.
func deleteLoadBalancer(c *call) (map[string]any, error) {
	arn := c.str("LoadBalancerArn")
	if r, _, ok := c.home().ELB.Balancers.live(arn, c.now); ok {
		r.end(c.now)
	}
	for id, l := range c.home().ELB.Listeners.all(c.now) {
		if l.Balancer == arn {
			c.home().ELB.Listeners[id].end(c.now)
		}
	}
	return object{}, nil
}

func createListener(c *call) (map[string]any, error) {
	l := listener{Balancer: c.str("LoadBalancerArn"), Protocol: c.str("Protocol"), Created: c.now}
	l.Port, _ = c.int("Port")
	_, b, ok := c.home().ELB.Balancers.live(l.Balancer, c.now)
	if !ok {
		return nil, failure(400, "LoadBalancerNotFound", "Load balancer '%s' not found", l.Balancer)
	}
	if l.Port < 1 || l.Port > 65535 || l.Protocol == "" {
		return nil, validation("A listener protocol and a port from 1 to 65535 must be specified")
	}
	if l.Protocol == "HTTPS" && len(c.objects("Certificates")) == 0 {
		return nil, validation("A certificate must be specified for HTTPS listeners")
	}
	for _, o := range c.home().ELB.Listeners.all(c.now) {
		if o.Balancer == l.Balancer && o.Port == l.Port {
			return nil, failure(400, "DuplicateListener", "A listener already exists on this port for this load balancer '%s'", l.Balancer)
		}
	}
	if err := c.listenerActions(&l); err != nil {
		return nil, err
	}
	kind := map[string]string{"application": "app", "network": "net", "gateway": "gwy"}[b.Kind]
	arn := c.elbARN("listener/"+kind+"/"+b.Name, b.ID)
	c.home().ELB.Listeners.put(arn, c.now, l)
	return object{"Listeners": []any{listenerOut(arn, l)}}, nil
}

// listenerActions reads a listener's default actions.
func (c *call) listenerActions(l *listener) error {
	l.Actions, l.Targets = nil, nil
	for _, a := range c.objects("DefaultActions") {
		l.Actions = append(l.Actions, structure(a))
		targets := members([]any{a}, "TargetGroupArn")
		if f, ok := a["ForwardConfig"].(object); ok {
			targets = append(targets, members(f["TargetGroups"], "TargetGroupArn")...)
		}
		for _, arn := range targets {
			if _, _, err := c.liveTargetGroup(arn, c.now); err != nil {
				return err
			}
			l.Targets = append(l.Targets, arn)
		}
	}
	return nil
}

func modifyListener(c *call) (map[string]any, error) {
	arn := c.str("ListenerArn")
	r, l, ok := c.home().ELB.Listeners.live(arn, c.now)
	if !ok {
		return nil, failure(400, "ListenerNotFound", "One or more listeners not found")
	}
	if port, given := c.int("Port"); given {
		l.Port = port
	}
	if p := c.str("Protocol"); p != "" {
		if p == "HTTPS" && l.Protocol != p && len(c.objects("Certificates")) == 0 {
			return nil, validation("A certificate must be specified for HTTPS listeners")
		}
		l.Protocol = p
	}
	for other, o := range c.home().ELB.Listeners.all(c.now) {
		if other != arn && o.Balancer == l.Balancer && o.Port == l.Port {
			return nil, failure(400, "DuplicateListener", "A listener already exists on this port for this load balancer '%s'", l.Balancer)
		}
	}
	if len(c.objects("DefaultActions")) > 0 {
		if err := c.listenerActions(&l); err != nil {
			return nil, err
		}
	}
	r.change(c.now, func(had *listener) { *had = l })
	return object{"Listeners": []any{listenerOut(arn, l)}}, nil
}

func listenerOut(arn string, l listener) object {
	actions := []any{}
	for _, a := range l.Actions {
		actions = append(actions, object(a))
	}
	return object{"ListenerArn": arn, "LoadBalancerArn": l.Balancer, "Port": l.Port, "Protocol": l.Protocol, "DefaultActions": actions}
}

func describeListeners(c *call) (map[string]any, error) {
	arns, balancer := c.strings("ListenerArns"), c.str("LoadBalancerArn")
	if _, _, ok := c.home().ELB.Balancers.live(balancer, c.view); balancer != "" && !ok {
		return nil, failure(400, "LoadBalancerNotFound", "Load balancer '%s' not found", balancer)
	}
	var found []held[listener]
	for arn, l := range c.home().ELB.Listeners.all(c.view) {
		if (len(arns) == 0 || slices.Contains(arns, arn)) && (balancer == "" || l.Balancer == balancer) {
			found = append(found, held[listener]{arn, l})
		}
	}
	if len(found) < len(arns) {
		return nil, failure(400, "ListenerNotFound", "One or more listeners not found")
	}
	return byMarker(c, "Listeners", found, func(e held[listener]) any { return listenerOut(e.id, e.v) })
}

func deleteListener(c *call) (map[string]any, error) {
	r, _, ok := c.home().ELB.Listeners.live(c.str("ListenerArn"), c.now)
	if !ok {
		return nil, failure(400, "ListenerNotFound", "Listener '%s' not found", c.str("ListenerArn"))
	}
	r.end(c.now)
	return object{}, nil
}
