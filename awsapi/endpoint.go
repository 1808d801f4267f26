package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// Endpoint is where a request goes, and how it is signed for there.
type Endpoint struct {
	URL                   string
	Headers               http.Header
	AuthScheme            string   // sigv4, sigv4a, ...; empty: the service's
	SigningName           string   // empty: the service's
	SigningRegion         string   // empty: the request's
	SigningRegionSet      []string // of sigv4a
	DisableDoubleEncoding bool
	// Properties are all that the rules say of the endpoint: "authSchemes", of
	// which the members above are the first usable, "backend", and the like.
	Properties map[string]any
}

// EndpointParams are the values that an endpoint rule set decides by: Region,
// UseFIPS, UseDualStack, Endpoint, and what the service adds, Bucket for one.
// Values are texts, booleans and lists of texts.
type EndpointParams map[string]any

// EndpointError is a rule set's refusal, or its having no rule that fits.
type EndpointError struct {
	Service string
	Message string
}

// Error implements error.
func (e *EndpointError) Error() string { return "endpoint of " + e.Service + ": " + e.Message }

// ruleSet is botocore's endpoint-rule-set-1.json. The language is that of
// Smithy's rules engine, https://smithy.io/2.0/additional-specs/rules-engine/.
type ruleSet struct {
	Parameters map[string]ruleParameter
	Rules      []rule
}

type ruleParameter struct {
	BuiltIn  string
	Default  any
	Required bool
	Type     string
}

type rule struct {
	Conditions []condition
	Type       string // endpoint, error, tree
	Endpoint   struct {
		URL        any
		Properties map[string]any
		Headers    map[string][]any
	}
	Error any
	Rules []rule
}

type condition struct {
	Fn     string
	Argv   []any
	Assign string
}

type ruleCache struct {
	once sync.Once
	set  *ruleSet
	err  error
}

func (s *Service) endpointRules() (*ruleSet, error) {
	s.rules.once.Do(func() {
		if len(s.ruleSet) == 0 {
			s.rules.err = &EndpointError{s.Name, "the model has no endpoint rules"}
			return
		}
		var set ruleSet
		if err := json.Unmarshal(s.ruleSet, &set); err != nil {
			s.rules.err = &EndpointError{s.Name, err.Error()}
			return
		}
		s.rules.set = &set
	})
	return s.rules.set, s.rules.err
}

// maxRuleSteps and maxRuleDepth bound the work on a rule set; the largest,
// S3's, takes a few hundred steps.
const (
	maxRuleSteps = 100_000
	maxRuleDepth = 64
	// maxRuleText is far beyond any URL. Templates can double a text with each
	// step.
	maxRuleText = 1 << 14
)

// ResolveEndpoint decides by the service's rule set. Parameters that the rule
// set does not know are ignored, as AWS's SDKs do. The error is an
// *EndpointError.
func (c *Catalog) ResolveEndpoint(service string, params EndpointParams) (Endpoint, error) {
	s, err := c.Service(service)
	if err != nil {
		return Endpoint{}, err
	}
	set, err := s.endpointRules()
	if err != nil {
		return Endpoint{}, err
	}
	partitions, err := c.partitionTable()
	if err != nil {
		return Endpoint{}, err
	}
	return set.resolve(service, partitions, params)
}

func (set *ruleSet) resolve(service string, partitions *partitionTable, params EndpointParams) (Endpoint, error) {
	e := &evaluator{partitions: partitions, scope: map[string]any{}}
	for name, p := range set.Parameters {
		v, ok := params[name]
		if !ok {
			v, ok = p.Default, p.Default != nil
		}
		if ok {
			e.scope[name] = v
		} else if p.Required {
			return Endpoint{}, &EndpointError{service, "the parameter " + name + " is not set"}
		}
	}
	ep, err := e.rules(set.Rules, 0)
	if err == nil && ep == nil {
		err = errors.New("no rule fits")
	}
	if err != nil {
		return Endpoint{}, &EndpointError{service, err.Error()}
	}
	return *ep, nil
}

// evaluator runs one rule set once. scope holds the parameters and what
// conditions assigned.
type evaluator struct {
	partitions *partitionTable
	scope      map[string]any
	steps      int
}

