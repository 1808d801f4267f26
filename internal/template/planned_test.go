package template

import (
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/planned"
)

var plannedReferences = map[string]planned.Reference{
	"AWS::S3::Bucket": {Name: "BucketName", ARN: "arn:{partition}:s3:::{id}"},
	"AWS::SNS::Topic": {ARN: "arn:{partition}:sns:{region}:{account}:{id}", Ref: "arn"},
	"AWS::EC2::VPC":   {ID: "vpc-{id}", Attributes: map[string]string{"VpcId": "id"}},
}

func plan(t *testing.T, text string, parameters map[string]string) *planned.Plan {
	t.Helper()
	p, err := Planned("t.yaml", []byte(text), Inputs{Parameters: parameters, Account: "111122223333", Region: "eu-west-1", Partition: "aws"}, plannedReferences)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlannedWorksFunctionsOut(t *testing.T) {
	p := plan(t, `
Parameters:
  Env: {Type: String}
  Given: {Type: String, Default: dev}
  List: {Type: CommaDelimitedList, Default: "a, b"}
  Image: {Type: "AWS::SSM::Parameter::Value<String>", Default: /x}
Mappings: {Sizes: {eu-west-1: {dev: 8}}}
Conditions:
  Prod: !Equals [!Ref Env, prod]
  Dev: !Equals [!Ref Given, dev]
  Either: !Or [!Condition Prod, !Condition Dev]
  Both: !And [!Condition Prod, !Not [!Condition Dev]]
Resources:
  Topic: {Type: AWS::SNS::Topic}
  Net: {Type: AWS::EC2::VPC}
  Named: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "${Given}-logs"}}
  Other: {Type: Some::Other::Type}
  All:
    Type: AWS::S3::Bucket
    Properties:
      Size: !FindInMap [Sizes, !Ref "AWS::Region", !Ref Given]
      Named: !Ref Named
      NamedArn: !GetAtt Named.Arn
      Joined: !Join ["-", [!Ref Given, x]]
      Topic: !Ref Topic
      Vpc: !GetAtt Net.VpcId
      Second: !Select [1, !Ref List]
      Gone: !Ref AWS::NoValue
      IfDev: !If [Dev, 1, 2]
      Either: !If [Either, "yes", "no"]
      Both: !If [Both, "yes", "no"]
      Text: !Base64 x
      Length: {"Fn::Length": [1, 2]}
      JSON: {"Fn::ToJsonString": {a: [1]}}
      Literal: !Sub "${!Given}"
      Unknown1: !Ref Env
      Unknown2: !Sub "x-${Env}"
      Unknown3: !If [Prod, 1, 2]
      Unknown4: !Ref Other
      Unknown5: !GetAtt Named.WebsiteURL
      Unknown6: !ImportValue x
      Unknown7: !Ref Image
      Unknown8: "{{resolve:ssm:/x}}"
      Unknown9: !Join [",", !GetAZs ""]
`, nil)
	got := p.Resources[len(p.Resources)-1].Properties
	for name, v := range got {
		if _, unknown := v.(planned.Unknown); unknown != strings.HasPrefix(name, "Unknown") {
			t.Errorf("%s is %v", name, v)
		}
		if strings.HasPrefix(name, "Unknown") {
			delete(got, name)
		}
	}
	want := map[string]any{
		"Size": int64(8), "Named": "dev-logs", "NamedArn": "arn:aws:s3:::dev-logs", "Joined": "dev-x", "Topic": "arn:aws:sns:eu-west-1:111122223333:${Topic}", "Vpc": "vpc-${Net}",
		"Second": "b", "IfDev": int64(1), "Either": "yes", "Both": "no", "Text": "eA==", "Length": int64(2), "JSON": `{"a":[1]}`, "Literal": "${Given}",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%#v, want\n%#v", got, want)
	}
	if len(p.Notes) > 0 || len(p.NotEvaluated) > 0 {
		t.Errorf("notes %v, not evaluated %v", p.Notes, p.NotEvaluated)
	}
}

func TestPlannedTellsWhatIsMadeAndWhere(t *testing.T) {
	p := plan(t, `
Parameters: {Env: {Type: String}}
Conditions: {Never: !Equals [a, b], Perhaps: !Equals [!Ref Env, b]}
Resources:
  Not: {Type: AWS::S3::Bucket, Condition: Never}
  Perhaps:
    Type: AWS::S3::Bucket
    Condition: Perhaps
  Nested: {Type: AWS::CloudFormation::Stack}
  Function: {Type: AWS::Serverless::Function}
  Fn::ForEach::Many: [x, [a, b], {"B${x}": {Type: AWS::S3::Bucket}}]
`, nil)
	if len(p.Resources) != 1 || p.Resources[0].Address != "Perhaps" || p.Resources[0].Maybe == "" || p.Resources[0].Line != 6 {
		t.Errorf("resources %+v", p.Resources)
	}
	if len(p.NotEvaluated) != 3 {
		t.Errorf("not evaluated %v", p.NotEvaluated)
	}
}

func TestAMacroPutsEverythingInDoubt(t *testing.T) {
	for transform, doubtful := range map[string]bool{"MyMacro": true, "{Name: AWS::Include, Parameters: {Location: s3}}": true, "[AWS::LanguageExtensions, AWS::Serverless-2016-10-31]": false} {
		p := plan(t, "Transform: "+transform+"\nResources: {B: {Type: AWS::S3::Bucket}}", nil)
		if (p.Resources[0].Doubt != "") != doubtful || (len(p.NotEvaluated) > 0) != doubtful {
			t.Errorf("%s: doubt %q, %v", transform, p.Resources[0].Doubt, p.NotEvaluated)
		}
	}
}

func TestPlannedRefusesWhatIsNoTemplate(t *testing.T) {
	for text, want := range map[string]string{"a: 1": "no Resources", "[1]": "no Resources", "Resources: {}": "no Resources", "": "empty"} {
		if _, err := Planned("t.yaml", []byte(text), Inputs{}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, err := Planned("t.yaml", []byte("Resources: {B: {Type: T}}"), Inputs{Parameters: map[string]string{"X": "1"}}, nil)
	if err == nil || !strings.Contains(err.Error(), `no parameter "X"`) {
		t.Error(err)
	}
}

func FuzzPlanned(f *testing.F) {
	for _, seed := range []string{
		"Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub '${P}-${AWS::Region}', Tags: [{Key: a, Value: !GetAtt B.Arn}]}}}\nParameters: {P: {Type: String, Default: x}}",
		`{"Resources": {"B": {"Type": "AWS::S3::Bucket", "Condition": "C", "Properties": {"Fn::If": ["C", {"Ref": "B"}, {"Fn::FindInMap": ["M", "a", "b"]}]}}}, "Conditions": {"C": {"Fn::Not": [{"Condition": "C"}]}}, "Mappings": {"M": {"a": {"b": {"Fn::FindInMap": ["M", "a", "b"]}}}}}`,
		`{"Resources": {"": {"Type": 0}}}`,
		"Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref B}}, B: {Type: AWS::S3::Bucket, Properties: {BucketName: !Ref A}}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Planned("t", data, Inputs{Account: "111122223333", Region: "eu-west-1", Partition: "aws"}, plannedReferences)
		if (p == nil) == (err == nil) {
			t.Fatalf("plan %v and error %v", p, err)
		}
		if err != nil {
			return
		}
		for _, r := range p.Resources {
			if r.Type == "" || r.Address == "" || r.File != "t" || r.Properties == nil {
				t.Fatalf("%+v", r)
			}
		}
	})
}
