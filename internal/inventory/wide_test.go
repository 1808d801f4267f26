package inventory

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// answers is an AWS that answers each operation with what a test says.
type answers map[string]func(in map[string]any) (map[string]any, error)

func (a answers) Call(_ context.Context, service, operation string, in map[string]any, _ ...awsapi.CallOption) (map[string]any, error) {
	answer := a[service+":"+operation]
	if answer == nil {
		return nil, &awsapi.Error{Status: 501, Code: "NotImplemented", Message: operation}
	}
	return answer(in)
}

func always(out map[string]any) func(map[string]any) (map[string]any, error) {
	return func(map[string]any) (map[string]any, error) { return out, nil }
}

func fails(status int, code string) func(map[string]any) (map[string]any, error) {
	return func(map[string]any) (map[string]any, error) { return nil, &awsapi.Error{Status: status, Code: code} }
}

func answering(t *testing.T, a answers) *estate {
	t.Helper()
	e := newEstate(t)
	e.Caller = a
	return e
}

// Stages are listed by API: an API whose stages are denied leaves the others.
func TestListsThatBelongToSomething(t *testing.T) {
	e := answering(t, answers{
		"apigateway:GetRestApis": always(m{"items": []any{m{"id": "a1", "name": "shop"}, m{"id": "a2", "name": "stock"}, m{"id": "a3", "name": "mail"}}}),
		"apigateway:GetStages": func(in map[string]any) (map[string]any, error) {
			switch in["restApiId"] {
			case "a1":
				return m{"item": []any{m{"stageName": "prod", "createdDate": began, "tags": m{"Owner": "shop"}}, m{"stageName": "test"}}}, nil
			case "a2":
				return nil, &awsapi.Error{Status: 403, Code: "AccessDeniedException"}
			}
			return m{"item": []any{m{"stageName": "prod"}}}, nil
		},
	})
	items, errs, stats := e.Collect(t.Context(), e.place(), []string{"AWS::ApiGateway::Stage"})
	var ids []string
	for i := range items {
		ids = append(ids, items[i].ID)
	}
	const prefix = "arn:aws:apigateway:eu-west-1::/restapis/"
	if got, want := strings.Join(ids, " "), prefix+"a1/stages/prod "+prefix+"a1/stages/test "+prefix+"a3/stages/prod"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if len(errs) != 1 || errs[0].Operation != "GetStages" || errs[0].Code != "AccessDeniedException" || stats.Calls["apigateway:GetStages"] != 3 {
		t.Errorf("%+v, %v", errs, stats.Calls)
	}
	if r := items[0]; r.Tags["Owner"] != "shop" || r.Name != "prod" || r.Configuration["createdDate"] != "Nov 24, 2026 8:00:00 AM" {
		t.Errorf("%+v", r)
	}
	// What is found is there, though a list is denied; what is not may be in it.
	if r, err := e.Read(t.Context(), e.key("AWS::ApiGateway::Stage", prefix+"a3/stages/prod")); err != nil || r.Name != "prod" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := e.Read(t.Context(), e.key("AWS::ApiGateway::Stage", prefix+"a2/stages/prod")); knowngood.KindOf(err) != knowngood.Incomplete {
		t.Errorf("%v", err)
	}
	e.Caller.(answers)["apigateway:GetRestApis"] = fails(403, "AccessDeniedException")
	if items, errs, _ = e.Collect(t.Context(), e.place(), []string{"AWS::ApiGateway::Stage"}); len(items) != 0 || len(errs) != 1 || errs[0].Operation != "GetRestApis" {
		t.Errorf("%v, %+v", items, errs)
	}
}

// A trail of several Regions is listed in each, and is an item of its home.
func TestATrailIsOfItsHomeRegion(t *testing.T) {
	e := answering(t, answers{"cloudtrail:DescribeTrails": always(m{"trailList": []any{
		m{"Name": "here", "TrailARN": "arn:here", "HomeRegion": "eu-west-1"}, m{"Name": "there", "TrailARN": "arn:there", "HomeRegion": "us-east-1"}, m{"Name": "nowhere", "TrailARN": "arn:nowhere"},
	}})})
	e.Reads = map[string][]string{}
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::CloudTrail::Trail"})
	if len(items) != 1 || items[0].ID != "here" || len(errs) != 1 || errs[0].ID != "nowhere" || errs[0].Operation != "DescribeTrails" {
		t.Errorf("%v, %+v", items, errs)
	}
}

