package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// The rule looks up flow logs, which the item of the VPC does not have.
const flowLogs = `
Resources:
  Logged:
    Type: AWS::Config::ConfigRule
    Properties:
      ConfigRuleName: logged
      Source: {Owner: AWS, SourceIdentifier: VPC_FLOW_LOGS_ENABLED}
  LoggedRemediation:
    Type: AWS::Config::RemediationConfiguration
    Properties:
      ConfigRuleName: logged
      TargetType: SSM_DOCUMENT
      TargetId: RUNBOOK
      Parameters: {VpcId: {ResourceValue: {Value: RESOURCE_ID}}}
`

const logVPC = `
schemaVersion: '0.3'
description: Logs the flows of a VPC.
parameters: {VpcId: {type: String}}
mainSteps:
  - name: Log
    action: aws:executeAwsApi
    inputs:
      Service: ec2
      Api: CreateFlowLogs
      ResourceIds: ['{{ VpcId }}']
      ResourceType: VPC
      TrafficType: ALL
      LogDestinationType: s3
      LogDestination: arn:aws:s3:::acme-flows
`

// loop is a session on a sandbox in this process.
type loop struct {
	*session
	t          *testing.T
	box        *sandbox.Sandbox
	everywhere *governances
}

func newLoop(t *testing.T, o governanceOptions) *loop {
	t.Helper()
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	clock := sandbox.NewClock(time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC))
	box, err := sandbox.New(sandbox.Options{Catalog: c, Clock: clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := box.Credentials()
	ses, err := newSession(t.Context(), awsapi.Config{Catalog: c, Region: box.Region(), HTTPClient: awsapi.HandlerDoer(box), Credentials: awsapi.StaticCredentials(id, secret, "")}, clock, storeOptions{state: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ses.store.Close() })
	ses.paced = false
	return &loop{ses, t, box, o.in(ses.place)}
}

func (l *loop) do(service, operation string, in map[string]any) map[string]any {
	l.t.Helper()
	return l.doIn(l.place.Region, service, operation, in)
}

func (l *loop) doIn(region, service, operation string, in map[string]any) map[string]any {
	l.t.Helper()
	out, err := l.client.Call(l.t.Context(), service, operation, in, awsapi.Region(region))
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func (l *loop) look() *scanReport {
	l.t.Helper()
	at, err := l.estate(l.t.Context(), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	report, err := l.scan(l.t.Context(), l.everywhere, reading{at: at})
	if err != nil {
		l.t.Fatal(err)
	}
	return report
}

// What a rule looks up is read afresh when a fix is planned and when it is verified,
// and nothing else is; where it can't be read, the fix is not verified.
func TestVerificationReadsWhatTheRuleLooksUp(t *testing.T) {
	for _, denied := range []bool{false, true} {
		dir := t.TempDir()
		book, pack := filepath.Join(dir, "log.yaml"), filepath.Join(dir, "pack.yaml")
		for file, text := range map[string]string{book: logVPC, pack: strings.ReplaceAll(flowLogs, "RUNBOOK", book)} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l := newLoop(t, governanceOptions{paths: []string{pack}})
		l.do("s3", "CreateBucket", map[string]any{"Bucket": "acme-flows", "CreateBucketConfiguration": map[string]any{"LocationConstraint": l.place.Region}})
		vpc := l.do("ec2", "CreateVpc", map[string]any{"CidrBlock": "10.7.0.0/16"})["Vpc"].(map[string]any)["VpcId"].(string)
		var found *knowngood.Finding
		for _, f := range l.look().Findings {
			if f.Resource.ID == vpc {
				found = &f
			}
		}
		if found == nil {
			t.Fatal("a VPC without a flow log is no finding")
		}
		g, err := l.everywhere.at(l.place.Region)
		if err != nil {
			t.Fatal(err)
		}
		before := len(l.box.Calls())
		plan, err := l.planFinding(t.Context(), g, *found)
		if err != nil {
			t.Fatal(err)
		}
		approval := knowngood.Approval{PlanHash: plan.Hash, RunID: plan.RunID, By: "ann", Approved: true, Incomplete: true, Time: l.clock.Now()}
		if err := l.store.PutApproval(t.Context(), approval); err != nil {
			t.Fatal(err)
		}
		if denied {
			l.box.Inject(sandbox.Fault{Service: "ec2", Operation: "DescribeFlowLogs", Count: 1 << 20, Error: &awsapi.Error{Status: 403, Code: "UnauthorizedOperation"}})
		}
		result, err := l.remediator(g, nil).Apply(t.Context(), plan, []knowngood.Approval{approval}, knowngood.Retry{})
		if err != nil {
			t.Fatal(err)
		}
		want := knowngood.RunSuccess
		if denied {
			want = knowngood.RunUnverified
		}
		if result.State != want || denied && !strings.Contains(result.Message, "INSUFFICIENT_DATA") {
			t.Errorf("denied %v: the run is %s: %s", denied, result.State, result.Message)
		}
		for _, c := range l.box.Calls()[before:] {
			if !slices.Contains([]string{"DescribeVpcs", "DescribeFlowLogs", "CreateFlowLogs"}, c.Operation) || c.Region != l.place.Region {
				t.Errorf("%s:%s was called in %s", c.Service, c.Operation, c.Region)
			}
		}
	}
}
