package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/aws/smithy-go"
)

// EncodeResponse writes an output as the service would, in the service's
// protocol. Nothing has been written when it gives an error about the output.
func (o *Operation) EncodeResponse(w http.ResponseWriter, out map[string]any, requestID string) error {
	return o.encodeResponse(w, o.Service.Protocol, out, requestID)
}

// WriteResponse is EncodeResponse in the protocol that the client speaks.
func (sr *ServerRequest) WriteResponse(w http.ResponseWriter, out map[string]any, requestID string) error {
	return sr.Operation.encodeResponse(w, sr.Protocol, out, requestID)
}

// EncodeError writes an error as the service would, in the service's protocol.
func (o *Operation) EncodeError(w http.ResponseWriter, e *Error, requestID string) error {
	return encodeError(w, o.Service, o, o.Service.Protocol, e, requestID)
}

// WriteError is EncodeError in the protocol that the client speaks. It serves
// also for a request that was not understood; without a service it writes JSON.
func (sr *ServerRequest) WriteError(w http.ResponseWriter, e *Error, requestID string) error {
	return encodeError(w, sr.Service, sr.Operation, sr.Protocol, e, requestID)
}

func (o *Operation) encodeResponse(w http.ResponseWriter, p Protocol, out map[string]any, requestID string) error {
	shape := o.Output
	if shape == nil {
		shape = &Shape{}
	}
	header := http.Header{}
	body, stream, err := o.encodeOutput(header, p, shape, out, requestID)
	if err != nil {
		return fmt.Errorf("awsapi: output of %s %s: %w", o.Service.Name, o.Name, err)
	}
	status := o.ResponseCode
	if status == 0 {
		status = http.StatusOK
	}
	for i := range shape.Members {
		if m := &shape.Members[i]; m.Location == InStatus && out[m.Name] != nil {
			n, err := asInt(m.Shape, out[m.Name])
			if err != nil || n < 200 || n > 599 {
				return fmt.Errorf("awsapi: output of %s %s: %s: %v is not a status", o.Service.Name, o.Name, m.Name, out[m.Name])
			}
			status = int(n)
		}
	}
	if o.Service.Name == "s3" && out["ContentRange"] != nil {
		status = http.StatusPartialContent // of which the models say nothing
	}
	if status == http.StatusNoContent && len(body) > 0 {
		status = http.StatusOK // some models have a body where HTTP has none
	}
	return send(w, o, header, status, body, stream, requestID)
}

