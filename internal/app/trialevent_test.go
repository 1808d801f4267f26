package app_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trailed are calls after which every call that changes something is an event.
const trailed = `
        - {call: 's3:CreateBucket', input: {Bucket: trail-logs, CreateBucketConfiguration: {LocationConstraint: eu-west-1}}}
        - call: s3:PutBucketPolicy
          input:
            Bucket: trail-logs
            Policy: >-
              {"Version":"2012-10-17","Statement":[
              {"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:GetBucketAcl","Resource":"arn:aws:s3:::trail-logs"},
              {"Effect":"Allow","Principal":{"Service":"cloudtrail.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::trail-logs/*"}]}
        - {call: 'cloudtrail:CreateTrail', input: {Name: all, S3BucketName: trail-logs, IsMultiRegionTrail: true}}
        - {call: 'cloudtrail:StartLogging', input: {Name: all}}`

func writeTests(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.test.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnEventHasWhatItNamesReadAndJudged(t *testing.T) {
	dir := writeTests(t, `tests:
  - name: a call that opens a bucket is found by its event, and taken back
    given:
      scenario: demo
      calls:`+trailed+`
        - {call: 's3:CreateBucket', input: {Bucket: ours, CreateBucketConfiguration: {LocationConstraint: eu-west-1}}}
    when:
      - event: {call: 's3:DeletePublicAccessBlock', input: {Bucket: ours}}
      - fix: ours
    then:
      open: 0
      run: Success
      made: [s3:DeletePublicAccessBlock, s3:PutPublicAccessBlock]
      findings: [{rule: s3-bucket-level-public-access-prohibited, resource: ours, state: closed}]
      evaluations: [{rule: s3-bucket-level-public-access-prohibited, resource: ours, compliance: NON_COMPLIANT}]
  - name: what it names is judged alone
    given: {scenario: demo}
    when:
      - event:
          source: aws.s3
          detail-type: AWS API Call via CloudTrail
          detail: {eventName: PutBucketPublicAccessBlock, requestParameters: {bucketName: acme-invoices}}
    then:
      open: 1
      evaluations: [{rule: s3-bucket-level-public-access-prohibited, resource: acme-invoices, compliance: NON_COMPLIANT}]
  - name: an event that comes late tells of nothing that is so no more
    given:
      scenario: demo
      calls: [{call: 's3:PutPublicAccessBlock', input: {Bucket: acme-invoices, PublicAccessBlockConfiguration: {BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true}}}]
    when:
      - event: {source: aws.s3, detail-type: 'AWS API Call via CloudTrail', resources: ['arn:aws:s3:::acme-invoices'], detail: {eventName: DeleteBucketPublicAccessBlock}}
    then:
      open: 0
      evaluations: [{rule: s3-bucket-level-public-access-prohibited, resource: acme-invoices, compliance: COMPLIANT}]
  - name: the finding of what is gone is archived
    given: {scenario: demo}
    when:
      - scan: true
      - {call: 's3:DeleteBucket', input: {Bucket: acme-invoices}}
      - event: {source: aws.s3, detail-type: 'AWS API Call via CloudTrail', detail: {eventName: DeleteBucket, requestParameters: {bucketName: acme-invoices}}}
    then:
      findings: [{rule: s3-bucket-level-public-access-prohibited, resource: acme-invoices, state: archived}]
  - name: an item that an event names
    given:
      items:
        - {resourceType: 'AWS::EC2::Volume', resourceId: vol-1, configuration: {encrypted: false, attachments: [{instanceId: i-1}]}}
        - {resourceType: 'AWS::EC2::Volume', resourceId: vol-2, configuration: {encrypted: true, attachments: [{instanceId: i-1}]}}
    when: [{event: {source: x, detail-type: y, detail: {a: [{b: vol-1}]}}}]
    then:
      evaluations: [{rule: encrypted-volumes, resource: vol-1, compliance: NON_COMPLIANT}]
`)
	if out, _ := knowngood(t, 0, "test", "-v", dir); strings.Count(out, "--- PASS") != 5 {
		t.Errorf("%s", out)
	}
}

// Each of these must fail, say why, and be so in JUnit's form.
func TestWhatIsNotSoAfterAnEventFails(t *testing.T) {
	for name, c := range map[string]struct{ given, event, then, want string }{
		"not named":    {"scenario: demo", "{source: x, detail-type: y, detail: {a: another}}", "evaluations: [{rule: s3-bucket-level-public-access-prohibited, resource: acme-invoices, compliance: NON_COMPLIANT}]", "was not evaluated on acme-invoices"},
		"not so":       {"scenario: demo", "{source: x, detail-type: y, detail: {a: acme-invoices}}", "evaluations: [{rule: s3-bucket-level-public-access-prohibited, resource: acme-invoices, compliance: COMPLIANT}]", "NON_COMPLIANT"},
		"no trail":     {"scenario: demo", "{call: 's3:DeletePublicAccessBlock', input: {Bucket: acme-invoices}}", "open: 1", "no event came of s3:DeletePublicAccessBlock"},
		"wrong call":   {"scenario: demo", "{call: 's3:DeletePublicAccessBlock', input: {Bucket: nobodys}}", "open: 1", "NoSuchBucket"},
		"another item": {"items: [{resourceType: 'AWS::EC2::Volume', resourceId: vol-1, configuration: {encrypted: false}}]", "{source: x, detail-type: y, detail: {a: vol-2}}", "evaluations: [{rule: encrypted-volumes, resource: vol-1, compliance: NON_COMPLIANT}]", "was not evaluated on vol-1"},
		"elsewhere":    {"scenario: demo", "{source: x, detail-type: y, account: '444455556666', detail: {}}", "open: 0", "444455556666"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeTests(t, "tests:\n  - name: t\n    given: {"+c.given+"}\n    when: [{event: "+c.event+"}]\n    then: {"+c.then+"}\n")
			junit := filepath.Join(dir, "junit.xml")
			out, _ := knowngood(t, 1, "test", dir, "--junit", junit)
			if !strings.Contains(out, c.want) || !strings.Contains(out, "--- FAIL: t") {
				t.Errorf("%s", out)
			}
			raw, err := os.ReadFile(junit)
			if err != nil {
				t.Fatal(err)
			}
			var suites struct {
				Suites []struct {
					Cases []struct {
						Name    string `xml:"name,attr"`
						Failure struct {
							Text string `xml:",chardata"`
						} `xml:"failure"`
					} `xml:"testcase"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(raw, &suites); err != nil || !strings.Contains(suites.Suites[0].Cases[0].Failure.Text, c.want) {
				t.Errorf("%v\n%s", err, raw)
			}
		})
	}
}

func TestEventsThatCantBeExit2(t *testing.T) {
	for name, c := range map[string]struct{ given, event, want string }{
		"nothing":         {"scenario: demo", "{}", "either a call or an envelope"},
		"both":            {"scenario: demo", "{call: 's3:DeletePublicAccessBlock', source: x}", "either a call or an envelope"},
		"half a one":      {"scenario: demo", "{source: x, detail-type: y}", "a source, a detail-type and a detail"},
		"a call of items": {"items: [{resourceId: x}]", "{call: 's3:DeletePublicAccessBlock'}", "items stand in place"},
		"an unknown key":  {"scenario: demo", "{sauce: x}", "sauce"},
	} {
		dir := writeTests(t, "tests:\n  - name: t\n    given: {"+c.given+"}\n    when: [{event: "+c.event+"}]\n    then: {open: 0}\n")
		if _, errs := knowngood(t, 2, "test", dir); !strings.Contains(errs, c.want) {
			t.Errorf("%s: %s", name, errs)
		}
	}
}

func TestRulesOfTrialsLookOtherItemsUp(t *testing.T) {
	dir := writeTests(t, `tests:
  - name: a VPC's flow logs
    given:
      governance: [pack.yaml]
      items:
        - {resourceType: 'AWS::EC2::VPC', resourceId: vpc-1, configuration: {vpcId: vpc-1}}
        - {resourceType: 'AWS::EC2::VPC', resourceId: vpc-2, configuration: {vpcId: vpc-2}}
        - {resourceType: 'AWS::EC2::FlowLog', resourceId: fl-1, configuration: {resourceId: vpc-1, trafficType: ALL, flowLogStatus: ACTIVE}}
    when: [{scan: true}]
    then:
      evaluations:
        - {rule: logged, resource: vpc-1, compliance: COMPLIANT}
        - {rule: logged, resource: vpc-2, compliance: NON_COMPLIANT}
`)
	pack := `Resources:
  Logged:
    Type: AWS::Config::ConfigRule
    Properties: {ConfigRuleName: logged, Source: {Owner: AWS, SourceIdentifier: VPC_FLOW_LOGS_ENABLED}}
`
	if err := os.WriteFile(filepath.Join(dir, "pack.yaml"), []byte(pack), 0o600); err != nil {
		t.Fatal(err)
	}
	knowngood(t, 0, "test", dir)
}
