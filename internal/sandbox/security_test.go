package sandbox

import (
	"reflect"
	"testing"
	"time"
)

const watchedEstate = `
calls:
  - {call: "ec2:RunInstances", as: web, input: {MinCount: 1, MaxCount: 1, ImageId: ami-0c1a2b3c4d5e6f708, InstanceType: m5.xlarge}}
  - {call: "guardduty:CreateDetector", input: {Enable: true}}
  - {call: "securityhub:EnableSecurityHub", wait: 1m}
  - {call: "sandbox:AddThreat", as: threat, input: {type: "Backdoor:EC2/Spambot", resource: "{{web.Instances.0.InstanceId}}"}}
  - {call: "sandbox:AddVulnerability", input: {instance: "{{web.Instances.0.InstanceId}}", id: CVE-2026-1, package: openssl, version: 3.0.1, fixed: 3.0.2}}
  - {call: "sandbox:AddMetric", input: {namespace: AWS/EC2, name: CPUUtilization, dimensions: {InstanceId: "{{web.Instances.0.InstanceId}}"}, mean: 3}, wait: 720h}
`

func TestAScenarioAddsWhatNoCallMakes(t *testing.T) {
	w := newWorld(t)
	if err := w.Load(t.Context(), "watched.yaml", []byte(watchedEstate)); err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now()
	d := w.do("guardduty", "ListDetectors", nil)["DetectorIds"].([]any)[0]
	f := objects(w.do("guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": w.do("guardduty", "ListFindings", object{"DetectorId": d})["FindingIds"]})["Findings"])[0]
	i := lookupText(f, "Resource.InstanceDetails.InstanceId")
	if f["CreatedAt"] != stamp(now.Add(-720*time.Hour)) || i == "" {
		t.Errorf("%v", f)
	}
	if got := w.do("inspector2", "ListFindings", nil)["findings"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	points := w.do("cloudwatch", "GetMetricStatistics", object{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": []any{object{"Name": "InstanceId", "Value": i}},
		"StartTime": now.Add(-720 * time.Hour), "EndTime": now, "Period": int64(3600), "Statistics": ids("Average")})["Datapoints"].([]any)
	if len(points) < 719 || points[0].(object)["Average"] != 3.0 {
		t.Errorf("%d hours of CPU", len(points))
	}
	for _, bad := range []string{
		`calls: [{call: "sandbox:AddNothing"}]`, `calls: [{call: "sandbox:AddMetric", input: {namespace: a, name: b, colour: red}}]`, `calls: [{call: "sandbox:AddThreat", input: {type: "Backdoor:EC2/Spambot", resource: i-1}}]`,
	} {
		if err := newWorld(t).Load(t.Context(), "bad.yaml", []byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// What a restored sandbox says is what the one before would have said.
func TestSecurityOutlivesASnapshot(t *testing.T) {
	w := configured(t)
	if err := w.Load(t.Context(), "watched.yaml", []byte(watchedEstate)); err != nil {
		t.Fatal(err)
	}
	w.HandleRules(encrypted)
	w.do("config", "PutConfigRule", managed("enc", "ENCRYPTED_VOLUMES", object{"Scope": object{"ComplianceResourceTypes": ids("AWS::EC2::Volume")}}))
	w.do("config", "PutRemediationConfigurations", object{"RemediationConfigurations": []any{object{"ConfigRuleName": "enc", "TargetType": "SSM_DOCUMENT", "TargetId": "d", "MaximumAutomaticAttempts": int64(3)}}})
	w.do("config", "PutConfigurationAggregator", object{"ConfigurationAggregatorName": "all", "AccountAggregationSources": []any{object{"AccountIds": ids("111122223333"), "AllAwsRegions": true}}})
	w.imports(asff("a", object{"Confidence": int64(50)}))
	w.putMetrics(datum("m", 0.1, nil))
	w.do("cloudwatch", "PutMetricAlarm", object{"AlarmName": "hot", "Namespace": "acme", "MetricName": "m", "Statistic": "Average", "Period": int64(60), "EvaluationPeriods": int64(2), "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold"})
	w.do("compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Active"})
	w.clock.Advance(49 * time.Hour)
	d := w.do("guardduty", "ListDetectors", nil)["DetectorIds"].([]any)[0]
	threats := w.do("guardduty", "ListFindings", object{"DetectorId": d})["FindingIds"]
	everything := func(w *world) []object {
		var out []object
		for _, c := range []struct {
			service, operation string
			in                 object
		}{
			{"config", "DescribeConfigurationRecorderStatus", nil}, {"config", "DescribeConfigRules", nil}, {"config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": "enc"}},
			{"config", "DescribeRemediationConfigurations", object{"ConfigRuleNames": ids("enc")}}, {"config", "DescribeConfigurationAggregators", nil}, {"config", "SelectResourceConfig", object{"Expression": "SELECT *"}},
			{"guardduty", "GetDetector", object{"DetectorId": d}}, {"guardduty", "GetFindings", object{"DetectorId": d, "FindingIds": threats}}, {"securityhub", "GetFindings", nil}, {"inspector2", "ListFindings", nil},
			{"inspector2", "ListCoverage", nil}, {"cloudwatch", "ListMetrics", nil}, {"cloudwatch", "DescribeAlarms", nil}, {"compute-optimizer", "GetEC2InstanceRecommendations", nil},
		} {
			out = append(out, w.do(c.service, c.operation, c.in))
		}
		return out
	}
	want := everything(w)
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	restored := *w
	restored.Sandbox = back
	for i, got := range everything(&restored) {
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("restored:\n%v\nbefore:\n%v", got, want[i])
		}
	}
}

