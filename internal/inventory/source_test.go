package inventory

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// record turns on AWS Config in a Region.
func (e *estate) record(region string, group m) {
	e.t.Helper()
	bucket := "config-" + region
	in := m{"Bucket": bucket}
	if region != "us-east-1" {
		in["CreateBucketConfiguration"] = m{"LocationConstraint": region}
	}
	e.doIn(region, "s3", "CreateBucket", in)
	e.doIn(region, "config", "PutConfigurationRecorder", m{"ConfigurationRecorder": m{"name": "default", "roleARN": "arn:aws:iam::" + e.Account() + ":role/config", "recordingGroup": group}})
	e.doIn(region, "config", "PutDeliveryChannel", m{"DeliveryChannel": m{"name": "default", "s3BucketName": bucket}})
	e.doIn(region, "config", "StartConfigurationRecorder", m{"ConfigurationRecorderName": "default"})
}

func (e *estate) aggregator(accounts ...any) *RecordedSource {
	e.t.Helper()
	e.do("config", "PutConfigurationAggregator", m{"ConfigurationAggregatorName": "org", "AccountAggregationSources": []any{m{"AccountIds": accounts, "AwsRegions": []any{"eu-west-1", "us-east-1"}}}})
	return &RecordedSource{Caller: e.Caller, Catalog: e.Catalog, Table: e.Table, Clock: e.clock, Aggregator: "org"}
}

func codes(errs []knowngood.ReadError) []string {
	var out []string
	for _, e := range errs {
		out = append(out, strings.Join([]string{e.Account, e.Region, e.Type, e.ID, e.Operation, e.Code}, " "))
	}
	slices.Sort(out)
	return out
}

func byType(items []knowngood.Resource) map[string]int {
	out := map[string]int{}
	for i := range items {
		out[items[i].Type]++
	}
	return out
}

var everything = m{"allSupported": true, "includeGlobalResourceTypes": true}

