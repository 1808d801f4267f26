package awsapi

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Protocol is a wire protocol, by botocore's name.
type Protocol string

// The wire protocols.
const (
	EC2      Protocol = "ec2"
	Query    Protocol = "query"
	JSON     Protocol = "json"
	RESTJSON Protocol = "rest-json"
	RESTXML  Protocol = "rest-xml"
	CBOR     Protocol = "smithy-rpc-v2-cbor"
)

// Service is one service's model. It is not changed once it is made.
type Service struct {
	Name             string // botocore's name, and the AWS CLI's: "ec2", "s3control"
	APIVersion       string
	ServiceID        string // "EC2", "S3 Control"
	FullName         string
	EndpointPrefix   string
	SigningName      string
	SignatureVersion string   // v4, s3v4, v2, bearer, ...
	Auth             []string // "aws.auth#sigv4", ..., most wanted first; may be empty
	Protocol         Protocol // the one to speak
	Protocols        []string // all that it speaks, by the model's order
	TargetPrefix     string
	JSONVersion      string // 1.0 or 1.1, with the protocol json
	XMLNamespace     string
	GlobalEndpoint   string
	QueryCompatible  bool   // errors also come in x-amzn-query-error
	HTTP2            string // "eventstream" or "optional": where the service wants HTTP/2

	ops        []Operation // sorted by name
	shapes     []Shape     // sorted by name
	paginators []Paginator // sorted by operation
	waiters    []Waiter    // sorted by name
	context    []ClientContextParam
	ruleSet    json.RawMessage // the endpoint rule set, as botocore has it
	rules      ruleCache
	older      faceCache
}

// Operations are the names of the service's operations, sorted.
func (s *Service) Operations() []string {
	names := make([]string, len(s.ops))
	for i := range s.ops {
		names[i] = s.ops[i].Name
	}
	return names
}

// Operation finds an operation by its name in the model, or by what SDKs make
// of it: describe_volumes, describeVolumes. The error is an *UnknownError.
func (s *Service) Operation(name string) (*Operation, error) {
	if i := sort.Search(len(s.ops), func(i int) bool { return s.ops[i].Name >= name }); i < len(s.ops) && s.ops[i].Name == name {
		return &s.ops[i], nil
	}
	// Two operations may differ in nothing but case and underscores, and then
	// only the exact name says which one is meant.
	key, found := foldName(name), -1
	for i := range s.ops {
		if foldName(s.ops[i].Name) != key {
			continue
		}
		if found >= 0 {
			return nil, &UnknownError{Kind: "operation", Service: s.Name, Name: name, Near: []string{s.ops[found].Name, s.ops[i].Name}}
		}
		found = i
	}
	if found >= 0 {
		return &s.ops[found], nil
	}
	return nil, &UnknownError{Kind: "operation", Service: s.Name, Name: name, Near: nearest(name, s.Operations())}
}

// Shape finds a shape by its name in the model, or gives nil.
func (s *Service) Shape(name string) *Shape {
	if i := sort.Search(len(s.shapes), func(i int) bool { return s.shapes[i].Name >= name }); i < len(s.shapes) && s.shapes[i].Name == name {
		return &s.shapes[i]
	}
	return nil
}

// Paginator gives the paginator of an operation, if it has one.
func (s *Service) Paginator(operation string) (*Paginator, bool) {
	i := sort.Search(len(s.paginators), func(i int) bool { return s.paginators[i].Operation >= operation })
	if i < len(s.paginators) && s.paginators[i].Operation == operation {
		return &s.paginators[i], true
	}
	return nil, false
}

// Waiters are the names of the service's waiters, sorted.
func (s *Service) Waiters() []string {
	names := make([]string, len(s.waiters))
	for i := range s.waiters {
		names[i] = s.waiters[i].Name
	}
	return names
}

// Waiter finds a waiter by name, as Operation does. The error is an
// *UnknownError.
func (s *Service) Waiter(name string) (*Waiter, error) {
	key := foldName(name)
	for i := range s.waiters {
		if foldName(s.waiters[i].Name) == key {
			return &s.waiters[i], nil
		}
	}
	return nil, &UnknownError{Kind: "waiter", Service: s.Name, Name: name, Near: nearest(name, s.Waiters())}
}

