package rule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// Sweep evaluates many items at one time. Each is parsed once for all rules of its
// type. It keeps its buffers from item to item and serves one goroutine: make one
// for each.
type Sweep struct {
	engine  *engine
	machine *machine
	now     time.Time
	key     knowngood.ResourceKey
	unread  []knowngood.ReadError
	out     []knowngood.Evaluation
	notes   []byte // texts of the evaluations, made into one string at the end
	noted   []note
	names   map[string]string // of accounts and Regions, which are few
	members []document.Named
	probe   document.Document // of the item's type, and of items in the form of AWS's API
	raw     []byte            // the item, where it came as JSON
	item    *knowngood.Resource
}

// note is where in notes a text of an evaluation is.
type note struct {
	evaluation int // -1: it is the resource's id
	from, to   int
}

// Sweep binds the time of an evaluation.
func (s *Set) Sweep(now time.Time) *Sweep {
	if s.engine == nil {
		return newEngine(nil).sweep(now)
	}
	return s.engine.sweep(now)
}

func (e *engine) sweep(now time.Time) *Sweep {
	w := &Sweep{engine: e, machine: newMachine(now), names: map[string]string{}}
	w.machine.arena = append(w.machine.arena, e.constants...)
	w.machine.fixed = len(e.constants)
	w.machine.vars = make([]value, e.depth)
	w.machine.subject.projections = e.others
	w.setNow(now)
	return w
}

func (w *Sweep) setNow(now time.Time) {
	w.now = now.UTC()
	w.machine.now = timeValue(w.now)
}

// forget lets go of what was looked up for an item.
func (w *Sweep) forget() {
	w.machine.begin()
	w.machine.forget()
	w.machine.subject.lookup, w.machine.subject.relationships, w.item, w.raw = nil, nil, nil, nil
}

// Resource gives the verdicts of all rules that look at an item and have it in
// scope, in the order of the rules' names. They are good until the next call; their
// texts stay.
func (w *Sweep) Resource(item *knowngood.Resource, lookup Lookup) []knowngood.Evaluation {
	return w.resource(item, lookup, nil)
}

// resource gives the verdicts of the rules that are wanted; nil: all.
func (w *Sweep) resource(item *knowngood.Resource, lookup Lookup, wanted func(*plan) bool) []knowngood.Evaluation {
	w.out = w.out[:0]
	t := w.engine.types[item.Type]
	if t == nil {
		return nil
	}
	w.begin(item.Key(), lookup)
	w.unread, w.item = item.Unread, item
	w.machine.subject.relationships = item.Relationships
	w.members = envelope(w.members[:0], item)
	err := w.machine.item.Build(w.members, t.projection)
	for _, p := range t.plans {
		if !p.active.Scope.Covers(item) || wanted != nil && !wanted(p) {
			continue
		}
		if err != nil {
			w.add(p, knowngood.InsufficientData, "the item could not be read: "+err.Error())
			continue
		}
		w.evaluate(p, item.Status)
	}
	return w.finish()
}

// JSON gives the verdicts on an item as AWS Config writes it: as in a snapshot or an
// event, or as its API gives it, with the configuration as text. The error, of type
// *document.Error, says that it is no JSON. The verdicts are good until the next
// call; their texts stay, and the item may be changed.
func (w *Sweep) JSON(item []byte, lookup Lookup) ([]knowngood.Evaluation, error) {
	w.out = w.out[:0]
	t, err := w.parse(item)
	if err != nil || t == nil {
		return nil, err
	}
	d := w.machine.item
	if d.Kind(d.At(t.slots.configuration)) == document.String {
		item = w.inline(item)
		if t, err = w.parse(item); err != nil || t == nil {
			return nil, err
		}
	}
	account := d.At(t.slots.account)
	if account == 0 {
		account = d.At(t.slots.olderAccount)
	}
	w.begin(knowngood.ResourceKey{Account: w.name(account), Region: w.name(d.At(t.slots.region)), Type: t.resourceType}, lookup)
	w.raw, w.item = item, nil
	w.note(-1, textOf(d, d.At(t.slots.id)))
	w.unread = w.unread[:0]
	if n := d.At(t.slots.unread); d.Len(n) > 0 {
		if w.unread, err = unreadOf(d, n); err != nil {
			return nil, err
		}
	}
	if t.related {
		w.machine.subject.relationships = relationshipsOf(d, d.At(t.slots.relationships), nil)
	}
	status := knowngood.ItemStatus("")
	if s := textOf(d, d.At(t.slots.status)); strings.HasPrefix(s, string(knowngood.ItemDeleted)) { // or ResourceDeletedNotRecorded
		status = knowngood.ItemDeleted
	}
	for _, p := range t.plans {
		if p.scoped && !w.covers(&p.active.Scope, d, t) {
			continue
		}
		w.evaluate(p, status)
	}
	return w.finish(), nil
}

