package eventpattern

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// entry compiles an entry of a field's list into the condition.
func (c *compiler) entry(cond *condition, n *node) {
	var m matcher
	switch n.kind {
	case objectKind:
		m = c.operator(cond, n)
	case arrayKind:
		c.add(n.start, cond.path, "a value or an operator", "a list within the list")
	case stringKind:
		m = exactText{n.text}
		if a, ok := parseAddress(n.text); ok {
			m = exactAddress{a}
		}
	case numberKind:
		m = exactNumberOf(n)
	default:
		m = exactKind{n.kind}
	}
	if m != nil {
		cond.matchers = append(cond.matchers, m)
	}
}

func exactNumberOf(n *node) exactNum {
	num, comp := exactNumber(n.text)
	return exactNum{num: num, comp: comp, text: n.text}
}

var operators = []string{"prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"}

// only gives the one member that an operator's object must have.
func (c *compiler) only(n *node, path string, names []string) (member, bool) {
	expected := "one of " + strings.Join(names, ", ")
	if len(names) == 1 {
		expected = names[0]
	}
	if len(n.members) == 0 {
		c.add(n.start, path, expected, "an empty object")
		return member{}, false
	}
	if len(n.members) > 1 {
		c.add(n.members[1].start, path, "one operator to an object", "a second key, %q", n.members[1].name)
	}
	m := n.members[0]
	if !slices.Contains(names, m.name) {
		if lower := strings.ToLower(m.name); slices.Contains(names, lower) {
			expected = lower + ", in lower case"
		}
		c.add(m.start, path, expected, "there is no operator %q here", m.name)
		return member{}, false
	}
	return m, true
}

// operator compiles an entry such as {"prefix": "a"}; nil if it isn't one of
// values, or wrong.
func (c *compiler) operator(cond *condition, n *node) matcher {
	m, ok := c.only(n, cond.path, operators)
	if !ok {
		return nil
	}
	switch m.name {
	case "exists":
		switch m.value.kind {
		case trueKind:
			return exists{}
		case falseKind:
			cond.absent = true
		default:
			c.add(m.value.start, cond.path, "true or false", "the value of exists is %s", m.value.what())
		}
		return nil
	case "numeric":
		return c.numeric(cond.path, m.value)
	case "anything-but":
		return c.anythingBut(cond.path, m.value)
	case "cidr":
		return c.cidr(cond.path, m.value)
	case "prefix", "suffix":
		if m.value.kind == objectKind {
			inner, ok := c.only(m.value, cond.path, []string{"equals-ignore-case"})
			if !ok {
				return nil
			}
			return c.text(cond.path, m.name+" "+inner.name, inner.value)
		}
	}
	return c.text(cond.path, m.name, m.value)
}

// text compiles an operator on a text.
func (c *compiler) text(path, operator string, n *node) matcher {
	if n.kind != stringKind {
		c.add(n.start, path, "a text", "the value of %s is %s", operator, n.what())
		return nil
	}
	switch operator {
	case "prefix":
		return prefix{n.text}
	case "suffix":
		return suffix{n.text}
	case "equals-ignore-case":
		return foldEqual{n.text}
	case "prefix equals-ignore-case":
		return foldPrefix{n.text}
	case "suffix equals-ignore-case":
		return foldSuffix{n.text}
	}
	w, err := parseWildcard(n.text)
	if err != nil {
		c.add(n.start, path, `single *, with \* and \\ for the characters themselves`, "the wildcard %s has %v", strconv.Quote(n.text), err)
		return nil
	}
	if w.complexity(c.MaxWildcardComplexity) > c.MaxWildcardComplexity {
		c.add(n.start, path, "fewer wildcard characters, or fewer repetitions after one", "the wildcard %s is too complex", strconv.Quote(n.text))
		return nil
	}
	return w
}

