package sandbox

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// newMember makes an account of the organization and signs in to it as the
// management account does.
func (w *world) newMember(name string) (id string, member *world) {
	w.t.Helper()
	out := w.do("organizations", "CreateAccount", object{"AccountName": name, "Email": name + "@example.com"})["CreateAccountStatus"].(object)
	if out["State"] != "IN_PROGRESS" {
		w.t.Errorf("%v", out)
	}
	w.clock.Advance(accountCreation)
	out = w.do("organizations", "DescribeCreateAccountStatus", object{"CreateAccountRequestId": out["Id"]})["CreateAccountStatus"].(object)
	id, _ = out["AccountId"].(string)
	return id, w.assume("arn:aws:iam::"+id+":role/"+accessRole, nil)
}

func idsOf(out object, key string) []string {
	var list []string
	for _, o := range objects(out[key]) {
		id, _ := o["Id"].(string)
		list = append(list, id)
	}
	slices.Sort(list)
	return list
}

func TestAnOrganizationAndItsAccounts(t *testing.T) {
	w := newWorld(t)
	w.fails("AWSOrganizationsNotInUseException", "organizations", "DescribeOrganization", nil)
	org := w.do("organizations", "CreateOrganization", nil)["Organization"].(object)
	if org["MasterAccountId"] != home || org["FeatureSet"] != "ALL" || !strings.HasPrefix(org["Arn"].(string), "arn:aws:organizations::111122223333:organization/o-") {
		t.Errorf("%v", org)
	}
	w.fails("AlreadyInOrganizationException", "organizations", "CreateOrganization", nil)
	root := w.do("organizations", "ListRoots", nil)["Roots"].([]any)[0].(object)["Id"].(string)
	prod := w.do("organizations", "CreateOrganizationalUnit", object{"ParentId": root, "Name": "prod", "Tags": []any{object{"Key": "tier", "Value": "1"}}})["OrganizationalUnit"].(object)["Id"].(string)
	w.fails("DuplicateOrganizationalUnitException", "organizations", "CreateOrganizationalUnit", object{"ParentId": root, "Name": "prod"})
	w.fails("ParentNotFoundException", "organizations", "CreateOrganizationalUnit", object{"ParentId": "ou-none-00000000", "Name": "x"})

	creating := w.do("organizations", "CreateAccount", object{"AccountName": "late", "Email": "late@example.com"})["CreateAccountStatus"].(object)
	if got := idsOf(w.do("organizations", "ListAccounts", nil), "Accounts"); !slices.Equal(got, []string{home}) {
		t.Errorf("an account is there before it is made: %v (%v)", got, creating)
	}
	w.clock.Advance(accountCreation)
	again := w.do("organizations", "CreateAccount", object{"AccountName": "late", "Email": "LATE@example.com"})["CreateAccountStatus"].(object)
	w.clock.Advance(accountCreation)
	if got := w.do("organizations", "DescribeCreateAccountStatus", object{"CreateAccountRequestId": again["Id"]})["CreateAccountStatus"].(object); got["FailureReason"] != "EMAIL_ALREADY_EXISTS" {
		t.Errorf("%v", got)
	}

	id, member := w.newMember("app")
	w.do("organizations", "MoveAccount", object{"AccountId": id, "SourceParentId": root, "DestinationParentId": prod})
	w.fails("SourceParentNotFoundException", "organizations", "MoveAccount", object{"AccountId": id, "SourceParentId": root, "DestinationParentId": prod})
	w.fails("AccountNotFoundException", "organizations", "DescribeAccount", object{"AccountId": other})
	if got := idsOf(w.do("organizations", "ListAccountsForParent", object{"ParentId": prod}), "Accounts"); !slices.Equal(got, []string{id}) {
		t.Errorf("%v", got)
	}
	if got := idsOf(w.do("organizations", "ListOrganizationalUnitsForParent", object{"ParentId": root}), "OrganizationalUnits"); !slices.Equal(got, []string{prod}) {
		t.Errorf("%v", got)
	}
	if got := w.do("organizations", "ListParents", object{"ChildId": id})["Parents"].([]any)[0].(object); got["Id"] != prod || got["Type"] != "ORGANIZATIONAL_UNIT" {
		t.Errorf("%v", got)
	}
	if got := w.do("organizations", "ListTagsForResource", object{"ResourceId": prod})["Tags"].([]any); len(got) != 1 || got[0].(object)["Value"] != "1" {
		t.Errorf("%v", got)
	}
	w.fails("OrganizationalUnitNotEmptyException", "organizations", "DeleteOrganizationalUnit", object{"OrganizationalUnitId": prod})
	if got := member.do("organizations", "DescribeOrganization", nil)["Organization"].(object)["Id"]; got != org["Id"] {
		t.Errorf("%v", got)
	}
	member.fails("AccessDeniedException", "organizations", "ListAccounts", nil) // a member may ask for the organization alone
	member.do("ec2", "DescribeVolumes", nil)
}

