package sandbox

import (
	"encoding/json"
	"strings"
	"testing"

	jmespath "github.com/jmespath-community/go-jmespath"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/library"
)

// fact is something that an estate holds: how often, by a JMESPath expression
// over the answer of a call.
type fact struct {
	what      string
	call      string
	in        object
	count     string // an expression whose value is a number, a list, or true
	want      int
	wrong     bool // the estate would be better without
	everyRoom bool // it is asked, and summed, in each account and Region
}

func loadScenario(t *testing.T, name string) *world {
	t.Helper()
	w := newWorld(t)
	raw, err := library.FS.ReadFile("scenarios/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Load(t.Context(), name+".yaml", raw); err != nil {
		t.Fatal(err)
	}
	return w
}

// found makes a fact's call and counts what it finds.
func (f fact) found(t *testing.T, w *world, account, region string) int {
	t.Helper()
	service, operation, _ := strings.Cut(f.call, ":")
	key, _, ok := w.OperatorOf(account)
	if !ok {
		t.Fatalf("there is no account %s", account)
	}
	out, err := w.Call(t.Context(), Request{Service: service, Operation: operation, AccessKeyID: key, Region: region, Input: f.in})
	if err != nil {
		out = object{"error": codeOf(err)}
	}
	var plain any
	raw, err := json.Marshal(out)
	if err == nil {
		err = json.Unmarshal(raw, &plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	what, err := jmespath.Search(f.count, plain)
	if err != nil {
		t.Fatalf("%s: %v", f.what, err)
	}
	switch v := what.(type) {
	case float64:
		return int(v)
	case []any:
		return len(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	t.Fatalf("%s: %s gives %v", f.what, f.count, what)
	return 0
}

// check counts facts, and says how much there is, and is wrong, in all.
func (w *world) check(t *testing.T, facts []fact) (there, wrong int) {
	t.Helper()
	for _, f := range facts {
		got := 0
		if f.everyRoom {
			for _, account := range sorted(w.state.Accounts) {
				for _, region := range w.regions {
					got += f.found(t, w, account, region)
				}
			}
		} else {
			got = f.found(t, w, w.account, w.region)
		}
		if got != f.want {
			t.Errorf("%s: %d, want %d", f.what, got, f.want)
		}
		if f.wrong {
			wrong += got
		} else {
			there += got
		}
	}
	return there, wrong
}

func TestTheStartupsEstate(t *testing.T) {
	w := loadScenario(t, "startup")
	var facts []fact
	all := func(what, call, count string, want int) {
		facts = append(facts, fact{what: what, call: call, count: count, want: want})
	}
	wrong := func(what, call string, in object, count string, want int) {
		facts = append(facts, fact{what: what, call: call, in: in, count: count, want: want, wrong: true})
	}
	all("users", "iam:ListUsers", "Users", 3)
	all("roles", "iam:ListRoles", "Roles[?RoleName == 'app']", 1)
	all("VPCs", "ec2:DescribeVpcs", "Vpcs[?!IsDefault]", 1)
	all("subnets", "ec2:DescribeSubnets", "Subnets[?!DefaultForAz]", 2)
	all("security groups", "ec2:DescribeSecurityGroups", "SecurityGroups[?GroupName != 'default']", 3)
	all("instances", "ec2:DescribeInstances", "Reservations[].Instances[?State.Name == 'running'][]", 3)
	all("volumes", "ec2:DescribeVolumes", "Volumes", 6)
	all("buckets", "s3:ListBuckets", "Buckets", 3)
	all("keys", "kms:ListKeys", "Keys", 5) // EBS's and RDS's among them
	all("databases", "rds:DescribeDBInstances", "DBInstances", 2)
	all("tables", "dynamodb:ListTables", "TableNames", 2)
	all("queues", "sqs:ListQueues", "QueueUrls", 2)
	all("topics", "sns:ListTopics", "Topics", 1)
	all("functions", "lambda:ListFunctions", "Functions", 1)
	all("trails", "cloudtrail:DescribeTrails", "trailList", 1)

	wrong("no password policy", "iam:GetAccountPasswordPolicy", nil, "error == 'NoSuchEntity'", 1)
	for _, user := range []string{"maria", "deploy"} {
		wrong("an old key", "iam:ListAccessKeys", object{"UserName": user}, "AccessKeyMetadata[?starts_with(CreateDate, '2026-05')]", 1)
	}
	wrong("no second factor", "iam:ListMFADevices", object{"UserName": "jon"}, "length(MFADevices) == `0`", 1)
	wrong("may do everything", "iam:GetUserPolicy", object{"UserName": "jon", "PolicyName": "everything"}, "PolicyName == 'everything'", 1)
	wrong("open to the world", "ec2:DescribeSecurityGroups", nil, "SecurityGroups[].IpPermissions[?FromPort != `443` && IpRanges[0].CidrIp == '0.0.0.0/0'][]", 2)
	wrong("IMDSv1", "ec2:DescribeInstances", nil, "Reservations[].Instances[?MetadataOptions.HttpTokens == 'optional'][]", 2)
	wrong("not encrypted", "ec2:DescribeVolumes", nil, "Volumes[?!Encrypted]", 2)
	wrong("everybody's snapshot", "ec2:DescribeSnapshots", object{"RestorableByUserIds": ids("all"), "OwnerIds": ids("self")}, "Snapshots", 1)
	wrong("a public bucket", "s3:GetBucketPolicyStatus", object{"Bucket": "hasty-site"}, "PolicyStatus.IsPublic", 1)
	for _, k := range w.do("kms", "ListKeys", nil)["Keys"].([]any) {
		m := w.do("kms", "DescribeKey", object{"KeyId": k.(object)["KeyId"]})["KeyMetadata"].(object)
		if m["KeyManager"] == "CUSTOMER" && m["Description"] == "batch" {
			wrong("no rotation", "kms:GetKeyRotationStatus", object{"KeyId": m["KeyId"]}, "!KeyRotationEnabled", 1)
		}
		if m["Description"] == "database" {
			wrong("a key to be deleted", "kms:DescribeKey", object{"KeyId": m["KeyId"]}, "KeyMetadata.KeyState == 'PendingDeletion'", 1)
		}
	}
	wrong("a database that is not encrypted", "rds:DescribeDBInstances", nil, "DBInstances[?!StorageEncrypted]", 1)
	wrong("a database that anybody may reach", "rds:DescribeDBInstances", nil, "DBInstances[?PubliclyAccessible]", 1)
	wrong("a database without backups", "rds:DescribeDBInstances", nil, "DBInstances[?BackupRetentionPeriod == `0`]", 1)
	wrong("a table that can't be restored", "dynamodb:DescribeContinuousBackups", object{"TableName": "sessions"}, "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus == 'DISABLED'", 1)
	wrong("a trail that does not log", "cloudtrail:GetTrailStatus", object{"Name": "audit"}, "!IsLogging", 1)
	if there, bad := w.check(t, facts); there < 35 || there > 45 || bad != 20 {
		t.Errorf("%d resources and %d problems, want about 40 and 20", there, bad)
	}
}

func TestTheEnterprisesEstate(t *testing.T) {
	w := loadScenario(t, "enterprise")
	if n := len(w.state.Accounts); n != 12 || len(w.regions) != 3 {
		t.Fatalf("%d accounts in %d Regions, want 12 in 3", n, len(w.regions))
	}
	var facts []fact
	each := func(what, call, count string, want int, wrong bool) {
		facts = append(facts, fact{what: what, call: call, count: count, want: want, wrong: wrong, everyRoom: true})
	}
	const rooms = 12 * 3
	each("VPCs", "ec2:DescribeVpcs", "Vpcs[?!IsDefault]", rooms, false)
	each("subnets", "ec2:DescribeSubnets", "Subnets[?!DefaultForAz]", 3*rooms, false)
	each("security groups", "ec2:DescribeSecurityGroups", "SecurityGroups[?GroupName != 'default']", 6*rooms, false)
	each("instances", "ec2:DescribeInstances", "Reservations[].Instances[?State.Name == 'running'][]", 20*rooms, false)
	each("volumes", "ec2:DescribeVolumes", "Volumes", 50*rooms, false)
	each("snapshots", "ec2:DescribeSnapshots", "Snapshots[?State == 'completed' && VolumeSize >= `20`]", 20*rooms, false)
	each("tables", "dynamodb:ListTables", "TableNames", 6*rooms, false)
	each("databases", "rds:DescribeDBInstances", "DBInstances[?DBInstanceStatus == 'available']", 6*rooms, false)
	each("functions", "lambda:ListFunctions", "Functions", 10*rooms, false)
	each("queues", "sqs:ListQueues", "QueueUrls", 10*rooms, false)
	each("topics", "sns:ListTopics", "Topics", 4*rooms, false)

	each("volumes that are not encrypted", "ec2:DescribeVolumes", "Volumes[?!Encrypted]", 3*rooms, true)
	each("IMDSv1", "ec2:DescribeInstances", "Reservations[].Instances[?MetadataOptions.HttpTokens == 'optional'][]", 2*rooms, true)
	each("open to the world", "ec2:DescribeSecurityGroups", "SecurityGroups[].IpPermissions[?IpRanges[0].CidrIp == '0.0.0.0/0'][]", rooms, true)
	each("databases that are not encrypted", "rds:DescribeDBInstances", "DBInstances[?!StorageEncrypted]", rooms, true)
	each("public databases", "rds:DescribeDBInstances", "DBInstances[?PubliclyAccessible]", rooms, true)
	there, wrong := w.check(t, facts)
	keys := 0
	for _, account := range sorted(w.state.Accounts) {
		f := fact{what: "buckets", call: "s3:ListBuckets", count: "Buckets", want: 6}
		there += f.found(t, w, account, w.region)
		there += fact{what: "roles", call: "iam:ListRoles", count: "Roles[?RoleName == 'api']"}.found(t, w, account, w.region) * 5
		there += fact{what: "users", call: "iam:ListUsers", count: "Users"}.found(t, w, account, w.region)
		for _, region := range w.regions {
			keys += len(w.state.Accounts[account].Regions[region].Keys)
		}
	}
	if there+keys < 4800 || there+keys > 5400 {
		t.Errorf("%d resources, want about 5,000", there+keys)
	}
	t.Logf("%d resources, %d problems", there+keys, wrong)
	units, err := w.Call(t.Context(), Request{Service: "organizations", Operation: "ListAccounts", AccessKeyID: OperatorKey})
	if err != nil || len(units["Accounts"].([]any)) != 12 {
		t.Errorf("%v, %v", units, err)
	}
}

func TestTheRansomwaresEstate(t *testing.T) {
	w := loadScenario(t, "ransomware")
	archive := object{"Bucket": "acme-archive"}
	facts := []fact{
		{what: "versions of objects", call: "s3:ListObjectVersions", in: archive, count: "Versions", want: 81},
		{what: "good versions", call: "s3:ListObjectVersions", in: archive, count: "Versions[?Size == `7`]", want: 40},
		{what: "objects that are gone", call: "s3:ListObjectVersions", in: archive, count: "DeleteMarkers", want: 25, wrong: true},
		{what: "objects that are overwritten", call: "s3:ListObjectsV2", in: archive, count: "Contents[?Size == `6`]", want: 15, wrong: true},
		{what: "the note", call: "s3:ListObjectsV2", in: archive, count: "Contents[?Key == 'READ-ME-TO-RECOVER.txt']", want: 1, wrong: true},
		{what: "a stopped trail", call: "cloudtrail:GetTrailStatus", in: object{"Name": "audit"}, count: "!IsLogging", want: 1, wrong: true},
		{what: "the stolen key", call: "iam:ListAccessKeys", in: object{"UserName": "backup-agent"}, count: "AccessKeyMetadata[?Status == 'Active']", want: 1, wrong: true},
	}
	for _, k := range w.do("kms", "ListKeys", nil)["Keys"].([]any) {
		facts = append(facts, fact{what: "a key to be lost", call: "kms:DescribeKey", in: object{"KeyId": k.(object)["KeyId"]}, count: "KeyMetadata.KeyState == 'PendingDeletion'", want: 1, wrong: true})
	}
	detector := w.do("guardduty", "ListDetectors", nil)["DetectorIds"].([]any)[0]
	facts = append(facts, fact{what: "what GuardDuty saw", call: "guardduty:ListFindings", in: object{"DetectorId": detector}, count: "FindingIds", want: 4, wrong: true})
	w.check(t, facts)
	denied := 0
	for _, r := range w.trailRecords() {
		if strings.Contains(string(r), "198.51.100.23") && (strings.Contains(string(r), "AccessDenied") || strings.Contains(string(r), "UnauthorizedOperation")) {
			denied++
		}
	}
	if denied != 2 {
		t.Errorf("the trail tells of %d refusals to the attacker, want 2", denied)
	}
}

func TestTheUnpatchedFleet(t *testing.T) {
	w := loadScenario(t, "unpatched-fleet")
	var all []any
	for _, r := range w.do("ec2", "DescribeInstances", nil)["Reservations"].([]any) {
		all = append(all, r.(object)["Instances"].([]any)[0].(object)["InstanceId"])
	}
	w.check(t, []fact{
		{what: "managed nodes", call: "ssm:DescribeInstanceInformation", in: object{"MaxResults": int64(50)}, count: "InstanceInformationList", want: 40},
		{what: "nodes that have lost their connection", call: "ssm:DescribeInstanceInformation", in: object{"MaxResults": int64(50)}, count: "InstanceInformationList[?PingStatus != 'Online']", want: 2, wrong: true},
		{what: "nodes that were scanned", call: "ssm:DescribeInstancePatchStates", in: object{"InstanceIds": all}, count: "InstancePatchStates[?Operation == 'Scan']", want: 38},
		{what: "patched nodes", call: "ssm:DescribeInstancePatchStates", in: object{"InstanceIds": all}, count: "InstancePatchStates[?MissingCount == `0`]", want: 10},
		{what: "nodes that lack patches", call: "ssm:DescribeInstancePatchStates", in: object{"InstanceIds": all}, count: "InstancePatchStates[?MissingCount > `1`]", want: 28, wrong: true},
	})
}

func TestTheOversizedFleet(t *testing.T) {
	w := loadScenario(t, "oversized")
	now := w.Sandbox.now()
	idle, busy := 0, 0
	for _, r := range w.do("ec2", "DescribeInstances", nil)["Reservations"].([]any) {
		id := r.(object)["Instances"].([]any)[0].(object)["InstanceId"].(string)
		points := w.do("cloudwatch", "GetMetricStatistics", object{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": []any{object{"Name": "InstanceId", "Value": id}},
			"StartTime": now.AddDate(0, 0, -30), "EndTime": now, "Period": int64(86400), "Statistics": ids("Maximum", "SampleCount")})["Datapoints"].([]any)
		if len(points) != 30 {
			t.Errorf("%s: %d days of CPU, want 30", id, len(points))
		}
		highest := 0.0
		for _, p := range points {
			highest = max(highest, p.(object)["Maximum"].(float64))
		}
		switch {
		case highest < 12:
			idle++
		case highest > 60:
			busy++
		default:
			t.Errorf("%s: %.1f%% CPU is neither idle nor busy", id, highest)
		}
	}
	if idle != 18 || busy != 6 {
		t.Errorf("%d idle and %d busy servers, want 18 and 6", idle, busy)
	}
}

func BenchmarkTheEnterprise(b *testing.B) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	raw, err := library.FS.ReadFile("scenarios/enterprise.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := New(Options{Catalog: catalog})
		if err == nil {
			err = s.Load(b.Context(), "enterprise.yaml", raw)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
