package remedy

import (
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

func TestWhereAMemberIsSensitive(t *testing.T) {
	e := newEstate(t)
	made := placeholder(ref{"w1", "SecretString"})
	for _, c := range []struct {
		operation string
		in        map[string]any
		want      string
	}{
		{"secretsmanager:CreateSecret", map[string]any{"Name": "x", "SecretString": made}, ""}, // a response's value
		{"secretsmanager:CreateSecret", map[string]any{"Name": "x", "SecretString": "a"}, "SecretString"},
		{"secretsmanager:CreateSecret", map[string]any{"Name": "x", "SecretString": "{" + sealOpen + "P 00" + sealClose + "}"}, ""},
		{"rds:CreateDBInstance", map[string]any{"DBInstanceIdentifier": "x", "Tags": []any{map[string]any{"Key": "a", "Value": "b"}}}, ""},
		{"lambda:UpdateFunctionConfiguration", map[string]any{"Environment": map[string]any{"Variables": map[string]any{"A": "b"}}}, "Environment.Variables"},
		{"lambda:UpdateFunctionConfiguration", map[string]any{"Environment": map[string]any{"Variables": map[string]any{"A": sealOpen + "P 00" + sealClose}}}, ""},
	} {
		op := operationNamed(t, e.catalog, c.operation)
		if got, _ := sensitiveMember(op.Input, c.in, ""); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.operation, c.in, got, c.want)
		}
	}
}

func operationNamed(t *testing.T, catalog *awsapi.Catalog, name string) *awsapi.Operation {
	t.Helper()
	for i := range name {
		if name[i] == ':' {
			op, err := catalog.Operation(name[:i], name[i+1:])
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
	}
	t.Fatalf("%s is no service:Operation", name)
	return nil
}
