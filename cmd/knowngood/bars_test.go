package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

// The bars of a cold scan: at most a tenth more calls than the least possible, and at
// most 300 MiB.
const (
	barResources = 5000
	barRules     = 100
	barCalls     = 1.10
	barMemory    = 300 << 20
)

// A cold scan of 5,000 resources by 100 rules: what it takes is printed.
func TestAColdScanOf5000Resources(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute; run it without -short")
	}
	g := newGate(t, "startup")
	g.grow()
	pack := g.rules(barRules)
	p := g.start("scan", "--governance", pack, "--output", "json")
	began := time.Now()
	<-p.done
	wall := time.Since(began)
	if code := p.cmd.ProcessState.ExitCode(); code != 3 {
		t.Fatalf("exit %d\n%s", code, &p.errs)
	}
	var report struct {
		Resources, Calls, Rules int
		Seconds                 float64
		Evaluations, Findings   []any
		Unreadable              []struct{ Service, Operation, Code string }
	}
	if err := json.Unmarshal(p.out.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	for _, e := range report.Unreadable {
		t.Errorf("unreadable: %+v", e)
	}
	least := g.least(pack)
	memory := peak(p.cmd.ProcessState)
	t.Logf("%d resources, %d rules, %d evaluations, %d findings: %.2f s wall (%.2f s of the scan's own), %d calls, %d at least (%.1f%% more), peak %.0f MiB",
		report.Resources, report.Rules, len(report.Evaluations), len(report.Findings), wall.Seconds(), report.Seconds, report.Calls, least, 100*(float64(report.Calls)/float64(least)-1), float64(memory)/(1<<20))
	if report.Resources < barResources || report.Rules < barRules {
		t.Errorf("%d resources and %d rules are fewer than %d and %d", report.Resources, report.Rules, barResources, barRules)
	}
	if float64(report.Calls) > barCalls*float64(least) {
		t.Errorf("%d calls are more than %.0f%% of the %d that it takes", report.Calls, 100*barCalls, least)
	}
	if memory > barMemory {
		t.Errorf("it took %d MiB, want at most %d", memory>>20, barMemory>>20)
	}

	again := g.start("scan", "--governance", pack, "--output", "json")
	again.ends(3)
	var second struct {
		Seconds     float64
		Reused      int
		Evaluations []any
	}
	if err := json.Unmarshal(again.out.Bytes(), &second); err != nil {
		t.Fatal(err)
	}
	t.Logf("a second scan: %.2f s, %d of %d evaluations were known", second.Seconds, second.Reused, len(second.Evaluations))
	if 2*second.Reused < len(second.Evaluations) {
		t.Errorf("of %d evaluations only %d were known", len(second.Evaluations), second.Reused)
	}
}

// peak is the most memory that a process had, in bytes.
func peak(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return usage.Maxrss
	}
	return usage.Maxrss << 10
}

