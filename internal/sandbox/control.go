package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// controlPrefix is where the control API is. No AWS service has such paths.
const controlPrefix = "/_knowngood/"

// maxControl is how many bytes a request of the control API may have.
const maxControl = 256 << 20

// control serves the control API, which works on the sandbox itself and not
// on what it simulates. It speaks JSON, is not signed, and answers only where it
// is addressed as localhost or by a loopback address, so that no web page can
// reach it under a name of its own; nor may a request carry an Origin. Below
// /_knowngood/ it has:
//
//	GET    state                 the snapshot, as Snapshot gives it
//	PUT    state                 puts a snapshot in place of the estate
//	POST   save                  writes the snapshot where the program keeps it
//	POST   reset                 back to the origin, as Reset does
//	POST   fork                  {"endpoint": "http://127.0.0.1:40321"}: a second sandbox with the same estate, served there
//	DELETE fork                  ends the fork that is asked
//	GET    calls                 the calls so far, a list of CallRecord
//	GET    volumes/{id}/writes   {"writes": 42}
//	GET    databases/{id}/writes {"writes": 42}
//	GET    clock                 {"now": "2026-01-01T00:00:00Z"}
//	POST   clock                 {"advance": "90s"}; 409 on a clock that can't be moved
//	GET    faults                {"faults": [...]}: those that can strike yet, with how often they did
//	POST   faults                {"kind": "throttle", "service": "ec2", "operation": "CreateVolume", "nth": 1, "count": 1, "for": "30s",
//	                             "afterEffect": false} gives {"id": 1}. Kinds: throttle, deny, internal, cut, and stale with "by": "10s";
//	                             or in place of a kind "code", "message" and "status". See Fault
//	DELETE faults                takes all away
//	DELETE faults/{id}           takes one away
//	GET    events                {"events": 3, "delivered": 2, "failed": 1, "pending": 0, "deliveries": [...]}: how many
//	                             events came about and are to come, and the latest attempts to deliver one,
//	                             a list of Delivery
//	GET    operations            what is simulated, a list of service:Operation
//	GET    trail                 {"records": [...]}: CloudTrail's records of all accounts and Regions, by time
//	POST   seed/{kind}           adds what no call makes; see seeds for the kinds, and their types for the members
//	PUT    stale                 {"for": "10s"}: all reads answer as of so long ago, until it is set anew
//
// An error is {"error": "..."} with a status of 4xx, or 5xx where the program failed. docs/sandbox.md has examples.
func (s *Sandbox) control(w http.ResponseWriter, r *http.Request) {
	if !loopback(r.Host) || r.Header.Get("Origin") != "" {
		answer(w, http.StatusForbidden, object{"error": "the control API is for programs on this machine; address it as localhost or 127.0.0.1"})
		return
	}
	out, err := s.controlled(r)
	s.drain()
	if err != nil {
		var refused controlError
		if !errors.As(err, &refused) {
			refused = controlError{http.StatusBadRequest, err.Error()}
		}
		answer(w, refused.status, object{"error": refused.message})
		return
	}
	answer(w, http.StatusOK, out)
}

// controlError is a refusal of the control API.
type controlError struct {
	status  int
	message string
}

func (e controlError) Error() string { return e.message }

func (s *Sandbox) controlled(r *http.Request) (any, error) {
	path := strings.TrimPrefix(r.URL.Path, controlPrefix)
	if id, ok := strings.CutPrefix(path, "volumes/"); ok {
		if id, ok := strings.CutSuffix(id, "/writes"); ok && r.Method == http.MethodGet {
			return object{"writes": s.VolumeWrites(id)}, nil
		}
	}
	if id, ok := strings.CutPrefix(path, "faults/"); ok && r.Method == http.MethodDelete {
		if n, err := strconv.Atoi(id); err != nil || n < 1 || !s.Mend(n) {
			return nil, controlError{http.StatusNotFound, fmt.Sprintf("there is no fault %q", id)}
		}
		return object{}, nil
	}
	if name, ok := strings.CutPrefix(path, "databases/"); ok {
		if name, ok := strings.CutSuffix(name, "/writes"); ok && r.Method == http.MethodGet {
			return object{"writes": s.DBWrites(name)}, nil
		}
	}
	if kind, ok := strings.CutPrefix(path, "seed/"); ok && r.Method == http.MethodPost {
		raw, err := io.ReadAll(io.LimitReader(r.Body, maxControl))
		if err != nil {
			return nil, err
		}
		return s.seeded(kind, raw)
	}
	switch r.Method + " " + path {
	case "GET state":
		raw, err := s.Snapshot()
		return json.RawMessage(raw), err
	case "PUT state":
		return object{}, s.replace(r.Body)
	case "GET calls":
		return s.Calls(), nil
	case "GET operations":
		return Simulated(), nil
	case "GET events":
		return s.eventSummary(), nil
	case "GET trail":
		return object{"records": s.trailRecords()}, nil
	case "GET clock":
		return object{"now": s.now()}, nil
	case "POST clock":
		return s.advance(r.Body)
	case "POST save":
		return object{}, s.save()
	case "POST reset":
		return object{}, s.Reset()
	case "POST fork":
		return s.forked()
	case "DELETE fork":
		return object{}, s.ended()
	case "GET faults":
		return object{"faults": s.faultReports()}, nil
	case "POST faults":
		return s.inject(r.Body)
	case "DELETE faults":
		s.Mend(0)
		return object{}, nil
	case "PUT stale":
		var in struct{ For string }
		d, err := duration(r.Body, &in, &in.For)
		if err != nil {
			return nil, err
		}
		s.SetStale(d)
		return object{}, nil
	}
	return nil, controlError{http.StatusNotFound, fmt.Sprintf("the control API has no %s %s", r.Method, r.URL.Path)}
}

