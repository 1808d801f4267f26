package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

const ownProduct = "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default"

func asff(id string, more object) object {
	f := object{"SchemaVersion": "2018-10-08", "Id": id, "ProductArn": ownProduct, "GeneratorId": "gen", "AwsAccountId": "111122223333", "Types": ids("Software and Configuration Checks"),
		"CreatedAt": "2026-11-24T08:00:00Z", "UpdatedAt": "2026-11-24T08:00:00Z", "Severity": object{"Label": "HIGH"}, "Title": "t " + id, "Description": "d",
		"Resources": []any{object{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::b-" + id}}}
	for k, v := range more {
		if f[k] = v; v == nil {
			delete(f, k)
		}
	}
	return f
}

func hubbed(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.fails("InvalidAccessException", "securityhub", "GetFindings", nil)
	w.fails("InvalidAccessException", "securityhub", "DescribeHub", nil)
	w.do("securityhub", "EnableSecurityHub", nil)
	return w
}

func (w *world) imports(list ...object) object {
	w.t.Helper()
	return w.do("securityhub", "BatchImportFindings", object{"Findings": anys(list)})
}

func (w *world) hubIDs(in object) []string {
	w.t.Helper()
	var out []string
	for _, f := range objects(w.do("securityhub", "GetFindings", in)["Findings"]) {
		out = append(out, f["Id"].(string))
	}
	return out
}

func TestImportsMayFailInPart(t *testing.T) {
	w := hubbed(t)
	w.fails("ResourceConflictException", "securityhub", "EnableSecurityHub", nil)
	if h := w.do("securityhub", "DescribeHub", nil); h["HubArn"] != "arn:aws:securityhub:eu-west-1:111122223333:hub/default" {
		t.Errorf("%v", h)
	}
	bad := []object{
		asff("product", object{"ProductArn": "me"}),
		asff("region", object{"ProductArn": "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"}),
		asff("aws", object{"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty"}),
		asff("other", object{"ProductArn": "arn:aws:securityhub:eu-west-1:999999999999:product/999999999999/default"}),
		asff("account", object{"AwsAccountId": "999999999999"}),
		asff("schema", object{"SchemaVersion": "1"}),
		asff("severity", object{"Severity": nil}),
		asff("time", object{"UpdatedAt": "yesterday"}),
		asff("types", object{"Types": ids("Something")}),
		asff("resources", object{"Resources": []any{}}),
		asff("confidence", object{"Confidence": int64(101)}),
	}
	out := w.imports(append(bad, asff("good", nil))...)
	if out["FailedCount"] != int64(len(bad)) || out["SuccessCount"] != int64(1) {
		t.Errorf("%v", out)
	}
	for i, f := range objects(out["FailedFindings"]) {
		if f["Id"] != bad[i]["Id"] || f["ErrorCode"] != "InvalidInput" || f["ErrorMessage"] == "" {
			t.Errorf("%v", f)
		}
	}
	if got := w.hubIDs(nil); !reflect.DeepEqual(got, []string{"good"}) {
		t.Errorf("%v", got)
	}
	w.fails("InvalidInputException", "securityhub", "BatchImportFindings", object{"Findings": []any{}})
}

func TestAFindingsLifeInSecurityHub(t *testing.T) {
	w := hubbed(t)
	var events []object
	w.OnEvent(func(raw []byte) {
		var e object
		if json.Unmarshal(raw, &e) == nil && e["detail-type"] == "Security Hub Findings - Imported" {
			events = append(events, e)
		}
	})
	w.imports(asff("a", object{"Compliance": object{"Status": "FAILED"}}))
	get := func() object {
		return objects(w.do("securityhub", "GetFindings", nil)["Findings"])[0]
	}
	f := get()
	if lookupText(f, "Workflow.Status") != "NEW" || f["RecordState"] != "ACTIVE" || lookup(f, "Severity.Normalized")[0] != int64(70) || lookupText(f, "FindingProviderFields.Severity.Label") != "HIGH" || f["ProductName"] != "Default" {
		t.Errorf("%v", f)
	}
	if len(events) != 1 || texts(events[0]["resources"])[0] != ownProduct+"/a" || lookupText(events[0], "detail.findings.Id") != "a" {
		t.Errorf("%v", events)
	}
	id := object{"Id": "a", "ProductArn": ownProduct}
	out := w.do("securityhub", "BatchUpdateFindings", object{"FindingIdentifiers": []any{id, object{"Id": "z", "ProductArn": ownProduct}}, "Workflow": object{"Status": "RESOLVED"}, "Severity": object{"Label": "LOW"},
		"Note": object{"Text": "done", "UpdatedBy": "me"}, "UserDefinedFields": object{"ticket": "OPS-1"}})
	if len(out["ProcessedFindings"].([]any)) != 1 || lookupText(out, "UnprocessedFindings.ErrorCode") != "FindingNotFound" || lookupText(out, "UnprocessedFindings.FindingIdentifier.Id") != "z" {
		t.Errorf("%v", out)
	}
	if f = get(); lookupText(f, "Workflow.Status") != "RESOLVED" || lookup(f, "Severity.Normalized")[0] != int64(1) || lookupText(f, "Note.Text") != "done" || f["UpdatedAt"] != "2026-11-24T08:00:00Z" || len(events) != 2 {
		t.Errorf("%v", f)
	}
	// Its provider imports it again: what the customer set stays.
	w.imports(asff("a", object{"UpdatedAt": "2026-11-24T09:00:00Z", "Compliance": object{"Status": "PASSED"}, "Severity": object{"Label": "CRITICAL"}, "Note": object{"Text": "x", "UpdatedBy": "p", "UpdatedAt": "2026-11-24T09:00:00Z"}}))
	if f = get(); lookupText(f, "Severity.Label") != "LOW" || lookupText(f, "FindingProviderFields.Severity.Label") != "CRITICAL" || lookupText(f, "Note.Text") != "done" || lookupText(f, "Workflow.Status") != "RESOLVED" || lookupText(f, "UserDefinedFields.ticket") != "OPS-1" {
		t.Errorf("%v", f)
	}
	// It fails again: it is new again.
	w.imports(asff("a", object{"UpdatedAt": "2026-11-24T10:00:00Z", "Compliance": object{"Status": "FAILED"}}))
	if f = get(); lookupText(f, "Workflow.Status") != "NEW" {
		t.Errorf("%v", f["Workflow"])
	}
	if out := w.imports(asff("a", object{"UpdatedAt": "2026-11-24T07:00:00Z"})); out["FailedCount"] != int64(1) {
		t.Errorf("an older update: %v", out)
	}
	w.fails("InvalidInputException", "securityhub", "BatchUpdateFindings", object{"FindingIdentifiers": []any{id}})
	w.fails("InvalidInputException", "securityhub", "BatchUpdateFindings", object{"FindingIdentifiers": []any{id}, "Confidence": int64(101)})
	w.fails("InvalidInputException", "securityhub", "BatchUpdateFindings", object{"FindingIdentifiers": []any{}, "Confidence": int64(1)})
}

func TestFiltersOfFindings(t *testing.T) {
	w := hubbed(t)
	w.imports(
		asff("a", object{"Severity": object{"Label": "LOW"}, "Resources": []any{object{"Type": "AwsS3Bucket", "Id": "arn:aws:s3:::logs", "Tags": object{"team": "x"}}}, "UpdatedAt": "2026-11-01T00:00:00Z", "CreatedAt": "2026-11-01T00:00:00Z"}),
		asff("b", object{"Severity": object{"Normalized": int64(95)}, "Compliance": object{"Status": "FAILED", "SecurityControlId": "S3.1"}, "Resources": []any{object{"Type": "AwsIamRole", "Id": "arn:aws:iam::1:role/r"}, object{"Type": "AwsIamPolicy", "Id": "arn:aws:iam::1:policy/p"}}}),
		asff("c", object{"Severity": object{"Label": "MEDIUM"}, "Confidence": int64(50), "RecordState": "ARCHIVED", "ProductFields": object{"k": "v"}}),
	)
	text := func(comparison string, values ...string) []any {
		var out []any
		for _, v := range values {
			out = append(out, object{"Value": v, "Comparison": comparison})
		}
		return out
	}
	for _, c := range []struct {
		name    string
		filters object
		want    []string
	}{
		{"equals", object{"SeverityLabel": text("EQUALS", "LOW", "CRITICAL")}, []string{"a", "b"}},
		{"prefix", object{"ResourceId": text("PREFIX", "arn:aws:s3:::l", "arn:aws:iam")}, []string{"a", "b"}},
		{"not equals, all of them", object{"SeverityLabel": text("NOT_EQUALS", "LOW", "CRITICAL")}, []string{"c"}},
		{"prefix and not", object{"ResourceType": append(text("PREFIX", "Aws"), text("NOT_EQUALS", "AwsIamPolicy")...)}, []string{"a", "c"}},
		{"prefix not equals", object{"ResourceType": text("PREFIX_NOT_EQUALS", "AwsS3")}, []string{"b"}},
		{"two fields", object{"SeverityLabel": text("EQUALS", "LOW", "MEDIUM"), "RecordState": text("EQUALS", "ACTIVE")}, []string{"a"}},
		{"control", object{"ComplianceSecurityControlId": text("EQUALS", "S3.1"), "ComplianceStatus": text("EQUALS", "FAILED")}, []string{"b"}},
		{"map", object{"ResourceTags": []any{object{"Key": "team", "Value": "x", "Comparison": "EQUALS"}}}, []string{"a"}},
		{"product fields", object{"ProductFields": []any{object{"Key": "k", "Value": "v", "Comparison": "EQUALS"}}}, []string{"c"}},
		{"number", object{"SeverityNormalized": []any{object{"Gte": 40.0, "Lt": 95.0}}}, []string{"c"}},
		{"confidence", object{"Confidence": []any{object{"Eq": 50.0}}}, []string{"c"}},
		{"days", object{"UpdatedAt": []any{object{"DateRange": object{"Value": int64(7), "Unit": "DAYS"}}}}, []string{"b", "c"}},
		{"dates", object{"UpdatedAt": []any{object{"Start": "2026-10-31T00:00:00Z", "End": "2026-11-02T00:00:00Z"}}}, []string{"a"}},
		{"workflow", object{"WorkflowStatus": text("EQUALS", "NEW")}, []string{"a", "b", "c"}},
		{"none", object{"Id": text("EQUALS", "z")}, nil},
	} {
		if got := w.hubIDs(object{"Filters": c.filters}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for _, bad := range []object{
		{"Id": append(text("EQUALS", "a"), text("NOT_EQUALS", "b")...)}, {"Title": text("CONTAINS", "t")}, {"UpdatedAt": []any{object{"Start": "2026-10-31T00:00:00Z"}}},
		{"UpdatedAt": []any{object{"Start": "x", "End": "y"}}}, {"UpdatedAt": []any{object{"DateRange": object{"Value": int64(0), "Unit": "DAYS"}}}}, {"Id": text("EQUALS", make([]string, 21)...)},
	} {
		w.fails("InvalidInputException", "securityhub", "GetFindings", object{"Filters": bad})
	}
	w.fails("NotImplemented", "securityhub", "GetFindings", object{"Filters": object{"ProcessLaunchedAt": []any{object{"DateRange": object{"Value": int64(7), "Unit": "DAYS"}}}}})
	by := func(field, order string) []any { return []any{object{"Field": field, "SortOrder": order}} }
	if got := w.hubIDs(object{"SortCriteria": by("SeverityNormalized", "desc")}); !reflect.DeepEqual(got, []string{"b", "c", "a"}) {
		t.Errorf("%v", got)
	}
	var all []string
	token := ""
	for range 5 {
		in := object{"MaxResults": int64(2), "SortCriteria": by("UpdatedAt", "asc")}
		if token != "" {
			in["NextToken"] = token
		}
		all = append(all, w.hubIDs(in)...)
		var more bool
		if token, more = w.do("securityhub", "GetFindings", in)["NextToken"].(string); !more {
			break
		}
	}
	if !reflect.DeepEqual(all, []string{"a", "b", "c"}) {
		t.Errorf("%v", all)
	}
	w.fails("InvalidInputException", "securityhub", "GetFindings", object{"NextToken": "x"})
	w.fails("InvalidInputException", "securityhub", "GetFindings", object{"MaxResults": int64(101)})
	w.fails("InvalidInputException", "securityhub", "GetFindings", object{"SortCriteria": by("Colour", "asc")})
}

// Findings of AWS's own products come in by the sandbox, and read back as they
// were.
func TestPublicFindings(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/findings-asff/*.json")
	if len(files) == 0 {
		t.Skip("the public findings are not here")
	}
	w := hubbed(t)
	seen := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var f object
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if inner := lookup(f, "detail.findings"); len(inner) > 0 { // some files are events
			f = inner[0].(object)
		}
		id, err := w.AddHubFinding(f)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		seen[id] = true
		got := objects(w.do("securityhub", "GetFindings", object{"Filters": object{"Id": []any{object{"Value": id, "Comparison": "EQUALS"}}}})["Findings"])
		if len(got) != 1 || got[0]["Title"] != f["Title"] || lookupText(got[0], "Resources.Id") != lookupText(f, "Resources.Id") || lookupText(got[0], "Compliance.Status") != lookupText(f, "Compliance.Status") {
			t.Errorf("%s: %v", filepath.Base(file), got)
		}
	}
	t.Logf("%d findings of %d files", len(seen), len(files))
}

func TestVulnerabilities(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{"TagSpecifications": []any{object{"ResourceType": "instance", "Tags": []any{object{"Key": "team", "Value": "x"}}}}})
	other := w.launch(object{})
	var events int
	w.OnEvent(func(raw []byte) {
		var e object
		if json.Unmarshal(raw, &e) == nil && e["source"] == "aws.inspector2" {
			events++
		}
	})
	add := func(v Vulnerability) string {
		t.Helper()
		arn, err := w.AddVulnerability(v)
		if err != nil {
			t.Fatal(err)
		}
		return arn
	}
	openssl := Vulnerability{Instance: i, ID: "CVE-2026-1", Package: "openssl", Version: "3.0.1", Fixed: "3.0.2", Severity: "CRITICAL", Exploit: true}
	a := add(openssl)
	w.clock.Advance(time.Hour)
	b := add(Vulnerability{Instance: other, ID: "CVE-2026-2", Package: "kernel", Version: "6.1", Severity: "MEDIUM", Score: 5.5})
	list := func(criteria object) []string {
		t.Helper()
		var out []string
		for _, f := range objects(w.do("inspector2", "ListFindings", object{"filterCriteria": criteria, "sortCriteria": object{"field": "SEVERITY", "sortOrder": "DESC"}})["findings"]) {
			out = append(out, f["findingArn"].(string))
		}
		return out
	}
	text := func(comparison, value string) []any { return []any{object{"comparison": comparison, "value": value}} }
	for _, c := range []struct {
		name     string
		criteria object
		want     []string
	}{
		{"all", nil, []string{a, b}},
		{"resource", object{"resourceId": text("EQUALS", i)}, []string{a}},
		{"not", object{"resourceId": text("NOT_EQUALS", i)}, []string{b}},
		{"prefix", object{"vulnerabilityId": text("PREFIX", "CVE-2026-")}, []string{a, b}},
		{"fix", object{"fixAvailable": text("EQUALS", "NO"), "findingStatus": text("EQUALS", "ACTIVE")}, []string{b}},
		{"score", object{"inspectorScore": []any{object{"lowerInclusive": 7.0}}}, []string{a}},
		{"tags", object{"resourceTags": []any{object{"comparison": "EQUALS", "key": "team", "value": "x"}}}, []string{a}},
		{"package", object{"vulnerablePackages": []any{object{"name": object{"comparison": "EQUALS", "value": "kernel"}, "version": object{"comparison": "PREFIX", "value": "6"}}}}, []string{b}},
		{"time", object{"firstObservedAt": []any{object{"startInclusive": w.clock.Now().Add(-time.Minute)}}}, []string{b}},
	} {
		if got := list(c.criteria); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	openssl.Closed = true
	if again := add(openssl); again != a || events != 3 {
		t.Errorf("%s, %d events", again, events)
	}
	if got := list(object{"findingStatus": text("EQUALS", "CLOSED")}); !reflect.DeepEqual(got, []string{a}) {
		t.Errorf("closed: %v", got)
	}
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(other)})
	w.clock.Advance(time.Minute)
	if got := list(object{"findingStatus": text("EQUALS", "ACTIVE")}); len(got) != 0 {
		t.Errorf("found on an instance that is gone: %v", got)
	}
	for _, bad := range []Vulnerability{{Instance: "i-1", ID: "x", Package: "p", Version: "1"}, {Instance: i}, {Instance: i, ID: "x", Package: "p", Version: "1", Severity: "BAD"}, {Instance: other, ID: "x", Package: "p", Version: "1"}} {
		if _, err := w.AddVulnerability(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	covered := objects(w.do("inspector2", "ListCoverage", object{"filterCriteria": object{"resourceType": text("EQUALS", "AWS_EC2_INSTANCE")}})["coveredResources"])
	if len(covered) != 1 || lookupText(covered[0], "scanStatus.reason") != "EC2_INSTANCE_STOPPED" || covered[0]["resourceId"] != i {
		t.Errorf("%v", covered)
	}
	w.fails("NotImplemented", "inspector2", "ListFindings", object{"filterCriteria": object{"ecrImageTags": text("EQUALS", "x")}})
	w.fails("ValidationException", "inspector2", "ListFindings", object{"maxResults": int64(101)})
	w.fails("ValidationException", "inspector2", "ListCoverage", object{"nextToken": "x"})
}
