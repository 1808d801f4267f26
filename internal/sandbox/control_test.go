package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// ask makes a request of the control API and reads its answer.
func (w *world) ask(status int, method, path, body string) object {
	w.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:4566/_knowngood/"+path, strings.NewReader(body))
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	if rec.Code != status {
		w.t.Errorf("%s %s %s: status %d, want %d: %s", method, path, body, rec.Code, status, rec.Body)
	}
	var out object
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil && path != "calls" {
		w.t.Errorf("%s %s: %v", method, path, err)
	}
	return out
}

func TestTheControlAPI(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(1)})
	before := httptest.NewRecorder()
	w.ServeHTTP(before, httptest.NewRequest(http.MethodGet, "http://localhost/_knowngood/state", nil))

	if got := w.ask(200, "GET", "volumes/"+v+"/writes", "")["writes"]; got != 0.0 {
		t.Errorf("%v writes", got)
	}
	if got := w.ask(200, "POST", "clock", `{"advance": "1h"}`)["now"]; got != "2026-11-24T09:00:03Z" {
		t.Errorf("now %v", got)
	}
	w.ask(200, "POST", "faults", `{"service": "ec2", "operation": "DeleteVolume", "code": "InternalError", "status": 500}`)
	w.fails("InternalError", "ec2", "DeleteVolume", object{"VolumeId": v})
	w.do("ec2", "DeleteVolume", object{"VolumeId": v})
	w.ask(200, "PUT", "state", before.Body.String())
	if got := w.volume(v)["State"]; got != "available" {
		t.Errorf("after the state was put back the volume is %v", got)
	}
	w.ask(200, "PUT", "stale", `{"for": "10s"}`)
	fresh := w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)})["VolumeId"].(string)
	w.fails("InvalidVolume.NotFound", "ec2", "DescribeVolumes", object{"VolumeIds": ids(fresh)})
	w.ask(200, "GET", "calls", "")

	w.ask(400, "POST", "clock", `{"advance": "-1h"}`)
	w.ask(400, "POST", "clock", `{"back": "1h"}`)
	w.ask(400, "POST", "faults", `{"service": "ec2", "operation": "NoSuch"}`)
	w.ask(400, "POST", "faults", `{"service": "ec2", "operation": "DeleteVolume", "status": 200}`)
	w.ask(400, "PUT", "state", `{}`)
	w.ask(404, "GET", "secrets", "")
	for _, r := range []*http.Request{httptest.NewRequest(http.MethodGet, "http://evil.example/_knowngood/state", nil), httptest.NewRequest(http.MethodGet, "http://localhost/_knowngood/state", nil)} {
		r.Header.Set("Origin", "http://evil.example")
		rec := httptest.NewRecorder()
		if w.ServeHTTP(rec, r); rec.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", r.Host, rec.Code)
		}
	}
}

func TestFaultsByTheControlAPI(t *testing.T) {
	w := newWorld(t)
	fault := func(body string) { w.t.Helper(); w.ask(200, "POST", "faults", body) }
	list := func() []any { return w.ask(200, "GET", "faults", "")["faults"].([]any) }
	table := object{"TableName": "none"}

	// The codes are each service's own.
	fault(`{"kind": "throttle", "count": 3}`)
	w.fails("RequestLimitExceeded", "ec2", "DescribeVolumes", nil)
	w.fails("Throttling", "iam", "ListUsers", nil)
	w.fails("ThrottlingException", "dynamodb", "DescribeTable", table)
	w.fails("ResourceNotFoundException", "dynamodb", "DescribeTable", table) // and then it is over
	fault(`{"kind": "deny", "service": "s3"}`)
	w.do("ec2", "DescribeVolumes", nil)
	w.fails("AccessDenied", "s3", "ListBuckets", nil)
	fault(`{"kind": "internal", "service": "kms", "operation": "ListKeys", "nth": 2}`)
	w.do("kms", "ListKeys", nil)
	w.fails("InternalServerError", "kms", "ListKeys", nil)

	// A fault for a time, and one that is taken away.
	id := w.ask(200, "POST", "faults", `{"kind": "deny", "service": "iam", "for": "10m"}`)["id"]
	fault(`{"kind": "throttle", "service": "sqs", "for": "1h"}`)
	w.fails("AccessDenied", "iam", "ListUsers", nil)
	w.fails("AccessDenied", "iam", "ListRoles", nil)
	if l := list(); len(l) != 2 || l[0].(object)["id"] != id || l[0].(object)["struck"] != 2.0 || l[0].(object)["until"] != "2026-11-24T08:10:00Z" {
		t.Errorf("%v", l)
	}
	w.clock.Advance(10 * time.Minute)
	w.do("iam", "ListUsers", nil)
	w.ask(200, "DELETE", "faults/5", "")
	w.ask(404, "DELETE", "faults/5", "")
	w.do("sqs", "ListQueues", nil)
	fault(`{"kind": "deny"}`)
	w.ask(200, "DELETE", "faults", "")
	if l := list(); len(l) != 0 {
		t.Errorf("%v", l)
	}

	// Stale reads of one service, for a time.
	fault(`{"kind": "stale", "service": "ec2", "by": "1m", "for": "5m"}`)
	v := object{"VolumeIds": ids(w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)})["VolumeId"].(string))}
	w.fails("InvalidVolume.NotFound", "ec2", "DescribeVolumes", v)
	w.clock.Advance(5 * time.Minute)
	w.do("ec2", "DescribeVolumes", v)

	// A cut connection, before and after the effect. ServeHTTP closes it.
	for _, after := range []string{"false", "true"} {
		fault(`{"kind": "cut", "service": "iam", "operation": "CreateUser", "afterEffect": ` + after + `}`)
		w.fails("ConnectionCut", "iam", "CreateUser", object{"UserName": "cut-" + after})
	}
	if l := w.do("iam", "ListUsers", nil)["Users"].([]any); len(l) != 1 || l[0].(object)["UserName"] != "cut-true" {
		t.Errorf("%v", l)
	}

	for _, bad := range []string{`{"kind": "fire"}`, `{"kind": "stale"}`, `{"kind": "deny", "by": "1m"}`, `{"kind": "deny", "code": "X", "status": 400}`, `{"for": "-1s"}`, `{"for": "soon"}`,
		`{"nth": -1}`, `{"code": "X"}`, `{"service": "none"}`, `{"colour": "red"}`} {
		w.ask(400, "POST", "faults", bad)
	}
}

