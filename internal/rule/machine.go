package rule

import (
	"encoding/json"
	"time"
	"unsafe"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/iampolicy"
	"github.com/knowngood/knowngood/internal/document"
)

// Bounds of one evaluation.
const (
	maxSteps   = 1_000_000 // elements that macros and comparisons go through
	maxScratch = 16 << 20  // bytes of texts that are made
)

// machine is what an evaluation works with. Its buffers are used again for each
// item; values of an item are gone with the next.
type machine struct {
	now   value
	item  *document.Document   // the item under evaluation: docs[0]
	docs  []*document.Document // it, and those that it led to
	free  []uint32             // those of docs that aren't in use
	own   []uint32             // those that hold JSON texts of the item
	err   string               // why the predicate that was evaluated last is bad
	vars  []value              // of macros
	stack []value              // what is being put together
	arena []value              // elements of lists and maps: first constants, then what expressions made
	fixed int                  // constants in the arena

	scratch  []byte // texts that expressions made
	budget   int    // steps left
	portList []ports
	textList []string

	decoded  map[string]value               // JSON texts of the item, by the text
	found    map[*knowngood.Resource]uint32 // documents of resources that were looked up
	policies map[string]parsedPolicy
	answers  map[question]bool

	subject subject // what look-ups start from
	reads   map[string][]string
}

// question is one that was asked of a policy, and with what.
type question struct {
	function string
	policy   *iampolicy.Policy
	list     string
}

// reset makes the machine ready for an expression, keeping what it knows of the
// item.
func (m *machine) reset() {
	m.arena = m.arena[:m.fixed]
	m.scratch = m.scratch[:0]
	m.budget = maxSteps
}

// keep copies values to the arena, as a list or a map.
func (m *machine) keep(k kind, values []value) value {
	from := len(m.arena)
	m.arena = append(m.arena, values...)
	return span(k, from, len(m.arena))
}

// drop takes values off the stack.
func (m *machine) drop(to int) { m.stack = m.stack[:to] }

// step counts one element; false where there have been too many.
func (m *machine) step() bool {
	m.budget--
	return m.budget >= 0
}

const tooMuch = "the evaluation takes too long"

// at is what is in a slot of the item; null where nothing is.
func (m *machine) at(slot int) value { return node(m.item, 0, m.item.At(slot)) }

// node is a value of a document, the doc-th of the machine. One that is not there
// is null.
func node(d *document.Document, doc uint32, n document.Node) value {
	switch d.Kind(n) {
	case document.String:
		return value{kind: kindString, str: d.Text(n)}
	case document.Bool:
		return boolValue(d.Bool(n))
	case document.Int:
		return intValue(d.Int(n))
	case document.Double:
		f, ok := d.Double(n)
		if !ok {
			return value{str: "a number is out of range"}
		}
		return doubleValue(f)
	case document.Array:
		return value{kind: kindNodeList, sub: doc, num: uint64(n)}
	case document.Object:
		return value{kind: kindNodeMap, sub: doc, num: uint64(n)}
	}
	return value{kind: kindNull}
}

// member is a map's member. One of a document that is null is not there.
func (m *machine) member(v value, name string) (value, bool) {
	if v.kind == kindNodeMap {
		d := m.docs[v.sub]
		found := node(d, v.sub, d.Member(document.Node(v.num), name))
		return found, found.kind != kindNull
	}
	from, to := v.span()
	for i := from; i < to; i += 2 {
		if m.arena[i].str == name {
			return m.arena[i+1], true
		}
	}
	return value{}, false
}

// element is a list's element by its index, which may be a double that is whole.
func (m *machine) element(list, index value) value {
	i := index.int()
	if index.kind == kindDouble {
		i = int64(index.double())
		if float64(i) != index.double() {
			return value{str: "the index is no whole number"}
		}
	} else if index.kind != kindInt {
		return value{str: "the index is no number"}
	}
	if i < 0 || i >= m.size(list) {
		return value{str: "index out of range"}
	}
	if list.kind == kindList {
		from, _ := list.span()
		return m.arena[from+int(i)]
	}
	d := m.docs[list.sub]
	n := d.FirstElement(document.Node(list.num))
	for range i {
		n = d.NextElement(document.Node(list.num), n)
	}
	return node(d, list.sub, n)
}