// Operation is one operation's model.
type Operation struct {
	Service      *Service
	Name         string
	Method       string // GET, POST, ...
	URI          string // a template, with its literal query
	ResponseCode int    // of a success; 0: any below 300
	Input        *Shape // nil: none
	Output       *Shape // nil: none
	Errors       []*Shape
	AuthType     string // "none", "v4-unsigned-body", "bearer", or empty: the service's
	HostPrefix   string // a template of the endpoint trait

	ResultWrapper    string // query: the element around the output
	InputElement     string // rest-xml: the root element of the request's body
	InputNamespace   string // rest-xml: its namespace
	ChecksumRequired bool
	ChecksumMember   string // the input member that names the request's algorithm
	UnsignedPayload  bool
	Static           []StaticContextParam
	OpContext        []OperationContextParam

	Auth                 []string // overrides the service's; "smithy.api#noAuth"
	ChecksumModeMember   string   // the input member that asks for a checksum in the response
	ChecksumAlgorithms   []string // those that a response may use
	RequestCompression   []string // encodings that a request's body may have
	EndpointDiscovery    bool     // the endpoint must be asked for, by DescribeEndpoints
	Idempotent, ReadOnly bool     // as the model marks it; most operations are not marked, so see Class
	Deprecated           bool
}

// IdempotencyToken is the top-level member of the input that makes a repeat of
// the call harmless, if there is one.
func (o *Operation) IdempotencyToken() (member string, ok bool) {
	if o.Input == nil {
		return "", false
	}
	for i := range o.Input.Members {
		if o.Input.Members[i].Is(IdempotencyToken) {
			return o.Input.Members[i].Name, true
		}
	}
	return "", false
}

// EventStream says whether the input or output is an event stream.
func (o *Operation) EventStream() bool {
	for _, s := range []*Shape{o.Input, o.Output} {
		if s == nil {
			continue
		}
		for i := range s.Members {
			if s.Members[i].Shape.Is(EventStream) {
				return true
			}
		}
	}
	return false
}

// Shape is the model of a value.
type Shape struct {
	Name     string
	Type     ShapeType
	Members  []Member // of a structure, in the model's order
	Elem     *Member  // of a list, or of a map's values
	Key      *Member  // of a map
	Enum     []string
	Pattern  string
	Min, Max float64 // of a number, or of a length
	Flags    ShapeFlags
	Payload  string // the member that is the whole body
	Code     string // of an error; empty: the shape's name
	Status   int    // of an error

	TimestampFormat string // iso8601, rfc822, unixTimestamp; empty: the protocol's
	XMLName         string // locationName at the shape, of an XML root
	XMLNamespace    string
	XMLPrefix       string // that the namespace is declared for; empty: none
}

// Member gives the member of a structure, or nil.
func (s *Shape) Member(name string) *Member {
	if s == nil {
		return nil
	}
	for i := range s.Members {
		if s.Members[i].Name == name {
			return &s.Members[i]
		}
	}
	return nil
}

// Is says whether all of the flags are set.
func (s *Shape) Is(f ShapeFlags) bool { return s.Flags&f == f }

// ErrorCode is the code that an error shape has on the wire.
func (s *Shape) ErrorCode() string {
	if s.Code != "" {
		return s.Code
	}
	return s.Name
}

// ShapeType is the type of a shape.
type ShapeType uint8

// The types of shapes. Integers are int64 in Go, floats float64, blobs []byte,
// timestamps time.Time.
const (
	Structure ShapeType = iota
	List
	Map
	String
	Integer
	Long
	Float
	Double
	Boolean
	Blob
	Timestamp
)

var shapeTypes = [...]string{"structure", "list", "map", "string", "integer", "long", "float", "double", "boolean", "blob", "timestamp"}

