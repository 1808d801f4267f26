package rule

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestAmongTellsAbsentFromNotRead(t *testing.T) {
	items := []knowngood.Resource{{Type: "AWS::KMS::Key", ID: "k-1", ARN: "arn:k-1"}, {Type: "AWS::EC2::VPC", ID: "v"}}
	failed := []knowngood.ReadError{
		{Type: "AWS::EC2::VPC", Service: "ec2", Operation: "DescribeVpcs", Code: "Throttling"},
		{Type: "AWS::KMS::Key", ID: "k-1", Path: "configuration.policy", Code: "AccessDenied"}, // of a member only
	}
	l := Among([]string{"AWS::KMS::Key", "AWS::EC2::VPC", "AWS::EC2::FlowLog"}, items, failed)
	for _, c := range []struct {
		resourceType, id string
		found            bool
		err              string
	}{
		{"AWS::KMS::Key", "k-1", true, ""}, {"AWS::KMS::Key", "arn:k-1", true, ""}, {"AWS::KMS::Key", "k-2", false, ""}, {"AWS::KMS::Key", "", false, ""},
		{"AWS::EC2::VPC", "v", true, ""}, {"AWS::EC2::VPC", "w", false, "Throttling"}, {"AWS::EC2::FlowLog", "f", false, ""}, {"AWS::S3::Bucket", "b", false, "was not collected"},
	} {
		r, err := l.Resource(c.resourceType, c.id)
		if (r != nil) != c.found || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s %s: %v, %v", c.resourceType, c.id, r, err)
		}
	}
	for resourceType, want := range map[string]string{"AWS::KMS::Key": "", "AWS::EC2::VPC": "Throttling", "AWS::EC2::FlowLog": "", "AWS::S3::Bucket": "was not collected"} {
		_, err := l.Resources(resourceType)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", resourceType, err, want)
		}
	}
	if all, err := l.Resources("AWS::KMS::Key"); len(all) != 1 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
}
