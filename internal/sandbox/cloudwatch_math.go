package sandbox

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// operand is a value of metric math: one series, or a list of them.
type operand struct {
	list   []*series
	isList bool
}

func one(s *series) operand { return operand{list: []*series{s}} }

func constant(v float64) operand { return one(&series{scalar: true, values: []float64{v}}) }

// mathParser computes an expression of CloudWatch's metric math as it reads it:
// numbers, ids, lists, + - * / ^ and the functions of mathFunctions.
type mathParser struct {
	e    *evaluation
	text string
	at   int
	deep int
}

func (e *evaluation) compute(text string) (*series, error) {
	p := &mathParser{e: e, text: text}
	v, err := p.sum()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.wrong("unexpected %q", p.text[p.at:])
	}
	if v.isList {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate expressions that give several series, as %s does.", text)
	}
	return v.list[0], nil
}

func (p *mathParser) wrong(format string, args ...any) error {
	return cloudwatchInvalid("Error in expression '"+strings.ReplaceAll(p.text, "%", "%%")+"': "+format, args...)
}

func (p *mathParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take takes one of some characters, if it is next.
func (p *mathParser) take(set string) byte {
	if p.space(); p.at < len(p.text) && strings.IndexByte(set, p.text[p.at]) >= 0 {
		p.at++
		return p.text[p.at-1]
	}
	return 0
}

// chain reads operands between operators of one rank, from the left.
func (p *mathParser) chain(operators string, next func() (operand, error)) (operand, error) {
	left, err := next()
	for err == nil {
		op := p.take(operators)
		if op == 0 {
			break
		}
		var right operand
		if right, err = next(); err == nil {
			left, err = p.apply(op, left, right)
		}
	}
	return left, err
}

func (p *mathParser) sum() (operand, error) {
	if p.deep++; p.deep > 50 {
		return operand{}, p.wrong("it is nested too deeply")
	}
	defer func() { p.deep-- }()
	return p.chain("+-", p.product)
}

func (p *mathParser) product() (operand, error) { return p.chain("*/", p.power) }
func (p *mathParser) power() (operand, error)   { return p.chain("^", p.atom) }

func (p *mathParser) atom() (operand, error) {
	switch c := p.take("-([\""); c {
	case '-':
		v, err := p.power()
		if err != nil {
			return v, err
		}
		return p.apply('*', constant(-1), v)
	case '(':
		v, err := p.sum()
		if err == nil && p.take(")") == 0 {
			err = p.wrong("a bracket is not closed")
		}
		return v, err
	case '[':
		args, err := p.args("]")
		out := operand{isList: true}
		for _, a := range args {
			out.list = append(out.list, a.list...)
		}
		return out, err
	case '"':
		return operand{}, p.wrong("a text is not expected here")
	}
	start := p.at
	for p.at < len(p.text) && (isWord(p.text[p.at]) || p.text[p.at] == '.') {
		p.at++
	}
	word := p.text[start:p.at]
	switch {
	case word == "":
		return operand{}, p.wrong("a value is missing")
	case word[0] >= '0' && word[0] <= '9' || word[0] == '.':
		v, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return operand{}, p.wrong("%s is no number", word)
		}
		return constant(v), nil
	case p.take("(") != 0:
		return p.call(word)
	case word == "REPEAT" || word == "LINEAR":
		return operand{}, failure(501, "NotImplemented", "The sandbox does not simulate FILL with %s.", word)
	}
	s, err := p.e.of(word)
	if err != nil {
		return operand{}, err
	}
	return one(s), nil
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// args reads values up to a closing character.
func (p *mathParser) args(closing string) ([]operand, error) {
	var out []operand
	if p.take(closing) != 0 {
		return nil, nil
	}
	for {
		v, err := p.sum()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if p.take(closing) != 0 {
			return out, nil
		}
		if p.take(",") == 0 {
			return nil, p.wrong("%s is missing", closing)
		}
	}
}

// apply combines two values by time. Where one has no value at a time, nor has
// the result.
func (p *mathParser) apply(op byte, a, b operand) (operand, error) {
	switch {
	case a.isList && b.isList:
		return operand{}, p.wrong("the operator %c does not take two lists", op)
	case a.isList || b.isList:
		list := a.list
		if b.isList {
			list = b.list
		}
		out := operand{isList: true}
		for i := range list {
			out.list = append(out.list, combine(op, nth(a, i), nth(b, i)))
		}
		return out, nil
	}
	return one(combine(op, a.list[0], b.list[0])), nil
}

func nth(o operand, i int) *series {
	if o.isList {
		return o.list[i]
	}
	return o.list[0]
}

func combine(op byte, a, b *series) *series {
	f := func(x, y float64) float64 {
		switch op {
		case '+':
			return x + y
		case '-':
			return x - y
		case '*':
			return x * y
		case '/':
			return x / y
		}
		return math.Pow(x, y)
	}
	switch {
	case a.scalar && b.scalar:
		return &series{scalar: true, values: []float64{f(a.values[0], b.values[0])}}
	case a.scalar:
		return each(b, func(y float64) float64 { return f(a.values[0], y) })
	case b.scalar:
		return each(a, func(x float64) float64 { return f(x, b.values[0]) })
	}
	out := &series{period: max(a.period, b.period)}
	for i, j := 0, 0; i < len(a.times) && j < len(b.times); {
		switch {
		case a.times[i] < b.times[j]:
			i++
		case a.times[i] > b.times[j]:
			j++
		default:
			out.put(a.times[i], f(a.values[i], b.values[j]))
			i, j = i+1, j+1
		}
	}
	return out
}

// put adds a value; what is no number, as after a division by zero, is no value.
func (s *series) put(at int64, v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		s.times, s.values = append(s.times, at), append(s.values, v)
	}
}

