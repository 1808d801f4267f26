package remedy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestASecretIsNotWrittenIntoAPlan(t *testing.T) {
	l := newLoop(t)
	file := filepath.Join(t.TempDir(), "secret.yaml")
	if err := os.WriteFile(file, []byte(`schemaVersion: '0.3'
parameters:
  Password: {type: String}
mainSteps:
  - name: Keep
    action: aws:executeAwsApi
    inputs: {Service: secretsmanager, Api: CreateSecret, Name: db, SecretString: '{{ Password }}'}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	book, err := l.Content.Runbook(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := l.Plan(t.Context(), l.place(), book, knowngood.Params{"Password": "hunter2"}, knowngood.ResourceKey{ID: "db"}, nil)
	if knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "SecretString") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, %v", plan, err)
	}
}

func TestWhereAMemberIsSensitive(t *testing.T) {
	l := newLoop(t)
	op, err := l.catalog.Operation("rds", "CreateDBInstance")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := l.catalog.Operation("secretsmanager", "CreateSecret")
	if err != nil {
		t.Fatal(err)
	}
	made := placeholder(ref{"w1", "SecretString"})
	if got := sensitiveMember(secret.Input, map[string]any{"Name": "x", "SecretString": made}, ""); got != "" {
		t.Errorf("a response's value: %q", got)
	}
	if got := sensitiveMember(secret.Input, map[string]any{"Name": "x", "SecretString": "a"}, ""); got != "SecretString" {
		t.Errorf("%q", got)
	}
	if got := sensitiveMember(op.Input, map[string]any{"DBInstanceIdentifier": "x", "Tags": []any{map[string]any{"Key": "a", "Value": "b"}}}, ""); got != "" {
		t.Errorf("%q", got)
	}
}
