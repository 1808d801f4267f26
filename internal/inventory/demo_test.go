package inventory

import (
	"context"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// simulated are the types whose list the sandbox can answer.
func simulated(t *testing.T) []string {
	t.Helper()
	table, ops := libraryTable(t), sandbox.Simulated()
	return slices.DeleteFunc(table.Types(), func(name string) bool {
		typ, _ := table.Type(name)
		return !slices.Contains(ops, typ.Service+":"+typ.List.Operation)
	})
}

// collectDemo collects all of the demo's estate that the sandbox can answer. The
// only failures are calls that it does not simulate.
func collectDemo(t *testing.T, e *estate) []knowngood.Resource {
	t.Helper()
	items, errs, stats := e.Collect(t.Context(), e.place(), simulated(t))
	for _, err := range errs {
		if err.Code != "NotImplemented" || slices.Contains(sandbox.Simulated(), err.Service+":"+err.Operation) {
			t.Errorf("%s %s: %v", err.Type, err.ID, err)
		}
	}
	if stats.Items != len(items) {
		t.Errorf("the stats have %d items of %d", stats.Items, len(items))
	}
	return items
}

func TestTheDemosEstateIsCollected(t *testing.T) {
	e := newDemo(t)
	items := collectDemo(t, e)
	counts := map[string]int{}
	for i := range items {
		counts[items[i].Type]++
	}
	want := map[string]int{
		"AWS::::Account": 2, "AWS::EC2::Instance": 6, "AWS::EC2::SecurityGroup": 4, "AWS::EC2::Subnet": 3, "AWS::EC2::VPC": 1, "AWS::EC2::Volume": 11, "AWS::Events::EventBus": 1,
		"AWS::IAM::Role": 7, "AWS::KMS::Key": 3, "AWS::S3::Bucket": 7,
	}
	if !maps.Equal(counts, want) {
		t.Errorf("collected %v, want %v", counts, want)
	}
	if !slices.IsSortedFunc(items, func(a, b knowngood.Resource) int {
		return strings.Compare(a.Type+a.Region+a.ID, b.Type+b.Region+b.ID)
	}) {
		t.Error("the items are not sorted")
	}
	for i := range items {
		r := &items[i]
		region := e.Region()
		if r.Type == "AWS::IAM::Role" || r.Type == "AWS::::Account" && len(r.Configuration) > 0 {
			region = Global
		}
		if r.ID == "" || !strings.HasPrefix(r.ARN, "arn:aws:") && r.Type != "AWS::::Account" || r.AccountID != e.Account() || r.Region != region || r.Status != knowngood.ItemOK || r.Version != "1.3" ||
			r.AvailabilityZone == "" || !r.CaptureTime.Equal(e.clock.Now()) {
			t.Errorf("%s %s: %+v", r.Type, r.ID, r)
		}
	}
}

func TestItemsOfTheDemo(t *testing.T) {
	e := newDemo(t)
	items := collectDemo(t, e)

	db := named(t, items, "AWS::EC2::Instance", "orders-db")
	v := named(t, items, "AWS::EC2::Volume", "orders-data")
	if want := "arn:aws:ec2:eu-west-1:111122223333:volume/" + v.ID; v.ARN != want || !strings.HasPrefix(v.ID, "vol-0") {
		t.Errorf("%s has the ARN %s", v.ID, v.ARN)
	}
	if !maps.Equal(v.Tags, map[string]string{"Name": "orders-data", "Owner": "orders@acme.example", "Environment": "production", "CostCenter": "cc-4711"}) {
		t.Errorf("tags %v", v.Tags)
	}
	if want := []knowngood.Relationship{{Type: "AWS::EC2::Instance", ID: db.ID, RelationshipName: "Is attached to Instance"}}; !slices.Equal(v.Relationships, want) {
		t.Errorf("relationships %v", v.Relationships)
	}
	if v.AvailabilityZone != "eu-west-1a" || v.CreationTime == nil || dig(v.Configuration, "createTime") != v.CreationTime.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("%s, created %v, %v", v.AvailabilityZone, v.CreationTime, dig(v.Configuration, "createTime"))
	}
	for path, want := range map[string]any{"volumeId": v.ID, "size": int64(500), "iops": int64(3000), "encrypted": false, "state.value": "in-use", "volumeType": "gp3", "kmsKeyId": nil} {
		if got := dig(v.Configuration, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	attachment := v.Configuration["attachments"].([]any)[0].(map[string]any)
	if attachment["instanceId"] != db.ID || attachment["device"] != "/dev/sdf" || attachment["state"] != "attached" || attachment["deleteOnTermination"] != false {
		t.Errorf("attachment %v", attachment)
	}
	if loose := named(t, items, "AWS::EC2::Volume", "migration-scratch"); len(loose.Relationships) != 0 || text(t, loose.Configuration["attachments"]) != "[]" {
		t.Errorf("a volume that is not attached: %v, %v", loose.Relationships, loose.Configuration["attachments"])
	}

	group := named(t, items, "AWS::EC2::SecurityGroup", "database")
	web := named(t, items, "AWS::EC2::SecurityGroup", "web")
	var edges []string
	for _, rel := range db.Relationships {
		edges = append(edges, rel.RelationshipName+" "+rel.ID)
	}
	for _, want := range []string{"Is associated with SecurityGroup " + group.ID, "Is attached to Volume " + v.ID, "Is contained in Subnet " + named(t, items, "AWS::EC2::Subnet", "data-a").ID,
		"Is contained in Vpc " + named(t, items, "AWS::EC2::VPC", "acme").ID} {
		if !slices.Contains(edges, want) {
			t.Errorf("%q is not among %q", want, edges)
		}
	}
	if db.CreationTime == nil || dig(db.Configuration, "state.name") != "running" || dig(db.Configuration, "placement.tenancy") != "default" {
		t.Errorf("%v", db.Configuration)
	}
	if got := text(t, web.Configuration["ipPermissions"]); !strings.Contains(got, `"ipRanges":["10.20.0.0/16"]`) || !strings.Contains(got, `"ipv4Ranges":[{"cidrIp":"10.20.0.0/16"}]`) || !strings.Contains(got, `"fromPort":443`) {
		t.Errorf("ipPermissions %s", got)
	}
	if got := text(t, group.Configuration["ipPermissions"]); !strings.Contains(got, `"userIdGroupPairs":[{"groupId":"`+web.ID) || !strings.Contains(got, `"ipRanges":[]`) {
		t.Errorf("ipPermissions %s", got)
	}

	role := named(t, items, "AWS::IAM::Role", "auditor")
	if role.ID != role.Configuration["roleId"] || !strings.HasPrefix(role.ID, "AROA") || role.ARN != "arn:aws:iam::111122223333:role/auditor" || role.AvailabilityZone != "Not Applicable" {
		t.Errorf("%+v", role)
	}
	trust, err := url.PathUnescape(role.Configuration["assumeRolePolicyDocument"].(string))
	if err != nil || !strings.Contains(trust, `"Action":"sts:AssumeRole"`) {
		t.Errorf("trust %s, %v", trust, err)
	}

	var data *knowngood.Resource
	for i := range items {
		if items[i].Type == "AWS::KMS::Key" && items[i].Configuration["description"] == "Orders and customers" {
			data = &items[i]
		}
	}
	if data == nil {
		t.Fatal("there is no key of that description")
	}
	if data.ARN != data.Configuration["arn"] || data.Configuration["keyManager"] != "CUSTOMER" || data.Supplementary["KeyRotationStatus"] != false || data.Configuration["creationDate"] != data.CreationTime.UnixMilli() {
		t.Errorf("%+v", data)
	}

	open, closed := named(t, items, "AWS::S3::Bucket", "acme-invoices"), named(t, items, "AWS::S3::Bucket", "acme-audit")
	if _, there := open.Supplementary["PublicAccessBlockConfiguration"]; there || unread(open, "supplementaryConfiguration.PublicAccessBlockConfiguration") != "" {
		t.Errorf("a block that is not there: %v, %v", open.Supplementary, open.Unread)
	}
	if dig(closed.Supplementary, "PublicAccessBlockConfiguration.restrictPublicBuckets") != true || closed.ARN != "arn:aws:s3:::acme-audit" || closed.Tags["Owner"] != "security@acme.example" {
		t.Errorf("%+v", closed)
	}
}

// What a client decodes from the wire makes the same items as the calls
// themselves.
func TestItemsOverTheWire(t *testing.T) {
	e := newDemo(t)
	want := collectDemo(t, e)
	id, secret := e.Credentials()
	client, err := awsapi.New(awsapi.Config{
		Catalog: e.Catalog, Region: e.Region(), HTTPClient: awsapi.HandlerDoer(e.Sandbox), Retry: awsapi.RetryPolicy{Sleep: e.clock.Sleep},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Caller = client
	got := collectDemo(t, e)
	if len(got) != len(want) {
		t.Fatalf("%d items, want %d", len(got), len(want))
	}
	for i := range got {
		got[i].CaptureTime = want[i].CaptureTime
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s\n%s", text(t, got[i]), text(t, want[i]))
		}
	}
}

// unread gives the code with which a member of an item was not read, or "".
func unread(r *knowngood.Resource, path string) string {
	for _, e := range r.Unread {
		if e.Path == path {
			return e.Code
		}
	}
	return ""
}
