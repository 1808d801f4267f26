package rule

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

const (
	publicPolicy  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}`
	tlsPolicy     = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`
	otherPolicy   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"sts:AssumeRole"}]}`
	servicePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	adminPolicy   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	serviceAccess = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","kms:Decrypt"],"Resource":"*"}]}`
)

// hostItem is what the expressions of these tests read.
func hostItem() *knowngood.Resource {
	encoded := strings.NewReplacer("{", "%7B", "}", "%7D", `"`, "%22", "[", "%5B", "]", "%5D", " ", "%20").Replace(otherPolicy)
	return &knowngood.Resource{
		Type: "AWS::S3::Bucket", ID: "b", AccountID: "111122223333", Region: "eu-west-1", Status: knowngood.ItemOK,
		Configuration: map[string]any{
			"public": publicPolicy, "tls": tlsPolicy, "other": otherPolicy, "encoded": encoded, "service": servicePolicy, "admin": adminPolicy, "access": serviceAccess,
			"document": map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}}},
			"acl":      `{"grantSet":null,"grantList":[{"permission":"Read","n":9007199254740993}],"half":0.5}`, "number": int64(7), "broken": "{",
			"ports": []any{int64(22), "1020-1025"}, "list": []any{"a", "b"},
		},
		Relationships: []knowngood.Relationship{{Type: "AWS::KMS::Key", ID: "k-1"}, {Type: "AWS::EC2::VPC", ID: "vpc-gone"}},
	}
}

// evaluated gives what an expression comes to: true, false, or its error.
func evaluated(t *testing.T, source string, item *knowngood.Resource, lookup Lookup) string {
	t.Helper()
	d := &Definition{Name: "r", Title: "t", ResourceTypes: []string{item.Type}, Compliant: source}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf("%s: "+problem, append([]any{source}, args...)...) })
	r, err := Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := r.Evaluate(item, time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC), lookup)
	switch got.Compliance {
	case knowngood.Compliant:
		return "true"
	case knowngood.NonCompliant:
		return "false"
	}
	return got.Annotation
}

