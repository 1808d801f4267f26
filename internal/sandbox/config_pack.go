package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// conformancePack is a set of rules that belong together.
type conformancePack struct {
	ID        string    `json:"id"`
	Settings  structure `json:"settings"`
	Requested time.Time `json:"requested"`
	Rules     []string  `json:"rules,omitempty"`
	State     string    `json:"state"` // CREATE_IN_PROGRESS, CREATE_COMPLETE
}

const (
	// packCreation is how long Config takes to deploy a conformance pack.
	packCreation  = 30 * time.Second
	maxPacks      = 50
	packPrincipal = "config-conforms.amazonaws.com"
)

// packTemplate is what the sandbox reads of a conformance pack's template: rules,
// parameters, and the conditions that decide on rules' parameters.
type packTemplate struct {
	Parameters map[string]struct {
		Default any `yaml:"Default"`
	} `yaml:"Parameters"`
	Conditions map[string]any `yaml:"Conditions"`
	Resources  map[string]struct {
		Type       string         `yaml:"Type"`
		Properties map[string]any `yaml:"Properties"`
	} `yaml:"Resources"`
}

// shortRef is YAML's short form of a reference.
var shortRef = patternOf(`!Ref\s+["']?([\w:]+)["']?`)

// packScope resolves a template's references.
type packScope struct {
	template   packTemplate
	parameters map[string]string
}

// noValue stands for AWS::NoValue.
type noValue struct{}

// resolve puts values in place of references.
func (p *packScope) resolve(v any, deep int) (any, error) {
	if deep > 50 {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") || name == "Condition" {
					return p.function(name, arg, deep)
				}
			}
		}
		out := object{}
		for k, e := range v {
			r, err := p.resolve(e, deep+1)
			if err != nil {
				return nil, err
			}
			if _, none := r.(noValue); !none {
				out[k] = r
			}
		}
		return out, nil
	case []any:
		out := []any{}
		for _, e := range v {
			r, err := p.resolve(e, deep+1)
			if err != nil {
				return nil, err
			}
			if _, none := r.(noValue); !none {
				out = append(out, r)
			}
		}
		return out, nil
	}
	return v, nil
}

func (p *packScope) function(name string, arg any, deep int) (any, error) {
	if name == "Ref" {
		ref, _ := arg.(string)
		if ref == "AWS::NoValue" {
			return noValue{}, nil
		}
		if v, ok := p.parameters[ref]; ok {
			return v, nil
		}
		return nil, fmt.Errorf("unresolved resource dependencies [%s]", ref)
	}
	args, _ := arg.([]any)
	switch {
	case name == "Fn::If" && len(args) == 3:
		condition, _ := args[0].(string)
		c, ok := p.template.Conditions[condition]
		if !ok {
			return nil, fmt.Errorf("the condition %s is not there", condition)
		}
		yes, err := p.resolve(c, deep+1)
		if err != nil {
			return nil, err
		}
		if yes == true {
			return p.resolve(args[1], deep+1)
		}
		return p.resolve(args[2], deep+1)
	case name == "Fn::Not" && len(args) == 1:
		v, err := p.resolve(args[0], deep+1)
		return v != true, err
	case name == "Fn::Equals" && len(args) == 2:
		a, err := p.resolve(args[0], deep+1)
		if err != nil {
			return nil, err
		}
		b, err := p.resolve(args[1], deep+1)
		return fmt.Sprint(a) == fmt.Sprint(b), err
	}
	return nil, failure(501, "NotImplemented", "The sandbox does not simulate %s in a conformance pack.", name)
}

// packRules gives the settings of a template's rules, by their names there.
func (c *call) packRules(body string, given map[string]string) (map[string]object, error) {
	var t packTemplate
	if err := yaml.Unmarshal([]byte(shortRef().ReplaceAllString(body, "{Ref: \"$1\"}")), &t); err != nil {
		return nil, fmt.Errorf("the template can't be read: %w", err)
	}
	p := &packScope{t, map[string]string{"AWS::AccountId": c.who.Account, "AWS::Region": c.region, "AWS::Partition": "aws"}}
	for name, parameter := range t.Parameters {
		v, ok := given[name]
		if !ok && parameter.Default == nil {
			return nil, fmt.Errorf("parameters: [%s] must have values", name)
		}
		if !ok {
			v = fmt.Sprint(parameter.Default)
		}
		p.parameters[name] = v
	}
	for name := range given {
		if _, ok := t.Parameters[name]; !ok {
			return nil, fmt.Errorf("parameters: [%s] do not exist in the template", name)
		}
	}
	out := map[string]object{}
	for _, id := range sorted(t.Resources) {
		r := t.Resources[id]
		if r.Type == "AWS::Config::RemediationConfiguration" {
			continue // it is shown by nothing that the sandbox answers
		}
		if r.Type != "AWS::Config::ConfigRule" {
			return nil, fmt.Errorf("the resource type %s is not allowed in a conformance pack", r.Type)
		}
		v, err := p.resolve(r.Properties, 0)
		if err != nil {
			return nil, err
		}
		settings := v.(object)
		name, _ := settings["ConfigRuleName"].(string)
		if name == "" {
			name = id
		}
		if in, ok := settings["InputParameters"].(object); ok {
			texts := object{}
			for k, e := range in {
				texts[k] = fmt.Sprint(e)
			}
			settings["InputParameters"] = jsonText(texts)
		}
		if err := c.checkConfigRule(settings); err != nil {
			return nil, err
		}
		out[name] = settings
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the template has no rules")
	}
	return out, nil
}

