package sandbox

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood/awsapi"
)

func (w *world) client(t *testing.T, accessKeyID, secret string) *awsapi.Client {
	t.Helper()
	c, err := awsapi.New(awsapi.Config{
		Catalog: w.catalog, Region: w.region, HTTPClient: awsapi.HandlerDoer(w.Sandbox),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKeyID, SecretAccessKey: secret}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// One call of each protocol that the sandbox serves, over the wire and back.
func TestOurClientOverTheWire(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, OperatorKey, operatorSecret)
	call := func(service, operation string, in map[string]any) map[string]any {
		t.Helper()
		out, err := c.Call(t.Context(), service, operation, in)
		if err != nil {
			t.Fatalf("%s:%s: %v", service, operation, err)
		}
		return out
	}
	v := call("ec2", "CreateVolume", map[string]any{"AvailabilityZone": "eu-west-1a", "Size": 5, "TagSpecifications": []any{
		map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "Name", "Value": "a & b <c>"}}}}})
	id := v["VolumeId"].(string)
	got := call("ec2", "DescribeVolumes", map[string]any{"VolumeIds": []any{id}})["Volumes"].([]any)[0].(map[string]any)
	if got["Size"] != int64(5) || got["Encrypted"] != false || got["Tags"].([]any)[0].(map[string]any)["Value"] != "a & b <c>" {
		t.Errorf("%v", got)
	}
	if got := call("sts", "GetCallerIdentity", nil)["Account"]; got != "111122223333" {
		t.Errorf("account %v", got)
	}
	if got := call("kms", "DescribeKey", map[string]any{"KeyId": "alias/aws/ebs"})["KeyMetadata"].(map[string]any)["KeyManager"]; got != "AWS" {
		t.Errorf("key manager %v", got)
	}
	call("s3", "CreateBucket", map[string]any{"Bucket": "acme-invoices", "CreateBucketConfiguration": map[string]any{"LocationConstraint": "eu-west-1"}})
	if got := call("s3", "GetPublicAccessBlock", map[string]any{"Bucket": "acme-invoices"})["PublicAccessBlockConfiguration"].(map[string]any)["BlockPublicAcls"]; got != true {
		t.Errorf("BlockPublicAcls %v", got)
	}
	call("s3", "DeletePublicAccessBlock", map[string]any{"Bucket": "acme-invoices"})
	for code, try := range map[string]func() error{
		"NoSuchPublicAccessBlockConfiguration": func() error {
			_, err := c.Call(t.Context(), "s3", "GetPublicAccessBlock", map[string]any{"Bucket": "acme-invoices"})
			return err
		},
		"InvalidVolume.NotFound": func() error {
			_, err := c.Call(t.Context(), "ec2", "DescribeVolumes", map[string]any{"VolumeIds": []any{"vol-0"}})
			return err
		},
		"NotFoundException": func() error {
			_, err := c.Call(t.Context(), "kms", "DescribeKey", map[string]any{"KeyId": "nobody"})
			return err
		},
		"ValidationError": func() error {
			_, err := c.Call(t.Context(), "sts", "AssumeRole", map[string]any{"RoleArn": "not-an-arn-but-long-enough", "RoleSessionName": "s1"})
			return err
		},
	} {
		if err := try(); codeOf(err) != code {
			t.Errorf("%v, want the code %s", err, code)
		}
	}
}

func TestWrongSecretsAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]*awsapi.Client{
		"SignatureDoesNotMatch": w.client(t, OperatorKey, "another secret"),
		"InvalidClientTokenId":  w.client(t, "AKIANOBODY", operatorSecret),
	} {
		if _, err := c.Call(t.Context(), "sts", "GetCallerIdentity", nil); codeOf(err) != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

func TestBoto3DrivesItUnchanged(t *testing.T) {
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), "python3", "-c", `
import boto3, botocore
ec2, s3, kms, sts, asg, iam = (boto3.client(n) for n in ("ec2", "s3", "kms", "sts", "autoscaling", "iam"))
print(sts.get_caller_identity()["Account"])
i = ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-0c1a2b3c4d5e6f708", InstanceType="t3.micro")["Instances"][0]["InstanceId"]
v = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=10, VolumeType="gp3")["VolumeId"]
print(ec2.describe_volumes(VolumeIds=[v])["Volumes"][0]["Throughput"], ec2.describe_instances(InstanceIds=[i])["Reservations"][0]["Instances"][0]["State"]["Name"])
s3.create_bucket(Bucket="acme-invoices", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
print([b["Name"] for b in s3.list_buckets()["Buckets"]], s3.get_public_access_block(Bucket="acme-invoices")["PublicAccessBlockConfiguration"]["BlockPublicAcls"])
print(kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]["KeyState"], asg.describe_auto_scaling_instances()["AutoScalingInstances"], iam.list_roles()["Roles"])
try:
    ec2.delete_volume(VolumeId="vol-0")
except botocore.exceptions.ClientError as e:
    print(e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"])
`)
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	want := "111122223333\n125 pending\n['acme-invoices'] True\nEnabled [] []\nInvalidVolume.NotFound 400\n"
	if err != nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}
