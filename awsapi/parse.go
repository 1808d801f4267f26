package awsapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// Source is one service's files as botocore has them. Only Service is needed.
type Source struct {
	Service    []byte // service-2.json, its sdk-extras merged
	Paginators []byte // paginators-1.json, its sdk-extras merged
	Waiters    []byte // waiters-2.json
	RuleSet    []byte // endpoint-rule-set-1.json
}

// ParseService makes a service of botocore's model files.
func ParseService(name string, src Source) (*Service, error) {
	var doc sourceDoc
	if err := json.Unmarshal(src.Service, &doc); err != nil {
		return nil, fmt.Errorf("awsapi: model of %s: %w", name, err)
	}
	p := parser{doc: &doc, index: map[string]*Shape{}}
	s := &Service{
		Name: name, APIVersion: doc.Metadata.APIVersion, ServiceID: doc.Metadata.ServiceID, FullName: doc.Metadata.FullName,
		EndpointPrefix: doc.Metadata.EndpointPrefix, SigningName: doc.Metadata.SigningName,
		SignatureVersion: doc.Metadata.SignatureVersion, TargetPrefix: doc.Metadata.TargetPrefix,
		JSONVersion: doc.Metadata.JSONVersion, XMLNamespace: doc.Metadata.XMLNamespace.URI, GlobalEndpoint: doc.Metadata.GlobalEndpoint,
		QueryCompatible: doc.Metadata.QueryCompatible != nil, Auth: doc.Metadata.Auth, Protocols: doc.Metadata.Protocols,
		HTTP2: doc.Metadata.ProtocolSettings.H2,
	}
	if s.SigningName == "" {
		s.SigningName = s.EndpointPrefix
	}
	s.Protocol = chooseProtocol(doc.Metadata.Protocol, doc.Metadata.Protocols)
	if s.Protocol == "" {
		return nil, fmt.Errorf("awsapi: model of %s: unknown protocol %q", name, doc.Metadata.Protocol)
	}
	if len(s.Protocols) == 0 {
		s.Protocols = []string{doc.Metadata.Protocol}
	}
	if err := p.parseShapes(s); err != nil {
		return nil, fmt.Errorf("awsapi: model of %s: %w", name, err)
	}
	if err := p.parseOperations(s); err != nil {
		return nil, fmt.Errorf("awsapi: model of %s: %w", name, err)
	}
	for n, c := range doc.ClientContextParams {
		s.context = append(s.context, ClientContextParam{Name: n, Type: c.Type})
	}
	sort.Slice(s.context, func(i, j int) bool { return s.context[i].Name < s.context[j].Name })
	if err := parsePaginators(s, src.Paginators); err != nil {
		return nil, fmt.Errorf("awsapi: paginators of %s: %w", name, err)
	}
	if err := parseWaiters(s, src.Waiters); err != nil {
		return nil, fmt.Errorf("awsapi: waiters of %s: %w", name, err)
	}
	if len(src.RuleSet) > 0 {
		compact, err := stripDocumentation(src.RuleSet)
		if err != nil {
			return nil, fmt.Errorf("awsapi: endpoint rules of %s: %w", name, err)
		}
		s.ruleSet = compact
	}
	return s, nil
}

// chooseProtocol takes the first of a service's protocols in the order in which
// botocore prefers them.
func chooseProtocol(protocol string, protocols []string) Protocol {
	if len(protocols) == 0 {
		protocols = []string{protocol}
	}
	for _, want := range []Protocol{JSON, RESTJSON, RESTXML, CBOR, Query, EC2} {
		for _, p := range protocols {
			if Protocol(p) == want {
				return want
			}
		}
	}
	return ""
}

