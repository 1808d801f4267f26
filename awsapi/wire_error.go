package awsapi

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"
)

// decodeError makes an *Error of a response that is one, whatever its body. A
// body that is not the protocol's, as the HTML page of a load balancer, leaves
// what the status says.
func (o *Operation) decodeError(status int, h http.Header, text string) *Error {
	e := &Error{Status: status, RequestID: requestID(h), Service: o.Service.Name, Operation: o.Name, Header: h}
	var err error
	switch o.Service.Protocol {
	case EC2, Query, RESTXML:
		err = o.decodeXMLError(e, text)
	case CBOR:
		var body any = map[string]any{}
		if text != "" {
			d := &cborDecoder{s: text}
			body, err = d.any()
		}
		if err == nil {
			err = o.decodeMapError(e, h, body, text)
		}
	default:
		var body any = map[string]any{}
		if text != "" {
			body, err = parseJSON(text)
		}
		if err == nil {
			err = o.decodeMapError(e, h, body, text)
		}
	}
	if e.Code == "" {
		e.Code = strconv.Itoa(status)
	}
	if e.Message == "" && err != nil {
		e.Message = http.StatusText(status)
	}
	if err != nil {
		e.Err = err
	}
	queryCode := o.queryError(e, h)
	shape := o.errorShape(e.Code)
	if queryCode != "" {
		e.Code = queryCode
	}
	if shape != nil && err == nil {
		if e.Fields, err = o.decodeErrorFields(shape, status, h, text); err != nil {
			e.Fields, e.Err = nil, err
		}
	}
	if e.Message == "" {
		if e.Message, _ = e.Fields["Message"].(string); e.Message == "" {
			e.Message, _ = e.Fields["message"].(string)
		}
	}
	if e.Message == "" && text == "" {
		e.Message = http.StatusText(status)
	}
	e.classify(shape)
	return e
}

// queryError reads the header in which a service that once spoke the query
// protocol sends that protocol's code: "AWS.SimpleQueueService.NonExistentQueue;Sender".
func (o *Operation) queryError(e *Error, h http.Header) string {
	code, fault, ok := strings.Cut(h.Get("X-Amzn-Query-Error"), ";")
	if !ok || code == "" {
		return ""
	}
	e.Fault = queryFault(fault)
	return code
}

func queryFault(s string) smithy.ErrorFault {
	switch s {
	case "Sender", "Client":
		return smithy.FaultClient
	case "Receiver", "Server":
		return smithy.FaultServer
	}
	return smithy.FaultUnknown
}

// errorElement is the part of an error document that holds the code: <Error>,
// which is the root, or in <ErrorResponse>, or in <Response><Errors>.
func errorElement(root *xmlNode) *xmlNode {
	if root.name == "Error" {
		return root
	}
	if e := root.child("Error"); e != nil {
		return e
	}
	return root.child("Errors").child("Error")
}

func (o *Operation) decodeXMLError(e *Error, text string) error {
	if isXMLSpace(text) {
		return nil // S3's answer to HEAD
	}
	root, err := parseXMLTree(text)
	if err != nil {
		return err
	}
	element := errorElement(root)
	if element == nil {
		return errors.New("the body is no error document; its root element is <" + clip(root.name) + ">")
	}
	e.Code, e.Message = element.value("Code"), element.value("Message", "message")
	e.Fault = queryFault(element.value("Type"))
	for _, n := range []*xmlNode{root, element} {
		if id := n.value("RequestId", "RequestID", "requestId"); id != "" {
			e.RequestID = id
		}
	}
	if region := element.value("Region"); region != "" && e.Header != nil && e.Header.Get(bucketRegionHeader) == "" {
		e.Header = e.Header.Clone()
		e.Header.Set(bucketRegionHeader, region)
	}
	return nil
}

// decodeMapError reads the error of a JSON or CBOR body.
func (o *Operation) decodeMapError(e *Error, h http.Header, body any, text string) error {
	fields, ok := body.(map[string]any)
	if !ok {
		return errors.New("the body is not an object")
	}
	for _, name := range []string{"message", "Message", "errorMessage"} {
		if m, ok := fields[name].(string); ok && e.Message == "" {
			e.Message = m
		}
	}
	code := h.Get("X-Amzn-Errortype")
	for _, name := range []string{"__type", "code", "Code"} {
		if code == "" {
			code, _ = fields[name].(string)
		}
	}
	// "aws.protocoltests#FooError:http://..." is FooError.
	code, _, _ = strings.Cut(code, ":")
	e.Code = code[strings.LastIndexByte(code, '#')+1:]
	return nil
}

// decodeErrorFields reads the members that the model has for an error.
func (o *Operation) decodeErrorFields(s *Shape, status int, h http.Header, text string) (map[string]any, error) {
	out := map[string]any{}
	switch o.Service.Protocol {
	case CBOR:
		return decodeCBORBody(s, text)
	case JSON:
		return decodeJSONBody(s, text, out)
	case RESTJSON:
		if err := readHeaders(s, status, h, out); err != nil {
			return nil, err
		}
		return o.decodeRESTBody(s, text, out)
	case RESTXML:
		if err := readHeaders(s, status, h, out); err != nil {
			return nil, err
		}
	}
	if isXMLSpace(text) {
		return out, nil
	}
	x, err := newXMLScanner(text)
	if err != nil {
		return nil, err
	}
	d := xmlDecoder{xmlScanner: x}
	name, err := d.root()
	for err == nil && name != "Error" {
		var ok bool
		if name, ok, err = d.open(); err == nil && !ok {
			return out, nil
		}
		if err == nil && name != "Error" && name != "Errors" {
			err = d.skip()
		}
	}
	if err != nil {
		return nil, err
	}
	return d.structure(s, out, 0)
}
