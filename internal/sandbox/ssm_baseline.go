package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// baseline is a patch baseline of the account, or one of AWS's.
type baseline struct {
	ID            string         `json:"id"`
	Name          string         `json:"name"`
	OS            string         `json:"os"`
	Text          string         `json:"description,omitempty"`
	GlobalFilters []object       `json:"globalFilters,omitempty"`
	Rules         []baselineRule `json:"rules,omitempty"`
	Approved      []string       `json:"approved,omitempty"`
	ApprovedLevel string         `json:"approvedLevel"`
	Rejected      []string       `json:"rejected,omitempty"`
	RejectAction  string         `json:"rejectAction"`
	Updates       string         `json:"availableSecurityUpdates,omitempty"` // COMPLIANT, NON_COMPLIANT
	Sources       []object       `json:"sources,omitempty"`
	Created       time.Time      `json:"created"`
	Modified      time.Time      `json:"modified"`
	Tags          tagSet         `json:"tags,omitempty"`
	amazon        bool
}

type baselineRule struct {
	Filters     []object `json:"filters"`
	Level       string   `json:"level,omitempty"`
	AfterDays   *int64   `json:"approveAfterDays,omitempty"`
	Until       string   `json:"approveUntilDate,omitempty"`
	NonSecurity bool     `json:"enableNonSecurity,omitempty"`
}

// amazonAccount owns AWS's predefined baselines.
const amazonAccount = "075727635805"

// amazonBaselines are AWS's predefined baselines, the default of each operating
// system. Source: Systems Manager User Guide, "Viewing AWS predefined patch
// baselines".
func (c *call) amazonBaselines() []baseline {
	day := func(n int64) *int64 { return &n }
	rule := func(days *int64, filters ...string) baselineRule {
		r := baselineRule{Level: "UNSPECIFIED", AfterDays: days}
		for _, f := range filters {
			key, values, _ := strings.Cut(f, "=")
			r.Filters = append(r.Filters, object{"Key": key, "Values": anys(strings.Split(values, ","))})
		}
		return r
	}
	security := []baselineRule{rule(day(7), "PRODUCT=*", "CLASSIFICATION=Security", "SEVERITY=Critical,Important"), rule(day(7), "PRODUCT=*", "CLASSIFICATION=Bugfix")}
	out := []baseline{
		{Name: "AWS-AmazonLinux2DefaultPatchBaseline", OS: "AMAZON_LINUX_2", Rules: security},
		{Name: "AWS-AmazonLinux2023DefaultPatchBaseline", OS: "AMAZON_LINUX_2023", Rules: security},
		{Name: "AWS-RedHatDefaultPatchBaseline", OS: "REDHAT_ENTERPRISE_LINUX", Rules: security},
		{Name: "AWS-UbuntuDefaultPatchBaseline", OS: "UBUNTU", Rules: []baselineRule{rule(day(0), "PRODUCT=*", "PRIORITY=Required,Important,Standard,Optional,Extra", "SECURITY=true")}},
		{Name: "AWS-DefaultPatchBaseline", OS: "WINDOWS", Rules: []baselineRule{rule(day(7), "PRODUCT=*", "CLASSIFICATION=CriticalUpdates,SecurityUpdates", "MSRC_SEVERITY=Critical,Important")}},
	}
	for i := range out {
		b := &out[i]
		b.ID = "arn:aws:ssm:" + c.region + ":" + amazonAccount + ":patchbaseline/pb-0" + derived(0, b.Name, 0)[:16]
		b.Text, b.amazon = "Default patch baseline of AWS for "+b.OS+".", true
		b.ApprovedLevel, b.RejectAction = "UNSPECIFIED", "ALLOW_AS_DEPENDENCY"
		b.Created = time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
		b.Modified = b.Created
	}
	return out
}

// baselines are AWS's and the account's.
func (c *call) baselines(at time.Time) []baseline {
	out := c.amazonBaselines()
	for _, b := range c.home().SSM.Baselines.all(at) {
		out = append(out, b)
	}
	return out
}

