package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// patchRun runs AWS-RunPatchBaseline on nodes to its end.
func (w *world) patchRun(operation, reboot string, nodes ...string) string {
	w.t.Helper()
	in := object{"Operation": ids(operation)}
	if reboot != "" {
		in["RebootOption"] = ids(reboot)
	}
	id := w.send(object{"InstanceIds": ids(nodes...), "DocumentName": patchDocument, "Parameters": in})
	w.clock.Advance(commandDelivery + patchTime)
	return id
}

func (w *world) patchState(node string) object {
	w.t.Helper()
	l := w.do("ssm", "DescribeInstancePatchStates", object{"InstanceIds": ids(node)})["InstancePatchStates"].([]any)
	if len(l) != 1 {
		w.t.Fatalf("%d patch states", len(l))
	}
	return l[0].(object)
}

func (w *world) patches(node, state string) []object {
	w.t.Helper()
	in := object{"InstanceId": node}
	if state != "" {
		in["Filters"] = []any{object{"Key": "State", "Values": ids(state)}}
	}
	return objects(w.do("ssm", "DescribeInstancePatches", in)["Patches"])
}

func TestANodeIsPatched(t *testing.T) {
	w := newFleet(t)
	i := w.managed()
	if l := w.do("ssm", "DescribeInstancePatchStates", object{"InstanceIds": ids(i)})["InstancePatchStates"].([]any); len(l) != 0 {
		t.Errorf("before any scan: %v", l)
	}
	events := w.heard("compliance-status", "resource-id")
	w.patchRun("Scan", "", i)
	scan := w.patchState(i)
	missing := scan["MissingCount"].(int64)
	if missing == 0 || scan["Operation"] != "Scan" || scan["SecurityNonCompliantCount"].(int64)+scan["OtherNonCompliantCount"].(int64) != missing || !strings.Contains(scan["BaselineId"].(string), ":patchbaseline/pb-0") {
		t.Errorf("%v", scan)
	}
	for _, p := range w.patches(i, "MISSING") {
		if p["InstalledTime"].(time.Time).Unix() != 0 || p["Classification"] == "Security" && !strings.HasPrefix(p["CVEIds"].(string), "CVE-") {
			t.Errorf("%v", p)
		}
	}
	if again := w.patchRun("Scan", "", i); w.run(again, i)["Status"] != "Success" || w.patchState(i)["MissingCount"] != missing {
		t.Error("a scan changed something")
	}
	// NoReboot: what needs a start waits for it, and only the next scan tells.
	w.patchRun("Install", "NoReboot", i)
	s := w.patchState(i)
	pending := s["InstalledPendingRebootCount"].(int64)
	if pending == 0 || s["MissingCount"] != int64(0) || s["LastNoRebootInstallOperationTime"] == nil || s["InstalledCount"].(int64) < missing-pending {
		t.Errorf("%v", s)
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(time.Hour)
	w.do("ec2", "StartInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(instanceStart + agentStart)
	if got := w.patchState(i)["InstalledPendingRebootCount"]; got != pending {
		t.Errorf("without a scan %v wait for a start", got)
	}
	w.patchRun("Scan", "", i)
	if s := w.patchState(i); s["InstalledPendingRebootCount"] != int64(0) || s["InstalledCount"] == int64(0) {
		t.Errorf("%v", s)
	}
	// A reboot does as well as a start.
	w.clock.Advance(60 * 24 * time.Hour)
	w.patchRun("Install", "NoReboot", i)
	if s := w.patchState(i); s["InstalledPendingRebootCount"] == int64(0) {
		t.Errorf("%v", s)
	}
	w.do("ec2", "RebootInstances", object{"InstanceIds": ids(i)})
	if got := w.ping(i); got != "ConnectionLost" {
		t.Errorf("while it reboots it is %v", got)
	}
	w.clock.Advance(instanceReboot + agentStart)
	w.patchRun("Scan", "", i)
	if s := w.patchState(i); s["InstalledPendingRebootCount"] != int64(0) || w.ping(i) != "Online" {
		t.Errorf("%v", s)
	}
	want := []string{"non_compliant", "non_compliant", "non_compliant", "compliant", "non_compliant", "compliant"} // pending reboots don't comply
	var got []string
	for _, e := range *events {
		if f := strings.Fields(e); f[0] == "Configuration" {
			got = append(got, f[len(f)-2])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("compliance events %v, want %v", got, want)
	}
	// Time goes on, and so do patches.
	w.clock.Advance(90 * 24 * time.Hour)
	w.patchRun("Scan", "", i)
	if got := w.patchState(i)["MissingCount"]; got == int64(0) {
		t.Error("after 90 days nothing is missing")
	}
	w.patchRun("Install", "", i)
	if s := w.patchState(i); s["MissingCount"] != int64(0) || s["InstalledPendingRebootCount"] != int64(0) {
		t.Errorf("%v", s)
	}
}

func TestPatchesThatFail(t *testing.T) {
	w := newFleet(t)
	i := w.managed(osTag, "WINDOWS")
	broken := true
	w.HandleCommand(patchDocument, func(Command) Result {
		if broken {
			return Result{FailedPatches: []string{"KB5"}}
		}
		return Result{}
	})
	id := w.patchRun("Install", "", i)
	if got := w.run(id, i); got["Status"] != "Failed" || got["PluginName"] != "PatchWindows" || got["ResponseCode"] != int64(1) {
		t.Errorf("%v", got)
	}
	if s := w.patchState(i); s["FailedCount"] == int64(0) || s["MissingCount"] != int64(0) {
		t.Errorf("%v", s)
	}
	if l := w.patches(i, "FAILED"); len(l) == 0 || !strings.HasPrefix(l[0]["KBId"].(string), "KB5") {
		t.Errorf("%v", l)
	}
	broken = false
	w.patchRun("Install", "", i)
	if s := w.patchState(i); s["FailedCount"] != int64(0) {
		t.Errorf("%v", s)
	}
	before := w.patchState(i)["OperationEndTime"]
	w.HandleCommand(patchDocument, func(Command) Result { return Result{Code: 2, ErrorOutput: "no repository"} })
	id = w.patchRun("Scan", "", i)
	if got := w.run(id, i); got["Status"] != "Failed" || got["StandardErrorContent"] != "no repository" || w.patchState(i)["OperationEndTime"] != before {
		t.Errorf("%v", got)
	}
}

func TestPatchBaselines(t *testing.T) {
	w := newFleet(t)
	rule := func(days int64, level string, filters ...any) object {
		return object{"PatchRules": []any{object{"PatchFilterGroup": object{"PatchFilters": filters}, "ApproveAfterDays": days, "ComplianceLevel": level}}}
	}
	class := object{"Key": "CLASSIFICATION", "Values": ids("Security")}
	in := object{"Name": "kernel", "OperatingSystem": "AMAZON_LINUX_2023", "ApprovalRules": rule(0, "CRITICAL", class), "RejectedPatches": ids("openssl*"), "ClientToken": "t", "Tags": []any{object{"Key": "a", "Value": "b"}}}
	b := w.do("ssm", "CreatePatchBaseline", in)["BaselineId"].(string)
	if again := w.do("ssm", "CreatePatchBaseline", in)["BaselineId"]; again != b {
		t.Errorf("%v, then %v", b, again)
	}
	for code, bad := range map[string]object{
		"ValidationException": {"Name": "two", "ApprovalRules": object{"PatchRules": []any{object{"PatchFilterGroup": object{"PatchFilters": []any{class}}, "ApproveAfterDays": int64(1), "ApproveUntilDate": "2026-01-01"}}}},
		"NotImplemented":      {"Name": "arch", "ApprovalRules": rule(0, "LOW", object{"Key": "ARCH", "Values": ids("x86_64")})},
	} {
		w.fails(code, "ssm", "CreatePatchBaseline", bad)
	}
	w.fails("DoesNotExistException", "ssm", "GetPatchBaseline", object{"BaselineId": "pb-0123456789abcdef0"})
	w.fails("InvalidResourceId", "ssm", "GetPatchBaseline", object{"BaselineId": "mw-0123456789abcdef0"})
	group := object{"BaselineId": b, "PatchGroup": "web"}
	w.do("ssm", "RegisterPatchBaselineForPatchGroup", group)
	w.fails("AlreadyExistsException", "ssm", "RegisterPatchBaselineForPatchGroup", group)
	w.fails("ResourceInUseException", "ssm", "DeletePatchBaseline", object{"BaselineId": b})
	if got := w.do("ssm", "GetPatchBaseline", object{"BaselineId": b}); at(got, "PatchGroups.0") != "web" || at(got, "ApprovalRules.PatchRules.0.ApproveAfterDays") != int64(0) || got["RejectedPatchesAction"] != "ALLOW_AS_DEPENDENCY" {
		t.Errorf("%v", got)
	}
	if got := w.do("ssm", "DescribePatchGroups", nil); at(got, "Mappings.0.PatchGroup") != "web" || at(got, "Mappings.0.BaselineIdentity.BaselineId") != b {
		t.Errorf("%v", got)
	}

	in1, other := w.managed("PatchGroup", "web"), w.managed()
	w.patchRun("Scan", "", in1, other)
	s := w.patchState(in1)
	if s["BaselineId"] != b || s["PatchGroup"] != "web" || s["CriticalNonCompliantCount"] == int64(0) || w.patchState(other)["BaselineId"] == b {
		t.Errorf("%v", s)
	}
	for _, p := range w.patches(in1, "") {
		if state := p["State"]; strings.HasPrefix(p["Title"].(string), "openssl") && state != "INSTALLED_REJECTED" || state == "MISSING" && p["Classification"] != "Security" {
			t.Errorf("%v", p)
		}
	}
	if got := w.do("ssm", "DescribePatchGroupState", object{"PatchGroup": "web"}); got["Instances"] != int64(1) || got["InstancesWithMissingPatches"] != int64(1) || got["InstancesWithCriticalNonCompliantPatches"] != int64(1) {
		t.Errorf("%v", got)
	}
	if got := w.do("ssm", "DescribeInstancePatchStatesForPatchGroup", object{"PatchGroup": "web", "Filters": []any{object{"Key": "MissingCount", "Values": ids("0"), "Type": "Equal"}}}); len(got["InstancePatchStates"].([]any)) != 0 {
		t.Errorf("%v", got)
	}
	own := w.do("ssm", "DescribePatchBaselines", object{"Filters": []any{object{"Key": "OWNER", "Values": ids("Self")}}})
	aws := w.do("ssm", "DescribePatchBaselines", object{"Filters": []any{object{"Key": "OWNER", "Values": ids("AWS")}, object{"Key": "OPERATING_SYSTEM", "Values": ids("WINDOWS")}}})
	if len(own["BaselineIdentities"].([]any)) != 1 || at(aws, "BaselineIdentities.0.BaselineName") != "AWS-DefaultPatchBaseline" || at(aws, "BaselineIdentities.0.DefaultBaseline") != true {
		t.Errorf("%v, %v", own, aws)
	}
	theirs := at(aws, "BaselineIdentities.0.BaselineId")
	if got := w.do("ssm", "GetPatchBaseline", object{"BaselineId": theirs}); got["Name"] != "AWS-DefaultPatchBaseline" || at(got, "ApprovalRules.PatchRules.0.ApproveAfterDays") != int64(7) {
		t.Errorf("%v", got)
	}
	w.fails("InvalidResourceId", "ssm", "UpdatePatchBaseline", object{"BaselineId": theirs, "Name": "mine"})
	w.do("ssm", "RegisterDefaultPatchBaseline", object{"BaselineId": b})
	if got := w.do("ssm", "GetDefaultPatchBaseline", object{"OperatingSystem": "AMAZON_LINUX_2023"})["BaselineId"]; got != b {
		t.Errorf("the default is %v", got)
	}
	items := w.do("ssm", "ListComplianceItems", object{"ResourceIds": ids(in1), "ResourceTypes": ids("ManagedInstance"), "Filters": []any{object{"Key": "Status", "Values": ids("NON_COMPLIANT"), "Type": "EQUAL"}}})["ComplianceItems"].([]any)
	if len(items) == 0 || at(items[0], "ComplianceType") != "Patch" || at(items[0], "Details.PatchBaselineId") != b {
		t.Errorf("%v", items)
	}
	w.do("ssm", "PutComplianceItems", object{"ResourceId": in1, "ResourceType": "ManagedInstance", "ComplianceType": "Custom:AntiVirus", "ExecutionSummary": object{"ExecutionTime": w.clock.Now()},
		"Items": []any{object{"Id": "v", "Title": "signatures", "Severity": "HIGH", "Status": "NON_COMPLIANT"}}})
	sums := w.do("ssm", "ListComplianceSummaries", nil)["ComplianceSummaryItems"].([]any)
	if at(sums, "0.ComplianceType") != "Custom:AntiVirus" || at(sums, "0.NonCompliantSummary.SeveritySummary.HighCount") != int64(1) || at(sums, "1.NonCompliantSummary.NonCompliantCount") != int64(2) {
		t.Errorf("%v", sums)
	}
	for _, v := range w.do("ssm", "ListResourceComplianceSummaries", object{"Filters": []any{object{"Key": "ComplianceType", "Values": ids("Patch"), "Type": "EQUAL"}}})["ResourceComplianceSummaryItems"].([]any) {
		summary, bad := v.(object), 0
		for _, i := range items {
			if i.(object)["ResourceId"] == summary["ResourceId"] && i.(object)["ComplianceType"] == "Patch" {
				bad++
			}
		}
		if summary["ResourceId"] == in1 && (at(summary, "NonCompliantSummary.NonCompliantCount") != int64(bad) || (summary["Status"] == "COMPLIANT") != (bad == 0)) {
			t.Errorf("%d patches are missing: %v", bad, summary)
		}
	}
	w.fails("InvalidResourceType", "ssm", "ListComplianceItems", object{"ResourceTypes": ids("Planet")})
	w.fails("InvalidFilter", "ssm", "ListComplianceItems", object{"Filters": []any{object{"Key": "Colour", "Values": ids("red"), "Type": "EQUAL"}}})
	w.fails("InvalidFilter", "ssm", "DescribeInstancePatches", object{"InstanceId": in1, "Filters": []any{object{"Key": "Colour", "Values": ids("red")}}})
	w.fails("InvalidInstanceId", "ssm", "DescribeInstancePatches", object{"InstanceId": w.launch(object{})})
	w.fails("NotImplemented", "ssm", "GetDeployablePatchSnapshotForInstance", object{"InstanceId": in1, "SnapshotId": "0"})
}

func TestWhenAPatchIsApproved(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 17, 0, 0, 0, time.UTC) }
	week := int64(7)
	p := patch{product: product{name: "curl", class: "Security", severity: "Medium"}, os: defaultOS, id: "curl.x86_64:0:8-1", title: "curl.x86_64", cves: []string{"CVE-2026-90001"}, released: day(3)}
	class := []object{{"Key": "CLASSIFICATION", "Values": ids("Security")}}
	for name, c := range map[string]struct {
		b    baseline
		at   time.Time
		want string // level; "": not approved
	}{
		"too young":              {baseline{Rules: []baselineRule{{Filters: class, AfterDays: &week}}}, day(10).Add(-time.Second), ""},
		"old enough":             {baseline{Rules: []baselineRule{{Filters: class, AfterDays: &week, Level: "HIGH"}}}, day(10), "HIGH"},
		"until its day":          {baseline{Rules: []baselineRule{{Filters: class, Until: "2026-11-03"}}}, day(4), "UNSPECIFIED"},
		"until the day before":   {baseline{Rules: []baselineRule{{Filters: class, Until: "2026-11-02"}}}, day(4), ""},
		"another class":          {baseline{Rules: []baselineRule{{Filters: []object{{"Key": "CLASSIFICATION", "Values": ids("Bugfix")}}, Until: "2026-12-01"}}}, day(4), ""},
		"filtered for all rules": {baseline{GlobalFilters: []object{{"Key": "SEVERITY", "Values": ids("Critical")}}, Rules: []baselineRule{{Filters: class, Until: "2026-12-01"}}}, day(4), ""},
		"named":                  {baseline{Approved: []string{"CVE-2026-90001"}, ApprovedLevel: "LOW"}, day(4), "LOW"},
		"named by a pattern":     {baseline{Approved: []string{"curl*"}, ApprovedLevel: "LOW"}, day(4), "LOW"},
		"named and rejected":     {baseline{Approved: []string{"curl*"}, Rejected: []string{"curl.x86_64"}, ApprovedLevel: "LOW"}, day(4), ""},
	} {
		level, ok := c.b.approves(p, c.at)
		if level != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, level, ok, c.want)
		}
	}
}

