package eventpattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// TargetInput says what a target gets in place of the event, as Target of
// EventBridge's API does: one of the three, or none for the event itself.
type TargetInput struct {
	Input            *string // JSON; at most 8192 characters
	InputPath        *string // a JSON path to a part of the event
	InputTransformer *InputTransformer
}

// InputTransformer makes a target's input from parts of the event.
type InputTransformer struct {
	// InputPathsMap has a JSON path for each of at most 100 variables. Names are of
	// letters, digits, _ and -.
	InputPathsMap map[string]string
	// InputTemplate is what the target gets, at most 8192 characters, once each
	// <variable> is replaced. It is JSON, in which a variable stands for a value or
	// within a text, or it is one text in quotes to a line. Beside those of
	// InputPathsMap it may have <aws.events.rule-arn>, <aws.events.rule-name>,
	// <aws.events.event.ingestion-time>, <aws.events.event> (without its detail, and
	// with detailType for detail-type, as EventBridge sends it) and
	// <aws.events.event.json> (the whole).
	InputTemplate string
}

// Variables are what the reserved variables of a template stand for, save for the
// event's own.
type Variables struct {
	RuleARN       string
	RuleName      string
	IngestionTime time.Time
}

const (
	maxInputChars = 8192
	maxVariables  = 100
	maxNameChars  = 256

	// maxOutput is how many bytes a transformed input may have: as many as an event.
	maxOutput = 1 << 20
)

const (
	varRuleARN   = "aws.events.rule-arn"
	varRuleName  = "aws.events.rule-name"
	varIngestion = "aws.events.event.ingestion-time"
	varEvent     = "aws.events.event"
	varEventJSON = "aws.events.event.json"
)

// Transform is a checked TargetInput.
type Transform struct {
	input    []byte
	path     *jsonPath
	paths    map[string]*jsonPath
	template *template
}

// Compile checks a target's input. The error joins an *Error for each problem;
// lines and columns are those of the text that it is about.
func (t TargetInput) Compile() (*Transform, error) {
	given := 0
	for _, is := range []bool{t.Input != nil, t.InputPath != nil, t.InputTransformer != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, &Error{Problem: "a target has more than one of Input, InputPath and InputTransformer", Expected: "at most one"}
	case t.Input != nil:
		if err := within("Input", *t.Input, maxInputChars); err != nil {
			return nil, err
		}
		if _, err := parse([]byte(*t.Input)); err != nil {
			return nil, inField(err, "Input")
		}
		return &Transform{input: []byte(*t.Input)}, nil
	case t.InputPath != nil:
		p, err := parsePath(*t.InputPath)
		if err != nil {
			return nil, inField(err, "InputPath")
		}
		return &Transform{path: p}, nil
	case t.InputTransformer != nil:
		return t.InputTransformer.compile()
	}
	return &Transform{}, nil
}

func within(what, text string, most int) error {
	if n := utf8.RuneCountInString(text); n > most {
		return &Error{Field: what, Problem: fmt.Sprintf("it has %d characters", n), Expected: fmt.Sprintf("at most %d", most)}
	}
	return nil
}

func inField(err error, field string) error {
	var e *Error
	if errors.As(err, &e) {
		e.Field = field
	}
	return err
}

func (t *InputTransformer) compile() (*Transform, error) {
	var problems []error
	add := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	if n := len(t.InputPathsMap); n > maxVariables {
		add(&Error{Field: "InputPathsMap", Problem: fmt.Sprintf("it has %d variables", n), Expected: fmt.Sprintf("at most %d", maxVariables)})
	}
	out := &Transform{paths: map[string]*jsonPath{}}
	names := make([]string, 0, len(t.InputPathsMap))
	for name := range t.InputPathsMap {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := "InputPathsMap." + name
		if strings.Trim(name, nameChars) != "" || name == "" || len(name) > maxNameChars {
			add(&Error{Field: field, Problem: "it is no name of a variable", Expected: "1 to 256 letters, digits, _ and -"})
		}
		p, err := parsePath(t.InputPathsMap[name])
		add(inField(err, field))
		out.paths[name] = p
	}
	add(within("InputTemplate", t.InputTemplate, maxInputChars))
	if len(problems) == 0 {
		var err error
		out.template, err = parseTemplate(t.InputTemplate, func(name string) bool {
			return out.paths[name] != nil || slices.Contains(reserved, name)
		})
		add(inField(err, "InputTemplate"))
	}
	return out, errors.Join(problems...)
}

var reserved = []string{varRuleARN, varRuleName, varIngestion, varEvent, varEventJSON}

// Apply gives what the target gets for an event. It is an error if the event isn't
// an object, InputPath finds nothing, or a value made the template something else
// than JSON: a text with a quote in it within a text, or an object there.
// EventBridge doesn't invoke the target then.
func (t *Transform) Apply(event []byte, v Variables) ([]byte, error) {
	if t.input != nil {
		return slices.Clone(t.input), nil
	}
	root, err := parse(event)
	if err != nil {
		return nil, inField(err, "the event")
	}
	if root.kind != objectKind {
		return nil, &Error{Field: "the event", Problem: "it is " + root.what(), Expected: "an object"}
	}
	switch {
	case t.path != nil:
		found, ok := t.path.text(event, root)
		if !ok {
			return nil, &Error{Field: "InputPath", Problem: "the event has nothing there"}
		}
		return []byte(found), nil
	case t.template == nil:
		return slices.Clone(event), nil
	}
	return t.template.fill(func(name string) (replacement, bool) {
		switch name {
		case varRuleARN:
			return textReplacement(v.RuleARN), true
		case varRuleName:
			return textReplacement(v.RuleName), true
		case varIngestion:
			return textReplacement(v.IngestionTime.UTC().Format("2006-01-02T15:04:05Z")), true
		case varEvent:
			return replacement{json: withoutDetail(event, root)}, true
		case varEventJSON:
			return replacement{json: string(event[root.start:root.end])}, true
		}
		return t.paths[name].replacement(event, root)
	})
}

// text gives what a path finds as JSON.
func (p *jsonPath) text(event []byte, root *node) (string, bool) {
	found := p.selectFrom(root)
	if !p.many {
		if len(found) == 0 {
			return "", false
		}
		return string(event[found[0].start:found[0].end]), true
	}
	texts := make([]string, len(found))
	for i, n := range found {
		texts[i] = string(event[n.start:n.end])
	}
	return "[" + strings.Join(texts, ",") + "]", true
}

func (p *jsonPath) replacement(event []byte, root *node) (replacement, bool) {
	text, ok := p.text(event, root)
	if !ok {
		return replacement{}, false
	}
	if found := p.selectFrom(root); !p.many && found[0].kind == stringKind {
		return replacement{json: text, text: found[0].text, isText: true}, true
	}
	return replacement{json: text}, true
}

func textReplacement(s string) replacement { return replacement{json: quote(s), text: s, isText: true} }

// quote gives a text as JSON.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// withoutDetail gives the envelope of an event.
func withoutDetail(event []byte, root *node) string {
	var members []string
	for _, m := range root.members {
		name := m.name
		if name == "detail" || root.last(name) != m.value {
			continue
		}
		if name == "detail-type" {
			name = "detailType"
		}
		members = append(members, quote(name)+":"+string(event[m.value.start:m.value.end]))
	}
	return "{" + strings.Join(members, ",") + "}"
}
