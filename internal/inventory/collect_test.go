package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

func TestADeniedListLeavesTheOtherTypes(t *testing.T) {
	e := newDemo(t)
	e.deny("ec2", "DescribeInstances", "UnauthorizedOperation", 1, 1)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume", "AWS::EC2::Instance", "AWS::EC2::Instance"})
	if len(items) != 11 || slices.ContainsFunc(items, func(r knowngood.Resource) bool { return r.Type != "AWS::EC2::Volume" }) {
		t.Errorf("%d items", len(items))
	}
	want := knowngood.ReadError{Place: e.place(), Type: "AWS::EC2::Instance", Service: "ec2", Operation: "DescribeInstances", Code: "UnauthorizedOperation", Message: "not authorized to perform: ec2:DescribeInstances"}
	if len(errs) != 1 || errs[0] != want {
		t.Errorf("errors %+v", errs)
	}
}

func TestADeniedDetailLeavesTheItem(t *testing.T) {
	e := newEstate(t)
	for _, name := range []string{"acme-a", "acme-b", "acme-c"} {
		e.bucket(name, "eu-west-1")
	}
	e.do("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": "acme-a"})
	e.Reads, e.Concurrency = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicAcls"}}, 1
	e.deny("s3", "GetPublicAccessBlock", "AccessDenied", 2, 1)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::S3::Bucket"})
	if len(items) != 3 || len(errs) != 1 {
		t.Fatalf("%d items, errors %v", len(items), errs)
	}
	const block = "supplementaryConfiguration.PublicAccessBlockConfiguration"
	codes := []string{}
	for i := range items {
		_, there := items[i].Supplementary["PublicAccessBlockConfiguration"]
		codes = append(codes, fmt.Sprint(items[i].ID, " ", there, " ", unread(&items[i], block)))
	}
	// Of a, the block was read and is not there; of the one whose call was the
	// second, it is not known.
	slices.Sort(codes)
	if got, want := strings.Join(codes, "; "), "acme-a false ; acme-b false AccessDenied; acme-c true "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if errs[0].ID != "acme-b" || errs[0].Path != block || errs[0].Code != "AccessDenied" {
		t.Errorf("%+v", errs[0])
	}
}

func TestOnlyWhatARuleReadsIsCalledFor(t *testing.T) {
	e := newEstate(t)
	for i := range 1000 {
		e.bucket(fmt.Sprintf("acme-%04d", i), "eu-west-1")
	}
	e.bucket("acme-elsewhere", "us-east-1")
	e.Reads = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration"}}
	items, stats := e.collect("AWS::S3::Bucket")
	total := 0
	for _, n := range stats.Calls {
		total += n
	}
	if len(items) != 1000 || total > 1010 || stats.Calls["s3:GetPublicAccessBlock"] != 1000 {
		t.Errorf("%d buckets in %d calls: %v", len(items), total, stats.Calls)
	}
	if got := len(e.Calls()) - 1001; got != total {
		t.Errorf("the sandbox was called %d times, the stats say %d", got, total)
	}
	for i := range items {
		r := &items[i]
		if dig(r.Supplementary, "PublicAccessBlockConfiguration.blockPublicAcls") != true || unread(r, "supplementaryConfiguration.PublicAccessBlockConfiguration") != "" {
			t.Fatalf("%s: %v, %v", r.ID, r.Supplementary, r.Unread)
		}
		if unread(r, "tags") != CodeNotCollected || unread(r, "supplementaryConfiguration.BucketPolicy") != CodeNotCollected {
			t.Fatalf("%s: %v", r.ID, r.Unread)
		}
	}
}

func TestWhatReadsMean(t *testing.T) {
	e := newEstate(t)
	e.bucket("acme", "eu-west-1")
	for _, c := range []struct {
		reads []string
		calls string // details that are called
	}{
		{nil, ""},
		{[]string{"configuration.name", "resourceId"}, ""},
		{[]string{"tags"}, "GetBucketTagging"},
		{[]string{"tags.Owner"}, "GetBucketTagging"},
		{[]string{"supplementaryConfiguration.PublicAccessBlockConfigurationOther"}, ""},
		{[]string{"supplementaryConfiguration.BucketPolicy.policyText"}, "GetBucketPolicy"},
		{[]string{"supplementaryConfiguration.PublicAccessBlockConfiguration", "tags"}, "GetPublicAccessBlock GetBucketTagging"},
	} {
		before := len(e.Calls())
		e.Reads = map[string][]string{"AWS::S3::Bucket": c.reads, "AWS::EC2::Volume": {"tags"}}
		e.collect("AWS::S3::Bucket")
		var called []string
		for _, call := range e.Calls()[before:] {
			if call.Operation != "ListBuckets" {
				called = append(called, call.Operation)
			}
		}
		if got := strings.Join(called, " "); got != c.calls {
			t.Errorf("%q: called %q, want %q", c.reads, got, c.calls)
		}
	}
	for _, whole := range [][]string{{""}, {"supplementaryConfiguration", "tags"}} {
		e.Reads = map[string][]string{"AWS::S3::Bucket": whole}
		items, _, _ := e.Collect(t.Context(), e.place(), []string{"AWS::S3::Bucket"})
		for _, u := range items[0].Unread {
			if u.Code == CodeNotCollected {
				t.Errorf("%q: %s was not collected", whole, u.Path)
			}
		}
	}
}

