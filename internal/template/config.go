package template

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
)

// Owners of a rule.
const (
	OwnerAWS          = "AWS"           // a managed rule, named by its identifier
	OwnerCustomPolicy = "CUSTOM_POLICY" // Guard text
	OwnerCustomLambda = "CUSTOM_LAMBDA" // a function, named by its ARN
)

// ConfigRule is an AWS::Config::ConfigRule.
type ConfigRule struct {
	knowngood.Position
	LogicalID   string
	Name        string // ConfigRuleName, or the logical id where the template has none
	Description string
	Owner       string
	Identifier  string // SourceIdentifier: of a managed rule, or a function's ARN
	Policy      *CustomPolicy
	Scope       Scope
	Parameters  map[string]string // InputParameters, each as text
	// ParametersAt is where InputParameters is; without one, the rule's place.
	ParametersAt knowngood.Position
	// Unknown are those of Parameters whose value is known only once the template
	// is deployed, sorted.
	Unknown   []string
	Frequency string // MaximumExecutionFrequency; empty: the rule's own
	Proactive bool   // an evaluation mode is PROACTIVE
	// Deployed says that a value of the rule is known only once the template is
	// deployed; it then stands as a placeholder such as "${Role.Arn}".
	Deployed bool
	// Organization says that it is an AWS::Config::OrganizationConfigRule, which
	// is in force in all accounts but ExcludedAccounts.
	Organization     bool
	ExcludedAccounts []string
}

// CustomPolicy is the Guard text of a rule.
type CustomPolicy struct {
	Runtime string
	Text    string
}

// Scope says which resources a rule looks at; empty: those of its own types.
type Scope struct {
	ResourceTypes []string
	ResourceID    string
	TagKey        string
	TagValue      string
}

// RemediationConfiguration is an AWS::Config::RemediationConfiguration, its
// defaults filled in.
type RemediationConfiguration struct {
	knowngood.Position
	LogicalID      string
	ConfigRuleName string
	TargetType     string // SSM_DOCUMENT
	TargetID       string // the runbook's name or ARN
	TargetVersion  string // empty: the default version
	ResourceType   string // empty: every type that the rule reports
	Parameters     []RemediationParameter
	Automatic      bool
	// MaximumAutomaticAttempts is 1 to 25, 5 by default; then a remediation
	// exception is put on the resource.
	MaximumAutomaticAttempts int
	// RetryAttemptSeconds is 1 to 2,678,000, 60 by default.
	RetryAttemptSeconds int
	// ConcurrentExecutionRatePercentage and ErrorPercentage are 1 to 100; 0: not
	// given.
	ConcurrentExecutionRatePercentage int
	ErrorPercentage                   int
	Deployed                          bool
}

// RemediationParameter is one parameter of the runbook: the resource's id, or
// fixed values.
type RemediationParameter struct {
	Name       string
	ResourceID bool
	Values     []string // with ResourceID nil
}

// Bind gives the runbook's parameters for a resource: a single value as text,
// several as a list.
func (r *RemediationConfiguration) Bind(resourceID string) map[string]any {
	out := make(map[string]any, len(r.Parameters))
	for _, p := range r.Parameters {
		switch {
		case p.ResourceID:
			out[p.Name] = resourceID
		case len(p.Values) == 1:
			out[p.Name] = p.Values[0]
		default:
			list := make([]any, len(p.Values))
			for i, v := range p.Values {
				list[i] = v
			}
			out[p.Name] = list
		}
	}
	return out
}

// Limits of AWS Config.
const (
	maxRuleName              = 128
	maxRemediationParameters = 25
	maxStaticValues          = 25
	maxValueLength           = 256 // characters
	defaultAttempts          = 5
	defaultRetrySeconds      = 60
)

var (
	frequencies    = []string{"One_Hour", "Three_Hours", "Six_Hours", "Twelve_Hours", "TwentyFour_Hours"}
	frequencyNames = strings.Join(frequencies, ", ")
)

// object reads a map's members and notes those that are not known.
type object struct {
	l    *loader
	n    *node
	what string
}

func (l *loader) object(n *node, what string, known ...string) object {
	for _, f := range n.fields {
		if !slices.Contains(known, f.name) {
			l.note(f.pos, "%s has a property %q that is not known", what, f.name)
		}
	}
	return object{l, n, what}
}

func (o object) at(name string) knowngood.Position {
	for _, f := range o.n.fields {
		if f.name == name {
			return f.pos
		}
	}
	return o.n.pos
}

