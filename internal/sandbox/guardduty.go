package sandbox

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// guarddutyState is what guardduty has in one account and Region.
type guarddutyState struct {
	Detectors table[detector]           `json:"detectors,omitempty"` // by id; there is one at most at a time
	Findings  map[string]*threatFinding `json:"findings,omitempty"`  // by id
}

func (s guarddutyState) check() error {
	for id, f := range s.Findings {
		if f == nil || f.Finding == nil {
			return fmt.Errorf("sandbox: the snapshot's GuardDuty finding %s is empty", id)
		}
	}
	return whole("detector", s.Detectors)
}

type detector struct {
	Created   time.Time         `json:"created"`
	Updated   time.Time         `json:"updated"`
	Enabled   bool              `json:"enabled"`
	Frequency string            `json:"frequency"`
	Features  map[string]string `json:"features"`
	Tags      tagSet            `json:"tags,omitempty"`
}

// features are those that a detector may be told of, as a new one has them; the
// sources of data that GuardDuty always reads come on top.
// Source: Amazon GuardDuty API Reference, DetectorFeatureConfigurationResult.
var (
	detectorFeatures = map[string]string{"S3_DATA_EVENTS": "ENABLED", "EKS_AUDIT_LOGS": "ENABLED", "EBS_MALWARE_PROTECTION": "ENABLED", "RDS_LOGIN_EVENTS": "ENABLED",
		"LAMBDA_NETWORK_LOGS": "ENABLED", "EKS_RUNTIME_MONITORING": "DISABLED", "RUNTIME_MONITORING": "DISABLED"}
	detectorSources = []string{"CLOUD_TRAIL", "DNS_LOGS", "FLOW_LOGS"}
	frequencies     = map[string]time.Duration{"FIFTEEN_MINUTES": 15 * time.Minute, "ONE_HOUR": time.Hour, "SIX_HOURS": 6 * time.Hour}
)

func guarddutyBad(format string, args ...any) error {
	return failure(400, "BadRequestException", "The request is rejected because "+format, args...)
}

func (c *call) detector(at time.Time) (*record[detector], detector, error) {
	if r, d, ok := c.home().GuardDuty.Detectors.live(c.str("DetectorId"), at); ok {
		return r, d, nil
	}
	return nil, detector{}, guarddutyBad("the input detectorId is not owned by the current account.")
}

func createDetector(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		return object{"DetectorId": id}, err
	}
	for range c.home().GuardDuty.Detectors.all(c.now) {
		return nil, guarddutyBad("a detector already exists for the current account.")
	}
	d := detector{Created: c.now, Enabled: c.bool("Enable"), Frequency: "SIX_HOURS", Features: maps.Clone(detectorFeatures), Tags: textMap(c.in["Tags"])}
	if err := c.configureDetector(&d); err != nil {
		return nil, err
	}
	id := c.id("", 32)
	c.home().GuardDuty.Detectors.put(id, c.now, d)
	c.remember(id)
	return object{"DetectorId": id}, nil
}

// configureDetector takes over what a call says of a detector.
func (c *call) configureDetector(d *detector) error {
	if f := c.str("FindingPublishingFrequency"); f != "" {
		if frequencies[f] == 0 {
			return guarddutyBad("the parameter findingPublishingFrequency has an invalid value.")
		}
		d.Frequency = f
	}
	if c.in["Features"] != nil && c.in["DataSources"] != nil {
		return guarddutyBad("dataSources and features can't be given together.")
	}
	d.Features = maps.Clone(d.Features)
	for _, f := range c.objects("Features") {
		name, _ := f["Name"].(string)
		status, _ := f["Status"].(string)
		if detectorFeatures[name] == "" || status != "ENABLED" && status != "DISABLED" {
			return guarddutyBad("the parameter features has an invalid value.")
		}
		d.Features[name] = status
	}
	for path, feature := range map[string]string{"S3Logs.Enable": "S3_DATA_EVENTS", "Kubernetes.AuditLogs.Enable": "EKS_AUDIT_LOGS", "MalwareProtection.ScanEc2InstanceWithFindings.EbsVolumes": "EBS_MALWARE_PROTECTION"} {
		for _, v := range lookup(c.object("DataSources"), path) {
			d.Features[feature] = "DISABLED"
			if v == true {
				d.Features[feature] = "ENABLED"
			}
		}
	}
	if on, ok := c.in["Enable"].(bool); ok {
		d.Enabled = on
	}
	d.Updated = c.now
	return nil
}

func updateDetector(c *call) (map[string]any, error) {
	r, d, err := c.detector(c.now)
	if err != nil {
		return nil, err
	}
	if err := c.configureDetector(&d); err != nil {
		return nil, err
	}
	r.change(c.now, func(now *detector) { *now = d })
	return object{}, nil
}