// A table of type names only, a queue whose attributes are text, and a queue
// that can be read by its id alone.
func TestIDsAndAttributes(t *testing.T) {
	const queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/orders"
	e := answering(t, answers{
		"sqs:ListQueues": always(m{"QueueUrls": []any{queue}}),
		"sqs:GetQueueAttributes": func(in map[string]any) (map[string]any, error) {
			if in["QueueUrl"] != queue {
				return nil, &awsapi.Error{Status: 400, Code: "AWS.SimpleQueueService.NonExistentQueue"}
			}
			return m{"Attributes": m{"QueueArn": "arn:aws:sqs:eu-west-1:111122223333:orders", "VisibilityTimeout": "30", "SqsManagedSseEnabled": "true", "DelaySeconds": "soon"}}, nil
		},
		"sqs:ListQueueTags": always(m{"Tags": m{"Owner": "orders"}}),
	})
	items, _ := e.collect("AWS::SQS::Queue")
	if len(items) != 1 {
		t.Fatalf("%v", items)
	}
	r := items[0]
	want := m{"QueueArn": r.ARN, "VisibilityTimeout": int64(30), "SqsManagedSseEnabled": "true", "DelaySeconds": "soon"}
	if r.ID != queue || r.Name != "orders" || r.Tags["Owner"] != "orders" || !reflect.DeepEqual(r.Configuration, want) {
		t.Errorf("%+v", r)
	}
	if got, err := e.Read(t.Context(), r.Key()); err != nil || !reflect.DeepEqual(*got, r) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := e.Read(t.Context(), e.key("AWS::SQS::Queue", queue+"2")); knowngood.KindOf(err) != knowngood.NotFound {
		t.Errorf("%v", err)
	}
}

// A list that says that there is nothing is empty; one that is denied is not.
func TestAListThatIsNotThere(t *testing.T) {
	e := answering(t, answers{"s3control:GetPublicAccessBlock": always(m{"PublicAccessBlockConfiguration": m{"BlockPublicAcls": true}})})
	items, _ := e.collect("AWS::S3::AccountPublicAccessBlock")
	if len(items) != 1 || items[0].ID != e.Account() || items[0].Configuration["blockPublicAcls"] != true || items[0].ARN != "" {
		t.Errorf("%+v", items)
	}
	key := e.key("AWS::S3::AccountPublicAccessBlock", e.Account())
	e.Caller = answers{"s3control:GetPublicAccessBlock": fails(404, "NoSuchPublicAccessBlockConfiguration")}
	if items, _ := e.collect(key.Type); len(items) != 0 {
		t.Errorf("%+v", items)
	}
	if _, err := e.Read(t.Context(), key); knowngood.KindOf(err) != knowngood.NotFound {
		t.Errorf("%v", err)
	}
	e.Caller = answers{"s3control:GetPublicAccessBlock": fails(403, "AccessDenied")}
	if _, errs, _ := e.Collect(t.Context(), e.place(), []string{key.Type}); len(errs) != 1 {
		t.Errorf("%+v", errs)
	}
	if _, err := e.Read(t.Context(), key); knowngood.KindOf(err) != knowngood.Incomplete {
		t.Errorf("%v", err)
	}
}

// Items by CloudFormation's schemas leave empty lists out, and hold documents as
// objects.
func TestItemsByCloudFormationsSchemas(t *testing.T) {
	e := answering(t, answers{
		"opensearch:ListDomainNames": always(m{"DomainNames": []any{m{"DomainName": "search"}}}),
		"opensearch:DescribeDomain": always(m{"DomainStatus": m{"DomainName": "search", "DomainId": "111122223333/search", "ARN": "arn:aws:es:eu-west-1:111122223333:domain/search",
			"VPCOptions": m{}, "AccessPolicies": `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","N":12345678901234567,"F":0.5}]}`,
			"LogPublishingOptions": m{"AUDIT_LOGS": m{"Enabled": true}}, "AdvancedOptions": m{"override_main_response_version": "false"}}}),
		"opensearch:ListTags": always(m{"TagList": []any{m{"Key": "Owner", "Value": "search"}}}),
	})
	items, _ := e.collect("AWS::OpenSearch::Domain")
	if len(items) != 1 {
		t.Fatalf("%v", items)
	}
	c := items[0].Configuration
	statement := m{"Effect": "Deny", "N": int64(12345678901234567), "F": 0.5}
	if !reflect.DeepEqual(c["AccessPolicies"], m{"Version": "2012-10-17", "Statement": []any{statement}}) || dig(c, "LogPublishingOptions.AUDIT_LOGS.Enabled") != true ||
		!reflect.DeepEqual(c["VPCOptions"], m{}) || c["AdvancedOptions"].(m)["override_main_response_version"] != "false" {
		t.Errorf("%v", c)
	}
}

