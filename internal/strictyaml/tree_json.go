package strictyaml

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
)

// json reads JSON. Only its own decoder knows where a line with tabs begins.
func (r *reader) json(data []byte) (*Node, error) {
	j := &jsonReader{reader: r, data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	j.dec.UseNumber()
	n, err := j.value(1)
	if err == nil {
		if _, err = j.dec.Token(); errors.Is(err, io.EOF) {
			return n, nil
		}
		if err == nil {
			err = errors.New("text after the end of the " + r.Noun)
		}
	}
	var at *knowngood.FileError
	if errors.As(err, &at) {
		return nil, err
	}
	p := j.position(j.dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		p = j.position(syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the " + r.Noun + " ends too early")
	}
	return nil, r.fail(p, err.Error(), "JSON")
}

type jsonReader struct {
	*reader
	data []byte
	dec  *json.Decoder
	// The position of an offset, kept so that finding the next is cheap.
	offset    int64
	line, col int
}

// position is that of the first byte at or after offset that is no space,
// comma or colon.
func (j *jsonReader) position(offset int64) knowngood.Position {
	for offset < int64(len(j.data)) && strings.IndexByte(" \t\r\n,:", j.data[offset]) >= 0 {
		offset++
	}
	if offset < j.offset || j.line == 0 {
		j.offset, j.line, j.col = 0, 1, 1
	}
	for ; j.offset < offset && j.offset < int64(len(j.data)); j.offset++ {
		if j.data[j.offset] == '\n' {
			j.line, j.col = j.line+1, 1
		} else {
			j.col++
		}
	}
	return j.place(j.line, j.col)
}

func (j *jsonReader) value(depth int) (*Node, error) {
	n := &Node{Pos: j.position(j.dec.InputOffset())}
	if err := j.count(n.Pos, depth); err != nil {
		return nil, err
	}
	t, err := j.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			n.Kind = List
			for j.dec.More() {
				item, err := j.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.List = append(n.List, item)
			}
		} else {
			n.Kind = Map
			seen := map[string]bool{}
			for j.dec.More() {
				pos := j.position(j.dec.InputOffset())
				key, err := j.dec.Token()
				if err != nil {
					return nil, err
				}
				name, ok := key.(string)
				if !ok {
					return nil, j.fail(pos, "a key that is no text", "a text as key")
				}
				if seen[name] {
					return nil, j.fail(pos, fmt.Sprintf("the key %q is there twice", name), "")
				}
				seen[name] = true
				value, err := j.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.Fields = append(n.Fields, Field{Name: name, Pos: pos, Value: value})
			}
		}
		_, err = j.dec.Token() // the closing bracket
		return n, err
	case json.Number:
		n.Scalar = Number(t)
	default:
		n.Scalar = t
	}
	return n, nil
}

// Number is a JSON number as int64 where it fits, else as float64; one
// that is too large for both stays text.
func Number(n json.Number) any {
	if i, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return string(n)
	}
	return f
}
