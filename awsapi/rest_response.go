package awsapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// readHeaders reads the members that are headers or the status.
func readHeaders(s *Shape, status int, h http.Header, out map[string]any) error {
	for i := range s.Members {
		m := &s.Members[i]
		switch m.Location {
		case InStatus:
			if status != 0 {
				out[m.Name] = int64(status)
			}
		case InHeader:
			values := h[http.CanonicalHeaderKey(m.WireName())]
			if len(values) == 0 {
				continue
			}
			v, err := parseHeader(m, strings.Join(values, ","))
			if err != nil {
				return inMember(m.Name, err)
			}
			if v != nil {
				out[m.Name] = v
			}
		case InHeaders:
			entries := map[string]any{}
			for name, values := range h {
				if len(name) >= len(m.LocationName) && strings.EqualFold(name[:len(m.LocationName)], m.LocationName) {
					key := name[len(m.LocationName):]
					// Names of headers have no case, so all are shown in small letters.
					entries[strings.ToLower(key)] = strings.Join(values, ",")
				}
			}
			out[m.Name] = entries
		}
	}
	return nil
}

func parseHeader(m *Member, text string) (any, error) {
	if m.Is(JSONValue) {
		raw, err := decodeBase64(text)
		if err != nil {
			return nil, err
		}
		return parseJSON(string(raw))
	}
	if m.Shape.Type != List {
		return parseScalar(m.Shape, text)
	}
	parts, err := splitHeader(m.Shape.Elem, text)
	if err != nil {
		return nil, err
	}
	out := make([]any, 0, len(parts))
	for i, part := range parts {
		v, err := parseScalar(m.Shape.Elem.Shape, part)
		if err != nil {
			return nil, inElement(i, err)
		}
		out = append(out, v)
	}
	return out, nil
}

// splitHeader splits a header that is a list, whose texts may be quoted, and
// whose HTTP dates have commas of their own.
func splitHeader(elem *Member, text string) ([]string, error) {
	if elem.Shape.Type == Timestamp && timeFormat(elem, rfc822) == rfc822 {
		parts := strings.Split(text, ",")
		if len(parts)%2 != 0 {
			return nil, fmt.Errorf("%q is not a list of HTTP dates", clip(text))
		}
		var out []string
		for i := 0; i < len(parts); i += 2 {
			out = append(out, strings.TrimSpace(parts[i]+","+parts[i+1]))
		}
		return out, nil
	}
	var out []string
	for {
		text = strings.TrimLeft(text, " \t")
		if !strings.HasPrefix(text, `"`) {
			part, rest, more := strings.Cut(text, ",")
			out = append(out, strings.TrimSpace(part))
			if !more {
				return out, nil
			}
			text = rest
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(text) && text[i] != '"'; i++ {
			if text[i] == '\\' && i+1 < len(text) {
				i++
			}
			b.WriteByte(text[i])
		}
		if i >= len(text) {
			return nil, fmt.Errorf("%q has a quote that is not closed", clip(text))
		}
		out = append(out, b.String())
		text = strings.TrimLeft(text[i+1:], " \t")
		if text == "" {
			return out, nil
		}
		if text[0] != ',' {
			return nil, fmt.Errorf("%q has text behind a quote", clip(text))
		}
		text = text[1:]
	}
}

// decodeRESTBody reads a body of a REST protocol into out, of which headers
// have given a part. It serves inputs, outputs and errors.
func (o *Operation) decodeRESTBody(s *Shape, text string, out map[string]any) (map[string]any, error) {
	if s.Payload != "" {
		m := s.Member(s.Payload)
		if m == nil {
			return nil, fmt.Errorf("the model has no member %s, which is the payload", s.Payload)
		}
		v, err := o.decodePayload(m, text)
		if err != nil {
			return nil, inMember(m.Name, err)
		}
		if v != nil {
			out[m.Name] = v
		}
		return out, nil
	}
	if !hasBody(s) {
		return out, nil
	}
	if o.Service.Protocol == RESTXML {
		return o.decodeXMLBody(s, text, out)
	}
	return decodeJSONBody(s, text, out)
}

// isInBody says whether a member that is read may be in the body: in an output,
// the places of a request mean nothing.
func isInBody(m *Member) bool {
	return m.Location == InBody || m.Location == InQuery || m.Location == InURI
}

// hasBody says whether any member is in the body.
func hasBody(s *Shape) bool {
	for i := range s.Members {
		if isInBody(&s.Members[i]) {
			return true
		}
	}
	return false
}

func (o *Operation) decodePayload(m *Member, text string) (any, error) {
	switch {
	case text == "":
		return nil, nil
	case m.Shape.Type == Blob:
		return []byte(text), nil
	case m.Shape.Type == String:
		return text, nil
	case o.Service.Protocol != RESTXML:
		d, err := newJSONDecoder(text)
		if err != nil {
			return nil, err
		}
		v, err := d.value(m, 0)
		if err != nil {
			return nil, err
		}
		return v, d.end()
	case m.Shape.Type == Structure:
		return asAny(o.decodeXMLBody(m.Shape, text, nil))
	}
	x, err := newXMLScanner(text)
	if err != nil {
		return nil, err
	}
	d := xmlDecoder{xmlScanner: x}
	if _, err := d.root(); err != nil {
		return nil, err
	}
	v, err := d.value(m, 0)
	if err != nil {
		return nil, err
	}
	return v, d.end()
}

// decodeXMLBody reads a whole document, whatever its root element's name.
func (o *Operation) decodeXMLBody(s *Shape, text string, into map[string]any) (map[string]any, error) {
	if into == nil {
		into = map[string]any{}
	}
	if isXMLSpace(text) {
		return into, nil
	}
	x, err := newXMLScanner(text)
	if err != nil {
		return nil, err
	}
	d := xmlDecoder{xmlScanner: x}
	name, err := d.root()
	if err != nil {
		return nil, err
	}
	switch {
	case strings.EqualFold(name, "html"):
		return nil, errors.New("the response is an HTML page")
	case o.Service.Name == "s3" && o.Name == "GetBucketLocation" && s == o.Output:
		// The root element itself is the value.
		v, err := d.text()
		if err != nil {
			return nil, err
		}
		if v != "" {
			into["LocationConstraint"] = v
		}
		return into, d.end()
	}
	out, err := d.structure(s, into, 0)
	if err != nil {
		return nil, err
	}
	return out, d.end()
}
