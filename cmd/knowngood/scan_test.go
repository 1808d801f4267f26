package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

// gate is a sandbox in this process whose calls a test may hold or cut.
type gate struct {
	*sandbox.Sandbox
	t       *testing.T
	catalog *awsapi.Catalog
	env     []string
	dir     string

	mu   sync.Mutex
	pass func(r *awsapi.ServerRequest) func() // nil: it goes on; else what happens first
	seen []string                             // operation and Region of each call but those of STS
}

func newGate(t *testing.T, scenario string) *gate {
	t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(sandbox.Options{Catalog: catalog, Clock: sandbox.NewClock(time.Now()), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fs.ReadFile(library.FS, "scenarios/"+scenario+".yaml")
	if err == nil {
		err = box.Load(t.Context(), scenario, raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Sandbox: box, t: t, catalog: catalog, dir: t.TempDir()}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	id, secret := box.Credentials()
	g.env = []string{"AWS_ENDPOINT_URL=" + server.URL, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=" + box.Region()}
	return g
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := g.catalog.DecodeRequest(r)
	if err != nil {
		g.t.Errorf("a request can't be read: %v", err)
		return
	}
	r.Body = http.NoBody
	if len(req.Body) > 0 {
		r.Body = readCloser{strings.NewReader(string(req.Body))}
	}
	g.mu.Lock()
	if req.Service.Name != "sts" {
		g.seen = append(g.seen, req.Operation.Name+" "+req.Region)
	}
	pass := g.pass
	g.mu.Unlock()
	if pass != nil {
		if first := pass(req); first != nil {
			first()
		}
	}
	g.Sandbox.ServeHTTP(w, r)
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// during sets what calls pass, and gives the calls since the last time.
func (g *gate) during(pass func(*awsapi.ServerRequest) func()) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.pass, g.seen = pass, nil
	return seen
}

func (g *gate) start(args ...string) *process {
	g.t.Helper()
	return start(g.t, g.env, append(args, "--state", g.dir)...)
}

// threeRules is a template whose rules read volumes and buckets and nothing else.
func threeRules(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("Resources:\n")
	for _, id := range []string{"ENCRYPTED_VOLUMES", "EBS_VOLUME_ENCRYPTED_ANY_STATE", "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED"} {
		fmt.Fprintf(&b, "  %s: {Type: 'AWS::Config::ConfigRule', Properties: {ConfigRuleName: %s, Source: {Owner: AWS, SourceIdentifier: %s}}}\n", strings.ReplaceAll(id, "_", ""), strings.ToLower(id), id)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A scan that is killed goes on where it stopped: the calls for what it had read whole
// are not made again, and those for what it had not are, all of them.
func TestAKilledScanGoesOn(t *testing.T) {
	t.Parallel()
	g, rules := newGate(t, "demo"), threeRules(t)
	whole := g.start("scan", "--governance", rules, "--output", "json")
	whole.ends(3)
	all := g.during(nil)

	held, gone := make(chan struct{}), make(chan struct{})
	var once sync.Once
	g.during(func(r *awsapi.ServerRequest) func() {
		if r.Operation.Name != "GetPublicAccessBlock" {
			return nil
		}
		return func() {
			once.Do(func() { close(held) })
			<-gone
		}
	})
	p := g.start("scan", "--governance", rules)
	p.reaches(held)
	g.keeps(p, 3) // volumes in two Regions, and the buckets of that which has none
	p.kill()
	g.during(nil)
	close(gone)

	resumed := g.start("scan", "--governance", rules, "--resume", "--output", "json")
	resumed.ends(3)
	again := g.during(nil)
	var report struct{ Resumed, Calls, Resources, Reused int }
	if err := json.Unmarshal(resumed.out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	for _, call := range again {
		if strings.HasPrefix(call, "DescribeVolumes") || call == "ListBuckets us-east-1" {
			t.Errorf("%s was made again", call)
		}
	}
	if want := []string{"DescribeRegions eu-west-1", "ListBuckets eu-west-1"}; !slices.Equal(again[:2], want) || len(again) != len(all)-3 {
		t.Errorf("it made %v, want %v and what buckets need: %d calls less 3", again, want, len(all))
	}
	if report.Resumed != 3 || report.Calls != 8 || report.Resources != 18 {
		t.Errorf("%+v", report)
	}
	t.Logf("a whole scan made %d calls, the one that went on %d, with %d types in Regions kept", len(all), len(again), report.Resumed)
}

// keeps waits until a scan has kept so many types in Regions.
func (g *gate) keeps(p *process, n int) {
	g.t.Helper()
	db := openDatabase(g.t, filepath.Join(g.dir, "knowngood.db"))
	defer db.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for kept := 0; kept < n; {
		if err := db.QueryRow("SELECT count(*) FROM collections WHERE items IS NOT NULL").Scan(&kept); err != nil {
			g.t.Fatal(err)
		}
		select {
		case <-p.done:
			g.t.Fatalf("it ended: %s", &p.errs)
		case <-tick.C:
		}
	}
}

// With one service denied and one Region down, a scan never exits 0, nothing that was
// not read is COMPLIANT, and no finding of it closes or is archived.
func TestWhatIsNotReadIsNeverGreen(t *testing.T) {
	t.Parallel()
	g, rules := newGate(t, "enterprise"), threeRules(t)
	type key struct{ AWSRegion, ResourceType string }
	type scan struct {
		Evaluations []struct {
			ComplianceType string
			Resource       key
		}
		Findings []struct {
			ID       string
			State    string
			Resource key
		}
		Unreadable []struct{ AWSRegion, Region, ResourceType, Service, Code string }
		Closed     int
		Archived   []any
	}
	read := func(p *process) scan {
		var s scan
		if err := json.Unmarshal(p.out.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := g.start("scan", "--governance", rules, "--output", "json")
	first.ends(3)
	before := read(first)
	deny := &awsapi.Error{Status: 403, Code: "AccessDenied", Message: "a fault of the test"}
	g.Inject(sandbox.Fault{Service: "s3", Operation: "*", Count: 1 << 20, Error: deny})
	cut := func(r *awsapi.ServerRequest) func() {
		if r.Region != "eu-central-1" || r.Service.Name == "sts" {
			return nil
		}
		return func() { panic(http.ErrAbortHandler) }
	}
	g.during(cut)
	second := g.start("scan", "--governance", rules, "--output", "json")
	second.ends(3)
	after := read(second)
	for _, e := range after.Evaluations {
		if e.ComplianceType == "COMPLIANT" && (e.Resource.ResourceType == "AWS::S3::Bucket" || e.Resource.AWSRegion == "eu-central-1") {
			t.Errorf("%+v is COMPLIANT", e.Resource)
		}
	}
	if len(after.Findings) != len(before.Findings) || after.Closed != 0 || len(after.Archived) != 0 {
		t.Errorf("%d findings became %d; %d closed, %d archived", len(before.Findings), len(after.Findings), after.Closed, len(after.Archived))
	}
	denied, down := 0, 0
	for _, e := range after.Unreadable {
		switch {
		case e.Code == awsapi.CodeNoResponse:
			down++
		case e.Service == "s3" && e.Code == "AccessDenied":
			denied++
		default:
			t.Errorf("unreadable: %+v", e)
		}
	}
	if denied != 2 || down != 2 {
		t.Errorf("%d lists were denied and %d had no answer, want 2 and 2", denied, down)
	}
	// Where nothing is found beside, it is incomplete.
	third := start(t, g.env, "scan", "--governance", rules, "--region", "eu-central-1", "--state", t.TempDir())
	third.ends(6)
	t.Logf("s3 denied, eu-central-1 down: exits 3 and 6; %d evaluations, %d unreadable, none COMPLIANT of what was not read", len(after.Evaluations), len(after.Unreadable))
}
