package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// checker checks a type against the API models and compiles its mappings.
// Places in the file are keys with / between: details/0/operation.
type checker struct {
	file     string
	data     []byte
	catalog  *awsapi.Catalog
	service  string
	under    string   // where the type begins in the file
	vars     []string // of templates
	omit     bool     // lists that are not there
	planned  bool     // the mapping is of a template's properties, which no model describes
	root     ast.Node
	problems []error
}

func (c *checker) add(place, want, problem string, args ...any) {
	c.problems = append(c.problems, &knowngood.FileError{Position: c.position(place), Problem: fmt.Sprintf(problem, args...), Want: want})
}

// position finds a place in the file; of one that is not there, what is around
// it.
func (c *checker) position(place string) knowngood.Position {
	at := knowngood.Position{File: c.file, Line: 1}
	if c.root == nil {
		f, err := parser.ParseBytes(c.data, 0)
		if err != nil || len(f.Docs) == 0 {
			return at
		}
		c.root = f.Docs[0].Body
	}
	node := c.root
	for key := range strings.SplitSeq(c.under+place, "/") {
		var where ast.Node
		if where, node = child(node, key); where == nil {
			break
		}
		if tok := where.GetToken(); tok != nil && tok.Position != nil {
			at.Line, at.Col = tok.Position.Line, tok.Position.Column
		}
	}
	return at
}

// child gives where a key or index stands, and its value.
func child(node ast.Node, key string) (where, value ast.Node) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if v.Key.GetToken().Value == key {
				return v.Key, v.Value
			}
		}
	case *ast.MappingValueNode:
		if n.Key.GetToken().Value == key {
			return n.Key, n.Value
		}
	case *ast.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Values) {
			return first(n.Values[i]), n.Values[i]
		}
	}
	return nil, nil
}

// first is where a node begins; a map's own token is behind its first key.
func first(node ast.Node) ast.Node {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return n.Values[0].Key
		}
	case *ast.MappingValueNode:
		return n.Key
	}
	return node
}

// typeForm takes AWS::::Account too, which AWS Config evaluates without recording
// an item of it.
var typeForm = regexp.MustCompile(`^AWS::(::Account|[A-Za-z0-9]+::[A-Za-z0-9]+)$`)

func (c *checker) check(t *Type) {
	if !typeForm.MatchString(t.Name) {
		c.add("resourceType", "a type such as AWS::EC2::Volume", "the type is %q", t.Name)
		return
	}
	if want := strings.ToLower(strings.ReplaceAll(strings.TrimLeft(strings.TrimPrefix(t.Name, "AWS"), ":"), "::", "-")) + ".yaml"; path.Base(c.file) != want {
		c.add("resourceType", want, "the file of %s is %s", t.Name, path.Base(c.file))
	}
	c.vars, c.omit = variables, t.OmitEmptyLists
	if t.List.For != nil {
		c.parents(t)
	}
	var listed *awsapi.Shape
	switch {
	case !t.Single:
		listed = c.call("list", &t.List.Call)
	case t.List.Operation != "" || t.Read != nil || t.Region != nil:
		c.add("single", "no list, read or region", "a single resource is not listed")
	}
	element := listed
	if t.Read != nil {
		read := c.call("read", t.Read)
		switch {
		case t.List.ID != "":
			element = read
			c.template("list/id", t.List.ID, listed)
		case read != nil && listed != nil && read != listed:
			c.add("read/items", "elements of the same shape as the list's, "+listed.Name+", or list.id", "read gives %s", read.Name)
		}
	} else if t.List.ID != "" {
		c.add("list/id", "the call read", "a list of ids needs it")
	}
	if t.ID == "" {
		c.add("resourceType", "resourceId", "%s has none", t.Name)
	}
	for _, k := range []struct{ key, tmpl string }{{"resourceId", t.ID}, {"resourceName", t.Label}, {"arn", t.ARN}, {"availabilityZone", t.AvailabilityZone}} {
		c.template(k.key, k.tmpl, element)
	}
	if t.Global && (t.Region != nil || strings.Contains(t.ARN, "{region}") || strings.Contains(t.ARN, "{partition}")) {
		c.add("global", "no region, and an arn from the answer", "a global type has no Region to make one of")
	}
	if t.CreationTime != "" {
		if s := c.path("resourceCreationTime", element, t.CreationTime); s != nil && s.Type != awsapi.Timestamp {
			c.add("resourceCreationTime", "a timestamp", "%s is of type %s", t.CreationTime, s.Type)
		}
	}
	c.tags("tags", element, t.Tags)
	for _, member := range slices.Sorted(maps.Keys(t.Gone)) {
		c.enum("gone/"+member, c.path("gone/"+member, element, member), t.Gone[member])
	}
	c.relationships(t, element)
	t.conf = c.object("configuration", element, t.Configuration)
	c.region(t, listed)
	for i := range t.Details {
		c.detail("details/"+strconv.Itoa(i), &t.Details[i], element)
	}
	for i := range t.Events {
		c.event("events/"+strconv.Itoa(i), t, &t.Events[i])
	}
	c.volatile(t)
}