func TestAForkGoesItsOwnWay(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(1)})
	s := w.do("ec2", "CreateSnapshot", object{"VolumeId": v})["SnapshotId"].(string) // under way
	fork, err := w.Fork()
	if err != nil {
		t.Fatal(err)
	}
	f := &world{fork, t, fork.clock.(*ManualClock), OperatorKey}
	f.clock.Advance(time.Hour)
	state := func(w *world) any {
		return w.do("ec2", "DescribeSnapshots", object{"SnapshotIds": ids(s)})["Snapshots"].([]any)[0].(object)["State"]
	}
	if state(w) != "pending" || state(f) != "completed" {
		t.Errorf("the snapshot is %v, and %v an hour on in the fork", state(w), state(f))
	}
	f.do("ec2", "DeleteVolume", object{"VolumeId": v})
	if got := w.volume(v)["State"]; got != "available" {
		t.Errorf("what the fork deleted is %v in the original", got)
	}
	if a, b := w.newVolume(object{"Size": int64(1)}), f.newVolume(object{"Size": int64(1)}); a != b {
		t.Errorf("the next ids are %s and %s: two forks with the same history differ", a, b)
	}
	w.ask(409, "POST", "fork", "") // nobody would serve it
	w.ask(409, "DELETE", "fork", "")
	w.ask(409, "POST", "save", "")
}

func TestForksAndStatesByTheControlAPI(t *testing.T) {
	w := newWorld(t)
	var kept []byte
	var served *Sandbox
	stopped := false
	w.program = Program{
		Save: func(snapshot []byte) error { kept = snapshot; return nil },
		Serve: func(s *Sandbox) (string, func(), error) {
			served = s
			return "http://127.0.0.1:1", func() { stopped = true }, nil
		},
	}
	v := w.newVolume(object{"Size": int64(1)})
	if got := w.ask(200, "POST", "fork", "")["endpoint"]; got != "http://127.0.0.1:1" {
		t.Errorf("%v", got)
	}
	f := &world{served, t, served.clock.(*ManualClock), OperatorKey}
	f.volume(v)
	f.ask(409, "POST", "save", "") // the file is the original's
	f.ask(200, "POST", "fork", "") // a fork has forks
	if f.ask(200, "DELETE", "fork", ""); !stopped {
		t.Error("the fork was not stopped")
	}
	w.ask(200, "POST", "save", "")
	if at, err := SavedAt(kept); err != nil || !at.Equal(w.clock.Now()) {
		t.Errorf("saved at %v, %v", at, err)
	}
	w.program.Save = func([]byte) error { return errors.New("the disk is full") }
	if got := w.ask(500, "POST", "save", "")["error"]; got != "the disk is full" {
		t.Errorf("%v", got)
	}
}

func TestAResetIsTheBeginning(t *testing.T) {
	w := loadScenario(t, "startup")
	if err := w.SetOrigin(); err != nil {
		t.Fatal(err)
	}
	change := func() string {
		w.Inject(Fault{Service: "iam", Operation: "ListUsers", Count: 5, Kind: FaultDeny})
		v := w.newVolume(object{"Size": int64(1)})
		w.do("iam", "CreateUser", object{"UserName": "new"})
		w.do("s3", "DeleteBucketPolicy", object{"Bucket": "hasty-site"})
		w.clock.Advance(240 * time.Hour)
		raw, err := w.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		return v + string(raw)
	}
	first := change()
	w.ask(200, "POST", "reset", "")
	if l := w.do("iam", "ListUsers", nil)["Users"].([]any); len(l) != 3 || len(w.Calls()) != 1 {
		t.Errorf("%d users, %d calls", len(l), len(w.Calls()))
	}
	w.ask(200, "POST", "reset", "")
	if again := change(); again != first {
		t.Error("the same calls after a reset have not the same outcome")
	}

	empty := newWorld(t)
	empty.newVolume(object{"Size": int64(1)})
	if err := empty.Reset(); err != nil {
		t.Fatal(err)
	}
	if l := empty.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any); len(l) != 0 || !empty.clock.Now().Equal(newWorld(t).clock.Now()) {
		t.Errorf("%v at %v", l, empty.clock.Now())
	}
}

func TestAClockThatRuns(t *testing.T) {
	c := NewFastClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 1)
	c.Advance(time.Hour)
	c.Advance(-time.Hour)
	if got := c.Now(); got.Before(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)) || got.Location() != time.UTC {
		t.Errorf("%v", got)
	}
	if f := c.fork().(*FastClock); f.Now().Before(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)) {
		t.Errorf("%v", f.Now())
	}
}