func deleteDetector(c *call) (map[string]any, error) {
	r, _, err := c.detector(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	maps.DeleteFunc(c.home().GuardDuty.Findings, func(_ string, f *threatFinding) bool { return f.Detector == c.str("DetectorId") })
	return object{}, nil
}

// getAdministratorAccount gives nothing: no account of the sandbox manages the
// detectors of others.
func getAdministratorAccount(c *call) (map[string]any, error) {
	_, _, err := c.detector(c.view)
	return object{}, err
}

func getDetector(c *call) (map[string]any, error) {
	_, d, err := c.detector(c.view)
	if err != nil {
		return nil, err
	}
	features := []any{}
	for _, name := range detectorSources {
		features = append(features, object{"Name": name, "Status": "ENABLED", "UpdatedAt": d.Created})
	}
	for _, name := range sorted(d.Features) {
		features = append(features, object{"Name": name, "Status": d.Features[name], "UpdatedAt": d.Updated})
	}
	status := "DISABLED"
	if d.Enabled {
		status = "ENABLED"
	}
	of := func(s string) object { return object{"Status": s} }
	return object{"CreatedAt": stamp(d.Created), "UpdatedAt": stamp(d.Updated), "Status": status, "FindingPublishingFrequency": d.Frequency, "Features": features, "Tags": textObject(d.Tags),
		"ServiceRole": "arn:aws:iam::" + c.who.Account + ":role/aws-service-role/guardduty.amazonaws.com/AWSServiceRoleForAmazonGuardDuty",
		"DataSources": object{"CloudTrail": of("ENABLED"), "DNSLogs": of("ENABLED"), "FlowLogs": of("ENABLED"), "S3Logs": of(d.Features["S3_DATA_EVENTS"]), "Kubernetes": object{"AuditLogs": of(d.Features["EKS_AUDIT_LOGS"])},
			"MalwareProtection": object{"ScanEc2InstanceWithFindings": object{"EbsVolumes": of(d.Features["EBS_MALWARE_PROTECTION"])}}}}, nil
}

func listDetectors(c *call) (map[string]any, error) {
	list := []any{}
	for id := range c.home().GuardDuty.Detectors.all(c.view) {
		list = append(list, id)
	}
	return c.threatPage("DetectorIds", list)
}

const guarddutyPage = 50

// threatPage cuts a list by MaxResults and NextToken.
func (c *call) threatPage(key string, list []any) (map[string]any, error) {
	limit := int64(guarddutyPage)
	if n, ok := c.int("MaxResults"); ok {
		if n < 1 || n > guarddutyPage {
			return nil, guarddutyBad("the parameter maxResults is out-of-bounds.")
		}
		limit = n
	}
	page, next, ok := slicePage(list, c.str("NextToken"), limit)
	if !ok {
		return nil, guarddutyBad("the parameter nextToken is invalid.")
	}
	return withToken(object{key: page}, next), nil
}

func listThreats(c *call) (map[string]any, error) {
	if _, _, err := c.detector(c.view); err != nil {
		return nil, err
	}
	pass, err := c.criteria()
	if err != nil {
		return nil, err
	}
	found, err := c.sortedThreats(func(f *threatFinding) bool { return pass(c.wired(f.Finding)) })
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, f := range found {
		list = append(list, f.Finding["Id"])
	}
	return c.threatPage("FindingIds", list)
}

// sortedThreats gives the detector's findings that pass, by SortCriteria, else
// by their ids.
func (c *call) sortedThreats(pass func(*threatFinding) bool) ([]*threatFinding, error) {
	var out []*threatFinding
	for _, id := range sorted(c.home().GuardDuty.Findings) {
		if f := c.home().GuardDuty.Findings[id]; f.Detector == c.str("DetectorId") && !f.Created.After(c.view) && pass(f) {
			out = append(out, f)
		}
	}
	by, _ := c.object("SortCriteria")["AttributeName"].(string)
	if by == "" {
		return out, nil
	}
	if !criterion(by) {
		return nil, guarddutyBad("the parameter sortCriteria has an invalid attributeName.")
	}
	down := c.object("SortCriteria")["OrderBy"] == "DESC"
	key := func(f *threatFinding) (float64, string) {
		v := lookupOne(c.wired(f.Finding), by)
		n, _ := asNumber(v)
		return n, textOf(v)
	}
	slices.SortStableFunc(out, func(a, b *threatFinding) int {
		x, s := key(a)
		y, t := key(b)
		n := cmp.Or(cmp.Compare(x, y), strings.Compare(s, t))
		if down {
			return -n
		}
		return n
	})
	return out, nil
}

// findingIDs reads the ids of a call, of which each must be there.
func (c *call) findingIDs(strict bool) ([]string, error) {
	list := c.strings("FindingIds")
	if len(list) > guarddutyPage {
		return nil, guarddutyBad("the parameter findingIds has more than %d members.", guarddutyPage)
	}
	var out []string
	for _, id := range list {
		if f := c.home().GuardDuty.Findings[id]; f != nil && f.Detector == c.str("DetectorId") {
			out = append(out, id)
		} else if strict {
			return nil, guarddutyBad("an invalid or out-of-range value is specified as an input parameter.")
		}
	}
	return out, nil
}

func getThreats(c *call) (map[string]any, error) {
	if _, _, err := c.detector(c.view); err != nil {
		return nil, err
	}
	ids, err := c.findingIDs(false)
	if err != nil {
		return nil, err
	}
	found, err := c.sortedThreats(func(f *threatFinding) bool { return slices.Contains(ids, lookupText(f.Finding, "Id")) })
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, f := range found {
		out = append(out, copied(f.Finding))
	}
	return object{"Findings": out}, nil
}

func archiveThreats(archived bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		if _, _, err := c.detector(c.now); err != nil {
			return nil, err
		}
		ids, err := c.findingIDs(true)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			f := c.home().GuardDuty.Findings[id]
			set(f.Finding, "Service.Archived", archived)
			c.toHub(f)
		}
		return object{}, nil
	}
}

