package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// boto3 reads what the sandbox writes for IAM, STS, KMS and Organizations: dates,
// maps, blobs, percent-encoded policies, pages.
func TestBoto3ManagesIdentities(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	w.do("organizations", "CreateOrganization", nil)
	w.do("iam", "CreateUser", object{"UserName": "ada", "Tags": []any{object{"Key": "a", "Value": "b & c"}}})
	for _, name := range []string{"bob", "eve"} {
		w.do("iam", "CreateUser", object{"UserName": name})
	}
	w.do("iam", "PutUserPolicy", object{"UserName": "ada", "PolicyName": "p", "PolicyDocument": allows("iam:Get*", "iam:List*")})
	w.do("iam", "GenerateCredentialReport", nil)
	w.clock.Advance(reportTime)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, botocore
iam, sts, kms, org = (boto3.client(n) for n in ("iam", "sts", "kms", "organizations"))
print([u["UserName"] for p in iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}) for u in p["Users"]])
print(iam.get_user(UserName="ada")["User"]["Tags"], iam.get_user_policy(UserName="ada", PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"])
print(iam.get_account_summary()["SummaryMap"]["Users"], iam.get_credential_report()["Content"].decode().splitlines()[2][:42])
k = iam.create_access_key(UserName="ada")["AccessKey"]
as_ada = boto3.client("iam", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"])
print(as_ada.list_access_keys()["AccessKeyMetadata"][0]["Status"])
try:
    as_ada.create_user(UserName="mallory")
except botocore.exceptions.ClientError as e:
    print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Message"])
a = org.create_account(AccountName="app", Email="app@example.com")["CreateAccountStatus"]
print(a["State"], org.list_roots()["Roots"][0]["Name"], [x["Status"] for x in org.list_accounts()["Accounts"]])
try:
    boto3.client("organizations", aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"]).list_roots()
except botocore.exceptions.ClientError as e:
    print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["KeyId"]
kms.enable_key_rotation(KeyId=key)
print(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"], kms.get_key_policy(KeyId=key, PolicyName="default")["PolicyName"])
kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
print(kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"])
iam.create_role(RoleName="r", AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}')
c = sts.assume_role(RoleArn="arn:aws:iam::111122223333:role/r", RoleSessionName="session")["Credentials"]
print(boto3.client("sts", aws_access_key_id=c["AccessKeyId"], aws_secret_access_key=c["SecretAccessKey"], aws_session_token=c["SessionToken"]).get_caller_identity()["Arn"])
print(iam.get_role(RoleName="r")["Role"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"])
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	want := `['ada', 'bob', 'eve']
[{'Key': 'a', 'Value': 'b & c'}] ['iam:Get*', 'iam:List*']
3 ada,arn:aws:iam::111122223333:user/ada,202
Active
AccessDenied 403 User: arn:aws:iam::111122223333:user/ada is not authorized to perform: iam:CreateUser on resource: arn:aws:iam::111122223333:user/mallory because no identity-based policy allows the iam:CreateUser action
IN_PROGRESS Root ['ACTIVE']
AccessDeniedException 400
True default
PendingDeletion
arn:aws:sts::111122223333:assumed-role/r/session
{'AWS': '111122223333'}
`
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
