package script

import (
	"io"
	"reflect"
	"strings"
	"testing"
)

// do makes a call past the script.
func (b *bench) do(service, operation string, in map[string]any) map[string]any {
	b.t.Helper()
	out, err := b.client.Call(b.t.Context(), service, operation, in)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) bucket(name string) {
	b.t.Helper()
	b.do("s3", "CreateBucket", map[string]any{"Bucket": name, "CreateBucketConfiguration": map[string]any{"LocationConstraint": "eu-west-1"}})
}

func expect(t *testing.T, got any, want ...any) {
	t.Helper()
	list, _ := got.([]any)
	for i := range max(len(list), len(want)) {
		var g, w any
		if i < len(list) {
			g = list[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if n, ok := w.(int); ok {
			w = int64(n)
		}
		if !reflect.DeepEqual(g, w) {
			t.Errorf("%d: %#v, wanted %#v", i, g, w)
		}
	}
}

// One service of each protocol, in this Region, another, and one that has none.
func TestClients(t *testing.T) {
	b := withBoto3(t)
	got := b.succeeds(`
import boto3
def handler(e, c):
    ec2 = boto3.client("ec2")
    v = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=5, TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "a & <b>"}]}])
    seen = ec2.describe_volumes(VolumeIds=[v["VolumeId"]])["Volumes"][0]
    far = boto3.client("ec2", region_name="us-east-1").create_volume(AvailabilityZone="us-east-1a", Size=6)
    boto3.client("iam").create_user(UserName="ann")
    boto3.client("dynamodb").create_table(TableName="orders", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
    queue = boto3.client("sqs").create_queue(QueueName="work")["QueueUrl"]
    boto3.client("ssm").put_parameter(Name="/p", Value="v", Type="String")
    functions = boto3.client("lambda").list_functions()["Functions"]
    alarms = boto3.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return [v["Size"], seen["Tags"][0]["Value"], seen["CreateTime"].tzinfo is not None, far["AvailabilityZone"], boto3.client("sts").get_caller_identity()["Account"],
        queue.rsplit("/", 1)[1], functions, alarms, v["ResponseMetadata"]["HTTPStatusCode"], len(v["ResponseMetadata"]["RequestId"])]
`)
	expect(t, got, 5, "a & <b>", true, "us-east-1a", "111122223333", "work", []any{}, []any{}, 200, 36)
	want := "ec2:CreateVolume eu-west-1, ec2:DescribeVolumes eu-west-1, ec2:CreateVolume us-east-1, iam:CreateUser us-east-1, dynamodb:CreateTable eu-west-1, sqs:CreateQueue eu-west-1, ssm:PutParameter eu-west-1, lambda:ListFunctions eu-west-1, cloudwatch:DescribeAlarms eu-west-1, sts:GetCallerIdentity eu-west-1"
	if calls := strings.Join(b.calls, ", "); calls != want {
		t.Errorf("%s\nwanted\n%s", calls, want)
	}
}

func TestResources(t *testing.T) {
	b := withBoto3(t)
	b.bucket("things")
	got := b.succeeds(`
import boto3
def handler(e, c):
    s3 = boto3.resource("s3")
    bucket = s3.Bucket("things")
    for i in range(3):
        bucket.put_object(Key="k%d" % i, Body=b"x" * i)
    bucket.Object("k1").copy_from(CopySource={"Bucket": "things", "Key": "k2"})
    keys = [o.key for o in bucket.objects.all()]
    sizes = [o.size for o in bucket.objects.filter(Prefix="k")]
    bucket.objects.all().delete()
    ec2 = boto3.resource("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=7)
    volume.create_tags(Tags=[{"Key": "a", "Value": "b"}])
    volume.reload()
    return [keys, sizes, len(list(bucket.objects.all())), volume.size, volume.tags[0]["Value"], [v.id for v in ec2.volumes.all()] == [volume.id]]
`)
	expect(t, got, []any{"k0", "k1", "k2"}, []any{int64(0), int64(2), int64(2)}, 0, 7, "b", true)
}

func TestPaginators(t *testing.T) {
	b := withBoto3(t)
	b.bucket("pages")
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		b.do("s3", "PutObject", map[string]any{"Bucket": "pages", "Key": k, "Body": []byte(k)})
		b.do("iam", "CreateUser", map[string]any{"UserName": "user-" + k})
	}
	got := b.succeeds(`
import boto3
def handler(e, c):
    pages = list(boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket="pages", PaginationConfig={"PageSize": 2}))
    users = boto3.client("iam").get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}).build_full_result()
    return [len(pages), [o["Key"] for p in pages for o in p["Contents"]], len(users["Users"])]
`)
	expect(t, got, 3, []any{"a", "b", "c", "d", "e"}, 5)
}

// The sandbox's clock goes on while the script sleeps.
func TestWaiters(t *testing.T) {
	b := withBoto3(t)
	script := `
import boto3, time
def handler(e, c):
    ec2 = boto3.client("ec2")
    v = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=5)["VolumeId"]
    states = [ec2.describe_volumes(VolumeIds=[v])["Volumes"][0]["State"]]
    boto3.client("ssm").put_parameter(Name="/tick", Value="1", Type="String")
    ec2.get_waiter("volume_available").wait(VolumeIds=[v], WaiterConfig={"Delay": 15, "MaxAttempts": 5})
    states.append(ec2.describe_volumes(VolumeIds=[v])["Volumes"][0]["State"])
    try:
        ec2.get_waiter("volume_available").wait(VolumeIds=["vol-0123456789abcdef0"], WaiterConfig={"Delay": 1, "MaxAttempts": 2})
    except Exception as x:
        states.append(type(x).__name__)
    return states
`
	got := b.succeeds(script, func(r *Request) { r.Time, r.Dry, r.Caller = b.clock.Now(), true, ticking{b} })
	expect(t, got, "creating", "available", "WaiterError")
}

// ticking lets a minute pass when a parameter is put.
type ticking struct{ *bench }

func TestPresignedURLs(t *testing.T) {
	b := withBoto3(t)
	b.bucket("signed")
	b.do("s3", "PutObject", map[string]any{"Bucket": "signed", "Key": "a b/ü", "Body": []byte("content")})
	got := b.succeeds(`
import boto3, urllib.request, urllib.error
from botocore.config import Config
def handler(e, c):
    s3 = boto3.client("s3")
    out = [urllib.request.urlopen(s3.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "a b/ü"})).read().decode()]
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "signed", "Key": "new"})
    urllib.request.urlopen(urllib.request.Request(put, data=b"put", method="PUT"))
    out.append(s3.get_object(Bucket="signed", Key="new")["Body"].read().decode())
    path = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"))
    url = path.generate_presigned_url("get_object", Params={"Bucket": "signed", "Key": "new"})
    out.append(urllib.request.urlopen(url).read().decode())
    try:
        urllib.request.urlopen(url.replace("/new?", "/other?"))
    except urllib.error.HTTPError as x:
        out.append([x.code, "SignatureDoesNotMatch" in x.read().decode()])
    sts = boto3.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    out.append("111122223333" in urllib.request.urlopen(sts).read().decode())
    return out
`)
	expect(t, got, "content", "put", "put", []any{int64(403), true}, true)
}

func TestEndpoints(t *testing.T) {
	b := withBoto3(t)
	b.bucket("endpoints")
	got := b.succeeds(`
import boto3
from botocore.config import Config
def handler(e, c):
    out = []
    for url in ("https://s3.eu-west-1.amazonaws.com", "http://s3.eu-west-1.amazonaws.com", "https://s3.dualstack.eu-west-1.amazonaws.com", "https://bucket.vpce-0123456789abcdef0-abcdefgh.s3.eu-west-1.vpce.amazonaws.com"):
        out.append([x["Name"] for x in boto3.client("s3", endpoint_url=url).list_buckets()["Buckets"]])
    out.append(boto3.client("ec2", endpoint_url="https://ec2.eu-west-1.api.aws").describe_volumes()["Volumes"])
    account = boto3.client("sts").get_caller_identity()["Account"]
    s3control = boto3.client("s3control")
    s3control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration={"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": False})
    out.append(s3control.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"])
    out.append(s3control.meta.endpoint_url)
    try:
        boto3.client("s3", endpoint_url="https://minio.example.com").list_buckets()
    except Exception as x:
        out.append(type(x).__name__)
    return out
`)
	expect(t, got, []any{"endpoints"}, []any{"endpoints"}, []any{"endpoints"}, []any{"endpoints"}, []any{}, false, "https://s3-control.eu-west-1.amazonaws.com", "ProxyConnectionError")
	if last := b.calls[len(b.calls)-1]; last != "s3control:GetPublicAccessBlock eu-west-1" {
		t.Error(last)
	}
}

func TestStreamingBodies(t *testing.T) {
	b := withBoto3(t)
	b.bucket("streams")
	got := b.succeeds(`
import boto3, hashlib, io
from boto3.s3.transfer import TransferConfig
def handler(e, c):
    s3 = boto3.client("s3")
    data = bytes(range(256)) * 40000
    with open("/tmp/big", "wb") as f:
        f.write(data)
    with open("/tmp/big", "rb") as f:
        s3.put_object(Bucket="streams", Key="file", Body=f)
    s3.put_object(Bucket="streams", Key="encoded", Body=io.BytesIO(b"z"), ContentEncoding="gzip", ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket="streams", Key="empty", Body=b"")
    s3.upload_file("/tmp/big", "streams", "uploaded", Config=TransferConfig(multipart_threshold=64 << 20))
    s3.download_file("streams", "uploaded", "/tmp/back")
    got = s3.get_object(Bucket="streams", Key="file")
    head = s3.head_object(Bucket="streams", Key="encoded")
    part = s3.get_object(Bucket="streams", Key="file", Range="bytes=10-19")
    lines = list(s3.get_object(Bucket="streams", Key="file")["Body"].iter_chunks(1 << 20))
    return [got["ContentLength"], got["Body"].read() == data, open("/tmp/back", "rb").read() == data, head["ContentEncoding"], head["ContentLength"], part["Body"].read() == data[10:20],
        part["ResponseMetadata"]["HTTPStatusCode"], b"".join(lines) == data, s3.get_object(Bucket="streams", Key="empty")["Body"].read().decode()]
`)
	expect(t, got, 256*40000, true, true, "gzip", 1, true, 206, true, "")
	out := b.do("s3", "GetObject", map[string]any{"Bucket": "streams", "Key": "file"})
	body, err := io.ReadAll(out["Body"].(io.Reader))
	if err != nil || len(body) != 256*40000 || out["ContentEncoding"] != nil {
		t.Errorf("%d bytes, %v, encoding %v", len(body), err, out["ContentEncoding"])
	}
}

// What a script sees of an error is what AWS sends: code, message, status, members.
func TestErrorShapes(t *testing.T) {
	b := withBoto3(t)
	b.bucket("errors")
	got := b.succeeds(`
import boto3
from botocore.exceptions import ClientError
def attempt(f, **kw):
    try:
        f(**kw)
    except ClientError as x:
        return [type(x).__name__, x.response["Error"]["Code"], x.response["ResponseMetadata"]["HTTPStatusCode"], x.operation_name, bool(x.response["Error"].get("Message")), str(x)[:17]]
def handler(e, c):
    return [
        attempt(boto3.client("ec2").delete_volume, VolumeId="vol-0123456789abcdef0"),
        attempt(boto3.client("iam").get_role, RoleName="none"),
        attempt(boto3.client("s3").get_object, Bucket="errors", Key="none"),
        attempt(boto3.client("s3").head_object, Bucket="errors", Key="none"),
        attempt(boto3.client("s3").get_bucket_policy, Bucket="none-such"),
        attempt(boto3.client("dynamodb").describe_table, TableName="none"),
        attempt(boto3.client("lambda").get_function, FunctionName="none"),
        attempt(boto3.client("sqs").get_queue_url, QueueName="none"),
        attempt(boto3.client("ssm").get_parameter, Name="none"),
        attempt(boto3.client("ec2", aws_access_key_id="AKIAOTHER", aws_secret_access_key="x").describe_volumes),
        attempt(boto3.client("ssm").delete_parameter, Name="refused"),
    ]
`, func(r *Request) { r.Caller = refusing{b} })
	const text = "An error occurred"
	expect(t, got,
		[]any{"ClientError", "InvalidVolume.NotFound", int64(400), "DeleteVolume", true, text},
		[]any{"NoSuchEntityException", "NoSuchEntity", int64(404), "GetRole", true, text},
		[]any{"NoSuchKey", "NoSuchKey", int64(404), "GetObject", true, text},
		[]any{"ClientError", "404", int64(404), "HeadObject", true, text},
		[]any{"NoSuchBucket", "NoSuchBucket", int64(404), "GetBucketPolicy", true, text},
		[]any{"ResourceNotFoundException", "ResourceNotFoundException", int64(400), "DescribeTable", true, text},
		[]any{"ResourceNotFoundException", "ResourceNotFoundException", int64(404), "GetFunction", true, text},
		[]any{"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", int64(400), "GetQueueUrl", true, text},
		[]any{"ParameterNotFound", "ParameterNotFound", int64(400), "GetParameter", true, text},
		[]any{"ClientError", "InvalidClientTokenId", int64(403), "DescribeVolumes", true, text},
		[]any{"ClientError", "AccessDenied", int64(403), "DeleteParameter", true, text},
	)
}

// A role's credentials stay with us; the script has a token for them.
func TestAssumedRoles(t *testing.T) {
	b := withBoto3(t)
	b.do("iam", "CreateRole", map[string]any{"RoleName": "helper", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}`})
	b.do("iam", "PutRolePolicy", map[string]any{"RoleName": "helper", "PolicyName": "p", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVolumes","Resource":"*"}]}`})
	got := b.succeeds(`
import boto3
def handler(e, c):
    k = boto3.client("sts").assume_role(RoleArn="arn:aws:iam::111122223333:role/helper", RoleSessionName="session")["Credentials"]
    role = boto3.Session(aws_access_key_id=k["AccessKeyId"], aws_secret_access_key=k["SecretAccessKey"], aws_session_token=k["SessionToken"])
    out = [role.client("sts").get_caller_identity()["Arn"], role.client("ec2").describe_volumes()["Volumes"], boto3.client("sts").get_caller_identity()["Arn"]]
    try:
        role.client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=1)
    except Exception as x:
        out.append(x.response["Error"]["Code"])
    return out + [k["SessionToken"], k["AccessKeyId"]]
`).([]any)
	expect(t, got[:4], "arn:aws:sts::111122223333:assumed-role/helper/session", []any{}, "arn:aws:iam::111122223333:user/operator", "UnauthorizedOperation")
	if b.by[0] != "" || b.by[1] == "" || b.by[1] != b.by[2] || b.by[3] != "" || b.by[4] != b.by[1] {
		t.Errorf("calls were made by %q", b.by)
	}
	if token := got[4].(string); !strings.HasPrefix(token, "knowngood") || got[5] == b.by[1] {
		t.Errorf("the script has %q of %v, the role's is %q", token, got[5], b.by[1])
	}
}
