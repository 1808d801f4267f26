package inventory

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

var began = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

var embedded = sync.OnceValues(awsapi.Embedded)

func models(t testing.TB) *awsapi.Catalog {
	t.Helper()
	c, err := embedded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var loaded = sync.OnceValues(func() (*Table, error) {
	c, err := embedded()
	if err != nil {
		return nil, err
	}
	return LoadTypes(library.FS, c)
})

func libraryTable(t testing.TB) *Table {
	t.Helper()
	table, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// estate is a sandbox, and a collector that reads it as its operator does.
type estate struct {
	*sandbox.Sandbox
	*Collector
	t     *testing.T
	clock *sandbox.ManualClock
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	clock := sandbox.NewClock(began)
	s, err := sandbox.New(sandbox.Options{Catalog: models(t), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return &estate{s, &Collector{Caller: inProcess{s}, Catalog: models(t), Table: libraryTable(t), Clock: clock}, t, clock}
}

// newDemo is the estate of the demo.
func newDemo(t *testing.T) *estate {
	t.Helper()
	e := newEstate(t)
	raw, err := library.FS.ReadFile("scenarios/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Load(t.Context(), "demo.yaml", raw); err != nil {
		t.Fatal(err)
	}
	return e
}

// inProcess is a Caller over the sandbox's own calls.
type inProcess struct{ s *sandbox.Sandbox }

func (p inProcess) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return p.s.Call(ctx, sandbox.Request{Service: service, Operation: operation, Region: awsapi.Options(opts...).Region, AccessKeyID: sandbox.OperatorKey, Input: in})
}

func (e *estate) do(service, operation string, in map[string]any) map[string]any {
	e.t.Helper()
	return e.doIn("", service, operation, in)
}

func (e *estate) doIn(region, service, operation string, in map[string]any) map[string]any {
	e.t.Helper()
	out, err := e.Sandbox.Call(e.t.Context(), sandbox.Request{Service: service, Operation: operation, Region: region, AccessKeyID: sandbox.OperatorKey, Input: in})
	if err != nil {
		e.t.Fatalf("%s:%s: %v", service, operation, err)
	}
	return out
}

func (e *estate) place() knowngood.Place {
	return knowngood.Place{Partition: "aws", Account: e.Account(), Region: e.Region()}
}

func (e *estate) key(typ, id string) knowngood.ResourceKey {
	return knowngood.ResourceKey{Account: e.Account(), Region: e.Region(), Type: typ, ID: id}
}

// collect reads types of the estate's own Region, of which nothing may fail.
func (e *estate) collect(types ...string) ([]knowngood.Resource, Stats) {
	e.t.Helper()
	items, errs, stats := e.Collect(e.t.Context(), e.place(), types)
	for _, err := range errs {
		e.t.Errorf("%s %s: %v", err.Type, err.ID, err)
	}
	return items, stats
}

func (e *estate) volume() string {
	e.t.Helper()
	return e.do("ec2", "CreateVolume", map[string]any{"AvailabilityZone": "eu-west-1a", "Size": int64(1), "VolumeType": "gp3"})["VolumeId"].(string)
}

func (e *estate) bucket(name, region string) {
	e.t.Helper()
	in := map[string]any{"Bucket": name}
	if region != "us-east-1" {
		in["CreateBucketConfiguration"] = map[string]any{"LocationConstraint": region}
	}
	e.doIn(region, "s3", "CreateBucket", in)
}

// deny lets the next calls of an operation be denied.
func (e *estate) deny(service, operation, code string, nth, count int) {
	e.Inject(sandbox.Fault{Service: service, Operation: operation, Nth: nth, Count: count, Error: &awsapi.Error{Status: 403, Code: code, Message: "not authorized to perform: " + service + ":" + operation}})
}

// named finds the item whose tag Name, or else whose name, is the one given.
func named(t *testing.T, items []knowngood.Resource, typ, name string) *knowngood.Resource {
	t.Helper()
	for i := range items {
		if r := &items[i]; r.Type == typ && (r.Tags["Name"] == name || r.Name == name) {
			return r
		}
	}
	t.Fatalf("there is no %s %s", typ, name)
	return nil
}

// dig follows a dotted path through objects.
func dig(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func text(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// corpora is a folder of the public test data, which is not on every machine, or
// skips the test.
func corpora(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("KNOWNGOOD_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpora")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no test data at %s (KNOWNGOOD_CORPORA)", dir)
	}
	return dir
}