// parse parses an item with its type's projection; nil where no rule looks at the
// type. Which type it is stands in the item, so the first that the text names and
// that some rule looks at is taken for it, and verified: where that was another's,
// such as one that the item is related to, the item is parsed again.
func (w *Sweep) parse(item []byte) (*typePlan, error) {
	d, t := w.machine.item, w.guess(item)
	var actual string
	if t != nil {
		if err := d.Parse(item, t.projection); err != nil {
			return nil, err
		}
		if actual = textOf(d, d.At(t.slots.resourceType)); actual == t.resourceType {
			return t, nil
		}
	} else {
		if err := w.probe.Parse(item, typeProbe); err != nil {
			return nil, err
		}
		actual = textOf(&w.probe, w.probe.At(typeSlot))
	}
	if t = w.engine.types[actual]; t == nil {
		return nil, nil
	}
	return t, d.Parse(item, t.projection)
}

var (
	typeProbe   = document.NewProjection([][]string{{"resourceType"}})
	typeSlot, _ = typeProbe.Slot([]string{"resourceType"})
)

// guess gives the first type that a text names and that some rule looks at. It looks
// for the end of the member's name, which is rarer than its beginning.
func (w *Sweep) guess(item []byte) *typePlan {
	for text := viewed(item); ; {
		before, rest, found := strings.Cut(text, `Type":`)
		if !found {
			return nil
		}
		text = rest
		if !strings.HasSuffix(before, `"resource`) {
			continue
		}
		if rest = strings.TrimLeft(rest, " \t\r\n"); strings.HasPrefix(rest, `"`) {
			name, _, _ := strings.Cut(rest[1:], `"`)
			if t := w.engine.types[name]; t != nil {
				return t
			}
		}
	}
}

// begin makes ready for an item.
func (w *Sweep) begin(key knowngood.ResourceKey, lookup Lookup) {
	w.key, w.notes, w.noted = key, w.notes[:0], w.noted[:0]
	w.machine.begin()
	w.machine.subject.lookup = lookup
}

// evaluate adds a rule's verdict.
func (w *Sweep) evaluate(p *plan, status knowngood.ItemStatus) {
	m := w.machine
	if status == knowngood.ItemDeleted {
		w.add(p, knowngood.NotApplicable, isDeleted)
		return
	}
	if p.fallback != nil {
		w.interpret(p)
		return
	}
	m.reads = p.others
	if p.applies != nil {
		switch w.predicate(p, p.applies, 0) {
		case no:
			w.add(p, knowngood.NotApplicable, "")
			return
		case bad:
			return
		}
	}
	switch w.predicate(p, p.compliant, 1) {
	case yes:
		w.add(p, knowngood.Compliant, "")
	case no:
		w.annotate(p)
	}
}

// predicate runs a predicate. Where it has no value, which is bad, it adds the
// verdict.
func (w *Sweep) predicate(p *plan, test func(*machine) tri, which int) tri {
	if len(w.unread) > 0 {
		if why := unread(w.unread, p.reads[which]); why != "" {
			w.add(p, knowngood.InsufficientData, why)
			return bad
		}
	}
	m := w.machine
	m.reset()
	result := test(m)
	if m.budget < 0 {
		result, m.err = bad, tooMuch
	}
	if result == bad {
		from := len(w.notes)
		w.notes = append(append(w.notes, notEvaluated...), m.err...)
		w.add(p, knowngood.InsufficientData, "")
		w.close(len(w.out)-1, from)
	}
	return result
}

