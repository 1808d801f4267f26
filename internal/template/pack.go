package template

import (
	"fmt"
	"slices"

	"github.com/knowngood/knowngood"
)

// What AWS Config takes as a conformance pack's template, by the reference of its
// operation PutConformancePack: so many bytes in the call, and so many in S3.
const (
	MaxInlinePackBytes = 51_200
	MaxPackBytes       = 300 << 10
)

// ConformancePack is an AWS::Config::ConformancePack, or an organization's one.
type ConformancePack struct {
	knowngood.Position
	LogicalID        string
	Name             string
	TemplateBody     string // empty: the template is elsewhere
	TemplateS3URI    string
	TemplateDocument string // name of an SSM document that holds the template
	Inputs           map[string]string
	// Unknown are those of Inputs whose value is known only once the template is
	// deployed, sorted.
	Unknown          []string
	ExcludedAccounts []string // of an organization's pack

	bodyAt knowngood.Position
	inside *origin // where the lines of TemplateBody are in the file
}

// Load reads the template of the pack's TemplateBody with its Inputs. Of in, the
// pseudo parameters and AllowMissing count. What is wrong is told with its place in
// the file where the text is a literal block of YAML; else with that of
// TemplateBody and the place in it.
func (p *ConformancePack) Load(in Inputs) (*Template, error) {
	file, from := p.File, origin{}
	if p.inside != nil {
		from = *p.inside
	} else {
		file = fmt.Sprintf("%s, TemplateBody", p.bodyAt)
	}
	return load(file, []byte(p.TemplateBody), from, p.With(in))
}

// With gives the inputs for the pack's template where it is elsewhere.
func (p *ConformancePack) With(in Inputs) Inputs {
	in.Parameters, in.Unknown = p.Inputs, p.Unknown
	return in
}

func (l *loader) pack(id string, n *node) {
	o := l.object(n, "the conformance pack "+id, "ConformancePackName", "TemplateBody", "TemplateS3Uri", "TemplateSSMDocumentDetails",
		"ConformancePackInputParameters", "DeliveryS3Bucket", "DeliveryS3KeyPrefix", "Tags")
	l.t.Packs = append(l.t.Packs, l.readPack(id, o, "ConformancePackName"))
}

func (l *loader) organizationPack(id string, n *node) {
	o := l.object(n, "the conformance pack "+id, "OrganizationConformancePackName", "TemplateBody", "TemplateS3Uri",
		"ConformancePackInputParameters", "DeliveryS3Bucket", "DeliveryS3KeyPrefix", "ExcludedAccounts")
	p := l.readPack(id, o, "OrganizationConformancePackName")
	p.ExcludedAccounts = o.strings("ExcludedAccounts")
	l.t.OrganizationPacks = append(l.t.OrganizationPacks, p)
}

func (l *loader) readPack(id string, o object, nameKey string) ConformancePack {
	p := ConformancePack{Position: o.n.pos, LogicalID: id, Name: o.need(nameKey), TemplateBody: o.str("TemplateBody"), TemplateS3URI: o.str("TemplateS3Uri")}
	if body := o.n.get("TemplateBody"); body != nil {
		p.bodyAt, p.inside = o.at("TemplateBody"), body.inside
	}
	if d := o.sub("TemplateSSMDocumentDetails", "DocumentName", "DocumentVersion"); d != nil {
		p.TemplateDocument = d.need("DocumentName")
	}
	if p.TemplateBody == "" && p.TemplateS3URI == "" && p.TemplateDocument == "" {
		l.add(o.n.pos, "TemplateBody, TemplateS3Uri or TemplateSSMDocumentDetails", "%s has no template", o.what)
	}
	in := o.n.get("ConformancePackInputParameters")
	if in == nil {
		return p
	}
	if in.kind != listNode {
		l.add(o.at("ConformancePackInputParameters"), "a list of ParameterName and ParameterValue", "the input parameters of %s are %s", o.what, in.what())
		return p
	}
	p.Inputs = map[string]string{}
	for _, item := range in.list {
		name, value := item.get("ParameterName"), item.get("ParameterValue")
		if name == nil || value == nil {
			l.add(item.pos, "ParameterName and ParameterValue", "an input parameter of %s is incomplete", o.what)
			continue
		}
		key := text(name.scalar)
		if _, ok := p.Inputs[key]; ok {
			l.add(item.pos, "one value for each parameter", "the input parameter %q of %s is there twice", key, o.what)
		}
		p.Inputs[key] = joined(value)
		if value.deployed {
			p.Unknown = append(p.Unknown, key)
		}
	}
	slices.Sort(p.Unknown)
	return p
}

// organizationRule reads an AWS::Config::OrganizationConfigRule as the rule that
// it makes in each account.
func (l *loader) organizationRule(id string, n *node) {
	o := l.object(n, "the organization's rule "+id, "OrganizationConfigRuleName", "OrganizationManagedRuleMetadata", "OrganizationCustomRuleMetadata",
		"OrganizationCustomPolicyRuleMetadata", "ExcludedAccounts")
	r := ConfigRule{Position: n.pos, LogicalID: id, Organization: true, Name: o.need("OrganizationConfigRuleName"), ExcludedAccounts: o.strings("ExcludedAccounts"), Deployed: n.deployed}
	common := []string{"Description", "InputParameters", "MaximumExecutionFrequency", "ResourceTypesScope", "ResourceIdScope", "TagKeyScope", "TagValueScope"}
	var kinds []*object
	if m := o.sub("OrganizationManagedRuleMetadata", append(common, "RuleIdentifier")...); m != nil {
		r.Owner, r.Identifier = OwnerAWS, m.need("RuleIdentifier")
		kinds = append(kinds, m)
	}
	if m := o.sub("OrganizationCustomRuleMetadata", append(common, "LambdaFunctionArn", "OrganizationConfigRuleTriggerTypes")...); m != nil {
		r.Owner, r.Identifier = OwnerCustomLambda, m.need("LambdaFunctionArn")
		kinds = append(kinds, m)
	}
	if m := o.sub("OrganizationCustomPolicyRuleMetadata", append(common, "Runtime", "PolicyText", "OrganizationConfigRuleTriggerTypes", "DebugLogDeliveryAccounts")...); m != nil {
		r.Owner, r.Policy = OwnerCustomPolicy, &CustomPolicy{m.need("Runtime"), m.need("PolicyText")}
		kinds = append(kinds, m)
	}
	if len(kinds) != 1 {
		l.add(n.pos, "exactly one of OrganizationManagedRuleMetadata, OrganizationCustomRuleMetadata, OrganizationCustomPolicyRuleMetadata", "%s has %d kinds of metadata", o.what, len(kinds))
		return
	}
	m := *kinds[0]
	r.Description = m.str("Description")
	l.frequency(&r, m)
	r.Scope = Scope{m.strings("ResourceTypesScope"), m.str("ResourceIdScope"), m.str("TagKeyScope"), m.str("TagValueScope")}
	l.inputs(&r, m)
	l.t.Rules = append(l.t.Rules, r)
}
