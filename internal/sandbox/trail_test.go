package sandbox

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// latest gives the last record that CloudTrail has in a Region.
func (w *world) latest(region string) object {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	records := w.state.Accounts[w.account].Regions[region].CloudTrail.Records
	if len(records) == 0 {
		return nil
	}
	var out object
	if err := json.Unmarshal(records[len(records)-1].Event.json(), &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// at follows a dotted path through objects and lists.
func at(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch here := v.(type) {
		case object:
			v = here[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(here) {
				return nil
			}
			v = here[i]
		default:
			return nil
		}
	}
	return v
}

func TestARecordIsAsCloudTrailHasIt(t *testing.T) {
	w := newWorld(t)
	w.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(10), "VolumeType": "gp3",
		"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "Name", "Value": "data"}}}}})
	r := w.latest("eu-west-1")
	if id, _ := r["eventID"].(string); len(id) != 36 || r["requestID"] == id {
		t.Errorf("eventID %v, requestID %v", r["eventID"], r["requestID"])
	}
	volume, _ := at(r, "responseElements.volumeId").(string)
	if !strings.HasPrefix(volume, "vol-0") || at(r, "responseElements.requestId") != r["requestID"] || at(r, "responseElements.createTime") != float64(w.clock.Now().UnixMilli()) {
		t.Errorf("%v", r["responseElements"])
	}
	for _, k := range []string{"eventID", "requestID", "responseElements"} {
		delete(r, k)
	}
	want := object{
		"eventVersion": "1.11", "eventTime": "2026-11-24T08:00:00Z", "eventSource": "ec2.amazonaws.com", "eventName": "CreateVolume", "awsRegion": "eu-west-1",
		"sourceIPAddress": "127.0.0.1", "userAgent": "knowngood-sandbox", "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333",
		"eventCategory": "Management",
		"userIdentity": object{"type": "IAMUser", "principalId": "AIDAOPERATOR", "arn": "arn:aws:iam::111122223333:user/operator", "accountId": "111122223333",
			"accessKeyId": OperatorKey, "userName": "operator"},
		"requestParameters": object{"zone": "eu-west-1a", "size": "10", "volumeType": "gp3", "tagSpecificationSet": object{"items": []any{
			object{"resourceType": "volume", "tags": []any{object{"key": "Name", "value": "data"}}}}}},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("%v\nwant\n%v", r, want)
	}
}

func TestRecordsByService(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	w.do("s3", "CreateBucket", object{"Bucket": "acme-invoices", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("iam", "CreateRole", object{"RoleName": "runner", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`})
	for _, c := range []struct {
		service, operation string
		in                 object
		region             string
		want               map[string]any // by path; nil: not there
	}{
		{"ec2", "StopInstances", object{"InstanceIds": ids(i)}, "eu-west-1", map[string]any{
			"requestParameters.instancesSet.items.0.instanceId":        i,
			"responseElements.instancesSet.items.0.currentState.name":  "stopping",
			"responseElements.instancesSet.items.0.previousState.code": 16.0,
			"responseElements.instancesSet.items.0.instanceId":         i,
			"userIdentity.type": "IAMUser",
			"errorCode":         nil,
			"requestParameters.instancesSet.items.0.currentState.whatever": nil,
		}},
		{"ec2", "DescribeInstances", object{"Filters": []any{object{"Name": "instance-type", "Values": ids("m5.large")}}}, "eu-west-1", map[string]any{
			"readOnly": true, "responseElements": nil, "requestParameters.filterSet.items.0.valueSet.items.0.value": "m5.large"}},
		{"ec2", "EnableEbsEncryptionByDefault", object{}, "eu-west-1", map[string]any{"requestParameters.EnableEbsEncryptionByDefaultRequest": ""}},
		{"ec2", "DeleteVolume", object{"VolumeId": "vol-1"}, "eu-west-1", map[string]any{
			"errorCode": "Client.InvalidVolume.NotFound", "errorMessage": "The volume 'vol-1' does not exist.", "responseElements": nil, "requestParameters.volumeId": "vol-1"}},
		{"s3", "DeletePublicAccessBlock", object{"Bucket": "acme-invoices"}, "eu-west-1", map[string]any{
			"eventName": "DeleteBucketPublicAccessBlock", "requestParameters.bucketName": "acme-invoices", "requestParameters.Host": "acme-invoices.s3.eu-west-1.amazonaws.com",
			"requestParameters.publicAccessBlock": "", "responseElements": nil}},
		{"s3", "PutBucketPolicy", object{"Bucket": "acme-invoices", "Policy": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}`}, "eu-west-1", map[string]any{
			"requestParameters.bucketPolicy.Statement.0.Principal": "*", "requestParameters.policy": "", "requestParameters.Policy": nil}},
		{"iam", "GetRole", object{"RoleName": "nobody"}, "us-east-1", map[string]any{
			"awsRegion": "us-east-1", "errorCode": "NoSuchEntityException", "requestParameters.roleName": "nobody", "readOnly": true}},
		{"iam", "CreateRole", object{"RoleName": "other", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`}, "us-east-1", map[string]any{
			"responseElements.role.createDate": "Nov 24, 2026 8:00:15 AM", "responseElements.role.roleName": "other"}},
		{"sts", "AssumeRole", object{"RoleArn": "arn:aws:iam::111122223333:role/other", "RoleSessionName": "me"}, "eu-west-1", map[string]any{
			"readOnly": true, "responseElements.assumedRoleUser.arn": "arn:aws:sts::111122223333:assumed-role/other/me", "responseElements.credentials.secretAccessKey": nil}},
		{"lambda", "CreateFunction", object{"FunctionName": "f", "Runtime": "python3.13", "Handler": "a.b", "Role": "arn:aws:iam::111122223333:role/runner",
			"Code": object{"ZipFile": []byte("zip")}, "Environment": object{"Variables": object{"SECRET": "hush"}}}, "eu-west-1", map[string]any{
			"eventName": "CreateFunction20150331", "eventSource": "lambda.amazonaws.com", "requestParameters.functionName": "f", "requestParameters.code.zipFile": nil,
			"requestParameters.environment.variables": nil, "responseElements.functionArn": "arn:aws:lambda:eu-west-1:111122223333:function:f"}},
		{"sqs", "CreateQueue", object{"QueueName": "q", "Attributes": object{"VisibilityTimeout": "60"}}, "eu-west-1", map[string]any{
			"requestParameters.attributes.VisibilityTimeout": "60", "responseElements.queueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q"}},
	} {
		_, err := w.try(c.service, c.operation, c.in)
		r := w.latest(c.region)
		for path, want := range c.want {
			if got := at(r, path); !reflect.DeepEqual(got, want) {
				t.Errorf("%s:%s: %s is %v, want %v (%v)", c.service, c.operation, path, got, want, err)
			}
		}
		if raw := jsonText(r); strings.Contains(raw, "hush") || strings.Contains(raw, operatorSecret) {
			t.Errorf("a secret is in %s", raw)
		}
	}
}

func TestASessionsIdentity(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateRole", object{"RoleName": "auditor", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`})
	s := *w
	s.key = w.do("sts", "AssumeRole", object{"RoleArn": "arn:aws:iam::111122223333:role/auditor", "RoleSessionName": "ann"})["Credentials"].(object)["AccessKeyId"].(string)
	s.fails("UnauthorizedOperation", "ec2", "DescribeVolumes", nil)
	r := w.latest("eu-west-1")
	for path, want := range map[string]any{
		"errorCode":              "Client.UnauthorizedOperation",
		"userIdentity.type":      "AssumedRole",
		"userIdentity.arn":       "arn:aws:sts::111122223333:assumed-role/auditor/ann",
		"userIdentity.userName":  nil,
		"userIdentity.accountId": "111122223333",
		"userIdentity.sessionContext.sessionIssuer.arn":       "arn:aws:iam::111122223333:role/auditor",
		"userIdentity.sessionContext.sessionIssuer.userName":  "auditor",
		"userIdentity.sessionContext.attributes.creationDate": "2026-11-24T08:00:00Z",
	} {
		if got := at(r, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	id, _ := at(r, "userIdentity.principalId").(string)
	issuer, _ := at(r, "userIdentity.sessionContext.sessionIssuer.principalId").(string)
	if id != issuer+":ann" || issuer == "" {
		t.Errorf("principalId %s, issuer's %s", id, issuer)
	}
}

func TestDataEventsAndWhatNeverReachedAWSLeaveNoRecord(t *testing.T) {
	w := newWorld(t)
	url := w.do("sqs", "CreateQueue", object{"QueueName": "q"})["QueueUrl"]
	before := w.latest("eu-west-1")["eventID"]
	w.do("sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "hello"})
	w.do("sqs", "ReceiveMessage", object{"QueueUrl": url})
	w.do("events", "PutEvents", object{"Entries": []any{object{"Source": "mine", "DetailType": "d", "Detail": "{}"}}})
	w.fails("NotImplemented", "ec2", "CreateInternetGateway", nil)
	w.Inject(Fault{Service: "ec2", Operation: "DescribeVolumes", Error: failure(0, "cut", "cut")})
	if _, err := w.try("ec2", "DescribeVolumes", nil); err == nil {
		t.Error("the fault didn't strike")
	}
	if got := w.latest("eu-west-1")["eventID"]; got != before {
		t.Errorf("%v, before %v", got, before)
	}
	// One that took effect before its answer was lost is recorded as it went.
	w.Inject(Fault{Service: "ec2", Operation: "CreateVolume", AfterEffect: true, Error: failure(0, "cut", "cut")})
	if _, err := w.try("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)}); err == nil {
		t.Error("the fault didn't strike")
	}
	if r := w.latest("eu-west-1"); r["eventName"] != "CreateVolume" || r["errorCode"] != nil || at(r, "responseElements.volumeId") == nil {
		t.Errorf("%v", r)
	}
}

// trailBucket makes a bucket that CloudTrail may write to.
func (w *world) trailBucket(name string) {
	w.t.Helper()
	w.do("s3", "CreateBucket", object{"Bucket": name, "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("s3", "PutBucketPolicy", object{"Bucket": name, "Policy": `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::` + name + `"},
		{"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + name + `/AWSLogs/111122223333/*",
		 "Condition":{"StringEquals":{"s3:x-amz-acl":"bucket-owner-full-control","aws:SourceArn":"arn:aws:cloudtrail:eu-west-1:111122223333:trail/org"}}}]}`})
}

func TestTrails(t *testing.T) {
	w := newWorld(t)
	w.fails("S3BucketDoesNotExistException", "cloudtrail", "CreateTrail", object{"Name": "org", "S3BucketName": "logs-of-acme"})
	w.do("s3", "CreateBucket", object{"Bucket": "no-policy", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.fails("InsufficientS3BucketPolicyException", "cloudtrail", "CreateTrail", object{"Name": "org", "S3BucketName": "no-policy"})
	w.trailBucket("logs-of-acme")
	in := object{"Name": "org", "S3BucketName": "logs-of-acme", "IsMultiRegionTrail": true}
	for code, bad := range map[string]object{
		"InvalidTrailNameException":            {"Name": "a..b"},
		"InvalidParameterCombinationException": {"IncludeGlobalServiceEvents": false},
		"KmsKeyNotFoundException":              {"KmsKeyId": "alias/none"},
	} {
		with := object{"Name": "org", "S3BucketName": "logs-of-acme", "IsMultiRegionTrail": true}
		for k, v := range bad {
			with[k] = v
		}
		w.fails(code, "cloudtrail", "CreateTrail", with)
	}
	made := w.do("cloudtrail", "CreateTrail", in)
	arn := "arn:aws:cloudtrail:eu-west-1:111122223333:trail/org"
	if made["TrailARN"] != arn || made["LogFileValidationEnabled"] != false || made["IncludeGlobalServiceEvents"] != true {
		t.Errorf("%v", made)
	}
	w.fails("TrailAlreadyExistsException", "cloudtrail", "CreateTrail", in)
	w.fails("TrailNotFoundException", "cloudtrail", "GetTrailStatus", object{"Name": "other"})
	if s := w.do("cloudtrail", "GetTrailStatus", object{"Name": "org"}); s["IsLogging"] != false || s["StartLoggingTime"] != nil {
		t.Errorf("a new trail: %v", s)
	}
	w.do("cloudtrail", "StartLogging", object{"Name": arn})
	w.clock.Advance(time.Hour)
	w.do("cloudtrail", "StopLogging", object{"Name": "org"})
	s := w.do("cloudtrail", "GetTrailStatus", object{"Name": "org"})
	if s["IsLogging"] != false || !s["StopLoggingTime"].(time.Time).Equal(s["StartLoggingTime"].(time.Time).Add(time.Hour)) {
		t.Errorf("%v", s)
	}
	if want := s["StartLoggingTime"].(time.Time).Add(time.Hour); s["LatestDeliveryTime"] != want || s["LatestDeliveryAttemptTime"] != "2026-11-24T09:00:00Z" {
		t.Errorf("latest delivery %v, want %v", s["LatestDeliveryTime"], want)
	}
	w.do("cloudtrail", "UpdateTrail", object{"Name": "org", "EnableLogFileValidation": true})
	list := func(in object) []any { return w.do("cloudtrail", "DescribeTrails", in)["trailList"].([]any) }
	if l := list(nil); len(l) != 1 || l[0].(object)["LogFileValidationEnabled"] != true || l[0].(object)["S3BucketName"] != "logs-of-acme" || l[0].(object)["HomeRegion"] != "eu-west-1" {
		t.Errorf("%v", l)
	}
	if l := list(object{"trailNameList": ids("other")}); len(l) != 0 {
		t.Errorf("an unknown trail: %v", l)
	}
	// Seen from another Region it is a shadow, which can't be changed.
	far := func(operation string, in object) (object, error) {
		return w.Call(t.Context(), Request{Service: "cloudtrail", Operation: operation, Region: "us-east-1", AccessKeyID: OperatorKey, Input: in})
	}
	if out, err := far("DescribeTrails", nil); err != nil || len(out["trailList"].([]any)) != 1 {
		t.Errorf("%v, %v", out, err)
	}
	if out, err := far("DescribeTrails", object{"includeShadowTrails": false}); err != nil || len(out["trailList"].([]any)) != 0 {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := far("StopLogging", object{"Name": arn}); codeOf(err) != "InvalidHomeRegionException" {
		t.Errorf("%v", err)
	}
	if got := w.do("cloudtrail", "GetEventSelectors", object{"TrailName": "org"})["EventSelectors"].([]any)[0].(object)["ReadWriteType"]; got != "All" {
		t.Errorf("%v", got)
	}
	w.fails("InvalidEventSelectorsException", "cloudtrail", "PutEventSelectors", object{"TrailName": "org"})
	w.do("cloudtrail", "PutEventSelectors", object{"TrailName": "org", "EventSelectors": []any{object{"ReadWriteType": "WriteOnly"}}})
	if l := list(nil); l[0].(object)["HasCustomEventSelectors"] != true {
		t.Errorf("%v", l)
	}
	w.do("cloudtrail", "AddTags", object{"ResourceId": arn, "TagsList": []any{object{"Key": "a", "Value": "b"}}})
	if got := at(w.do("cloudtrail", "ListTags", object{"ResourceIdList": ids(arn)}), "ResourceTagList.0.TagsList.0.Value"); got != "b" {
		t.Errorf("%v", got)
	}
	w.do("cloudtrail", "DeleteTrail", object{"Name": "org"})
	if l := list(nil); len(l) != 0 {
		t.Errorf("%v", l)
	}
}

func TestAnAPICallHasAnEventWhereATrailLogs(t *testing.T) {
	w := newWorld(t)
	var got []string
	w.OnEvent(func(raw []byte) {
		var e struct {
			DetailType string `json:"detail-type"`
			Source     string `json:"source"`
			Region     string `json:"region"`
			Detail     struct {
				EventName string `json:"eventName"`
			} `json:"detail"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Error(err)
		}
		if e.DetailType == apiCallEvent {
			got = append(got, e.Source+" "+e.Detail.EventName+" "+e.Region)
		}
	})
	expect := func(want ...string) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		got = nil
	}
	w.trailBucket("logs-of-acme")
	w.do("cloudtrail", "CreateTrail", object{"Name": "org", "S3BucketName": "logs-of-acme", "IsMultiRegionTrail": true})
	expect()
	w.do("cloudtrail", "StartLogging", object{"Name": "org"})
	expect("aws.cloudtrail StartLogging eu-west-1")
	w.do("s3", "DeletePublicAccessBlock", object{"Bucket": "logs-of-acme"})
	w.do("iam", "CreateRole", object{"RoleName": "r", "AssumeRolePolicyDocument": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`})
	w.do("ec2", "DescribeVolumes", nil)
	expect("aws.s3 DeleteBucketPublicAccessBlock eu-west-1", "aws.iam CreateRole us-east-1")
	w.do("events", "PutRule", object{"Name": "reads", "EventPattern": `{"detail":{"readOnly":[true]}}`, "State": everyManagementEvent})
	w.do("ec2", "DescribeVolumes", nil)
	w.do("events", "DeleteRule", object{"Name": "reads"})
	w.do("ec2", "DescribeVolumes", nil)
	expect("aws.events PutRule eu-west-1", "aws.ec2 DescribeVolumes eu-west-1", "aws.events DeleteRule eu-west-1")
	w.do("cloudtrail", "PutEventSelectors", object{"TrailName": "org", "EventSelectors": []any{object{"ReadWriteType": "ReadOnly"}}})
	w.do("s3", "DeletePublicAccessBlock", object{"Bucket": "logs-of-acme"})
	w.do("cloudtrail", "PutEventSelectors", object{"TrailName": "org", "AdvancedEventSelectors": []any{object{"FieldSelectors": []any{
		object{"Field": "eventCategory", "Equals": ids("Management")}, object{"Field": "readOnly", "Equals": ids("false")}}}}})
	w.do("cloudtrail", "StopLogging", object{"Name": "org"})
	w.do("s3", "DeletePublicAccessBlock", object{"Bucket": "logs-of-acme"})
	expect("aws.cloudtrail PutEventSelectors eu-west-1", "aws.cloudtrail PutEventSelectors eu-west-1", "aws.cloudtrail StopLogging eu-west-1")
}

func TestLookupEvents(t *testing.T) {
	w := newWorld(t)
	v := w.newVolume(object{"Size": int64(1)})
	for range 4 {
		w.clock.Advance(time.Minute)
		w.do("ec2", "DescribeVolumes", object{"VolumeIds": ids(v)})
	}
	w.do("ec2", "DeleteVolume", object{"VolumeId": v})
	names := func(in object) []string {
		t.Helper()
		var out []string
		for range 20 {
			page := w.do("cloudtrail", "LookupEvents", in)
			for _, e := range page["Events"].([]any) {
				e := e.(object)
				var record object
				if err := json.Unmarshal([]byte(e["CloudTrailEvent"].(string)), &record); err != nil || record["eventID"] != e["EventId"] {
					t.Errorf("%v: %v", e, err)
				}
				out = append(out, e["EventName"].(string))
			}
			if page["NextToken"] == nil {
				return out
			}
			in["NextToken"] = page["NextToken"]
		}
		t.Fatal("the pages never end")
		return nil
	}
	by := func(key, value string) object {
		return object{"LookupAttributes": []any{object{"AttributeKey": key, "AttributeValue": value}}}
	}
	describes := []string{"DescribeVolumes", "DescribeVolumes", "DescribeVolumes", "DescribeVolumes"}
	all := append(append([]string{"DeleteVolume"}, describes...), "CreateVolume")
	// Each page leaves a record itself, at the front; the next goes on behind the
	// one before all the same.
	if got := names(object{"MaxResults": int64(2)}); !reflect.DeepEqual(got, all) {
		t.Errorf("pages of 2: %q", got)
	}
	for _, c := range []struct {
		in   object
		want []string
	}{
		{by("EventName", "DescribeVolumes"), describes},
		{by("ReadOnly", "false"), []string{"DeleteVolume", "CreateVolume"}},
		{by("ResourceName", v), all},
		{by("EventSource", "kms.amazonaws.com"), nil},
		{by("ResourceType", "AWS::EC2::Instance"), nil},
		{object{"StartTime": w.clock.Now().Add(-3 * time.Minute), "EndTime": w.clock.Now().Add(-time.Minute)}, describes[:3]},
	} {
		if got := names(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
	if got := w.do("cloudtrail", "LookupEvents", by("Username", "operator"))["Events"].([]any); len(got) < 6 || got[0].(object)["AccessKeyId"] != OperatorKey {
		t.Errorf("%v", got)
	}
	w.fails("InvalidLookupAttributesException", "cloudtrail", "LookupEvents", by("Colour", "red"))
	w.fails("InvalidMaxResultsException", "cloudtrail", "LookupEvents", object{"MaxResults": int64(51)})
	w.fails("InvalidTimeRangeException", "cloudtrail", "LookupEvents", object{"StartTime": w.clock.Now(), "EndTime": w.clock.Now().Add(-time.Hour)})
	w.fails("InvalidNextTokenException", "cloudtrail", "LookupEvents", object{"NextToken": "x"})
	w.clock.Advance(eventHistory + time.Hour)
	if got := names(object{}); len(got) != 0 {
		t.Errorf("after 90 days: %q", got)
	}
	w.SetStale(time.Hour)
	w.newVolume(object{"Size": int64(1)})
	if got := names(by("EventName", "CreateVolume")); len(got) != 0 {
		t.Errorf("a stale look sees %q", got)
	}
	w.clock.Advance(time.Hour)
	if got := names(by("EventName", "CreateVolume")); len(got) != 1 {
		t.Errorf("an hour later it sees %q", got)
	}
}

func TestRecordsAreBounded(t *testing.T) {
	w := newWorld(t)
	var s cloudtrailState
	for i := range maxTrail + 10 {
		s.keep(trailRecord{ID: fmt.Sprint(i), Time: w.clock.Now()})
	}
	if len(s.Records) != maxTrail || s.Records[0].ID != "10" {
		t.Errorf("%d records from %s", len(s.Records), s.Records[0].ID)
	}
	s.keep(trailRecord{ID: "past", Time: w.clock.Now().Add(-time.Hour)})
	if s.Records[0].ID == "past" || s.Records[len(s.Records)-1].ID == "past" {
		t.Error("a call in the past was filed among the present ones")
	}
}
