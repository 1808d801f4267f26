package sandbox

import (
	"slices"
	"strings"
	"time"
)

// remediationException keeps a resource from being remediated automatically.
type remediationException struct {
	Rule         string    `json:"rule"`
	ResourceType string    `json:"resourceType"`
	ResourceID   string    `json:"resourceId"`
	Message      string    `json:"message,omitempty"`
	Expires      time.Time `json:"expires,omitzero"`
}

const maxRemediations = 25

func putRemediations(c *call) (map[string]any, error) {
	list := c.objects("RemediationConfigurations")
	if len(list) < 1 || len(list) > maxRemediations {
		return nil, wrongParameter("RemediationConfigurations must have from 1 to %d members.", maxRemediations)
	}
	failed := []any{}
	for _, o := range list {
		if o["TargetType"] != "SSM_DOCUMENT" {
			return nil, invalid("Value '%s' at 'targetType' failed to satisfy constraint: Member must satisfy enum value set: [SSM_DOCUMENT]", textOf(o["TargetType"]))
		}
	}
	for _, o := range list {
		if problem := c.checkRemediation(o); problem != "" {
			failed = append(failed, object{"FailureMessage": problem, "FailedItems": []any{o}})
			continue
		}
		settings := copied(o).(object)
		rule, _ := settings["ConfigRuleName"].(string)
		if settings["Automatic"] == true {
			for member, usual := range map[string]int64{"MaximumAutomaticAttempts": 5, "RetryAttemptSeconds": 60} {
				if settings[member] == nil {
					settings[member] = usual
				}
			}
		}
		if r, was, ok := c.home().Config.Remediations.live(rule, c.now); ok {
			settings["Arn"] = was["Arn"]
			r.change(c.now, func(now *structure) { *now = settings })
			continue
		}
		settings["Arn"] = "arn:aws:config:" + c.region + ":" + c.who.Account + ":remediation-configuration/" + rule + "/" + uuid(c.id("", 32))
		c.home().Config.Remediations.put(rule, c.now, settings)
	}
	return object{"FailedBatches": failed}, nil
}

// checkRemediation says what is wrong with a remediation configuration, or "".
// Source: AWS Config API Reference, PutRemediationConfigurations and
// RemediationConfiguration.
func (c *call) checkRemediation(o object) string {
	rule, _ := o["ConfigRuleName"].(string)
	if _, _, err := c.configRule(rule, c.now); err != nil {
		return "The config rule " + rule + " does not exist."
	}
	parameters, _ := o["Parameters"].(object)
	resources := 0
	for _, name := range sorted(parameters) {
		p, _ := parameters[name].(object)
		_, resource := p["ResourceValue"]
		_, static := p["StaticValue"]
		if resource == static {
			return "The parameter " + name + " must have either a ResourceValue or a StaticValue."
		}
		if resource {
			resources++
		}
	}
	switch {
	case resources > 1:
		return "Only one parameter may have the resource's id."
	case o["Automatic"] == true && parameters["AutomationAssumeRole"] == nil:
		return "AutomationAssumeRole must be given for an automatic remediation."
	}
	return ""
}

func describeRemediations(c *call) (map[string]any, error) {
	names := c.strings("ConfigRuleNames")
	if len(names) > maxRemediations {
		return nil, wrongParameter("ConfigRuleNames must have at most %d members.", maxRemediations)
	}
	out := []any{}
	for name, o := range c.home().Config.Remediations.all(c.view) {
		if slices.Contains(names, name) {
			out = append(out, copied(o))
		}
	}
	return object{"RemediationConfigurations": out}, nil
}

func deleteRemediation(c *call) (map[string]any, error) {
	r, _, ok := c.home().Config.Remediations.live(c.str("ConfigRuleName"), c.now)
	if !ok {
		return nil, failure(400, "NoSuchRemediationConfigurationException", "No RemediationConfiguration for rule exists.")
	}
	r.end(c.now)
	return object{}, nil
}