// size is the number of a list's elements, or of a map's members that aren't null.
func (m *machine) size(v value) int64 {
	from, to := v.span()
	switch v.kind {
	case kindList:
		return int64(to - from)
	case kindMap:
		return int64(to-from) / 2
	case kindNodeList:
		return int64(m.docs[v.sub].Len(document.Node(v.num)))
	}
	n := int64(0)
	d := m.docs[v.sub]
	for k := d.FirstMember(document.Node(v.num)); k != 0; k = d.NextMember(document.Node(v.num), k) {
		if d.Kind(k+1) != document.Null {
			n++
		}
	}
	return n
}

// iterator goes through a list's elements or a map's keys.
type iterator struct {
	value value // the one that next came to
	of    value
	at    uint32 // the next, in the arena or in the document
	end   uint32
}

func (m *machine) iterate(v value) iterator {
	it := iterator{of: v}
	switch v.kind {
	case kindList, kindMap:
		from, to := v.span()
		it.at, it.end = uint32(from), uint32(to)
	case kindNodeList:
		it.at = uint32(m.docs[v.sub].FirstElement(document.Node(v.num)))
	case kindNodeMap:
		it.at = uint32(m.docs[v.sub].FirstMember(document.Node(v.num)))
	}
	return it
}

// next goes to the next one; false where there is none, or where the evaluation has
// gone through too many.
func (it *iterator) next(m *machine) bool {
	if !m.step() {
		return false
	}
	parent := document.Node(it.of.num)
	switch it.of.kind {
	case kindList, kindMap:
		if it.at >= it.end {
			return false
		}
		it.value = m.arena[it.at]
		it.at++
		if it.of.kind == kindMap {
			it.at++
		}
		return true
	case kindNodeList:
		if it.at == 0 {
			return false
		}
		d, n := m.docs[it.of.sub], document.Node(it.at)
		it.value = node(d, it.of.sub, n)
		it.at = uint32(d.NextElement(parent, n))
		return true
	case kindNodeMap:
		d := m.docs[it.of.sub]
		for it.at != 0 {
			k := document.Node(it.at)
			it.at = uint32(d.NextMember(parent, k))
			if d.Kind(k+1) != document.Null {
				it.value = stringValue(d.Text(k))
				return true
			}
		}
	}
	return false
}

// elements gives the elements of a list in one slice, which is good until the next
// call; false for what is no list.
func (m *machine) elements(v value) ([]value, bool) {
	if !v.isList() {
		return nil, false
	}
	if v.kind == kindNodeList {
		base := len(m.stack)
		for it := m.iterate(v); it.next(m); {
			m.stack = append(m.stack, it.value)
		}
		v = m.keep(kindList, m.stack[base:])
		m.drop(base)
	}
	from, to := v.span()
	return m.arena[from:to], true
}

// texts gives a list of texts, which is good until the next call; false for what is
// none.
func (m *machine) texts(v value) ([]string, bool) {
	elements, ok := m.elements(v)
	if !ok {
		return nil, false
	}
	m.textList = m.textList[:0]
	for _, e := range elements {
		if e.kind != kindString {
			return nil, false
		}
		m.textList = append(m.textList, e.str)
	}
	return m.textList, true
}

// concat is a text after another, in the scratch buffer.
func (m *machine) concat(a, b string) value {
	if len(m.scratch)+len(a)+len(b) > maxScratch {
		return value{str: tooMuch}
	}
	from := len(m.scratch)
	m.scratch = append(append(m.scratch, a...), b...)
	return stringValue(m.scratched(from))
}

// scratched is the text in the scratch buffer from an offset on. What is there is
// not changed before the machine is reset, and texts don't outlive that.
func (m *machine) scratched(from int) string {
	text := m.scratch[from:]
	return unsafe.String(unsafe.SliceData(text), len(text))
}

func (m *machine) concatLists(a, b value) value {
	base := len(m.stack)
	defer m.drop(base)
	for _, list := range [2]value{a, b} {
		for it := m.iterate(list); it.next(m); {
			m.stack = append(m.stack, it.value)
		}
	}
	if m.budget < 0 {
		return value{str: tooMuch}
	}
	return m.keep(kindList, m.stack[base:])
}

