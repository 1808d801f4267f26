package inventory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

// wired is a Caller that a test stands in front of.
type wired struct {
	awsapi.Caller
	before func(service, operation, region string) error // nil error: the call goes on
}

func (w wired) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if err := w.before(service, operation, awsapi.Options(opts...).Region); err != nil {
		return nil, err
	}
	return w.Caller.Call(ctx, service, operation, in, opts...)
}

var twoRegions = []string{"eu-west-1", "us-east-1"}

func (e *estate) survey(types ...string) Survey {
	return Survey{Place: knowngood.Place{Partition: "aws", Account: e.Account()}, Regions: twoRegions, Global: "us-east-1", Types: types}
}

func TestASurveyReadsEachRegionAndWhatIsGlobalOnce(t *testing.T) {
	e := newEstate(t)
	for _, region := range twoRegions {
		e.doIn(region, "ec2", "CreateVolume", map[string]any{"AvailabilityZone": region + "a", "Size": int64(1)})
		e.bucket("acme-"+region, region)
	}
	before := len(e.Calls())
	parts, stats, err := e.Survey(t.Context(), e.survey("AWS::EC2::Volume", "AWS::S3::Bucket", "AWS::IAM::User"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, k := range parts {
		got[k.Type+" "+k.Region] = k.Count
		if len(k.Errors) > 0 || k.Account != e.Account() || k.Began.IsZero() {
			t.Errorf("%+v", k)
		}
		for _, item := range k.Items {
			if item.Region != k.Region {
				t.Errorf("%s is in %s, its part in %s", item.ID, item.Region, k.Region)
			}
		}
	}
	if want := map[string]int{"AWS::EC2::Volume eu-west-1": 1, "AWS::EC2::Volume us-east-1": 1, "AWS::S3::Bucket eu-west-1": 1, "AWS::S3::Bucket us-east-1": 1, "AWS::IAM::User global": 0}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if stats.Calls["iam:ListUsers"]+stats.Calls["iam:GetAccountAuthorizationDetails"] != 1 || stats.Calls["ec2:DescribeVolumes"] != 2 {
		t.Errorf("%v", stats.Calls)
	}
	for _, c := range e.Calls()[before:] {
		if c.Service == "iam" && c.Region != "us-east-1" {
			t.Errorf("%s was called in %s", c.Operation, c.Region)
		}
	}
}

// The account has what is the same in all Regions once, and what may differ in each.
func TestTheAccountsHalves(t *testing.T) {
	for _, c := range []struct {
		reads []string
		want  string
	}{
		{nil, "eu-west-1 global us-east-1"},
		{[]string{"configuration.accountMFAEnabled"}, "global"},
		{[]string{"supplementaryConfiguration.EbsEncryptionByDefault"}, "eu-west-1 us-east-1"},
		{[]string{"accountId"}, "eu-west-1 us-east-1"}, // of a rule that looks up others
		{[]string{"accountId", "supplementaryConfiguration.PasswordPolicy.expirePasswords"}, "eu-west-1 global us-east-1"},
	} {
		e := newEstate(t)
		if c.reads != nil {
			e.Reads = map[string][]string{"AWS::::Account": c.reads}
		}
		parts, _, err := e.Survey(t.Context(), e.survey("AWS::::Account"))
		if err != nil {
			t.Fatal(err)
		}
		var regions []string
		for _, k := range parts {
			regions = append(regions, k.Region)
			if len(k.Items) != 1 || len(k.Errors) > 0 {
				t.Errorf("%v in %s: %d items, %v", c.reads, k.Region, len(k.Items), k.Errors)
			}
		}
		slices.Sort(regions)
		if got := strings.Join(regions, " "); got != c.want {
			t.Errorf("%v: read in %s, want %s", c.reads, got, c.want)
		}
	}
	table := libraryTable(t)
	for _, c := range []struct {
		region, read string
		want         bool
	}{
		{Global, "configuration.accountMFAEnabled", true}, {"eu-west-1", "configuration.accountMFAEnabled", false},
		{Global, "supplementaryConfiguration.SecurityHub", false}, {"eu-west-1", "supplementaryConfiguration.SecurityHub", true},
		{Global, "accountId", false}, {"eu-west-1", "accountId", true},
	} {
		if got := table.Judged("AWS::::Account", c.region, []string{c.read}); got != c.want {
			t.Errorf("%s in %s: %v", c.read, c.region, got)
		}
	}
	if !table.Judged("AWS::EC2::Volume", "eu-west-1", nil) {
		t.Error("a type of one half has no rule")
	}
}

// A Region in which nothing answers leaves the others, and is not asked for ever.
func TestASilentRegionIsGivenUp(t *testing.T) {
	e := newEstate(t)
	e.doIn("eu-west-1", "ec2", "CreateVolume", map[string]any{"AvailabilityZone": "eu-west-1a", "Size": int64(1)})
	var mu sync.Mutex
	tried := 0
	e.Caller = wired{e.Caller, func(service, operation, region string) error {
		if region != "us-east-1" {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		tried++
		return &awsapi.Error{Code: awsapi.CodeNoResponse, Service: service, Operation: operation, Retryable: true}
	}}
	e.Concurrency = 1
	var types []string
	for _, name := range simulated(t) {
		if typ, _ := e.Table.Type(name); !typ.Global {
			types = append(types, name)
		}
	}
	parts, _, err := e.Survey(t.Context(), e.survey(types...))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range parts {
		if (len(k.Errors) > 0) != (k.Region == "us-east-1") {
			t.Errorf("%s in %s: %v", k.Type, k.Region, k.Errors)
		}
		for _, e := range k.Errors {
			if e.Code != awsapi.CodeNoResponse || e.Region != "us-east-1" {
				t.Errorf("%+v", e)
			}
		}
	}
	if tried != deaf {
		t.Errorf("the Region was asked %d times, want %d", tried, deaf)
	}
}

// Credentials that expire end a survey: what is missing for them is not taken for
// unreadable.
func TestExpiredCredentialsEndASurvey(t *testing.T) {
	e := newDemo(t)
	e.Caller = wired{e.Caller, func(service, operation, region string) error {
		if service == "s3" {
			return &awsapi.Error{Code: "ExpiredToken", Status: 400, Service: service, Operation: operation}
		}
		return nil
	}}
	var finished []string
	v := e.survey("AWS::EC2::Volume", "AWS::S3::Bucket")
	v.Finished = func(k knowngood.Collection) error {
		finished = append(finished, k.Type+" "+k.Region)
		return nil
	}
	e.Concurrency = 1
	_, _, err := e.Survey(t.Context(), v)
	if knowngood.KindOf(err) != knowngood.Credentials {
		t.Fatalf("%v", err)
	}
	if slices.ContainsFunc(finished, func(s string) bool { return strings.Contains(s, "S3") }) {
		t.Errorf("finished %v", finished)
	}
}

// What an interrupted survey has finished is not read again, unless something else
// is to be read of it.
func TestASurveyGoesOnWhereItStopped(t *testing.T) {
	e := newDemo(t)
	types := []string{"AWS::EC2::Instance", "AWS::EC2::Volume", "AWS::EC2::VPC", "AWS::S3::Bucket"}
	whole, _, err := e.Survey(t.Context(), e.survey(types...))
	if err != nil {
		t.Fatal(err)
	}
	for stop := range len(types) * 2 {
		ctx, cancel := context.WithCancel(t.Context())
		var kept []knowngood.Collection
		v := e.survey(types...)
		v.Finished = func(k knowngood.Collection) error {
			if kept = append(kept, k); len(kept) > stop {
				cancel()
			}
			return nil
		}
		_, _, err := e.Survey(ctx, v)
		cancel()
		if stop < len(types)*2-1 && !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		before := len(e.Calls())
		again := e.survey(types...)
		again.Kept = kept
		parts, stats, err := e.Survey(t.Context(), again)
		if err != nil {
			t.Fatal(err)
		}
		items, _ := Together(parts)
		want, _ := Together(whole)
		if !slices.EqualFunc(items, want, func(a, b knowngood.Resource) bool { return a.Key() == b.Key() }) {
			t.Errorf("after %d parts it came to %d items, want %d", stop, len(items), len(want))
		}
		read := map[string]bool{}
		for _, k := range kept {
			typ, _ := e.Table.Type(k.Type)
			read[typ.List.Operation+" "+k.Region] = true
		}
		for _, c := range e.Calls()[before:] {
			if read[c.Operation+" "+c.Region] {
				t.Errorf("after %d parts %s was called in %s again", stop, c.Operation, c.Region)
			}
		}
		if total := stats.Calls["ec2:DescribeVolumes"] + stats.Calls["ec2:DescribeInstances"] + stats.Calls["ec2:DescribeVpcs"] + stats.Calls["s3:ListBuckets"]; total != 8-len(kept) {
			t.Errorf("after %d parts %d lists were read", len(kept), total)
		}
		e.Reads = map[string][]string{"AWS::S3::Bucket": {"tags"}}
		_, stats, _ = e.Survey(t.Context(), again)
		if stats.Calls["s3:ListBuckets"] != 2 {
			t.Errorf("for other reads the buckets were listed %d times", stats.Calls["s3:ListBuckets"])
		}
		e.Reads = nil
	}
}

func TestRatesOfTheLibrary(t *testing.T) {
	rates, err := LoadRates(library.FS, models(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		service, operation string
		want               Rate
	}{
		{"ec2", "DescribeVolumes", Rate{Name: "ec2:DescribeVolumes", PerSecond: 20, Burst: 100}},
		{"ec2", "DescribeAddresses", Rate{Name: "ec2:DescribeAddresses", PerSecond: 10, Burst: 50}},
		{"lambda", "GetFunction", Rate{Name: "lambda:GetFunction", PerSecond: 100, Burst: 100}},
		{"lambda", "ListFunctions", Rate{Name: "lambda *", PerSecond: 15, Burst: 15}},
		{"lambda", "ListTags", Rate{Name: "lambda *", PerSecond: 15, Burst: 15}},
		{"rds", "DescribeDBInstances", Rate{Name: "rds", PerSecond: 10, Burst: 20, Assumed: true}},
	} {
		if got := rates.Of(c.service, c.operation); got != c.want {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	if p, ok := rates.Billed("s3", "ListBuckets"); !ok || p.USDPer1000 != 0.005 {
		t.Errorf("%+v", p)
	}
	if _, ok := rates.Billed("config", "SelectAggregateResourceConfig"); ok {
		t.Error("Config's queries are billed")
	}
	// Every call of the table has a rate.
	for _, name := range libraryTable(t).Types() {
		typ, _ := libraryTable(t).Type(name)
		for _, op := range typ.Operations() {
			service, operation, _ := strings.Cut(op, ":")
			if r := rates.Of(service, operation); r.PerSecond <= 0 || r.Burst <= 0 {
				t.Errorf("%s has no rate: %+v", op, r)
			}
		}
	}
}

// No window of time has more calls than a fifth of the rate allows, also after a
// throttling, which only slows.
func TestCallsKeepToAFifthOfTheRate(t *testing.T) {
	rates, err := LoadRates(library.FS, models(t))
	if err != nil {
		t.Fatal(err)
	}
	e := newEstate(t)
	for i := range 300 {
		e.bucket(fmt.Sprintf("acme-%03d", i), "eu-west-1")
	}
	e.Rates, e.Concurrency = rates, 1
	e.Reads = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration"}}
	var mu sync.Mutex
	var times []time.Time
	e.Caller = wired{e.Caller, func(service, operation, region string) error {
		mu.Lock()
		defer mu.Unlock()
		if times = append(times, e.clock.Now()); len(times) == 150 {
			return &awsapi.Error{Code: "SlowDown", Status: 503, Retryable: true}
		}
		return nil
	}}
	items, _ := e.collect("AWS::S3::Bucket")
	if len(items) != 300 {
		t.Fatalf("%d items", len(items))
	}
	const perSecond, burst = 20, 20 // a fifth of 100
	for i := range times {
		for j := i + 1; j < len(times); j++ {
			if most := burst + perSecond*times[j].Sub(times[i]).Seconds() + 1; float64(j-i+1) > most {
				t.Fatalf("calls %d to %d were made in %v, at most %.1f may be", i, j, times[j].Sub(times[i]), most)
			}
		}
	}
	took := times[len(times)-1].Sub(times[0])
	if least := (302 - burst) / perSecond * time.Second; took < least || took > 2*least {
		t.Errorf("%d calls took %v, want %v and somewhat more", len(times), took, least)
	}
	t.Logf("%d calls at 20%% of 100 a second, one throttled: %v on the collector's clock", len(times), took)
	if gap := times[150].Sub(times[149]); gap < firstPause {
		t.Errorf("after the throttled call the next came %v later", gap)
	}
}

// Half the rate is left after a throttling, and it comes back.
func TestThrottlingHalvesTheRate(t *testing.T) {
	clock := sandbox.NewClock(began)
	p := newPace(Rate{PerSecond: 100, Burst: 1}, 20)
	gap := func() time.Duration {
		before := clock.Now()
		if err := p.wait(t.Context(), clock); err != nil {
			t.Fatal(err)
		}
		return clock.Now().Sub(before)
	}
	gap()
	if d := gap(); d != 50*time.Millisecond {
		t.Errorf("at 20 a second the next comes after %v", d)
	}
	p.slower(clock.Now())
	if d := gap(); d < firstPause {
		t.Errorf("after a throttling it comes after %v", d)
	}
	if d := gap(); d != 100*time.Millisecond {
		t.Errorf("at half the rate it comes after %v", d)
	}
	for range 100 {
		p.faster()
	}
	gap()
	if d := gap(); d != 50*time.Millisecond {
		t.Errorf("after many successes it comes after %v", d)
	}
}
