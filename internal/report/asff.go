package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
)

// The parts of the AWS Security Finding Format that are written. Source: AWS Security
// Hub API Reference, AwsSecurityFinding, and User Guide, ASFF syntax.
type (
	asffBatch struct {
		Findings []json.RawMessage `json:"Findings"`
	}
	asffFinding struct {
		SchemaVersion   string            `json:"SchemaVersion"`
		ID              string            `json:"Id"`
		ProductARN      string            `json:"ProductArn"`
		ProductName     string            `json:"ProductName"`
		CompanyName     string            `json:"CompanyName"`
		Region          string            `json:"Region"`
		GeneratorID     string            `json:"GeneratorId"`
		AccountID       string            `json:"AwsAccountId"`
		Types           []string          `json:"Types"`
		FirstObservedAt string            `json:"FirstObservedAt,omitempty"`
		LastObservedAt  string            `json:"LastObservedAt"`
		CreatedAt       string            `json:"CreatedAt"`
		UpdatedAt       string            `json:"UpdatedAt"`
		Severity        asffSeverity      `json:"Severity"`
		Title           string            `json:"Title"`
		Description     string            `json:"Description"`
		Remediation     asffRemediation   `json:"Remediation"`
		ProductFields   map[string]string `json:"ProductFields"`
		Resources       []asffResource    `json:"Resources"`
		Compliance      asffCompliance    `json:"Compliance"`
		Workflow        asffWorkflow      `json:"Workflow"`
		RecordState     string            `json:"RecordState"`
		Provider        asffProvider      `json:"FindingProviderFields"`
	}
	asffSeverity struct {
		Label    knowngood.Severity `json:"Label"`
		Original string             `json:"Original"`
	}
	asffRemediation struct {
		Recommendation asffRecommendation `json:"Recommendation"`
	}
	asffRecommendation struct {
		Text string `json:"Text"`
		URL  string `json:"Url,omitempty"`
	}
	asffResource struct {
		Type      string `json:"Type"`
		ID        string `json:"Id"`
		Partition string `json:"Partition"`
		Region    string `json:"Region"`
	}
	asffCompliance struct {
		Status       string       `json:"Status"`
		Requirements []string     `json:"RelatedRequirements,omitempty"`
		Reasons      []asffReason `json:"StatusReasons,omitempty"`
	}
	asffReason struct {
		Code        string `json:"ReasonCode"`
		Description string `json:"Description,omitempty"`
	}
	asffWorkflow struct {
		Status string `json:"Status"`
	}
	asffProvider struct {
		Severity asffSeverity `json:"Severity"`
		Types    []string     `json:"Types"`
	}
)

// Limits of BatchImportFindings and of what it takes. Source: AWS Security Hub API
// Reference and User Guide, "Using BatchImportFindings"; 6 MB is for a batch.
const (
	maxASFFBatch        = 100
	maxASFFBatchBytes   = 6_000_000
	maxASFFTitle        = 256
	maxASFFDescription  = 1024
	maxASFFID           = 512
	maxASFFText         = 512
	maxASFFProductField = 2047
	maxASFFRequirements = 32
	findingType         = "Software and Configuration Checks/AWS Security Best Practices"
)

