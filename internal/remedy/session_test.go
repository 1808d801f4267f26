package remedy

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// While it plans, a role may make the runbook's reads and nothing else, whatever
// its own policies allow.
func TestPlanningCanReadOnly(t *testing.T) {
	l := newLoop(t)
	book, err := l.Content.Runbook("AWS-EncryptEBSVolume")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := readsOnly(book, l.catalog)
	if err != nil {
		t.Fatal(err)
	}
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
	if len(policy) > maxSessionPolicy {
		t.Errorf("%d characters", len(policy))
	}
	var given []string
	l.As = func(role, purpose, policy string) awsapi.Caller {
		given = append(given, purpose+policy)
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
