package awsapi

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// codec writes a service into bytes, or reads it back. One traversal serves
// both directions, so that they can't differ.
//
// A blob is a table of the service's distinct texts followed by its model, in
// which a text is an index into that table and a shape an index into the
// service's shapes. Reading makes one allocation for all texts, and one for
// each kind of thing.
type codec struct {
	reading bool
	err     error

	out     []byte         // writing
	index   map[string]int // writing: where a text is in the table
	shapeAt map[*Shape]int // writing

	in      []byte   // reading: what is left
	texts   []string // the table
	shapes  []Shape
	members []Member       // reading: what is left of the slab
	traits  []MemberTraits // likewise
	lists   []string       // likewise: enums and the like
	errors  []*Shape       // likewise
}

// sizes are how many there are of what is read into slabs.
type sizes struct{ members, traits, lists, errors int }

// The fewest bytes that one of a thing is written in. They bound the memory
// that a corrupt pack can ask for to a small multiple of its size.
const (
	leastText = 1
	leastAny  = 1
	// leastMember is name, shape, wire name, location, flags, traits.
	leastMember = 6
	// leastTraits are five texts.
	leastTraits = 5
	// leastShape is name, type, flags, members, enum, rare.
	leastShape = 6
	// leastOperation are nine texts, response code, input, output, errors, and
	// seven more.
	leastOperation = 19
)

var errCorrupt = errors.New("awsapi: the model pack is corrupt")

func (c *codec) fail() {
	if c.err == nil {
		c.err = errCorrupt
	}
	c.in = nil
}

func encodeService(s *Service) []byte {
	c := &codec{index: map[string]int{}, shapeAt: map[*Shape]int{}}
	for i := range s.shapes {
		c.shapeAt[&s.shapes[i]] = i
	}
	c.service(s)
	body := c.out
	c.out = nil
	lengths := make([]byte, 0, len(c.texts))
	var all strings.Builder
	for _, t := range c.texts {
		lengths = binary.AppendUvarint(lengths, uint64(len(t)))
		all.WriteString(t)
	}
	out := binary.AppendUvarint(nil, uint64(len(c.texts)))
	out = append(out, lengths...)
	out = append(out, all.String()...)
	return append(out, body...)
}

func decodeService(raw []byte) (*Service, error) {
	c := &codec{reading: true, in: raw}
	n := c.count(0, leastText)
	lengths := make([]int, n)
	total := 0
	for i := range lengths {
		lengths[i] = int(c.uint(0) & math.MaxInt32)
		total += lengths[i]
	}
	if c.err != nil || total > len(c.in) {
		return nil, errCorrupt
	}
	all := string(c.in[:total])
	c.in = c.in[total:]
	c.texts = make([]string, n)
	for i, l := range lengths {
		c.texts[i], all = all[:l], all[l:]
	}
	s := &Service{}
	c.service(s)
	if c.err == nil && len(c.in) != 0 {
		c.fail()
	}
	if c.err != nil {
		return nil, c.err
	}
	return s, nil
}

// uint writes v, or reads and returns a number.
func (c *codec) uint(v uint64) uint64 {
	if !c.reading {
		c.out = binary.AppendUvarint(c.out, v)
		return v
	}
	v, n := binary.Uvarint(c.in)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.in = c.in[n:]
	return v
}

// count is uint for the length of a list, each of whose elements takes at least
// so many bytes: what is read is never more than the bytes that are left have
// room for.
func (c *codec) count(n, least int) int {
	v := c.uint(uint64(n))
	if c.reading && v > uint64(len(c.in)/least) {
		c.fail()
		return 0
	}
	return int(v)
}

func (c *codec) text(p *string) {
	if c.reading {
		if i := c.uint(0); i < uint64(len(c.texts)) {
			*p = c.texts[i]
		} else {
			c.fail()
		}
		return
	}
	i, ok := c.index[*p]
	if !ok {
		i = len(c.texts)
		c.index[*p] = i
		c.texts = append(c.texts, *p)
	}
	c.uint(uint64(i))
}

func (c *codec) bool(p *bool) {
	var v uint64
	if *p {
		v = 1
	}
	*p = c.uint(v) != 0
}

func (c *codec) int(p *int) { *p = int(c.uint(uint64(*p))) }

func (c *codec) float(p *float64) { *p = math.Float64frombits(c.uint(math.Float64bits(*p))) }

// list codes a list whose elements are coded by each.
func list[T any](c *codec, p *[]T, least int, each func(*T)) {
	n := c.count(len(*p), least)
	if c.reading && n > 0 {
		*p = make([]T, n)
	}
	for i := range *p {
		each(&(*p)[i])
	}
}

