package inventory

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cfnSchema is a CloudFormation registry schema, as cfn-lint carries them.
type cfnSchema struct {
	TypeName    string                    `json:"typeName"`
	Properties  map[string]map[string]any `json:"properties"`
	Definitions map[string]map[string]any `json:"definitions"`
}

// loadCFNSchemas reads the schemas of the cfn-lint that is installed for python3.
func loadCFNSchemas(t *testing.T) map[string]cfnSchema {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import cfnlint, os; print(os.path.dirname(cfnlint.__file__))").Output()
	if err != nil {
		t.Skip("cfn-lint is not installed for python3, so CloudFormation's properties are not compared")
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "data/schemas/resources/*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("cfn-lint has no schemas where this test looks (%v)", err)
	}
	schemas := map[string]cfnSchema{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s cfnSchema
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		// A type has a schema for each set of Regions; the richest is the newest.
		if len(s.Properties) >= len(schemas[s.TypeName].Properties) {
			schemas[s.TypeName] = s
		}
	}
	return schemas
}

// at gives the schema of a path's value; false where there is no such property.
func (s cfnSchema) at(node map[string]any, path string) (map[string]any, bool) {
	node = s.resolved(node)
	if path == "" || path == "." || node == nil {
		return node, true
	}
	name, rest, _ := strings.Cut(path, ".")
	name, _, _ = strings.Cut(name, "[")
	if items, ok := node["items"].(map[string]any); ok {
		node = s.resolved(items)
	}
	properties, ok := node["properties"].(map[string]any)
	if !ok {
		if node["patternProperties"] != nil || node["type"] == "object" {
			return nil, true // any
		}
		if types, ok := node["type"].([]any); ok && len(types) > 1 {
			return nil, true // a document, or its text
		}
		return nil, false
	}
	child, ok := properties[name].(map[string]any)
	if !ok {
		return nil, false
	}
	return s.at(child, rest)
}

func (s cfnSchema) resolved(node map[string]any) map[string]any {
	for range 10 {
		ref, ok := node["$ref"].(string)
		if !ok {
			return node
		}
		node = s.Definitions[ref[strings.LastIndex(ref, "/")+1:]]
	}
	return node
}

// check names the paths of a mapping that lead nowhere.
func (s cfnSchema) check(v *value, node map[string]any, wrong func(string)) {
	if v == nil || v.constant != nil || v.none {
		return
	}
	inner, ok := s.at(node, v.from)
	if !ok {
		wrong(v.from)
		return
	}
	for i := range v.first {
		s.check(&v.first[i], node, wrong)
	}
	for _, key := range placeholders(v.key) {
		if _, ok := s.at(inner, key); !ok {
			wrong(v.key)
		}
	}
	for i := range v.members {
		s.check(&v.members[i].value, inner, wrong)
	}
}

func TestFormsNamePropertiesThatCloudFormationHas(t *testing.T) {
	schemas := loadCFNSchemas(t)
	forms := newProactive(t).forms
	checked := 0
	check := func(typ string, do func(s cfnSchema, root map[string]any, wrong func(string))) {
		s, ok := schemas[typ]
		if !ok {
			t.Errorf("CloudFormation has no %s", typ)
			return
		}
		properties := map[string]any{}
		for name, p := range s.Properties {
			properties[name] = p
		}
		checked++
		do(s, map[string]any{"properties": properties}, func(path string) { t.Errorf("%s has no property %s", typ, path) })
	}
	for _, f := range forms.files {
		m := f.CloudFormation
		if m == nil {
			continue
		}
		check(m.Type, func(s cfnSchema, root map[string]any, wrong func(string)) {
			s.check(m.conf, root, wrong)
			s.check(m.supp, root, wrong)
			if m.Tags != nil {
				if _, ok := s.at(root, m.Tags.Map+m.Tags.Each); !ok {
					wrong(m.Tags.Map + m.Tags.Each)
				}
			}
		})
		for i := range m.Beside {
			b := &m.Beside[i]
			check(b.Type, func(s cfnSchema, root map[string]any, wrong func(string)) {
				if _, ok := s.at(root, b.Of); !ok {
					wrong(b.Of)
				}
				s.check(b.conf, root, wrong)
				s.check(b.supp, root, wrong)
			})
		}
	}
	for _, r := range forms.references {
		if r.CloudFormation == "" {
			continue
		}
		check(r.CloudFormation, func(s cfnSchema, root map[string]any, wrong func(string)) {
			if _, ok := s.at(root, r.Name); !ok {
				wrong(r.Name)
			}
		})
	}
	check("AWS::S3::Bucket", func(s cfnSchema, root map[string]any, _ func(string)) {
		if _, ok := s.at(root, "BucketEncryption.ServerSideEncryptionConfiguration.BucketKeyEnable"); ok {
			t.Error("a wrong property would not be found")
		}
	})
	if checked < 60 {
		t.Errorf("only %d types were compared", checked)
	}
}
