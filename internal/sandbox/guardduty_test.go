package sandbox

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func guarded(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	return w, w.do("guardduty", "CreateDetector", object{"Enable": true, "FindingPublishingFrequency": "FIFTEEN_MINUTES"})["DetectorId"].(string)
}

func TestDetectors(t *testing.T) {
	w, d := guarded(t)
	w.fails("BadRequestException", "guardduty", "CreateDetector", object{"Enable": true})
	w.fails("BadRequestException", "guardduty", "GetDetector", object{"DetectorId": "x"})
	w.fails("BadRequestException", "guardduty", "UpdateDetector", object{"DetectorId": d, "FindingPublishingFrequency": "HOURLY"})
	w.fails("BadRequestException", "guardduty", "UpdateDetector", object{"DetectorId": d, "Features": []any{object{"Name": "MAGIC", "Status": "ENABLED"}}})
	w.do("guardduty", "UpdateDetector", object{"DetectorId": d, "Enable": false, "DataSources": object{"S3Logs": object{"Enable": false}}})
	got := w.do("guardduty", "GetDetector", object{"DetectorId": d})
	if got["Status"] != "DISABLED" || got["FindingPublishingFrequency"] != "FIFTEEN_MINUTES" || lookupText(got, "DataSources.S3Logs.Status") != "DISABLED" {
		t.Errorf("%v", got)
	}
	if l := w.do("guardduty", "ListDetectors", nil)["DetectorIds"].([]any); len(l) != 1 || l[0] != d {
		t.Errorf("%v", l)
	}
	w.do("guardduty", "DeleteDetector", object{"DetectorId": d})
	if l := w.do("guardduty", "ListDetectors", nil)["DetectorIds"].([]any); len(l) != 0 {
		t.Errorf("%v", l)
	}
}

func (w *world) threats(d string, in object) []string {
	w.t.Helper()
	var out []string
	token := ""
	for range 20 {
		with := object{"DetectorId": d}
		for k, v := range in {
			with[k] = v
		}
		if token != "" {
			with["NextToken"] = token
		}
		page := w.do("guardduty", "ListFindings", with)
		out = append(out, texts(page["FindingIds"])...)
		var more bool
		if token, more = page["NextToken"].(string); !more {
			break
		}
	}
	return out
}

func criterionOf(name string, conditions object) object {
	return object{"FindingCriteria": object{"Criterion": object{name: conditions}}}
}

