package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// anything stands for every service or operation in a fault.
const anything = "*"

// Fault makes calls fail, or reads answer with what was.
type Fault struct {
	Service   string // botocore's name, or "*"
	Operation string // or "*"
	Nth       int    // the first call that the fault strikes, counted from now, from 1; 0 means 1
	Count     int    // how many it strikes; 0 means 1, or all of them within For
	// For is how long from now the fault can strike, on the sandbox's clock; 0:
	// until it has struck Count times.
	For time.Duration
	// AfterEffect lets the call take effect before it fails, as a cut
	// connection does.
	AfterEffect bool
	// Error is what the call answers; its Status 0 cuts the connection. nil: the
	// call succeeds.
	Error *awsapi.Error
	Kind  FaultKind // if set, and Error is nil: what each call answers by its service
	// Stale makes the call, if it reads, see the estate as it was so long ago.
	Stale time.Duration
	// Hook, if set, is called where the fault strikes, before the answer.
	Hook func()
}

// FaultKind names an error that every service has, each with a code and status
// of its own.
type FaultKind string

// The kinds of faults. A cut connection takes effect or not as AfterEffect says.
const (
	FaultThrottle FaultKind = "throttle"
	FaultDeny     FaultKind = "deny"
	FaultInternal FaultKind = "internal"
	FaultCut      FaultKind = "cut"
)

// throttling are the services whose error of too many requests is not their
// protocol's. Source: the services' API references, and the errors that
// botocore's retry handler names as throttling.
var throttling = map[string]awsapi.Error{
	"ec2":           {Status: 503, Code: "RequestLimitExceeded", Message: "Request limit exceeded."},
	"s3":            {Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."},
	"s3control":     {Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."},
	"lambda":        {Status: 429, Code: "TooManyRequestsException", Message: "Rate Exceeded."},
	"guardduty":     {Status: 429, Code: "TooManyRequestsException", Message: "Too many requests"},
	"securityhub":   {Status: 429, Code: "TooManyRequestsException", Message: "Too many requests"},
	"organizations": {Status: 400, Code: "TooManyRequestsException", Message: "AWS Organizations is currently too busy. Try again later."},
}

// errorOf is what an operation of a service answers for a kind of fault.
func (k FaultKind) errorOf(service *awsapi.Service) *awsapi.Error {
	text := service.Protocol == awsapi.EC2 || service.Protocol == awsapi.Query || service.Protocol == awsapi.RESTXML
	switch k {
	case FaultThrottle:
		if e, ok := throttling[service.Name]; ok {
			return &e
		}
		if text {
			return failure(400, "Throttling", "Rate exceeded")
		}
		return failure(400, "ThrottlingException", "Rate exceeded")
	case FaultDeny:
		switch {
		case service.Protocol == awsapi.EC2:
			return failure(403, "UnauthorizedOperation", "You are not authorized to perform this operation.")
		case text:
			return failure(403, "AccessDenied", "Access Denied")
		case service.Protocol == awsapi.RESTJSON:
			return failure(403, "AccessDeniedException", "You are not authorized to perform this operation.")
		}
		return failure(400, "AccessDeniedException", "You are not authorized to perform this operation.")
	case FaultInternal:
		switch {
		case service.Protocol == awsapi.EC2 || service.Protocol == awsapi.RESTXML:
			return failure(500, "InternalError", "An internal error has occurred")
		case text:
			return failure(500, "InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
		}
		return failure(500, "InternalServerError", "An internal error occurred.")
	}
	return &awsapi.Error{Code: "ConnectionCut"}
}

// fault is a fault under way.
type fault struct {
	Fault
	id     int
	from   time.Time
	seen   int // calls that fit it
	struck int
}

// fits says whether a fault means a call, whatever came of earlier ones.
func (f *fault) fits(service, operation string, now time.Time) bool {
	return (f.Service == anything || f.Service == service) && (f.Operation == anything || f.Operation == operation) &&
		(f.For == 0 || now.Before(f.from.Add(f.For)))
}

// over says whether a fault can strike no more.
func (f *fault) over(now time.Time) bool {
	return f.Count > 0 && f.struck >= f.Count || f.For > 0 && !now.Before(f.from.Add(f.For))
}

// before is what the call answers without having taken effect, or nil.
func (f *fault) before() *awsapi.Error { return f.strike(false) }

// after is what the call answers in place of its answer, or nil.
func (f *fault) after() *awsapi.Error { return f.strike(true) }

func (f *fault) strike(after bool) *awsapi.Error {
	if f == nil || f.AfterEffect != after {
		return nil
	}
	if f.Hook != nil {
		f.Hook()
	}
	return f.Error
}

// Inject adds a fault and gives its number. Several may be under way at once;
// the first that fits a call strikes.
func (s *Sandbox) Inject(f Fault) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Nth = max(f.Nth, 1)
	if f.Count <= 0 && f.For == 0 {
		f.Count = 1
	}
	s.injected++
	s.faults = append(s.faults, &fault{Fault: f, id: s.injected, from: s.clock.Now()})
	return s.injected
}

// Mend takes a fault away, or all of them with 0; false: it is not there.
func (s *Sandbox) Mend(id int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.faults)
	s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return id == 0 || f.id == id })
	return id == 0 || len(s.faults) < before
}

