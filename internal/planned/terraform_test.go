package planned

import (
	"encoding/binary"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/knowngood/knowngood"
)

var (
	testPlace      = knowngood.Place{Partition: "aws", Account: "111122223333", Region: "eu-west-1"}
	testReferences = map[string]Reference{
		"aws_kms_key":   {ARN: "arn:{partition}:kms:{region}:{account}:key/{id}", Attributes: map[string]string{"key_id": "id"}},
		"aws_s3_bucket": {Label: "bucket", ARN: "arn:{partition}:s3:::{id}"},
		"aws_subnet":    {ID: "subnet-{id}"},
	}
)

const testPlan = `{
  "format_version": "1.2",
  "resource_changes": [
    {"address": "aws_kms_key.k", "mode": "managed", "type": "aws_kms_key", "name": "k", "change": {"actions": ["create"], "after": {"description": null}, "after_unknown": {"arn": true}}},
    {"address": "aws_s3_bucket.gone", "mode": "managed", "type": "aws_s3_bucket", "name": "gone", "change": {"actions": ["delete"], "after": null, "after_unknown": {}}},
    {"address": "data.aws_region.r", "mode": "data", "type": "aws_region", "name": "r", "change": {"actions": ["read"], "after": {}, "after_unknown": {}}},
    {"address": "aws_subnet.s[0]", "mode": "managed", "type": "aws_subnet", "name": "s", "index": 0, "change": {"actions": ["no-op"], "after": {"count": 9007199254740993}, "after_unknown": {}}},
    {"address": "aws_subnet.s[1]", "mode": "managed", "type": "aws_subnet", "name": "s", "index": 1, "change": {"actions": ["create"], "after": {}, "after_unknown": {}}},
    {"address": "module.m[\"a.b\"].aws_s3_bucket.b", "module_address": "module.m[\"a.b\"]", "mode": "managed", "type": "aws_s3_bucket", "name": "b",
      "change": {"actions": ["create"], "after": {"bucket": "logs", "region": "eu-north-1", "tags_all": {"a": "b"}, "rule": [{"kms_key_id": null, "on": true}]},
        "after_unknown": {"rule": [{"kms_key_id": true}], "acl": true, "policy": true, "subnet_ids": true, "other_id": true, "website": [{"x": true}]}}}
  ],
  "configuration": {"root_module": {
    "module_calls": {"m": {"expressions": {"key": {"references": ["aws_kms_key.k.arn", "aws_kms_key.k"]}}, "module": {"resources": [
      {"mode": "managed", "type": "aws_s3_bucket", "name": "b", "expressions": {
        "rule": [{"kms_key_id": {"references": ["var.key"]}}], "policy": {"references": ["var.key"]}, "other_id": {"references": ["local.x"]}}}]}}},
    "resources": [{"mode": "managed", "type": "aws_kms_key", "name": "k", "expressions": {}}]}}
}`

func TestTerraform(t *testing.T) {
	p, err := Terraform("plan.json", []byte(testPlan), testPlace, testReferences)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, r := range p.Resources {
		addresses = append(addresses, r.Address)
	}
	if got := strings.Join(addresses, " "); got != `aws_kms_key.k aws_subnet.s[0] aws_subnet.s[1] module.m["a.b"].aws_s3_bucket.b` {
		t.Errorf("resources %s", got)
	}
	if got := p.Resources[1].Properties["count"]; got != int64(9007199254740993) {
		t.Errorf("a number became %v", got)
	}
	b := p.Resources[3]
	if b.ID != "logs" || b.ARN != "arn:aws:s3:::logs" || b.Region != "eu-north-1" {
		t.Errorf("%+v", b)
	}
	key := "arn:aws:kms:eu-west-1:111122223333:key/${aws_kms_key.k}"
	want := map[string]any{
		"bucket": "logs", "region": "eu-north-1", "tags_all": map[string]any{"a": "b"}, "rule": []any{map[string]any{"kms_key_id": key, "on": true}},
		"acl": Unknown{Why: "acl is known after apply", Unset: true}, "policy": Unknown{Why: "policy is known after apply"}, // a text with a reference in it
		"subnet_ids": Unknown{Why: "subnet_ids is known after apply", Unset: true}, "other_id": Unknown{Why: "other_id is known after apply"}, "website": Unknown{Why: "website is known after apply"},
	}
	if !reflect.DeepEqual(b.Properties, want) {
		t.Errorf("%#v, want\n%#v", b.Properties, want)
	}
}

