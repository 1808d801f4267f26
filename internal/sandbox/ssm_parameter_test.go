package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParameters(t *testing.T) {
	w := newWorld(t)
	events := w.heard("operation", "name")
	put := func(name, value, kind string, more ...any) object {
		in := object{"Name": name, "Value": value, "Type": kind}
		for i := 0; i < len(more); i += 2 {
			in[more[i].(string)] = more[i+1]
		}
		return w.do("ssm", "PutParameter", in)
	}
	if got := put("/app/db/user", "ada", "String", "Description", "who"); got["Version"] != int64(1) || got["Tier"] != "Standard" {
		t.Errorf("%v", got)
	}
	put("/app/db/password", "s3cret", "SecureString")
	put("/app/hosts", "a,b", "StringList")
	put("plain", "p", "String")
	w.fails("ParameterAlreadyExists", "ssm", "PutParameter", object{"Name": "/app/db/user", "Value": "x", "Type": "String"})
	if got := w.do("ssm", "PutParameter", object{"Name": "/app/db/user", "Value": "bob", "Overwrite": true}); got["Version"] != int64(2) {
		t.Errorf("%v", got)
	}
	w.fails("HierarchyTypeMismatchException", "ssm", "PutParameter", object{"Name": "/app/db/user", "Value": "x", "Type": "SecureString", "Overwrite": true})
	w.do("ssm", "LabelParameterVersion", object{"Name": "/app/db/user", "ParameterVersion": int64(1), "Labels": ids("old")})
	for name, want := range map[string]string{"/app/db/user": "bob", "/app/db/user:1": "ada", "/app/db/user:old": "ada", "arn:aws:ssm:eu-west-1:111122223333:parameter/app/db/user": "bob", "arn:aws:ssm:eu-west-1:111122223333:parameter/plain": "p"} {
		if got := w.do("ssm", "GetParameter", object{"Name": name})["Parameter"].(object); got["Value"] != want {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
	if got := at(w.do("ssm", "GetParameter", object{"Name": "/app/db/user:old"}), "Parameter.Selector"); got != ":old" {
		t.Errorf("selector %v", got)
	}
	w.fails("ParameterVersionNotFound", "ssm", "GetParameter", object{"Name": "/app/db/user:9"})
	w.fails("ParameterNotFound", "ssm", "GetParameter", object{"Name": "/app/db/nobody"})

	secret := w.do("ssm", "GetParameter", object{"Name": "/app/db/password"})["Parameter"].(object)
	open := w.do("ssm", "GetParameter", object{"Name": "/app/db/password", "WithDecryption": true})["Parameter"].(object)
	if strings.Contains(secret["Value"].(string), "s3cret") || open["Value"] != "s3cret" {
		t.Errorf("%v, decrypted %v", secret, open)
	}

	got := w.do("ssm", "GetParameters", object{"Names": ids("plain", "nobody", "/app/db/user:7")})
	if at(got, "Parameters.0.Value") != "p" || !slices.Equal(texts(got["InvalidParameters"]), []string{"nobody", "/app/db/user:7"}) {
		t.Errorf("%v", got)
	}
	w.fails("ValidationException", "ssm", "GetParameters", object{"Names": ids("plain", "plain")})

	names := func(operation string, in object) []string {
		t.Helper()
		var out []string
		for _, p := range objects(w.do("ssm", operation, in)["Parameters"]) {
			out = append(out, p["Name"].(string))
		}
		return out
	}
	filter := func(key, option string, values ...string) object {
		f := object{"Key": key, "Values": ids(values...)}
		if option != "" {
			f["Option"] = option
		}
		return object{"ParameterFilters": []any{f}}
	}
	for _, c := range []struct {
		operation string
		in        object
		want      []string
	}{
		{"GetParametersByPath", object{"Path": "/app"}, []string{"/app/hosts"}},
		{"GetParametersByPath", object{"Path": "/app/", "Recursive": true}, []string{"/app/db/password", "/app/db/user", "/app/hosts"}},
		{"GetParametersByPath", object{"Path": "/ap", "Recursive": true}, nil},
		{"GetParametersByPath", object{"Path": "/"}, []string{"plain"}},
		{"DescribeParameters", filter("Name", "BeginsWith", "/app/db"), []string{"/app/db/password", "/app/db/user"}},
		{"DescribeParameters", filter("Name", "Contains", "host"), []string{"/app/hosts"}},
		{"DescribeParameters", filter("Type", "", "SecureString"), []string{"/app/db/password"}},
		{"DescribeParameters", filter("KeyId", "", "alias/aws/ssm"), []string{"/app/db/password"}},
		{"DescribeParameters", filter("Path", "Recursive", "/app/db"), []string{"/app/db/password", "/app/db/user"}},
		{"DescribeParameters", object{"Filters": []any{object{"Key": "Name", "Values": ids("plain")}}}, []string{"plain"}},
	} {
		if got := names(c.operation, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s %v: %v, want %v", c.operation, c.in, got, c.want)
		}
	}
	w.fails("InvalidFilterKey", "ssm", "DescribeParameters", filter("Colour", "", "red"))
	w.fails("InvalidFilterOption", "ssm", "DescribeParameters", filter("Type", "Contains", "S"))
	w.fails("InvalidFilterKey", "ssm", "GetParametersByPath", object{"Path": "/", "ParameterFilters": []any{object{"Key": "Name", "Values": ids("x")}}})
	w.fails("ValidationException", "ssm", "GetParametersByPath", object{"Path": "app"})
	w.fails("ValidationException", "ssm", "GetParametersByPath", object{"Path": "/app", "MaxResults": int64(11)})
	if got := w.do("ssm", "GetParameterHistory", object{"Name": "/app/db/user"}); at(got, "Parameters.0.Labels.0") != "old" || at(got, "Parameters.1.Value") != "bob" || at(got, "Parameters.1.Description") != "who" {
		t.Errorf("%v", got)
	}
	if got := w.do("ssm", "DeleteParameters", object{"Names": ids("plain", "nobody")}); at(got, "DeletedParameters.0") != "plain" || at(got, "InvalidParameters.0") != "nobody" {
		t.Errorf("%v", got)
	}
	w.do("ssm", "DeleteParameter", object{"Name": "/app/hosts"})
	w.fails("ParameterNotFound", "ssm", "DeleteParameter", object{"Name": "/app/hosts"})
	if n := len(*events); n != 8 || (*events)[4] != "Parameter Store Change Update /app/db/user" || (*events)[7] != "Parameter Store Change Delete /app/hosts" {
		t.Errorf("%d events: %v", n, *events)
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		code string
		in   object
	}{
		{"ValidationException", object{"Type": nil}},
		{"ValidationException", object{"Name": "aws-mine"}},
		{"ValidationException", object{"Name": "/SSM/x"}},
		{"ValidationException", object{"Name": "a/b"}},
		{"ValidationException", object{"Name": "/a//b"}},
		{"ValidationException", object{"Name": "/a b"}},
		{"ValidationException", object{"Name": "/" + strings.Repeat("n", 1011)}},
		{"HierarchyLevelLimitExceededException", object{"Name": strings.Repeat("/x", 16)}},
		{"ValidationException", object{"Value": ""}},
		{"ValidationException", object{"Value": strings.Repeat("x", 4097)}},
		{"ValidationException", object{"Value": strings.Repeat("x", 8193), "Tier": "Intelligent-Tiering"}},
		{"ParameterPatternMismatchException", object{"AllowedPattern": `\d+`, "Value": "a1"}},
		{"InvalidAllowedPatternException", object{"AllowedPattern": `(`}},
		{"ValidationException", object{"KeyId": "alias/x"}},
		{"InvalidKeyId", object{"KeyId": "alias/x", "Type": "SecureString"}},
		{"ValidationException", object{"DataType": "aws:moon"}},
		{"ValidationException", object{"Type": "Number"}},
		{"NotImplemented", object{"Policies": `[{"Type":"Expiration"}]`}},
	} {
		in := object{"Name": "/n", "Value": "v", "Type": "String"}
		for k, v := range c.in {
			if in[k] = v; v == nil {
				delete(in, k)
			}
		}
		w.fails(c.code, "ssm", "PutParameter", in)
	}
	w.do("ssm", "PutParameter", object{"Name": "big", "Value": strings.Repeat("x", 4097), "Type": "String", "Tier": "Intelligent-Tiering"})
	w.fails("ValidationException", "ssm", "PutParameter", object{"Name": "big", "Value": "x", "Tier": "Standard", "Overwrite": true})
	w.fails("ValidationException", "ssm", "PutParameter", object{"Name": "big", "Value": "x", "Overwrite": true, "Tags": []any{object{"Key": "a", "Value": "b"}}})
	key := at(w.do("kms", "CreateKey", nil), "KeyMetadata.KeyId").(string)
	w.do("ssm", "PutParameter", object{"Name": "s", "Value": "v", "Type": "SecureString", "KeyId": key})
	w.do("kms", "DisableKey", object{"KeyId": key})
	w.fails("InvalidKeyId", "ssm", "GetParameter", object{"Name": "s", "WithDecryption": true})
	w.fails("InvalidKeyId", "ssm", "PutParameter", object{"Name": "s", "Value": "w", "Overwrite": true})
	w.do("ssm", "GetParameter", object{"Name": "s"})
}

func TestOldVersionsOfAParameterGo(t *testing.T) {
	w := newWorld(t)
	w.do("ssm", "PutParameter", object{"Name": "n", "Value": "0", "Type": "String"})
	for i := range maxParameterVersions {
		w.do("ssm", "PutParameter", object{"Name": "n", "Value": fmt.Sprint(i + 1), "Overwrite": true})
	}
	w.fails("ParameterVersionNotFound", "ssm", "GetParameter", object{"Name": "n:1"})
	w.do("ssm", "LabelParameterVersion", object{"Name": "n", "ParameterVersion": int64(2), "Labels": ids("keep")})
	w.fails("ParameterMaxVersionLimitExceeded", "ssm", "PutParameter", object{"Name": "n", "Value": "x", "Overwrite": true})
	if got := w.do("ssm", "LabelParameterVersion", object{"Name": "n", "Labels": ids("keep", "1st", "aws-x")}); got["ParameterVersion"] != int64(101) || len(got["InvalidLabels"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	w.do("ssm", "PutParameter", object{"Name": "n", "Value": "x", "Overwrite": true}) // the label has moved
	if got := at(w.do("ssm", "GetParameter", object{"Name": "n:keep"}), "Parameter.Value"); got != "100" {
		t.Errorf("%v", got)
	}
}

func TestAStaleReadOfAParameter(t *testing.T) {
	w := newWorld(t)
	w.do("ssm", "PutParameter", object{"Name": "n", "Value": "old", "Type": "String"})
	w.clock.Advance(5 * time.Second)
	w.SetStale(2 * time.Second)
	w.do("ssm", "PutParameter", object{"Name": "n", "Value": "new", "Overwrite": true})
	if got := at(w.do("ssm", "GetParameter", object{"Name": "n"}), "Parameter.Value"); got != "old" {
		t.Errorf("at once: %v", got)
	}
	w.clock.Advance(2 * time.Second)
	if got := at(w.do("ssm", "GetParameter", object{"Name": "n"}), "Parameter.Value"); got != "new" {
		t.Errorf("later: %v", got)
	}
}
