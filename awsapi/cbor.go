package awsapi

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"
)

// The protocol smithy-rpc-v2-cbor: bodies are CBOR, RFC 8949.

const cborType = "application/cbor"

// Major types.
const (
	cborUint   = 0
	cborNegint = 1
	cborBytes  = 2
	cborText   = 3
	cborArray  = 4
	cborMap    = 5
	cborTag    = 6
	cborOther  = 7
)

const (
	cborFalse      = 0xf4
	cborTrue       = 0xf5
	cborNull       = 0xf6
	cborUndefined  = 0xf7
	cborBreak      = 0xff
	cborIndefinite = 31
)

// appendCBORHead writes a major type and its number in the shortest form.
func appendCBORHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendCBORText(b []byte, s string) []byte {
	return append(appendCBORHead(b, cborText, uint64(len(s))), s...)
}

func appendCBORInt(b []byte, n int64) []byte {
	if n < 0 {
		return appendCBORHead(b, cborNegint, uint64(-1-n))
	}
	return appendCBORHead(b, cborUint, uint64(n))
}

func appendCBORFloat(b []byte, s *Shape, f float64) []byte {
	if s.Type == Float && float64(float32(f)) == f || math.IsInf(f, 0) || math.IsNaN(f) {
		return binary.BigEndian.AppendUint32(append(b, cborOther<<5|26), math.Float32bits(float32(f)))
	}
	return binary.BigEndian.AppendUint64(append(b, cborOther<<5|27), math.Float64bits(f))
}

// appendCBOR writes a value by its shape.
func appendCBOR(b []byte, m *Member, v any) ([]byte, error) {
	if v == nil {
		return append(b, cborNull), nil
	}
	switch s := m.Shape; s.Type {
	case Structure:
		in, err := asMap(s, v)
		if err != nil {
			return nil, err
		}
		return appendCBORStructure(b, s, in)
	case List:
		list, err := asList(s, v)
		if err != nil {
			return nil, err
		}
		b = appendCBORHead(b, cborArray, uint64(len(list)))
		for i, e := range list {
			if b, err = appendCBOR(b, s.Elem, e); err != nil {
				return nil, inElement(i, err)
			}
		}
		return b, nil
	case Map:
		in, err := asMap(s, v)
		if err != nil {
			return nil, err
		}
		b = appendCBORHead(b, cborMap, uint64(len(in)))
		for _, k := range sortedKeys(in) {
			if b, err = appendCBOR(appendCBORText(b, k), s.Elem, in[k]); err != nil {
				return nil, inMember(k, err)
			}
		}
		return b, nil
	default:
		return appendCBORScalar(b, s, v)
	}
}

func appendCBORScalar(b []byte, s *Shape, v any) ([]byte, error) {
	switch s.Type {
	case String:
		t, err := asString(s, v)
		return appendCBORText(b, t), err
	case Integer, Long:
		n, err := asInt(s, v)
		return appendCBORInt(b, n), err
	case Float, Double:
		f, err := asFloat(s, v)
		return appendCBORFloat(b, s, f), err
	case Boolean:
		t, err := asBool(s, v)
		if t {
			return append(b, cborTrue), err
		}
		return append(b, cborFalse), err
	case Blob:
		raw, err := asBytes(s, v)
		return append(appendCBORHead(b, cborBytes, uint64(len(raw))), raw...), err
	case Timestamp:
		t, err := asTime(s, v)
		if err != nil {
			return nil, err
		}
		b = appendCBORHead(b, cborTag, 1) // seconds since 1970
		if ms := t.UnixMilli(); ms%1000 != 0 {
			return binary.BigEndian.AppendUint64(append(b, cborOther<<5|27), math.Float64bits(float64(ms)/1000)), nil
		}
		return appendCBORInt(b, t.Unix()), nil
	}
	return nil, fmt.Errorf("the model has the unknown %s", s.Type)
}

func appendCBORStructure(b []byte, s *Shape, in map[string]any) ([]byte, error) {
	if err := checkMembers(s, in); err != nil {
		return nil, err
	}
	n := 0
	for _, v := range in {
		if v != nil {
			n++
		}
	}
	b = appendCBORHead(b, cborMap, uint64(n))
	for i := range s.Members {
		m := &s.Members[i]
		v := in[m.Name]
		if v == nil {
			continue
		}
		var err error
		if b, err = appendCBOR(appendCBORText(b, m.WireName()), m, v); err != nil {
			return nil, inMember(m.Name, err)
		}
	}
	return b, nil
}

