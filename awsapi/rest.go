package awsapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The REST protocols put an input's members into the path, the query, headers
// and the body, and an output's into the status, headers and the body.

// s3BucketLabel is the first label of S3's paths. S3's endpoint rules put the
// bucket into the URL, so the path must not have it again.
const s3BucketLabel = "/{Bucket}"

// rest writes the input of a REST protocol.
func (w *requestWriter) rest(s *Shape, in map[string]any) error {
	if err := checkMembers(s, in); err != nil {
		return err
	}
	template := w.op.URI
	if w.op.Service.Name == "s3" {
		template = strings.TrimPrefix(template, s3BucketLabel)
	}
	path, literal, _ := strings.Cut(template, "?")
	var err error
	if w.path, err = fillPath(path, s, in); err != nil {
		return err
	}
	if w.query, err = fillQuery(literal, s, in); err != nil {
		return err
	}
	if err := writeHeaders(w.r.Header, s, in); err != nil {
		return err
	}
	return w.restBody(s, in)
}

// fillPath fills in the labels of a URI template.
func fillPath(template string, s *Shape, in map[string]any) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		label, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", fmt.Errorf("the path %q has a { without }", template)
		}
		name, greedy := strings.CutSuffix(label, "+")
		m := memberAt(s, InURI, name)
		if m == nil {
			return "", fmt.Errorf("the model has no member for {%s} in the path", label)
		}
		v := in[m.Name]
		if v == nil {
			return "", inMember(m.Name, errors.New("it is a part of the path and must be set"))
		}
		text, err := scalarText(m, v, iso8601)
		if err != nil {
			return "", inMember(m.Name, err)
		}
		if text == "" {
			// Without it the path would be that of another operation.
			return "", inMember(m.Name, errors.New("it is a part of the path and must not be empty"))
		}
		b.WriteString(escape(text, greedy))
		template = after
	}
}

// memberAt finds a member by its place and name on the wire.
func memberAt(s *Shape, at Location, name string) *Member {
	for i := range s.Members {
		if m := &s.Members[i]; m.Location == at && m.WireName() == name {
			return m
		}
	}
	return nil
}

// fillQuery gives the query: the template's literal part, then the members, of
// which those that are a map come last and don't overwrite the others.
func fillQuery(literal string, s *Shape, in map[string]any) (string, error) {
	var b strings.Builder
	b.WriteString(literal)
	put := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(key, false) + "=" + escape(value, false))
	}
	named := map[string]bool{}
	for i := range s.Members {
		m := &s.Members[i]
		v := in[m.Name]
		if m.Location != InQuery || v == nil || m.Shape.Type == Map {
			continue
		}
		named[m.WireName()] = true
		values, elem := []any{v}, m
		if m.Shape.Type == List {
			var err error
			if values, err = asList(m.Shape, v); err != nil {
				return "", inMember(m.Name, err)
			}
			elem = m.Shape.Elem
		}
		for _, v := range values {
			if v == nil {
				continue
			}
			text, err := scalarText(elem, v, iso8601)
			if err != nil {
				return "", inMember(m.Name, err)
			}
			put(m.WireName(), text)
		}
	}
	for i := range s.Members {
		m := &s.Members[i]
		if m.Location != InQuery || in[m.Name] == nil || m.Shape.Type != Map {
			continue
		}
		entries, err := asMap(m.Shape, in[m.Name])
		if err != nil {
			return "", inMember(m.Name, err)
		}
		for _, k := range sortedKeys(entries) {
			values, isList := entries[k].([]any)
			if !isList {
				values = []any{entries[k]}
			}
			for _, v := range values {
				if named[k] || v == nil {
					continue
				}
				text, ok := v.(string)
				if !ok {
					return "", inMember(m.Name, inMember(k, fmt.Errorf("wants a string, got %T", v)))
				}
				put(k, text)
			}
		}
	}
	return b.String(), nil
}

// writeHeaders writes the members that are headers, also those that are empty.
func writeHeaders(h http.Header, s *Shape, in map[string]any) error {
	for i := range s.Members {
		m := &s.Members[i]
		v := in[m.Name]
		if v == nil {
			continue
		}
		switch m.Location {
		case InHeader:
			text, err := headerText(m, v)
			if err != nil {
				return inMember(m.Name, err)
			}
			h.Set(m.WireName(), text)
		case InHeaders:
			entries, err := asMap(m.Shape, v)
			if err != nil {
				return inMember(m.Name, err)
			}
			for k, v := range entries {
				text, ok := v.(string)
				if !ok {
					return inMember(m.Name, inMember(k, fmt.Errorf("wants a string, got %T", v)))
				}
				if err := checkHeader(text); err != nil {
					return inMember(m.Name, inMember(k, err))
				}
				h.Set(m.LocationName+k, text)
			}
		}
	}
	return nil
}

// checkHeader refuses what would end a header.
func checkHeader(s string) error {
	if strings.ContainsAny(s, "\r\n\x00") {
		return errors.New("a header can't hold a line end")
	}
	return nil
}

