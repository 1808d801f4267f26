package rule

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Trigger says when AWS Config evaluates a rule.
type Trigger string

// Triggers.
const (
	OnChange Trigger = "change"   // when an item of its types changes
	Periodic Trigger = "periodic" // at the rule's frequency
	Hybrid   Trigger = "hybrid"   // both
)

// Definition is a rule of the library.
type Definition struct {
	File        string             `yaml:"-"`
	Identifier  string             `yaml:"identifier"` // ENCRYPTED_VOLUMES
	Name        string             `yaml:"name"`       // encrypted-volumes
	Title       string             `yaml:"title"`
	Description string             `yaml:"description"`
	Own         bool               `yaml:"own"` // a rule of ours, which AWS doesn't have
	Severity    knowngood.Severity `yaml:"severity"`
	// Controls are what the rule checks a part or the whole of: ids of Security Hub's
	// controls, such as EC2.3, and requirements of the CIS AWS Foundations Benchmark,
	// such as CIS AWS Foundations Benchmark v5.0.0/5.5.
	Controls      []string    `yaml:"controls"`
	Trigger       Trigger     `yaml:"trigger"`
	ResourceTypes []string    `yaml:"resourceTypes"`
	Parameters    []Parameter `yaml:"parameters"`
	// Applies is a CEL predicate; where it is false the resource is
	// NOT_APPLICABLE. Empty: the rule applies to each of its types.
	Applies string `yaml:"applies"`
	// Compliant is the CEL predicate of the rule itself.
	Compliant string `yaml:"compliant"`
	// Annotation is a CEL expression for the text of a NON_COMPLIANT verdict.
	Annotation string `yaml:"annotation"`
	// Remediation is the runbook that is suggested; empty: none.
	Remediation string   `yaml:"remediation"`
	Source      string   `yaml:"source"` // the page that describes the rule
	Notes       []string `yaml:"notes"`  // ambiguities, and the choices made
	Tests       []Test   `yaml:"tests"`

	// Reads are the members of the item that the expressions read, sorted, such
	// as configuration.encrypted. Members of a list's elements follow its name.
	Reads []string `yaml:"-"`
	// Others are the members that they read of other resources, by type. A type
	// without members is one of which only it counts which resources there are.
	Others map[string][]string `yaml:"-"`

	applies, compliant, annotation *expression
}

// Parameter is a parameter of a rule.
type Parameter struct {
	Name        string        `yaml:"name"`
	Type        ParameterType `yaml:"type"`
	Description string        `yaml:"description"`
	Default     *string       `yaml:"default"` // as text
	Optional    bool          `yaml:"optional"`
	Allowed     []string      `yaml:"allowed"`
	Min         *float64      `yaml:"min"` // of an int or double
	Max         *float64      `yaml:"max"`
}

// ParameterType says what a parameter's text stands for in CEL.
type ParameterType string

// Types of parameters.
const (
	String  ParameterType = "string"
	Int     ParameterType = "int"
	Double  ParameterType = "double"
	Boolean ParameterType = "boolean"
	CSV     ParameterType = "csv" // a list of strings in CEL
)

// Test is an item and the verdict that the rule must give for it.
type Test struct {
	Name       string               `yaml:"name"`
	Item       TestItem             `yaml:"item"`
	Resources  []TestItem           `yaml:"resources"` // what look-ups find
	Parameters map[string]string    `yaml:"parameters"`
	Now        string               `yaml:"now"` // RFC 3339; 2026-01-01T00:00:00Z where empty
	Expect     knowngood.Compliance `yaml:"expect"`
	Annotation string               `yaml:"annotation"` // what it must contain
}

// TestItem is what of a configuration item a test states.
type TestItem struct {
	Type          string               `yaml:"resourceType"` // the rule's first type where empty
	ID            string               `yaml:"resourceId"`
	Name          string               `yaml:"resourceName"`
	ARN           string               `yaml:"arn"`
	CreationTime  *time.Time           `yaml:"resourceCreationTime"`
	Status        knowngood.ItemStatus `yaml:"configurationItemStatus"`
	Tags          map[string]string    `yaml:"tags"`
	Configuration map[string]any       `yaml:"configuration"`
	Supplementary map[string]any       `yaml:"supplementaryConfiguration"`
	Relationships []TestRelationship   `yaml:"relationships"`
	Unread        []string             `yaml:"unread"` // members that were denied
}