func TestGlobalTypesAreReadInAnyRegion(t *testing.T) {
	e := answering(t, answers{"iam:GetAccountAuthorizationDetails": func(in map[string]any) (map[string]any, error) {
		if !slices.Equal(in["Filter"].([]any), []any{"Group"}) {
			return nil, &awsapi.Error{Status: 400, Code: "ValidationError"}
		}
		return m{"GroupDetailList": []any{m{"GroupId": "AGPA1", "GroupName": "admins", "Arn": "arn:aws-us-gov:iam::111122223333:group/admins"}}}, nil
	}})
	place := e.place()
	place.Region = "us-gov-west-1"
	items, errs, _ := e.Collect(t.Context(), place, []string{"AWS::IAM::Group"})
	if len(items) != 1 || len(errs) != 0 || items[0].Region != "global" || items[0].ARN != "arn:aws-us-gov:iam::111122223333:group/admins" {
		t.Errorf("%+v, %+v", items, errs)
	}
	if r, err := e.Read(t.Context(), items[0].Key()); err != nil || r.Name != "admins" {
		t.Errorf("%v, %v", r, err)
	}
}

// The partition of ARNs that the table makes follows from the Region.
func TestPartitions(t *testing.T) {
	for region, want := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-east-1": "aws-us-gov", "us-isob-east-1": "aws-iso-b", "": "aws"} {
		e := answering(t, answers{"ec2:DescribeVpcs": always(m{"Vpcs": []any{m{"VpcId": "vpc-1"}}})})
		key := e.key("AWS::EC2::VPC", "vpc-1")
		key.Region = region
		r, err := e.Read(t.Context(), key)
		if err != nil || r.ARN != "arn:"+want+":ec2:"+region+":111122223333:vpc/vpc-1" {
			t.Errorf("%s: %+v, %v", region, r, err)
		}
	}
}

// Athena's pages are not in the models; the table says how to ask for them.
func TestPagesByTheTable(t *testing.T) {
	var asked []any
	again := any(nil)
	e := answering(t, answers{
		"athena:ListWorkGroups": func(in map[string]any) (map[string]any, error) {
			asked = append(asked, in["NextToken"])
			switch in["NextToken"] {
			case nil:
				return m{"WorkGroups": []any{m{"Name": "a"}, m{"Name": "b"}}, "NextToken": "2"}, nil
			case "2":
				return m{"WorkGroups": []any{m{"Name": "c"}}, "NextToken": again}, nil
			}
			return nil, &awsapi.Error{Status: 400, Code: "InvalidRequestException"}
		},
		"athena:GetWorkGroup": func(in map[string]any) (map[string]any, error) {
			return m{"WorkGroup": m{"Name": in["WorkGroup"], "Configuration": m{"EnforceWorkGroupConfiguration": true}}}, nil
		},
	})
	e.Reads = map[string][]string{}
	items, _ := e.collect("AWS::Athena::WorkGroup")
	if len(items) != 3 || !reflect.DeepEqual(asked, []any{nil, "2"}) || dig(items[2].Configuration, "WorkGroupConfiguration.EnforceWorkGroupConfiguration") != true {
		t.Errorf("%v, %v", asked, items)
	}
	again = "2" // a service that goes in a circle ends with an error
	items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::Athena::WorkGroup"})
	if len(items) != 3 || len(errs) != 1 || errs[0].Code != CodeFailed || errs[0].Operation != "ListWorkGroups" {
		t.Errorf("%v, %+v", items, errs)
	}
	again = "3" // the pages before one that fails count
	if items, errs, _ = e.Collect(t.Context(), e.place(), []string{"AWS::Athena::WorkGroup"}); len(items) != 3 || len(errs) != 1 || errs[0].Code != "InvalidRequestException" {
		t.Errorf("%v, %+v", items, errs)
	}
}