// anythingBut compiles the operand of anything-but: a text, a number, a list of
// one of them, or an operator on a text or on a list of texts.
func (c *compiler) anythingBut(path string, n *node) matcher {
	const expected = "a text, a number, a list of texts or of numbers, or an operator"
	operator, values := "", n
	if n.kind == objectKind {
		m, ok := c.only(n, path, []string{"prefix", "suffix", "equals-ignore-case", "wildcard"})
		if !ok {
			return nil
		}
		operator, values = m.name, m.value
	}
	list := values.elements
	if values.kind != arrayKind {
		list = []*node{values}
	} else if len(list) == 0 {
		c.add(values.start, path, "values", "an empty list in anything-but")
	}
	var but anythingBut
	for _, e := range list {
		var m matcher
		switch {
		case operator != "":
			if e.kind == stringKind && e.text == "" && (operator == "prefix" || operator == "suffix") {
				c.add(e.start, path, "a text that isn't empty", "every text has the empty %s", operator)
				continue
			}
			if m = c.text(path, operator, e); m == nil {
				continue
			}
		case e.kind == stringKind:
			m = exactText{e.text}
		case e.kind == numberKind:
			num := exactNumberOf(e)
			if !num.comp {
				c.add(e.start, path, "at most 17 digits", "the number %s can't be compared exactly", e.text)
			}
			m = num
		default:
			c.add(e.start, path, expected, "anything-but has %s", e.what())
			continue
		}
		if operator == "" && e.kind != list[0].kind {
			c.add(e.start, path, "texts only, or numbers only", "anything-but has %s beside %s", e.kind, list[0].kind)
		}
		but.named = append(but.named, m)
	}
	return but
}

// numeric compiles the operand of numeric: [op, n], or [>, n, <, n].
func (c *compiler) numeric(path string, n *node) matcher {
	if n.kind != arrayKind {
		c.add(n.start, path, `a list such as [">", 0, "<=", 5]`, "the value of numeric is %s", n.what())
		return nil
	}
	if len(n.elements) == 0 {
		c.add(n.start, path, `a list such as [">", 0, "<=", 5]`, "an empty list in numeric")
		return nil
	}
	first, num, ok := c.comparison(path, n, 0, `=, <, <=, > or >=`)
	if !ok {
		return nil
	}
	r := between{low: math.Inf(-1), high: math.Inf(1)}
	rest := n.elements[2:]
	switch first {
	case "=":
		r.low, r.high = num, num
	case "<", "<=":
		r.high, r.openHigh = num, first == "<"
	default:
		r.low, r.openLow = num, first == ">"
		if len(rest) > 0 {
			var second string
			if second, r.high, ok = c.comparison(path, n, 2, "< or <="); !ok {
				return nil
			}
			r.openHigh = second == "<"
			rest = rest[2:]
			if r.low >= r.high {
				c.add(n.elements[3].start, path, "a number above "+n.elements[1].text, "the range is empty")
			}
		}
	}
	if len(rest) > 0 {
		c.add(rest[0].start, path, "the end of the list", "numeric has too many entries")
	}
	return r
}

// comparison reads an operator of those allowed and a number from a list.
func (c *compiler) comparison(path string, n *node, i int, allowed string) (string, float64, bool) {
	op := n.elements[i]
	if op.kind != stringKind || !slices.Contains(strings.FieldsFunc(allowed, func(r rune) bool { return strings.ContainsRune(", or", r) }), op.text) {
		c.add(op.start, path, allowed, "numeric has %s", op.what())
		return "", 0, false
	}
	if i+1 == len(n.elements) {
		c.add(op.start, path, "a number behind it", "numeric ends with %s", op.text)
		return "", 0, false
	}
	e := n.elements[i+1]
	if e.kind != numberKind {
		c.add(e.start, path, "a number behind "+op.text, "numeric has %s", e.what())
		return "", 0, false
	}
	num, ok := exactNumber(e.text)
	if !ok {
		c.add(e.start, path, "at most 17 digits", "the number %s can't be compared exactly", e.text)
	}
	return op.text, num, ok
}

func (c *compiler) cidr(path string, n *node) matcher {
	if n.kind != stringKind {
		c.add(n.start, path, "a text such as 10.0.0.0/24", "the value of cidr is %s", n.what())
		return nil
	}
	ip, bits, found := strings.Cut(n.text, "/")
	addr, ok := parseAddress(ip)
	if !found || !ok {
		c.add(n.start, path, "an IP address, a slash and the bits of the mask", "%s is no CIDR block", strconv.Quote(n.text))
		return nil
	}
	most := addr.BitLen() - 1
	b, err := strconv.ParseUint(bits, 10, 8)
	if err != nil || int(b) > most {
		c.add(n.start, path, fmt.Sprintf("0 to %d bits", most), "%s has no mask for its address", strconv.Quote(n.text))
		return nil
	}
	return inPrefix{netip.PrefixFrom(addr, int(b)).Masked()}
}