func TestABucketIsOfItsOwnRegion(t *testing.T) {
	for _, named := range []bool{true, false} { // S3 names the Region in the list, or must be asked for it
		e := newEstate(t)
		e.bucket("acme-here", "eu-west-1")
		e.bucket("acme-there", "us-east-1")
		e.Reads = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration"}}
		locations := 0
		if !named {
			e.Caller, locations = withoutBucketRegion{e.Caller}, 2
		}
		items, stats := e.collect("AWS::S3::Bucket")
		if len(items) != 1 || items[0].ID != "acme-here" || items[0].Region != "eu-west-1" {
			t.Errorf("%v", items)
		}
		if stats.Calls["s3:GetPublicAccessBlock"] != 1 || stats.Calls["s3:GetBucketLocation"] != locations {
			t.Errorf("%v", stats.Calls)
		}
		elsewhere := e.place()
		elsewhere.Region = "us-east-1"
		items, errs, _ := e.Collect(t.Context(), elsewhere, []string{"AWS::S3::Bucket"})
		if len(items) != 1 || items[0].ID != "acme-there" || items[0].Region != "us-east-1" || len(errs) != 0 {
			t.Errorf("%v, %v", items, errs)
		}
	}
}

// withoutBucketRegion is an S3 whose list knows nothing of Regions, as of old.
type withoutBucketRegion struct{ awsapi.Caller }

func (w withoutBucketRegion) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	in = maps.Clone(in)
	delete(in, "BucketRegion")
	out, err := w.Caller.Call(ctx, service, operation, in, opts...)
	for _, b := range elements(out, "Buckets") {
		delete(b.(map[string]any), "BucketRegion")
	}
	return out, err
}

func TestABucketWhoseRegionIsDenied(t *testing.T) {
	e := newEstate(t)
	e.bucket("acme-a", "eu-west-1")
	e.bucket("acme-b", "eu-west-1")
	e.Caller, e.Concurrency, e.Reads = withoutBucketRegion{e.Caller}, 1, map[string][]string{}
	e.deny("s3", "GetBucketLocation", "AccessDenied", 1, 1)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::S3::Bucket"})
	if len(items) != 1 || items[0].ID != "acme-b" || len(errs) != 1 || errs[0].ID != "acme-a" || errs[0].Operation != "GetBucketLocation" || errs[0].Path != "" {
		t.Errorf("%v, %+v", items, errs)
	}
}

func TestWhatIsGoneIsNotCollected(t *testing.T) {
	e := newEstate(t)
	i := e.do("ec2", "RunInstances", map[string]any{"ImageId": "ami-0c1a2b3c4d5e6f708", "MinCount": int64(1), "MaxCount": int64(1)})["Instances"].([]any)[0].(map[string]any)["InstanceId"].(string)
	e.clock.Advance(time.Minute)
	if items, _ := e.collect("AWS::EC2::Instance"); len(items) != 1 || items[0].ID != i {
		t.Errorf("%v", items)
	}
	e.do("ec2", "TerminateInstances", map[string]any{"InstanceIds": []any{i}})
	e.clock.Advance(time.Minute)
	if out := elements(e.do("ec2", "DescribeInstances", nil), "Reservations[].Instances"); len(out) != 1 || at(out[0], "State.Name") != "terminated" {
		t.Fatalf("EC2 no longer shows the instance: %v", out)
	}
	if items, _ := e.collect("AWS::EC2::Instance"); len(items) != 0 {
		t.Errorf("%v", items)
	}
}