// cborDecoder reads values from CBOR. The document stands whole in memory.
type cborDecoder struct {
	s     string
	pos   int
	depth int
}

// decodeCBORBody reads a whole document. An empty one is as good as an empty map.
func decodeCBORBody(s *Shape, text string) (map[string]any, error) {
	if text == "" {
		return map[string]any{}, nil
	}
	d := &cborDecoder{s: text}
	out, err := d.structure(s)
	if err == nil && d.pos < len(d.s) {
		err = d.errorf("bytes after the document")
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (d *cborDecoder) errorf(format string, args ...any) error {
	return fmt.Errorf("%s, at offset %d", fmt.Sprintf(format, args...), d.pos)
}

func (d *cborDecoder) cut() error {
	return fmt.Errorf("the document ends at offset %d: %w", len(d.s), io.ErrUnexpectedEOF)
}

// head reads a major type and its number. indefinite is whether the item's
// length is not said before it.
func (d *cborDecoder) head() (major, info byte, n uint64, err error) {
	if d.pos >= len(d.s) {
		return 0, 0, 0, d.cut()
	}
	c := d.s[d.pos]
	major, info = c>>5, c&31
	size := 0
	switch {
	case info < 24:
		n = uint64(info)
	case info <= 27:
		size = 1 << (info - 24)
	case info == cborIndefinite && (major >= cborBytes && major <= cborMap || c == cborBreak):
	default:
		return 0, 0, 0, d.errorf("the malformed initial byte %#x", c)
	}
	if len(d.s)-d.pos-1 < size {
		return 0, 0, 0, d.cut()
	}
	for _, c := range []byte(d.s[d.pos+1 : d.pos+1+size]) {
		n = n<<8 | uint64(c)
	}
	d.pos += 1 + size
	return major, info, n, nil
}

// take gives the next n bytes.
func (d *cborDecoder) take(n uint64) (string, error) {
	if n > uint64(len(d.s)-d.pos) {
		return "", d.cut()
	}
	t := d.s[d.pos : d.pos+int(n)]
	d.pos += int(n)
	return t, nil
}

// atBreak reads the byte that ends an item of indefinite length, if it comes.
func (d *cborDecoder) atBreak() bool {
	if d.pos < len(d.s) && d.s[d.pos] == cborBreak {
		d.pos++
		return true
	}
	return false
}

// each calls fn for the items of an array or the pairs of a map.
func (d *cborDecoder) each(info byte, n uint64, fn func() error) error {
	if d.depth++; d.depth > maxNesting {
		return errNested
	}
	defer func() { d.depth-- }()
	for i := uint64(0); info == cborIndefinite || i < n; i++ {
		if info == cborIndefinite && d.atBreak() {
			return nil
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}

// text reads the rest of a byte or text string.
func (d *cborDecoder) text(major, info byte, n uint64) (string, error) {
	var t string
	var err error
	if info != cborIndefinite {
		t, err = d.take(n)
	} else {
		var b []byte
		err = d.each(info, 0, func() error {
			m, i, n, err := d.head()
			if err != nil {
				return err
			}
			if m != major || i == cborIndefinite {
				return d.errorf("a chunk of a string that is not one")
			}
			chunk, err := d.take(n)
			b = append(b, chunk...)
			return err
		})
		t = string(b)
	}
	if err == nil && major == cborText && !utf8.ValidString(t) {
		err = d.errorf("a text that is not UTF-8")
	}
	return t, err
}

// key reads a map's key, which is a text.
func (d *cborDecoder) key() (string, error) {
	major, info, n, err := d.head()
	if err != nil {
		return "", err
	}
	if major != cborText {
		return "", d.errorf("a key that is not a text")
	}
	return d.text(major, info, n)
}

// any reads a value whose shape is not known.
func (d *cborDecoder) any() (any, error) {
	major, info, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case cborUint, cborNegint:
		if n > math.MaxInt64 {
			return nil, d.errorf("an integer beyond 64 bits")
		}
		if major == cborNegint {
			return -1 - int64(n), nil
		}
		return int64(n), nil
	case cborBytes:
		t, err := d.text(major, info, n)
		return []byte(t), err
	case cborText:
		return asAny(d.text(major, info, n))
	case cborArray:
		out := []any{}
		err := d.each(info, n, func() error {
			v, err := d.any()
			out = append(out, v)
			return err
		})
		return out, err
	case cborMap:
		out := map[string]any{}
		err := d.each(info, n, func() error {
			k, err := d.key()
			if err != nil {
				return err
			}
			out[k], err = d.any()
			return err
		})
		return out, err
	case cborTag:
		if d.depth++; d.depth > maxNesting {
			return nil, errNested
		}
		v, err := d.any()
		d.depth--
		if err != nil || n != 1 {
			return v, err
		}
		return d.epoch(v)
	}
	return d.other(info, n)
}

// epoch is the value of tag 1.
func (d *cborDecoder) epoch(v any) (any, error) {
	switch v := v.(type) {
	case int64:
		if v >= -maxEpoch && v <= maxEpoch {
			return time.Unix(v, 0).UTC(), nil
		}
	case float64:
		return asAny(floatTime(v))
	}
	return nil, d.errorf("a time that is not a number of seconds")
}

// other reads what is neither number, string nor container.
func (d *cborDecoder) other(info byte, n uint64) (any, error) {
	switch cborOther<<5 | info {
	case cborFalse:
		return false, nil
	case cborTrue:
		return true, nil
	case cborNull, cborUndefined:
		return nil, nil
	}
	switch info {
	case 25:
		return halfFloat(uint16(n)), nil
	case 26:
		return float64(math.Float32frombits(uint32(n))), nil
	case 27:
		return math.Float64frombits(n), nil
	}
	return nil, d.errorf("the unknown simple value %d", n)
}

// halfFloat is a number of 16 bits, RFC 8949 appendix D.
func halfFloat(h uint16) float64 {
	exp, mant := int(h>>10&31), float64(h&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(mant, -24)
	case 31:
		if f = math.Inf(1); mant != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(mant+1024, exp-25)
	}
	if h&0x8000 != 0 {
		return -f
	}
	return f
}

func (d *cborDecoder) structure(s *Shape) (map[string]any, error) {
	major, info, n, err := d.head()
	if err != nil {
		return nil, err
	}
	if major != cborMap {
		return nil, d.errorf("the model has a structure, the document does not")
	}
	return d.members(s, info, n)
}

func (d *cborDecoder) members(s *Shape, info byte, n uint64) (map[string]any, error) {
	out := map[string]any{}
	at := 0
	err := d.each(info, n, func() error {
		name, err := d.key()
		if err != nil {
			return err
		}
		m, next := jsonMember(s, name, at)
		if m == nil {
			_, err := d.any()
			return err
		}
		at = next
		v, err := d.value(m)
		if err != nil {
			return inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
		return nil
	})
	return out, err
}

// value reads a value by its shape.
func (d *cborDecoder) value(m *Member) (any, error) {
	s := m.Shape
	start := d.pos
	major, info, n, err := d.head()
	if err != nil {
		return nil, err
	}
	switch {
	case major == cborMap && s.Type == Structure && !s.Is(Document):
		return asAny(d.members(s, info, n))
	case major == cborMap && s.Type == Map:
		out := map[string]any{}
		err := d.each(info, n, func() error {
			k, err := d.key()
			if err != nil {
				return err
			}
			v, err := d.value(s.Elem)
			if err != nil {
				return inMember(k, err)
			}
			if v != nil || s.Is(Sparse) {
				out[k] = v
			}
			return nil
		})
		return out, err
	case major == cborArray && s.Type == List:
		out := []any{}
		err := d.each(info, n, func() error {
			v, err := d.value(s.Elem)
			if err != nil {
				return inElement(len(out), err)
			}
			out = append(out, v)
			return nil
		})
		return out, err
	}
	d.pos = start
	v, err := d.any()
	if err != nil || v == nil || s.Is(Document) {
		return v, err
	}
	return d.convert(s, v)
}

// convert makes a scalar what its shape asks for.
func (d *cborDecoder) convert(s *Shape, v any) (any, error) {
	switch s.Type {
	case String:
		if _, ok := v.(string); ok {
			return v, nil
		}
	case Integer, Long:
		if n, err := asInt(s, v); err == nil {
			return n, nil
		}
	case Float, Double:
		if f, err := asFloat(s, v); err == nil {
			return f, nil
		}
	case Boolean:
		if _, ok := v.(bool); ok {
			return v, nil
		}
	case Blob:
		if _, ok := v.([]byte); ok {
			return v, nil
		}
	case Timestamp:
		if _, ok := v.(string); !ok {
			return asAny(asTime(s, v))
		}
	}
	return nil, d.errorf("a %T where the model has a %s", v, s.Type)
}
