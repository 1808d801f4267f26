package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func managed(name, identifier string, more object) object {
	rule := object{"ConfigRuleName": name, "Source": object{"Owner": "AWS", "SourceIdentifier": identifier}}
	for k, v := range more {
		rule[k] = v
	}
	return object{"ConfigRule": rule}
}

func TestWhatPutConfigRuleRefuses(t *testing.T) {
	w := newWorld(t)
	w.fails("NoAvailableConfigurationRecorderException", "config", "PutConfigRule", managed("r", "ENCRYPTED_VOLUMES", nil))
	w = configured(t)
	detail := func(message string, more ...string) []any {
		o := object{"EventSource": "aws.config", "MessageType": message}
		if len(more) > 0 {
			o["MaximumExecutionFrequency"] = more[0]
		}
		return []any{o}
	}
	for name, more := range map[string]object{
		"parameters":    {"InputParameters": "{"},
		"a list":        {"InputParameters": "[]"},
		"state":         {"ConfigRuleState": "DELETING"},
		"new with ARN":  {"ConfigRuleArn": "arn:aws:config:eu-west-1:111122223333:config-rule/config-rule-1"},
		"id of no type": {"Scope": object{"ComplianceResourceId": "vol-1"}},
		"value, no key": {"Scope": object{"TagValue": "x"}},
		"details":       {"Source": object{"Owner": "AWS", "SourceIdentifier": "ENCRYPTED_VOLUMES", "SourceDetails": detail("ScheduledNotification")}},
		"identifier":    {"Source": object{"Owner": "AWS", "SourceIdentifier": "encrypted-volumes"}},
		"unknown":       {"Source": object{"Owner": "AWS", "SourceIdentifier": "NO_SUCH_RULE"}},
		"no policy":     {"Source": object{"Owner": "CUSTOM_POLICY", "SourceDetails": detail("ConfigurationItemChangeNotification")}},
		"runtime":       {"Source": object{"Owner": "CUSTOM_POLICY", "SourceDetails": detail("ConfigurationItemChangeNotification"), "CustomPolicyDetails": object{"PolicyRuntime": "guard-3.0", "PolicyText": "rule a {}"}}},
		"no text":       {"Source": object{"Owner": "CUSTOM_POLICY", "SourceDetails": detail("ConfigurationItemChangeNotification"), "CustomPolicyDetails": object{"PolicyRuntime": "guard-2.x.x", "PolicyText": " "}}},
		"no details":    {"Source": object{"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "arn:aws:lambda:eu-west-1:111122223333:function:f"}},
		"no function":   {"Source": object{"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "f", "SourceDetails": detail("ConfigurationItemChangeNotification")}},
		"how often":     {"Source": object{"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "arn:aws:lambda:eu-west-1:111122223333:function:f", "SourceDetails": detail("ConfigurationItemChangeNotification", "One_Hour")}},
		"empty name":    {"ConfigRuleName": " "},
	} {
		out, err := w.try("config", "PutConfigRule", managed("r", "ENCRYPTED_VOLUMES", more))
		if codeOf(err) != "InvalidParameterValueException" {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	w.fails("InsufficientPermissionsException", "config", "PutConfigRule", managed("r", "", object{"Source": object{"Owner": "CUSTOM_LAMBDA", "SourceIdentifier": "arn:aws:lambda:eu-west-1:111122223333:function:f",
		"SourceDetails": detail("ConfigurationItemChangeNotification")}}))
	w.fails("NoSuchConfigRuleException", "config", "DeleteConfigRule", object{"ConfigRuleName": "r"})
	w.fails("NoSuchConfigRuleException", "config", "DescribeConfigRules", object{"ConfigRuleNames": ids("r")})
	w.fails("NoSuchConfigRuleException", "config", "StartConfigRulesEvaluation", object{"ConfigRuleNames": ids("r")})
	w.fails("NoSuchConfigRuleException", "config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": "r"})
	w.fails("InvalidParameterValueException", "config", "StartConfigRulesEvaluation", nil)
}

// encrypted judges as ENCRYPTED_VOLUMES does.
func encrypted(_ context.Context, check RuleCheck) ([]Verdict, error) {
	var out []Verdict
	for _, raw := range check.Items {
		var item struct {
			ResourceType, ResourceID string
			Configuration            struct {
				Encrypted bool
				State     struct{ Value string }
			}
		}
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, err
		}
		v := Verdict{item.ResourceType, item.ResourceID, "NON_COMPLIANT", "not encrypted"}
		switch {
		case item.Configuration.State.Value != "in-use":
			v.Compliance = "NOT_APPLICABLE"
		case item.Configuration.Encrypted:
			v.Compliance, v.Annotation = "COMPLIANT", ""
		}
		out = append(out, v)
	}
	return out, nil
}

func (w *world) verdicts(rule string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, r := range objects(w.do("config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": rule, "Limit": int64(100)})["EvaluationResults"]) {
		out[lookupText(r, "EvaluationResultIdentifier.EvaluationResultQualifier.ResourceId")] = r["ComplianceType"].(string)
	}
	return out
}

func TestAManagedRule(t *testing.T) {
	w := configured(t)
	var events []object
	w.OnEvent(func(raw []byte) {
		var e object
		if json.Unmarshal(raw, &e) == nil && e["detail-type"] == "Config Rules Compliance Change" {
			events = append(events, e["detail"].(object))
		}
	})
	i := w.launch(object{})
	root := w.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any)[0].(object)["VolumeId"].(string)
	idle := w.newVolume(object{"Size": int64(1)})
	w.clock.Advance(time.Minute)
	w.HandleRules(encrypted)
	w.do("config", "PutConfigRule", managed("encrypted-volumes", "ENCRYPTED_VOLUMES", object{"Scope": object{"ComplianceResourceTypes": ids("AWS::EC2::Volume")}}))
	if got := w.verdicts("encrypted-volumes"); !reflect.DeepEqual(got, map[string]string{root: "NON_COMPLIANT"}) {
		t.Errorf("%v", got)
	}
	if len(events) != 1 || events[0]["oldEvaluationResult"] != nil || lookupText(events[0], "newEvaluationResult.complianceType") != "NON_COMPLIANT" || events[0]["resourceId"] != root {
		t.Errorf("events %v", events)
	}
	// A change of a resource changes its compliance without being asked to.
	w.do("ec2", "AttachVolume", object{"VolumeId": idle, "InstanceId": i, "Device": "/dev/sdf"})
	if got := w.verdicts("encrypted-volumes"); len(got) != 1 {
		t.Errorf("Config knew at once: %v", got)
	}
	w.clock.Advance(time.Minute)
	w.EvaluateRules(t.Context())
	if len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
	if got := w.verdicts("encrypted-volumes"); len(got) != 2 || got[idle] != "NON_COMPLIANT" {
		t.Errorf("%v", got)
	}
	by := w.do("config", "DescribeComplianceByConfigRule", object{"ConfigRuleNames": ids("encrypted-volumes")})["ComplianceByConfigRules"].([]any)[0].(object)["Compliance"].(object)
	if by["ComplianceType"] != "NON_COMPLIANT" || by["ComplianceContributorCount"].(object)["CappedCount"] != int64(2) {
		t.Errorf("%v", by)
	}
	query := object{"Expression": "SELECT resourceId WHERE resourceType = 'AWS::Config::ResourceCompliance' AND configuration.complianceType = 'NON_COMPLIANT'"}
	if got := w.do("config", "SelectResourceConfig", query)["Results"].([]any); len(got) != 2 {
		t.Errorf("%v", got)
	}
	w.do("ec2", "DetachVolume", object{"VolumeId": idle})
	w.clock.Advance(time.Minute)
	if got := w.verdicts("encrypted-volumes"); len(got) != 1 {
		t.Errorf("detached, it is no longer applicable: %v", got)
	}
	w.do("ec2", "TerminateInstances", object{"InstanceIds": ids(i)})
	w.clock.Advance(time.Minute)
	if got := w.verdicts("encrypted-volumes"); len(got) != 0 {
		t.Errorf("of what is gone: %v", got)
	}
	if out := w.do("config", "GetComplianceDetailsByResource", object{"ResourceType": "AWS::EC2::Volume", "ResourceId": idle}); len(out["EvaluationResults"].([]any)) != 0 {
		t.Errorf("%v", out)
	}
	w.HandleRules(func(context.Context, RuleCheck) ([]Verdict, error) { return nil, errors.New("no such rule") })
	w.do("config", "StartConfigRulesEvaluation", object{"ConfigRuleNames": ids("encrypted-volumes")})
	status := w.do("config", "DescribeConfigRuleEvaluationStatus", nil)["ConfigRulesEvaluationStatus"].([]any)[0].(object)
	if status["LastErrorMessage"] != "no such rule" || status["LastSuccessfulEvaluationTime"] == nil {
		t.Errorf("%v", status)
	}
	w.do("config", "DeleteConfigRule", object{"ConfigRuleName": "encrypted-volumes"})
	w.fails("NoSuchConfigRuleException", "config", "GetComplianceDetailsByConfigRule", object{"ConfigRuleName": "encrypted-volumes"})
}

func TestACustomRulesFunction(t *testing.T) {
	w := configured(t)
	w.do("iam", "CreateRole", object{"RoleName": "f", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`})
	w.do("iam", "PutRolePolicy", object{"RoleName": "f", "PolicyName": "p", "PolicyDocument": `{"Statement":[{"Effect":"Allow","Action":"config:PutEvaluations","Resource":"*"}]}`})
	w.do("lambda", "CreateFunction", object{"FunctionName": "judge", "Runtime": "python3.12", "Handler": "a.b", "Role": "arn:aws:iam::111122223333:role/f", "Code": object{"ZipFile": []byte("x")}})
	w.do("lambda", "AddPermission", object{"FunctionName": "judge", "StatementId": "config", "Action": "lambda:InvokeFunction", "Principal": "config.amazonaws.com"})
	w.clock.Advance(time.Minute)
	var events []object
	w.HandleFunction("judge", func(ctx context.Context, i Invocation) ([]byte, error) {
		var e, invoking object
		if err := json.Unmarshal(i.Payload, &e); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(e["invokingEvent"].(string)), &invoking); err != nil {
			return nil, err
		}
		events = append(events, e)
		item := invoking["configurationItem"].(object)
		_, err := w.Call(ctx, Request{Service: "config", Operation: "PutEvaluations", AccessKeyID: i.AccessKeyID, Input: object{"ResultToken": e["resultToken"], "Evaluations": []any{object{
			"ComplianceResourceType": item["resourceType"], "ComplianceResourceId": item["resourceId"], "ComplianceType": "NON_COMPLIANT", "Annotation": "said so", "OrderingTimestamp": w.clock.Now()}}}})
		return nil, err
	})
	v := w.newVolume(object{"Size": int64(1)})
	w.clock.Advance(time.Minute)
	rule := object{"ConfigRule": object{"ConfigRuleName": "mine", "InputParameters": `{"a":"b"}`, "Scope": object{"ComplianceResourceTypes": ids("AWS::EC2::Volume")}, "Source": object{"Owner": "CUSTOM_LAMBDA",
		"SourceIdentifier": "arn:aws:lambda:eu-west-1:111122223333:function:judge", "SourceDetails": []any{object{"EventSource": "aws.config", "MessageType": "ConfigurationItemChangeNotification"}}}}}
	w.do("config", "PutConfigRule", rule)
	if len(events) != 1 || events[0]["ruleParameters"] != `{"a":"b"}` || events[0]["configRuleName"] != "mine" || events[0]["accountId"] != "111122223333" {
		t.Fatalf("%v", events)
	}
	if got := w.verdicts("mine"); got[v] != "NON_COMPLIANT" || len(got) != 1 {
		t.Errorf("%v", got)
	}
	evaluation := object{"ComplianceResourceType": "AWS::EC2::Volume", "ComplianceResourceId": v, "ComplianceType": "COMPLIANT", "OrderingTimestamp": w.clock.Now().Add(-time.Hour)}
	token := events[0]["resultToken"]
	put := func(more object) object {
		e := copied(evaluation).(object)
		for k, x := range more {
			e[k] = x
		}
		return object{"ResultToken": token, "Evaluations": []any{e}}
	}
	w.do("config", "PutEvaluations", put(nil)) // older than what was said
	if got := w.verdicts("mine"); got[v] != "NON_COMPLIANT" {
		t.Errorf("a late verdict won: %v", got)
	}
	w.fails("InvalidParameterValueException", "config", "PutEvaluations", put(object{"ComplianceType": "INSUFFICIENT_DATA"}))
	w.fails("InvalidParameterValueException", "config", "PutEvaluations", put(object{"Annotation": strings.Repeat("x", 257)}))
	test := put(object{"OrderingTimestamp": w.clock.Now()})
	test["TestMode"], test["ResultToken"] = true, "TESTMODE"
	w.do("config", "PutEvaluations", test)
	test["TestMode"] = false
	w.fails("InvalidResultTokenException", "config", "PutEvaluations", test)
	w.do("config", "PutEvaluations", put(object{"OrderingTimestamp": w.clock.Now()}))
	if got := w.verdicts("mine"); got[v] != "COMPLIANT" {
		t.Errorf("%v", got)
	}
}

func TestRemediationsAndTheirExceptions(t *testing.T) {
	w := configured(t)
	w.do("config", "PutConfigRule", managed("r", "ENCRYPTED_VOLUMES", nil))
	static := func(v string) object { return object{"StaticValue": object{"Values": ids(v)}} }
	resource := object{"ResourceValue": object{"Value": "RESOURCE_ID"}}
	put := func(more object) []any {
		o := object{"ConfigRuleName": "r", "TargetType": "SSM_DOCUMENT", "TargetId": "AWS-EncryptEBSVolume"}
		for k, v := range more {
			o[k] = v
		}
		return w.do("config", "PutRemediationConfigurations", object{"RemediationConfigurations": []any{o}})["FailedBatches"].([]any)
	}
	for _, bad := range []object{{"ConfigRuleName": "x"}, {"Automatic": true}, {"Parameters": object{"A": resource, "B": resource}}, {"Parameters": object{"A": object{}}}} {
		if failed := put(bad); len(failed) != 1 || failed[0].(object)["FailureMessage"] == "" {
			t.Errorf("%v: %v", bad, failed)
		}
	}
	w.fails("ValidationException", "config", "PutRemediationConfigurations", object{"RemediationConfigurations": []any{object{"ConfigRuleName": "r", "TargetType": "LAMBDA", "TargetId": "x"}}})
	w.fails("InvalidParameterValueException", "config", "PutRemediationExceptions", object{"ConfigRuleName": "r", "ResourceKeys": []any{object{"ResourceType": "AWS::EC2::Volume", "ResourceId": "vol-1"}}})
	if failed := put(object{"Automatic": true, "Parameters": object{"VolumeId": resource, "AutomationAssumeRole": static("arn:aws:iam::111122223333:role/fixer")}}); len(failed) != 0 {
		t.Fatalf("%v", failed)
	}
	got := w.do("config", "DescribeRemediationConfigurations", object{"ConfigRuleNames": ids("r", "x")})["RemediationConfigurations"].([]any)
	if len(got) != 1 || got[0].(object)["MaximumAutomaticAttempts"] != int64(5) || got[0].(object)["RetryAttemptSeconds"] != int64(60) || !strings.HasPrefix(got[0].(object)["Arn"].(string), "arn:aws:config:") {
		t.Errorf("%v", got)
	}
	w.fails("ResourceInUseException", "config", "DeleteConfigRule", object{"ConfigRuleName": "r"})
	key := []any{object{"ResourceType": "AWS::EC2::Volume", "ResourceId": "vol-1"}}
	w.do("config", "PutRemediationExceptions", object{"ConfigRuleName": "r", "ResourceKeys": key, "Message": "later", "ExpirationTime": w.clock.Now().Add(time.Hour)})
	exceptions := func() int {
		return len(w.do("config", "DescribeRemediationExceptions", object{"ConfigRuleName": "r"})["RemediationExceptions"].([]any))
	}
	if exceptions() != 1 {
		t.Error("no exception")
	}
	w.clock.Advance(2 * time.Hour)
	if exceptions() != 0 {
		t.Error("the exception does not expire")
	}
	w.do("config", "PutRemediationExceptions", object{"ConfigRuleName": "r", "ResourceKeys": key})
	w.do("config", "DeleteRemediationExceptions", object{"ConfigRuleName": "r", "ResourceKeys": key})
	w.fails("NoSuchRemediationExceptionException", "config", "DeleteRemediationExceptions", object{"ConfigRuleName": "r", "ResourceKeys": key})
	w.do("config", "DeleteRemediationConfiguration", object{"ConfigRuleName": "r"})
	w.do("config", "DeleteConfigRule", object{"ConfigRuleName": "r"})
}

const packTemplateText = `
Parameters:
  Days: {Default: "90", Type: String}
  Empty: {Default: "", Type: String}
Conditions:
  days:
    Fn::Not:
    - Fn::Equals:
      - ""
      - Ref: Days
  empty:
    Fn::Not:
    - Fn::Equals:
      - ""
      - !Ref Empty
Resources:
  Keys:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: access-keys-rotated
      InputParameters:
        maxAccessKeyAge:
          Fn::If:
          - days
          - Ref: Days
          - Ref: AWS::NoValue
        other:
          Fn::If:
          - empty
          - Ref: Empty
          - Ref: AWS::NoValue
      Source: {Owner: AWS, SourceIdentifier: ACCESS_KEYS_ROTATED}
`

func TestConformancePacks(t *testing.T) {
	w := configured(t)
	put := func(body string, parameters ...any) error {
		_, err := w.try("config", "PutConformancePack", object{"ConformancePackName": "p", "TemplateBody": body, "ConformancePackInputParameters": parameters})
		return err
	}
	if err := put(packTemplateText, object{"ParameterName": "Days", "ParameterValue": "30"}); err != nil {
		t.Fatal(err)
	}
	status := func() any {
		return w.do("config", "DescribeConformancePackStatus", nil)["ConformancePackStatusDetails"].([]any)[0].(object)["ConformancePackState"]
	}
	if status() != "CREATE_IN_PROGRESS" || codeOf(put(packTemplateText)) != "ResourceInUseException" {
		t.Errorf("%v", status())
	}
	w.clock.Advance(time.Minute)
	if status() != "CREATE_COMPLETE" {
		t.Errorf("%v", status())
	}
	rule := w.do("config", "DescribeConfigRules", nil)["ConfigRules"].([]any)[0].(object)
	name := rule["ConfigRuleName"].(string)
	if !strings.HasPrefix(name, "access-keys-rotated-conformance-pack-") || rule["InputParameters"] != `{"maxAccessKeyAge":"30"}` || rule["CreatedBy"] != "config-conforms.amazonaws.com" {
		t.Errorf("%v", rule)
	}
	w.fails("ResourceInUseException", "config", "DeleteConfigRule", object{"ConfigRuleName": name})
	for code, body := range map[string]string{
		"ConformancePackTemplateValidationException": "Resources: {A: {Type: AWS::S3::Bucket}}",
		"NotImplemented": `{"Resources": {"A": {"Type": "AWS::Config::ConfigRule", "Properties": {"ConfigRuleName": {"Fn::Sub": "x"}}}}}`,
	} {
		if got := codeOf(put(body)); got != code {
			t.Errorf("%s: %s", body, got)
		}
	}
	for _, body := range []string{"[", "{}", `Resources: {A: {Type: AWS::Config::ConfigRule, Properties: {ConfigRuleName: {Ref: B}}}}`, strings.Replace(packTemplateText, `{Default: "90", Type: String}`, "{Type: String}", 1)} {
		if got := codeOf(put(body)); got != "ConformancePackTemplateValidationException" {
			t.Errorf("%s: %s", body, got)
		}
	}
	if got := codeOf(put(packTemplateText, object{"ParameterName": "Hours", "ParameterValue": "1"})); got != "ConformancePackTemplateValidationException" {
		t.Errorf("a parameter that is not there: %s", got)
	}
	packs := w.do("config", "DescribeConformancePacks", object{"ConformancePackNames": ids("p")})["ConformancePackDetails"].([]any)
	if len(packs) != 1 || packs[0].(object)["ConformancePackInputParameters"].([]any)[0].(object)["ParameterValue"] != "30" {
		t.Errorf("%v", packs)
	}
	w.do("config", "DeleteConformancePack", object{"ConformancePackName": "p"})
	w.fails("NoSuchConformancePackException", "config", "DescribeConformancePacks", object{"ConformancePackNames": ids("p")})
	if rules := w.do("config", "DescribeConfigRules", nil)["ConfigRules"].([]any); len(rules) != 0 {
		t.Errorf("%v", rules)
	}
}

// AWS's own packs must load.
func TestPublicConformancePacks(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/corpora/conformance-packs/*.y*ml")
	if len(files) == 0 {
		t.Skip("the public conformance packs are not here")
	}
	loaded := 0
	for _, file := range files {
		w := configured(t)
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		switch _, err := w.try("config", "PutConformancePack", object{"ConformancePackName": "p", "TemplateBody": string(body)}); codeOf(err) {
		case "":
			loaded++
		default:
			if !strings.Contains(err.Error(), "must have values") { // some have parameters without a default
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	t.Logf("%d of %d loaded without parameters", loaded, len(files))
	if loaded < len(files)*9/10 {
		t.Errorf("only %d of %d loaded", loaded, len(files))
	}
}
