package sandbox

import (
	"slices"
	"strings"
	"time"
)

// complianceResult is what a rule last said of a resource.
type complianceResult struct {
	Rule         string    `json:"rule"`
	ResourceType string    `json:"resourceType"`
	ResourceID   string    `json:"resourceId"`
	Compliance   string    `json:"compliance"`
	Annotation   string    `json:"annotation,omitempty"`
	Ordered      time.Time `json:"ordered"`
	Recorded     time.Time `json:"recorded"`
	Invoked      time.Time `json:"invoked"`
}

func resultKey(rule, resourceType, id string) string {
	return strings.Join([]string{rule, resourceType, id}, "\n")
}

const maxAnnotation = 256

// judged takes over a verdict. What is not applicable has no result.
func (c *call) judged(rule string, v Verdict, ordered time.Time) {
	if len(v.Annotation) > maxAnnotation {
		v.Annotation = v.Annotation[:maxAnnotation]
	}
	key := resultKey(rule, v.ResourceType, v.ResourceID)
	r, old, had := c.home().Config.Results.live(key, c.now)
	if had && old.Ordered.After(ordered) {
		return // it came late
	}
	switch v.Compliance {
	case "NOT_APPLICABLE":
		if had {
			r.end(c.now)
		}
	case "COMPLIANT", "NON_COMPLIANT":
		now := complianceResult{rule, v.ResourceType, v.ResourceID, v.Compliance, v.Annotation, ordered, c.now, c.now}
		if had {
			r.change(c.now, func(r *complianceResult) { *r = now })
		} else {
			c.home().Config.Results.put(key, c.now, now)
		}
		if !had || old.Compliance != now.Compliance {
			c.complianceEvent(old, had, now)
		}
	}
}

func (r complianceResult) out() object {
	out := object{"EvaluationResultIdentifier": object{"EvaluationResultQualifier": object{"ConfigRuleName": r.Rule, "ResourceType": r.ResourceType, "ResourceId": r.ResourceID,
		"EvaluationMode": "DETECTIVE"}, "OrderingTimestamp": r.Ordered}, "ComplianceType": r.Compliance, "ResultRecordedTime": r.Recorded, "ConfigRuleInvokedTime": r.Invoked}
	if r.Annotation != "" {
		out["Annotation"] = r.Annotation
	}
	return out
}

// Source: AWS Config Developer Guide, "Monitoring AWS Config with Amazon
// EventBridge".
func (c *call) complianceEvent(old complianceResult, had bool, now complianceResult) {
	_, r, err := c.configRule(now.Rule, c.now)
	if err != nil {
		return
	}
	detail := object{"resourceId": now.ResourceID, "resourceType": now.ResourceType, "awsRegion": c.region, "awsAccountId": c.who.Account, "configRuleName": now.Rule,
		"configRuleARN": c.configRuleARN(r), "recordVersion": "1.0", "messageType": "ComplianceChangeNotification", "notificationCreationTime": stamp(c.now), "newEvaluationResult": lowered(now.out())}
	if had {
		detail["oldEvaluationResult"] = lowered(old.out())
	}
	c.emit(c.now, "aws.config", "Config Rules Compliance Change", nil, detail)
}

const maxEvaluations = 100

func putEvaluations(c *call) (map[string]any, error) {
	list := c.objects("Evaluations")
	if len(list) > maxEvaluations {
		return nil, wrongParameter("The maximum number of evaluations in a call is %d.", maxEvaluations)
	}
	for _, e := range list {
		compliance, _ := e["ComplianceType"].(string)
		annotation, _ := e["Annotation"].(string)
		switch {
		case !slices.Contains([]string{"COMPLIANT", "NON_COMPLIANT", "NOT_APPLICABLE"}, compliance):
			return nil, wrongParameter("The ComplianceType %s is not one that an evaluation may have: COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE.", compliance)
		case len(annotation) > maxAnnotation:
			return nil, wrongParameter("An Annotation must have at most %d characters.", maxAnnotation)
		}
	}
	token := c.str("ResultToken")
	if c.bool("TestMode") {
		return object{"FailedEvaluations": []any{}}, nil
	}
	rule, ok := c.home().Config.Tokens[token]
	if !ok {
		return nil, failure(400, "InvalidResultTokenException", "The resultToken provided is invalid")
	}
	for _, e := range list {
		var v Verdict
		v.ResourceType, _ = e["ComplianceResourceType"].(string)
		v.ResourceID, _ = e["ComplianceResourceId"].(string)
		v.Compliance, _ = e["ComplianceType"].(string)
		v.Annotation, _ = e["Annotation"].(string)
		ordered, _ := e["OrderingTimestamp"].(time.Time)
		c.judged(rule, v, ordered)
	}
	return object{"FailedEvaluations": []any{}}, nil
}