// halves checks what there is of a global type in each Region, and ties the two.
func (c *checker) halves(t *Type) {
	half := t.InEachRegion
	if half == nil {
		return
	}
	if !t.Global || half.Global || half.InEachRegion != nil || half.Name != "" {
		c.add("inEachRegion", "a global type, and in each Region no resourceType, global or inEachRegion", "%s is not so", t.Name)
		return
	}
	half.Name, half.file, half.other, t.other = t.Name, t.file, t, half
	c.under, c.service = "inEachRegion/", cmp.Or(half.Service, t.Service)
	half.Service = c.service
	c.check(half)
	for _, path := range half.gives() {
		if slices.Contains(t.gives(), path) {
			c.add("details", "a member of its own", "%s is in all Regions too", path)
		}
	}
}

// pageMembers are what outputs call the token of the next page.
var pageMembers = []string{"NextToken", "nextToken", "NextMarker", "nextMarker", "Marker", "marker", "NextPageToken", "nextPageToken"}

// parents checks what has a list each.
func (c *checker) parents(t *Type) {
	if t.Read != nil {
		c.add("list/for", "no call read", "one resource can't be read without knowing what it belongs to")
	}
	c.variables("list/for/as", t.List.For.As, c.call("list/for", &t.List.For.Call))
}

// variables checks the paths that name further variables, and adds these.
func (c *checker) variables(place string, as map[string]string, parent *awsapi.Shape) {
	for _, name := range slices.Sorted(maps.Keys(as)) {
		place := place + "/" + name
		c.text(place, parent, as[name])
		if slices.Contains(variables, name) {
			c.add(place, "another name", "the variable %s is there already", name)
		}
		c.vars = append(slices.Clip(c.vars), name)
	}
}

// answersShape is the shape of what the mappings of a detail with for see.
func answersShape(output, parent *awsapi.Shape) *awsapi.Shape {
	one := *output
	one.Members = append(slices.Clone(output.Members), awsapi.Member{Name: answerFor, Shape: parent})
	list := &awsapi.Shape{Name: output.Name + "s", Type: awsapi.List, Elem: &awsapi.Member{Shape: &one}}
	return &awsapi.Shape{Name: list.Name, Type: output.Type, Members: []awsapi.Member{{Name: eachAnswer, Shape: list}}}
}

// call gives the shape of the elements that a call gives.
func (c *checker) call(place string, call *Call) *awsapi.Shape {
	op := c.operation(place+"/operation", call.Operation)
	if op == nil {
		return nil
	}
	c.inputs(place+"/input", op, call.Input)
	c.pages(place, op, call)
	if call.Items == "" {
		c.add(place, "a path", "%s has no items", place)
		return nil
	}
	s := c.path(place+"/items", op.Output, call.Items)
	if s != nil && s.Type == awsapi.List {
		return s.Elem.Shape
	}
	return s
}

