package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/planned"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Forms are the mappings from what templates and plans say to configuration items,
// by CloudFormation's and Terraform's types. library/proactive/README.md says what
// each key means.
type Forms struct {
	byType     map[string]*form // by AWS::S3::Bucket or aws_s3_bucket, which don't meet
	files      []*formFile
	references []planned.Reference
}

// formFile is one file of library/proactive.
type formFile struct {
	ResourceType   string     `yaml:"resourceType"`
	CloudFormation *form      `yaml:"cloudformation"`
	Terraform      []*form    `yaml:"terraform"`
	Tests          []formTest `yaml:"tests"`

	file string
}

// formTest is the resources of a template and of a plan, by type, for each verdict
// that a rule must give on the first that it looks at.
type formTest struct {
	Rule           string                                             `yaml:"rule"`
	Parameters     map[string]string                                  `yaml:"parameters"`
	CloudFormation map[knowngood.Compliance]map[string]map[string]any `yaml:"cloudformation"`
	Terraform      map[knowngood.Compliance]map[string]map[string]any `yaml:"terraform"`
}

// form is how one type's properties become an item.
type form struct {
	Type          string         `yaml:"type"` // the item's where empty
	Tags          *Tags          `yaml:"tags"`
	Configuration map[string]any `yaml:"configuration"`
	Supplementary map[string]any `yaml:"supplementaryConfiguration"`
	// ID is a template of the item's id, where it is not what references give.
	ID string `yaml:"resourceId"`
	// Beside are resources of their own that say more of this one.
	Beside []beside `yaml:"beside"`

	itemType   string
	conf, supp *value
}

// beside is a type whose resources say more of another.
type beside struct {
	Type  string         `yaml:"type"`
	Of    string         `yaml:"of"`    // path of the reference, or references, to the other
	Where map[string]any `yaml:"where"` // values that members have in those that are meant
	// Replace: what it gives stands in place of what the other itself gives.
	Replace       bool           `yaml:"replace"`
	Configuration map[string]any `yaml:"configuration"`
	Supplementary map[string]any `yaml:"supplementaryConfiguration"`

	conf, supp *value
}

// LoadForms reads proactive/*.yaml of fsys. The error joins one
// *knowngood.FileError for each problem.
func LoadForms(fsys fs.FS) (*Forms, error) {
	files, err := fs.Glob(fsys, "proactive/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	f := &Forms{byType: map[string]*form{}}
	var problems []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		if path.Base(file) == "references.yaml" {
			if err := strictyaml.Decode(file, data, &f.references, "references, as library/proactive/README.md describes them"); err != nil {
				problems = append(problems, err)
			}
			continue
		}
		one := &formFile{file: file}
		if err := strictyaml.Decode(file, data, one, "a form, as library/proactive/README.md describes it"); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, f.add(one, data)...)
	}
	return f, errors.Join(problems...)
}

// add compiles a file's mappings.
func (f *Forms) add(one *formFile, data []byte) []error {
	c := &checker{file: one.file, data: data, planned: true}
	if want := fileOf(one.ResourceType); path.Base(one.file) != want {
		c.add("resourceType", want, "the file of %s is %s", one.ResourceType, path.Base(one.file))
	}
	f.files = append(f.files, one)
	compile := func(place string, m *form) {
		m.itemType = one.ResourceType
		m.Type = cmp.Or(m.Type, one.ResourceType)
		m.conf = c.object(place+"/configuration", nil, m.Configuration)
		m.supp = c.object(place+"/supplementaryConfiguration", nil, m.Supplementary)
		for i := range m.Beside {
			b, at := &m.Beside[i], fmt.Sprintf("%s/beside/%d", place, i)
			if b.Type == "" || b.Of == "" {
				c.add(at, "type and of", "something is missing")
			}
			b.conf = c.object(at+"/configuration", nil, b.Configuration)
			b.supp = c.object(at+"/supplementaryConfiguration", nil, b.Supplementary)
		}
		if f.byType[m.Type] != nil {
			c.add(place, "one mapping for each type", "%s is mapped already", m.Type)
		}
		f.byType[m.Type] = m
	}
	if one.CloudFormation != nil {
		compile("cloudformation", one.CloudFormation)
	}
	for i, m := range one.Terraform {
		compile(fmt.Sprintf("terraform/%d", i), m)
	}
	return c.problems
}

// fileOf is the name of a type's file.
func fileOf(resourceType string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimLeft(strings.TrimPrefix(resourceType, "AWS"), ":"), "::", "-")) + ".yaml"
}

