package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// disagreements are where the sandbox asks for other actions than awsapi's table
// says, and why. The two are written apart so that each checks the other: what
// isn't listed here fails, and so does what is listed and no longer so.
var disagreements = map[string]string{
	"awsapi alone: ec2:CreateVolume needs kms:DescribeKey":   documented,
	"awsapi alone: ec2:CreateVolume needs kms:Decrypt":       documented,
	"awsapi alone: ec2:CreateVolume needs kms:ReEncryptFrom": documented,
	"awsapi alone: ec2:CreateVolume needs kms:ReEncryptTo":   documented,
	"awsapi alone: ec2:CopySnapshot needs kms:Decrypt":       documented,
	"awsapi alone: ec2:CopySnapshot needs kms:ReEncryptFrom": documented,
	"awsapi alone: ec2:CopySnapshot needs kms:ReEncryptTo":   documented,
	"awsapi alone: s3:CopyObject needs s3:GetObject":         "the sample copies a version, which awsapi's rules, who read members and not what is in them, have among what may be needed",
}

const documented = "AWS documents one set of permissions for all of EBS; the sandbox asks for what the case at hand uses: here the data doesn't come from another key"

// TestTheTwoTablesOfActionsAgree holds the action of each handler, and all that
// the calls of samples need, to awsapi's table.
func TestTheTwoTablesOfActionsAgree(t *testing.T) {
	e := newEstate(t)
	var found []string
	for service, ops := range handlers {
		for name, h := range ops {
			op, err := e.catalog.Operation(service, name)
			if err != nil {
				t.Fatal(err)
			}
			if theirs := op.IAMActions(nil); h.action != "" && !slices.Contains(theirs, h.action) {
				found = append(found, fmt.Sprintf("%s:%s: sandbox %s, awsapi %v", service, name, h.action, theirs))
			}
		}
	}
	spec := func(kind string) object {
		return object{"TagSpecifications": []any{object{"ResourceType": kind, "Tags": []any{object{"Key": "a", "Value": "b"}}}}}
	}
	for _, c := range []struct {
		call string
		in   object
	}{
		{"ec2:CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Encrypted": true, "KmsKeyId": "{{e.keyARN}}"}},
		{"ec2:CreateVolume", spec("volume")},
		{"ec2:CreateVpc", spec("vpc")},
		{"ec2:CreateSubnet", spec("subnet")},
		{"ec2:CreateSecurityGroup", spec("security-group")},
		{"ec2:CreateSnapshot", spec("snapshot")},
		{"ec2:CopySnapshot", object{"SourceRegion": "eu-west-1", "SourceSnapshotId": "snap-1", "Encrypted": true, "KmsKeyId": "{{e.keyARN}}"}},
		{"ec2:AttachVolume", object{"VolumeId": "{{e.sealed}}", "InstanceId": "{{e.instance}}"}},
		{"ec2:RunInstances", object{"IamInstanceProfile": object{"Name": "web"}}},
		{"ec2:RunInstances", object{"BlockDeviceMappings": []any{object{"Ebs": object{"Encrypted": true, "KmsKeyId": "{{e.keyARN}}"}}}}},
		{"ec2:RunInstances", spec("instance")},
		{"ec2:CreateTags", object{"Resources": []any{"{{e.volume}}"}}},
		{"iam:AddRoleToInstanceProfile", object{"InstanceProfileName": "web", "RoleName": "web"}},
		{"kms:CreateAlias", object{"AliasName": "alias/x", "TargetKeyId": "{{e.key}}"}},
		{"sts:AssumeRole", object{"RoleArn": "arn:aws:iam::111122223333:role/app/web", "Tags": []any{object{"Key": "a", "Value": "b"}}}},
		{"sts:AssumeRole", object{"RoleArn": "arn:aws:iam::111122223333:role/app/web", "SourceIdentity": "ada"}},
		{"s3:GetObject", object{"Bucket": "acme-logs", "Key": "k", "VersionId": "v"}},
		{"lambda:CreateFunction", object{"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/app/web"}},
		{"lambda:UpdateFunctionConfiguration", object{"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/app/web"}},
		{"cloudtrail:CreateTrail", object{"Name": "main", "CloudWatchLogsRoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"events:PutRule", object{"Name": "r", "RoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"events:PutTargets", object{"Rule": "r", "Targets": []any{object{"Id": "1", "Arn": "a", "RoleArn": "arn:aws:iam::111122223333:role/app/web"}}}},
		{"events:PutEvents", object{"Entries": []any{object{"Source": "app"}}}},
		{"sqs:SendMessage", object{"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q"}},
		{"s3:GetObject", object{"Bucket": "acme-logs", "Key": "k"}},
		{"s3:PutObject", object{"Bucket": "acme-logs", "Key": "k", "ACL": "private", "Tagging": "a=b"}},
		{"s3:PutObject", object{"Bucket": "acme-logs", "Key": "k", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{{e.keyARN}}"}},
		{"s3:CopyObject", object{"Bucket": "acme-logs", "Key": "k", "CopySource": "acme-logs/old?versionId=1"}},
		{"s3:CreateBucket", object{"Bucket": "b", "ACL": "private", "ObjectOwnership": "ObjectWriter", "ObjectLockEnabledForBucket": true}},
		{"backup:CreateBackupVault", object{"BackupVaultName": "v", "EncryptionKeyArn": "{{e.keyARN}}"}},
		{"s3:GetObjectTagging", object{"Bucket": "acme-logs", "Key": "k", "VersionId": "v"}},
		{"s3:PutBucketReplication", object{"Bucket": "acme-logs", "ReplicationConfiguration": object{"Role": "arn:aws:iam::111122223333:role/app/web"}}},
		{"rds:CreateDBInstance", object{"DBInstanceIdentifier": "d", "Tags": []any{object{"Key": "a", "Value": "b"}}, "KmsKeyId": "{{e.keyARN}}", "MonitoringRoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"rds:CopyDBSnapshot", object{"SourceDBSnapshotIdentifier": "a", "TargetDBSnapshotIdentifier": "b", "KmsKeyId": "{{e.keyARN}}"}},
		{"rds:RestoreDBInstanceFromDBSnapshot", object{"DBInstanceIdentifier": "d", "DBSnapshotIdentifier": "s", "Tags": []any{object{"Key": "a", "Value": "b"}}}},
		{"dynamodb:CreateTable", object{"TableName": "t", "Tags": []any{object{"Key": "a", "Value": "b"}}, "SSESpecification": object{"Enabled": true, "KMSMasterKeyId": "{{e.keyARN}}"}}},
		{"dynamodb:RestoreTableToPointInTime", object{"SourceTableName": "t", "TargetTableName": "u"}},
		{"backup:StartBackupJob", object{"BackupVaultName": "v", "IamRoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"backup:StartRestoreJob", object{"RecoveryPointArn": "p", "IamRoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"backup:StartCopyJob", object{"RecoveryPointArn": "p", "IamRoleArn": "arn:aws:iam::111122223333:role/app/web"}},
		{"backup:CreateBackupSelection", object{"BackupPlanId": "p", "BackupSelection": object{"IamRoleArn": "arn:aws:iam::111122223333:role/app/web"}}},
	} {
		service, name, _ := strings.Cut(c.call, ":")
		op, err := e.catalog.Operation(service, name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Resolve(c.in, e.names)
		if err != nil {
			t.Fatal(err)
		}
		u := &call{Sandbox: e.Sandbox, now: e.clock.Now(), region: e.region, in: in.(object), operation: op, who: e.state.Keys[OperatorKey]}
		action := handlers[service][name].action
		if action == "" {
			action = op.IAMActions(nil)[0]
		}
		var ours []string
		for _, n := range u.needs(action) {
			ours = append(ours, n.action)
		}
		must, may := op.IAMActions(u.in), op.DependentActions()
		for _, a := range ours {
			if !slices.Contains(must, a) && !slices.Contains(may, a) {
				found = append(found, "sandbox alone: "+c.call+" needs "+a)
			}
		}
		for _, a := range must {
			if !slices.Contains(ours, a) {
				found = append(found, "awsapi alone: "+c.call+" needs "+a)
			}
		}
	}
	for _, what := range found {
		if disagreements[what] == "" {
			t.Error(what)
		}
	}
	for what := range disagreements {
		if !slices.Contains(found, what) {
			t.Errorf("%q: there is no disagreement any more", what)
		}
	}
}

func TestTemplatesOfARNs(t *testing.T) {
	e := newEstate(t)
	c := &call{Sandbox: e.Sandbox, region: "eu-west-1", who: e.state.Keys[OperatorKey], in: object{
		"Name": "n", "Names": ids("a", "b"), "Topic": "arn:aws:sns:us-east-1:444455556666:t", "Deep": object{"Name": "d"}, "Mixed": ids("a", "arn:aws:x:::y")}}
	for template, want := range map[string][]string{
		"arn:{Partition}:x:{Region}:{Account}:y/{Name}": {"arn:aws:x:eu-west-1:111122223333:y/n"},
		"arn:{Partition}:x:::{Names}/{Deep.Name}":       {"arn:aws:x:::a/d", "arn:aws:x:::b/d"},
		"arn:{Partition}:sns:::{Topic}":                 {"arn:aws:sns:us-east-1:444455556666:t"},
		"arn:{Partition}:x:::z/{Mixed}":                 {"arn:aws:x:::z/a", "arn:aws:x:::y"},
		"arn:{Partition}:x:::y/{None}":                  nil,
		"arn:aws:x:::y/*":                               {"arn:aws:x:::y/*"},
	} {
		if got := c.expand(template); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", template, got, want)
		}
	}
}

// TestTablesNameWhatIsThere: what a table has of an operation is of one that the
// models know, and so are the members in it.
func TestTablesNameWhatIsThere(t *testing.T) {
	w := newWorld(t)
	for service, a := range accesses {
		for name, templates := range a.on {
			op, err := w.catalog.Operation(service, name)
			if err != nil || op.Name != name {
				t.Errorf("%s:%s: %v", service, name, err)
				continue
			}
			for i, part := range strings.Split(templates+a.arn, "{") {
				member, _, _ := strings.Cut(part, "}")
				if i == 0 || member == "Partition" || member == "Region" || member == "Account" {
					continue
				}
				shape := op.Input
				for _, m := range strings.Split(member, ".") {
					next := shape.Member(m)
					if next == nil {
						t.Errorf("%s:%s has no member %s", service, name, member)
						break
					}
					shape = next.Shape
				}
			}
		}
		for name := range a.needs {
			if op, err := w.catalog.Operation(service, name); err != nil || op.Name != name {
				t.Errorf("%s:%s: %v", service, name, err)
			}
		}
	}
}