func TestReferencesOfInstances(t *testing.T) {
	change := func(address, typ, name string, index any, after, unknown map[string]any) map[string]any {
		return map[string]any{"address": address, "mode": "managed", "type": typ, "name": name, "index": index, "change": map[string]any{"actions": []string{"create"}, "after": after, "after_unknown": unknown}}
	}
	none := map[string]any{}
	raw, err := json.Marshal(map[string]any{"format_version": "1.2",
		"resource_changes": []any{
			change(`aws_s3_bucket.b["x"]`, "aws_s3_bucket", "b", "x", none, none), change(`aws_s3_bucket.b["y"]`, "aws_s3_bucket", "b", "y", none, none),
			change(`aws_s3_bucket_policy.p["y"]`, "aws_s3_bucket_policy", "p", "y", none, map[string]any{"bucket": true}),
			change("aws_x.all", "aws_x", "all", nil, none, map[string]any{"bucket": true, "subnet_ids": true}),
			change("aws_subnet.s", "aws_subnet", "s", nil, none, none), change("aws_subnet.t", "aws_subnet", "t", nil, none, none),
		},
		"configuration": map[string]any{"root_module": map[string]any{"resources": []any{
			map[string]any{"mode": "managed", "type": "aws_s3_bucket_policy", "name": "p", "expressions": map[string]any{"bucket": map[string]any{"references": []string{"aws_s3_bucket.b", "each.key"}}}},
			map[string]any{"mode": "managed", "type": "aws_x", "name": "all", "expressions": map[string]any{
				"bucket":     map[string]any{"references": []string{"aws_s3_bucket.b"}},
				"subnet_ids": map[string]any{"references": []string{"aws_subnet.s.id", "aws_subnet.s", "aws_subnet.t.id", "aws_subnet.t"}},
			}},
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Terraform("plan.json", raw, testPlace, testReferences)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Resources[2].Properties["bucket"]; got != `${aws_s3_bucket.b["y"]}` {
		t.Errorf("the policy's bucket is %v", got)
	}
	if _, unknown := p.Resources[3].Properties["bucket"].(Unknown); !unknown {
		t.Errorf("one of two buckets was taken: %v", p.Resources[3].Properties["bucket"])
	}
	if got, want := p.Resources[3].Properties["subnet_ids"], []any{"subnet-${aws_subnet.s}", "subnet-${aws_subnet.t}"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTerraformReadsUTF16(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		data := order.AppendUint16(nil, 0xfeff)
		for _, unit := range utf16.Encode([]rune(testPlan)) {
			data = order.AppendUint16(data, unit)
		}
		p, err := Terraform("plan.json", data, testPlace, testReferences)
		if err != nil || len(p.Resources) != 4 {
			t.Errorf("%v: %v, %v", order, p, err)
		}
	}
}

func TestTerraformRefusesWhatIsNoPlan(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "EOF",
		"{":                         "unexpected EOF",
		"{\n\n]":                    "plan.json:3",
		`{"format_version": "9"}`:   `format_version is "9"`,
		`{"format_version": "1.0"}`: "neither resource_changes",
	} {
		_, err := Terraform("plan.json", []byte(text), testPlace, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzTerraform(f *testing.F) {
	f.Add([]byte(testPlan))
	f.Add([]byte(`{"format_version": "1.0", "resource_changes": [{"mode": "managed", "address": "module.a[", "module_address": "module.a[", "index": [1], "change": {"after_unknown": true}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Terraform("plan.json", data, testPlace, testReferences)
		if (p == nil) == (err == nil) {
			t.Fatalf("plan %v and error %v", p, err)
		}
		if err != nil {
			return
		}
		for _, r := range p.Resources {
			if r.Properties == nil {
				t.Fatalf("%+v has no properties", r)
			}
		}
	})
}