func (c *call) baselineByID(id string, at time.Time) (baseline, error) {
	short := id
	if !strings.HasPrefix(id, "pb-") && !strings.Contains(id, ":patchbaseline/pb-") {
		return baseline{}, failure(400, "InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
	}
	short = short[strings.LastIndexByte(short, '/')+1:]
	for _, b := range c.baselines(at) {
		if b.ID == id || strings.HasSuffix(b.ID, short) {
			return b, nil
		}
	}
	return baseline{}, failure(400, "DoesNotExistException", "Maintenance window, baseline or group %s does not exist.", id)
}

// defaultBaseline is the baseline of nodes without a patch group.
func (c *call) defaultBaseline(os string, at time.Time) (baseline, bool) {
	if id := c.home().SSM.Defaults[os]; id != "" {
		if b, err := c.baselineByID(id, at); err == nil {
			return b, true
		}
	}
	for _, b := range c.amazonBaselines() {
		if b.OS == os {
			return b, true
		}
	}
	return baseline{}, false
}

// baselineFor is the baseline of a node's patch group, or the default.
func (c *call) baselineFor(n node, at time.Time) (baseline, bool) {
	if id := c.home().SSM.PatchGroups[n.patchGroup()][n.os]; id != "" {
		if b, err := c.baselineByID(id, at); err == nil {
			return b, true
		}
	}
	return c.defaultBaseline(n.os, at)
}

// patchGroup is the tag that Patch Manager goes by.
func (n node) patchGroup() string {
	return cmp.Or(n.instance.Tags["Patch Group"], n.instance.Tags["PatchGroup"])
}

// approves says whether a baseline approves a patch at a time, and at which
// compliance level.
func (b baseline) approves(p patch, at time.Time) (level string, ok bool) {
	if p.matches(b.Rejected) {
		return "", false
	}
	if p.matches(b.Approved) {
		return b.ApprovedLevel, true
	}
	if !p.meets(b.GlobalFilters) {
		return "", false
	}
	for _, r := range b.Rules {
		if !p.meets(r.Filters) {
			continue
		}
		from := p.released
		if r.AfterDays != nil {
			from = from.AddDate(0, 0, int(*r.AfterDays))
		}
		if until, err := time.Parse(time.DateOnly, r.Until); r.Until != "" && (err != nil || p.released.After(until.AddDate(0, 0, 1))) {
			continue
		}
		if !from.After(at) {
			return cmp.Or(r.Level, "UNSPECIFIED"), true
		}
	}
	return "", false
}

// meets says whether a patch has one value of each filter.
func (p patch) meets(filters []object) bool {
	for _, f := range filters {
		key, _ := f["Key"].(string)
		have, _ := p.value(key)
		if !slices.ContainsFunc(texts(f["Values"]), func(v string) bool { return v == "*" || slices.Contains(have, v) }) {
			return false
		}
	}
	return true
}

// configureBaseline takes over what a call says of a baseline.
func (c *call) configureBaseline(b *baseline) error {
	for member, into := range map[string]*string{"Name": &b.Name, "Description": &b.Text, "ApprovedPatchesComplianceLevel": &b.ApprovedLevel, "RejectedPatchesAction": &b.RejectAction,
		"AvailableSecurityUpdatesComplianceStatus": &b.Updates} {
		if s, ok := c.in[member].(string); ok {
			*into = s
		}
	}
	for member, into := range map[string]*[]string{"ApprovedPatches": &b.Approved, "RejectedPatches": &b.Rejected} {
		if _, ok := c.in[member]; ok {
			*into = c.strings(member)
		}
	}
	if _, ok := c.in["GlobalFilters"]; ok {
		b.GlobalFilters = objects(c.object("GlobalFilters")["PatchFilters"])
	}
	if _, ok := c.in["Sources"]; ok {
		b.Sources = c.objects("Sources")
	}
	if _, ok := c.in["ApprovalRules"]; !ok {
		return c.checkFilters(b.GlobalFilters)
	}
	b.Rules = nil
	for i, o := range objects(c.object("ApprovalRules")["PatchRules"]) {
		group, _ := o["PatchFilterGroup"].(object)
		r := baselineRule{Filters: objects(group["PatchFilters"])}
		r.Level, _ = o["ComplianceLevel"].(string)
		r.Until, _ = o["ApproveUntilDate"].(string)
		r.NonSecurity, _ = o["EnableNonSecurity"].(bool)
		if n, ok := o["ApproveAfterDays"].(int64); ok {
			r.AfterDays = &n
		}
		if _, err := time.Parse(time.DateOnly, r.Until); r.Until != "" && err != nil {
			return invalid("ApproveUntilDate of rule %d is no date such as 2026-12-31.", i+1)
		}
		if (r.AfterDays == nil) == (r.Until == "") {
			return invalid("Rule %d must have exactly one of ApproveAfterDays and ApproveUntilDate.", i+1)
		}
		if err := c.checkFilters(r.Filters); err != nil {
			return err
		}
		b.Rules = append(b.Rules, r)
	}
	return c.checkFilters(b.GlobalFilters)
}

// checkFilters refuses filters that the sandbox's patches have no value for,
// which would approve nothing without a word.
func (c *call) checkFilters(filters []object) error {
	for _, f := range filters {
		key, _ := f["Key"].(string)
		if _, ok := (patch{}).value(key); !ok {
			return failure(501, "NotImplemented", "The sandbox's patches can't be filtered by %s.", key)
		}
	}
	return nil
}

func createPatchBaseline(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		return object{"BaselineId": id}, err
	}
	b := baseline{ID: c.id("pb-0", 16), OS: cmp.Or(c.str("OperatingSystem"), "WINDOWS"), ApprovedLevel: "UNSPECIFIED", RejectAction: "ALLOW_AS_DEPENDENCY", Created: c.now, Modified: c.now}
	if b.OS == "WINDOWS" {
		b.RejectAction = "BLOCK"
	}
	if err := c.configureBaseline(&b); err != nil {
		return nil, err
	}
	var err error
	if b.Tags, err = ssmTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	c.home().SSM.Baselines.put(b.ID, c.now, b)
	c.remember(b.ID)
	return object{"BaselineId": b.ID}, nil
}