// slabList is list with the elements in a slab, for lists that are many.
func slabList[T any](c *codec, p *[]T, slab *[]T, each func(*T)) {
	n := c.count(len(*p), leastAny)
	if c.reading && n > 0 {
		*p = take(c, slab, n)
	}
	for i := range *p {
		each(&(*p)[i])
	}
}

func (c *codec) strings(p *[]string) { slabList(c, p, &c.lists, c.text) }

// value codes a JSON value as its text.
func (c *codec) value(p *any) {
	var s string
	if !c.reading {
		raw, err := json.Marshal(*p)
		if err != nil {
			c.err = err
			return
		}
		s = string(raw)
	}
	c.text(&s)
	if c.reading && c.err == nil && json.Unmarshal([]byte(s), p) != nil {
		c.fail()
	}
}

// shape codes a reference to a shape, nil included.
func (c *codec) shape(p **Shape) {
	if c.reading {
		switch i := c.uint(0); {
		case i == 0:
			*p = nil
		case i <= uint64(len(c.shapes)):
			*p = &c.shapes[i-1]
		default:
			c.fail()
		}
		return
	}
	if *p == nil {
		c.uint(0)
		return
	}
	c.uint(uint64(c.shapeAt[*p] + 1))
}

func (c *codec) service(s *Service) {
	for _, p := range []*string{&s.Name, &s.APIVersion, &s.ServiceID, &s.FullName, &s.EndpointPrefix, &s.SigningName, &s.SignatureVersion,
		(*string)(&s.Protocol), &s.TargetPrefix, &s.JSONVersion, &s.XMLNamespace, &s.GlobalEndpoint} {
		c.text(p)
	}
	c.text(&s.HTTP2)
	c.bool(&s.QueryCompatible)

	var n sizes
	if !c.reading {
		n = measure(s)
	}
	n.members, n.traits = c.count(n.members, leastMember), c.count(n.traits, leastTraits)
	n.lists, n.errors = c.count(n.lists, leastText), c.count(n.errors, leastAny)
	if c.reading {
		c.members, c.traits, c.lists, c.errors = make([]Member, n.members), make([]MemberTraits, n.traits), make([]string, n.lists), make([]*Shape, n.errors)
	}
	c.strings(&s.Auth)
	c.strings(&s.Protocols)
	shapes := c.count(len(s.shapes), leastShape)
	if c.reading {
		s.shapes = make([]Shape, shapes)
	}
	c.shapes = s.shapes
	for i := range s.shapes {
		c.shapeBody(&s.shapes[i])
	}
	list(c, &s.ops, leastOperation, func(o *Operation) { o.Service = s; c.operation(o) })
	list(c, &s.paginators, leastAny, c.paginator)
	list(c, &s.waiters, leastAny, c.waiter)
	list(c, &s.context, leastAny, func(p *ClientContextParam) { c.text(&p.Name); c.text(&p.Type) })
	rules := string(s.ruleSet)
	c.text(&rules)
	if c.reading {
		s.ruleSet = json.RawMessage(rules)
	}
}

func measure(s *Service) sizes {
	n := sizes{lists: len(s.Auth) + len(s.Protocols)}
	count := func(m *Member) {
		if m != nil {
			n.members++
			if m.Traits != nil {
				n.traits++
			}
		}
	}
	for i := range s.shapes {
		sh := &s.shapes[i]
		n.lists += len(sh.Enum)
		for j := range sh.Members {
			count(&sh.Members[j])
		}
		count(sh.Elem)
		count(sh.Key)
	}
	for i := range s.ops {
		o := &s.ops[i]
		n.errors += len(o.Errors)
		n.lists += len(o.Auth) + len(o.ChecksumAlgorithms) + len(o.RequestCompression)
	}
	for i := range s.paginators {
		p := &s.paginators[i]
		n.lists += len(p.InputToken) + len(p.OutputToken) + len(p.ResultKey) + len(p.NonAggregate)
	}
	return n
}

// take gives n elements of a slab.
func take[T any](c *codec, slab *[]T, n int) []T {
	if n > len(*slab) {
		c.fail()
		return nil
	}
	out := (*slab)[:n:n]
	*slab = (*slab)[n:]
	return out
}