// An access control list is text in AWS Config's item, with words of its own.
func TestTheAccessControlListOfABucket(t *testing.T) {
	e := answering(t, answers{
		"s3:ListBuckets": always(m{"Buckets": []any{m{"Name": "acme", "BucketRegion": "eu-west-1"}}}),
		"s3:GetBucketAcl": always(m{"Owner": m{"ID": "8ac8"}, "Grants": []any{
			m{"Grantee": m{"ID": "8ac8", "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"},
			m{"Grantee": m{"URI": "http://acs.amazonaws.com/groups/global/AllUsers", "Type": "Group"}, "Permission": "READ"},
		}}),
	})
	e.Reads = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.AccessControlList"}}
	items, _ := e.collect("AWS::S3::Bucket")
	const want = `{"grantList":[{"grantee":{"id":"8ac8"},"permission":"FullControl"},{"grantee":"AllUsers","permission":"Read"}],"owner":{"id":"8ac8"}}`
	if got := items[0].Supplementary["AccessControlList"]; got != want {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// An edge to the same resource is there once, whatever it comes from.
func TestRelationshipsAreThereOnce(t *testing.T) {
	vpc := m{"VpcId": "vpc-1"}
	e := answering(t, answers{"ec2:DescribeVpcPeeringConnections": always(m{"VpcPeeringConnections": []any{
		m{"VpcPeeringConnectionId": "pcx-1", "RequesterVpcInfo": vpc, "AccepterVpcInfo": vpc}, m{"VpcPeeringConnectionId": "pcx-2", "RequesterVpcInfo": vpc, "AccepterVpcInfo": m{"VpcId": "vpc-2"}},
	}})})
	items, _ := e.collect("AWS::EC2::VPCPeeringConnection")
	if len(items) != 2 || len(items[0].Relationships) != 1 || len(items[1].Relationships) != 2 {
		t.Errorf("%+v", items)
	}
}

// A detail may make a call for each of what another call gives; its answers come
// together. One that is gone since is left out, and one that fails leaves nothing.
func TestDetailsForEach(t *testing.T) {
	used := map[string]func(map[string]any) (map[string]any, error){
		"AKIA1": always(m{"UserName": "jane", "AccessKeyLastUsed": m{"LastUsedDate": began}}), "AKIA2": fails(404, "NoSuchEntity"), "AKIA3": always(m{"UserName": "jane", "AccessKeyLastUsed": m{}}),
	}
	e := answering(t, answers{
		"iam:GetAccountAuthorizationDetails": always(m{"UserDetailList": []any{m{"UserId": "AIDA1", "UserName": "jane", "Arn": "arn:aws:iam::111122223333:user/jane"}}}),
		"iam:ListAccessKeys":                 always(m{"AccessKeyMetadata": []any{m{"AccessKeyId": "AKIA1", "Status": "Active"}, m{"AccessKeyId": "AKIA2"}, m{"AccessKeyId": "AKIA3", "Status": "Inactive"}}}),
		"iam:GetAccessKeyLastUsed": func(in map[string]any) (map[string]any, error) {
			return used[in["AccessKeyId"].(string)](in)
		},
	})
	e.Reads = map[string][]string{"AWS::IAM::User": {"supplementaryConfiguration.AccessKeysLastUsed.status"}}
	items, _ := e.collect("AWS::IAM::User")
	want := []any{m{"accessKeyId": "AKIA1", "status": "Active", "lastUsedDate": "2026-11-24T08:00:00.000Z"}, m{"accessKeyId": "AKIA3", "status": "Inactive"}}
	if got := items[0].Supplementary["AccessKeysLastUsed"]; !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	for _, want := range []string{"GetAccessKeyLastUsed", "ListAccessKeys"} { // the second hides the first
		used["AKIA3"] = fails(403, "AccessDenied")
		if want == "ListAccessKeys" {
			e.Caller.(answers)["iam:ListAccessKeys"] = fails(403, "AccessDenied")
		}
		items, errs, _ := e.Collect(t.Context(), e.place(), []string{"AWS::IAM::User"})
		if items[0].Supplementary["AccessKeysLastUsed"] != nil || len(errs) != 1 || errs[0].Operation != want || errs[0].Path != "supplementaryConfiguration.AccessKeysLastUsed" {
			t.Errorf("%v, %+v", items[0].Supplementary, errs)
		}
	}
}

// What Systems Manager's inventory says of a node is keyed by the node's id.
func TestAMapOfOneValue(t *testing.T) {
	e := answering(t, answers{"ssm:DescribeInstanceInformation": always(m{"InstanceInformationList": []any{m{"InstanceId": "i-1", "PingStatus": "Online"}, m{"InstanceId": "i-2", "PingStatus": "ConnectionLost"}}})})
	items, _ := e.collect("AWS::SSM::ManagedInstanceInventory")
	for i, want := range []string{"Active", "ConnectionLost"} {
		if got := dig(items[i].Configuration, "AWS:InstanceInformation.Content."+items[i].ID+".InstanceStatus"); got != want {
			t.Errorf("%s: %v, want %s", items[i].ID, got, want)
		}
	}
}
