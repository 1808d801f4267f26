package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

const lambdaTrust = `{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func (w *world) newFunction(name string) string {
	w.t.Helper()
	if _, err := w.try("iam", "GetRole", object{"RoleName": "runner"}); err != nil {
		w.do("iam", "CreateRole", object{"RoleName": "runner", "AssumeRolePolicyDocument": lambdaTrust})
	}
	out := w.do("lambda", "CreateFunction", functionInput(name))
	w.clock.Advance(functionChange)
	return out["FunctionArn"].(string)
}

func functionInput(name string) object {
	return object{"FunctionName": name, "Runtime": "python3.13", "Handler": "main.handler", "Role": "arn:aws:iam::111122223333:role/runner", "Code": object{"ZipFile": []byte("zip")}}
}

func (w *world) invoke(in object) object {
	w.t.Helper()
	return w.do("lambda", "Invoke", in)
}

func TestFunctions(t *testing.T) {
	w := newWorld(t)
	w.fails("InvalidParameterValueException", "lambda", "CreateFunction", functionInput("f")) // no such role
	w.do("iam", "CreateRole", object{"RoleName": "runner", "AssumeRolePolicyDocument": strings.Replace(lambdaTrust, "lambda", "ec2", 1)})
	w.fails("InvalidParameterValueException", "lambda", "CreateFunction", functionInput("f")) // that trusts somebody else
	w.do("iam", "CreateRole", object{"RoleName": "good", "AssumeRolePolicyDocument": lambdaTrust})
	in := functionInput("f")
	in["Role"] = "arn:aws:iam::111122223333:role/good"
	for code, bad := range map[string]object{
		"ValidationException":            {"Timeout": int64(901)},
		"InvalidParameterValueException": {"Runtime": "cobol85"},
	} {
		with := object{}
		for k, v := range in {
			with[k] = v
		}
		for k, v := range bad {
			with[k] = v
		}
		w.fails(code, "lambda", "CreateFunction", with)
	}
	made := w.do("lambda", "CreateFunction", in)
	arn := "arn:aws:lambda:eu-west-1:111122223333:function:f"
	for k, want := range map[string]any{"FunctionArn": arn, "State": "Pending", "Timeout": int64(3), "MemorySize": int64(128), "CodeSize": int64(3),
		"CodeSha256": "SnD+mqZDbgLC3qNA+9HjUuTvLYzmylKtJdS5VHH8i/I=", "LastModified": "2026-11-24T08:00:00.000+0000", "Version": "$LATEST"} {
		if !reflect.DeepEqual(made[k], want) {
			t.Errorf("%s is %v, want %v", k, made[k], want)
		}
	}
	w.fails("ResourceConflictException", "lambda", "CreateFunction", in)
	w.fails("ResourceConflictException", "lambda", "Invoke", object{"FunctionName": "f"})
	w.fails("ResourceConflictException", "lambda", "UpdateFunctionConfiguration", object{"FunctionName": "f", "Timeout": int64(10)})
	w.clock.Advance(functionChange)
	update := w.do("lambda", "UpdateFunctionConfiguration", object{"FunctionName": arn, "Timeout": int64(10), "Environment": object{"Variables": object{"A": "b"}}})
	if update["LastUpdateStatus"] != "InProgress" || update["Timeout"] != int64(10) || update["MemorySize"] != int64(128) || update["RevisionId"] == made["RevisionId"] {
		t.Errorf("%v", update)
	}
	w.fails("ResourceConflictException", "lambda", "UpdateFunctionConfiguration", object{"FunctionName": "f", "Timeout": int64(11)})
	w.clock.Advance(functionChange)
	for _, name := range []string{"f", arn, "111122223333:function:f", arn + ":$LATEST"} {
		if got := w.do("lambda", "GetFunctionConfiguration", object{"FunctionName": name}); got["LastUpdateStatus"] != "Successful" || at(got, "Environment.Variables.A") != "b" || got["State"] != "Active" {
			t.Errorf("%s: %v", name, got)
		}
	}
	w.fails("PreconditionFailedException", "lambda", "UpdateFunctionConfiguration", object{"FunctionName": "f", "RevisionId": made["RevisionId"]})
	w.do("lambda", "TagResource", object{"Resource": arn, "Tags": object{"team": "sec", "x": "y"}})
	w.do("lambda", "UntagResource", object{"Resource": arn, "TagKeys": ids("x")})
	if got := w.do("lambda", "GetFunction", object{"FunctionName": "f"}); !reflect.DeepEqual(got["Tags"], object{"team": "sec"}) {
		t.Errorf("%v", got)
	}
	in["FunctionName"] = "g"
	w.do("lambda", "CreateFunction", in)
	page := w.do("lambda", "ListFunctions", object{"MaxItems": int64(1)})
	rest := w.do("lambda", "ListFunctions", object{"MaxItems": int64(1), "Marker": page["NextMarker"]})
	if at(page, "Functions.0.FunctionName") != "f" || at(rest, "Functions.0.FunctionName") != "g" || rest["NextMarker"] != nil {
		t.Errorf("%v, %v", page, rest)
	}
	w.do("lambda", "DeleteFunction", object{"FunctionName": "f"})
	w.fails("ResourceNotFoundException", "lambda", "GetFunction", object{"FunctionName": "f"})
}

func TestInvoke(t *testing.T) {
	w := newWorld(t)
	arn := w.newFunction("f")
	if got := w.invoke(object{"FunctionName": "f", "Payload": []byte(`{"a":1}`)}); string(got["Payload"].([]byte)) != `{"a":1}` || got["StatusCode"] != int64(200) || got["FunctionError"] != nil {
		t.Errorf("without a Go function: %v", got)
	}
	var seen []Invocation
	w.HandleFunction("f", func(ctx context.Context, i Invocation) ([]byte, error) {
		seen = append(seen, i)
		if string(i.Payload) == `"fail"` {
			return nil, errors.New("it broke")
		}
		// It works in AWS as its role.
		out, err := w.Call(ctx, Request{Service: "sts", Operation: "GetCallerIdentity", AccessKeyID: i.AccessKeyID})
		if err != nil {
			return nil, err
		}
		return json.Marshal(out["Arn"])
	})
	got := w.invoke(object{"FunctionName": "f", "Payload": `{}`, "LogType": "Tail"})
	if string(got["Payload"].([]byte)) != `"arn:aws:sts::111122223333:assumed-role/runner/f"` || got["LogResult"] == nil {
		t.Errorf("%v", got)
	}
	failed := w.invoke(object{"FunctionName": "f", "Payload": []byte(`"fail"`)})
	if failed["FunctionError"] != "Unhandled" || failed["StatusCode"] != int64(200) || string(failed["Payload"].([]byte)) != `{"errorMessage":"it broke","errorType":"Error"}` {
		t.Errorf("%v", failed)
	}
	if got := w.invoke(object{"FunctionName": "f", "InvocationType": "DryRun"}); got["StatusCode"] != int64(204) || len(seen) != 2 {
		t.Errorf("%v after %d runs", got, len(seen))
	}
	if got := w.invoke(object{"FunctionName": "f", "InvocationType": "Event", "Payload": []byte(`"fail"`)}); got["StatusCode"] != int64(202) || got["Payload"] != nil || len(seen) != 3 {
		t.Errorf("%v after %d runs", got, len(seen))
	}
	if d := w.Deliveries(); len(d) != 1 || !strings.Contains(d[0].Error, "it broke") {
		t.Errorf("%v", d)
	}
	if seen[0].FunctionARN != arn || seen[0].RequestID == seen[1].RequestID || seen[0].AccessKeyID != seen[1].AccessKeyID {
		t.Errorf("%+v", seen)
	}
	w.clock.Advance(2 * time.Hour) // a new session
	w.invoke(object{"FunctionName": "f", "Payload": `{}`})
	if last := seen[len(seen)-1]; last.AccessKeyID == seen[0].AccessKeyID {
		t.Error("a session without end")
	}
	w.fails("InvalidRequestContentException", "lambda", "Invoke", object{"FunctionName": "f", "Payload": []byte("{")})
	w.fails("ResourceNotFoundException", "lambda", "Invoke", object{"FunctionName": "g"})
	w.do("lambda", "PutFunctionConcurrency", object{"FunctionName": "f", "ReservedConcurrentExecutions": int64(0)})
	w.fails("TooManyRequestsException", "lambda", "Invoke", object{"FunctionName": "f"})
	w.do("lambda", "DeleteFunctionConcurrency", object{"FunctionName": "f"})
	w.invoke(object{"FunctionName": "f"})
}

func TestAFunctionsPolicyLetsServicesIn(t *testing.T) {
	w := newWorld(t)
	arn := w.newFunction("f")
	var got []string
	w.HandleFunction("f", func(_ context.Context, i Invocation) ([]byte, error) {
		got = append(got, string(i.Payload))
		return nil, nil
	})
	topic := w.topicFor("alerts")
	w.do("sns", "Subscribe", object{"TopicArn": topic, "Protocol": "lambda", "Endpoint": arn})
	w.rule("r", `{"source": ["mine"]}`, object{"Id": "1", "Arn": arn, "InputPath": "$.detail"})
	send := func() {
		w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "d", "Detail": `{"n":1}`}}})
		w.do("sns", "Publish", object{"TopicArn": topic, "Message": "m"})
	}
	w.fails("ResourceNotFoundException", "lambda", "GetPolicy", object{"FunctionName": "f"})
	send()
	if len(got) != 0 || w.outcomes.Failed != 2 {
		t.Errorf("without a policy: %q, %+v", got, w.outcomes)
	}
	permit := object{"FunctionName": "f", "StatementId": "events", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/r"}
	statement := w.do("lambda", "AddPermission", permit)["Statement"].(string)
	if want := `{"Action":"lambda:InvokeFunction","Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:events:eu-west-1:111122223333:rule/r"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"` + arn + `","Sid":"events"}`; statement != want {
		t.Errorf("%s\nwant\n%s", statement, want)
	}
	w.fails("ResourceConflictException", "lambda", "AddPermission", permit)
	w.fails("InvalidParameterValueException", "lambda", "AddPermission", object{"FunctionName": "f", "StatementId": "x", "Action": "lambda:InvokeFunction", "Principal": "nobody"})
	w.do("lambda", "AddPermission", object{"FunctionName": "f", "StatementId": "sns", "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com"})
	send()
	if len(got) != 2 || got[0] != `{"n":1}` || !strings.Contains(got[1], `"EventSource":"aws:sns"`) || !strings.Contains(got[1], `"Message":"m"`) {
		t.Errorf("%q", got)
	}
	if policy := w.do("lambda", "GetPolicy", object{"FunctionName": "f"})["Policy"].(string); !strings.Contains(policy, statement) {
		t.Errorf("%s", policy)
	}
	w.do("lambda", "RemovePermission", object{"FunctionName": "f", "StatementId": "events"})
	w.fails("ResourceNotFoundException", "lambda", "RemovePermission", object{"FunctionName": "f", "StatementId": "events"})
	send()
	if len(got) != 3 {
		t.Errorf("%q", got)
	}
}

// The loop that the sandbox is there for: a change has an event, the event a
// function, and the function undoes the change.
func TestAFunctionUndoesWhatAnEventTells(t *testing.T) {
	w := newWorld(t)
	w.trailBucket("logs-of-acme")
	w.do("cloudtrail", "CreateTrail", object{"Name": "org", "S3BucketName": "logs-of-acme", "IsMultiRegionTrail": true})
	w.do("cloudtrail", "StartLogging", object{"Name": "org"})
	arn := w.newFunction("guard")
	w.do("iam", "PutRolePolicy", object{"RoleName": "runner", "PolicyName": "p", "PolicyDocument": `{"Statement":[{"Effect":"Allow","Action":"s3:PutBucketPublicAccessBlock","Resource":"*"}]}`})
	w.do("lambda", "AddPermission", object{"FunctionName": "guard", "StatementId": "e", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"})
	w.rule("opened", `{"detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["DeleteBucketPublicAccessBlock"]}}`, object{"Id": "1", "Arn": arn, "InputPath": "$.detail.requestParameters.bucketName"})
	w.HandleFunction("guard", func(ctx context.Context, i Invocation) ([]byte, error) {
		var bucket string
		if err := json.Unmarshal(i.Payload, &bucket); err != nil {
			return nil, err
		}
		_, err := w.Call(ctx, Request{Service: "s3", Operation: "PutPublicAccessBlock", AccessKeyID: i.AccessKeyID, Input: object{"Bucket": bucket, "PublicAccessBlockConfiguration": object{"BlockPublicAcls": true}}})
		return nil, err
	})
	w.do("s3", "CreateBucket", object{"Bucket": "acme-invoices", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("s3", "DeletePublicAccessBlock", object{"Bucket": "acme-invoices"})
	if got := at(w.do("s3", "GetPublicAccessBlock", object{"Bucket": "acme-invoices"}), "PublicAccessBlockConfiguration.BlockPublicAcls"); got != true {
		t.Errorf("%v", w.Deliveries())
	}
}

// What a function does is said by its answers: the first that fits the payload
// counts, its calls are made with the function's role, and all of it is in a
// snapshot.
func TestAFunctionsAnswers(t *testing.T) {
	w := newWorld(t)
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	role := at(w.do("iam", "CreateRole", object{"RoleName": "fixer", "AssumeRolePolicyDocument": trust}), "Role.Arn")
	w.do("iam", "PutRolePolicy", object{"RoleName": "fixer", "PolicyName": "p", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sns:CreateTopic","Resource":"*"}]}`})
	w.do("lambda", "CreateFunction", object{"FunctionName": "fix", "Runtime": "python3.13", "Handler": "f.f", "Role": role, "Code": object{"S3Bucket": "acme", "S3Key": "f"}})
	w.clock.Advance(time.Minute)
	for _, a := range []FunctionAnswer{
		{Function: "fix", When: object{"detail": object{"kind": "make"}}, Calls: []FunctionCall{{"sns:CreateTopic", object{"Name": "{{payload.detail.name}}"}}}, Answer: object{"made": "{{payload.detail.name}}", "n": 1}},
		{Function: "fix", When: object{"detail": object{"kind": "list"}}, Calls: []FunctionCall{{"sns:ListTopics", nil}}},
		{Function: "fix", When: object{"n": 2}, Error: "{{payload.why}}"},
	} {
		if _, err := w.AddAnswer(a); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := w.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if w.Sandbox, err = Restore(Options{Catalog: w.catalog}, raw); err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"detail":{"kind":"make","name":"alerts","more":true}}`: `{"made":"alerts","n":1}`,
		`{"detail":{"kind":"list"}}`:                             "is not authorized to perform",
		`{"n":2,"why":"too late"}`:                               `"errorMessage":"too late"`,
		`{"n":3}`:                                                "none of the function's answers fits",
		`[1]`:                                                    "none of the function's answers fits",
	} {
		out := w.do("lambda", "Invoke", object{"FunctionName": "fix", "Payload": []byte(payload)})
		if got, _ := out["Payload"].([]byte); !strings.Contains(string(got), want) || (out["FunctionError"] == nil) != strings.HasPrefix(want, `{"made`) {
			t.Errorf("%s: %s, %v; want %s", payload, got, out["FunctionError"], want)
		}
	}
	if topics := w.do("sns", "ListTopics", nil)["Topics"].([]any); len(topics) != 1 || w.FunctionRuns("fix") != 5 || w.FunctionRuns("other") != 0 {
		t.Errorf("%d topics, run %d times", len(topics), w.FunctionRuns("fix"))
	}
	for _, wrong := range []FunctionAnswer{{}, {Function: "fix", Answer: 1, Error: "x"}, {Function: "fix", Calls: []FunctionCall{{"sns:NoSuch", nil}}}} {
		if _, err := w.AddAnswer(wrong); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}