func TestWhoMayDoWhatWithSecurity(t *testing.T) {
	w := configured(t)
	d := w.do("guardduty", "CreateDetector", object{"Enable": true})["DetectorId"].(string)
	w.do("securityhub", "EnableSecurityHub", nil)
	for _, name := range []string{"mine", "other"} {
		w.do("config", "PutConfigRule", managed(name, "ENCRYPTED_VOLUMES", nil))
	}
	rule := w.do("config", "DescribeConfigRules", object{"ConfigRuleNames": ids("mine")})["ConfigRules"].([]any)[0].(object)["ConfigRuleArn"].(string)
	arn := w.role("auditor", trust("arn:aws:iam::111122223333:root"), policyOf(
		statementText("Allow", "config:GetComplianceDetailsByConfigRule", rule),
		statementText("Allow", "guardduty:ListFindings", "arn:aws:guardduty:eu-west-1:111122223333:detector/"+d),
		statementText("Allow", "securityhub:BatchImportFindings", ownProduct),
		statementText("Allow", "cloudwatch:PutMetricData", "*", when("StringEquals", "cloudwatch:namespace", "acme")),
		statementText("Allow", "cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:team-*"),
		statementText("Allow", "compute-optimizer:*", "*"),
		statementText("Allow", "config:PutConfigurationRecorder", "*")))
	a := w.assume(arn, nil)
	a.do("config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": "mine"})
	a.fails("AccessDeniedException", "config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": "other"})
	a.fails("AccessDeniedException", "config", "PutConfigurationRecorder", object{"ConfigurationRecorder": object{"name": "default", "roleARN": "arn:aws:iam::111122223333:role/config"}}) // it may not pass the role
	a.do("guardduty", "ListFindings", object{"DetectorId": d})
	a.fails("AccessDeniedException", "guardduty", "CreateSampleFindings", object{"DetectorId": d})
	a.do("securityhub", "BatchImportFindings", object{"Findings": []any{asff("a", nil)}})
	a.fails("AccessDeniedException", "securityhub", "GetFindings", nil)
	a.do("cloudwatch", "PutMetricData", object{"Namespace": "acme", "MetricData": []any{datum("m", 1, nil)}})
	a.fails("AccessDenied", "cloudwatch", "PutMetricData", object{"Namespace": "other", "MetricData": []any{datum("m", 1, nil)}})
	alarm := object{"AlarmName": "team-a", "Namespace": "acme", "MetricName": "m", "Statistic": "Average", "Period": int64(60), "EvaluationPeriods": int64(1), "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
	a.do("cloudwatch", "PutMetricAlarm", alarm)
	alarm["AlarmName"] = "b"
	a.fails("AccessDenied", "cloudwatch", "PutMetricAlarm", alarm)
	w.do("compute-optimizer", "UpdateEnrollmentStatus", object{"status": "Active"})
	a.fails("AccessDeniedException", "compute-optimizer", "GetEC2InstanceRecommendations", nil) // it needs ec2:DescribeInstances too
	a.fails("AccessDeniedException", "inspector2", "ListFindings", nil)
}

// A query that can't be read is refused, and none does harm.
func FuzzSelection(f *testing.F) {
	for _, seed := range []string{"SELECT a WHERE b = 'c'", "SELECT a, b.c WHERE NOT (d IN (1, 'x', true) OR e LIKE '%f_') AND g BETWEEN 1 AND 2 ORDER BY h DESC", "SELECT * WHERE a <> 'it''s'", "SELECT", "((("} {
		f.Add(seed)
	}
	row := object{"a": "x", "b": object{"c": []any{int64(1), object{"d": true}}}, "e": nil}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSelection(text)
		if err != nil {
			return
		}
		if s.where != nil {
			s.where(row)
		}
		if len(s.fields) == 0 || s.picked(row) == nil {
			t.Errorf("%q selects nothing", text)
		}
	})
}

func FuzzMetricMath(f *testing.F) {
	for _, seed := range []string{"a + 1", "SUM([a, b]) / MAX(METRICS(\"a\")) ^ 2", "FILL(a, 0) - -b", "ABS(", "1 / 0", "a b", "[[a]]", "0 * METRICS()", "FILL(a, METRICS())"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := &evaluation{start: 0, end: 300, under: map[string]bool{}, done: map[string]*series{"a": {times: []int64{0, 60}, values: []float64{1, 2}, period: 60}, "b": {times: []int64{60}, values: []float64{0}, period: 60}}}
		s, err := e.compute(text)
		if err != nil {
			if codeOf(err) == "" {
				t.Errorf("%q: %v is no error of AWS", text, err)
			}
			return
		}
		if !s.scalar && len(s.times) != len(s.values) {
			t.Errorf("%q: %d times, %d values", text, len(s.times), len(s.values))
		}
	})
}
