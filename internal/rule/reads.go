package rule

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
)

// walker finds what an expression reads: the longest paths of members, with the
// elements of a list counted as the list, and what json decodes as what it is
// decoded from. It follows the variables of macros such as exists.
type walker struct {
	bound   map[string]place      // of each macro's variable
	reads   map[string][][]string // paths by the type of another resource, "" for the item
	problem string
}

// place is a member of the item, or of another resource of a type.
type place struct {
	resource string // "": the item
	members  []string
	known    bool // false: it is no place, but a value that was made
	whole    bool // all within it is read, for which member is not known
}

func (p place) member(name string) place {
	if p.whole {
		return p
	}
	p.members = append(slices.Clip(p.members), name)
	return p
}

// place is what an expression stands for.
func (w *walker) place(e ast.Expr) place {
	switch e.Kind() {
	case ast.IdentKind:
		if p, ok := w.bound[e.AsIdent()]; ok {
			return p
		}
		return place{known: e.AsIdent() == "resource"}
	case ast.SelectKind:
		return w.place(e.AsSelect().Operand()).member(e.AsSelect().FieldName())
	case ast.CallKind:
		return w.placeOfCall(e.AsCall())
	case ast.ComprehensionKind:
		if c := e.AsComprehension(); isFilter(c) {
			w.comprehension(c)
			return w.place(c.IterRange()) // some of its elements
		}
	}
	return place{}
}

// isFilter says whether a comprehension is what the macro filter becomes: it adds
// an element to its list as it is, or leaves it.
func isFilter(c ast.ComprehensionExpr) bool {
	step := c.LoopStep()
	if step.Kind() != ast.CallKind || step.AsCall().FunctionName() != operators.Conditional {
		return false
	}
	added := step.AsCall().Args()[1]
	if added.Kind() != ast.CallKind || added.AsCall().FunctionName() != operators.Add {
		return false
	}
	list := added.AsCall().Args()[1]
	return list.Kind() == ast.ListKind && list.AsList().Size() == 1 &&
		list.AsList().Elements()[0].Kind() == ast.IdentKind && list.AsList().Elements()[0].AsIdent() == c.IterVar()
}

func (w *walker) placeOfCall(c ast.CallExpr) place {
	name, args := c.FunctionName(), c.Args()
	switch {
	case name == operators.Index && len(args) == 2:
		p := w.place(args[0])
		if !p.known {
			return p
		}
		if s, isText := literalText(args[1]); isText {
			return p.member(s)
		}
		w.expr(args[1])
		p.whole = args[1].Kind() != ast.LiteralKind // else it is an element of a list
		return p
	case name == "json" && len(args) == 1:
		return w.place(args[0])
	}
	if _, ok := lookups[name]; ok && len(args) > 0 {
		resourceType, isText := literalText(args[0])
		if !isText || !typeForm.MatchString(resourceType) {
			w.problem = fmt.Sprintf("the type that %s looks for is no literal such as 'AWS::KMS::Key'", name)
		}
		for _, a := range args[1:] {
			w.expr(a)
		}
		if w.reads[resourceType] == nil {
			w.reads[resourceType] = [][]string{}
		}
		if name == "related" {
			w.reads[""] = append(w.reads[""], []string{"relationships"})
		}
		return place{resource: resourceType, known: true}
	}
	return place{}
}

// joined are paths as texts, sorted.
func joined(paths [][]string) []string {
	list := make([]string, len(paths))
	for i, p := range paths {
		list[i] = strings.Join(p, ".")
	}
	return sorted(list)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

func literalText(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().Value().(string)
	return s, ok
}

func (w *walker) expr(e ast.Expr) {
	if p := w.place(e); p.known {
		w.reads[p.resource] = append(w.reads[p.resource], p.members)
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		w.expr(e.AsSelect().Operand())
	case ast.CallKind:
		c := e.AsCall()
		if c.FunctionName() == overloads.Size {
			w.counted(slices.Concat(targetOf(c), c.Args())[0])
			return
		}
		for _, a := range slices.Concat(targetOf(c), c.Args()) {
			w.expr(a)
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			w.expr(item)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			w.expr(entry.AsMapEntry().Key())
			w.expr(entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		for _, f := range e.AsStruct().Fields() {
			w.expr(f.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		w.comprehension(e.AsComprehension())
	}
}

func targetOf(c ast.CallExpr) []ast.Expr {
	if c.IsMemberFunction() {
		return []ast.Expr{c.Target()}
	}
	return nil
}

// counted is an expression of which only the elements are counted or gone
// through: of other resources that reads which there are, and none of their
// members.
func (w *walker) counted(e ast.Expr) place {
	p := w.place(e)
	if !p.known || p.resource == "" || len(p.members) > 0 {
		w.expr(e)
	}
	return p
}

func (w *walker) comprehension(c ast.ComprehensionExpr) {
	over := w.counted(c.IterRange())
	w.expr(c.AccuInit())
	names := map[string]place{c.IterVar(): over, c.AccuVar(): {}}
	if c.HasIterVar2() { // then the first is an index or a key
		names[c.IterVar()], names[c.IterVar2()] = place{}, over
	}
	outer := map[string]place{}
	for name, p := range names {
		if before, ok := w.bound[name]; ok {
			outer[name] = before
		}
		w.bound[name] = p
	}
	w.expr(c.LoopCondition())
	if isFilter(c) {
		w.expr(c.LoopStep().AsCall().Args()[0]) // what it keeps is read where it is used
	} else {
		w.expr(c.LoopStep())
	}
	for name := range names {
		delete(w.bound, name)
		if before, ok := outer[name]; ok {
			w.bound[name] = before
		}
	}
	w.expr(c.Result())
}
