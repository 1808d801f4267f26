package rule

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// environment is what expressions may name.
func environment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("resource", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("now", cel.TimestampType),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableErrorOnBadPresenceTest(true),
		cel.Macros(cel.GlobalMacro("ageDays", 1, func(eh cel.MacroExprFactory, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
			return eh.NewCall("ageDays", args[0], eh.NewIdent("now")), nil
		})),
	}
	for _, f := range hostFunctions() {
		overload := cel.Overload
		if f.member {
			overload = cel.MemberOverload
		}
		options = append(options, cel.Function(f.name, overload(f.name, f.params, f.result, cel.FunctionBinding(f.onCEL))))
	}
	for name, params := range lookups {
		options = append(options, cel.Function(name, cel.Overload(name, params.params, params.result, cel.LateFunctionBinding())))
	}
	return cel.NewEnv(options...)
}

// lookups are the functions that read other resources.
var lookups = map[string]struct {
	params []*cel.Type
	result *cel.Type
}{
	"lookup":    {twoTexts, cel.MapType(cel.StringType, cel.DynType)},
	"related":   {oneText, cel.ListType(cel.MapType(cel.StringType, cel.DynType))},
	"resources": {oneText, cel.ListType(cel.MapType(cel.StringType, cel.DynType))},
}

// onCEL is the function as cel-go's evaluator calls it.
func (f hostFunction) onCEL(args ...ref.Val) ref.Val {
	m := newMachine(time.Time{})
	own := make([]value, len(args))
	for i, a := range args {
		own[i] = m.fromCEL(a)
	}
	return m.toCEL(f.call(m, own))
}

// fromCEL turns a value of cel-go into one of ours; one of a type that ours
// don't have is an error.
func (m *machine) fromCEL(v ref.Val) value {
	switch v := v.(type) {
	case types.Bool:
		return boolValue(bool(v))
	case types.Int:
		return intValue(int64(v))
	case types.Double:
		return doubleValue(float64(v))
	case types.String:
		return stringValue(string(v))
	case types.Null:
		return value{kind: kindNull}
	case types.Timestamp:
		return timeValue(v.Time)
	case types.Duration:
		return durationValue(v.Duration)
	case traits.Lister:
		var elements []value
		for it := v.Iterator(); it.HasNext() == types.True; {
			elements = append(elements, m.fromCEL(it.Next()))
		}
		return m.keep(kindList, elements)
	case traits.Mapper:
		var entries []value
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			entries = append(entries, m.fromCEL(key), m.fromCEL(v.Get(key)))
		}
		return m.keep(kindMap, entries)
	case *types.Err:
		return value{str: v.Error()}
	}
	return errorValue("a value of type %s", v.Type().TypeName())
}

// toCEL turns a value into one of cel-go.
func (m *machine) toCEL(v value) ref.Val {
	if v.isError() {
		return types.NewErr("%s", v.str)
	}
	return types.DefaultTypeAdapter.NativeToValue(m.native(v))
}

// native is a value as Go's types have it.
func (m *machine) native(v value) any {
	switch v.kind {
	case kindBool:
		return v.num == 1
	case kindInt:
		return v.int()
	case kindDouble:
		return v.double()
	case kindString:
		return v.str
	case kindTime:
		return v.time()
	case kindDuration:
		return v.duration()
	case kindList:
		from, to := v.span()
		list := make([]any, 0, to-from)
		for _, e := range m.arena[from:to] {
			list = append(list, m.native(e))
		}
		return list
	case kindMap:
		from, to := v.span()
		out := make(map[string]any, (to-from)/2)
		for i := from; i < to; i += 2 {
			out[m.arena[i].str] = m.native(m.arena[i+1])
		}
		return out
	case kindNodeList, kindNodeMap:
		return withoutNull(m.docs[v.sub].Value(document.Node(v.num)))
	}
	return nil
}

// fromGo puts a parameter, or all of them, into the arena.
func (m *machine) fromGo(v any) value { return m.fromCEL(types.DefaultTypeAdapter.NativeToValue(v)) }

// vars is what cel-go's evaluator gets for an item.
func (r *Rule) vars(item *knowngood.Resource, now time.Time, lookup Lookup) (any, error) {
	of := r.Definition.Others
	s := subject{lookup: lookup, relationships: item.Relationships}
	return cel.FunctionVars(
		map[string]any{"resource": view(item), "params": r.params, "now": now.UTC()},
		map[string]cel.LateBoundFunction{
			"lookup": func(_ string, args ...ref.Val) ref.Val {
				found, err := s.find(of, text(args[0]), text(args[1]))
				switch {
				case err != nil:
					return types.WrapErr(err)
				case found == nil:
					return types.DefaultTypeAdapter.NativeToValue(map[string]any{})
				}
				return types.DefaultTypeAdapter.NativeToValue(view(found))
			},
			"related":   func(_ string, args ...ref.Val) ref.Val { return views(s.related(of, text(args[0]))) },
			"resources": func(_ string, args ...ref.Val) ref.Val { return views(s.all(of, text(args[0]))) },
		})
}

func text(v ref.Val) string {
	s, _ := v.Value().(string)
	return s
}

func views(found []*knowngood.Resource, err error) ref.Val {
	if err != nil {
		return types.WrapErr(err)
	}
	list := make([]any, len(found))
	for i, r := range found {
		list[i] = view(r)
	}
	return types.DefaultTypeAdapter.NativeToValue(list)
}

// view is an item as expressions see it. Null members are not there, so that
// has() tells the same of null and of absent.
func view(item *knowngood.Resource) map[string]any {
	v := map[string]any{
		"accountId":                  item.AccountID,
		"awsRegion":                  item.Region,
		"resourceType":               item.Type,
		"resourceId":                 item.ID,
		"configurationItemStatus":    string(item.Status),
		"tags":                       item.Tags,
		"configuration":              withoutNull(item.Configuration),
		"supplementaryConfiguration": withoutNull(item.Supplementary),
	}
	if item.Tags == nil {
		v["tags"] = map[string]string{}
	}
	for key, s := range map[string]string{"arn": item.ARN, "resourceName": item.Name, "availabilityZone": item.AvailabilityZone} {
		if s != "" {
			v[key] = s
		}
	}
	if item.CreationTime != nil {
		v["resourceCreationTime"] = *item.CreationTime
	}
	relationships := make([]any, len(item.Relationships))
	for i, r := range item.Relationships {
		rel := map[string]any{"resourceType": r.Type, "relationshipName": r.RelationshipName}
		if r.ID != "" {
			rel["resourceId"] = r.ID
		}
		if r.Name != "" {
			rel["resourceName"] = r.Name
		}
		relationships[i] = rel
	}
	v["relationships"] = relationships
	return v
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = withoutNull(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutNull(e)
		}
		return out
	}
	return v
}