// What botocore's service-2.json holds, as far as it is used.
type (
	sourceDoc struct {
		Metadata struct {
			APIVersion, ServiceID, EndpointPrefix, SigningName, SignatureVersion, Protocol, TargetPrefix, JSONVersion, GlobalEndpoint string
			FullName                                                                                                                  string `json:"serviceFullName"`
			Protocols                                                                                                                 []string
			Auth                                                                                                                      []string
			ProtocolSettings                                                                                                          struct{ H2 string }
			XMLNamespace                                                                                                              namespace
			QueryCompatible                                                                                                           *struct{} `json:"awsQueryCompatible"`
		}
		Operations          map[string]sourceOperation
		Shapes              map[string]sourceShape
		ClientContextParams map[string]struct{ Type string }
	}
	sourceOperation struct {
		Name string
		HTTP struct {
			Method, RequestURI string
			ResponseCode       json.Number
		}
		Input, Output        *sourceMember
		Errors               []sourceMember
		AuthType             string
		Auth                 []string
		Endpoint             struct{ HostPrefix string }
		HTTPChecksumRequired bool
		HTTPChecksum         struct {
			RequestChecksumRequired     bool
			RequestAlgorithmMember      string
			RequestValidationModeMember string
			ResponseAlgorithms          []string
		}
		RequestCompression               struct{ Encodings []string }
		EndpointDiscovery                struct{ Required bool }
		Idempotent, ReadOnly, Deprecated bool
		UnsignedPayload                  bool
		StaticContextParams              map[string]struct{ Value any }
		OperationContextParams           map[string]struct{ Path string }
	}
	sourceShape struct {
		Type        string
		Members     orderedMembers
		Required    []string
		Member      *sourceMember
		Key, Value  *sourceMember
		Enum        []string
		Pattern     string
		Min, Max    *float64
		Sensitive   bool
		Document    bool
		Union       bool
		Streaming   bool
		EventStream bool
		Exception   bool
		Fault       bool
		Flattened   bool
		Box         bool
		Sparse      bool
		Retryable   *struct{ Throttling bool }
		Payload     string
		Error       struct {
			Code           string
			HTTPStatusCode int
			SenderFault    bool
		}
		TimestampFormat string
		LocationName    string
		XMLNamespace    namespace
	}
	sourceMember struct {
		Shape            string
		Location         string
		LocationName     string
		QueryName        string
		ResultWrapper    string
		IdempotencyToken bool
		JSONValue        bool
		XMLAttribute     bool
		Flattened        bool
		HostLabel        bool
		Streaming        bool
		EventPayload     bool
		EventHeader      bool
		TimestampFormat  string
		XMLNamespace     namespace
		ContextParam     struct{ Name string }
	}
	namespace struct{ URI, Prefix string }
)

// UnmarshalJSON takes both forms that models have: a text or an object.
func (n *namespace) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &n.URI)
	}
	var o struct{ URI, Prefix string }
	if err := json.Unmarshal(raw, &o); err != nil {
		return err
	}
	n.URI, n.Prefix = o.URI, o.Prefix
	return nil
}

// orderedMembers keeps the order of a structure's members, which the query
// protocols and XML put on the wire.
type orderedMembers struct {
	names []string
	byKey map[string]sourceMember
}

func (o *orderedMembers) UnmarshalJSON(raw []byte) error {
	if err := json.Unmarshal(raw, &o.byKey); err != nil {
		return err
	}
	return eachKey(raw, func(k string) { o.names = append(o.names, k) })
}

type parser struct {
	doc   *sourceDoc
	index map[string]*Shape
}

func (p *parser) parseShapes(s *Service) error {
	names := make([]string, 0, len(p.doc.Shapes))
	for n := range p.doc.Shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	s.shapes = make([]Shape, len(names))
	for i, n := range names {
		s.shapes[i].Name = n
		p.index[n] = &s.shapes[i]
	}
	for i, n := range names {
		if err := p.parseShape(&s.shapes[i], p.doc.Shapes[n]); err != nil {
			return fmt.Errorf("shape %s: %w", n, err)
		}
	}
	return nil
}

// typeNames maps what models call types; botocore treats the rarer numeric
// types as integers and doubles, and a character as text.
var typeNames = map[string]ShapeType{
	"structure": Structure, "list": List, "map": Map, "string": String, "character": String, "char": String,
	"integer": Integer, "byte": Integer, "short": Integer, "long": Long, "bigInteger": Long,
	"float": Float, "double": Double, "bigDecimal": Double, "boolean": Boolean, "blob": Blob, "timestamp": Timestamp,
}