// grow makes an estate of some 5,000 resources in two Regions.
func (g *gate) grow() {
	g.t.Helper()
	regions := []string{"eu-west-1", "us-east-1"}
	call := func(region, service, operation string, in map[string]any) {
		g.t.Helper()
		if _, err := g.Call(g.t.Context(), sandbox.Request{Service: service, Operation: operation, Region: region, AccessKeyID: sandbox.OperatorKey, Input: in}); err != nil {
			g.t.Fatalf("%s:%s: %v", service, operation, err)
		}
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for i := range 1300 {
		region := regions[i%2]
		call(region, "ec2", "CreateVolume", map[string]any{"AvailabilityZone": region + "a", "Size": int64(8 + i%100), "Encrypted": i%3 > 0})
		call(region, "ec2", "CreateSecurityGroup", map[string]any{"GroupName": fmt.Sprint("group-", i), "Description": "of the test"})
		if i%2 == 0 {
			location := map[string]any{"Bucket": fmt.Sprintf("acme-bar-%04d", i)}
			if region != "us-east-1" {
				location["CreateBucketConfiguration"] = map[string]any{"LocationConstraint": region}
			}
			call(region, "s3", "CreateBucket", location)
			call(region, "iam", "CreateRole", map[string]any{"RoleName": fmt.Sprint("role-", i), "AssumeRolePolicyDocument": trust})
			call(region, "sqs", "CreateQueue", map[string]any{"QueueName": fmt.Sprint("queue-", i)})
			call(region, "sns", "CreateTopic", map[string]any{"Name": fmt.Sprint("topic-", i)})
		}
		if i%6 == 0 {
			call(region, "iam", "CreateUser", map[string]any{"UserName": fmt.Sprint("user-", i)})
			call(region, "kms", "CreateKey", nil)
			call(region, "dynamodb", "CreateTable", map[string]any{"TableName": fmt.Sprint("table-", i), "BillingMode": "PAY_PER_REQUEST",
				"KeySchema":            []any{map[string]any{"AttributeName": "id", "KeyType": "HASH"}},
				"AttributeDefinitions": []any{map[string]any{"AttributeName": "id", "AttributeType": "S"}}})
		}
	}
}

// rules writes a template with the library's rules whose every call the sandbox
// answers, which are at least so many.
func (g *gate) rules(least int) (file string) {
	g.t.Helper()
	lib, err := rule.Load(library.FS)
	if err != nil {
		g.t.Fatal(err)
	}
	table, err := inventory.LoadTypes(library.FS, g.catalog)
	if err != nil {
		g.t.Fatal(err)
	}
	simulated := sandbox.Simulated()
	var fit []*rule.Definition
	for _, d := range lib.Rules() {
		if _, err := rule.Compile(d, nil); err != nil {
			continue // it needs parameters
		}
		answered := true
		for _, t := range append(slices.Clone(d.ResourceTypes), keys(d.Others)...) {
			typ, ok := table.Type(t)
			reads := d.Reads
			if others, ok := d.Others[t]; ok {
				reads = others
			}
			answered = answered && ok && answers(simulated, typ, reads)
		}
		if answered {
			fit = append(fit, d)
		}
	}
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i, d := range fit {
		fmt.Fprintf(&b, "  R%d: {Type: 'AWS::Config::ConfigRule', Properties: {ConfigRuleName: %s, Source: {Owner: AWS, SourceIdentifier: %s}}}\n", i, d.Name, d.Identifier)
	}
	if len(fit) < least {
		g.t.Errorf("%d of the library's rules read only what the sandbox simulates, want %d", len(fit), least)
	}
	file = filepath.Join(g.t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return file
}

// answers says whether the sandbox answers what reading these members of a type calls.
func answers(simulated []string, t *inventory.Type, reads []string) bool {
	if !t.Single && !slices.Contains(simulated, t.Service+":"+t.List.Operation) || t.InEachRegion != nil && !answers(simulated, t.InEachRegion, reads) {
		return false
	}
	for i := range t.Details {
		d := &t.Details[i]
		wanted := slices.ContainsFunc(reads, func(read string) bool {
			kind, rest, _ := strings.Cut(read, ".")
			name, _, _ := strings.Cut(rest, ".")
			return kind == "tags" && d.Tags != nil || kind == "configuration" && d.Configuration[name] != nil || kind == "supplementaryConfiguration" && d.Supplementary[name] != nil
		})
		if wanted && !slices.Contains(simulated, d.Service+":"+d.Operation) {
			return false
		}
	}
	return true
}

func keys(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// least is how many calls it takes: a list for each type, Region and page, and what
// is read of each resource.
func (g *gate) least(pack string) int {
	g.t.Helper()
	p := g.start("scan", "--governance", pack, "--estimate", "--output", "json")
	p.ends(0)
	var e struct {
		Calls     int
		Uncounted []string
	}
	if err := json.Unmarshal(p.out.Bytes(), &e); err != nil || len(e.Uncounted) > 0 {
		g.t.Fatalf("%v, %v", err, e.Uncounted)
	}
	return e.Calls
}
