package sandbox

import (
	"fmt"
	"testing"
)

func TestAResourceGroupHasWhatFitsItsQuery(t *testing.T) {
	w := newWorld(t)
	query := func(types, filters string) object {
		return object{"Type": "TAG_FILTERS_1_0", "Query": `{"ResourceTypeFilters":[` + types + `],"TagFilters":[` + filters + `]}`}
	}
	for bucket, team := range map[string]string{"web-a": "web", "web-b": "web", "ops-a": "ops"} {
		w.do("s3", "CreateBucket", object{"Bucket": bucket, "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
		w.do("s3", "PutBucketTagging", object{"Bucket": bucket, "Tagging": object{"TagSet": []any{object{"Key": "team", "Value": team}}}})
	}
	w.do("sqs", "CreateQueue", object{"QueueName": "q", "tags": object{"team": "web"}})
	w.do("resource-groups", "CreateGroup", object{"Name": "web", "Description": "of the web team", "ResourceQuery": query(`"AWS::AllSupported"`, `{"Key":"team","Values":["web"]}`)})
	w.do("resource-groups", "CreateGroup", object{"Name": "buckets", "ResourceQuery": query(`"AWS::S3::Bucket"`, `{"Key":"team"}`)})
	members := func(in object) string {
		var arns []any
		for _, r := range w.list("resource-groups", "ListGroupResources", "ResourceIdentifiers", in) {
			arns = append(arns, r["ResourceArn"])
		}
		return fmt.Sprint(arns)
	}
	if got := members(object{"Group": "web"}); got != "[arn:aws:s3:::web-a arn:aws:s3:::web-b arn:aws:sqs:eu-west-1:111122223333:q]" {
		t.Errorf("%s", got)
	}
	buckets := "arn:aws:resource-groups:eu-west-1:111122223333:group/buckets"
	if got := members(object{"Group": buckets}); got != "[arn:aws:s3:::ops-a arn:aws:s3:::web-a arn:aws:s3:::web-b]" {
		t.Errorf("%s", got)
	}
	if got := members(object{"GroupName": "web", "Filters": []any{object{"Name": "resource-type", "Values": []any{"AWS::SQS::Queue"}}}}); got != "[arn:aws:sqs:eu-west-1:111122223333:q]" {
		t.Errorf("%s", got)
	}
	w.do("s3", "DeleteBucketTagging", object{"Bucket": "web-a"})
	if got := members(object{"Group": buckets}); got != "[arn:aws:s3:::ops-a arn:aws:s3:::web-b]" {
		t.Errorf("%s", got)
	}
	if g := w.do("resource-groups", "GetGroup", object{"Group": "web"})["Group"].(object); g["Description"] != "of the web team" || g["GroupArn"] != "arn:aws:resource-groups:eu-west-1:111122223333:group/web" {
		t.Errorf("%v", g)
	}
	w.do("resource-groups", "DeleteGroup", object{"Group": "web"})
	for _, c := range []struct {
		code, operation string
		in              object
	}{
		{"NotFoundException", "ListGroupResources", object{"Group": "web"}},
		{"BadRequestException", "CreateGroup", object{"Name": "buckets", "ResourceQuery": query(`"AWS::AllSupported"`, "")}},
		{"BadRequestException", "CreateGroup", object{"Name": "aws-mine", "ResourceQuery": query(`"AWS::AllSupported"`, "")}},
		{"BadRequestException", "CreateGroup", object{"Name": "x", "ResourceQuery": query("", "")}},
		{"BadRequestException", "CreateGroup", object{"Name": "x", "ResourceQuery": object{"Type": "CLOUDFORMATION_STACK_1_0", "Query": "{}"}}},
	} {
		w.fails(c.code, "resource-groups", c.operation, c.in)
	}
}