// TestRelationship is a relationship of a test's item.
type TestRelationship struct {
	Type         string `yaml:"resourceType"`
	ID           string `yaml:"resourceId"`
	Name         string `yaml:"resourceName"`
	Relationship string `yaml:"relationshipName"`
}

// Library is the rules that ship, by identifier and by name.
type Library struct {
	byIdentifier map[string]*Definition
	byName       map[string]*Definition
	all          []*Definition
}

// Rule gives the definition of a managed rule's identifier, or of a rule's name.
func (l *Library) Rule(identifier string) (*Definition, bool) {
	if d, ok := l.byIdentifier[identifier]; ok {
		return d, true
	}
	d, ok := l.byName[identifier]
	return d, ok
}

// Rules gives all definitions in the order of their identifiers.
func (l *Library) Rules() []*Definition { return slices.Clone(l.all) }

// With gives the library with the rules of another. The error names a rule that
// both have.
func (l *Library) With(other *Library) (*Library, error) {
	out := &Library{byIdentifier: maps.Clone(l.byIdentifier), byName: maps.Clone(l.byName), all: slices.Clone(l.all)}
	for _, d := range other.all {
		for _, have := range []*Definition{l.byIdentifier[d.Identifier], l.byName[d.Name]} {
			if have != nil {
				return nil, &knowngood.FileError{Position: knowngood.Position{File: d.File, Line: 1}, Problem: fmt.Sprintf("the rule %s, %s, is there already", d.Identifier, d.Name), Want: "another identifier and name"}
			}
		}
		out.byIdentifier[d.Identifier], out.byName[d.Name] = d, d
		out.all = append(out.all, d)
	}
	slices.SortFunc(out.all, func(a, b *Definition) int { return strings.Compare(a.Identifier, b.Identifier) })
	return out, nil
}

// maxRuleBytes bounds a rule's file.
const maxRuleBytes = 256 << 10

// Load reads rules/*.yaml of fsys. The error joins one *knowngood.FileError for
// each problem.
func Load(fsys fs.FS) (*Library, error) {
	files, err := fs.Glob(fsys, "rules/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("rule: %w", err)
	}
	lib := &Library{byIdentifier: map[string]*Definition{}, byName: map[string]*Definition{}}
	var problems []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("rule: %w", err)
		}
		d, err := Parse(file, data)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if other := lib.byIdentifier[d.Identifier]; other != nil {
			problems = append(problems, fileError(file, data, "identifier", fmt.Sprintf("the identifier %s is also in %s", d.Identifier, other.File), "one file for each rule"))
			continue
		}
		if other := lib.byName[d.Name]; other != nil {
			problems = append(problems, fileError(file, data, "name", fmt.Sprintf("the name %s is also in %s", d.Name, other.File), "names that differ"))
			continue
		}
		lib.byIdentifier[d.Identifier], lib.byName[d.Name] = d, d
		lib.all = append(lib.all, d)
	}
	slices.SortFunc(lib.all, func(a, b *Definition) int { return strings.Compare(a.Identifier, b.Identifier) })
	return lib, errors.Join(problems...)
}