// SetStale makes all reads answer as of d ago, as AWS's eventually consistent
// reads may, until it is set anew. Writes see the present.
func (s *Sandbox) SetStale(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = d
}

// nextFault is the fault that strikes a call, or nil. Its Error is that of the
// call's service.
func (s *Sandbox) nextFault(op *awsapi.Operation, now time.Time) *fault {
	s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool { return f.over(now) })
	var strikes *fault
	for _, f := range s.faults {
		if !f.fits(op.Service.Name, op.Name, now) {
			continue
		}
		if f.seen++; strikes == nil && f.seen >= f.Nth && (f.Count == 0 || f.seen < f.Nth+f.Count) {
			strikes = f
		}
	}
	if strikes == nil {
		return nil
	}
	strikes.struck++
	out := *strikes
	if out.Error == nil && out.Kind != "" {
		out.Error = out.Kind.errorOf(op.Service)
	}
	return &out
}

// faultReport is a fault as the control API tells of it.
type faultReport struct {
	ID          int        `json:"id"`
	Service     string     `json:"service"`
	Operation   string     `json:"operation"`
	Kind        string     `json:"kind"`
	Code        string     `json:"code,omitempty"`
	Nth         int        `json:"nth"`
	Count       int        `json:"count,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	AfterEffect bool       `json:"afterEffect,omitempty"`
	By          string     `json:"by,omitempty"`
	Seen        int        `json:"seen"`
	Struck      int        `json:"struck"`
}

// report lists the faults that can strike yet.
func (s *Sandbox) faultReports() []faultReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	out := []faultReport{}
	for _, f := range s.faults {
		if f.over(now) {
			continue
		}
		r := faultReport{ID: f.id, Service: f.Service, Operation: f.Operation, Kind: string(f.Kind), Nth: f.Nth, Count: f.Count,
			AfterEffect: f.AfterEffect, Seen: f.seen, Struck: f.struck}
		switch {
		case f.Stale > 0:
			r.Kind, r.By = staleKind, f.Stale.String()
		case f.Error != nil:
			r.Kind, r.Code = "error", f.Error.Code
		}
		if f.For > 0 {
			until := f.from.Add(f.For)
			r.Until = &until
		}
		out = append(out, r)
	}
	return out
}

// staleKind is the kind of a fault by which reads are stale.
const staleKind = "stale"

// faultRequest is a fault as the control API takes it.
type faultRequest struct {
	Service, Operation string
	Kind               string
	Code, Message      string
	Nth, Count, Status int
	For, By            string
	AfterEffect        bool
}

// fault checks a request against the models.
func (in faultRequest) fault(catalog *awsapi.Catalog) (Fault, error) {
	f := Fault{Service: cmp.Or(in.Service, anything), Operation: cmp.Or(in.Operation, anything), Nth: in.Nth, Count: in.Count, AfterEffect: in.AfterEffect}
	switch {
	case f.Service != anything && f.Operation != anything:
		op, err := catalog.Operation(f.Service, f.Operation)
		if err != nil {
			return f, err
		}
		f.Service, f.Operation = op.Service.Name, op.Name
	case f.Service != anything:
		service, err := catalog.Service(f.Service)
		if err != nil {
			return f, err
		}
		f.Service = service.Name
	}
	if in.Nth < 0 || in.Count < 0 {
		return f, fmt.Errorf("nth and count are 1 or more")
	}
	var err error
	if f.For, err = span("for", in.For); err != nil {
		return f, err
	}
	if f.Stale, err = span("by", in.By); err != nil {
		return f, err
	}
	if (f.Stale > 0) != (in.Kind == staleKind) {
		return f, fmt.Errorf("kind stale has by, how old reads are; no other kind has")
	}
	coded := in.Code != "" || in.Status != 0
	switch kind := FaultKind(in.Kind); {
	case in.Kind == staleKind && !coded:
	case slices.Contains([]FaultKind{FaultThrottle, FaultDeny, FaultInternal, FaultCut}, kind) && !coded:
		f.Kind = kind
	case in.Kind == "" && !coded:
		f.Kind = FaultCut
	case in.Kind == "" && in.Code != "" && in.Status >= 400 && in.Status <= 599:
		f.Error = &awsapi.Error{Code: in.Code, Message: in.Message, Status: in.Status}
	default:
		return f, fmt.Errorf("give a kind, which is one of throttle, deny, internal, cut and stale, or a code with a status from 400 to 599, or neither to cut the connection")
	}
	return f, nil
}

// span reads a duration; "" is 0.
func span(name, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s %q is no duration such as 30s", name, strings.TrimSpace(text))
	}
	return d, nil
}
