package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// complianceReport is what somebody reported of a resource with
// PutComplianceItems.
type complianceReport struct {
	Resource string           `json:"resource"`
	Type     string           `json:"type"`
	Items    []complianceItem `json:"items"`
}

// complianceItem is one thing that a resource complies with or not.
type complianceItem struct {
	Resource string            `json:"resource"`
	Type     string            `json:"type"` // Patch, Custom:…
	ID       string            `json:"id"`
	Title    string            `json:"title,omitempty"`
	Status   string            `json:"status"`
	Severity string            `json:"severity"`
	At       time.Time         `json:"at"`
	Run      string            `json:"run,omitempty"` // id of the execution
	Kind     string            `json:"kind,omitempty"`
	Details  map[string]string `json:"details,omitempty"`
}

// tellCompliance sends the event of a resource's compliance with one type.
// Source: Amazon EventBridge's "AWS Systems Manager events".
func (c *call) tellCompliance(id, kind string, compliant bool) {
	status := "non_compliant"
	if compliant {
		status = "compliant"
	}
	c.emit(c.now, "aws.ssm", "Configuration Compliance State Change", []string{c.ssmARN("managed-instance/" + id)},
		object{"last-runtime": stampSeconds(c.now), "compliance-status": status, "resource-type": "managed-instance", "resource-id": id, "compliance-type": kind})
}

// complianceItems are all of the account: patches and what was reported.
func (c *call) complianceItems(at time.Time) []complianceItem {
	var out []complianceItem
	for id, s := range c.home().SSM.PatchStates.all(at) {
		if _, ok := c.node(id, at); !ok {
			continue
		}
		for _, p := range s.Patches {
			i := complianceItem{Resource: id, Type: "Patch", ID: p.ID, Title: p.Title, Status: "COMPLIANT", Severity: p.Level, At: s.End, Run: s.Command, Kind: "Command", Details: map[string]string{
				"PatchState": camel(p.State), "PatchBaselineId": s.Baseline, "PatchGroup": s.Group, "PatchSeverity": p.Severity, "Classification": p.Class,
				"DocumentName": patchDocument}}
			if len(p.CVEs) > 0 {
				i.Details["CVEIds"] = strings.Join(p.CVEs, ",")
			}
			if !p.At.IsZero() {
				i.Details["InstalledTime"] = stampSeconds(p.At)
			}
			if p.Missed {
				i.Status = "NON_COMPLIANT"
			}
			out = append(out, i)
		}
	}
	for _, r := range c.home().SSM.Compliance.all(at) {
		out = append(out, r.Items...)
	}
	return out
}

