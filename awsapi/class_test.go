package awsapi

import (
	"strings"
	"testing"
)

// The figures are those of the embedded pack. A new pack changes them, and then
// what is new has to be looked at: reads by a verb first.
func TestClassesOfAllOperations(t *testing.T) {
	c := embeddedCatalog(t)
	counts := map[Class]int{}
	for _, name := range c.Services() {
		s, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range s.Operations() {
			o, err := s.Operation(op)
			if err != nil {
				t.Fatal(err)
			}
			counts[o.Class()]++
		}
	}
	want := map[Class]int{Read: 7838, SensitiveRead: 195, Write: 10345}
	for class, n := range want {
		if counts[class] != n {
			t.Errorf("%d operations are %v, want %d", counts[class], class, n)
		}
	}
}

func TestClassTableNamesOperationsThatExist(t *testing.T) {
	table, err := parseClasses(classesText)
	if err != nil {
		t.Fatal(err)
	}
	c := embeddedCatalog(t)
	for key, class := range table.named {
		service, operation, _ := strings.Cut(key, " ")
		if op, err := c.Operation(service, operation); err != nil || op.Name != operation {
			t.Errorf("%s: %v", key, err)
		} else if table.verbs[verb(operation)] == class {
			t.Errorf("%s is %v by its verb already", key, class)
		}
	}
	for _, p := range table.prefixed {
		service, prefix, _ := strings.Cut(p.prefix, " ")
		s, err := c.Service(service)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(strings.Join(s.Operations(), " "), prefix) {
			t.Errorf("%s* is no operation", p.prefix)
		}
	}
}

func TestClasses(t *testing.T) {
	c := embeddedCatalog(t)
	for name, want := range map[string]Class{
		"ec2 DescribeVolumes": Read, "ec2 CreateSnapshot": Write, "ec2 GetPasswordData": SensitiveRead, "ec2 ModifyInstanceAttribute": Write,
		"sts GetCallerIdentity": Read, "sts AssumeRole": SensitiveRead, "sts GetSessionToken": SensitiveRead,
		"s3 HeadBucket": Read, "s3 GetObject": Read, "s3 PutPublicAccessBlock": Write, "s3 CreateSession": SensitiveRead,
		"kms Decrypt": SensitiveRead, "kms GenerateDataKeyWithoutPlaintext": SensitiveRead, "kms DescribeKey": Read,
		"secretsmanager GetSecretValue": SensitiveRead, "secretsmanager BatchGetSecretValue": SensitiveRead, "secretsmanager ListSecrets": Read,
		"ssm GetParameter": SensitiveRead, "ssm SendCommand": Write, "sqs ReceiveMessage": SensitiveRead, "sqs GetQueueUrl": Read,
		"lambda Invoke": SensitiveRead, "lambda GetFunction": Read, "dynamodb BatchGetItem": Read, "dynamodb BatchWriteItem": Write,
		"dynamodb ExecuteStatement": SensitiveRead, "ecr GetAuthorizationToken": SensitiveRead, "ecr BatchCheckLayerAvailability": Read,
		"iam GenerateCredentialReport": SensitiveRead, "iam GetCredentialReport": Read, "iam SimulatePrincipalPolicy": Read,
		"cognito-idp AdminGetUser": Read, "cognito-idp AdminInitiateAuth": Write, "cognito-identity GetId": Write,
		"stepfunctions GetActivityTask": Write, "license-manager CheckInLicense": Write, "apigateway GenerateClientCertificate": Write,
		"cloudformation DetectStackDrift": Write, "bedrock-agentcore GetWorkloadAccessTokenForJWT": SensitiveRead,
	} {
		service, operation, _ := strings.Cut(name, " ")
		op, err := c.Operation(service, operation)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := op.Class(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestVerbs(t *testing.T) {
	for name, want := range map[string]string{
		"GetId": "Get", "BatchGetItem": "Get", "AdminListDevices": "List", "CheckInLicense": "Check", "Query": "Query", "IssueCertificate": "Issue",
		"ListV2Things": "List", "Get": "Get", "Batch": "", "": "", "Getaway": "Getaway", "HeadObject": "Head", "BatchPutAttributes": "Put",
	} {
		if got := verb(name); got != want {
			t.Errorf("verb of %q is %q, want %q", name, got, want)
		}
	}
}

func TestSecretsOnlyOnDemand(t *testing.T) {
	c := embeddedCatalog(t)
	for name, ask := range secretOnDemand {
		service, operation, _ := strings.Cut(name, " ")
		op, err := c.Operation(service, operation)
		if err != nil {
			t.Fatal(err)
		}
		if m := op.Input.Member(ask.member); m == nil || m.Shape.Type != Boolean {
			t.Errorf("%s has no boolean %s", name, ask.member)
		}
		if got := op.ClassOf(map[string]any{ask.member: ask.harmless}); got != Read {
			t.Errorf("%s with %s %v is %v", name, ask.member, ask.harmless, got)
		}
		if got := op.ClassOf(map[string]any{ask.member: !ask.harmless}); got != SensitiveRead {
			t.Errorf("%s with %s %v is %v", name, ask.member, !ask.harmless, got)
		}
		if got := op.ClassOf(map[string]any{ask.member: "true"}); got != SensitiveRead {
			t.Errorf("%s with text is %v", name, got)
		}
	}
	get, err := c.Operation("ssm", "GetParameter")
	if err != nil {
		t.Fatal(err)
	}
	if got := get.ClassOf(nil); got != Read {
		t.Errorf("GetParameter without input is %v", got)
	}
	connection, err := c.Operation("glue", "GetConnection")
	if err != nil {
		t.Fatal(err)
	}
	if got := connection.ClassOf(nil); got != SensitiveRead {
		t.Errorf("GetConnection without input is %v: it shows passwords unless told not to", got)
	}
}

// A read whose output may hold AWS credentials would let a plan have them.
func TestNoReadHandsOutCredentials(t *testing.T) {
	c := embeddedCatalog(t)
	for _, name := range c.Services() {
		s, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range s.ops {
			o := &s.ops[i]
			if o.Class() != Read || o.Output == nil {
				continue
			}
			if path := findMember(o.Output, map[*Shape]bool{}, func(m *Member) bool {
				n := foldName(m.Name)
				return m.Shape.Type == String && (n == "secretaccesskey" || n == "sessiontoken" || n == "refreshtoken" && m.Shape.Is(Sensitive))
			}); path != "" {
				t.Errorf("%s %s is a read, and its output has %s", name, o.Name, path)
			}
		}
	}
}

func findMember(s *Shape, seen map[*Shape]bool, match func(*Member) bool) string {
	if seen[s] {
		return ""
	}
	seen[s] = true
	for i := range s.Members {
		m := &s.Members[i]
		if match(m) {
			return m.Name
		}
		if path := findMember(m.Shape, seen, match); path != "" {
			return m.Name + "." + path
		}
	}
	if s.Elem != nil {
		return findMember(s.Elem.Shape, seen, match)
	}
	return ""
}

func TestClassTableWithErrors(t *testing.T) {
	for text, want := range map[string]string{
		"read ec2":              "line 1: \"read ec2\" has 2 words",
		"\nreed ec2 GetX":       "line 2: \"reed\" is no class",
		"verb reed Get":         "\"reed\" is no class",
		"verb read Get Get":     "verb Get is there twice",
		"read a B\nwrite a B":   "line 2: a B is there twice",
		"# fine\nread a B C*\n": "",
	} {
		_, err := parseClasses(text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func embeddedCatalog(t testing.TB) *Catalog {
	t.Helper()
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return c
}