// A key that goes between the list and its own read is gone, and no error.
func TestWhatGoesMeanwhileIsNotCollected(t *testing.T) {
	e := newEstate(t)
	for range 3 {
		e.do("kms", "CreateKey", nil)
	}
	e.Reads, e.Concurrency = map[string][]string{}, 1
	e.Inject(sandbox.Fault{Service: "kms", Operation: "DescribeKey", Nth: 2, Error: &awsapi.Error{Status: 400, Code: "NotFoundException"}})
	items, stats := e.collect("AWS::KMS::Key")
	if len(items) != 2 || stats.Calls["kms:DescribeKey"] != 3 {
		t.Errorf("%v, %v", items, stats.Calls)
	}
	e.deny("kms", "DescribeKey", "AccessDeniedException", 1, 1)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::KMS::Key"})
	if len(items) != 2 || len(errs) != 1 || errs[0].ID == "" || errs[0].Operation != "DescribeKey" || errs[0].Path != "" {
		t.Errorf("%v, %+v", items, errs)
	}
}

// pagesOfTwo is the table's volume, listed two at a time.
func pagesOfTwo(t *testing.T) *Table {
	t.Helper()
	return tableOf(t, "ec2-volume", `
resourceType: AWS::EC2::Volume
service: ec2
list: {operation: DescribeVolumes, input: {MaxResults: 2}, items: Volumes}
resourceId: "{VolumeId}"
arn: "{VolumeId}"
configuration: {volumeId: VolumeId}
`)
}

func tableOf(t *testing.T, name, text string) *Table {
	t.Helper()
	table, err := LoadTypes(fstest.MapFS{"resources/" + name + ".yaml": {Data: []byte(text)}}, models(t))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestPages(t *testing.T) {
	e := newEstate(t)
	for range 5 {
		e.volume()
	}
	e.Table = pagesOfTwo(t)
	items, stats := e.collect("AWS::EC2::Volume")
	if len(items) != 5 || stats.Calls["ec2:DescribeVolumes"] != 3 {
		t.Errorf("%d items, %v", len(items), stats.Calls)
	}
	// The pages before one that fails count.
	e.deny("ec2", "DescribeVolumes", "UnauthorizedOperation", 3, 1)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	if len(items) != 4 || len(errs) != 1 {
		t.Errorf("%d items, %v", len(items), errs)
	}
	// A list that is searched is not read further than needed.
	before := len(e.Calls())
	if _, err := e.Read(t.Context(), e.key("AWS::EC2::Volume", items[0].ID)); err != nil || len(e.Calls()) != before+1 {
		t.Errorf("%v, %d calls", err, len(e.Calls())-before)
	}
}

// shifted is an EC2 in whose list of volumes the last of a page comes again on
// the next, and one of which has no id.
type shifted struct{}

func (shifted) Call(_ context.Context, _, _ string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	volume := func(id string) map[string]any { return map[string]any{"VolumeId": id} }
	if in["NextToken"] == nil {
		return map[string]any{"Volumes": []any{volume("vol-1"), volume("vol-2"), map[string]any{}}, "NextToken": "2"}, nil
	}
	return map[string]any{"Volumes": []any{volume("vol-2"), volume("vol-3"), volume("")}}, nil
}

func TestAListThatChangesWhileItIsRead(t *testing.T) {
	e := newEstate(t)
	e.Caller, e.Table = shifted{}, pagesOfTwo(t)
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	var ids []string
	for i := range items {
		ids = append(ids, items[i].ID)
	}
	if got := strings.Join(ids, " "); got != "vol-1 vol-2 vol-3" {
		t.Errorf("%s", got)
	}
	if len(errs) != 2 || errs[0].Code != CodeNoID {
		t.Errorf("%+v", errs)
	}
}

func TestAnUnknownType(t *testing.T) {
	e := newEstate(t)
	items, errs, stats := e.Collect(t.Context(), e.place(), []string{"AWS::Mars::Rover"})
	if len(items) != 0 || len(errs) != 1 || errs[0].Code != CodeUnknownType || errs[0].Type != "AWS::Mars::Rover" || len(stats.Calls) != 0 {
		t.Errorf("%v, %+v, %v", items, errs, stats)
	}
}

func TestACollectionThatIsBrokenOff(t *testing.T) {
	e := newDemo(t)
	ctx, cancel := context.WithCancel(t.Context())
	e.Reads, e.Concurrency = map[string][]string{"AWS::S3::Bucket": {"tags"}}, 1
	e.Inject(sandbox.Fault{Service: "s3", Operation: "GetBucketTagging", Nth: 3, Hook: cancel})
	items, errs, _ := e.Collect(ctx, e.place(), []string{"AWS::S3::Bucket"})
	missing := 0
	for i := range items {
		if unread(&items[i], "tags") == CodeFailed {
			missing++
		}
	}
	if len(items) != 7 || missing != 4 || len(errs) != 4 {
		t.Errorf("%d items, of %d the tags are missing, %d errors", len(items), missing, len(errs))
	}
	items, errs, _ = e.Collect(ctx, e.place(), []string{"AWS::S3::Bucket"})
	if len(items) != 0 || len(errs) != 1 || errs[0].Operation != "ListBuckets" || errs[0].Code != CodeFailed || errs[0].Message == "" {
		t.Errorf("%v, %+v", items, errs)
	}
}

func TestCallsUnderWayAreBounded(t *testing.T) {
	e := newEstate(t)
	for i := range 40 {
		e.bucket(fmt.Sprintf("acme-%d", i), "eu-west-1")
	}
	gauge := &gauge{Caller: e.Caller, second: make(chan struct{})}
	e.Caller, e.Concurrency, e.Reads = gauge, 3, map[string][]string{"AWS::S3::Bucket": {"tags"}}
	e.collect("AWS::S3::Bucket", "AWS::EC2::Volume", "AWS::IAM::Role", "AWS::EC2::VPC")
	if most := gauge.most.Load(); most > 3 || most < 2 {
		t.Errorf("%d calls at once", most)
	}
}

// gauge measures how many calls are under way at once. The first waits for a
// second, so that a Collector which makes one after the other would hang.
type gauge struct {
	awsapi.Caller
	second           chan struct{}
	now, most, calls atomic.Int64
}

func (g *gauge) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	now := g.now.Add(1)
	defer g.now.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	switch g.calls.Add(1) {
	case 1:
		select {
		case <-g.second:
		case <-ctx.Done():
		}
	case 2:
		close(g.second)
	}
	return g.Caller.Call(ctx, service, operation, in, opts...)
}