func headerText(m *Member, v any) (string, error) {
	if m.Is(JSONValue) {
		raw, err := appendDocument(nil, v, 0)
		return base64.StdEncoding.EncodeToString(raw), err
	}
	if m.Shape.Type != List {
		text, err := scalarText(m, v, rfc822)
		if err != nil {
			return "", err
		}
		return text, checkHeader(text)
	}
	list, err := asList(m.Shape, v)
	if err != nil {
		return "", err
	}
	var parts []string
	for i, e := range list {
		if e == nil {
			continue
		}
		text, err := scalarText(m.Shape.Elem, e, rfc822)
		if err == nil {
			err = checkHeader(text)
		}
		if err != nil {
			return "", inElement(i, err)
		}
		if m.Shape.Elem.Shape.Type == String && strings.ContainsAny(text, `",`) {
			text = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ","), nil
}

// restBody writes what goes into the body.
func (w *requestWriter) restBody(s *Shape, in map[string]any) error {
	if s.Payload != "" {
		m := s.Member(s.Payload)
		if m == nil {
			return fmt.Errorf("the model has no member %s, which is the payload", s.Payload)
		}
		return w.payload(m, in[m.Name])
	}
	has, modelled := false, false
	for i := range s.Members {
		m := &s.Members[i]
		if m.Location == InBody {
			modelled = true
			has = has || in[m.Name] != nil
		}
	}
	if w.op.Service.Protocol == RESTXML {
		if !has {
			return nil
		}
		name, namespace := s.XMLName, w.op.InputNamespace
		if name == "" {
			name = w.op.InputElement
		}
		if name == "" {
			name = s.Name
		}
		if namespace == "" {
			namespace = s.XMLNamespace
		}
		e := newXMLEncoder()
		err := e.structure(withNamespace(name, namespace, ""), s, in)
		w.r.Body = e.b
		w.contentType("application/xml")
		return err
	}
	if !modelled {
		return nil
	}
	var err error
	w.r.Body, err = appendJSONStructure(nil, s, in)
	w.contentType("application/json")
	return err
}

// contentType sets the type of the body, if no member has, be it to nothing.
func (w *requestWriter) contentType(t string) {
	if _, ok := w.r.Header["Content-Type"]; !ok {
		w.r.Header.Set("Content-Type", t)
	}
}

// payload writes the member that is the whole body.
func (w *requestWriter) payload(m *Member, v any) error {
	var err error
	switch {
	case m.Shape.Type == Blob:
		if r, ok := v.(io.Reader); ok {
			w.r.Stream = r
			w.contentType("application/octet-stream")
		} else if v != nil {
			w.r.Body, err = asBytes(m.Shape, v)
			w.contentType("application/octet-stream")
		}
	case isUnset(m.Shape, v):
		// A union without a member is no payload at all.
	case m.Shape.Type == String:
		if v != nil {
			var text string
			text, err = asString(m.Shape, v)
			w.r.Body = []byte(text)
			w.contentType("text/plain")
		}
	case w.op.Service.Protocol == RESTXML:
		if v != nil {
			e := newXMLEncoder()
			err = e.value(payloadName(m), m, v)
			w.r.Body = e.b
			w.contentType("application/xml")
		}
	case v == nil:
		if m.Shape.Type == Structure && !m.Shape.Is(Union) {
			w.contentType("application/json")
			if !m.Shape.Is(Document) {
				w.r.Body = []byte("{}")
			}
		}
	default:
		w.r.Body, err = appendJSON(nil, m, v)
		w.contentType("application/json")
	}
	if err != nil {
		return inMember(m.Name, err)
	}
	return nil
}

// payloadName is the root element's name of a payload: that which the model gives
// its place, that of its shape, or, if the place has no more than the member's own
// name in small letters, which is no element's, the shape's name.
func payloadName(m *Member) string {
	switch {
	case m.LocationName != "" && m.LocationName != m.Name:
		return m.LocationName
	case m.Shape.XMLName != "":
		return m.Shape.XMLName
	case m.LocationName == "" || m.LocationName[0] >= 'a':
		return m.Shape.Name
	}
	return m.LocationName
}

// isUnset says whether a value is a union without any member.
func isUnset(s *Shape, v any) bool {
	in, ok := v.(map[string]any)
	return ok && s.Is(Union) && len(in) == 0
}

// matchPath fits a path, escaped and without query, to a template's. The
// labels' values are escaped. A greedy label takes as much as it can.
func matchPath(template, path string, labels map[string]string) bool {
	for {
		before, rest, ok := strings.Cut(template, "{")
		tail, fits := strings.CutPrefix(path, before)
		if !fits {
			// "/a/" is as good as "/a" at the end of a path.
			return !ok && strings.TrimSuffix(path, "/") == strings.TrimSuffix(before, "/")
		}
		if !ok {
			return tail == "" || tail == "/"
		}
		label, after, _ := strings.Cut(rest, "}")
		name, greedy := strings.CutSuffix(label, "+")
		end := strings.IndexByte(tail, '/')
		switch {
		case greedy:
			// What follows a greedy label in the template must end the path.
			if !strings.HasSuffix(tail, after) {
				return false
			}
			end = len(tail) - len(after)
		case end < 0:
			end = len(tail)
		}
		if before, _, _ := strings.Cut(after, "{"); !greedy && before != "" && before[0] != '/' {
			// A label that ends within a segment: {name}:verb.
			if end = strings.Index(tail, before); end < 0 {
				return false
			}
		}
		if end <= 0 {
			return false
		}
		labels[name] = tail[:end]
		path, template = tail[end:], after
	}
}