// bridge evaluates a function of a timestamp or a duration as cel-go does.
func (m *machine) bridge(function string, args []value) value {
	own := make([]ref.Val, len(args))
	for i, a := range args {
		own[i] = m.toCEL(a)
	}
	switch v := own[0].(type) {
	case types.Timestamp:
		if len(args) == 1 { // without a time zone they are of UTC
			v.Time = v.UTC()
		}
		return m.fromCEL(v.Receive(function, "", own[1:]))
	case types.Duration:
		return m.fromCEL(v.Receive(function, "", own[1:]))
	}
	return errNoOverload
}

func newMachine(now time.Time) *machine {
	m := &machine{
		now: timeValue(now.UTC()), item: &document.Document{}, budget: maxSteps,
		decoded: map[string]value{}, found: map[*knowngood.Resource]uint32{}, policies: map[string]parsedPolicy{}, answers: map[question]bool{},
	}
	m.docs = append(m.docs, m.item)
	return m
}

// maxFound bounds the looked-up resources whose documents are kept from item to
// item.
const maxFound = 4096

// begin makes the machine ready for another item.
func (m *machine) begin() {
	if len(m.own) > 0 {
		m.free = append(m.free, m.own...)
		m.own = m.own[:0]
		clear(m.decoded)
	}
	if len(m.found) > maxFound {
		m.forget()
	}
}

// forget lets go of the resources that were looked up.
func (m *machine) forget() {
	for _, doc := range m.found {
		m.free = append(m.free, doc)
	}
	clear(m.found)
}

// document gives a document that isn't in use, by its number.
func (m *machine) document() uint32 {
	if n := len(m.free); n > 0 {
		doc := m.free[n-1]
		m.free = m.free[:n-1]
		return doc
	}
	m.docs = append(m.docs, &document.Document{})
	return uint32(len(m.docs) - 1)
}

// decode reads a JSON document that an item holds as text, once for all rules.
func (m *machine) decode(text string) value {
	if v, ok := m.decoded[text]; ok {
		return v
	}
	doc := m.document()
	m.own = append(m.own, doc)
	d := m.docs[doc]
	v := value{str: "json: the text is no JSON document"}
	if err := d.Parse([]byte(plainJSON(text)), nil); err == nil {
		v = node(d, doc, d.Root())
	}
	m.decoded[text] = v
	return v
}

// jsonOf is a value as JSON.
func (m *machine) jsonOf(v value) string {
	if v.kind == kindNodeMap {
		return string(m.docs[v.sub].AppendJSON(nil, document.Node(v.num)))
	}
	raw, err := json.Marshal(m.native(v))
	if err != nil { // of what is no JSON, such as a duration in a map that an expression made
		return ""
	}
	return string(raw)
}

// resource is a resource that was looked up, as a map.
func (m *machine) resource(r *knowngood.Resource) value {
	doc, ok := m.found[r]
	if !ok {
		doc = m.document()
		if err := m.docs[doc].Build(envelope(nil, r), m.subject.projections[r.Type]); err != nil {
			m.free = append(m.free, doc)
			return errorValue("%s %s: %v", r.Type, r.ID, err)
		}
		m.found[r] = doc
	}
	return value{kind: kindNodeMap, sub: doc, num: uint64(m.docs[doc].Root())}
}

// lookup calls one of the functions that read other resources.
func (m *machine) lookup(name string, args []value) value {
	switch name {
	case "lookup":
		r, err := m.subject.find(m.reads, args[0].str, args[1].str)
		switch {
		case err != nil:
			return value{str: err.Error()}
		case r == nil:
			return value{kind: kindMap}
		}
		return m.resource(r)
	case "related":
		return m.resources(m.subject.related(m.reads, args[0].str))
	}
	return m.resources(m.subject.all(m.reads, args[0].str))
}

func (m *machine) resources(list []*knowngood.Resource, err error) value {
	if err != nil {
		return value{str: err.Error()}
	}
	base := len(m.stack)
	defer m.drop(base)
	for _, r := range list {
		v := m.resource(r)
		if v.isError() {
			return v
		}
		m.stack = append(m.stack, v)
	}
	return m.keep(kindList, m.stack[base:])
}