func (p *parser) parseShape(s *Shape, src sourceShape) error {
	t, ok := typeNames[src.Type]
	if !ok {
		return fmt.Errorf("unknown type %q", src.Type)
	}
	s.Type, s.Enum, s.Pattern, s.Payload = t, src.Enum, src.Pattern, src.Payload
	s.Code, s.Status = src.Error.Code, src.Error.HTTPStatusCode
	s.TimestampFormat, s.XMLName = src.TimestampFormat, src.LocationName
	s.XMLNamespace, s.XMLPrefix = src.XMLNamespace.URI, src.XMLNamespace.Prefix
	if src.Min != nil {
		s.Min, s.Flags = *src.Min, s.Flags|HasMin
	}
	if src.Max != nil {
		s.Max, s.Flags = *src.Max, s.Flags|HasMax
	}
	for _, f := range []struct {
		on   bool
		flag ShapeFlags
	}{
		{src.Sensitive, Sensitive}, {src.Document, Document}, {src.Union, Union}, {src.Streaming, Streaming}, {src.EventStream, EventStream},
		{src.Exception, Exception}, {src.Error.SenderFault, SenderFault}, {src.Flattened, Flattened}, {src.Box, Boxed},
		{src.Sparse, Sparse}, {src.Fault, Fault}, {src.Retryable != nil, Retryable}, {src.Retryable != nil && src.Retryable.Throttling, Throttling},
	} {
		if f.on {
			s.Flags |= f.flag
		}
	}
	required := map[string]bool{}
	for _, n := range src.Required {
		required[n] = true
	}
	s.Members = make([]Member, 0, len(src.Members.names))
	for _, n := range src.Members.names {
		m, err := p.member(n, src.Members.byKey[n])
		if err != nil {
			return err
		}
		if required[n] {
			m.Flags |= Required
		}
		s.Members = append(s.Members, m)
	}
	for _, place := range []struct {
		to   **Member
		name string
		from *sourceMember
	}{{&s.Elem, "member", src.Member}, {&s.Key, "key", src.Key}, {&s.Elem, "value", src.Value}} {
		if place.from != nil {
			m, err := p.member(place.name, *place.from)
			if err != nil {
				return err
			}
			*place.to = &m
		}
	}
	if t == List && s.Elem == nil || t == Map && (s.Key == nil || s.Elem == nil) {
		return fmt.Errorf("a %s without what it holds", src.Type)
	}
	return nil
}

var locations = map[string]Location{"": InBody, "uri": InURI, "querystring": InQuery, "header": InHeader, "headers": InHeaders, "statusCode": InStatus}

func (p *parser) member(name string, src sourceMember) (Member, error) {
	shape, ok := p.index[src.Shape]
	if !ok {
		return Member{}, fmt.Errorf("member %s has the unknown shape %q", name, src.Shape)
	}
	location, ok := locations[src.Location]
	if !ok {
		return Member{}, fmt.Errorf("member %s has the unknown location %q", name, src.Location)
	}
	m := Member{Name: name, Shape: shape, LocationName: src.LocationName, Location: location}
	for _, f := range []struct {
		on   bool
		flag MemberFlags
	}{
		{src.IdempotencyToken, IdempotencyToken}, {src.JSONValue, JSONValue}, {src.XMLAttribute, XMLAttribute}, {src.Flattened, MemberFlattened},
		{src.HostLabel, HostLabel}, {src.Streaming, MemberStreaming}, {src.EventPayload, EventPayload}, {src.EventHeader, EventHeader},
	} {
		if f.on {
			m.Flags |= f.flag
		}
	}
	t := MemberTraits{QueryName: src.QueryName, ContextParam: src.ContextParam.Name, XMLNamespace: src.XMLNamespace.URI, XMLPrefix: src.XMLNamespace.Prefix, TimestampFormat: src.TimestampFormat}
	if t != (MemberTraits{}) {
		m.Traits = &t
	}
	return m, nil
}