func TestItemsOfAnAggregator(t *testing.T) {
	e := newDemo(t)
	e.record("eu-west-1", everything)
	e.record("us-east-1", everything)
	e.doIn("us-east-1", "ec2", "CreateVolume", m{"AvailabilityZone": "us-east-1a", "Size": int64(7), "TagSpecifications": []any{m{"ResourceType": "volume", "Tags": []any{m{"Key": "Env", "Value": "test"}}}}})
	e.do("iam", "CreateUser", m{"UserName": "ann"})
	e.clock.Advance(time.Hour)
	source := e.aggregator(e.Account(), "999900001111")
	items, errs, stats := source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume", "AWS::S3::Bucket", "AWS::IAM::User", "AWS::::Account", "AWS::Mars::Rover", "AWS::Backup::BackupPlan"})
	live, _ := e.collect("AWS::EC2::Volume")
	counts := byType(items)
	if counts["AWS::EC2::Volume"] != len(live)+1 || counts["AWS::IAM::User"] == 0 || counts["AWS::S3::Bucket"] == 0 {
		t.Errorf("%v, want %d volumes and one", counts, len(live))
	}
	if got, want := codes(errs), []string{
		e.Account() + " eu-west-1 AWS::::Account  SelectResourceConfig NotRecorded",
		e.Account() + " eu-west-1 AWS::Backup::BackupPlan  SelectAggregateResourceConfig NotRecorded",
		e.Account() + " eu-west-1 AWS::Mars::Rover  SelectResourceConfig NotRecorded",
	}; !slices.Equal(slices.DeleteFunc(slices.Clone(got), func(s string) bool { return strings.HasPrefix(s, "9999") }), want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	// Of an account that did not let the aggregator in nothing is known, of no type.
	for _, want := range []string{"global AWS::IAM::User  SelectAggregateResourceConfig NothingRecorded", "us-east-1 AWS::EC2::Volume  DescribeConfigurationAggregatorSourcesStatus AccessDenied"} {
		if !slices.Contains(codes(errs), "999900001111 "+want) {
			t.Errorf("%s is not told", want)
		}
	}
	if stats.Items != len(items) || stats.Calls["config:BatchGetAggregateResourceConfig"] == 0 || stats.Calls["config:BatchGetAggregateResourceConfig"] > 3 || stats.Calls["config:SelectAggregateResourceConfig"] != 1 {
		t.Errorf("%+v", stats)
	}
	far := items[slices.IndexFunc(items, func(r knowngood.Resource) bool { return r.Region == "us-east-1" && r.Type == "AWS::EC2::Volume" })]
	if far.Configuration["size"] != int64(7) || far.Tags["Env"] != "test" || far.Status != knowngood.ItemOK || far.CaptureTime.IsZero() || !far.CaptureTime.Before(e.clock.Now()) || far.Unread != nil {
		t.Errorf("%+v", far)
	}
	attached := slices.IndexFunc(items, func(r knowngood.Resource) bool { return r.Type == "AWS::EC2::Volume" && len(r.Relationships) > 0 })
	if attached < 0 || items[attached].Relationships[0].Type != "AWS::EC2::Instance" {
		t.Errorf("no volume is related to its instance")
	}
	user := items[slices.IndexFunc(items, func(r knowngood.Resource) bool { return r.Type == "AWS::IAM::User" })]
	if unread(&user, "supplementaryConfiguration.AccessKeys") != CodeNotRecorded || user.Region != "global" {
		t.Errorf("%+v", user)
	}
}

// What Config says of a resource is what the API says, as far as it records it.
func TestRecordedItemsAreTheCollected(t *testing.T) {
	e := newDemo(t)
	e.record("eu-west-1", everything)
	e.clock.Advance(time.Hour)
	source := &RecordedSource{Caller: e.Caller, Catalog: e.Catalog, Table: e.Table, Clock: e.clock}
	recorded, errs, _ := source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	live, _ := e.collect("AWS::EC2::Volume")
	if len(errs) > 0 || len(recorded) != len(live) {
		t.Fatalf("%v, %d of %d", errs, len(recorded), len(live))
	}
	for _, want := range live {
		got := recorded[slices.IndexFunc(recorded, func(r knowngood.Resource) bool { return r.ID == want.ID })]
		if got.ARN != want.ARN || !reflect.DeepEqual(got.Tags, want.Tags) || got.Configuration["size"] != want.Configuration["size"] || !reflect.DeepEqual(got.Configuration["state"], want.Configuration["state"]) ||
			!reflect.DeepEqual(got.Relationships, want.Relationships) {
			t.Errorf("recorded %s\ncollected %s", text(t, &got), text(t, &want))
		}
	}
}

func TestWhatARecorderLeavesOut(t *testing.T) {
	types := []string{"AWS::EC2::Volume", "AWS::IAM::User", "AWS::S3::Bucket"}
	for _, c := range []struct {
		group m
		want  []string // not recorded
	}{
		{everything, nil},
		{m{"allSupported": true}, []string{"AWS::IAM::User"}},
		{m{"resourceTypes": []any{"AWS::EC2::Volume"}}, []string{"AWS::IAM::User", "AWS::S3::Bucket"}},
		{m{"exclusionByResourceTypes": m{"resourceTypes": []any{"AWS::EC2::Volume"}}, "recordingStrategy": m{"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"}}, []string{"AWS::EC2::Volume"}},
	} {
		e := newEstate(t)
		e.record("eu-west-1", c.group)
		e.volume()
		e.clock.Advance(time.Hour)
		source := &RecordedSource{Caller: e.Caller, Catalog: e.Catalog, Table: e.Table, Clock: e.clock}
		_, errs, _ := source.Collect(t.Context(), e.place(), types)
		var got []string
		for _, f := range errs {
			if f.Code != CodeNotRecorded {
				t.Errorf("%v", f)
			}
			got = append(got, f.Type)
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.group, got, c.want)
		}
	}
}

func TestNoRecorderAndAStoppedOne(t *testing.T) {
	e := newEstate(t)
	source := &RecordedSource{Caller: e.Caller, Catalog: e.Catalog, Table: e.Table, Clock: e.clock}
	items, errs, _ := source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	if len(items) != 0 || len(errs) != 1 || errs[0].Code != "NoAvailableConfigurationRecorder" {
		t.Errorf("%v, %v", items, errs)
	}
	e.record("eu-west-1", everything)
	e.volume()
	e.clock.Advance(time.Hour)
	e.do("config", "StopConfigurationRecorder", m{"ConfigurationRecorderName": "default"})
	items, errs, _ = source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	if len(items) != 1 || len(errs) != 1 || errs[0].Code != "RecorderStopped" {
		t.Errorf("%v, %v", items, errs)
	}
	e.deny("config", "SelectResourceConfig", "AccessDeniedException", 1, 9)
	items, errs, _ = source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume", "AWS::S3::Bucket"})
	if len(items) != 0 || len(errs) != 4 || errs[2].Code != "AccessDeniedException" || errs[2].Type != "AWS::EC2::Volume" {
		t.Errorf("%v, %v", items, errs)
	}
}

// slow leaves the first identifiers of each batch unprocessed, some for ever.
type slow struct {
	awsapi.Caller
	asked map[string]int
	never string
}