// Each system has patches at any time, and what its default baseline approves is
// never all or nothing.
func TestTheCatalogue(t *testing.T) {
	w := newWorld(t)
	c := &call{Sandbox: w.Sandbox, region: "eu-west-1", who: accessKey{Account: home}, now: w.clock.Now()}
	for os, products := range catalogue {
		b, ok := c.defaultBaseline(os, c.now)
		if !ok || productNames[os] == "" || operatingSystems[os].platform == "" {
			t.Errorf("%s has no baseline, or no name", os)
		}
		yes, no, seen := 0, 0, map[string]bool{}
		for _, p := range products {
			for _, v := range p.releases(os, c.now) {
				if seen[v.id] {
					t.Errorf("%s twice", v.id)
				}
				seen[v.id] = true
				if _, ok := b.approves(v, c.now); ok {
					yes++
				} else {
					no++
				}
				if v.security() == (len(v.cves) == 0) || v.released.After(c.now) {
					t.Errorf("%+v", v)
				}
				if os == "WINDOWS" && (v.released.Weekday() != time.Tuesday || v.released.Day() < 8 || v.released.Day() > 14) {
					t.Errorf("%s came out on %s", v.id, v.released)
				}
			}
		}
		if yes == 0 || no == 0 {
			t.Errorf("%s: %d approved, %d not", os, yes, no)
		}
	}
	got := w.do("ssm", "DescribeAvailablePatches", object{"Filters": []any{object{"Key": "PRODUCT", "Values": ids("WindowsServer2022")}}})["Patches"].([]any)
	if len(got) == 0 || !strings.HasPrefix(at(got[0], "KbNumber").(string), "KB5") {
		t.Errorf("%v", got)
	}
}