func (s *Sandbox) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.Now()
}

func (s *Sandbox) eventSummary() any {
	s.Settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	return struct {
		outcomes
		Pending    int        `json:"pending"`
		Deliveries []Delivery `json:"deliveries"`
	}{s.outcomes, len(s.state.Due), append([]Delivery{}, s.deliveries...)}
}

func (s *Sandbox) trailRecords() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []trailRecord
	for _, id := range sorted(s.state.Accounts) {
		for _, name := range sorted(s.state.Accounts[id].Regions) {
			all = append(all, s.state.Accounts[id].Regions[name].CloudTrail.Records...)
		}
	}
	slices.SortStableFunc(all, func(a, b trailRecord) int { return a.Time.Compare(b.Time) })
	out := make([]json.RawMessage, len(all))
	for i, r := range all {
		out[i] = r.Event.json()
	}
	return out
}

// replace puts a snapshot in place of the estate; the clock stays.
func (s *Sandbox) replace(body io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(body, maxControl))
	if err != nil {
		return err
	}
	other, err := Restore(Options{Catalog: s.catalog}, raw)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(other)
	return nil
}

func (s *Sandbox) advance(body io.Reader) (any, error) {
	var in struct{ Advance string }
	d, err := duration(body, &in, &in.Advance)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clock, ok := s.clock.(interface{ Advance(time.Duration) })
	if !ok {
		return nil, controlError{http.StatusConflict, "this sandbox lives by the machine's clock, which it can't move"}
	}
	clock.Advance(d)
	s.settle(s.clock.Now())
	return object{"now": s.clock.Now()}, nil
}

func (s *Sandbox) inject(body io.Reader) (any, error) {
	var in faultRequest
	if err := strict(body, &in); err != nil {
		return nil, err
	}
	f, err := in.fault(s.catalog)
	if err != nil {
		return nil, err
	}
	return object{"id": s.Inject(f)}, nil
}

func (s *Sandbox) save() error {
	if s.program.Save == nil {
		return controlError{http.StatusConflict, "this sandbox was not told where to keep its state"}
	}
	raw, err := s.Snapshot()
	if err != nil {
		return err
	}
	if err := s.program.Save(raw); err != nil {
		return controlError{http.StatusInternalServerError, err.Error()}
	}
	return nil
}

func (s *Sandbox) forked() (any, error) {
	if s.program.Serve == nil {
		return nil, controlError{http.StatusConflict, "the program that serves this sandbox serves no forks"}
	}
	fork, err := s.Fork()
	if err != nil {
		return nil, err
	}
	endpoint, stop, err := s.program.Serve(fork)
	if err != nil {
		return nil, controlError{http.StatusInternalServerError, err.Error()}
	}
	fork.mu.Lock()
	defer fork.mu.Unlock()
	fork.stop = stop
	return object{"endpoint": endpoint}, nil
}

func (s *Sandbox) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return controlError{http.StatusConflict, "this sandbox is no fork"}
	}
	s.stop()
	return nil
}

// strict reads a JSON object without unknown members.
func strict(body io.Reader, into any) error {
	d := json.NewDecoder(io.LimitReader(body, maxControl))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// duration reads a JSON object and the duration in one of its members.
func duration(body io.Reader, into any, text *string) (time.Duration, error) {
	if err := strict(body, into); err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(*text)
	if err == nil && d < 0 {
		err = fmt.Errorf("the duration %s is negative", d)
	}
	return d, err
}

// loopback says whether a Host names this machine by a loopback address.
func loopback(address string) bool {
	h := host(address)
	ip := net.ParseIP(strings.Trim(h, "[]"))
	return h == "localhost" || ip != nil && ip.IsLoopback()
}

func answer(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error": "the answer can't be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that has gone away has no use for an error.
	_, _ = w.Write(raw)
}