func (c *checker) operation(place, name string) *awsapi.Operation {
	return c.operationOf(place, c.service, name)
}

func (c *checker) operationOf(place, service, name string) *awsapi.Operation {
	op, err := c.catalog.Operation(service, name)
	if err != nil {
		c.add(place, "an operation of a service", "%v", err)
		return nil
	}
	if op.Name != name {
		c.add(place, op.Name, "the operation is %s", name)
	}
	if op.Class() != awsapi.Read {
		c.add(place, "an operation that reads", "%s is of another class", name)
	}
	return op
}

// pages refuses a call whose further pages nobody would ask for.
func (c *checker) pages(place string, op *awsapi.Operation, call *Call) {
	for _, name := range slices.Sorted(maps.Keys(call.Pages)) {
		if op.Input.Member(name) == nil {
			c.add(place+"/pages/"+name, "a member of its input", "%s has no input %s", op.Name, name)
		}
		c.text(place+"/pages/"+name, op.Output, call.Pages[name])
	}
	_, known := op.Service.Paginator(op.Name)
	switch {
	case known && call.Pages != nil:
		c.add(place+"/pages", "no pages", "the models know how %s is asked for its pages", op.Name)
	case !known && call.Pages == nil && slices.ContainsFunc(pageMembers, func(m string) bool { return op.Output.Member(m) != nil }):
		c.add(place+"/operation", "pages", "%s has pages, and the models don't say how to ask for them", op.Name)
	}
}

// inputs checks the members of a call's input, and that none is missing.
func (c *checker) inputs(place string, op *awsapi.Operation, in map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if op.Input.Member(name) == nil {
			c.add(place+"/"+name, "a member of its input", "%s has no input %s", op.Name, name)
		}
	}
	if op.Input == nil {
		return
	}
	for i := range op.Input.Members {
		if m := &op.Input.Members[i]; m.Is(awsapi.Required) && in[m.Name] == nil {
			c.add(place, m.Name, "%s needs the input %s", op.Name, m.Name)
		}
	}
}

// template checks that what a template names is text.
func (c *checker) template(place, tmpl string, s *awsapi.Shape) {
	for _, name := range placeholders(tmpl) {
		if !slices.Contains(c.vars, name) {
			c.text(place, s, name)
		}
	}
}

// text checks that there is text at a path.
func (c *checker) text(place string, s *awsapi.Shape, p string) {
	if got := c.path(place, s, p); got != nil && got.Type != awsapi.String {
		c.add(place, "a text", "%s is of type %s", p, got.Type)
	}
}

func (c *checker) enum(place string, s *awsapi.Shape, words []string) {
	for _, w := range words {
		if s != nil && len(s.Enum) > 0 && !slices.Contains(s.Enum, w) {
			c.add(place, "one of "+strings.Join(s.Enum, ", "), "%s is never %s", s.Name, w)
		}
	}
}

func (c *checker) tags(place string, s *awsapi.Shape, t *Tags) {
	if t == nil {
		return
	}
	if (t.Map == "") == (t.Each == "") {
		c.add(place, "map, or each, key and value", "the tags have both or neither")
		return
	}
	if t.Map != "" {
		if m := c.path(place+"/map", s, t.Map); m != nil && m.Type != awsapi.Map {
			c.add(place+"/map", "a map", "%s is of type %s", t.Map, m.Type)
		}
		return
	}
	list := c.path(place+"/each", s, t.Each)
	if list == nil {
		return
	}
	if list.Type != awsapi.List {
		c.add(place+"/each", "a list", "%s is of type %s", t.Each, list.Type)
		return
	}
	c.path(place+"/key", list.Elem.Shape, t.Key)
	c.path(place+"/value", list.Elem.Shape, t.Value)
}

