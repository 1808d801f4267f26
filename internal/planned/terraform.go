package planned

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/knowngood/knowngood"
)

// MaxPlanBytes bounds a Terraform plan's file.
const MaxPlanBytes = 256 << 20

// tfPlan is what is read of a plan as "terraform show -json" writes it, format 1.x;
// HashiCorp's page on the JSON output format describes it.
type tfPlan struct {
	FormatVersion   string     `json:"format_version"`
	ResourceChanges []tfChange `json:"resource_changes"`
	Configuration   struct {
		Root tfModule `json:"root_module"`
	} `json:"configuration"`
}

type tfChange struct {
	Address       string `json:"address"`
	ModuleAddress string `json:"module_address"`
	Mode          string `json:"mode"`
	Type          string `json:"type"`
	Name          string `json:"name"`
	Index         any    `json:"index"`
	Change        struct {
		Actions []string       `json:"actions"`
		After   map[string]any `json:"after"`
		Unknown any            `json:"after_unknown"`
	} `json:"change"`

	configured bool // its arguments' expressions are known
}

type tfModule struct {
	Resources []struct {
		Mode        string         `json:"mode"`
		Type        string         `json:"type"`
		Name        string         `json:"name"`
		Expressions map[string]any `json:"expressions"`
	} `json:"resources"`
	Calls map[string]struct {
		Expressions map[string]any `json:"expressions"`
		Module      tfModule       `json:"module"`
	} `json:"module_calls"`
	Outputs map[string]struct {
		Expression map[string]any `json:"expression"`
	} `json:"outputs"`
}

// Terraform reads which resources a plan leaves in place: those that it creates,
// changes or keeps. References say how resources refer to each other, by
// Terraform's type. The error, a *knowngood.FileError, says that the file is no
// plan.
func Terraform(file string, data []byte, place knowngood.Place, references map[string]Reference) (*Plan, error) {
	fail := func(problem string) error {
		return &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: problem, Want: "a plan as `terraform show -json FILE` writes it"}
	}
	if len(data) > MaxPlanBytes {
		return nil, fail(fmt.Sprintf("the file has %d bytes", len(data)))
	}
	data = utf8Of(data)
	var raw tfPlan
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, &knowngood.FileError{Position: lineAt(file, data, syntax.Offset), Problem: err.Error(), Want: "a plan as `terraform show -json FILE` writes it"}
		}
		return nil, fail(err.Error())
	}
	if !strings.HasPrefix(raw.FormatVersion, "1.") && !strings.HasPrefix(raw.FormatVersion, "0.") {
		return nil, fail(fmt.Sprintf("the format_version is %q", raw.FormatVersion))
	}
	if raw.ResourceChanges == nil && !bytes.Contains(data, []byte(`"planned_values"`)) {
		return nil, fail("it has neither resource_changes nor planned_values")
	}
	t := &terraform{plan: &Plan{File: file}, raw: &raw, place: place, references: references, by: map[string][]int{}}
	for i := range raw.ResourceChanges {
		c := &raw.ResourceChanges[i]
		if c.Mode != "managed" || slices.Equal(c.Change.Actions, []string{"delete"}) || slices.Equal(c.Change.Actions, []string{"forget"}) {
			continue
		}
		t.changes = append(t.changes, c)
		key := strings.Join(modulePath(c.ModuleAddress), "/") + "//" + c.Type + "." + c.Name
		t.by[key] = append(t.by[key], len(t.changes)-1)
		t.plan.Resources = append(t.plan.Resources, t.identify(c))
	}
	for i, c := range t.changes {
		t.properties(&t.plan.Resources[i], c)
	}
	return t.plan, nil
}

