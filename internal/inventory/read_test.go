package inventory

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

func TestReadGivesTheCollectedItem(t *testing.T) {
	e := newDemo(t)
	seen := map[string]bool{}
	for _, want := range collectDemo(t, e) {
		got, err := e.Read(t.Context(), want.Key())
		if err != nil {
			t.Errorf("%s: %v", want.Key(), err)
			continue
		}
		// The place of an error in a global type is that of its key.
		for _, r := range []*knowngood.Resource{got, &want} {
			for i := range r.Unread {
				r.Unread[i].Place = knowngood.Place{}
			}
		}
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("read %s\ncollected %s", text(t, got), text(t, want))
		}
		seen[want.Type] = true
	}
	if len(seen) != 10 {
		t.Errorf("only %d types were read", len(seen))
	}
}

func TestReadOfWhatIsGone(t *testing.T) {
	e := newEstate(t)
	v := e.volume()
	i := e.do("ec2", "RunInstances", map[string]any{"ImageId": "ami-0c1a2b3c4d5e6f708", "MinCount": int64(1), "MaxCount": int64(1)})["Instances"].([]any)[0].(map[string]any)["InstanceId"].(string)
	e.bucket("acme", "eu-west-1")
	e.bucket("acme-more", "eu-west-1")
	e.clock.Advance(time.Minute)
	for _, key := range []knowngood.ResourceKey{e.key("AWS::EC2::Volume", v), e.key("AWS::EC2::Instance", i), e.key("AWS::S3::Bucket", "acme")} {
		if _, err := e.Read(t.Context(), key); err != nil {
			t.Errorf("%v", err)
		}
	}
	e.do("ec2", "DeleteVolume", map[string]any{"VolumeId": v})
	e.do("ec2", "TerminateInstances", map[string]any{"InstanceIds": []any{i}})
	e.do("s3", "DeleteBucket", map[string]any{"Bucket": "acme"})
	e.clock.Advance(time.Minute)
	elsewhere := e.key("AWS::S3::Bucket", "acme-more")
	elsewhere.Region = "us-east-1"
	for _, key := range []knowngood.ResourceKey{
		e.key("AWS::EC2::Volume", v), e.key("AWS::EC2::Instance", i), e.key("AWS::S3::Bucket", "acme"), elsewhere,
		e.key("AWS::EC2::Volume", "vol-0"), e.key("AWS::KMS::Key", "1234"), {Account: e.Account(), Region: "global", Type: "AWS::IAM::Role", ID: "AROA0"},
	} {
		if r, err := e.Read(t.Context(), key); r != nil || knowngood.KindOf(err) != knowngood.NotFound {
			t.Errorf("%s: %v, %v", key, r, err)
		}
	}
}

func TestReadThatIsDenied(t *testing.T) {
	e := newDemo(t)
	v := e.volume()
	e.deny("ec2", "DescribeVolumes", "UnauthorizedOperation", 1, 1)
	_, err := e.Read(t.Context(), e.key("AWS::EC2::Volume", v))
	var cause *awsapi.Error
	if knowngood.KindOf(err) != knowngood.Incomplete || !errors.As(err, &cause) || cause.Code != "UnauthorizedOperation" {
		t.Errorf("%v", err)
	}
	e.deny("s3", "GetPublicAccessBlock", "AccessDenied", 1, 1)
	e.Reads = map[string][]string{"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration"}}
	r, err := e.Read(t.Context(), e.key("AWS::S3::Bucket", "acme-audit"))
	if err != nil || unread(r, "supplementaryConfiguration.PublicAccessBlockConfiguration") != "AccessDenied" || unread(r, "tags") != CodeNotCollected {
		t.Errorf("%+v, %v", r, err)
	}
	e.Caller = withoutBucketRegion{e.Caller}
	e.deny("s3", "GetBucketLocation", "AccessDenied", 1, 1)
	if _, err := e.Read(t.Context(), e.key("AWS::S3::Bucket", "acme-audit")); knowngood.KindOf(err) != knowngood.Incomplete {
		t.Errorf("%v", err)
	}
	if _, err := e.Read(t.Context(), e.key("AWS::Mars::Rover", "1")); knowngood.KindOf(err) != knowngood.Incomplete {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Read(ctx, e.key("AWS::EC2::Volume", v)); knowngood.KindOf(err) != knowngood.Incomplete || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestReadIsFresh(t *testing.T) {
	e := newEstate(t)
	e.bucket("acme", "eu-west-1")
	key := e.key("AWS::S3::Bucket", "acme")
	block := func() any {
		r, err := e.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return dig(r.Supplementary, "PublicAccessBlockConfiguration.blockPublicPolicy")
	}
	if got := block(); got != true {
		t.Errorf("%v", got)
	}
	e.do("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": "acme"})
	if got := block(); got != nil {
		t.Errorf("%v", got)
	}
}
