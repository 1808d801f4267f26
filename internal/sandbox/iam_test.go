package sandbox

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAUsersLife(t *testing.T) {
	w := newWorld(t)
	u := w.do("iam", "CreateUser", object{"UserName": "ada", "Path": "/team/"})["User"].(object)
	if u["Arn"] != "arn:aws:iam::111122223333:user/team/ada" || !strings.HasPrefix(u["UserId"].(string), "AIDA") || len(u["UserId"].(string)) != 21 {
		t.Errorf("%v", u)
	}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"EntityAlreadyExists", object{"UserName": "ada"}},
		{"EntityAlreadyExists", object{"UserName": "ADA"}},
		{"ValidationError", object{"UserName": "a b"}},
		{"ValidationError", object{"UserName": "x", "Path": "team"}},
		{"ValidationError", object{"UserName": strings.Repeat("x", 65)}},
		{"NoSuchEntity", object{"UserName": "x", "PermissionsBoundary": "arn:aws:iam::aws:policy/None"}},
		{"InvalidInput", object{"UserName": "x", "Tags": []any{object{"Key": "aws:x", "Value": "y"}}}},
	} {
		w.fails(c.code, "iam", "CreateUser", c.in)
	}
	ada := object{"UserName": "ada"}
	first := w.do("iam", "CreateAccessKey", ada)["AccessKey"].(object)
	w.do("iam", "CreateAccessKey", ada)
	w.fails("LimitExceeded", "iam", "CreateAccessKey", ada)
	w.do("iam", "CreateLoginProfile", object{"UserName": "ada", "Password": "Correct-Horse-1"})
	w.fails("EntityAlreadyExists", "iam", "CreateLoginProfile", object{"UserName": "ada", "Password": "Correct-Horse-1"})
	w.do("iam", "CreateGroup", object{"GroupName": "dev"})
	w.do("iam", "AddUserToGroup", object{"GroupName": "dev", "UserName": "ada"})
	w.do("iam", "PutUserPolicy", object{"UserName": "ada", "PolicyName": "p", "PolicyDocument": allows("s3:*")})
	w.do("iam", "AttachUserPolicy", object{"UserName": "ada", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	if got := w.do("iam", "GetGroup", object{"GroupName": "dev"})["Users"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	// All that it has must go first, each in turn.
	for _, step := range []struct {
		operation string
		in        object
	}{
		{"DeleteAccessKey", object{"UserName": "ada", "AccessKeyId": first["AccessKeyId"]}},
		{"DeleteAccessKey", object{"UserName": "ada", "AccessKeyId": w.do("iam", "ListAccessKeys", ada)["AccessKeyMetadata"].([]any)[1].(object)["AccessKeyId"]}},
		{"DeleteLoginProfile", ada},
		{"RemoveUserFromGroup", object{"UserName": "ada", "GroupName": "dev"}},
		{"DeleteUserPolicy", object{"UserName": "ada", "PolicyName": "p"}},
		{"DetachUserPolicy", object{"UserName": "ada", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
	} {
		w.fails("DeleteConflict", "iam", "DeleteUser", ada)
		w.do("iam", step.operation, step.in)
		w.fails("NoSuchEntity", "iam", step.operation, step.in)
	}
	w.do("iam", "DeleteUser", ada)
	w.fails("NoSuchEntity", "iam", "GetUser", ada)
	again := w.do("iam", "CreateUser", ada)["User"].(object)
	if again["UserId"] == u["UserId"] || again["Path"] != "/" {
		t.Errorf("%v is the user that was deleted", again)
	}
}

func TestAccessKeys(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateUser", object{"UserName": "ada"})
	w.do("iam", "PutUserPolicy", object{"UserName": "ada", "PolicyName": "p", "PolicyDocument": allows("ec2:Describe*")})
	k := w.do("iam", "CreateAccessKey", object{"UserName": "ada"})["AccessKey"].(object)
	id := k["AccessKeyId"].(string)
	used := func() object {
		return w.do("iam", "GetAccessKeyLastUsed", object{"AccessKeyId": id})["AccessKeyLastUsed"].(object)
	}
	if got := used(); got["ServiceName"] != "N/A" || got["LastUsedDate"] != nil {
		t.Errorf("%v", got)
	}
	c := w.client(t, id, k["SecretAccessKey"].(string))
	if _, err := c.Call(t.Context(), "ec2", "DescribeVolumes", nil); err != nil {
		t.Errorf("a signed call: %v", err)
	}
	if got := used(); got["ServiceName"] != "ec2" || got["Region"] != "eu-west-1" || !got["LastUsedDate"].(time.Time).Equal(w.clock.Now()) {
		t.Errorf("%v", got)
	}
	w.do("iam", "UpdateAccessKey", object{"UserName": "ada", "AccessKeyId": id, "Status": "Inactive"})
	w.as(id).fails("InvalidClientTokenId", "ec2", "DescribeVolumes", nil)
	if got := w.do("iam", "ListAccessKeys", object{"UserName": "ada"})["AccessKeyMetadata"].([]any)[0].(object)["Status"]; got != "Inactive" {
		t.Errorf("%v", got)
	}
	w.fails("ValidationError", "iam", "UpdateAccessKey", object{"UserName": "ada", "AccessKeyId": id, "Status": "Off"})
	w.fails("NoSuchEntity", "iam", "UpdateAccessKey", object{"UserName": "ada", "AccessKeyId": "AKIANONE", "Status": "Active"})
	w.do("iam", "UpdateAccessKey", object{"UserName": "ada", "AccessKeyId": id, "Status": "Active"})
	w.as(id).do("ec2", "DescribeVolumes", nil)
	w.do("iam", "DeleteAccessKey", object{"UserName": "ada", "AccessKeyId": id})
	w.as(id).fails("InvalidClientTokenId", "ec2", "DescribeVolumes", nil)
	w.fails("AccessDenied", "iam", "GetAccessKeyLastUsed", object{"AccessKeyId": id})
}

func TestReadsOfIAMMayBeStale(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateUser", object{"UserName": "ada"})
	w.SetStale(10 * time.Second)
	w.fails("NoSuchEntity", "iam", "GetUser", object{"UserName": "ada"})
	w.do("iam", "CreateAccessKey", object{"UserName": "ada"}) // writes see the present
	w.clock.Advance(9 * time.Second)
	if got := w.do("iam", "ListUsers", nil)["Users"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.clock.Advance(time.Second)
	if got := w.do("iam", "ListUsers", nil)["Users"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestPagesOfUsers(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		path := "/"
		if i%2 == 0 {
			path = "/even/"
		}
		w.do("iam", "CreateUser", object{"UserName": fmt.Sprintf("user-%d", i), "Path": path})
	}
	var got []string
	in := object{"MaxItems": int64(3), "PathPrefix": "/even/"}
	for range 3 {
		out := w.do("iam", "ListUsers", in)
		for _, u := range objects(out["Users"]) {
			got = append(got, u["UserName"].(string))
		}
		if out["IsTruncated"] == false {
			break
		}
		in["Marker"] = out["Marker"]
	}
	if !slices.Equal(got, []string{"user-0", "user-2", "user-4", "user-6"}) {
		t.Errorf("%v", got)
	}
	w.fails("ValidationError", "iam", "ListUsers", object{"Marker": "x"})
	w.fails("ValidationError", "iam", "ListUsers", object{"MaxItems": int64(0)})
}

func TestManagedPolicies(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "CreateUser", object{"UserName": "ada"})
	p := w.do("iam", "CreatePolicy", object{"PolicyName": "p", "Path": "/x/", "PolicyDocument": allows("s3:*")})["Policy"].(object)
	arn := p["Arn"].(string)
	if arn != "arn:aws:iam::111122223333:policy/x/p" || p["DefaultVersionId"] != "v1" || p["AttachmentCount"] != int64(0) {
		t.Errorf("%v", p)
	}
	w.fails("EntityAlreadyExists", "iam", "CreatePolicy", object{"PolicyName": "p", "PolicyDocument": allows("s3:*")})
	w.fails("MalformedPolicyDocument", "iam", "CreatePolicy", object{"PolicyName": "q", "PolicyDocument": policyOf(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)})
	w.fails("LimitExceeded", "iam", "CreatePolicy", object{"PolicyName": "q", "PolicyDocument": allows(strings.Repeat("s3:GetObject", 600))})
	one := object{"PolicyArn": arn}
	version := func(v string) object { return object{"PolicyArn": arn, "VersionId": v} }
	for range 4 {
		w.do("iam", "CreatePolicyVersion", object{"PolicyArn": arn, "PolicyDocument": allows("ec2:*"), "SetAsDefault": true})
	}
	w.fails("LimitExceeded", "iam", "CreatePolicyVersion", object{"PolicyArn": arn, "PolicyDocument": allows("ec2:*")})
	w.fails("DeleteConflict", "iam", "DeletePolicyVersion", version("v5"))
	w.do("iam", "DeletePolicyVersion", version("v2"))
	if got := w.do("iam", "CreatePolicyVersion", object{"PolicyArn": arn, "PolicyDocument": allows("ec2:*")})["PolicyVersion"].(object); got["VersionId"] != "v6" || got["IsDefaultVersion"] != false {
		t.Errorf("a version's number comes once: %v", got)
	}
	w.do("iam", "SetDefaultPolicyVersion", version("v1"))
	doc := w.do("iam", "GetPolicyVersion", version("v1"))["PolicyVersion"].(object)["Document"].(string)
	if text, err := url.PathUnescape(doc); err != nil || text != allows("s3:*") || strings.ContainsAny(doc, `"{ `) {
		t.Errorf("%s", doc)
	}
	w.do("iam", "AttachUserPolicy", object{"UserName": "ada", "PolicyArn": arn})
	w.fails("DeleteConflict", "iam", "DeletePolicy", one)
	if got := w.do("iam", "ListEntitiesForPolicy", one)["PolicyUsers"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := w.do("iam", "ListPolicies", object{"OnlyAttached": true})["Policies"].([]any); len(got) != 1 || got[0].(object)["AttachmentCount"] != int64(1) {
		t.Errorf("%v", got)
	}
	if got := w.do("iam", "ListPolicies", object{"Scope": "AWS"})["Policies"].([]any); len(got) != len(awsPolicies) {
		t.Errorf("%d policies of AWS's", len(got))
	}
	w.do("iam", "DetachUserPolicy", object{"UserName": "ada", "PolicyArn": arn})
	w.fails("DeleteConflict", "iam", "DeletePolicy", one) // it has more versions than one
	for _, v := range []string{"v3", "v4", "v5", "v6"} {
		w.do("iam", "DeletePolicyVersion", version(v))
	}
	w.do("iam", "DeletePolicy", one)
	w.fails("NoSuchEntity", "iam", "GetPolicy", one)
	w.fails("AccessDenied", "iam", "DeletePolicy", object{"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
	w.fails("NoSuchEntity", "iam", "AttachUserPolicy", object{"UserName": "ada", "PolicyArn": arn})
	w.fails("LimitExceeded", "iam", "PutUserPolicy", object{"UserName": "ada", "PolicyName": "big", "PolicyDocument": allows(strings.Repeat("s3:GetObject", 200))})
}

func TestRolesAndProfiles(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ code, trust string }{
		{"MalformedPolicyDocument", "{"},
		{"MalformedPolicyDocument", allows("sts:AssumeRole")},
		{"MalformedPolicyDocument", trust("arn:aws:iam::111122223333:user/nobody")},
		{"MalformedPolicyDocument", trust("arn:aws:iam::111122223333:role/nobody")},
		{"", trust("arn:aws:iam::999999999999:role/of-another-account")},
	} {
		w.fails(c.code, "iam", "CreateRole", object{"RoleName": "r", "AssumeRolePolicyDocument": c.trust})
	}
	w.fails("ValidationError", "iam", "CreateRole", object{"RoleName": "long", "AssumeRolePolicyDocument": trust(home), "MaxSessionDuration": int64(60)})
	r := object{"RoleName": "r"}
	w.do("iam", "UpdateAssumeRolePolicy", object{"RoleName": "r", "PolicyDocument": trust(home)})
	w.do("iam", "UpdateRole", object{"RoleName": "r", "MaxSessionDuration": int64(43200), "Description": "fixes"})
	w.do("iam", "TagRole", object{"RoleName": "r", "Tags": []any{object{"Key": "a", "Value": "b"}}})
	w.do("iam", "PutRolePermissionsBoundary", object{"RoleName": "r", "PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess"})
	out := w.do("iam", "GetRole", r)["Role"].(object)
	if out["MaxSessionDuration"] != int64(43200) || out["Description"] != "fixes" || len(out["Tags"].([]any)) != 1 || len(out["RoleLastUsed"].(object)) != 0 ||
		out["PermissionsBoundary"].(object)["PermissionsBoundaryArn"] != "arn:aws:iam::aws:policy/PowerUserAccess" {
		t.Errorf("%v", out)
	}
	session := w.assume("arn:aws:iam::111122223333:role/r", object{"DurationSeconds": int64(43200)})
	w.do("iam", "PutRolePolicy", object{"RoleName": "r", "PolicyName": "p", "PolicyDocument": allows("*")})
	session.do("ec2", "DescribeVolumes", nil)
	session.fails("AccessDenied", "iam", "ListUsers", nil) // beyond the boundary
	if got := w.do("iam", "GetRole", r)["Role"].(object)["RoleLastUsed"].(object); got["Region"] != "eu-west-1" {
		t.Errorf("%v", got)
	}
	w.do("iam", "DeleteRolePermissionsBoundary", r)
	w.fails("NoSuchEntity", "iam", "DeleteRolePermissionsBoundary", r)
	session.do("iam", "ListUsers", nil)

	p := object{"InstanceProfileName": "p"}
	w.do("iam", "CreateInstanceProfile", p)
	w.do("iam", "AddRoleToInstanceProfile", object{"InstanceProfileName": "p", "RoleName": "r"})
	w.fails("LimitExceeded", "iam", "AddRoleToInstanceProfile", object{"InstanceProfileName": "p", "RoleName": "r"})
	if got := w.do("iam", "ListInstanceProfilesForRole", r)["InstanceProfiles"].([]any); len(got) != 1 {
		t.Errorf("%v", got)
	}
	w.fails("DeleteConflict", "iam", "DeleteInstanceProfile", p)
	w.do("iam", "DeleteRolePolicy", object{"RoleName": "r", "PolicyName": "p"})
	w.fails("DeleteConflict", "iam", "DeleteRole", r)
	w.do("iam", "RemoveRoleFromInstanceProfile", object{"InstanceProfileName": "p", "RoleName": "r"})
	w.do("iam", "DeleteRole", r)
	w.fails("NoSuchEntity", "iam", "GetRole", r)
	w.do("iam", "DeleteInstanceProfile", p)
}

func TestPasswords(t *testing.T) {
	w := newWorld(t)
	w.fails("NoSuchEntity", "iam", "GetAccountPasswordPolicy", nil)
	w.do("iam", "CreateUser", object{"UserName": "ada"})
	login := func(password string) object { return object{"UserName": "ada", "Password": password} }
	w.fails("PasswordPolicyViolation", "iam", "CreateLoginProfile", login("short"))
	w.fails("PasswordPolicyViolation", "iam", "CreateLoginProfile", login("longbutplain"))
	for code, in := range map[string]object{
		"ValidationError": {"MinimumPasswordLength": int64(5)},
		"":                {"MinimumPasswordLength": int64(14), "RequireSymbols": true, "MaxPasswordAge": int64(90), "PasswordReusePrevention": int64(24)},
	} {
		w.fails(code, "iam", "UpdateAccountPasswordPolicy", in)
	}
	p := w.do("iam", "GetAccountPasswordPolicy", nil)["PasswordPolicy"].(object)
	if p["MinimumPasswordLength"] != int64(14) || p["ExpirePasswords"] != true || p["RequireNumbers"] != false || p["PasswordReusePrevention"] != int64(24) {
		t.Errorf("%v", p)
	}
	w.fails("PasswordPolicyViolation", "iam", "CreateLoginProfile", login("Correct-Horse"))
	w.do("iam", "CreateLoginProfile", login("Correct-Horse-Battery"))
	if got := w.do("iam", "GetLoginProfile", object{"UserName": "ada"})["LoginProfile"].(object); got["PasswordResetRequired"] != false {
		t.Errorf("%v", got)
	}
	w.do("iam", "UpdateAccountPasswordPolicy", nil) // what isn't given goes back to its default
	if p := w.do("iam", "GetAccountPasswordPolicy", nil)["PasswordPolicy"].(object); p["MinimumPasswordLength"] != int64(6) || p["MaxPasswordAge"] != nil || p["ExpirePasswords"] != false {
		t.Errorf("%v", p)
	}
	w.do("iam", "DeleteAccountPasswordPolicy", nil)
	w.fails("NoSuchEntity", "iam", "GetAccountPasswordPolicy", nil)
}

func TestTheCredentialReport(t *testing.T) {
	w := newWorld(t)
	w.do("iam", "UpdateAccountPasswordPolicy", object{"MaxPasswordAge": int64(90)})
	ada := w.user("ada", allows("ec2:*"))
	w.do("iam", "CreateLoginProfile", object{"UserName": "ada", "Password": "Correct-Horse-1"})
	w.do("iam", "CreateUser", object{"UserName": "bob"})
	serial := w.do("iam", "CreateVirtualMFADevice", object{"VirtualMFADeviceName": "phone"})["VirtualMFADevice"].(object)["SerialNumber"]
	w.do("iam", "EnableMFADevice", object{"UserName": "ada", "SerialNumber": serial, "AuthenticationCode1": "123456", "AuthenticationCode2": "654321"})
	w.clock.Advance(time.Hour)
	ada.do("ec2", "DescribeVolumes", nil)
	w.do("iam", "UpdateAccessKey", object{"UserName": "ada", "AccessKeyId": ada.key, "Status": "Inactive"})

	w.fails("ReportNotPresent", "iam", "GetCredentialReport", nil)
	if got := w.do("iam", "GenerateCredentialReport", nil)["State"]; got != "STARTED" {
		t.Errorf("%v", got)
	}
	w.do("iam", "CreateUser", object{"UserName": "late"}) // the report is as of when it was asked for
	w.fails("ReportInProgress", "iam", "GetCredentialReport", nil)
	if got := w.do("iam", "GenerateCredentialReport", nil)["State"]; got != "INPROGRESS" {
		t.Errorf("%v", got)
	}
	w.clock.Advance(reportTime)
	if got := w.do("iam", "GenerateCredentialReport", nil)["State"]; got != "COMPLETE" {
		t.Errorf("%v", got)
	}
	out := w.do("iam", "GetCredentialReport", nil)
	rows, err := csv.NewReader(strings.NewReader(string(out["Content"].([]byte)))).ReadAll()
	if err != nil || out["ReportFormat"] != "text/csv" {
		t.Fatal(err)
	}
	want := [][]string{
		strings.Split("user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,"+
			"access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,"+
			"access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,"+
			"cert_1_active,cert_1_last_rotated,cert_2_active,cert_2_last_rotated", ","),
		strings.Split("<root_account>,arn:aws:iam::111122223333:root,2026-11-24T08:00:00+00:00,not_supported,no_information,not_supported,not_supported,false,"+
			"false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A", ","),
		strings.Split("ada,arn:aws:iam::111122223333:user/ada,2026-11-24T08:00:00+00:00,true,no_information,2026-11-24T08:00:00+00:00,2027-02-22T08:00:00+00:00,true,"+
			"false,2026-11-24T08:00:00+00:00,2026-11-24T09:00:00+00:00,eu-west-1,ec2,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A", ","),
		strings.Split("bob,arn:aws:iam::111122223333:user/bob,2026-11-24T08:00:00+00:00,false,N/A,N/A,N/A,false,"+
			"false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A", ","),
	}
	if len(rows) != len(want) {
		t.Fatalf("%v", rows)
	}
	for i := range want {
		if !slices.Equal(rows[i], want[i]) {
			t.Errorf("row %d:\n%v, want\n%v", i, rows[i], want[i])
		}
	}
	w.clock.Advance(reportLife)
	w.fails("ReportExpired", "iam", "GetCredentialReport", nil)
	if got := w.do("iam", "GenerateCredentialReport", nil)["State"]; got != "STARTED" {
		t.Errorf("%v", got)
	}
}

func TestAllOfAnAccountsIdentitiesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.user("ada", allows("s3:*"))
	w.do("iam", "CreateGroup", object{"GroupName": "dev"})
	w.do("iam", "AddUserToGroup", object{"GroupName": "dev", "UserName": "ada"})
	w.role("fixer", trust(home), allows("ec2:*"))
	arn := w.do("iam", "CreatePolicy", object{"PolicyName": "p", "PolicyDocument": allows("ec2:*")})["Policy"].(object)["Arn"]
	for _, p := range []any{arn, "arn:aws:iam::aws:policy/ReadOnlyAccess"} {
		w.do("iam", "AttachRolePolicy", object{"RoleName": "fixer", "PolicyArn": p})
	}
	lists := []string{"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"}
	count := func(out object) (n []int) {
		for _, l := range lists {
			n = append(n, len(out[l].([]any)))
		}
		return n
	}
	all := w.do("iam", "GetAccountAuthorizationDetails", nil)
	if got := count(all); !slices.Equal(got, []int{1, 1, 1, 2}) {
		t.Errorf("%v", got)
	}
	role := all["RoleDetailList"].([]any)[0].(object)
	if len(role["AttachedManagedPolicies"].([]any)) != 2 || len(role["RolePolicyList"].([]any)) != 1 {
		t.Errorf("%v", role)
	}
	if got := count(w.do("iam", "GetAccountAuthorizationDetails", object{"Filter": ids("User", "LocalManagedPolicy")})); !slices.Equal(got, []int{1, 0, 0, 1}) {
		t.Errorf("%v", got)
	}
	first := w.do("iam", "GetAccountAuthorizationDetails", object{"MaxItems": int64(2)})
	second := w.do("iam", "GetAccountAuthorizationDetails", object{"MaxItems": int64(3), "Marker": first["Marker"]})
	if !slices.Equal(count(first), []int{1, 1, 0, 0}) || !slices.Equal(count(second), []int{0, 0, 1, 2}) || second["IsTruncated"] != false {
		t.Errorf("%v, %v", count(first), count(second))
	}
	sum := w.do("iam", "GetAccountSummary", nil)["SummaryMap"].(object)
	for name, n := range map[string]int64{"Users": 1, "Groups": 1, "Roles": 1, "Policies": 1, "AccountAccessKeysPresent": 0, "AccountMFAEnabled": 0, "AccessKeysPerUserQuota": 2} {
		if sum[name] != n {
			t.Errorf("%s: %v, want %d", name, sum[name], n)
		}
	}
}
