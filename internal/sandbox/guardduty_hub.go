package sandbox

import (
	"cmp"
	"strconv"
	"strings"
)

// hubSpaces are the namespaces and categories in which Security Hub has
// GuardDuty's findings, by their purpose. Source: Amazon GuardDuty User Guide,
// "Integration with AWS Security Hub".
var hubSpaces = map[string]string{
	"Backdoor": "TTPs/Command and Control", "CredentialAccess": "TTPs/Credential Access", "CryptoCurrency": "TTPs/Command and Control", "DefenseEvasion": "TTPs/Defense Evasion",
	"Discovery": "TTPs/Discovery", "Execution": "TTPs/Execution", "Exfiltration": "Effects/Data Exfiltration", "Impact": "TTPs/Impact", "InitialAccess": "TTPs/Initial Access",
	"PenTest": "TTPs/Discovery", "Persistence": "TTPs/Persistence", "PrivilegeEscalation": "TTPs/Privilege Escalation", "Recon": "TTPs/Discovery", "Stealth": "TTPs/Defense Evasion",
	"Trojan": "TTPs/Command and Control", "UnauthorizedAccess": "TTPs/Initial Access",
}

// hubKinds are the types that ASFF has of GuardDuty's resources. Others are
// Other.
var hubKinds = map[string]string{"Instance": "AwsEc2Instance", "AccessKey": "AwsIamAccessKey", "S3Bucket": "AwsS3Bucket", "Lambda": "AwsLambdaFunction"}

// toHub gives a finding as it is now to Security Hub, if that is on.
func (c *call) toHub(f *threatFinding) {
	if _, _, err := c.hub(c.now); err != nil {
		return
	}
	in := f.Finding
	kind := lookupText(in, "Resource.ResourceType")
	name := lookupText(in, "Type")
	purpose, _, _ := strings.Cut(name, ":")
	record := "ACTIVE"
	archived := lookup(in, "Service.Archived")[0] == true
	if archived {
		record = "ARCHIVED"
	}
	severity, _ := asNumber(in["Severity"])
	count, _ := asNumber(lookup(in, "Service.Count")[0])
	product := "arn:" + c.partition() + ":securityhub:" + c.region + "::product/aws/guardduty"
	detector := c.arnOf("guardduty", "detector/"+f.Detector)
	c.importFinding(object{
		"SchemaVersion": "2018-10-08", "Id": in["Arn"], "ProductArn": product, "GeneratorId": detector, "AwsAccountId": c.who.Account,
		"Types":     []any{cmp.Or(hubSpaces[purpose], "TTPs") + "/" + strings.ReplaceAll(name, "/", "-")},
		"CreatedAt": in["CreatedAt"], "UpdatedAt": in["UpdatedAt"], "FirstObservedAt": lookupText(in, "Service.EventFirstSeen"), "LastObservedAt": lookupText(in, "Service.EventLastSeen"),
		"Severity": object{"Product": severity, "Label": hubLabel(severity)}, "Title": in["Title"], "Description": in["Description"], "RecordState": record,
		"CompanyName": "Amazon", "ProductName": "GuardDuty",
		"Resources": []any{object{"Type": cmp.Or(hubKinds[kind], "Other"), "Id": c.hubResource(in, kind, f.Subject), "Partition": c.partition(), "Region": c.region}},
		"ProductFields": object{"aws/guardduty/service/archived": strconv.FormatBool(archived), "aws/guardduty/service/count": strconv.Itoa(int(count)),
			"aws/guardduty/service/detectorId": f.Detector, "aws/guardduty/service/serviceName": "guardduty"},
	})
}

// hubLabel is GuardDuty's severity as Security Hub has it.
func hubLabel(severity float64) string {
	switch {
	case severity >= 9:
		return "CRITICAL"
	case severity >= 7:
		return "HIGH"
	case severity >= 4:
		return "MEDIUM"
	}
	return "LOW"
}

// hubResource is the id by which ASFF knows a finding's resource.
func (c *call) hubResource(in object, kind, subject string) string {
	switch kind {
	case "Instance":
		return c.arnOf("ec2", "instance/"+lookupText(in, "Resource.InstanceDetails.InstanceId"))
	case "AccessKey":
		return "AWS::IAM::AccessKey:" + cmp.Or(lookupText(in, "Resource.AccessKeyDetails.AccessKeyId"), subject)
	case "S3Bucket":
		if arns := texts(lookup(in, "Resource.S3BucketDetails.Arn")); len(arns) > 0 {
			return arns[0]
		}
	case "Lambda":
		return lookupText(in, "Resource.LambdaDetails.FunctionArn")
	}
	return subject
}