func TestProgress(t *testing.T) {
	e := newDemo(t)
	var seen []string
	e.Progress = func(p Progress) { seen = append(seen, fmt.Sprintf("%s %d", p.Type, p.Items)) }
	done := 0
	inner := e.Progress
	e.Progress = func(p Progress) {
		if done++; p.Done != done || p.Parts != 2 {
			t.Errorf("%+v is the %dth of 2", p, done)
		}
		inner(p)
	}
	e.collect("AWS::EC2::Volume", "AWS::EC2::Instance")
	slices.Sort(seen)
	if got := strings.Join(seen, ", "); got != "AWS::EC2::Instance 6, AWS::EC2::Volume 11" {
		t.Errorf("%s", got)
	}
}

func TestAThrottledServiceIsLeftAloneForAWhile(t *testing.T) {
	e := newDemo(t)
	throttle := func(count int) {
		e.Inject(sandbox.Fault{Service: "ec2", Operation: "DescribeVolumes", Count: count, Error: &awsapi.Error{Status: 503, Code: "RequestLimitExceeded", Message: "Request limit exceeded."}})
	}
	throttle(3)
	start := e.clock.Now()
	items, stats := e.collect("AWS::EC2::Volume")
	if waited := e.clock.Now().Sub(start); len(items) != 11 || stats.Calls["ec2:DescribeVolumes"] != 4 || waited != 7*time.Second {
		t.Errorf("%d items, %v, after %v", len(items), stats.Calls, waited)
	}
	throttle(throttledTries)
	items, errs, stats := e.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	if len(items) != 0 || len(errs) != 1 || errs[0].Code != "RequestLimitExceeded" || stats.Calls["ec2:DescribeVolumes"] != throttledTries {
		t.Errorf("%d items, %+v, %v", len(items), errs, stats.Calls)
	}
}

func TestPace(t *testing.T) {
	clock := sandbox.NewClock(began)
	var p pace
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		p.slower(clock.Now())
		p.slower(clock.Now()) // throttled together with it
		before := clock.Now()
		if err := p.wait(t.Context(), clock); err != nil || clock.Now().Sub(before) != want*time.Second {
			t.Errorf("pause %d took %v, %v", i, clock.Now().Sub(before), err)
		}
	}
	p.faster()
	p.slower(clock.Now())
	if d := p.until.Sub(clock.Now()); d != 30*time.Second {
		t.Errorf("after one success the pause is %v", d)
	}
	for range 6 {
		p.faster()
	}
	clock.Advance(time.Minute)
	p.slower(clock.Now())
	if d := p.until.Sub(clock.Now()); d != time.Second {
		t.Errorf("after many successes the pause is %v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.wait(ctx, clock); err == nil {
		t.Error("it waited beyond the context's end")
	}
}