// results gives what was said, of those that pass.
func (c *call) results(pass func(complianceResult) bool) []complianceResult {
	var out []complianceResult
	for _, r := range c.home().Config.Results.all(c.view) {
		if pass(r) {
			out = append(out, r)
		}
	}
	return out
}

func (c *call) complianceWanted(compliance string) bool {
	types := c.strings("ComplianceTypes")
	return len(types) == 0 || slices.Contains(types, compliance)
}

func (c *call) checkComplianceTypes() error {
	if slices.Contains(c.strings("ComplianceTypes"), "NOT_APPLICABLE") && c.operation.Name != "GetComplianceDetailsByConfigRule" {
		return wrongParameter("The ComplianceType NOT_APPLICABLE is not supported.")
	}
	return nil
}

func detailsByRule(c *call) (map[string]any, error) {
	name := c.str("ConfigRuleName")
	if _, _, err := c.configRule(name, c.view); err != nil {
		return nil, err
	}
	return c.details(func(r complianceResult) bool { return r.Rule == name })
}

func detailsByResource(c *call) (map[string]any, error) {
	resourceType, id := c.str("ResourceType"), c.str("ResourceId")
	if resourceType == "" || id == "" {
		return nil, wrongParameter("ResourceType and ResourceId must be provided.")
	}
	return c.details(func(r complianceResult) bool { return r.ResourceType == resourceType && r.ResourceID == id })
}

func (c *call) details(pass func(complianceResult) bool) (map[string]any, error) {
	list := []any{}
	for _, r := range c.results(pass) {
		if c.complianceWanted(r.Compliance) {
			list = append(list, r.out())
		}
	}
	page, next, err := c.configPage(list, 10, 100)
	if err != nil {
		return nil, err
	}
	return withToken(object{"EvaluationResults": page}, next), nil
}

// summary is one word for several results, with how many made it so.
func summary(list []complianceResult, most int64) object {
	bad := int64(0)
	for _, r := range list {
		if r.Compliance == "NON_COMPLIANT" {
			bad++
		}
	}
	switch {
	case len(list) == 0:
		return object{"ComplianceType": "INSUFFICIENT_DATA"}
	case bad == 0:
		return object{"ComplianceType": "COMPLIANT"}
	}
	return object{"ComplianceType": "NON_COMPLIANT", "ComplianceContributorCount": object{"CappedCount": min(bad, most), "CapExceeded": bad > most}}
}

const contributorCap = 25

func byRule(c *call, name string, _ configRule) object {
	s := summary(c.results(func(r complianceResult) bool { return r.Rule == name }), contributorCap)
	if !c.complianceWanted(s["ComplianceType"].(string)) {
		return nil
	}
	return object{"ConfigRuleName": name, "Compliance": s}
}

func complianceByRule(c *call) (map[string]any, error) {
	if err := c.checkComplianceTypes(); err != nil {
		return nil, err
	}
	return eachConfigRule("ComplianceByConfigRules", byRule)(c)
}

func complianceByResource(c *call) (map[string]any, error) {
	resourceType, id := c.str("ResourceType"), c.str("ResourceId")
	if id != "" && resourceType == "" {
		return nil, wrongParameter("ResourceType must be provided with ResourceId.")
	}
	if err := c.checkComplianceTypes(); err != nil {
		return nil, err
	}
	of := map[string][]complianceResult{}
	for _, r := range c.results(func(r complianceResult) bool {
		return (resourceType == "" || r.ResourceType == resourceType) && (id == "" || r.ResourceID == id)
	}) {
		key := r.ResourceType + "\n" + r.ResourceID
		of[key] = append(of[key], r)
	}
	list := []any{}
	for _, key := range sorted(of) {
		if s := summary(of[key], contributorCap); c.complianceWanted(s["ComplianceType"].(string)) {
			list = append(list, object{"ResourceType": of[key][0].ResourceType, "ResourceId": of[key][0].ResourceID, "Compliance": s})
		}
	}
	page, next, err := c.configPage(list, 10, 100)
	if err != nil {
		return nil, err
	}
	return withToken(object{"ComplianceByResources": page}, next), nil
}

var configComplianceHandlers = map[string]handler{
	"DescribeComplianceByConfigRule":   {"config:DescribeComplianceByConfigRule", evaluated(ruleNames, complianceByRule)},
	"DescribeComplianceByResource":     {"config:DescribeComplianceByResource", evaluated(ruleNames, complianceByResource)},
	"GetComplianceDetailsByConfigRule": {"config:GetComplianceDetailsByConfigRule", evaluated(ruleNames, detailsByRule)},
	"GetComplianceDetailsByResource":   {"config:GetComplianceDetailsByResource", evaluated(ruleNames, detailsByResource)},
	"PutEvaluations":                   {"config:PutEvaluations", putEvaluations},
}
