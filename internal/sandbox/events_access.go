package sandbox

import (
	"cmp"
	"strings"
)

// What EventBridge's operations are on: a rule's ARN has its bus, unless that is
// the default one. Source: Service Authorization Reference, "Actions, resources,
// and condition keys for Amazon EventBridge".
var eventsAccess = serviceAccess{
	arn: "arn:{Partition}:events:{Region}:{Account}:",
	on: map[string]string{
		"CreateEventBus":   "event-bus/{Name}",
		"DeleteEventBus":   "event-bus/{Name}",
		"DescribeEventBus": "event-bus/{Name}",
	},
	needs: map[string]func(*call, []need) []need{
		"DeleteRule":        onRule("Name"),
		"DescribeRule":      onRule("Name"),
		"DisableRule":       onRule("Name"),
		"EnableRule":        onRule("Name"),
		"ListTargetsByRule": onRule("Rule"),
		"PutEvents":         onBuses,
		"PutRule":           onRule("Name"),
		"PutTargets":        onRule("Rule"),
		"RemoveTargets":     onRule("Rule"),
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		if list := members(c.in["Targets"], "Arn"); len(list) > 0 {
			set("events:TargetArn", list...)
		}
		if list := members(c.in["Entries"], "Source"); len(list) > 0 {
			set("events:source", list...)
			set("events:detail-type", members(c.in["Entries"], "DetailType")...)
		}
	},
}

// onRule is for an operation on the rule that a member names; roles that it hands
// to EventBridge it must be allowed to pass.
func onRule(member string) func(*call, []need) []need {
	return func(c *call, own []need) []need {
		bus := strings.TrimPrefix(cmp.Or(c.str("EventBusName"), defaultBus), c.busARN(""))
		own[0].resource = c.ruleARN(eventRule{Name: c.str(member), Bus: bus})
		for _, role := range append(members(c.in["Targets"], "RoleArn"), c.str("RoleArn")) {
			own = append(own, c.passRole(role, "events.amazonaws.com")...)
		}
		return own
	}
}

func onBuses(c *call, own []need) []need {
	seen, out := map[string]bool{}, []need{}
	for _, e := range c.objects("Entries") {
		name, _ := e["EventBusName"].(string)
		bus := c.busARN(strings.TrimPrefix(cmp.Or(name, defaultBus), c.busARN("")))
		if strings.HasPrefix(name, "arn:") {
			bus = name
		}
		if !seen[bus] {
			seen[bus] = true
			out = append(out, need{action: own[0].action, resource: bus})
		}
	}
	if len(out) == 0 {
		return own
	}
	return out
}