func (s *slow) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	ids, _ := in["ResourceIdentifiers"].([]any)
	if ids == nil {
		return s.Caller.Call(ctx, service, operation, in, opts...)
	}
	if len(ids) > batchSize {
		return nil, fmt.Errorf("%d identifiers", len(ids))
	}
	var now, later []any
	for _, id := range ids {
		name := at(id, "ResourceId").(string)
		if s.asked[name]++; name == s.never || s.asked[name] == 1 && len(later) < 3 {
			later = append(later, id)
		} else {
			now = append(now, id)
		}
	}
	out := map[string]any{"BaseConfigurationItems": []any{}}
	if len(now) > 0 {
		var err error
		if out, err = s.Caller.Call(ctx, service, operation, map[string]any{"ConfigurationAggregatorName": in["ConfigurationAggregatorName"], "ResourceIdentifiers": now}, opts...); err != nil {
			return nil, err
		}
	}
	out["UnprocessedResourceIdentifiers"] = later
	return out, nil
}

func TestUnprocessedResourcesAreAskedForAgain(t *testing.T) {
	e := newEstate(t)
	e.record("eu-west-1", everything)
	var volumes []string
	for range 130 {
		volumes = append(volumes, e.volume())
	}
	e.clock.Advance(time.Hour)
	source := e.aggregator(e.Account())
	source.Caller = &slow{e.Caller, map[string]int{}, volumes[7]}
	items, errs, stats := source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"})
	if len(items) != 129 || !slices.Equal(codes(errs), []string{e.Account() + " eu-west-1 AWS::EC2::Volume " + volumes[7] + " BatchGetAggregateResourceConfig " + CodeUnprocessed}) {
		t.Errorf("%d items, %v", len(items), codes(errs))
	}
	if stats.Calls["config:BatchGetAggregateResourceConfig"] != 4 || stats.Calls["config:SelectAggregateResourceConfig"] != 2 {
		t.Errorf("%v", stats.Calls)
	}
	e.deny("config", "BatchGetAggregateResourceConfig", "ThrottlingException", 1, 1)
	source.Caller = e.Caller
	if items, errs, _ = source.Collect(t.Context(), e.place(), []string{"AWS::EC2::Volume"}); len(items) != 30 || len(errs) != 100 {
		t.Errorf("%d items, %d errors", len(items), len(errs))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if items, errs, _ = source.Collect(ctx, e.place(), []string{"AWS::EC2::Volume"}); len(items) != 0 || len(errs) == 0 {
		t.Errorf("%d items, %v", len(items), errs)
	}
}

func TestTypesFitExpressions(t *testing.T) {
	var types []string
	for i := range 300 {
		types = append(types, fmt.Sprintf("AWS::Service%03d::AResourceOfALongName", i))
	}
	all := expressions(types)
	if !slices.Equal(slices.Concat(all...), types) || len(all) < 2 || len(all) > 5 {
		t.Errorf("%d expressions", len(all))
	}
	for _, names := range all {
		if n := len(selected + "'" + strings.Join(names, "','") + "')"); n > longestExpress {
			t.Errorf("an expression of %d characters", n)
		}
	}
	if expressions(nil) != nil {
		t.Error("an expression of nothing")
	}
}

func TestPartsAreApart(t *testing.T) {
	r := func(account, region, typ, id string) knowngood.Resource {
		return knowngood.Resource{AccountID: account, Region: region, Type: typ, ID: id}
	}
	failed := []knowngood.ReadError{
		{Place: knowngood.Place{Account: "a", Region: "us-east-1"}, Type: "R", Code: "NotRecorded"}, // the source's own
		{Place: knowngood.Place{Account: "b", Region: "eu-west-1"}, Type: "V", Code: "OUTDATED"},
	}
	parts := Parts(knowngood.Place{Account: "a", Region: "us-east-1"}, []knowngood.Resource{r("a", "eu-west-1", "V", "1"), r("a", "global", "U", "2"), r("b", "eu-west-1", "V", "3")}, failed, []string{"U", "V"})
	var got []string
	for _, p := range parts {
		line := p.Account + " " + p.Region + ":"
		for _, i := range p.Items {
			line += " " + i.ID
		}
		line += ";"
		for _, e := range p.Unreadable {
			line += " " + e.Type + "=" + e.Code
		}
		got = append(got, line)
	}
	want := []string{
		"a eu-west-1: 1 2; R=NotRecorded",
		"a global: 2; V=NotRecorded R=NotRecorded",
		"b eu-west-1: 3; U=NotRecorded R=NotRecorded V=OUTDATED",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}
