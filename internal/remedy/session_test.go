package remedy

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/iampolicy"
)

// While it plans, a role may make the runbook's reads and nothing else, whatever
// its own policies allow.
func TestPlanningCanReadOnly(t *testing.T) {
	l := newLoop(t)
	book, err := l.Content.Runbook("AWS-EncryptEBSVolume")
	if err != nil {
		t.Fatal(err)
	}
	narrowed, err := toReads(book, nil, l.catalog, "aws")
	if err != nil {
		t.Fatal(err)
	}
	policy := narrowed.Policy
	for _, want := range []string{`"ec2:DescribeVolumes"`, `"kms:GenerateDataKeyWithoutPlaintext"`, `"Effect":"Allow"`} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %s in %s", want, policy)
		}
	}
	for _, no := range []string{"Create", "Delete", "Stop", `ec2:*`} {
		if strings.Contains(policy, no) {
			t.Errorf("%s in %s", no, policy)
		}
	}
	if len(policy) > iampolicy.SessionPolicySize || len(narrowed.Managed) > 0 {
		t.Errorf("%d characters, and %v", len(policy), narrowed.Managed)
	}
	var given []string
	l.As = func(_ []string, purpose string, n Narrowing) awsapi.Caller {
		if purpose == "plan" {
			given = append(given, n.Policy)
		}
		return directly{l.estate}
	}
	f := l.bucket("acme-invoices")
	if _, err := l.PlanFinding(t.Context(), l.place(), Task{f, blockPublicAccess()}); err != nil {
		t.Fatal(err)
	}
	if len(given) != 1 || !strings.Contains(given[0], "s3:GetBucketPublicAccessBlock") || strings.Contains(given[0], "Put") {
		t.Errorf("planned with %v", given)
	}
}

func TestVerbsStandForActions(t *testing.T) {
	for action, want := range map[string]string{"ec2:DescribeVolumes": "ec2:Describe*", "s3:GetBucketAcl": "s3:Get*", "kms:Decrypt": "kms:Decrypt"} {
		if got := verb(action); got != want {
			t.Errorf("%s: %s, want %s", action, got, want)
		}
	}
}
