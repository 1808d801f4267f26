package remedy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// What a script reads back is as its writes have it, where the models have it by the
// same names; the rest is as it is live.
func TestReadsReflectWhatIsPlanned(t *testing.T) {
	cat, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ write, in, read, ask, live, want string }{
		"a structure": {"s3:PutPublicAccessBlock", `{"Bucket":"b","PublicAccessBlockConfiguration":{"BlockPublicAcls":true}}`, "s3:GetPublicAccessBlock", `{"Bucket":"b"}`,
			`{}`, `{"PublicAccessBlockConfiguration":{"BlockPublicAcls":true}}`},
		"a value in a structure of its own": {"ec2:ModifySubnetAttribute", `{"SubnetId":"s-1","MapPublicIpOnLaunch":{"Value":false}}`, "ec2:DescribeSubnets", `{"SubnetIds":["s-1"]}`,
			`{"Subnets":[{"SubnetId":"s-1","MapPublicIpOnLaunch":true,"VpcId":"v"},{"SubnetId":"s-2","MapPublicIpOnLaunch":true}]}`,
			`{"Subnets":[{"SubnetId":"s-1","MapPublicIpOnLaunch":false,"VpcId":"v"},{"SubnetId":"s-2","MapPublicIpOnLaunch":true}]}`},
		"deep within": {"ec2:ModifyInstanceMetadataOptions", `{"InstanceId":"i-1","HttpTokens":"required"}`, "ec2:DescribeInstances", `{"InstanceIds":["i-1"]}`,
			`{"Reservations":[{"Instances":[{"InstanceId":"i-1","MetadataOptions":{"HttpTokens":"optional","HttpEndpoint":"enabled"}}]}]}`,
			`{"Reservations":[{"Instances":[{"InstanceId":"i-1","MetadataOptions":{"HttpTokens":"required","HttpEndpoint":"enabled"}}]}]}`},
		"one of a list": {"iam:UpdateAccessKey", `{"UserName":"u","AccessKeyId":"A","Status":"Inactive"}`, "iam:ListAccessKeys", `{"UserName":"u"}`,
			`{"AccessKeyMetadata":[{"UserName":"u","AccessKeyId":"A","Status":"Active"},{"UserName":"u","AccessKeyId":"B","Status":"Active"}]}`,
			`{"AccessKeyMetadata":[{"UserName":"u","AccessKeyId":"A","Status":"Inactive"},{"UserName":"u","AccessKeyId":"B","Status":"Active"}]}`},
		"an attribute by its name": {"sns:SetTopicAttributes", `{"TopicArn":"t","AttributeName":"DisplayName","AttributeValue":"x"}`, "sns:GetTopicAttributes", `{"TopicArn":"t"}`,
			`{"Attributes":{"Owner":"o"}}`, `{"Attributes":{"Owner":"o","DisplayName":"x"}}`},
		"what it makes": {"logs:CreateLogGroup", `{"logGroupName":"g"}`, "logs:DescribeLogGroups", `{"logGroupNamePrefix":"g"}`,
			`{"logGroups":[{"logGroupName":"gg"}]}`, `{"logGroups":[{"logGroupName":"gg"},{"logGroupName":"g"}]}`},
		"nothing that it doesn't ask for": {"logs:CreateLogGroup", `{"logGroupName":"g"}`, "logs:DescribeLogGroups", `{"logGroupNamePrefix":"h"}`, `{"logGroups":[]}`, `{"logGroups":[]}`},
		"nothing of another service":      {"logs:CreateLogGroup", `{"logGroupName":"g"}`, "ec2:DescribeFlowLogs", `{}`, `{"FlowLogs":[]}`, `{"FlowLogs":[]}`},
	} {
		var o overlay
		o.written = map[string]bool{}
		o.wrote(operationOf(t, cat, c.write), object(t, c.in))
		out := object(t, c.live)
		o.reflect(operationOf(t, cat, c.read), object(t, c.ask), out)
		if got, want := text(out), text(object(t, c.want)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func operationOf(t *testing.T, cat *awsapi.Catalog, name string) *awsapi.Operation {
	t.Helper()
	service, operation, _ := strings.Cut(name, ":")
	op, err := cat.Operation(service, operation)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A script that puts what an earlier write of its brings into JSON: Python writes the
// marks of placeholders as escapes, and the plan knows them still.
func TestAPlaceholderWithinJSONIsKnown(t *testing.T) {
	e := newEstate(t)
	v := e.attach("", nil)
	type caller = func(string, map[string]any, ...awsapi.CallOption) map[string]any
	script := func(call caller, _ runbook.ScriptRequest) any {
		s := call("ec2:CreateSnapshot", map[string]any{"VolumeId": v})["SnapshotId"].(string)
		written := strings.NewReplacer(refOpen, `\ue000`, refSplit, `\ue001`, refClose, `\ue002`).Replace(`{"of": "` + s + `"}`)
		call("ec2:CreateTags", map[string]any{"Resources": []any{v}, "Tags": []any{map[string]any{"Key": "backup", "Value": written}}})
		return nil
	}
	plan, err := e.planScript(script, v)
	if err != nil {
		t.Fatal(err)
	}
	if in := text(plan.Parts[0].Calls[1].Input); !strings.Contains(in, `"$ref"`) {
		t.Errorf("planned: %s", in)
	}
	if end := e.applyScript(plan, script); end.State != knowngood.RunSuccess {
		t.Errorf("%+v", end)
	}
}

func TestAnEmptyListIsNoSecret(t *testing.T) {
	cat, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	op := operationOf(t, cat, "ecs:RegisterTaskDefinition")
	for in, want := range map[string]string{
		`{"containerDefinitions":[{"environment":[]}]}`:                         "",
		`{"containerDefinitions":[{"environment":[{"name":"a","value":"b"}]}]}`: "containerDefinitions[0].environment",
	} {
		if got, _ := sensitiveMember(op.Input, object(t, in), ""); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// A default that Parameter Store has is read before the parameters are bound, with
// the caller's own credentials, for the role itself may be such a parameter.
func TestDefaultsThatParameterStoreHas(t *testing.T) {
	l := newLoop(t)
	l.do("ssm", "PutParameter", map[string]any{"Name": "/tags/owner", "Type": "String", "Value": "ada"})
	file := filepath.Join(t.TempDir(), "tag.yaml")
	book := `schemaVersion: '0.3'
parameters:
  Owner: {type: String, default: '{{ssm:/tags/owner}}'}
mainSteps:
  - {name: Tag, action: 'aws:executeAwsApi', inputs: {Service: sns, Api: CreateTopic, Name: '{{ Owner }}'}}
`
	if err := os.WriteFile(file, []byte(book), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := l.Content.Runbook(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := l.Plan(t.Context(), l.place(), b, nil, knowngood.ResourceKey{ID: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Parameters["Owner"] != "ada" {
		t.Errorf("planned with %v", plan.Parameters)
	}
}