func updatePatchBaseline(c *call) (map[string]any, error) {
	r, b, err := c.ownBaseline()
	if err != nil {
		return nil, err
	}
	if c.bool("Replace") {
		b = baseline{ID: b.ID, Name: b.Name, OS: b.OS, ApprovedLevel: "UNSPECIFIED", RejectAction: b.RejectAction, Created: b.Created, Tags: b.Tags}
	}
	if err := c.configureBaseline(&b); err != nil {
		return nil, err
	}
	b.Modified = c.now
	r.change(c.now, func(now *baseline) { *now = b })
	return c.baselineOut(b), nil
}

func (c *call) ownBaseline() (*record[baseline], baseline, error) {
	b, err := c.baselineByID(c.str("BaselineId"), c.now)
	if err != nil {
		return nil, b, err
	}
	if b.amazon {
		return nil, b, failure(400, "InvalidResourceId", "The baseline %s is AWS's.", b.ID)
	}
	return c.home().SSM.Baselines[b.ID], b, nil
}

func deletePatchBaseline(c *call) (map[string]any, error) {
	r, b, err := c.ownBaseline()
	if codeOf(err) == "DoesNotExistException" { // what isn't there is as good as deleted
		return object{"BaselineId": c.str("BaselineId")}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(c.groupsOf(b)) > 0 || c.home().SSM.Defaults[b.OS] == b.ID {
		return nil, failure(400, "ResourceInUseException", "The baseline %s is the default one, or that of a patch group.", b.ID)
	}
	r.end(c.now)
	return object{"BaselineId": b.ID}, nil
}

func (c *call) groupsOf(b baseline) []string {
	var out []string
	for _, g := range sorted(c.home().SSM.PatchGroups) {
		if c.home().SSM.PatchGroups[g][b.OS] == b.ID {
			out = append(out, g)
		}
	}
	return out
}

func (c *call) baselineOut(b baseline) object {
	rules := []any{}
	for _, r := range b.Rules {
		o := object{"PatchFilterGroup": object{"PatchFilters": anys(r.Filters)}, "ComplianceLevel": cmp.Or(r.Level, "UNSPECIFIED"), "EnableNonSecurity": r.NonSecurity}
		if r.AfterDays != nil {
			o["ApproveAfterDays"] = *r.AfterDays
		}
		rules = append(rules, withTexts(o, map[string]string{"ApproveUntilDate": r.Until}))
	}
	out := object{"BaselineId": b.ID, "Name": b.Name, "OperatingSystem": b.OS, "Description": b.Text, "GlobalFilters": object{"PatchFilters": anys(b.GlobalFilters)},
		"ApprovalRules": object{"PatchRules": rules}, "ApprovedPatches": anys(b.Approved), "ApprovedPatchesComplianceLevel": b.ApprovedLevel, "ApprovedPatchesEnableNonSecurity": false,
		"RejectedPatches": anys(b.Rejected), "RejectedPatchesAction": b.RejectAction, "PatchGroups": anys(c.groupsOf(b)), "CreatedDate": b.Created, "ModifiedDate": b.Modified, "Sources": anys(b.Sources)}
	return withTexts(out, map[string]string{"AvailableSecurityUpdatesComplianceStatus": b.Updates})
}

func getPatchBaseline(c *call) (map[string]any, error) {
	b, err := c.baselineByID(c.str("BaselineId"), c.view)
	if err != nil {
		return nil, err
	}
	return c.baselineOut(b), nil
}

func (c *call) baselineIdentity(b baseline) object {
	d, _ := c.defaultBaseline(b.OS, c.view)
	return object{"BaselineId": b.ID, "BaselineName": b.Name, "OperatingSystem": b.OS, "BaselineDescription": b.Text, "DefaultBaseline": d.ID == b.ID}
}

func describePatchBaselines(c *call) (map[string]any, error) {
	out := []any{}
	for _, b := range c.baselines(c.view) {
		owner := "Self"
		if b.amazon {
			owner = "AWS"
		}
		fits := true
		for _, f := range ssmFilters(c.in["Filters"]) {
			have, prefix := map[string]string{"OWNER": owner, "OPERATING_SYSTEM": b.OS, "NAME_PREFIX": b.Name}[f.key], f.key == "NAME_PREFIX"
			if have == "" && !prefix {
				return nil, invalid("The filter key %s is not valid.", f.key)
			}
			fits = fits && slices.ContainsFunc(f.values, func(v string) bool { return v == have || prefix && strings.HasPrefix(have, v) })
		}
		if fits {
			out = append(out, c.baselineIdentity(b))
		}
	}
	return c.ssmPage("BaselineIdentities", 100, out)
}

func registerDefaultPatchBaseline(c *call) (map[string]any, error) {
	b, err := c.baselineByID(c.str("BaselineId"), c.now)
	if err != nil {
		return nil, err
	}
	state := &c.home().SSM
	state.Defaults = made(state.Defaults)
	state.Defaults[b.OS] = b.ID
	return object{"BaselineId": b.ID}, nil
}

func getDefaultPatchBaseline(c *call) (map[string]any, error) {
	os := cmp.Or(c.str("OperatingSystem"), "WINDOWS")
	b, ok := c.defaultBaseline(os, c.view)
	if !ok {
		return nil, failure(501, "NotImplemented", "The sandbox has no patches for %s.", os)
	}
	return object{"BaselineId": b.ID, "OperatingSystem": os}, nil
}

func registerPatchGroup(c *call) (map[string]any, error) {
	b, err := c.baselineByID(c.str("BaselineId"), c.now)
	if err != nil {
		return nil, err
	}
	state, group := &c.home().SSM, c.str("PatchGroup")
	if id := state.PatchGroups[group][b.OS]; id != "" {
		return nil, failure(400, "AlreadyExistsException", "Patch Group baseline is already registered with baseline %s for operating system %s.", id, b.OS)
	}
	state.PatchGroups = made(state.PatchGroups)
	state.PatchGroups[group] = made(state.PatchGroups[group])
	state.PatchGroups[group][b.OS] = b.ID
	return object{"BaselineId": b.ID, "PatchGroup": group}, nil
}

func deregisterPatchGroup(c *call) (map[string]any, error) {
	b, err := c.baselineByID(c.str("BaselineId"), c.now)
	if err != nil && codeOf(err) != "DoesNotExistException" {
		return nil, err
	}
	group := c.str("PatchGroup")
	if c.home().SSM.PatchGroups[group][b.OS] == b.ID {
		delete(c.home().SSM.PatchGroups[group], b.OS)
	}
	return object{"BaselineId": c.str("BaselineId"), "PatchGroup": group}, nil
}

func patchBaselineForGroup(c *call) (map[string]any, error) {
	os, group := cmp.Or(c.str("OperatingSystem"), "WINDOWS"), c.str("PatchGroup")
	b, ok := c.baselineFor(node{os: os, instance: instance{Tags: tagSet{"Patch Group": group}}}, c.view)
	if !ok {
		return nil, failure(501, "NotImplemented", "The sandbox has no patches for %s.", os)
	}
	return object{"BaselineId": b.ID, "PatchGroup": group, "OperatingSystem": os}, nil
}

func describePatchGroups(c *call) (map[string]any, error) {
	out := []any{}
	for _, g := range sorted(c.home().SSM.PatchGroups) {
		for _, os := range sorted(c.home().SSM.PatchGroups[g]) {
			b, err := c.baselineByID(c.home().SSM.PatchGroups[g][os], c.view)
			if err != nil {
				continue // as of the view it wasn't there yet
			}
			fits := true
			for _, f := range ssmFilters(c.in["Filters"]) {
				switch f.key {
				case "NAME_PREFIX":
					fits = fits && slices.ContainsFunc(f.values, func(v string) bool { return strings.HasPrefix(g, v) })
				case "OPERATING_SYSTEM":
					fits = fits && slices.Contains(f.values, os)
				default:
					return nil, invalid("The filter key %s is not valid.", f.key)
				}
			}
			if fits {
				out = append(out, object{"PatchGroup": g, "BaselineIdentity": c.baselineIdentity(b)})
			}
		}
	}
	return c.ssmPage("Mappings", 100, out)
}

var baselineHandlers = map[string]handler{
	"CreatePatchBaseline":                  {"ssm:CreatePatchBaseline", checked(createPatchBaseline)},
	"DeletePatchBaseline":                  {"ssm:DeletePatchBaseline", checked(deletePatchBaseline)},
	"DeregisterPatchBaselineForPatchGroup": {"ssm:DeregisterPatchBaselineForPatchGroup", checked(deregisterPatchGroup)},
	"DescribeAvailablePatches":             {"ssm:DescribeAvailablePatches", checked(describeAvailablePatches)},
	"DescribePatchBaselines":               {"ssm:DescribePatchBaselines", checked(describePatchBaselines)},
	"DescribePatchGroups":                  {"ssm:DescribePatchGroups", checked(describePatchGroups)},
	"GetDefaultPatchBaseline":              {"ssm:GetDefaultPatchBaseline", checked(getDefaultPatchBaseline)},
	"GetPatchBaseline":                     {"ssm:GetPatchBaseline", checked(getPatchBaseline)},
	"GetPatchBaselineForPatchGroup":        {"ssm:GetPatchBaselineForPatchGroup", checked(patchBaselineForGroup)},
	"RegisterDefaultPatchBaseline":         {"ssm:RegisterDefaultPatchBaseline", checked(registerDefaultPatchBaseline)},
	"RegisterPatchBaselineForPatchGroup":   {"ssm:RegisterPatchBaselineForPatchGroup", checked(registerPatchGroup)},
	"UpdatePatchBaseline":                  {"ssm:UpdatePatchBaseline", checked(updatePatchBaseline)},
}