func TestPagesOfAccounts(t *testing.T) {
	w := newWorld(t)
	w.do("organizations", "CreateOrganization", nil)
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		w.do("organizations", "CreateAccount", object{"AccountName": string(c), "Email": string(c) + "@example.com"})
	}
	w.clock.Advance(time.Minute)
	first := w.do("organizations", "ListAccounts", nil)
	second := w.do("organizations", "ListAccounts", object{"NextToken": first["NextToken"]})
	if a, b := len(first["Accounts"].([]any)), len(second["Accounts"].([]any)); a != 20 || b != 7 || second["NextToken"] != nil {
		t.Errorf("pages of %d and %d", a, b)
	}
	w.fails("InvalidInputException", "organizations", "ListAccounts", object{"NextToken": "x"})
}

func TestServiceControlPoliciesBindLevelByLevel(t *testing.T) {
	w := newWorld(t)
	w.do("organizations", "CreateOrganization", nil)
	root := w.do("organizations", "ListRoots", nil)["Roots"].([]any)[0].(object)["Id"].(string)
	unit := func(name string) string {
		return w.do("organizations", "CreateOrganizationalUnit", object{"ParentId": root, "Name": name})["OrganizationalUnit"].(object)["Id"].(string)
	}
	prod := unit("prod")
	id, member := w.newMember("app")
	w.do("organizations", "MoveAccount", object{"AccountId": id, "SourceParentId": root, "DestinationParentId": prod})
	policy := func(name, content string) string {
		return w.do("organizations", "CreatePolicy", object{"Name": name, "Description": "", "Type": serviceControl, "Content": content})["Policy"].(object)["PolicySummary"].(object)["Id"].(string)
	}
	noVolumes := policy("no volumes", policyOf(statementText("Deny", "ec2:CreateVolume", "*", when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/breakglass"))))
	attach := func(policy, target string) {
		t.Helper()
		w.do("organizations", "AttachPolicy", object{"PolicyId": policy, "TargetId": target})
	}
	w.fails("PolicyTypeNotEnabledException", "organizations", "AttachPolicy", object{"PolicyId": noVolumes, "TargetId": prod})
	w.do("organizations", "EnablePolicyType", object{"RootId": root, "PolicyType": serviceControl})
	w.fails("PolicyTypeAlreadyEnabledException", "organizations", "EnablePolicyType", object{"RootId": root, "PolicyType": serviceControl})
	w.fails("MalformedPolicyDocumentException", "organizations", "CreatePolicy", object{"Name": "x", "Description": "", "Type": serviceControl, "Content": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`})

	volume := object{"AvailabilityZone": "eu-west-1a", "Size": int64(1)}
	member.do("ec2", "CreateVolume", volume)
	attach(noVolumes, prod)
	_, err := member.try("ec2", "CreateVolume", volume)
	if codeOf(err) != "UnauthorizedOperation" || !strings.Contains(err.Error(), "with an explicit deny in a service control policy") {
		t.Errorf("%v", err)
	}
	w.fails("DuplicatePolicyAttachmentException", "organizations", "AttachPolicy", object{"PolicyId": noVolumes, "TargetId": prod})
	w.fails("PolicyInUseException", "organizations", "DeletePolicy", object{"PolicyId": noVolumes})
	// What the condition spares, what is done elsewhere, and the management account.
	member.role("breakglass", trust(id), allows("ec2:*"))
	member.assume("arn:aws:iam::"+id+":role/breakglass", nil).do("ec2", "CreateVolume", volume)
	_, elsewhere := w.newMember("other")
	elsewhere.do("ec2", "CreateVolume", volume)
	attach(noVolumes, root)
	elsewhere.fails("UnauthorizedOperation", "ec2", "CreateVolume", volume)
	w.user("ada", allows("*")).do("ec2", "CreateVolume", volume)

	// Each level must allow, whatever the others say.
	w.do("organizations", "DetachPolicy", object{"PolicyId": noVolumes, "TargetId": root})
	w.do("organizations", "DetachPolicy", object{"PolicyId": noVolumes, "TargetId": prod})
	w.fails("ConstraintViolationException", "organizations", "DetachPolicy", object{"PolicyId": fullAccess, "TargetId": prod})
	attach(policy("s3 only", allows("s3:*")), prod)
	member.do("ec2", "CreateVolume", volume)
	w.do("organizations", "DetachPolicy", object{"PolicyId": fullAccess, "TargetId": prod})
	member.do("s3", "ListBuckets", nil)
	_, err = member.try("ec2", "CreateVolume", volume)
	if codeOf(err) != "UnauthorizedOperation" || !strings.Contains(err.Error(), "because no service control policy allows the ec2:CreateVolume action") {
		t.Errorf("%v", err)
	}
	// The account's own operator is the one exception.
	key, _, _ := w.OperatorOf(id)
	w.as(key).do("ec2", "CreateVolume", volume)
	w.do("organizations", "DisablePolicyType", object{"RootId": root, "PolicyType": serviceControl})
	member.do("ec2", "CreateVolume", volume)
}

func TestABucketForTheWholeOrganization(t *testing.T) {
	w := newWorld(t)
	org := w.do("organizations", "CreateOrganization", nil)["Organization"].(object)["Id"].(string)
	_, member := w.newMember("app")
	w.do("s3", "CreateBucket", object{"Bucket": "shared", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	w.do("s3", "PutBucketPolicy", object{"Bucket": "shared", "Policy": policyOf(
		statementText("Allow", "s3:GetBucketLocation", "arn:aws:s3:::shared", `"Principal":"*"`, when("StringEquals", "aws:PrincipalOrgID", org)))})
	member.do("s3", "GetBucketLocation", object{"Bucket": "shared"})
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.Snapshot(); err != nil {
		t.Fatal(err)
	} else if s, err := Restore(Options{Catalog: catalog, Clock: w.clock}, again); err != nil {
		t.Error(err)
	} else { // sessions, members and policies are all in a snapshot
		second, err := s.Snapshot()
		if err != nil || string(second) != string(again) {
			t.Errorf("a snapshot of a restored sandbox differs (%v)", err)
		}
		restored := *member
		restored.Sandbox = s
		restored.do("s3", "GetBucketLocation", object{"Bucket": "shared"})
	}
	stranger := newEstate(t)
	stranger.do("s3", "CreateBucket", object{"Bucket": "shared", "CreateBucketConfiguration": object{"LocationConstraint": "eu-west-1"}})
	stranger.do("s3", "PutBucketPolicy", object{"Bucket": "shared", "Policy": policyOf(
		statementText("Allow", "s3:GetBucketLocation", "arn:aws:s3:::shared", `"Principal":"*"`, when("StringEquals", "aws:PrincipalOrgID", org)))})
	stranger.other.fails("AccessDenied", "s3", "GetBucketLocation", object{"Bucket": "shared"})
}