func putPack(c *call) (map[string]any, error) {
	name, body := c.str("ConformancePackName"), c.str("TemplateBody")
	if _, _, ok := c.recorder(c.now); !ok {
		return nil, failure(400, "InsufficientPermissionsException", "A configuration recorder is needed to deploy a conformance pack.")
	}
	if body == "" {
		if c.str("TemplateS3Uri") != "" || c.in["TemplateSSMDocumentDetails"] != nil {
			return nil, failure(501, "NotImplemented", "The sandbox takes conformance packs by TemplateBody only.")
		}
		return nil, wrongParameter("Either TemplateBody, TemplateS3Uri or TemplateSSMDocumentDetails must be provided.")
	}
	given := map[string]string{}
	for _, o := range c.objects("ConformancePackInputParameters") {
		k, _ := o["ParameterName"].(string)
		given[k], _ = o["ParameterValue"].(string)
	}
	rules, err := c.packRules(body, given)
	if codeOf(err) == "NotImplemented" {
		return nil, err
	}
	if err != nil {
		return nil, failure(400, "ConformancePackTemplateValidationException", "Template validation error: %v", err)
	}
	settings := object{}
	for _, member := range []string{"DeliveryS3Bucket", "DeliveryS3KeyPrefix", "ConformancePackInputParameters"} {
		if v, ok := c.in[member]; ok {
			settings[member] = copied(v)
		}
	}
	old, was, exists := c.home().Config.Packs.live(name, c.now)
	if exists && was.State != "CREATE_COMPLETE" {
		return nil, failure(400, "ResourceInUseException", "The conformance pack %s is being deployed. Try again later.", name)
	}
	n := 0
	for range c.home().Config.Packs.all(c.now) {
		n++
	}
	if !exists && n >= maxPacks {
		return nil, failure(400, "MaxNumberOfConformancePacksExceededException", "You have reached the limit of %d conformance packs.", maxPacks)
	}
	p := conformancePack{ID: was.ID, Settings: settings, Requested: c.now, State: "CREATE_IN_PROGRESS"}
	if !exists {
		p.ID = "conformance-pack-" + c.id("", 9)
	}
	for _, rule := range was.Rules {
		if r := c.home().Config.Rules[rule]; r != nil {
			c.dropConfigRule(rule, r)
		}
	}
	for _, rule := range sorted(rules) {
		full := rule + "-" + p.ID
		rules[rule]["ConfigRuleName"] = full
		if err := c.makeConfigRule(full, rules[rule], nil, packPrincipal); err != nil {
			return nil, err
		}
		p.Rules = append(p.Rules, full)
	}
	if exists {
		old.forget(c.now)
		old.change(c.now, func(now *conformancePack) { *now = p })
	} else {
		old = c.home().Config.Packs.put(name, c.now, p)
	}
	old.change(c.now.Add(packCreation), func(now *conformancePack) { now.State = "CREATE_COMPLETE" })
	return object{"ConformancePackArn": c.packARN(name, p)}, nil
}

func (c *call) packARN(name string, p conformancePack) string {
	return "arn:aws:config:" + c.region + ":" + c.who.Account + ":conformance-pack/" + name + "/" + p.ID
}

// eachPack answers for the packs that a call names, or for all.
func eachPack(key string, look func(*call, string, conformancePack) object) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		names, list := c.strings("ConformancePackNames"), []any{}
		for name, p := range c.home().Config.Packs.all(c.view) {
			if len(names) == 0 || slices.Contains(names, name) {
				list = append(list, look(c, name, p))
			}
		}
		if len(list) < len(names) {
			return nil, noPack(strings.Join(names, ", "))
		}
		page, next, err := c.configPage(list, 20, 20)
		if err != nil {
			return nil, err
		}
		return withToken(object{key: page}, next), nil
	}
}

func noPack(name string) error {
	return failure(400, "NoSuchConformancePackException", "Cannot find the specified conformance pack %s.", name)
}

func packOut(c *call, name string, p conformancePack) object {
	out := copied(p.Settings).(object)
	out["ConformancePackName"], out["ConformancePackArn"], out["ConformancePackId"], out["LastUpdateRequestedTime"] = name, c.packARN(name, p), p.ID, p.Requested
	return out
}

func packStatus(c *call, name string, p conformancePack) object {
	out := object{"ConformancePackName": name, "ConformancePackArn": c.packARN(name, p), "ConformancePackId": p.ID, "ConformancePackState": p.State, "LastUpdateRequestedTime": p.Requested,
		"StackArn": "arn:aws:cloudformation:" + c.region + ":" + c.who.Account + ":stack/awsconfigconforms-" + name + "-" + p.ID + "/" + uuid(derived(c.state.Seed, p.ID, 0))}
	if p.State == "CREATE_COMPLETE" {
		out["LastUpdateCompletedTime"] = p.Requested.Add(packCreation)
	}
	return out
}

func deletePack(c *call) (map[string]any, error) {
	name := c.str("ConformancePackName")
	r, p, ok := c.home().Config.Packs.live(name, c.now)
	if !ok {
		return nil, noPack(name)
	}
	if p.State != "CREATE_COMPLETE" {
		return nil, failure(400, "ResourceInUseException", "The conformance pack %s is being deployed. Try again later.", name)
	}
	for _, rule := range p.Rules {
		if r := c.home().Config.Rules[rule]; r != nil {
			c.dropConfigRule(rule, r)
		}
	}
	r.end(c.now)
	return object{}, nil
}

var configPackHandlers = map[string]handler{
	"DeleteConformancePack":         {"config:DeleteConformancePack", deletePack},
	"DescribeConformancePackStatus": {"config:DescribeConformancePackStatus", eachPack("ConformancePackStatusDetails", packStatus)},
	"DescribeConformancePacks":      {"config:DescribeConformancePacks", eachPack("ConformancePackDetails", packOut)},
	"PutConformancePack":            {"config:PutConformancePack", putPack},
}