// writeASFF writes requests of BatchImportFindings, a line each: at most 100 findings
// of one account and Region, for one request imports into one of each.
func writeASFF(w io.Writer, r *Report) error {
	type place struct{ account, region string }
	byPlace := map[place][]*Result{}
	for i := range r.Results {
		res := &r.Results[i]
		p := place{res.Resource.Account, regionOf(r, res.Resource)}
		byPlace[p] = append(byPlace[p], res)
	}
	places := make([]place, 0, len(byPlace))
	for p := range byPlace {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.region, b.region))
	})
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, p := range places {
		batch, size := asffBatch{}, 0
		flush := func() error {
			if len(batch.Findings) == 0 {
				return nil
			}
			err := out.Encode(batch)
			batch, size = asffBatch{}, 0
			return err
		}
		for _, res := range byPlace[p] {
			raw, err := plainJSON(asffOf(r, res, p.region))
			if err != nil {
				return err
			}
			if len(batch.Findings) == maxASFFBatch || size+len(raw) > maxASFFBatchBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			batch.Findings = append(batch.Findings, raw)
			size += len(raw) + 1
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func plainJSON(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

// regionOf is the Region into which a finding is imported: the resource's, else, for
// one that is in none, such as an IAM user, the caller's own.
func regionOf(r *Report, k knowngood.ResourceKey) string {
	for _, p := range r.Places {
		if p.Region == k.Region {
			return k.Region
		}
	}
	if len(r.Places) > 0 {
		return r.Places[0].Region
	}
	return k.Region
}

func asffOf(r *Report, res *Result, region string) asffFinding {
	partition, account := partitionOf(r, res.Resource), res.Resource.Account
	product := "arn:" + partition + ":securityhub:" + region + ":" + account + ":product/" + account + "/default"
	severity := asffSeverity{Label: res.Severity(), Original: string(res.Severity())}
	if res.Status == Passed {
		severity.Label = knowngood.Informational // so Security Hub has it for its own controls
	}
	created := cmpTime(res.Time, r.Began)
	first := ""
	if f := res.Finding; f != nil && !f.Opened.IsZero() {
		created, first = f.Opened, stamp(f.Opened)
	}
	out := asffFinding{
		SchemaVersion: "2018-10-08", ID: cut("knowngood/"+region+"/"+account+"/"+res.ID(), maxASFFID), ProductARN: product,
		ProductName: "knowngood", CompanyName: "knowngood", Region: region,
		GeneratorID: cut("knowngood/"+cmp.Or(res.Rule.Pack, "none")+"/"+oneLine(res.Rule.Name), maxASFFID), AccountID: account, Types: []string{findingType},
		FirstObservedAt: first, LastObservedAt: stamp(r.Began), CreatedAt: stamp(created), UpdatedAt: stamp(later(created, cmpTime(res.Time, r.Began))),
		Severity: severity, Title: text(res.Title(), maxASFFTitle), Description: text(cmp.Or(res.Annotation, res.Rule.Description, res.Title()), maxASFFDescription),
		Remediation: asffRemediation{asffRecommendation{Text: cut(adviceOn(res), maxASFFText), URL: cut(res.Rule.page(), maxASFFText)}},
		ProductFields: map[string]string{
			"ConfigRuleName": text(res.Rule.Name, maxASFFProductField), "ResourceKey": text(res.Resource.String(), maxASFFProductField), "Scanner": text("knowngood "+r.Version, maxASFFProductField),
		},
		Resources:   []asffResource{asffResourceOf(res, partition, region)},
		Compliance:  asffComplianceOf(res),
		Workflow:    asffWorkflow{Status: asffWorkflowOf(res)},
		RecordState: "ACTIVE",
		Provider:    asffProvider{Severity: severity, Types: []string{findingType}},
	}
	return out
}

// text is a text that is not empty, in one line, of at most n characters.
func text(s string, n int) string {
	s = strings.TrimSpace(oneLine(s))
	return cut(cmp.Or(s, "-"), n)
}

func asffWorkflowOf(res *Result) string {
	switch {
	case res.Suppressed():
		return "SUPPRESSED"
	case res.Status == Passed:
		return "RESOLVED"
	}
	return "NEW"
}

// asffComplianceOf has WARNING where the check itself gave no result, NOT_AVAILABLE
// where a call of the service failed. Source: User Guide, ASFF, Compliance.
func asffComplianceOf(res *Result) asffCompliance {
	out := asffCompliance{Status: "PASSED"}
	for _, c := range res.Rule.Controls[:min(len(res.Rule.Controls), maxASFFRequirements)] {
		if !strings.Contains(c, "/") {
			c = "AWS Security Hub/" + c
		}
		out.Requirements = append(out.Requirements, c)
	}
	code := ""
	switch {
	case res.Status == Failed && res.Finding != nil && finding.Unconfirmed(*res.Finding):
		out.Status, code = "FAILED", "NOT_CONFIRMED"
	case res.Status == Failed:
		out.Status, code = "FAILED", "NON_COMPLIANT"
	case res.Status == NotEvaluated && res.Code != "":
		out.Status, code = "NOT_AVAILABLE", res.Code
	case res.Status == NotEvaluated:
		out.Status, code = "WARNING", "INSUFFICIENT_DATA"
	}
	if code != "" {
		out.Reasons = []asffReason{{Code: text(code, 100), Description: text(cmp.Or(res.Annotation, res.Title()), maxASFFDescription)}}
	}
	return out
}

// asffTypes are the format's own names of AWS Config's types. Source: AWS Security Hub
// API Reference, ResourceDetails.
var asffTypes = map[string]string{
	"AWS::ACM::Certificate":                     "AwsCertificateManagerCertificate",
	"AWS::DynamoDB::Table":                      "AwsDynamoDbTable",
	"AWS::EC2::EIP":                             "AwsEc2Eip",
	"AWS::EC2::NetworkAcl":                      "AwsEc2NetworkAcl",
	"AWS::EC2::VPC":                             "AwsEc2Vpc",
	"AWS::EC2::VPNConnection":                   "AwsEc2VpnConnection",
	"AWS::ECS::TaskDefinition":                  "AwsEcsTaskDefinition",
	"AWS::EFS::AccessPoint":                     "AwsEfsAccessPoint",
	"AWS::ElasticLoadBalancing::LoadBalancer":   "AwsElbLoadBalancer",
	"AWS::ElasticLoadBalancingV2::LoadBalancer": "AwsElbv2LoadBalancer",
	"AWS::IAM::Group":                           "AwsIamGroup",
	"AWS::IAM::Policy":                          "AwsIamPolicy",
	"AWS::IAM::Role":                            "AwsIamRole",
	"AWS::IAM::User":                            "AwsIamUser",
	"AWS::KMS::Key":                             "AwsKmsKey",
	"AWS::OpenSearch::Domain":                   "AwsOpenSearchServiceDomain",
	"AWS::RDS::DBCluster":                       "AwsRdsDbCluster",
	"AWS::RDS::DBClusterSnapshot":               "AwsRdsDbClusterSnapshot",
	"AWS::RDS::DBInstance":                      "AwsRdsDbInstance",
	"AWS::RDS::DBSecurityGroup":                 "AwsRdsDbSecurityGroup",
	"AWS::RDS::DBSnapshot":                      "AwsRdsDbSnapshot",
	"AWS::SNS::Topic":                           "AwsSnsTopic",
	"AWS::SQS::Queue":                           "AwsSqsQueue",
	"AWS::WAFv2::WebACL":                        "AwsWafv2WebAcl",
	"AWS::EC2::Instance":                        "AwsEc2Instance",
	"AWS::EC2::NetworkInterface":                "AwsEc2NetworkInterface",
	"AWS::EC2::RouteTable":                      "AwsEc2RouteTable",
	"AWS::EC2::SecurityGroup":                   "AwsEc2SecurityGroup",
	"AWS::EC2::Subnet":                          "AwsEc2Subnet",
	"AWS::EC2::Volume":                          "AwsEc2Volume",
	"AWS::AutoScaling::AutoScalingGroup":        "AwsAutoScalingAutoScalingGroup",
	"AWS::AutoScaling::LaunchConfiguration":     "AwsAutoScalingLaunchConfiguration",
	"AWS::ApiGateway::Stage":                    "AwsApiGatewayStage",
	"AWS::ApiGateway::RestApi":                  "AwsApiGatewayRestApi",
	"AWS::Backup::RecoveryPoint":                "AwsBackupRecoveryPoint",
	"AWS::CloudTrail::Trail":                    "AwsCloudTrailTrail",
	"AWS::CloudWatch::Alarm":                    "AwsCloudWatchAlarm",
	"AWS::CodeBuild::Project":                   "AwsCodeBuildProject",
	"AWS::DMS::ReplicationInstance":             "AwsDmsReplicationInstance",
	"AWS::Elasticsearch::Domain":                "AwsElasticsearchDomain",
	"AWS::Kinesis::Stream":                      "AwsKinesisStream",
	"AWS::Lambda::Function":                     "AwsLambdaFunction",
	"AWS::Redshift::Cluster":                    "AwsRedshiftCluster",
	"AWS::S3::Bucket":                           "AwsS3Bucket",
	"AWS::S3::AccountPublicAccessBlock":         "AwsS3AccountPublicAccessBlock",
	"AWS::SageMaker::NotebookInstance":          "AwsSageMakerNotebookInstance",
	"AWS::SecretsManager::Secret":               "AwsSecretsManagerSecret",
	accountType:                                 "AwsAccount",
}

// asffResourceOf is the resource, the account itself where all resources of a type are
// meant. A type that the format has no name for is Other.
func asffResourceOf(res *Result, partition, region string) asffResource {
	out := asffResource{Type: cmp.Or(asffTypes[res.Resource.Type], "Other"), ID: text(res.Name(), maxASFFID), Partition: partition, Region: region}
	if res.Resource.ID == Every || res.Resource.Type == accountType {
		out.Type, out.ID = "AwsAccount", "AWS::::Account:"+res.Resource.Account
	}
	return out
}