// send writes a response.
func send(w http.ResponseWriter, o *Operation, header http.Header, status int, body []byte, stream io.Reader, requestID string) error {
	h := w.Header()
	for name, values := range header {
		h[name] = values
	}
	if requestID != "" {
		h.Set("X-Amzn-Requestid", requestID)
		if o != nil && o.Service.Name == "s3" {
			h.Set("X-Amz-Request-Id", requestID)
		}
	}
	if o != nil && o.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		w.WriteHeader(status)
		return nil
	}
	if stream != nil {
		w.WriteHeader(status)
		_, err := io.Copy(w, stream)
		return err
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

func (o *Operation) encodeOutput(h http.Header, p Protocol, s *Shape, out map[string]any, requestID string) (body []byte, stream io.Reader, err error) {
	switch p {
	case EC2, Query:
		h.Set("Content-Type", "text/xml;charset=UTF-8")
		body, err = o.encodeQueryOutput(p, s, out, requestID)
	case JSON:
		h.Set("Content-Type", "application/x-amz-json-"+o.Service.JSONVersion)
		if o.Output != nil {
			body, err = appendJSONStructure(nil, s, out)
		}
	case CBOR:
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		h.Set("Content-Type", cborType)
		body, err = appendCBORStructure(nil, s, out)
	default:
		return o.encodeRESTOutput(h, s, out)
	}
	return body, nil, err
}

func (o *Operation) encodeQueryOutput(p Protocol, s *Shape, out map[string]any, requestID string) ([]byte, error) {
	e := newXMLEncoder()
	e.query = true
	root := o.Name + "Response"
	e.start(withNamespace(root, o.Service.outputNamespace(), ""))
	if p == EC2 {
		e.element = "item"
		e.leaf("requestId", requestID)
		if o.Output == nil {
			e.leaf("return", "true")
		}
		if err := e.checked(s, out); err != nil {
			return nil, err
		}
		e.end(root)
		return e.b, nil
	}
	if o.Output != nil {
		wrapper := o.ResultWrapper
		if wrapper == "" {
			wrapper = o.Name + "Result"
		}
		if err := e.structure(wrapper, s, out); err != nil {
			return nil, err
		}
	}
	e.start("ResponseMetadata")
	e.leaf("RequestId", requestID)
	e.end("ResponseMetadata")
	e.end(root)
	return e.b, nil
}

// outputNamespace is the namespace of a query service's documents.
func (s *Service) outputNamespace() string {
	if s.XMLNamespace != "" {
		return s.XMLNamespace
	}
	if s.Protocol == EC2 {
		return "http://ec2.amazonaws.com/doc/" + s.APIVersion + "/"
	}
	return ""
}

// checked writes the members of a structure after it has checked them.
func (e *xmlEncoder) checked(s *Shape, in map[string]any) error {
	if err := checkMembers(s, in); err != nil {
		return err
	}
	return e.members(s, in)
}

func (e *xmlEncoder) leaf(name, text string) {
	e.start(name)
	e.b = appendXMLText(e.b, text)
	e.end(name)
}

func (o *Operation) encodeRESTOutput(h http.Header, s *Shape, out map[string]any) ([]byte, io.Reader, error) {
	if err := checkMembers(s, out); err != nil {
		return nil, nil, err
	}
	if err := writeHeaders(h, s, out); err != nil {
		return nil, nil, err
	}
	keepCase(h, s, out)
	w := &requestWriter{op: o, r: &Request{Header: h}}
	if s.Payload != "" {
		m := s.Member(s.Payload)
		if m == nil {
			return nil, nil, fmt.Errorf("the model has no member %s, which is the payload", s.Payload)
		}
		if out[m.Name] == nil {
			return nil, nil, nil
		}
		err := w.payload(m, out[m.Name])
		return w.r.Body, w.r.Stream, err
	}
	s = inBody(s)
	if !hasBody(s) {
		return nil, nil, nil
	}
	if o.Service.Protocol == RESTJSON {
		w.contentType("application/json")
		body, err := appendJSONStructure(nil, s, out)
		return body, nil, err
	}
	w.contentType("application/xml")
	e := newXMLEncoder()
	e.b = append(e.b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"...)
	if o.Service.Name == "s3" && o.Name == "GetBucketLocation" {
		text, _ := out["LocationConstraint"].(string)
		e.start(withNamespace("LocationConstraint", o.Service.s3Namespace(), ""))
		e.b = appendXMLText(e.b, text)
		e.end("LocationConstraint")
		return e.b, nil, nil
	}
	name := s.XMLName
	if name == "" {
		name = o.Name + "Result"
	}
	namespace := s.XMLNamespace
	if namespace == "" {
		namespace = o.Service.s3Namespace()
	}
	err := e.structure(withNamespace(name, namespace, ""), s, out)
	return e.b, nil, err
}

// keepCase gives headers that are a map's entries their own names back, of which
// http.Header makes other ones: boto3 shows them as they come.
func keepCase(h http.Header, s *Shape, out map[string]any) {
	for i := range s.Members {
		m := &s.Members[i]
		entries, err := asMap(m.Shape, out[m.Name])
		if m.Location != InHeaders || err != nil {
			continue
		}
		for k := range entries {
			name := m.LocationName + k
			values := h.Values(name)
			h.Del(name)
			h[name] = values
		}
	}
}

// inBody is a shape whose members with a place in a request are in the body, for
// that place means nothing in a response.
func inBody(s *Shape) *Shape {
	out := s
	for i := range s.Members {
		if m := &s.Members[i]; m.Location == InQuery || m.Location == InURI {
			if out == s {
				other := *s
				other.Members = slices.Clone(s.Members)
				out = &other
			}
			out.Members[i].Location = InBody
		}
	}
	return out
}

func (s *Service) s3Namespace() string {
	if s.XMLNamespace == "" && s.Name == "s3" {
		return "http://s3.amazonaws.com/doc/2006-03-01/"
	}
	return s.XMLNamespace
}

// encodeError writes an error. s and o may be nil.
func encodeError(w http.ResponseWriter, s *Service, o *Operation, p Protocol, e *Error, requestID string) error {
	if e == nil {
		return errors.New("awsapi: no error to write")
	}
	var shape *Shape
	if o != nil {
		shape = o.errorShape(e.Code)
	}
	status := e.Status
	if status < 300 {
		switch {
		case shape != nil && shape.Status != 0:
			status = shape.Status
		case e.Fault == smithy.FaultServer || shape != nil && shape.Is(Fault):
			status = http.StatusInternalServerError
		default:
			status = http.StatusBadRequest
		}
	}
	fields := map[string]any{}
	if shape != nil {
		for k, v := range e.Fields {
			if shape.Member(k) != nil && v != nil {
				fields[k] = v
			}
		}
	}
	h := http.Header{}
	var body []byte
	var err error
	switch p {
	case EC2, Query, RESTXML:
		body, err = encodeXMLError(h, s, p, shape, fields, status, e, requestID)
	default:
		body, err = encodeMapError(h, s, p, shape, fields, status, e)
	}
	if err != nil {
		return fmt.Errorf("awsapi: error %s: %w", e.Code, err)
	}
	return send(w, o, h, status, body, nil, requestID)
}

func fault(status int) string {
	if status >= 500 {
		return "Receiver"
	}
	return "Sender"
}

func encodeXMLError(h http.Header, s *Service, p Protocol, shape *Shape, fields map[string]any, status int, e *Error, requestID string) ([]byte, error) {
	x := newXMLEncoder()
	content := func() error {
		x.leaf("Code", e.Code)
		x.leaf("Message", e.Message)
		delete(fields, "Message")
		delete(fields, "message")
		delete(fields, "Code")
		if shape == nil {
			return nil
		}
		if err := writeHeaders(h, shape, fields); err != nil {
			return err
		}
		return x.members(shape, fields)
	}
	switch {
	case p == EC2:
		h.Set("Content-Type", "text/xml;charset=UTF-8")
		x.b = append(x.b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Response><Errors><Error>"...)
		if err := content(); err != nil {
			return nil, err
		}
		x.b = append(x.b, "</Error></Errors>"...)
		x.leaf("RequestID", requestID)
		x.end("Response")
	case s != nil && s.Name == "s3":
		h.Set("Content-Type", "application/xml")
		x.b = append(x.b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Error>"...)
		if err := content(); err != nil {
			return nil, err
		}
		if region := e.Header.Get(bucketRegionHeader); region != "" {
			h.Set(bucketRegionHeader, region)
			x.leaf("Region", region)
		}
		x.leaf("RequestId", requestID)
		x.end("Error")
	default:
		h.Set("Content-Type", "text/xml")
		x.start(withNamespace("ErrorResponse", s.outputNamespace(), ""))
		x.start("Error")
		x.leaf("Type", fault(status))
		if err := content(); err != nil {
			return nil, err
		}
		x.end("Error")
		x.leaf("RequestId", requestID)
		x.end("ErrorResponse")
	}
	return x.b, nil
}

func encodeMapError(h http.Header, s *Service, p Protocol, shape *Shape, fields map[string]any, status int, e *Error) ([]byte, error) {
	code := e.Code
	if shape != nil {
		code = shape.Name
	}
	if s != nil && s.QueryCompatible {
		h.Set("X-Amzn-Query-Error", e.Code+";"+fault(status))
	}
	// The message goes where the model has it.
	message := "message"
	if shape != nil && shape.Member("message") == nil && shape.Member("Message") != nil {
		message = "Message"
	}
	if shape == nil || shape.Member(message) == nil {
		shape = withMessage(shape, message)
	}
	if fields[message] == nil {
		fields[message] = e.Message
	}
	switch p {
	case CBOR:
		h.Set("Smithy-Protocol", "rpc-v2-cbor")
		h.Set("Content-Type", cborType)
		fields["__type"] = code
		return appendCBORStructure(nil, withMessage(shape, "__type"), fields)
	case RESTJSON:
		h.Set("Content-Type", "application/json")
		h.Set("X-Amzn-Errortype", code)
		if err := writeHeaders(h, shape, fields); err != nil {
			return nil, err
		}
		return appendJSONStructure(nil, shape, fields)
	case JSON:
		h.Set("Content-Type", "application/x-amz-json-"+s.JSONVersion)
		fields["__type"] = code
		return appendJSONStructure(nil, withMessage(shape, "__type"), fields)
	}
	h.Set("Content-Type", "application/json")
	return json.Marshal(map[string]string{"__type": e.Code, "message": e.Message})
}

// withMessage is a shape with one more member, a text.
func withMessage(s *Shape, name string) *Shape {
	if s == nil {
		s = &Shape{Name: "Error"}
	}
	with := *s
	with.Members = append([]Member{{Name: name, Shape: &Shape{Type: String}}}, s.Members...)
	return &with
}