// utf8Of makes UTF-8 of the UTF-16 that a redirection in PowerShell writes; what has
// no such mark stays.
func utf8Of(data []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return data
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order.Uint16(data[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}

func lineAt(file string, data []byte, offset int64) knowngood.Position {
	return knowngood.Position{File: file, Line: 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n"))}
}

// terraform is the work on one plan.
type terraform struct {
	plan       *Plan
	raw        *tfPlan
	place      knowngood.Place
	references map[string]Reference
	changes    []*tfChange
	by         map[string][]int // instances, by the module's path and the resource's type and name
}

// identify makes a resource with what others may call it.
func (t *terraform) identify(c *tfChange) Resource {
	r := Resource{Position: knowngood.Position{File: t.plan.File}, Type: c.Type, Address: c.Address}
	place := t.place
	if region, ok := c.Change.After["region"].(string); ok && region != "" { // from version 6 of the provider on
		r.Region, place.Region = region, region
	}
	f := t.references[c.Type]
	name, _ := c.Change.After[f.Label].(string)
	r.ID, r.ARN = f.Of(place, c.Address, name)
	if arn, ok := c.Change.After["arn"].(string); ok && arn != "" {
		r.ARN = arn
	}
	return r
}

// properties are the values after the change, with Unknowns.
func (t *terraform) properties(r *Resource, c *tfChange) {
	scope := modulePath(c.ModuleAddress)
	expressions := t.expressions(scope, c)
	c.configured = expressions != nil
	v := t.value(scope, c, "", any(c.Change.After), c.Change.Unknown, any(expressions), 0)
	switch v := v.(type) {
	case map[string]any:
		r.Properties = v
		if u, ok := v[t.references[c.Type].Label].(Unknown); ok && !u.Unset {
			r.Unnamed = u.Why
		}
	case Unknown:
		r.Properties, r.Doubt = map[string]any{}, v.Why
	default:
		r.Properties = map[string]any{}
	}
}

// modulePath are the names of the modules of an address: module.a["x"].module.b is
// a, b.
func modulePath(address string) []string {
	var path []string
	for address != "" {
		rest, ok := strings.CutPrefix(address, "module.")
		if !ok {
			return path
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			return append(path, rest)
		}
		path = append(path, rest[:end])
		rest = rest[end:]
		if strings.HasPrefix(rest, "[") {
			if end = strings.Index(rest, "]."); end < 0 {
				return path
			}
			rest = rest[end+1:]
		}
		address = strings.TrimPrefix(rest, ".")
	}
	return path
}

// module is a module's configuration; nil where there is none.
func (t *terraform) module(path []string) *tfModule {
	m := &t.raw.Configuration.Root
	for _, name := range path {
		call, ok := m.Calls[name]
		if !ok {
			return nil
		}
		m = &call.Module
	}
	return m
}

func (t *terraform) expressions(scope []string, c *tfChange) map[string]any {
	if m := t.module(scope); m != nil {
		for _, r := range m.Resources {
			if r.Mode == "managed" && r.Type == c.Type && r.Name == c.Name {
				return r.Expressions
			}
		}
	}
	return nil
}

// value merges a value with what of it is unknown. name is that of the argument
// that it belongs to.
func (t *terraform) value(scope []string, c *tfChange, name string, after, unknown, expression any, depth int) any {
	if depth > MaxDepth {
		return Unknown{Why: "it is nested too deeply"}
	}
	if unknown == true {
		v := t.unknown(scope, c, name, expression)
		if u, ok := v.(Unknown); ok {
			// Within a block it may be stated by a dynamic one, which a plan doesn't show.
			u.Unset = depth == 1 && expression == nil && c.configured && name != "tags_all" && name != "tags"
			return u
		}
		return v
	}
	switch after := after.(type) {
	case map[string]any:
		what, _ := unknown.(map[string]any)
		of, _ := expression.(map[string]any)
		out := make(map[string]any, len(after))
		for key, v := range after {
			if made := t.value(scope, c, key, v, what[key], of[key], depth+1); made != nil {
				out[key] = made
			}
		}
		for key, u := range what {
			if _, there := after[key]; !there {
				if made := t.value(scope, c, key, nil, u, of[key], depth+1); made != nil {
					out[key] = made
				}
			}
		}
		return out
	case []any:
		what, _ := unknown.([]any)
		of, _ := expression.([]any)
		if slices.Contains(what, any(true)) {
			if list, ok := t.unknown(scope, c, name, expression).([]any); ok && len(list) == len(after) {
				return list
			}
		}
		out := make([]any, 0, len(after))
		for i, v := range after {
			var u, e any
			if i < len(what) {
				u = what[i]
			}
			if i < len(of) {
				e = of[i]
			}
			out = append(out, t.value(scope, c, name, v, u, e, depth+1))
		}
		return out
	case json.Number:
		return number(after)
	case nil:
		if list, ok := unknown.([]any); ok && len(list) > 0 || hasTrue(unknown, 0) {
			return t.unknown(scope, c, name, expression)
		}
	}
	return after
}

func hasTrue(v any, depth int) bool {
	switch v := v.(type) {
	case bool:
		return v
	case []any:
		return depth < MaxDepth && slices.ContainsFunc(v, func(e any) bool { return hasTrue(e, depth+1) })
	case map[string]any:
		for _, e := range v {
			if depth < MaxDepth && hasTrue(e, depth+1) {
				return true
			}
		}
	}
	return false
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return n.String()
	}
	return f
}

// refers says whether an argument takes what a reference gives as it is. A plan
// doesn't tell a reference from a text with one in it, save by its argument's name.
func refers(name string) bool {
	return slices.ContainsFunc([]string{"_id", "_arn", "_ids", "_arns"}, func(end string) bool { return strings.HasSuffix(name, end) }) ||
		slices.Contains([]string{"bucket", "role", "user", "users", "group", "groups", "function_name", "instance", "listener", "load_balancer", "subnets", "security_groups", "kms_key", "web_acl"}, name)
}

// unknown is a value that isn't known: a reference to other resources of the plan,
// or an Unknown.
func (t *terraform) unknown(scope []string, c *tfChange, name string, expression any) any {
	why := Unknown{Why: name + " is known after apply"}
	if name == "" {
		why.Why = "it is known after apply"
	}
	e, _ := expression.(map[string]any)
	if e == nil || !refers(name) {
		return why
	}
	var texts []any
	for _, ref := range t.resolve(scope, e, 0) {
		text, ok := t.text(ref, c)
		if !ok {
			return why
		}
		if !slices.Contains(texts, any(text)) {
			texts = append(texts, text)
		}
	}
	switch plural := strings.HasSuffix(name, "s"); {
	case len(texts) == 0:
	case plural:
		return texts
	case len(texts) == 1:
		return texts[0]
	}
	return why
}

// tfReference is an attribute of a resource of a module.
type tfReference struct {
	scope     []string
	resource  string // aws_kms_key.main
	index     string // as [0]; empty: none
	attribute string
}

// resolve follows an expression's references through variables and outputs to
// resources. What leads elsewhere has no resource.
func (t *terraform) resolve(scope []string, expression map[string]any, depth int) []tfReference {
	list, _ := expression["references"].([]any)
	if depth > MaxDepth || len(list) == 0 {
		return []tfReference{{}}
	}
	var out []tfReference
	last := ""
	for _, v := range list {
		s, _ := v.(string)
		if strings.HasPrefix(last, s) || slices.Contains(iterators, s) {
			continue // each reference is followed by the shorter ones that it holds
		}
		last = s
		out = append(out, t.resolveOne(scope, s, depth)...)
	}
	return out
}

// iterators choose one instance of several, which the index then tells.
var iterators = []string{"each.key", "count.index"}

func (t *terraform) resolveOne(scope []string, s string, depth int) []tfReference {
	parts := strings.SplitN(s, ".", 3)
	nowhere := []tfReference{{}}
	switch {
	case parts[0] == "var" && len(parts) == 2 && len(scope) > 0:
		if m := t.module(scope[:len(scope)-1]); m != nil {
			if e, ok := m.Calls[scope[len(scope)-1]].Expressions[parts[1]].(map[string]any); ok {
				return t.resolve(scope[:len(scope)-1], e, depth+1)
			}
		}
		return nowhere
	case parts[0] == "module" && len(parts) == 3:
		name, _, _ := strings.Cut(parts[1], "[")
		inner := append(slices.Clone(scope), name)
		if m := t.module(inner); m != nil {
			output, _, _ := strings.Cut(parts[2], "[")
			if o, ok := m.Outputs[output]; ok {
				return t.resolve(inner, o.Expression, depth+1)
			}
		}
		return nowhere
	case len(parts) < 2 || !strings.HasPrefix(parts[0], "aws_"):
		return nowhere
	}
	name, index, indexed := strings.Cut(parts[1], "[")
	r := tfReference{scope: scope, resource: parts[0] + "." + name, attribute: "id"}
	if indexed {
		r.index = "[" + index
	}
	if len(parts) == 3 {
		r.attribute = parts[2]
	}
	return []tfReference{r}
}

// text is what a reference gives; false where that isn't known before it is made.
func (t *terraform) text(ref tfReference, from *tfChange) (string, bool) {
	instances := t.by[strings.Join(ref.scope, "/")+"//"+ref.resource]
	var found *Resource
	for _, i := range instances {
		c := t.changes[i]
		same := ref.index != "" && strings.HasSuffix(c.Address, ref.index) || ref.index == "" && fmt.Sprint(c.Index) == fmt.Sprint(from.Index)
		if len(instances) == 1 || same && c.ModuleAddress == from.ModuleAddress {
			found = &t.plan.Resources[i]
		}
	}
	if found == nil {
		return "", false
	}
	f, known := t.references[found.Type]
	if !known {
		return "", false
	}
	if ref.attribute == "id" && f.Attributes["id"] == "" {
		return f.Given(found.ID, found.ARN), true
	}
	return f.Attribute(ref.attribute, found.ID, found.ARN)
}