func TestSamplesOfEveryFindingType(t *testing.T) {
	if n := len(threatTypes); n < 150 {
		t.Errorf("%d finding types", n)
	}
	w, d := guarded(t)
	events := 0
	w.OnEvent(func(raw []byte) {
		var e object
		if json.Unmarshal(raw, &e) == nil && e["detail-type"] == "GuardDuty Finding" {
			events++
			if detail := e["detail"].(object); detail["type"] == nil || detail["severity"] == nil || lookupText(detail, "service.detectorId") != d {
				t.Errorf("%v", detail)
			}
		}
	})
	w.do("guardduty", "CreateSampleFindings", object{"DetectorId": d})
	all := w.threats(d, nil)
	if len(all) != len(threatTypes) || events != len(threatTypes) {
		t.Fatalf("%d findings and %d events of %d types", len(all), events, len(threatTypes))
	}
	seen := map[string]bool{}
	for ids := range slices.Chunk(all, 50) {
		for _, f := range objects(w.do("guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": anys(ids)})["Findings"]) {
			name := f["Type"].(string)
			seen[name] = true
			if f["Severity"] != threatTypes[name].severity || lookupText(f, "Resource.ResourceType") != threatTypes[name].resource || !strings.HasPrefix(f["Title"].(string), "[SAMPLE] ") {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
	if len(seen) != len(threatTypes) {
		t.Errorf("%d types among the findings", len(seen))
	}
	for _, c := range []struct {
		name string
		cond object
		want func(name string, k threatType) bool
	}{
		{"severity", object{"GreaterThanOrEqual": int64(8)}, func(_ string, k threatType) bool { return k.severity >= 8 }},
		{"severity", object{"Gt": int64(2), "Lt": int64(8)}, func(_ string, k threatType) bool { return k.severity == 5 }},
		{"type", object{"Eq": ids("Policy:S3/BucketPublicAccessGranted", "Recon:EC2/Portscan")}, func(n string, _ threatType) bool {
			return n == "Policy:S3/BucketPublicAccessGranted" || n == "Recon:EC2/Portscan"
		}},
		{"type", object{"Matches": ids("*:S3/*")}, func(n string, _ threatType) bool { return strings.Contains(n, ":S3/") }},
		{"resource.resourceType", object{"NotEquals": ids("Instance")}, func(_ string, k threatType) bool { return k.resource != "Instance" }},
		{"resource.instanceDetails.instanceId", object{"Equals": ids("i-99999999")}, func(_ string, k threatType) bool { return k.resource == "Instance" }},
		{"service.archived", object{"Eq": ids("true")}, func(string, threatType) bool { return false }},
		{"updatedAt", object{"GreaterThan": w.clock.Now().Add(-time.Minute).UnixMilli()}, func(string, threatType) bool { return true }},
		{"updatedAt", object{"LessThan": w.clock.Now().Add(-time.Minute).UnixMilli()}, func(string, threatType) bool { return false }},
	} {
		want := 0
		for n, k := range threatTypes {
			if c.want(n, k) {
				want++
			}
		}
		if got := len(w.threats(d, criterionOf(c.name, c.cond))); got != want {
			t.Errorf("%s %v: %d, want %d", c.name, c.cond, got, want)
		}
	}
	down := w.threats(d, object{"SortCriteria": object{"AttributeName": "severity", "OrderBy": "DESC"}})
	top := objects(w.do("guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": anys(down[:1])})["Findings"])
	if top[0]["Severity"] != 9.0 {
		t.Errorf("the worst is %v", top[0]["Type"])
	}
	w.fails("BadRequestException", "guardduty", "ListFindings", object{"DetectorId": d, "FindingCriteria": object{"Criterion": object{"colour": object{"Eq": ids("red")}}}})
	w.fails("BadRequestException", "guardduty", "ListFindings", object{"DetectorId": d, "MaxResults": int64(51)})
	w.fails("BadRequestException", "guardduty", "ListFindings", object{"DetectorId": d, "NextToken": "x"})
	w.fails("BadRequestException", "guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": anys(all[:51])})
	w.fails("BadRequestException", "guardduty", "CreateSampleFindings", object{"DetectorId": d, "FindingTypes": ids("Backdoor:EC2/Nothing")})

	id := all[0]
	w.do("guardduty", "ArchiveFindings", object{"DetectorId": d, "FindingIds": ids(id)})
	w.fails("BadRequestException", "guardduty", "ArchiveFindings", object{"DetectorId": d, "FindingIds": ids("x")})
	if got := w.threats(d, criterionOf("service.archived", object{"Eq": ids("true")})); !reflect.DeepEqual(got, []string{id}) {
		t.Errorf("archived: %v", got)
	}
	w.do("guardduty", "UnarchiveFindings", object{"DetectorId": d, "FindingIds": ids(id)})
	if got := w.threats(d, criterionOf("service.archived", object{"Eq": ids("true")})); len(got) != 0 {
		t.Errorf("archived: %v", got)
	}
}

