package report_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// ocsf makes a JSON schema of the OCSF schema's own files, as its server does: classes
// and objects extend others, include profiles, and take their attributes' types from the
// dictionary.
type ocsf struct {
	t       *testing.T
	dir     string
	objects map[string]any // the definitions made so far
	types   map[string]ocsfType
	words   map[string]ocsfAttribute // the dictionary
}

type (
	ocsfPart struct {
		Extends     string                     `json:"extends"`
		Attributes  map[string]json.RawMessage `json:"attributes"`
		Constraints map[string][]string        `json:"constraints"`
	}
	ocsfAttribute struct {
		Type        string         `json:"type"`
		IsArray     bool           `json:"is_array"`
		Requirement string         `json:"requirement"`
		Enum        map[string]any `json:"enum"`
	}
	ocsfType struct {
		Type   string `json:"type"`
		Regex  string `json:"regex"`
		MaxLen int    `json:"max_len"`
	}
)

func (o *ocsf) read(file string, to any) {
	o.t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.dir, file))
	if err == nil {
		err = json.Unmarshal(raw, to)
	}
	if err != nil {
		o.t.Fatalf("%s: %v", file, err)
	}
}

// class is the schema of an event class, with the profile cloud.
func (o *ocsf) class(file string, uid int) any {
	var dictionary struct {
		Attributes map[string]ocsfAttribute `json:"attributes"`
		Types      struct {
			Attributes map[string]ocsfType `json:"attributes"`
		} `json:"types"`
	}
	o.read("dictionary.json", &dictionary)
	o.words, o.types = dictionary.Attributes, dictionary.Types.Attributes
	attributes, constraints := o.attributes(file, map[string]string{"finding": "events/findings/finding.json", "base_event": "events/base_event.json"})
	schema := o.schema(attributes, constraints)
	properties := schema["properties"].(map[string]any)
	properties["class_uid"] = map[string]any{"const": uid}
	properties["category_uid"] = map[string]any{"const": uid / 1000}
	properties["type_uid"] = map[string]any{"type": "integer", "minimum": uid * 100, "maximum": uid*100 + 99}
	schema["$defs"] = o.objects
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return schema
}

// attributes gives those of a part and of what it extends and includes.
func (o *ocsf) attributes(file string, parents map[string]string) (map[string]ocsfAttribute, map[string][]string) {
	var part ocsfPart
	o.read(file, &part)
	out, constraints := map[string]ocsfAttribute{}, map[string][]string{}
	if part.Extends != "" {
		parent, ok := parents[part.Extends]
		if !ok {
			parent = "objects/" + part.Extends + ".json"
		}
		out, constraints = o.attributes(parent, parents)
	}
	maps.Copy(constraints, part.Constraints)
	if raw, ok := part.Attributes["$include"]; ok {
		var profiles []string
		if err := json.Unmarshal(raw, &profiles); err != nil {
			o.t.Fatal(err)
		}
		for _, p := range profiles {
			included, _ := o.attributes(p, parents)
			for name, a := range included {
				if p != "profiles/cloud.json" {
					a.Requirement = "" // the profile is not in use
				}
				out[name] = merge(out[name], a)
			}
		}
	}
	for name, raw := range part.Attributes {
		if name == "$include" {
			continue
		}
		var a ocsfAttribute
		if err := json.Unmarshal(raw, &a); err != nil {
			o.t.Fatalf("%s: %s: %v", file, name, err)
		}
		out[name] = merge(out[name], a)
	}
	return out, constraints
}

func merge(a, b ocsfAttribute) ocsfAttribute {
	if b.Requirement != "" {
		a.Requirement = b.Requirement
	}
	if len(b.Enum) > 0 {
		enum := maps.Clone(a.Enum)
		if enum == nil {
			enum = map[string]any{}
		}
		maps.Copy(enum, b.Enum)
		a.Enum = enum
	}
	if b.Type != "" {
		a.Type, a.IsArray = b.Type, b.IsArray
	}
	return a
}

func (o *ocsf) schema(attributes map[string]ocsfAttribute, constraints map[string][]string) map[string]any {
	properties, required := map[string]any{}, []any{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		if a.Requirement == "required" {
			required = append(required, name)
		}
		properties[name] = o.property(merge(o.words[name], a))
	}
	schema := map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	for kind, keyword := range map[string]string{"at_least_one": "anyOf", "just_one": "oneOf"} {
		var any []any
		for _, name := range constraints[kind] {
			any = append(any, map[string]interface{}{"required": []interface{}{name}})
		}
		if any != nil {
			schema[keyword] = any
		}
	}
	return schema
}

func (o *ocsf) property(a ocsfAttribute) any {
	p := map[string]any{}
	if t, ok := o.types[a.Type]; ok {
		base := a.Type
		if t.Type != "" {
			base = t.Type
			if t.Regex != "" {
				p["pattern"] = t.Regex
			}
			if t.MaxLen > 0 {
				p["maxLength"] = t.MaxLen
			}
		}
		for base != "" { // a type may stand on one that stands on another
			next := o.types[base].Type
			if next == "" {
				break
			}
			base = next
		}
		if j, ok := map[string]string{"boolean_t": "boolean", "string_t": "string", "integer_t": "integer", "long_t": "integer", "float_t": "number"}[base]; ok {
			p["type"] = j
		}
		if len(a.Enum) > 0 {
			var enum []any
			for k := range a.Enum {
				if n, err := strconv.Atoi(k); err == nil && p["type"] == "integer" {
					enum = append(enum, n)
				} else {
					enum = append(enum, k)
				}
			}
			p["enum"] = enum
		}
	} else if a.Type != "object" {
		o.define(a.Type)
		p["$ref"] = "#/$defs/" + a.Type
	}
	if a.IsArray {
		return map[string]any{"type": "array", "items": p}
	}
	return p
}

// define makes an object's definition, once, for objects may hold themselves.
func (o *ocsf) define(name string) {
	if _, ok := o.objects[name]; ok {
		return
	}
	o.objects[name] = true
	attributes, constraints := o.attributes("objects/"+name+".json", nil)
	o.objects[name] = o.schema(attributes, constraints)
}