// References are how resources refer to each other, by CloudFormation's type or by
// Terraform's.
func (f *Forms) References(terraform bool) map[string]planned.Reference {
	out := map[string]planned.Reference{}
	for _, r := range f.references {
		if t := r.CloudFormation; !terraform && t != "" {
			r.Label = ""
			out[t] = r
		}
		if t := r.Terraform; terraform && t != "" {
			r.Name = ""
			out[t] = r
		}
	}
	return out
}

// Maps says whether resources of a type in a template or plan become items, and of
// which type.
func (f *Forms) Maps(typ string) (string, bool) {
	m, ok := f.byType[typ]
	if !ok {
		return "", false
	}
	return m.itemType, true
}

// emits are the members of an item that a mapping gives.
func (m *form) emits() []string {
	out := append(m.conf.paths("configuration"), m.supp.paths("supplementaryConfiguration")...)
	for i := range m.Beside {
		b := &m.Beside[i]
		out = append(append(out, b.conf.paths("configuration")...), b.supp.paths("supplementaryConfiguration")...)
	}
	return out
}

// envelopes are the members of an item that are known of any resource.
var envelopes = []string{"accountId", "awsRegion", "resourceType", "resourceId", "resourceName", "arn", "configurationItemStatus"}

// Missing gives those of the members that rules read which the mapping of a type
// in a template or plan does not give, though an item in AWS may have them.
func (f *Forms) Missing(typ string, reads []string, table *Table) []string {
	m := f.byType[typ]
	if m == nil {
		return slices.Clone(reads)
	}
	have := append(m.emits(), envelopes...)
	if m.Tags != nil {
		have = append(have, "tags")
	}
	var recorded []string // what a scan gives; nil: not known
	if t, ok := table.Type(m.itemType); ok {
		recorded = t.Emits()
	}
	var out []string
	for _, read := range reads {
		within := func(p string) bool { return inside(p, read) }
		isRecorded := recorded == nil || !strings.Contains(read, ".") || slices.ContainsFunc(recorded, within)
		if isRecorded && !slices.ContainsFunc(have, within) {
			out = append(out, read)
		}
	}
	return out
}

// inside says whether one path is the other or lies within it. A * in the first is
// any key of a map.
func inside(a, b string) bool {
	for a != "" && b != "" {
		var left, right string
		left, a, _ = strings.Cut(a, ".")
		right, b, _ = strings.Cut(b, ".")
		if left != right && left != "*" {
			return false
		}
	}
	return true
}

// Types are the types whose items the mappings of templates, or of plans, make,
// sorted.
func (f *Forms) Types(terraform bool) []string {
	var out []string
	for typ, m := range f.byType {
		if strings.HasPrefix(typ, "AWS::") != terraform {
			out = append(out, m.itemType)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Says whether resources of a type say more of others, which have a mapping.
func (f *Forms) Says(typ string) bool {
	for _, m := range f.byType {
		if slices.ContainsFunc(m.Beside, func(b beside) bool { return b.Type == typ }) {
			return true
		}
	}
	return false
}

// ItemType is the type that AWS Config records resources of a type as, as far as
// it is known; else the type itself.
func (f *Forms) ItemType(typ string) string {
	if m := f.byType[typ]; m != nil {
		return m.itemType
	}
	for _, r := range f.references {
		if r.Terraform == typ && r.CloudFormation != "" {
			return r.CloudFormation
		}
	}
	return typ
}

// Evaluable gives those of the types of templates and plans whose mapping gives all
// that a rule reads, so that its verdict may be known before the deployment. others
// are the members that it reads of resources that it looks up.
func (f *Forms) Evaluable(types, reads []string, others map[string][]string, table *Table) []string {
	out := []string{}
	for typ, m := range f.byType {
		if !slices.Contains(types, m.itemType) || len(f.Missing(typ, reads, table)) > 0 {
			continue
		}
		terraform := !strings.HasPrefix(typ, "AWS::")
		known := true
		for other, members := range others {
			known = known && f.looksUp(terraform, other, members, table)
		}
		if known {
			out = append(out, typ)
		}
	}
	slices.Sort(out)
	return out
}

// looksUp says whether a template's, or plan's, resources of an item's type have the
// members.
func (f *Forms) looksUp(terraform bool, itemType string, members []string, table *Table) bool {
	for typ, m := range f.byType {
		if m.itemType == itemType && strings.HasPrefix(typ, "AWS::") != terraform && len(f.Missing(typ, members, table)) == 0 {
			return true
		}
	}
	return false
}