func TestAThreatThatComesAgain(t *testing.T) {
	w, d := guarded(t)
	i := w.launch(object{})
	var counts []float64
	w.OnEvent(func(raw []byte) {
		var e object
		if json.Unmarshal(raw, &e) == nil && e["source"] == "aws.guardduty" {
			counts = append(counts, lookup(e, "detail.service.count")[0].(float64))
		}
	})
	threat := Threat{Type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", Resource: i}
	id, err := w.AddThreat(threat)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // within the time in which one event tells of all
		w.clock.Advance(time.Minute)
		if again, err := w.AddThreat(threat); err != nil || again != id {
			t.Fatalf("%s, %v, want %s", again, err, id)
		}
	}
	if !reflect.DeepEqual(counts, []float64{1}) {
		t.Errorf("events at once: %v", counts)
	}
	w.clock.Advance(12 * time.Minute)
	w.Settle()
	if !reflect.DeepEqual(counts, []float64{1, 4}) {
		t.Errorf("events after 15 minutes: %v", counts)
	}
	f := objects(w.do("guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": ids(id)})["Findings"])[0]
	if lookupText(f, "Resource.InstanceDetails.InstanceId") != i || lookupText(f, "Resource.InstanceDetails.InstanceState") != "running" || lookupText(f, "Service.Action.ActionType") != "DNS_REQUEST" || lookup(f, "Service.Count")[0] != int64(4) {
		t.Errorf("%v", f)
	}
	w.do("guardduty", "ArchiveFindings", object{"DetectorId": d, "FindingIds": ids(id)})
	if other, err := w.AddThreat(threat); err != nil || other == id {
		t.Errorf("what was archived came back: %s, %v", other, err)
	}
	for _, bad := range []Threat{{Type: "x", Resource: i}, {Type: threat.Type, Resource: "i-1"}, {Type: "Policy:S3/BucketPublicAccessGranted", Resource: "nobody"}, {Type: "AttackSequence:EKS/CompromisedCluster", Resource: "c"}} {
		if _, err := w.AddThreat(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	w.do("s3", "CreateBucket", object{"Bucket": "acme-data", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	for _, good := range []Threat{{Type: "Policy:S3/BucketPublicAccessGranted", Resource: "acme-data"}, {Type: "Stealth:IAMUser/CloudTrailLoggingDisabled", Resource: OperatorKey}} {
		if _, err := w.AddThreat(good); err != nil {
			t.Error(err)
		}
	}
	w.do("guardduty", "UpdateDetector", object{"DetectorId": d, "Enable": false})
	if _, err := w.AddThreat(threat); err == nil {
		t.Error("a suspended detector finds something")
	}
}

func TestThreatsReachSecurityHubWhereItIsOn(t *testing.T) {
	w, d := guarded(t)
	v := w.do("ec2", "RunInstances", oneInstance)["Instances"].([]any)[0].(object)["InstanceId"].(string)
	add := func(kind string) string {
		t.Helper()
		id, err := w.AddThreat(Threat{Type: kind, Resource: v})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	add("Recon:EC2/Portscan") // before there is a hub
	w.do("securityhub", "EnableSecurityHub", nil)
	var events []string
	w.OnEvent(func(raw []byte) {
		var e struct {
			Kind   string `json:"detail-type"`
			Detail struct{ Findings []object }
		}
		if json.Unmarshal(raw, &e) == nil && e.Kind == "Security Hub Findings - Imported" {
			events = append(events, e.Detail.Findings[0]["RecordState"].(string))
		}
	})
	id := add("CryptoCurrency:EC2/BitcoinTool.B!DNS")
	find := func() object {
		t.Helper()
		found := objects(w.do("securityhub", "GetFindings", nil)["Findings"])
		if len(found) != 1 {
			t.Fatalf("%d findings: %v", len(found), found)
		}
		if problem := wrongFinding(found[0]); problem != "" {
			t.Error(problem)
		}
		return found[0]
	}
	f := find()
	for path, want := range map[string]string{
		"ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty", "Id": "arn:aws:guardduty:eu-west-1:111122223333:detector/" + d + "/finding/" + id,
		"Types": "TTPs/Command and Control/CryptoCurrency:EC2-BitcoinTool.B!DNS", "Severity.Label": "HIGH", "RecordState": "ACTIVE", "Workflow.Status": "NEW",
		"Resources.Type": "AwsEc2Instance", "Resources.Id": "arn:aws:ec2:eu-west-1:111122223333:instance/" + v, "CompanyName": "Amazon", "ProductName": "GuardDuty",
		"ProductFields.aws/guardduty/service/count": "1",
	} {
		if got := lookup(f, path); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, want %s", path, got, want)
		}
	}
	w.clock.Advance(time.Minute)
	add("CryptoCurrency:EC2/BitcoinTool.B!DNS")
	if got := lookup(find(), "ProductFields.aws/guardduty/service/count")[0]; got != "2" {
		t.Errorf("it was seen %v times", got)
	}
	w.do("guardduty", "ArchiveFindings", object{"DetectorId": d, "FindingIds": ids(id)})
	if got := find()["RecordState"]; got != "ARCHIVED" {
		t.Errorf("%v", got)
	}
	if want := []string{"ACTIVE", "ACTIVE", "ARCHIVED"}; !slices.Equal(events, want) {
		t.Errorf("%v, want %v", events, want)
	}
	w.do("guardduty", "CreateSampleFindings", object{"DetectorId": d}) // of each type
	for _, f := range objects(w.do("securityhub", "GetFindings", object{"MaxResults": int64(100)})["Findings"]) {
		if problem := wrongFinding(f); problem != "" {
			t.Errorf("%v: %s", f["Types"], problem)
		}
	}
}