// String is the type's name in botocore's models.
func (t ShapeType) String() string {
	if int(t) < len(shapeTypes) {
		return shapeTypes[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// ShapeFlags are a shape's yes-or-no traits.
type ShapeFlags uint16

// The flags of shapes.
const (
	Sensitive ShapeFlags = 1 << iota
	Document             // any JSON value
	Union                // exactly one member is set
	Streaming
	EventStream
	Exception
	SenderFault
	Flattened
	HasMin
	HasMax
	Boxed
	Sparse     // a list or map that may hold nulls
	Fault      // an error of the service, not of the caller
	Retryable  // an error
	Throttling // a retryable error: slow down
)

// Member is a member of a structure, or the place of a list's elements or of a
// map's keys or values.
type Member struct {
	Name         string
	Shape        *Shape
	LocationName string   // the name on the wire; empty: Name
	Location     Location // where it goes, in the REST protocols
	Flags        MemberFlags
	Traits       *MemberTraits // nil: none, which is usual
}

// WireName is the member's name on the wire.
func (m *Member) WireName() string {
	if m.LocationName != "" {
		return m.LocationName
	}
	return m.Name
}

// Is says whether all of the flags are set.
func (m *Member) Is(f MemberFlags) bool { return m.Flags&f == f }

// MemberTraits are what few members have.
type MemberTraits struct {
	QueryName       string // ec2
	ContextParam    string // the endpoint parameter that it sets
	XMLNamespace    string
	XMLPrefix       string
	TimestampFormat string
}

var noTraits MemberTraits

func (m *Member) traits() *MemberTraits {
	if m.Traits == nil {
		return &noTraits
	}
	return m.Traits
}

// Location is where a member goes in a REST protocol's message.
type Location uint8

// The locations.
const (
	InBody Location = iota
	InURI
	InQuery
	InHeader
	InHeaders
	InStatus
)

// MemberFlags are a member's yes-or-no traits.
type MemberFlags uint16

// The flags of members.
const (
	Required MemberFlags = 1 << iota
	IdempotencyToken
	JSONValue
	XMLAttribute
	MemberFlattened
	HostLabel
	MemberStreaming
	EventPayload
	EventHeader
)

// Paginator says how an operation's pages are asked for. Tokens and result keys
// are JMESPath expressions over the output.
type Paginator struct {
	Operation    string
	InputToken   []string
	OutputToken  []string
	ResultKey    []string
	MoreResults  string
	LimitKey     string
	NonAggregate []string
}

// Waiter says how to wait for a state.
type Waiter struct {
	Name        string
	Operation   string
	Delay       time.Duration
	MaxAttempts int
	Acceptors   []Acceptor
}

// Acceptor is one way for a waiter's poll to end or go on.
type Acceptor struct {
	Matcher  string // path, pathAll, pathAny, status, error
	Argument string // a JMESPath expression
	State    string // success, failure, retry
	Expected any    // text, number or boolean
}

// ClientContextParam is an endpoint parameter that the client's configuration
// sets.
type ClientContextParam struct{ Name, Type string }

// StaticContextParam is an endpoint parameter that an operation fixes.
type StaticContextParam struct {
	Name  string
	Value any // text, boolean or list of texts
}

// OperationContextParam is an endpoint parameter that a JMESPath expression
// finds in an operation's input.
type OperationContextParam struct{ Name, Path string }

// UnknownError says that a name is not in the models.
type UnknownError struct {
	Kind    string // service, operation, waiter
	Service string
	Name    string
	Near    []string
}

// Error implements error.
func (e *UnknownError) Error() string {
	s := fmt.Sprintf("no %s %q", e.Kind, e.Name)
	if e.Service != "" {
		s += " in " + e.Service
	}
	if len(e.Near) > 0 {
		s += "; near: " + strings.Join(e.Near, ", ")
	}
	return s
}

// foldName makes one of DescribeVolumes, describeVolumes, describe_volumes and
// describe-volumes.
func foldName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// nearest gives up to three of the names that are most like name.
func nearest(name string, names []string) []string {
	type near struct {
		name string
		d    int
	}
	key := foldName(name)
	var found []near
	for _, n := range names {
		if d := distance(key, foldName(n)); d <= max(2, len(key)/3) {
			found = append(found, near{n, d})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].d < found[j].d })
	var out []string
	for _, f := range found[:min(3, len(found))] {
		out = append(out, f.name)
	}
	return out
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
