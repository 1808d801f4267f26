package runbook

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook/jsonpath"
)

// Document is a parsed Automation runbook. It is immutable and safe for
// concurrent use.
type Document struct {
	File        string
	SHA256      string // of the file's bytes, in hex
	Description string
	Parameters  []*Parameter // in the document's order
	Variables   []*Variable
	// OutputRefs are the document's own outputs, "Step.Output".
	OutputRefs []Reference

	assumeRole *node
	files      []Attachment
	main       []*Step        // mainSteps
	steps      []*Step        // all, each loop's after the loop
	index      map[string]int // of steps, by name
	outputPos  []knowngood.Position
	warnings   []*knowngood.FileError // of Parse
}

// Parameter is what a run of the document is given.
type Parameter struct {
	Name        string
	Type        Type
	Description string
	// Default is nil when a value must be given.
	Default       any
	AllowedValues []any
	// AllowedPattern is a regular expression; "" allows anything.
	AllowedPattern               string
	MinChars, MaxChars           *int64
	MinItems, MaxItems           *int64
	pos                          knowngood.Position
	store                        string    // default that is a value of Parameter Store
	standard                     *template // Default, where it refers to system variables
	hasDefault, hasAllowedValues bool
	sound                        bool // AllowedPattern compiles
}

// Required says whether a run has to be given a value.
func (p *Parameter) Required() bool { return !p.hasDefault && p.store == "" }

// Variable is a value that aws:updateVariable can change during a run.
type Variable struct {
	Name        string
	Type        Type
	Description string
	Default     any
	pos         knowngood.Position
}

// Step is one step of mainSteps.
type Step struct {
	Name        string
	Action      string // "aws:executeAwsApi"
	Description string
	// OnFailure is "Abort", "Continue" or the name of a step after "step:".
	OnFailure string
	// OnCancel is "Abort" or the name of a step after "step:".
	OnCancel    string
	IsCritical  bool // a failure makes the run fail
	IsEnd       bool
	NextStep    string // "" where the document doesn't say
	MaxAttempts int64
	Outputs     []Output
	Position    knowngood.Position

	number    int     // from 0
	parent    *Step   // the loop that the step is in
	body      []*Step // of a loop
	condition *node   // of a loop
	// wantsPayload says that something refers to the step's OutputPayload.
	wantsPayload bool
	timeout      *node
	inputs       *node
	keys         map[string]knowngood.Position // of the step's own keys
	following    string                        // the step that runs after a success, "" at the end
	run          action                        // nil: an action that is unknown or not run
}

// Output is a value that a step takes from a response.
type Output struct {
	Name     string
	Selector string // JSONPath; "" for an output that the action itself defines
	Type     Type

	path *jsonpath.Path
	pos  knowngood.Position
}

// Steps are the document's steps in their order, those inside a loop after the
// loop. The slice must not be changed.
func (d *Document) Steps() []*Step { return d.steps }

// Step finds a step by its name or by its path.
func (d *Document) Step(path string) (*Step, bool) {
	i, ok := d.index[StepName(path)]
	if !ok {
		return nil, false
	}
	return d.steps[i], true
}