func (o object) str(name string) string {
	v := o.n.get(name)
	if v == nil {
		return ""
	}
	if v.kind != scalarNode {
		o.l.add(o.at(name), "text", "%s of %s is %s", name, o.what, v.what())
		return ""
	}
	return text(v.scalar)
}

// need is str for a property that has to be there.
func (o object) need(name string) string {
	s := o.str(name)
	if s == "" && (o.n.get(name) == nil || o.n.get(name).kind == scalarNode) {
		o.l.add(o.at(name), name, "%s has no %s", o.what, name)
	}
	return s
}

func (o object) flag(name string) bool {
	if v := o.n.get(name); v != nil && v.kind == scalarNode && v.deployed {
		return false // not known before it is deployed, so it asks for nothing
	}
	switch s := o.str(name); strings.ToLower(s) {
	case "true":
		return true
	case "", "false":
	default:
		o.l.add(o.at(name), "true or false", "%s of %s is %q", name, o.what, s)
	}
	return false
}

func (o object) number(name string, otherwise, low, high int) int {
	v := o.n.get(name)
	if v == nil || v.kind == scalarNode && v.deployed {
		return otherwise
	}
	i, err := strconv.Atoi(text(v.scalar))
	if v.kind != scalarNode || err != nil || i < low || i > high {
		o.l.add(o.at(name), "a whole number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high), "%s of %s is %s", name, o.what, v.compact())
		return otherwise
	}
	return i
}

func (o object) strings(name string) []string {
	v := o.n.get(name)
	if v == nil {
		return nil
	}
	list := []*node{v}
	if v.kind == listNode {
		list = v.list
	}
	var out []string
	for _, item := range list {
		if item.kind != scalarNode {
			o.l.add(item.pos, "text", "%s of %s holds %s", name, o.what, item.what())
			continue
		}
		out = append(out, text(item.scalar))
	}
	return out
}

// sub is a member that is a map; nil where it is not there.
func (o object) sub(name string, known ...string) *object {
	v := o.n.get(name)
	if v == nil {
		return nil
	}
	if v.kind != mapNode {
		o.l.add(o.at(name), "a map", "%s of %s is %s", name, o.what, v.what())
		return nil
	}
	s := o.l.object(v, name+" of "+o.what, known...)
	return &s
}

func (l *loader) rule(id string, n *node) {
	o := l.object(n, "the rule "+id, "ConfigRuleName", "Description", "Scope", "Source", "InputParameters", "MaximumExecutionFrequency", "EvaluationModes", "Compliance", "Tags")
	r := ConfigRule{Position: n.pos, LogicalID: id, Name: o.str("ConfigRuleName"), Description: o.str("Description"), Deployed: n.deployed}
	if r.Name == "" {
		r.Name = id
	}
	if len(r.Name) > maxRuleName {
		l.add(o.at("ConfigRuleName"), "at most 128 characters", "the name of the rule %s has %d", id, len(r.Name))
	}
	l.frequency(&r, o)
	l.source(&r, o)
	if s := o.sub("Scope", "ComplianceResourceTypes", "ComplianceResourceId", "TagKey", "TagValue"); s != nil {
		r.Scope = Scope{s.strings("ComplianceResourceTypes"), s.str("ComplianceResourceId"), s.str("TagKey"), s.str("TagValue")}
		if r.Scope.ResourceID != "" && len(r.Scope.ResourceTypes) != 1 {
			l.add(s.at("ComplianceResourceId"), "exactly one type in ComplianceResourceTypes", "the scope of %s names a resource and %d types", id, len(r.Scope.ResourceTypes))
		}
		if r.Scope.TagValue != "" && r.Scope.TagKey == "" {
			l.add(s.at("TagValue"), "a TagKey beside it", "the scope of %s has a TagValue alone", id)
		}
	}
	if modes := n.get("EvaluationModes"); modes != nil {
		for _, m := range modes.list {
			if mode := m.get("Mode"); mode != nil && text(mode.scalar) == "PROACTIVE" {
				r.Proactive = true
			}
		}
	}
	l.inputs(&r, o)
	l.t.Rules = append(l.t.Rules, r)
}

// frequency reads MaximumExecutionFrequency. One that only the deployed template
// has is as good as none.
func (l *loader) frequency(r *ConfigRule, o object) {
	const name = "MaximumExecutionFrequency"
	v := o.n.get(name)
	if v == nil || v.deployed {
		return
	}
	if r.Frequency = o.str(name); r.Frequency != "" && !slices.Contains(frequencies, r.Frequency) {
		l.add(o.at(name), frequencyNames, "%s is %q", name, r.Frequency)
	}
}

func (l *loader) source(r *ConfigRule, o object) {
	s := o.sub("Source", "Owner", "SourceIdentifier", "SourceDetails", "CustomPolicyDetails")
	if s == nil {
		if o.n.get("Source") == nil {
			l.add(o.n.pos, "Source with Owner and SourceIdentifier", "%s has no Source", o.what)
		}
		return
	}
	r.Owner = s.need("Owner")
	switch r.Owner {
	case OwnerAWS, OwnerCustomLambda:
		r.Identifier = s.need("SourceIdentifier")
	case OwnerCustomPolicy:
		p := s.sub("CustomPolicyDetails", "PolicyRuntime", "PolicyText", "EnableDebugLogDelivery")
		if p == nil {
			l.add(s.n.pos, "CustomPolicyDetails with PolicyRuntime and PolicyText", "%s has no policy", o.what)
			return
		}
		r.Policy = &CustomPolicy{p.need("PolicyRuntime"), p.need("PolicyText")}
	case "":
	default:
		l.add(s.at("Owner"), "AWS, CUSTOM_POLICY or CUSTOM_LAMBDA", "the Owner of %s is %q", o.what, r.Owner)
	}
}

// inputs reads InputParameters, given as a map or as JSON in a text: CloudFormation
// takes both.
func (l *loader) inputs(r *ConfigRule, o object) {
	const name = "InputParameters"
	r.ParametersAt = o.at(name)
	v := o.n.get(name)
	if v == nil {
		return
	}
	set := func(k, value string, deployed bool) {
		if r.Parameters == nil {
			r.Parameters = map[string]string{}
		}
		r.Parameters[k] = value
		if deployed {
			r.Unknown = append(r.Unknown, k)
		}
	}
	defer func() { slices.Sort(r.Unknown) }()
	if v.kind == scalarNode {
		s := text(v.scalar)
		if strings.TrimSpace(s) == "" {
			return
		}
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		var m map[string]any
		if err := dec.Decode(&m); err != nil {
			l.add(o.at(name), "a map, or a JSON object in a text", "%s of %s can't be read: %v", name, o.what, err)
			return
		}
		for k, item := range m {
			switch item := item.(type) {
			case nil:
			case json.Number:
				set(k, item.String(), false)
			case string, bool:
				set(k, text(item), v.deployed && strings.Contains(text(item), "${"))
			default:
				raw, _ := json.Marshal(item) // of a value that was JSON before
				set(k, string(raw), v.deployed && strings.Contains(string(raw), "${"))
			}
		}
		return
	}
	if v.kind != mapNode {
		l.add(o.at(name), "a map", "%s of %s is %s", name, o.what, v.what())
		return
	}
	for _, f := range v.fields {
		if f.value.kind != scalarNode || f.value.scalar != nil {
			set(f.name, joined(f.value), f.value.deployed)
		}
	}
}

// joined is a value as the text of a parameter: a list's elements have commas
// between.
func joined(n *node) string {
	if n.kind != listNode || !allScalars(n.list) {
		return n.compact()
	}
	parts := make([]string, len(n.list))
	for i, item := range n.list {
		parts[i] = text(item.scalar)
	}
	return strings.Join(parts, ",")
}

func allScalars(list []*node) bool {
	return !slices.ContainsFunc(list, func(n *node) bool { return n.kind != scalarNode })
}

func (l *loader) remediation(id string, n *node) {
	o := l.object(n, "the remediation "+id, "ConfigRuleName", "TargetType", "TargetId", "TargetVersion", "ResourceType", "Parameters",
		"Automatic", "MaximumAutomaticAttempts", "RetryAttemptSeconds", "ExecutionControls")
	r := RemediationConfiguration{
		Position: n.pos, LogicalID: id, Deployed: n.deployed,
		ConfigRuleName: o.need("ConfigRuleName"), TargetType: o.need("TargetType"), TargetID: o.need("TargetId"),
		TargetVersion: o.str("TargetVersion"), ResourceType: o.str("ResourceType"), Automatic: o.flag("Automatic"),
		MaximumAutomaticAttempts: o.number("MaximumAutomaticAttempts", defaultAttempts, 1, 25),
		RetryAttemptSeconds:      o.number("RetryAttemptSeconds", defaultRetrySeconds, 1, 2_678_000),
	}
	if r.TargetType != "" && r.TargetType != "SSM_DOCUMENT" {
		l.add(o.at("TargetType"), "SSM_DOCUMENT", "TargetType of %s is %q", o.what, r.TargetType)
	}
	if c := o.sub("ExecutionControls", "SsmControls"); c != nil {
		if s := c.sub("SsmControls", "ConcurrentExecutionRatePercentage", "ErrorPercentage"); s != nil {
			r.ConcurrentExecutionRatePercentage = s.number("ConcurrentExecutionRatePercentage", 0, 1, 100)
			r.ErrorPercentage = s.number("ErrorPercentage", 0, 1, 100)
		}
	}
	if p := n.get("Parameters"); p != nil {
		if p.kind != mapNode {
			l.add(o.at("Parameters"), "a map", "Parameters of %s is %s", o.what, p.what())
		}
		if len(p.fields) > maxRemediationParameters {
			l.add(o.at("Parameters"), "at most 25", "%s has %d parameters", o.what, len(p.fields))
		}
		for _, f := range p.fields {
			r.Parameters = append(r.Parameters, l.remediationParameter(o.what, f))
		}
	}
	hasRole := slices.ContainsFunc(r.Parameters, func(p RemediationParameter) bool {
		return p.Name == "AutomationAssumeRole" && len(p.Values) == 1 && p.Values[0] != ""
	})
	if r.Automatic && !hasRole {
		l.add(o.at("Automatic"), "the parameter AutomationAssumeRole with one StaticValue", "%s is automatic and has no role to run with", o.what)
	}
	l.t.Remediations = append(l.t.Remediations, r)
}

func (l *loader) remediationParameter(what string, f field) RemediationParameter {
	p := RemediationParameter{Name: f.name}
	name := "the parameter " + f.name + " of " + what
	if f.value.kind != mapNode || len(f.value.fields) != 1 {
		l.add(f.pos, "either ResourceValue or StaticValue", "%s has not exactly one value", name)
		return p
	}
	o := l.object(f.value, name, "ResourceValue", "StaticValue")
	switch f.value.fields[0].name {
	case "ResourceValue":
		v := o.sub("ResourceValue", "Value")
		if v == nil {
			return p
		}
		if s := v.need("Value"); s != "" && s != "RESOURCE_ID" {
			l.add(v.at("Value"), "RESOURCE_ID", "the ResourceValue of %s is %q", name, s)
		}
		p.ResourceID = true
	case "StaticValue":
		v := o.sub("StaticValue", "Values", "Value")
		if v == nil {
			return p
		}
		// The documented property is Values; some public templates have Value.
		p.Values = append(v.strings("Values"), v.strings("Value")...)
		if len(p.Values) == 0 || len(p.Values) > maxStaticValues {
			l.add(f.pos, "1 to 25", "the StaticValue of %s has %d values", name, len(p.Values))
		}
		for _, value := range p.Values {
			if count := utf8.RuneCountInString(value); count < 1 || count > maxValueLength {
				l.add(f.pos, "1 to 256 characters", "a value of %s has %d", name, count)
			}
		}
	default:
		l.add(f.pos, "either ResourceValue or StaticValue", "%s has a %s", name, f.value.fields[0].name)
	}
	return p
}

// crossCheck finds names that are there twice, and remediations whose rule the
// template doesn't have.
func (l *loader) crossCheck() {
	rules := map[string]ConfigRule{}
	type named struct {
		name         string
		organization bool // AWS Config gives the rules of an organization names of their own
	}
	first := map[named]ConfigRule{}
	for _, r := range l.t.Rules {
		if first, ok := first[named{r.Name, r.Organization}]; ok {
			l.add(r.Position, "names that differ", "the rule name %q is there twice, first in line %d", r.Name, first.Line)
		}
		first[named{r.Name, r.Organization}] = r
		rules[r.Name] = r
	}
	seen := map[string]int{}
	for _, r := range l.t.Remediations {
		if line, ok := seen[r.ConfigRuleName]; ok && r.ConfigRuleName != "" {
			l.add(r.Position, "one remediation for each rule", "the rule %q has a second remediation, the first in line %d", r.ConfigRuleName, line)
		}
		seen[r.ConfigRuleName] = r.Line
		if _, ok := rules[r.ConfigRuleName]; !ok && r.ConfigRuleName != "" {
			l.note(r.Position, "the rule %q of this remediation is not in the template", r.ConfigRuleName)
		}
	}
	packs := map[string]int{}
	for _, p := range slices.Concat(l.t.Packs, l.t.OrganizationPacks) {
		if line, ok := packs[p.Name]; ok && p.Name != "" {
			l.add(p.Position, "names that differ", "the conformance pack %q is there twice, first in line %d", p.Name, line)
		}
		packs[p.Name] = p.Line
	}
}