// criterion says whether findings can be picked by an attribute.
func criterion(name string) bool {
	root, _, _ := strings.Cut(name, ".")
	return slices.Contains([]string{"accountId", "arn", "confidence", "createdAt", "description", "id", "region", "resource", "service", "severity", "title", "type", "updatedAt"}, root)
}

// criteria reads FindingCriteria. Each attribute's conditions must hold.
func (c *call) criteria() (func(object) bool, error) {
	criteria, _ := c.object("FindingCriteria")["Criterion"].(object)
	for name, v := range criteria {
		conditions, _ := v.(object)
		if !criterion(name) || len(conditions) == 0 {
			return nil, guarddutyBad("the parameter findingCriteria has an invalid criterion %s.", name)
		}
	}
	return func(f object) bool {
		for name, v := range criteria {
			values := lookup(f, name)
			for operator, want := range v.(object) {
				if !meetsCriterion(operator, values, want) {
					return false
				}
			}
		}
		return true
	}, nil
}

func meetsCriterion(operator string, values []any, want any) bool {
	among := func(match func(pattern, s string) bool) bool {
		return slices.ContainsFunc(values, func(v any) bool {
			return slices.ContainsFunc(texts(want), func(w string) bool { return match(w, textOf(v)) })
		})
	}
	same := func(a, b string) bool { return a == b }
	switch operator {
	case "Eq", "Equals":
		return among(same)
	case "Neq", "NotEquals":
		return !among(same)
	case "Matches":
		return among(wildcard)
	case "NotMatches":
		return !among(wildcard)
	}
	limit, _ := asNumber(want)
	return slices.ContainsFunc(values, func(v any) bool {
		n, ok := asNumber(v)
		if t, err := time.Parse(time.RFC3339, textOf(v)); !ok && err == nil { // times count in milliseconds
			n, ok = float64(t.UnixMilli()), true
		}
		switch operator {
		case "Gt", "GreaterThan":
			return ok && n > limit
		case "Gte", "GreaterThanOrEqual":
			return ok && n >= limit
		case "Lt", "LessThan":
			return ok && n < limit
		}
		return ok && n <= limit
	})
}

// detectorNamed finds the detector whose ARN is the call's ResourceArn.
func (c *call) detectorNamed(at time.Time) (*record[detector], detector, error) {
	id, ok := strings.CutPrefix(c.str("ResourceArn"), c.arnOf("guardduty", "detector/"))
	if r, d, there := c.home().GuardDuty.Detectors.live(id, at); ok && there {
		return r, d, nil
	}
	return nil, detector{}, failure(400, "BadRequestException", "The request is rejected because the specified resource ARN is invalid.")
}

func tagDetector(c *call) (map[string]any, error) {
	r, _, err := c.detectorNamed(c.now)
	if err != nil {
		return nil, err
	}
	tags := textMap(c.in["Tags"])
	r.change(c.now, func(d *detector) { d.Tags = d.Tags.with(tags) })
	return object{}, nil
}

func untagDetector(c *call) (map[string]any, error) {
	r, _, err := c.detectorNamed(c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(d *detector) { d.Tags = d.Tags.without(c.strings("TagKeys")) })
	return object{}, nil
}

func detectorTags(c *call) (map[string]any, error) {
	_, d, err := c.detectorNamed(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Tags": textObject(d.Tags)}, nil
}

var guarddutyHandlers = map[string]handler{
	"ListTagsForResource":     {"guardduty:ListTagsForResource", detectorTags},
	"TagResource":             {"guardduty:TagResource", tagDetector},
	"UntagResource":           {"guardduty:UntagResource", untagDetector},
	"ArchiveFindings":         {"guardduty:ArchiveFindings", archiveThreats(true)},
	"CreateDetector":          {"guardduty:CreateDetector", createDetector},
	"CreateSampleFindings":    {"guardduty:CreateSampleFindings", createSamples},
	"DeleteDetector":          {"guardduty:DeleteDetector", deleteDetector},
	"GetAdministratorAccount": {"guardduty:GetAdministratorAccount", getAdministratorAccount},
	"GetDetector":             {"guardduty:GetDetector", getDetector},
	"GetFindings":             {"guardduty:GetFindings", getThreats},
	"ListDetectors":           {"guardduty:ListDetectors", listDetectors},
	"ListFindings":            {"guardduty:ListFindings", listThreats},
	"UnarchiveFindings":       {"guardduty:UnarchiveFindings", archiveThreats(false)},
	"UpdateDetector":          {"guardduty:UpdateDetector", updateDetector},
}