func (c *codec) shapeBody(s *Shape) {
	c.text(&s.Name)
	s.Type = ShapeType(c.uint(uint64(s.Type)))
	s.Flags = ShapeFlags(c.uint(uint64(s.Flags)))
	n := c.count(len(s.Members), leastMember)
	if c.reading && n > 0 {
		s.Members = take(c, &c.members, n)
	}
	for i := range s.Members {
		c.member(&s.Members[i])
	}
	switch s.Type {
	case List:
		c.place(&s.Elem)
	case Map:
		c.place(&s.Key)
		c.place(&s.Elem)
	}
	if s.Type > Timestamp {
		c.fail()
	}
	c.strings(&s.Enum)
	if s.Flags&HasMin != 0 {
		c.float(&s.Min)
	}
	if s.Flags&HasMax != 0 {
		c.float(&s.Max)
	}
	// What few shapes have, behind one byte that is zero for the others.
	rare := !c.reading && (s.Pattern != "" || s.Payload != "" || s.Code != "" || s.Status != 0 || s.TimestampFormat != "" || s.XMLName != "" || s.XMLNamespace != "")
	c.bool(&rare)
	if rare {
		for _, p := range []*string{&s.Pattern, &s.Payload, &s.Code, &s.TimestampFormat, &s.XMLName, &s.XMLNamespace, &s.XMLPrefix} {
			c.text(p)
		}
		c.int(&s.Status)
	}
}

// place codes the member of a list or map, which is always there.
func (c *codec) place(p **Member) {
	if c.reading {
		slab := take(c, &c.members, 1)
		if slab == nil {
			return
		}
		*p = &slab[0]
	}
	c.member(*p)
}

func (c *codec) member(m *Member) {
	c.text(&m.Name)
	c.shape(&m.Shape)
	if c.reading && m.Shape == nil {
		c.fail()
	}
	// The wire name is a flag's worth where it is the member's own.
	c.text(&m.LocationName)
	m.Location = Location(c.uint(uint64(m.Location)))
	m.Flags = MemberFlags(c.uint(uint64(m.Flags)))
	has := m.Traits != nil
	c.bool(&has)
	if !has {
		return
	}
	if c.reading {
		slab := take(c, &c.traits, 1)
		if slab == nil {
			return
		}
		m.Traits = &slab[0]
	}
	for _, p := range []*string{&m.Traits.QueryName, &m.Traits.ContextParam, &m.Traits.XMLNamespace, &m.Traits.XMLPrefix, &m.Traits.TimestampFormat} {
		c.text(p)
	}
}

func (c *codec) operation(o *Operation) {
	for _, p := range []*string{&o.Name, &o.Method, &o.URI, &o.AuthType, &o.HostPrefix, &o.ResultWrapper, &o.InputElement, &o.InputNamespace, &o.ChecksumMember} {
		c.text(p)
	}
	c.int(&o.ResponseCode)
	c.shape(&o.Input)
	c.shape(&o.Output)
	slabList(c, &o.Errors, &c.errors, func(p **Shape) {
		c.shape(p)
		if c.reading && *p == nil {
			c.fail()
		}
	})
	c.bool(&o.ChecksumRequired)
	c.bool(&o.UnsignedPayload)
	c.bool(&o.Idempotent)
	c.bool(&o.ReadOnly)
	// What few operations have, behind one byte that is zero for the others.
	rare := !c.reading && (len(o.Auth)+len(o.ChecksumAlgorithms)+len(o.RequestCompression) > 0 || o.ChecksumModeMember != "" || o.EndpointDiscovery || o.Deprecated)
	c.bool(&rare)
	if rare {
		c.strings(&o.Auth)
		c.strings(&o.ChecksumAlgorithms)
		c.strings(&o.RequestCompression)
		c.text(&o.ChecksumModeMember)
		c.bool(&o.EndpointDiscovery)
		c.bool(&o.Deprecated)
	}
	list(c, &o.Static, leastAny, func(p *StaticContextParam) { c.text(&p.Name); c.value(&p.Value) })
	list(c, &o.OpContext, leastAny, func(p *OperationContextParam) { c.text(&p.Name); c.text(&p.Path) })
}

func (c *codec) paginator(p *Paginator) {
	c.text(&p.Operation)
	c.strings(&p.InputToken)
	c.strings(&p.OutputToken)
	c.strings(&p.ResultKey)
	c.strings(&p.NonAggregate)
	c.text(&p.MoreResults)
	c.text(&p.LimitKey)
}

func (c *codec) waiter(w *Waiter) {
	c.text(&w.Name)
	c.text(&w.Operation)
	seconds := int(w.Delay / time.Second)
	c.int(&seconds)
	w.Delay = time.Duration(seconds) * time.Second
	c.int(&w.MaxAttempts)
	list(c, &w.Acceptors, leastAny, func(a *Acceptor) {
		c.text(&a.Matcher)
		c.text(&a.Argument)
		c.text(&a.State)
		c.value(&a.Expected)
	})
}

// checkService says whether a service that was read is one that the rest of the
// package can rely on.
func checkService(s *Service, name string) error {
	if s.Name != name {
		return fmt.Errorf("%w: it has %q under the name %q", errCorrupt, s.Name, name)
	}
	return nil
}