// annotate adds a NON_COMPLIANT verdict and its text. The verdict stands where the
// text can't be made: the title then says it.
func (w *Sweep) annotate(p *plan) {
	w.add(p, knowngood.NonCompliant, p.active.Rule.Definition.Title)
	if p.annotation == nil || len(w.unread) > 0 && unread(w.unread, p.reads[2]) != "" {
		return
	}
	m := w.machine
	m.reset()
	if v := p.annotation(m); v.kind == kindString && m.budget >= 0 {
		w.note(len(w.out)-1, v.str)
	}
}

// add adds a verdict with a text that lasts.
func (w *Sweep) add(p *plan, c knowngood.Compliance, annotation string) {
	w.out = append(w.out, knowngood.Evaluation{Rule: p.active.Name, Resource: w.key, Compliance: c, Annotation: shorten(annotation), Time: w.now})
}

// note keeps a text that is only valid for the item.
func (w *Sweep) note(evaluation int, text string) {
	from := len(w.notes)
	w.notes = append(w.notes, text...)
	w.close(evaluation, from)
}

func (w *Sweep) close(evaluation, from int) {
	w.noted = append(w.noted, note{evaluation, from, len(w.notes)})
}

// finish makes one string of all texts, which is the one allocation of an item.
func (w *Sweep) finish() []knowngood.Evaluation {
	if len(w.noted) == 0 {
		return w.out
	}
	all := string(w.notes)
	for _, n := range w.noted {
		text := all[n.from:n.to]
		if n.evaluation >= 0 {
			w.out[n.evaluation].Annotation = shorten(text)
			continue
		}
		for i := range w.out {
			w.out[i].Resource.ID = text
		}
	}
	return w.out
}

// interpret evaluates a rule by cel-go, which needs the item as Go's maps.
func (w *Sweep) interpret(p *plan) {
	if w.item == nil {
		item, err := resourceOf(w.raw, &w.probe)
		if err != nil {
			w.add(p, knowngood.InsufficientData, err.Error())
			return
		}
		w.item = item
	}
	c, annotation := p.fallback.verdict(w.item, w.now, w.machine.subject.lookup)
	w.add(p, c, annotation)
}

// name is a text that many items have, one string for all of them.
func (w *Sweep) name(n document.Node) string {
	text := textOf(w.machine.item, n)
	if known, ok := w.names[text]; ok {
		return known
	}
	if len(w.names) > 4096 {
		clear(w.names)
	}
	text = strings.Clone(text)
	w.names[text] = text
	return text
}

// covers is Scope.Covers of an item that was parsed.
func (w *Sweep) covers(s *Scope, d *document.Document, t *typePlan) bool {
	if s.ResourceID != "" && s.ResourceID != textOf(d, d.At(t.slots.id)) {
		return false
	}
	if s.TagKey == "" {
		return true
	}
	tags := d.At(t.slots.tags)
	if d.Kind(tags) != document.Object {
		return false
	}
	n := d.Member(tags, s.TagKey)
	return n != 0 && (s.TagValue == "" || d.Kind(n) == document.String && d.Text(n) == s.TagValue)
}

// textOf is a string's text, "" of anything else.
func textOf(d *document.Document, n document.Node) string {
	if d.Kind(n) != document.String {
		return ""
	}
	return d.Text(n)
}

// shorten cuts a text to what AWS Config takes.
func shorten(s string) string {
	if len(s) <= maxAnnotation || utf8.RuneCountInString(s) <= maxAnnotation {
		return s
	}
	return string([]rune(s)[:maxAnnotation-1]) + "…"
}

var errNoObject = errors.New("the item is no object")

// unreadOf reads what an item says could not be read. An item that says so in a way
// that isn't understood is refused: all of it could be missing.
func unreadOf(d *document.Document, n document.Node) ([]knowngood.ReadError, error) {
	if d.Kind(n) != document.Array {
		return nil, errors.New("the item's unread is no list")
	}
	var list []knowngood.ReadError
	for e := range d.Elements(n) {
		if d.Kind(e) != document.Object {
			return nil, fmt.Errorf("an element of the item's unread is of type %s", d.Kind(e))
		}
		member := func(name string) string { return strings.Clone(textOf(d, d.Member(e, name))) }
		list = append(list, knowngood.ReadError{
			Type: member("resourceType"), ID: member("resourceId"), Path: member("path"),
			Service: member("service"), Operation: member("operation"), Code: member("code"), Message: member("message"),
		})
	}
	return list, nil
}