// rules gives the first rule's endpoint whose conditions hold, nil if none's do.
func (e *evaluator) rules(rules []rule, depth int) (*Endpoint, error) {
	if depth > maxRuleDepth {
		return nil, errors.New("the rules are nested too deeply")
	}
	for i := range rules {
		r := &rules[i]
		if e.steps++; e.steps > maxRuleSteps {
			return nil, errors.New("the rules take too many steps")
		}
		assigned, ok, err := e.conditions(r.Conditions)
		if err != nil {
			return nil, err
		}
		var ep *Endpoint
		if ok {
			switch r.Type {
			case "tree":
				ep, err = e.rules(r.Rules, depth+1)
				if err == nil && ep == nil {
					// Smithy: once a tree's conditions hold, no later rule is tried.
					err = errors.New("no rule fits")
				}
			case "error":
				var message any
				if message, err = e.eval(r.Error, 0); err == nil {
					err = fmt.Errorf("%v", message)
				}
			case "endpoint":
				ep, err = e.endpoint(r)
			default:
				err = fmt.Errorf("unknown rule type %q", r.Type)
			}
		}
		for _, name := range assigned {
			delete(e.scope, name)
		}
		if err != nil || ep != nil {
			return ep, err
		}
	}
	return nil, nil
}

// conditions says whether all hold, and which names they assigned.
func (e *evaluator) conditions(cs []condition) (assigned []string, ok bool, err error) {
	for _, c := range cs {
		v, err := e.call(c.Fn, c.Argv, 0)
		if err != nil {
			return assigned, false, err
		}
		if v == nil || v == false {
			return assigned, false, nil
		}
		if c.Assign != "" {
			e.scope[c.Assign] = v
			assigned = append(assigned, c.Assign)
		}
	}
	return assigned, true, nil
}

func (e *evaluator) endpoint(r *rule) (*Endpoint, error) {
	v, err := e.eval(r.Endpoint.URL, 0)
	if err != nil {
		return nil, err
	}
	url, ok := v.(string)
	if !ok {
		return nil, errors.New("an endpoint without URL")
	}
	ep := &Endpoint{URL: url, Headers: http.Header{}}
	for name, values := range r.Endpoint.Headers {
		for _, t := range values {
			v, err := e.eval(t, 0)
			if err != nil {
				return nil, err
			}
			ep.Headers.Add(name, fmt.Sprint(v))
		}
	}
	properties, err := e.property(r.Endpoint.Properties, 0)
	if err != nil {
		return nil, err
	}
	ep.Properties, _ = properties.(map[string]any)
	ep.chooseScheme()
	return ep, nil
}

// chooseScheme takes the first way to sign that this package knows.
func (ep *Endpoint) chooseScheme() {
	schemes, _ := ep.Properties["authSchemes"].([]any)
	for _, s := range schemes {
		scheme, _ := s.(map[string]any)
		name, _ := scheme["name"].(string)
		if name != "sigv4" && name != "sigv4a" && name != "sigv4-s3express" {
			continue
		}
		ep.AuthScheme = name
		ep.SigningName, _ = scheme["signingName"].(string)
		ep.SigningRegion, _ = scheme["signingRegion"].(string)
		ep.DisableDoubleEncoding, _ = scheme["disableDoubleEncoding"].(bool)
		set, _ := scheme["signingRegionSet"].([]any)
		for _, region := range set {
			if region, ok := region.(string); ok {
				ep.SigningRegionSet = append(ep.SigningRegionSet, region)
			}
		}
		return
	}
}

// property fills in the templates in a property's value. Unlike an argument, an
// object there is one.
func (e *evaluator) property(v any, depth int) (any, error) {
	if depth > maxRuleDepth {
		return nil, errors.New("a property is nested too deeply")
	}
	if e.steps++; e.steps > maxRuleSteps {
		return nil, errors.New("the rules take too many steps")
	}
	switch v := v.(type) {
	case string:
		return e.template(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = e.property(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			var err error
			if out[k], err = e.property(v[k], depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// eval gives the value of an argument: a literal, a template, {"ref": …} or a
// call.
func (e *evaluator) eval(v any, depth int) (any, error) {
	if depth > maxRuleDepth {
		return nil, errors.New("an argument is nested too deeply")
	}
	switch v := v.(type) {
	case string:
		return e.template(v)
	case map[string]any:
		if name, ok := v["ref"].(string); ok {
			return e.scope[name], nil
		}
		if fn, ok := v["fn"].(string); ok {
			argv, _ := v["argv"].([]any)
			return e.call(fn, argv, depth+1)
		}
		return nil, errors.New("an argument that is neither reference nor call")
	}
	return v, nil
}

// template fills in {Name} and {Name#path}; {{ and }} are braces.
func (e *evaluator) template(s string) (any, error) {
	if !strings.ContainsAny(s, "{}") {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "{{"), strings.HasPrefix(s[i:], "}}"):
			b.WriteByte(s[i])
			i++
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, fmt.Errorf("the template %q is not closed", s)
			}
			name, path, has := strings.Cut(s[i+1:i+end], "#")
			v := e.scope[name]
			if has {
				v = attribute(v, path)
			}
			if v == nil {
				return nil, fmt.Errorf("the template %q names %s, which is not set", s, name)
			}
			fmt.Fprint(&b, v)
			if b.Len() > maxRuleText {
				return nil, errors.New("a text that the rules make is too long")
			}
			i += end
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}
