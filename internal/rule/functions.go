package rule

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
)

// function compiles a call of a function: one of CEL's, one of ours, or a look-up.
func (c *compiler) function(name string, args []ast.Expr) code {
	codes := make([]code, len(args))
	evals := make([]func(*machine) value, len(args))
	for i, a := range args {
		codes[i] = c.expr(a)
		evals[i] = codes[i].evaluator()
	}
	if l, ok := lookups[name]; ok {
		return code{eval: called(evals, l.params, func(m *machine, args []value) value { return m.lookup(name, args) })}
	}
	for _, f := range hostFunctions() {
		if f.name == name {
			return c.folded(code{eval: called(evals, f.params, f.call)}, codes...)
		}
	}
	switch {
	case name == overloads.Matches && len(args) == 2:
		return c.matches(codes)
	case len(args) == 1 && unary[name] != nil:
		f, x := unary[name], evals[0]
		return c.folded(code{eval: func(m *machine) value {
			v := x(m)
			if v.isError() {
				return v
			}
			return f(m, v)
		}}, codes...)
	case len(args) == 2 && ofTexts[name] != nil:
		f, x, y := ofTexts[name], evals[0], evals[1]
		return c.folded(code{test: func(m *machine) tri {
			a := x(m)
			if a.kind != kindString {
				return m.fail(a)
			}
			b := y(m)
			if b.kind != kindString {
				return m.fail(b)
			}
			return triOf(f(a.str, b.str))
		}}, codes...)
	case strings.HasPrefix(name, "get"): // getFullYear and the like
		return c.folded(code{eval: called(evals, nil, func(m *machine, args []value) value { return m.bridge(name, args) })}, codes...)
	}
	return c.unable("the function %s", name)
}

// called evaluates arguments, none of which may be an error, checks them against
// the types of parameters, and calls.
func called(evals []func(*machine) value, params []*cel.Type, call func(*machine, []value) value) func(*machine) value {
	kinds := make([]kind, len(evals)) // kindError: any
	for i, p := range params {
		switch p {
		case cel.StringType:
			kinds[i] = kindString
		case cel.IntType:
			kinds[i] = kindInt
		case cel.TimestampType:
			kinds[i] = kindTime
		}
	}
	return func(m *machine) value {
		base := len(m.stack)
		for i, eval := range evals {
			v := eval(m)
			if v.isError() || kinds[i] != kindError && v.kind != kinds[i] {
				m.drop(base)
				if v.isError() {
					return v
				}
				return errNoOverload
			}
			m.stack = append(m.stack, v)
		}
		v := call(m, m.stack[base:])
		m.drop(base)
		return v
	}
}

// ofTexts are CEL's predicates of two texts.
var ofTexts = map[string]func(a, b string) bool{
	overloads.StartsWith: strings.HasPrefix, overloads.EndsWith: strings.HasSuffix, overloads.Contains: strings.Contains,
}

// unary are CEL's functions of one value, which is no error.
var unary = map[string]func(m *machine, v value) value{
	operators.Negate:               func(_ *machine, v value) value { return negate(v) },
	overloads.Size:                 size,
	overloads.TypeConvertDyn:       func(_ *machine, v value) value { return v },
	overloads.TypeConvertString:    toString,
	overloads.TypeConvertInt:       toInt,
	overloads.TypeConvertDouble:    toDouble,
	overloads.TypeConvertBool:      toBool,
	overloads.TypeConvertDuration:  toDuration,
	overloads.TypeConvertTimestamp: toTimestamp,
}

func size(m *machine, v value) value {
	switch {
	case v.kind == kindString:
		return intValue(int64(utf8.RuneCountInString(v.str)))
	case v.isList(), v.isMap():
		return intValue(m.size(v))
	}
	return errNoOverload
}

func toString(m *machine, v value) value {
	from := len(m.scratch)
	switch v.kind {
	case kindString:
		return v
	case kindBool:
		return stringValue(strconv.FormatBool(v.num == 1))
	case kindInt:
		m.scratch = strconv.AppendInt(m.scratch, v.int(), 10)
	case kindDouble:
		m.scratch = fmt.Appendf(m.scratch, "%g", v.double())
	case kindTime:
		m.scratch = v.time().AppendFormat(m.scratch, time.RFC3339Nano)
	case kindDuration:
		m.scratch = append(strconv.AppendFloat(m.scratch, v.duration().Seconds(), 'f', -1, 64), 's')
	default:
		return errNoOverload
	}
	return stringValue(m.scratched(from))
}

func toInt(_ *machine, v value) value {
	switch v.kind {
	case kindInt:
		return v
	case kindDouble:
		f := v.double()
		if !(f > math.MinInt64 && f < math.MaxInt64) {
			return errOverflow
		}
		return intValue(int64(f))
	case kindString:
		i, err := strconv.ParseInt(v.str, 10, 64)
		if err != nil {
			return value{str: "the text is no whole number"}
		}
		return intValue(i)
	case kindTime, kindDuration:
		return intValue(v.int())
	}
	return errNoOverload
}

func toDouble(_ *machine, v value) value {
	switch v.kind {
	case kindDouble:
		return v
	case kindInt:
		return doubleValue(float64(v.int()))
	case kindString:
		f, err := strconv.ParseFloat(v.str, 64)
		if err != nil {
			return value{str: "the text is no number"}
		}
		return doubleValue(f)
	}
	return errNoOverload
}

func toBool(_ *machine, v value) value {
	switch v.kind {
	case kindBool:
		return v
	case kindString:
		b, err := strconv.ParseBool(v.str)
		if err != nil {
			return value{str: "the text is neither true nor false"}
		}
		return boolValue(b)
	}
	return errNoOverload
}

func toDuration(_ *machine, v value) value {
	switch v.kind {
	case kindDuration:
		return v
	case kindString:
		d, err := time.ParseDuration(v.str)
		if err != nil {
			return value{str: "the text is no duration"}
		}
		return durationValue(d)
	}
	return errNoOverload
}

func toTimestamp(_ *machine, v value) value {
	switch v.kind {
	case kindTime:
		return v
	case kindInt:
		if v.int() < firstSecond || v.int() > lastSecond {
			return errTimeOverflow
		}
		return value{kind: kindTime, num: v.num}
	case kindString:
		return timestamp(v.str)
	}
	return errNoOverload
}

// matches is a regular expression's match somewhere in a text. One that is written
// out is compiled once.
func (c *compiler) matches(codes []code) code {
	text, pattern := codes[0].evaluator(), codes[1].evaluator()
	if codes[1].constant && codes[1].value.kind == kindString {
		re, err := regexp.Compile(codes[1].value.str)
		if err != nil {
			problem := value{str: err.Error()}
			return code{eval: func(m *machine) value {
				if v := text(m); v.isError() {
					return v
				}
				return problem
			}}
		}
		return c.folded(code{test: func(m *machine) tri {
			v := text(m)
			if v.kind != kindString {
				return m.fail(v)
			}
			return triOf(re.MatchString(v.str))
		}}, codes...)
	}
	return code{test: func(m *machine) tri {
		v := text(m)
		if v.kind != kindString {
			return m.fail(v)
		}
		p := pattern(m)
		if p.kind != kindString {
			return m.fail(p)
		}
		re, err := regexp.Compile(p.str)
		if err != nil {
			m.err = err.Error()
			return bad
		}
		return triOf(re.MatchString(v.str))
	}}
}