// Parse reads one rule's file. A key that is not known is an error.
func Parse(file string, data []byte) (*Definition, error) {
	if len(data) > maxRuleBytes {
		return nil, fileError(file, nil, "", fmt.Sprintf("the rule has %d bytes", len(data)), fmt.Sprintf("at most %d", maxRuleBytes))
	}
	d := &Definition{}
	if err := strictyaml.Decode(file, data, d, "a rule's file"); err != nil {
		return nil, err
	}
	d.File = file
	var problems []error
	add := func(key, want, problem string, args ...any) {
		problems = append(problems, fileError(file, data, key, fmt.Sprintf(problem, args...), want))
	}
	d.check(add)
	if len(problems) == 0 {
		d.compile(add)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return d, nil
}

var (
	identifierForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	nameForm       = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	controlForm    = regexp.MustCompile(`^([A-Z][A-Za-z0-9]*\.[1-9][0-9]*|CIS AWS Foundations Benchmark v[0-9]+\.[0-9]+\.[0-9]+/[0-9]+(\.[0-9]+)+)$`)
	typeForm       = regexp.MustCompile(`^AWS::(::Account|[A-Za-z0-9]+::[A-Za-z0-9:]+)$`)
)

type addProblem func(key, want, problem string, args ...any)

func (d *Definition) check(add addProblem) {
	if !identifierForm.MatchString(d.Identifier) {
		add("identifier", "a name such as ENCRYPTED_VOLUMES", "the identifier is %q", d.Identifier)
	}
	if want := strings.ReplaceAll(strings.ToLower(d.Identifier), "_", "-") + ".yaml"; path.Base(d.File) != want {
		add("identifier", want, "the file's name is %s", path.Base(d.File))
	}
	if !nameForm.MatchString(d.Name) {
		add("name", "a name such as encrypted-volumes", "the name is %q", d.Name)
	}
	if d.Title == "" || d.Description == "" {
		add("title", "both", "the rule has no title or no description")
	}
	if !slices.Contains([]knowngood.Severity{knowngood.Informational, knowngood.Low, knowngood.Medium, knowngood.High, knowngood.Critical}, d.Severity) {
		add("severity", "INFORMATIONAL, LOW, MEDIUM, HIGH or CRITICAL", "the severity is %q", d.Severity)
	}
	for i, c := range d.Controls {
		if !controlForm.MatchString(c) {
			add("controls", "an id such as EC2.3 or CIS AWS Foundations Benchmark v5.0.0/5.5", "a control is %q", c)
		}
		if slices.Contains(d.Controls[:i], c) {
			add("controls", "controls that differ", "the control %s is there twice", c)
		}
	}
	if !slices.Contains([]Trigger{OnChange, Periodic, Hybrid}, d.Trigger) {
		add("trigger", "change, periodic or hybrid", "the trigger is %q", d.Trigger)
	}
	if len(d.ResourceTypes) == 0 {
		add("resourceTypes", "at least one", "the rule has no resource types")
	}
	for _, t := range d.ResourceTypes {
		if !typeForm.MatchString(t) {
			add("resourceTypes", "a type such as AWS::EC2::Volume", "a resource type is %q", t)
		}
	}
	if d.Compliant == "" {
		add("compliant", "a CEL predicate", "the rule has none")
	}
	seen := map[string]bool{}
	for _, p := range d.Parameters {
		if p.Name == "" || seen[p.Name] {
			add("parameters", "names that differ", "the parameter name %q is empty or there twice", p.Name)
		}
		seen[p.Name] = true
		if !slices.Contains([]ParameterType{String, Int, Double, Boolean, CSV}, p.Type) {
			add("parameters", "string, int, double, boolean or csv", "the parameter %s has the type %q", p.Name, p.Type)
			continue
		}
		if p.Default != nil {
			if _, err := p.value(*p.Default); err != nil {
				add("parameters", "a value that the parameter takes", "the default of %s: %v", p.Name, err)
			}
		}
	}
	for i, t := range d.Tests {
		if t.Now != "" {
			if _, err := time.Parse(time.RFC3339, t.Now); err != nil {
				add("tests", "an RFC 3339 time", "now of test %d is %q", i+1, t.Now)
			}
		}
		if !slices.Contains([]knowngood.Compliance{knowngood.Compliant, knowngood.NonCompliant, knowngood.NotApplicable, knowngood.InsufficientData}, t.Expect) {
			add("tests", "COMPLIANT, NON_COMPLIANT, NOT_APPLICABLE or INSUFFICIENT_DATA", "test %d expects %q", i+1, t.Expect)
		}
	}
}

// Key is the line of a top-level key in data, 0 where it is not there.
func lineOf(data []byte, key string) int {
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, key+":") {
			return i + 1
		}
	}
	return 0
}

func fileError(file string, data []byte, key, problem, want string) error {
	line := lineOf(data, key)
	if line == 0 {
		line = 1
	}
	return &knowngood.FileError{Position: knowngood.Position{File: file, Line: line}, Problem: problem, Want: want}
}

// jsonLike turns what the YAML decoder gives into the values that items hold.
func jsonLike(v any) any {
	switch v := v.(type) {
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
		return float64(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = jsonLike(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = jsonLike(e)
		}
		return out
	}
	return v
}