func (c *checker) relationships(t *Type, element *awsapi.Shape) {
	for i, r := range t.Relationships {
		place := "relationships/" + strconv.Itoa(i)
		source := c.path(place+"/each", element, r.Each)
		if r.Each != "" && source != nil {
			if source.Type != awsapi.List {
				c.add(place+"/each", "a list", "%s is of type %s", r.Each, source.Type)
				continue
			}
			source = source.Elem.Shape
		}
		if r.ID == "" && r.Label == "" || !typeForm.MatchString(r.Type) || r.Name == "" {
			c.add(place, "resourceType, relationshipName, and resourceId or resourceName", "something is missing")
		}
		c.path(place+"/resourceId", source, r.ID)
		c.path(place+"/resourceName", source, r.Label)
	}
}

func (c *checker) region(t *Type, listed *awsapi.Shape) {
	if t.Region == nil {
		return
	}
	if t.Region.Member != "" {
		c.text("region/member", listed, t.Region.Member)
		if t.Region.Operation == "" {
			return
		}
	}
	if op := c.operation("region/operation", t.Region.Operation); op != nil {
		c.inputs("region/input", op, t.Region.Input)
		c.inputTemplates("region/input", t.Region.Input, listed)
		c.path("region/path", op.Output, t.Region.Path)
	}
}

func (c *checker) detail(place string, d *Detail, element *awsapi.Shape) {
	d.Service = cmp.Or(d.Service, c.service)
	op := c.operationOf(place+"/operation", d.Service, d.Operation)
	if op == nil {
		return
	}
	answer := op.Output
	if d.For != nil {
		defer func(service string, vars []string) { c.service, c.vars = service, vars }(c.service, c.vars)
		c.service = d.Service
		parent := c.call(place+"/for", &d.For.Call)
		c.inputTemplates(place+"/for/input", d.For.Input, element)
		c.variables(place+"/for/as", d.For.As, parent)
		answer = answersShape(op.Output, parent)
	}
	c.inputs(place+"/input", op, d.Input)
	c.inputTemplates(place+"/input", d.Input, element)
	d.conf = c.object(place+"/configuration", answer, d.Configuration)
	d.supp = c.object(place+"/supplementaryConfiguration", answer, d.Supplementary)
	c.tags(place+"/tags", answer, d.Tags)
	if len(d.gives()) == 0 {
		c.add(place, "configuration, supplementaryConfiguration or tags", "%s gives nothing", d.Operation)
	}
}

// inputTemplates checks the paths in an input's texts.
func (c *checker) inputTemplates(place string, in any, element *awsapi.Shape) {
	switch in := in.(type) {
	case string:
		c.template(place, in, element)
	case []any:
		for i, e := range in {
			c.inputTemplates(place+"/"+strconv.Itoa(i), e, element)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(in)) {
			c.inputTemplates(place+"/"+k, in[k], element)
		}
	}
}

// path gives the shape at a path; nil where there is none, or s is nil.
func (c *checker) path(place string, s *awsapi.Shape, p string) *awsapi.Shape {
	if p == "" || p == "." {
		return s
	}
	parts := strings.Split(p, ".")
	for i, part := range parts {
		if s == nil {
			return nil
		}
		name, each := strings.CutSuffix(part, "[]")
		m := s.Member(name)
		if s.Type == awsapi.Map {
			m = s.Elem // any key
		}
		if m == nil {
			c.add(place, "a member of the model's "+s.Name, "there is no member %s", name)
			return nil
		}
		s = m.Shape
		switch last := i == len(parts)-1; {
		case each && s.Type != awsapi.List:
			c.add(place, "a path without []", "%s is no list", name)
			return nil
		case each && !last:
			s = s.Elem.Shape
		case s.Type == awsapi.List && !last:
			c.add(place, name+"[]", "%s is a list", name)
			return nil
		}
	}
	if strings.Contains(p, "[].") && s.Type != awsapi.List {
		return &awsapi.Shape{Name: s.Name + "s", Type: awsapi.List, Elem: &awsapi.Member{Shape: s}} // one of each element
	}
	return s
}