func (d *Document) parameter(name string) *Parameter {
	i := slices.IndexFunc(d.Parameters, func(p *Parameter) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return d.Parameters[i]
}

func (d *Document) variable(name string) *Variable {
	i := slices.IndexFunc(d.Variables, func(v *Variable) bool { return v.Name == name })
	if i < 0 {
		return nil
	}
	return d.Variables[i]
}

// output finds an output of a step; for "Map.Member" where there is only a map,
// it is the map.
func (s *Step) output(name string) (*Output, bool) {
	for i := range s.Outputs {
		if s.Outputs[i].Name == name {
			return &s.Outputs[i], true
		}
	}
	if s.wantsPayload && name == outputPayload {
		return &Output{Name: outputPayload, Type: StringMap}, true
	}
	if o, ok := s.run.(outputter); ok {
		for _, out := range o.outputs(s) {
			if out.Name == name {
				return &out, true
			}
		}
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		if out, ok := s.output(name[:i]); ok && out.Type == StringMap {
			return out, true
		}
	}
	return nil, false
}

// Role is the document's assumeRole with parameters resolved; "" means the
// caller's own credentials. parameters are what BindParameters returned.
func (d *Document) Role(parameters knowngood.Params, place knowngood.Place) (string, error) {
	s := &scope{doc: d, start: &StartBody{Parameters: parameters, Place: place}, budget: maxResolved}
	v, err := s.resolve(d.assumeRole)
	return text(v), err
}

// Uses are the references in a step's inputs, without duplicates, in the order
// in which they stand: "Step.Output", "variable:Name", "Parameter",
// "global:DATE".
func (d *Document) Uses(step string) []string {
	s, ok := d.Step(step)
	if !ok {
		return nil
	}
	return unique(s.timeout.refs(s.condition.refs(s.inputs.refs(nil))))
}

func unique(refs []placedRef) []string {
	var list []string
	for _, r := range refs {
		if name := r.String(); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// Outputs are those that a step declares, and those that its action defines.
func (d *Document) Outputs(step string) []Output {
	s, ok := d.Step(step)
	if !ok {
		return nil
	}
	out := slices.Clone(s.Outputs)
	if o, ok := s.run.(outputter); ok {
		for _, own := range o.outputs(s) {
			if !slices.ContainsFunc(out, func(other Output) bool { return other.Name == own.Name }) {
				out = append(out, own)
			}
		}
	}
	return out
}

// IsLoop says whether a step is an aws:loop that can be run.
func (d *Document) IsLoop(step string) bool {
	s, ok := d.Step(step)
	return ok && s.body != nil
}

// Stops says whether a step begins something elsewhere that it stops when it is
// cancelled.
func (d *Document) Stops(step string) bool {
	s, ok := d.Step(step)
	if !ok {
		return false
	}
	_, stops := s.run.(stopper)
	return stops
}

// WaysOut are the steps to which a step leads when it fails and when it is
// cancelled, those of the loops around it included; End where there is none.
func (d *Document) WaysOut(step string) (failure, cancel string) {
	s, ok := d.Step(step)
	if !ok {
		return End, End
	}
	cancel = wayBack(s)
	for ; s != nil; s = s.parent {
		if name, jumps := strings.CutPrefix(s.OnFailure, "step:"); jumps {
			return name, cancel
		}
		if _, explicit := s.keys["onFailure"]; explicit {
			return End, cancel
		}
	}
	return End, cancel
}

// Selectors is what a step reads of a response.
type Selectors struct {
	Outputs []Output
	// Property is the selector of a wait or an assertion, "" for any other
	// step, and Desired what it must select, references left as they are
	// written.
	Property string
	Desired  []any
}

// Selectors says what a step reads of its call's response.
func (d *Document) Selectors(step string) Selectors {
	s, ok := d.Step(step)
	if !ok {
		return Selectors{}
	}
	sel := Selectors{Outputs: s.Outputs}
	_, reads := s.run.(property)
	if n := s.inputs.get("PropertySelector"); n != nil && reads {
		sel.Property = text(n.scalar)
		if want := s.inputs.get("DesiredValues"); want != nil {
			sel.Desired, _ = want.plain().([]any)
		}
	}
	return sel
}

// Source is where a reference's value comes from.
type Source struct {
	Reference Reference
	Type      Type
	// Step is the step whose output it is, and Selector what that step
	// selects; nil for every other kind.
	Step     *Step
	Selector string
	// Setters are the aws:updateVariable steps that may change a variable.
	Setters []*Step
}

// Source says where a reference, as Uses writes it, comes from. ok is false
// when the document has no such thing.
func (d *Document) Source(reference string) (Source, bool) {
	ref, err := ParseReference(reference)
	if err != nil {
		return Source{}, false
	}
	src := Source{Reference: ref, Type: String}
	switch ref.Kind {
	case RefParameter:
		p := d.parameter(ref.Name)
		if p == nil {
			return Source{}, false
		}
		src.Type = p.Type
	case RefVariable:
		v := d.variable(ref.Name)
		if v == nil {
			return Source{}, false
		}
		src.Type = v.Type
		for _, s := range d.steps {
			if u, ok := s.run.(updateVariable); ok && u.variable(s) == ref.Name {
				src.Setters = append(src.Setters, s)
			}
		}
	case RefOutput:
		step, ok := d.Step(ref.Step)
		if !ok {
			return Source{}, false
		}
		o, ok := step.output(ref.Name)
		if !ok {
			return Source{}, false
		}
		src.Step, src.Selector, src.Type = step, o.Selector, o.Type
		if o.Name != ref.Name {
			src.Type = "" // of a member of a map
		}
	}
	return src, true
}

// Arms are the steps that can come after a step when it succeeds, in the
// document's order: more than one only for aws:branch. End stands for the end
// of the run.
func (d *Document) Arms(step string) []string {
	s, ok := d.Step(step)
	if !ok {
		return nil
	}
	if b, ok := s.run.(branch); ok {
		return b.arms(s)
	}
	return []string{s.following}
}

// outputPayload is the output that holds a response whole.
const outputPayload = "OutputPayload"

// End stands for the end of the run where a step's name is expected.
const End = ""

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