func exceptionKey(rule string, o object) string {
	resourceType, _ := o["ResourceType"].(string)
	id, _ := o["ResourceId"].(string)
	return strings.Join([]string{rule, resourceType, id}, "\n")
}

func putExceptions(c *call) (map[string]any, error) {
	rule, keys := c.str("ConfigRuleName"), c.objects("ResourceKeys")
	if _, _, ok := c.home().Config.Remediations.live(rule, c.now); !ok {
		return nil, wrongParameter("The config rule %s has no remediation action.", rule)
	}
	if len(keys) < 1 || len(keys) > 100 {
		return nil, wrongParameter("ResourceKeys must have from 1 to 100 members.")
	}
	expires, given := c.in["ExpirationTime"].(time.Time)
	if given && !expires.After(c.now) {
		return nil, wrongParameter("The ExpirationTime must lie in the future.")
	}
	for _, k := range keys {
		e := remediationException{Rule: rule, Message: c.str("Message"), Expires: expires}
		e.ResourceType, _ = k["ResourceType"].(string)
		e.ResourceID, _ = k["ResourceId"].(string)
		if r, _, ok := c.home().Config.Exceptions.live(exceptionKey(rule, k), c.now); ok {
			r.change(c.now, func(now *remediationException) { *now = e })
			continue
		}
		c.home().Config.Exceptions.put(exceptionKey(rule, k), c.now, e)
	}
	return object{"FailedBatches": []any{}}, nil
}

func describeExceptions(c *call) (map[string]any, error) {
	rule, keys, list := c.str("ConfigRuleName"), c.objects("ResourceKeys"), []any{}
	for key, e := range c.home().Config.Exceptions.all(c.view) {
		if e.Rule != rule || !e.Expires.IsZero() && !e.Expires.After(c.view) {
			continue
		}
		if len(keys) > 0 && !slices.ContainsFunc(keys, func(k object) bool { return exceptionKey(rule, k) == key }) {
			continue
		}
		out := object{"ConfigRuleName": rule, "ResourceType": e.ResourceType, "ResourceId": e.ResourceID}
		if e.Message != "" {
			out["Message"] = e.Message
		}
		if !e.Expires.IsZero() {
			out["ExpirationTime"] = e.Expires
		}
		list = append(list, out)
	}
	page, next, err := c.configPage(list, 25, 100)
	if err != nil {
		return nil, err
	}
	return withToken(object{"RemediationExceptions": page}, next), nil
}

func deleteExceptions(c *call) (map[string]any, error) {
	rule, failed, done := c.str("ConfigRuleName"), []any{}, 0
	for _, k := range c.objects("ResourceKeys") {
		if r, _, ok := c.home().Config.Exceptions.live(exceptionKey(rule, k), c.now); ok {
			r.end(c.now)
			done++
			continue
		}
		failed = append(failed, k)
	}
	if done == 0 {
		return nil, failure(400, "NoSuchRemediationExceptionException", "There is no remediation exception for these resources.")
	}
	if len(failed) > 0 {
		failed = []any{object{"FailureMessage": "There is no such remediation exception.", "FailedItems": failed}}
	}
	return object{"FailedBatches": failed}, nil
}

var configRemediationHandlers = map[string]handler{
	"DeleteRemediationConfiguration":    {"config:DeleteRemediationConfiguration", deleteRemediation},
	"DeleteRemediationExceptions":       {"config:DeleteRemediationExceptions", deleteExceptions},
	"DescribeRemediationConfigurations": {"config:DescribeRemediationConfigurations", describeRemediations},
	"DescribeRemediationExceptions":     {"config:DescribeRemediationExceptions", describeExceptions},
	"PutRemediationConfigurations":      {"config:PutRemediationConfigurations", putRemediations},
	"PutRemediationExceptions":          {"config:PutRemediationExceptions", putExceptions},
}