// camel writes INSTALLED_OTHER as InstalledOther.
func camel(s string) string {
	var out strings.Builder
	for w := range strings.SplitSeq(strings.ToLower(s), "_") {
		out.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return out.String()
}

func (i complianceItem) out() object {
	details := object{}
	for k, v := range i.Details {
		details[k] = v
	}
	return object{"ComplianceType": i.Type, "ResourceType": "ManagedInstance", "ResourceId": i.Resource, "Id": i.ID, "Title": i.Title, "Status": i.Status, "Severity": i.Severity,
		"ExecutionSummary": withTexts(object{"ExecutionTime": i.At}, map[string]string{"ExecutionId": i.Run, "ExecutionType": i.Kind}), "Details": details}
}

func (i complianceItem) value(key string) (string, bool) {
	switch key {
	case "ComplianceType":
		return i.Type, true
	case "Status":
		return i.Status, true
	case "Severity":
		return i.Severity, true
	case "Id":
		return i.ID, true
	case "Title":
		return i.Title, true
	case "ResourceId":
		return i.Resource, true
	case "ExecutionId":
		return i.Run, true
	case "ExecutionType":
		return i.Kind, true
	}
	v, ok := i.Details[strings.TrimPrefix(key, i.Type+":")]
	return v, ok || strings.Contains(key, ":")
}

// passes applies the filters of compliance, which have an operator.
func (i complianceItem) passes(list []object) (bool, error) {
	for _, f := range list {
		key, _ := f["Key"].(string)
		have, ok := i.value(key)
		if !ok {
			return false, failure(400, "InvalidFilter", "The filter name is not valid: %s.", key)
		}
		kind, _ := f["Type"].(string)
		values, fits := texts(f["Values"]), false
		switch cmp.Or(kind, "EQUAL") {
		case "EQUAL":
			fits = slices.Contains(values, have)
		case "NOT_EQUAL":
			fits = !slices.Contains(values, have)
		case "BEGIN_WITH":
			fits = slices.ContainsFunc(values, func(v string) bool { return strings.HasPrefix(have, v) })
		default:
			return false, failure(501, "NotImplemented", "The sandbox does not compare compliance by %s.", kind)
		}
		if !fits {
			return false, nil
		}
	}
	return true, nil
}

func listComplianceItems(c *call) (map[string]any, error) {
	for _, t := range c.strings("ResourceTypes") {
		if t != "ManagedInstance" {
			return nil, failure(400, "InvalidResourceType", "The resource type is not valid. For example, if you are attempting to tag an EC2 instance, the instance must be a registered managed node.")
		}
	}
	ids, out := c.strings("ResourceIds"), []any{}
	for _, i := range c.complianceItems(c.view) {
		if len(ids) > 0 && !slices.Contains(ids, i.Resource) {
			continue
		}
		fits, err := i.passes(c.objects("Filters"))
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, i.out())
		}
	}
	return c.ssmPage("ComplianceItems", 50, out)
}

// complianceSeverities are those that items can have, the worst first.
var complianceSeverities = []string{"CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNSPECIFIED"}

// listResourceComplianceSummaries counts the items of each resource and type: a
// resource is compliant if none of its items is not, and as severe as the worst of
// those that are not.
func listResourceComplianceSummaries(c *call) (map[string]any, error) {
	type standing struct {
		item   complianceItem // the last
		counts map[bool]map[string]int64
	}
	all := map[string]standing{}
	for _, i := range c.complianceItems(c.view) {
		fits, err := i.passes(c.objects("Filters"))
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		key := i.Resource + "/" + i.Type
		s, ok := all[key]
		if !ok {
			s.counts = map[bool]map[string]int64{false: {}, true: {}}
		}
		s.counts[i.Status == "COMPLIANT"][cmp.Or(i.Severity, "UNSPECIFIED")]++
		s.item = i
		all[key] = s
	}
	out := []any{}
	for _, key := range sorted(all) {
		s := all[key]
		summaries := object{}
		status, worst := "COMPLIANT", "UNSPECIFIED"
		for good, name := range map[bool]string{true: "Compliant", false: "NonCompliant"} {
			total, severities := int64(0), object{}
			for _, severity := range complianceSeverities {
				total += s.counts[good][severity]
				severities[camel(severity)+"Count"] = s.counts[good][severity]
			}
			summaries[name+"Summary"] = object{name + "Count": total, "SeveritySummary": severities}
		}
		for _, severity := range slices.Backward(complianceSeverities) {
			if s.counts[false][severity] > 0 {
				status, worst = "NON_COMPLIANT", severity
			}
		}
		out = append(out, object{"ComplianceType": s.item.Type, "ResourceType": "ManagedInstance", "ResourceId": s.item.Resource, "Status": status, "OverallSeverity": worst,
			"ExecutionSummary": withTexts(object{"ExecutionTime": s.item.At}, map[string]string{"ExecutionId": s.item.Run, "ExecutionType": s.item.Kind}),
			"CompliantSummary": summaries["CompliantSummary"], "NonCompliantSummary": summaries["NonCompliantSummary"]})
	}
	return c.ssmPage("ResourceComplianceSummaryItems", 50, out)
}