func TestHostFunctions(t *testing.T) {
	others := testLookup{
		{Type: "AWS::KMS::Key", ID: "k-1", Configuration: map[string]any{"enabled": true}},
		{Type: "AWS::KMS::Key", ID: "k-2", Configuration: map[string]any{"enabled": false}, Unread: []knowngood.ReadError{{Path: "configuration.policy", Service: "kms", Operation: "GetKeyPolicy", Code: "AccessDenied"}}},
		{Type: "AWS::KMS::Key", ID: "k-3", Status: knowngood.ItemDeleted},
	}
	for source, want := range map[string]string{
		`policyIsPublic(resource.configuration.public)`:                                                            "true",
		`policyIsPublic(resource.configuration.document)`:                                                          "true",
		`policyIsPublic(resource.configuration.tls)`:                                                               "false",
		`policyIsPublic(resource.configuration.number)`:                                                            "no such overload",
		`policyIsPublic(resource.configuration.broken)`:                                                            "not a policy document",
		`policyGrantsOutside(resource.configuration.other, [resource.accountId])`:                                  "true",
		`policyGrantsOutside(resource.configuration.encoded, [resource.accountId])`:                                "true",
		`policyGrantsOutside(resource.configuration.encoded, ['444455556666'])`:                                    "false",
		`policyGrantsOutside(resource.configuration.service, [])`:                                                  "false",
		`policyGrantsOutside(resource.configuration.service, [1])`:                                                 "no such overload",
		`policyAllowsActions(resource.configuration.access, ['kms:Decrypt'])`:                                      "true",
		`policyAllowsActions(resource.configuration.access, ['kms:Encrypt', 's3:*'])`:                              "false",
		`policyAllowsActionsOn(resource.configuration.access, ['kms:Decrypt'], 'arn:aws:kms:*:*:key/*')`:           "true",
		`policyAllowsActionsOn(resource.configuration.document, ['sqs:*'], 'arn:aws:sqs:*:*:*')`:                   "true",
		`policyAllowsActionsOn(resource.configuration.public, ['s3:*'], 'arn:aws:s3:::*')`:                         "false",
		`policyAllowsActionsOn(resource.configuration.number, ['s3:*'], '*')`:                                      "no such overload",
		`policyIsAdmin(resource.configuration.admin)`:                                                              "true",
		`policyIsAdmin(resource.configuration.access)`:                                                             "false",
		`policyGivesFullAccess(resource.configuration.access)`:                                                     "true",
		`policyGivesFullAccess(resource.configuration.service)`:                                                    "false",
		`policyRequiresTls(resource.configuration.tls)`:                                                            "true",
		`policyRequiresTls(resource.configuration.public)`:                                                         "false",
		`cidrContains('10.0.0.0/8', '10.1.2.0/24')`:                                                                "true",
		`cidrContains('10.0.0.0/8', '10.1.2.3')`:                                                                   "true",
		`cidrContains('10.1.2.0/24', '10.0.0.0/8')`:                                                                "false",
		`cidrContains('10.0.0.0/8', '::/0')`:                                                                       "false",
		`cidrContains('10.0.0.0/40', '10.1.2.3')`:                                                                  "neither an address",
		`isAnyCidr('0.0.0.0/0') && isAnyCidr('::/0') && isAnyCidr('0:0::0/0')`:                                     "true",
		`json('{"a": 1}').all(k, k == 'a')`:                                                                        "true",
		`isAnyCidr('0.0.0.0/1')`:                                                                                   "false",
		`isPublicCidr('0.0.0.0/0') && isPublicCidr('8.8.8.8') && isPublicCidr('::/0')`:                             "true",
		`isPublicCidr('10.0.0.0/7')`:                                                                               "true",
		`isPublicCidr('10.20.0.0/16') || isPublicCidr('fd00::/8')`:                                                 "false",
		`isPublicCidr('sg-1')`:                                                                                     "neither an address",
		`portIn(20, 25, [22, 3389]) && portIn(-1, -1, [22])`:                                                       "true",
		`portIn(23, 25, ['22', '3389'])`:                                                                           "false",
		`portIn(1000, 1021, resource.configuration.ports)`:                                                         "true",
		`portIn(1, 2, ['x'])`:                                                                                      "neither a port",
		`portsWithin(1021, 1023, resource.configuration.ports)`:                                                    "true",
		`portsWithin(1020, 1030, ['1025-1030', '1020-1024'])`:                                                      "true",
		`portsWithin(22, 23, resource.configuration.ports)`:                                                        "false",
		`portsWithin(-1, -1, resource.configuration.ports)`:                                                        "false",
		`ageDays('2026-01-01T12:00:00Z') == 10 && ageDays('2026-01-01T12:00:01Z') == 9`:                            "true",
		`ageDays('2026-01-01T12:00:00.000+0000') == 10 && ageDays(now) == 0`:                                       "true",
		`ageDays('2026-01-11T12:00:01Z') == -1 && ageDays(timestamp('2026-01-13T12:00:00Z')) == -2`:                "true",
		`ageDays(1767268800) == 10 && ageDays(1767268800000) == 10`:                                                "true",
		`ageDays('soon') > 1`:                                                                                      "no time",
		`ageDays(true) > 1`:                                                                                        "no such overload",
		`isDate('2026-02-28') && !isDate('2026-02-30') && date('2026-02-28') == timestamp('2026-02-28T00:00:00Z')`: "true",
		`date('x') < now`: "no day",
		`json(resource.configuration.acl).grantList[0].permission == 'Read'`:                                    "true",
		`json(resource.configuration.acl).grantList.exists(g, g.n == 9007199254740993)`:                         "true",
		`has(json(resource.configuration.acl).grantSet)`:                                                        "false",
		`json(resource.configuration.acl).half == 0.5`:                                                          "true",
		`json(resource.configuration.broken) == 1`:                                                              "no JSON document",
		`' Aé '.trim().lowerAscii() == 'aé' && 'aé'.upperAscii() == 'Aé'`:                                       "true",
		`'a,b'.split(',') == resource.configuration.list && resource.configuration.list.join('-') == 'a-b'`:     "true",
		`'a.b'.replace('.', '/') == 'a/b'`:                                                                      "true",
		`lookup('AWS::KMS::Key', 'k-1').configuration.enabled`:                                                  "true",
		`has(lookup('AWS::KMS::Key', 'k-3').resourceId)`:                                                        "false",
		`lookup('AWS::KMS::Key', 'k-4').configuration.enabled`:                                                  "no such key",
		`lookup('AWS::KMS::Key', 'k-2').configuration.policy == ''`:                                             "AccessDenied",
		`lookup('AWS::KMS::Key', 'k-2').configuration.enabled`:                                                  "false",
		`related('AWS::KMS::Key').all(k, k.configuration.enabled) && size(related('AWS::KMS::Key')) == 1`:       "true",
		`related('AWS::EC2::VPC').size() > 0`:                                                                   "was not found",
		`size(related('AWS::EC2::Subnet')) == 0`:                                                                "true",
		`resources('AWS::KMS::Key').exists(k, k.resourceId == 'k-2') && resources('AWS::KMS::Key').size() == 2`: "true",
		`resources('AWS::KMS::Key').exists(k, k.configuration.policy == '')`:                                    "AccessDenied",
	} {
		if got := evaluated(t, source, hostItem(), others); got != want && (want == "true" || want == "false" || !strings.Contains(got, want)) {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
	if got := evaluated(t, `size(resources('AWS::KMS::Key')) == 0`, hostItem(), nil); !strings.Contains(got, "nothing to look") {
		t.Errorf("without a Lookup: %s", got)
	}
}

func TestReadsOfOtherResources(t *testing.T) {
	d := &Definition{Compliant: `lookup('AWS::KMS::Key', resource.configuration.keys[0].id).configuration.enabled &&
		related('AWS::EC2::VPC').all(v, v.tags['env'] == 'x') && size(resources('AWS::EC2::FlowLog')) > 0 && json(resource.configuration.acl).owner.id == ''`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	for of, want := range map[string]string{"AWS::KMS::Key": "configuration.enabled", "AWS::EC2::VPC": "tags.env", "AWS::EC2::FlowLog": ""} {
		if got, ok := d.Others[of]; !ok || strings.Join(got, " ") != want {
			t.Errorf("of %s it reads %q (there: %v), want %q", of, got, ok, want)
		}
	}
	if got := strings.Join(d.Reads, " "); got != "configuration.acl.owner.id configuration.keys.id relationships" {
		t.Errorf("it reads %q", got)
	}
	// Members under a key that is made up are read whole.
	d = &Definition{Compliant: `lookup('AWS::KMS::Key', 'k').configuration[resource.resourceId].on && resource.configuration.m.all(k, resource.configuration.m[k].on)`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	if got := strings.Join(append(d.Others["AWS::KMS::Key"], d.Reads...), " "); got != "configuration configuration.m resourceId" {
		t.Errorf("with keys that are made up it reads %q", got)
	}
	// What a filter leaves are elements of what it went through.
	d = &Definition{Compliant: `resources('AWS::EC2::FlowLog').filter(f, f.configuration.on).exists(f, f.configuration.to == resource.configuration.list.filter(x, x.a)[0].b)`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	if got := strings.Join(append(d.Others["AWS::EC2::FlowLog"], d.Reads...), " "); got != "configuration.on configuration.to configuration.list configuration.list.a configuration.list.b" {
		t.Errorf("with filters it reads %q", got)
	}
	var problem string
	d = &Definition{Compliant: `has(lookup(resource.resourceType, 'x').arn)`}
	d.compile(func(_, _, p string, args ...any) { problem = p })
	if problem == "" {
		t.Error("a look-up of a type that isn't written out was taken")
	}
}

func TestDocumentationNamesEachFunction(t *testing.T) {
	raw, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range hostFunctions() {
		if !strings.Contains(string(raw), "`"+f.name+"(") && !strings.Contains(string(raw), "`"+f.name+"`") {
			t.Errorf("docs/rules.md doesn't name %s", f.name)
		}
	}
	for name := range lookups {
		if !strings.Contains(string(raw), "`"+name+"(") {
			t.Errorf("docs/rules.md doesn't name %s", name)
		}
	}
}

// TestExampleOfTheDocumentation runs the tests of the rule that docs/rules.md shows.
func TestExampleOfTheDocumentation(t *testing.T) {
	raw, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	var rule strings.Builder
	for line := range strings.Lines(string(raw)) {
		text, indented := strings.CutPrefix(line, "    ")
		if !indented && rule.Len() > 0 {
			break
		}
		if indented {
			rule.WriteString(text)
		}
	}
	d, err := Parse("ec2-imdsv2-check.yaml", []byte(rule.String()))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Tests) < 4 {
		t.Errorf("the example has %d tests", len(d.Tests))
	}
	for _, err := range d.Check() {
		t.Error(err)
	}
}
