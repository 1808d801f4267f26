package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