func each(s *series, f func(float64) float64) *series {
	if s.scalar {
		return &series{scalar: true, values: []float64{f(s.values[0])}}
	}
	out := &series{period: s.period}
	for i, v := range s.values {
		out.put(s.times[i], f(v))
	}
	return out
}

var aggregates = map[string]func([]float64) float64{
	"SUM":    sumOf,
	"AVG":    func(v []float64) float64 { return sumOf(v) / float64(len(v)) },
	"MIN":    slices.Min[[]float64],
	"MAX":    slices.Max[[]float64],
	"STDDEV": deviation,
}

var mappings = map[string]func(float64) float64{"ABS": math.Abs, "CEIL": math.Ceil, "FLOOR": math.Floor, "LOG": math.Log, "LOG10": math.Log10}

func sumOf(v []float64) float64 {
	total := 0.0
	for _, x := range v {
		total += x
	}
	return total
}

func deviation(v []float64) float64 {
	mean, total := sumOf(v)/float64(len(v)), 0.0
	for _, x := range v {
		total += (x - mean) * (x - mean)
	}
	return math.Sqrt(total / float64(len(v)))
}

// call computes a function, whose opening bracket has been read.
// Source: Amazon CloudWatch User Guide, "Using math expressions with CloudWatch
// metrics".
func (p *mathParser) call(name string) (operand, error) {
	if name == "METRICS" {
		return p.metrics()
	}
	args, err := p.args(")")
	if err != nil {
		return operand{}, err
	}
	switch f, g := aggregates[name], mappings[name]; {
	case f != nil && len(args) == 1 && args[0].isList:
		return p.across(name, f, args[0].list)
	case f != nil && len(args) == 1:
		if len(args[0].list[0].values) == 0 {
			return one(&series{}), nil
		}
		return constant(f(args[0].list[0].values)), nil
	case g != nil && len(args) == 1:
		out := operand{isList: args[0].isList}
		for _, s := range args[0].list {
			out.list = append(out.list, each(s, g))
		}
		return out, nil
	case name == "PERIOD" && len(args) == 1 && !args[0].isList:
		return constant(float64(args[0].list[0].period)), nil
	case name == "FILL" && len(args) == 2 && !args[0].isList && !args[1].isList && args[1].list[0].scalar:
		return one(p.fill(args[0].list[0], args[1].list[0].values[0])), nil
	case f != nil || g != nil || name == "PERIOD" || name == "FILL":
		return operand{}, p.wrong("%s does not take these arguments", name)
	}
	return operand{}, failure(501, "NotImplemented", "The sandbox does not simulate the metric math function %s.", name)
}

// metrics are all metrics of the request, or those whose ids hold a text.
func (p *mathParser) metrics() (operand, error) {
	filter := ""
	if p.take("\"") != 0 {
		end := strings.IndexByte(p.text[p.at:], '"')
		if end < 0 {
			return operand{}, p.wrong("a text is not closed")
		}
		filter = p.text[p.at : p.at+end]
		p.at += end + 1
	}
	if p.take(")") == 0 {
		return operand{}, p.wrong(") is missing")
	}
	out := operand{isList: true}
	for _, q := range p.e.queries {
		if q.expression == "" && strings.Contains(q.id, filter) {
			s, err := p.e.of(q.id)
			if err != nil {
				return operand{}, err
			}
			out.list = append(out.list, s)
		}
	}
	return out, nil
}

// across aggregates several series into one, at each time at which one has a
// value.
func (p *mathParser) across(name string, f func([]float64) float64, list []*series) (operand, error) {
	if len(list) == 0 {
		return operand{}, p.wrong("%s has nothing to work on", name)
	}
	at := map[int64][]float64{}
	out := &series{}
	for _, s := range list {
		if s.scalar {
			return operand{}, p.wrong("%s does not take a list of numbers", name)
		}
		out.period = max(out.period, s.period)
		for i, t := range s.times {
			if at[t] == nil {
				out.times = append(out.times, t)
			}
			at[t] = append(at[t], s.values[i])
		}
	}
	slices.Sort(out.times)
	for _, t := range out.times {
		out.values = append(out.values, f(at[t]))
	}
	return one(out), nil
}

// fill gives a value to the periods that have none.
func (p *mathParser) fill(s *series, v float64) *series {
	if s.scalar || s.period == 0 {
		return s
	}
	out, i := &series{period: s.period}, 0
	for t := p.e.start / s.period * s.period; t < p.e.end; t += s.period {
		for i < len(s.times) && s.times[i] < t {
			i++
		}
		if i < len(s.times) && s.times[i] == t {
			out.put(t, s.values[i])
			continue
		}
		out.put(t, v)
	}
	return out
}
