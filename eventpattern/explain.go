package eventpattern

import (
	"fmt"
	"strconv"
	"strings"
)

// Explanation says why an event matches a pattern or not.
type Explanation struct {
	Match bool
	// Fields are those of the alternative of the pattern's $or that matched, or
	// else of the one of which most fields match; in the order of their paths.
	Fields []FieldExplanation
	// Alternatives is how many combinations the $or of the pattern come to; 1
	// without.
	Alternatives int
	// Apart is true if each field matches, but no element of an array has the
	// values of all fields below it.
	Apart bool
}

// FieldExplanation says whether one field of a pattern matches, on its own.
type FieldExplanation struct {
	Path         string
	Want         string // the list in the pattern, as it is there
	Line, Column int    // of the list
	Match        bool
	Got          []string // the values that the event has at the path, texts in quotes; long ones are cut
	More         int      // how many values were left out of Got
	Reason       string   // why it doesn't match; "" if it does
}

const (
	maxGot      = 5
	maxGotChars = 100
)

// Explain says why an event, a JSON object, matches or not. The error is as that
// of Match.
func (p *Pattern) Explain(event []byte) (*Explanation, error) {
	x := &Explanation{Alternatives: len(p.branches)}
	err := p.ready().with(event, func(m *matching) {
		most := -1
		for _, b := range m.branches {
			fields, n := m.explain(b.conditions)
			holds := n == len(fields) && len(m.matched) > 0 && m.holds(b.conditions)
			if holds || n > most {
				x.Fields, most, x.Match = fields, n, holds
			}
			if holds {
				break
			}
		}
		x.Apart = !x.Match && most == len(x.Fields)
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// explain explains each condition, and counts those that hold on their own.
func (m *matching) explain(conditions []int32) ([]FieldExplanation, int) {
	var fields []FieldExplanation
	holding := 0
	for _, id := range conditions {
		c := m.conditions[id]
		f := m.event.fields[c.field]
		x := FieldExplanation{Path: c.path, Want: c.want, Line: c.line, Column: c.column}
		for i := range f.values {
			if i == maxGot {
				x.More = len(f.values) - maxGot
				break
			}
			x.Got = append(x.Got, f.values[i].show())
		}
		switch {
		case len(m.result(id).values) > 0 || c.absent && (len(f.values) == 0 || m.elsewhere(f)):
			x.Match = true
			holding++
		case len(f.values) > 0 && len(c.matchers) == 0:
			x.Reason = "the event has the field"
		case len(f.values) > 0:
			x.Reason = "no value is one of those wanted"
		case f.object:
			x.Reason = "the event has an object there, not a value"
		case f.empty:
			x.Reason = "the event has an empty list there"
		default:
			x.Reason = "the event has no such field"
		}
		fields = append(fields, x)
	}
	return fields, holding
}

// elsewhere says whether a field that is to be absent may be so: if all its values
// lie in elements, those that the other fields are found in may lack it.
func (m *matching) elsewhere(f field) bool {
	for i := range f.values {
		if f.values[i].elem == 0 {
			return false
		}
	}
	return true
}

// show gives a value, a text in quotes, cut if it is long.
func (v *value) show() string {
	s := string(v.text)
	switch v.kind {
	case stringKind:
		if len(s) > maxGotChars {
			return strconv.Quote(strings.ToValidUTF8(s[:maxGotChars], "")) + "…"
		}
		return strconv.Quote(s)
	case numberKind:
		if len(s) > maxGotChars {
			return s[:maxGotChars] + "…"
		}
		return s
	}
	return v.kind.String()
}

// String gives a line for the whole, and one for each field.
func (x *Explanation) String() string {
	var b strings.Builder
	switch {
	case x.Match:
		b.WriteString("match")
	case x.Apart:
		b.WriteString("no match: each field matches, but no one element of the event's arrays has them all")
	default:
		b.WriteString("no match")
	}
	if x.Alternatives > 1 && !x.Match {
		fmt.Fprintf(&b, " (the nearest of %d alternatives)", x.Alternatives)
	}
	for _, f := range x.Fields {
		got := "nothing"
		if len(f.Got) > 0 {
			got = strings.Join(f.Got, ", ")
		}
		if f.More > 0 {
			got += fmt.Sprintf(" and %d more", f.More)
		}
		if f.Match {
			fmt.Fprintf(&b, "\n  ok  %s: got %s", f.Path, got)
		} else {
			fmt.Fprintf(&b, "\n  no  %s: %s; got %s, want %s (line %d, column %d)", f.Path, f.Reason, got, f.Want, f.Line, f.Column)
		}
	}
	return b.String()
}