// listComplianceSummaries counts resources by type: one is compliant if none of
// its items is not, and counts under its worst severity.
func listComplianceSummaries(c *call) (map[string]any, error) {
	severities := complianceSeverities
	type standing struct {
		bad   bool
		worst int
	}
	types := map[string]map[string]standing{}
	for _, i := range c.complianceItems(c.view) {
		fits, err := i.passes(c.objects("Filters"))
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		types[i.Type] = made(types[i.Type])
		s, ok := types[i.Type][i.Resource]
		bad, worst := i.Status != "COMPLIANT", slices.Index(severities, i.Severity)
		switch {
		case !ok, bad && !s.bad:
			s = standing{bad, worst}
		case bad == s.bad:
			s.worst = min(s.worst, worst)
		}
		types[i.Type][i.Resource] = s
	}
	out := []any{}
	for _, t := range sorted(types) {
		counts := map[bool]object{false: {}, true: {}}
		total := map[bool]int64{}
		for _, bad := range []bool{false, true} {
			for _, s := range severities {
				counts[bad][camel(s)+"Count"] = int64(0)
			}
		}
		for _, s := range types[t] {
			total[s.bad]++
			k := camel(severities[max(s.worst, 0)]) + "Count"
			n, _ := counts[s.bad][k].(int64)
			counts[s.bad][k] = n + 1
		}
		out = append(out, object{"ComplianceType": t, "CompliantSummary": object{"CompliantCount": total[false], "SeveritySummary": counts[false]},
			"NonCompliantSummary": object{"NonCompliantCount": total[true], "SeveritySummary": counts[true]}})
	}
	return c.ssmPage("ComplianceSummaryItems", 50, out)
}

func putComplianceItems(c *call) (map[string]any, error) {
	id, kind := c.str("ResourceId"), c.str("ComplianceType")
	if c.str("ResourceType") != "ManagedInstance" {
		return nil, failure(400, "InvalidResourceType", "The resource type is not valid.")
	}
	if _, ok := c.node(id, c.now); !ok {
		return nil, failure(400, "InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
	}
	if !strings.HasPrefix(kind, "Custom:") && kind != "Association" {
		return nil, invalid("Compliance of type %s can't be put. Use Custom: and a name.", kind)
	}
	r, run := complianceReport{Resource: id, Type: kind}, c.object("ExecutionSummary")
	if _, before, ok := c.home().SSM.Compliance.live(id+"/"+kind, c.now); ok && c.str("UploadType") == "PARTIAL" {
		r.Items = slices.Clone(before.Items)
	}
	compliant := true
	for _, o := range c.objects("Items") {
		i := complianceItem{Resource: id, Type: kind, Details: textMap(o["Details"])}
		i.ID, _ = o["Id"].(string)
		i.Title, _ = o["Title"].(string)
		i.Status, _ = o["Status"].(string)
		i.Severity, _ = o["Severity"].(string)
		i.At, _ = run["ExecutionTime"].(time.Time)
		i.Run, _ = run["ExecutionId"].(string)
		i.Kind, _ = run["ExecutionType"].(string)
		r.Items = slices.DeleteFunc(r.Items, func(b complianceItem) bool { return b.ID == i.ID })
		r.Items = append(r.Items, i)
	}
	for _, i := range r.Items {
		compliant = compliant && i.Status == "COMPLIANT"
	}
	c.home().SSM.Compliance.put(id+"/"+kind, c.now, r)
	c.tellCompliance(id, kind, compliant)
	return object{}, nil
}

var complianceHandlers = map[string]handler{
	"ListComplianceItems":             {"ssm:ListComplianceItems", checked(listComplianceItems)},
	"ListResourceComplianceSummaries": {"ssm:ListResourceComplianceSummaries", checked(listResourceComplianceSummaries)},
	"ListComplianceSummaries":         {"ssm:ListComplianceSummaries", checked(listComplianceSummaries)},
	"PutComplianceItems":              {"ssm:PutComplianceItems", checked(putComplianceItems)},
}