func (p *parser) parseOperations(s *Service) error {
	// An operation's name is its key. Where the model has another under "name",
	// CloudFront's with a date, that one is no longer sent by any protocol.
	for key, src := range p.doc.Operations {
		op := Operation{
			Service: s, Name: key, Method: src.HTTP.Method, URI: src.HTTP.RequestURI, AuthType: src.AuthType, HostPrefix: src.Endpoint.HostPrefix,
			ChecksumRequired: src.HTTPChecksumRequired || src.HTTPChecksum.RequestChecksumRequired,
			ChecksumMember:   src.HTTPChecksum.RequestAlgorithmMember, UnsignedPayload: src.UnsignedPayload,
			Auth: src.Auth, ChecksumModeMember: src.HTTPChecksum.RequestValidationModeMember, ChecksumAlgorithms: src.HTTPChecksum.ResponseAlgorithms,
			RequestCompression: src.RequestCompression.Encodings, EndpointDiscovery: src.EndpointDiscovery.Required,
			Idempotent: src.Idempotent, ReadOnly: src.ReadOnly, Deprecated: src.Deprecated,
		}
		if op.Method == "" {
			op.Method = "POST"
		}
		if op.URI == "" {
			op.URI = "/"
		}
		code, _ := src.HTTP.ResponseCode.Int64()
		op.ResponseCode = int(code)
		for _, place := range []struct {
			to   **Shape
			from *sourceMember
		}{{&op.Input, src.Input}, {&op.Output, src.Output}} {
			if place.from == nil {
				continue
			}
			shape, ok := p.index[place.from.Shape]
			if !ok {
				return fmt.Errorf("operation %s has the unknown shape %q", key, place.from.Shape)
			}
			*place.to = shape
		}
		if src.Input != nil {
			op.InputElement, op.InputNamespace = src.Input.LocationName, src.Input.XMLNamespace.URI
		}
		if src.Output != nil {
			op.ResultWrapper = src.Output.ResultWrapper
		}
		for _, e := range src.Errors {
			shape, ok := p.index[e.Shape]
			if !ok {
				return fmt.Errorf("operation %s has the unknown error %q", key, e.Shape)
			}
			op.Errors = append(op.Errors, shape)
		}
		for n, v := range src.StaticContextParams {
			op.Static = append(op.Static, StaticContextParam{n, v.Value})
		}
		sort.Slice(op.Static, func(i, j int) bool { return op.Static[i].Name < op.Static[j].Name })
		for n, v := range src.OperationContextParams {
			op.OpContext = append(op.OpContext, OperationContextParam{n, v.Path})
		}
		sort.Slice(op.OpContext, func(i, j int) bool { return op.OpContext[i].Name < op.OpContext[j].Name })
		s.ops = append(s.ops, op)
	}
	sort.Slice(s.ops, func(i, j int) bool { return s.ops[i].Name < s.ops[j].Name })
	return nil
}

// oneOrMany is a JSON text or a list of texts.
type oneOrMany []string

func (o *oneOrMany) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '[' {
		return json.Unmarshal(raw, (*[]string)(o))
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	*o = oneOrMany{s}
	return nil
}

func parsePaginators(s *Service, raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	var doc struct {
		Pagination map[string]struct {
			InputToken   oneOrMany `json:"input_token"`
			OutputToken  oneOrMany `json:"output_token"`
			ResultKey    oneOrMany `json:"result_key"`
			NonAggregate oneOrMany `json:"non_aggregate_keys"`
			MoreResults  string    `json:"more_results"`
			LimitKey     string    `json:"limit_key"`
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	for op, p := range doc.Pagination {
		s.paginators = append(s.paginators, Paginator{Operation: op, InputToken: p.InputToken, OutputToken: p.OutputToken, ResultKey: p.ResultKey,
			NonAggregate: p.NonAggregate, MoreResults: p.MoreResults, LimitKey: p.LimitKey})
	}
	sort.Slice(s.paginators, func(i, j int) bool { return s.paginators[i].Operation < s.paginators[j].Operation })
	return nil
}

func parseWaiters(s *Service, raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	var doc struct {
		Waiters map[string]struct {
			Operation   string
			Delay       int
			MaxAttempts int
			Acceptors   []Acceptor
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return err
	}
	for n, w := range doc.Waiters {
		s.waiters = append(s.waiters, Waiter{Name: n, Operation: w.Operation, Delay: time.Duration(w.Delay) * time.Second, MaxAttempts: w.MaxAttempts, Acceptors: w.Acceptors})
	}
	sort.Slice(s.waiters, func(i, j int) bool { return s.waiters[i].Name < s.waiters[j].Name })
	return nil
}

// stripDocumentation takes documentation out of a JSON document and makes it
// compact.
func stripDocumentation(raw []byte) (json.RawMessage, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return json.Marshal(withoutKey(v, "documentation"))
}

func withoutKey(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, key)
		for k, e := range v {
			v[k] = withoutKey(e, key)
		}
	case []any:
		for i, e := range v {
			v[i] = withoutKey(e, key)
		}
	}
	return v
}

// eachKey calls fn with the keys of a JSON object in the order of the text.
func eachKey(raw []byte, fn func(string)) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("not an object: %v", err)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		k, _ := t.(string)
		fn(k)
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			return err
		}
	}
	return nil
}
