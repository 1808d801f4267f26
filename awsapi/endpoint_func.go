package awsapi

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// call runs a function of the rule language. A nil result is "not set", which
// ends a rule's conditions.
func (e *evaluator) call(fn string, argv []any, depth int) (any, error) {
	if e.steps++; e.steps > maxRuleSteps {
		return nil, fmt.Errorf("the rules take too many steps")
	}
	args := make([]any, len(argv))
	for i, a := range argv {
		v, err := e.eval(a, depth)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	f, ok := ruleFunctions[fn]
	if !ok {
		return nil, fmt.Errorf("unknown function %s", fn)
	}
	if f.arity >= 0 && len(args) != f.arity {
		return nil, fmt.Errorf("%s takes %d arguments, it has %d", fn, f.arity, len(args))
	}
	return f.run(e, args), nil
}

type ruleFunction struct {
	arity int // -1: any
	run   func(e *evaluator, a []any) any
}

// ruleFunctions are those of Smithy's rules engine and of its AWS extension.
var ruleFunctions = map[string]ruleFunction{
	"isSet":         {1, func(_ *evaluator, a []any) any { return a[0] != nil }},
	"not":           {1, func(_ *evaluator, a []any) any { return a[0] == nil || a[0] == false }},
	"booleanEquals": {2, func(_ *evaluator, a []any) any { return same[bool](a) }},
	"stringEquals":  {2, func(_ *evaluator, a []any) any { return same[string](a) }},
	"getAttr": {2, func(_ *evaluator, a []any) any {
		path, _ := a[1].(string)
		return attribute(a[0], path)
	}},
	"coalesce": {-1, func(_ *evaluator, a []any) any {
		for _, v := range a {
			if v != nil {
				return v
			}
		}
		return nil
	}},
	"ite": {3, func(_ *evaluator, a []any) any {
		if a[0] == true {
			return a[1]
		}
		return a[2]
	}},
	"split": {3, func(_ *evaluator, a []any) any {
		s, ok := a[0].(string)
		sep, ok2 := a[1].(string)
		n, ok3 := a[2].(float64)
		if !ok || !ok2 || !ok3 || sep == "" {
			return nil
		}
		if n == 0 {
			n = -1
		}
		var out []any
		for _, p := range strings.SplitN(s, sep, int(n)) {
			out = append(out, p)
		}
		return out
	}},
	"substring": {4, func(_ *evaluator, a []any) any {
		s, ok := a[0].(string)
		start, ok1 := a[1].(float64)
		stop, ok2 := a[2].(float64)
		reverse, ok3 := a[3].(bool)
		from, to := int(start), int(stop)
		if !ok || !ok1 || !ok2 || !ok3 || from < 0 || from >= to || to > len(s) || strings.IndexFunc(s, func(r rune) bool { return r > 127 }) >= 0 {
			return nil
		}
		if reverse {
			from, to = len(s)-to, len(s)-from
		}
		return s[from:to]
	}},
	"uriEncode": {1, func(_ *evaluator, a []any) any {
		s, ok := a[0].(string)
		if !ok {
			return nil
		}
		return escape(s, false)
	}},
	"parseURL":         {1, func(_ *evaluator, a []any) any { return parseRuleURL(a[0]) }},
	"isValidHostLabel": {2, func(_ *evaluator, a []any) any { return isHostLabel(a[0], a[1] == true) }},
	"aws.partition": {1, func(e *evaluator, a []any) any {
		region, ok := a[0].(string)
		if !ok {
			return nil
		}
		return e.partitions.attributes(region)
	}},
	"aws.parseArn":                  {1, func(_ *evaluator, a []any) any { return parseRuleARN(a[0]) }},
	"aws.isVirtualHostableS3Bucket": {2, func(_ *evaluator, a []any) any { return isVirtualHostable(a[0], a[1] == true) }},
}

// same says whether both arguments are of the type and the same. Values of
// other types are equal to nothing, not to themselves either.
func same[T comparable](a []any) bool {
	x, ok := a[0].(T)
	y, ok2 := a[1].(T)
	return ok && ok2 && x == y
}

// attribute follows a path of names, each with an index maybe: a.b[0].
func attribute(v any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		name, rest, indexed := strings.Cut(part, "[")
		if name != "" {
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[name]
		}
		if !indexed {
			continue
		}
		i, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
		l, ok := v.([]any)
		if err != nil || !ok {
			return nil
		}
		if i < 0 {
			i += len(l)
		}
		if i < 0 || i >= len(l) {
			return nil
		}
		v = l[i]
	}
	return v
}

func parseRuleURL(v any) any {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil
	}
	path := u.EscapedPath()
	normalized := path
	if !strings.HasPrefix(normalized, "/") {
		normalized = "/" + normalized
	}
	if !strings.HasSuffix(normalized, "/") {
		normalized += "/"
	}
	_, err = netip.ParseAddr(strings.Trim(u.Hostname(), "[]"))
	return map[string]any{"scheme": u.Scheme, "authority": u.Host, "path": path, "normalizedPath": normalized, "isIp": err == nil}
}

// hostLabel is RFC 1123's: at most 63 letters, digits and hyphens, without a
// hyphen at either end.
var hostLabel = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

func isHostLabel(v any, subdomains bool) bool {
	s, ok := v.(string)
	if !ok {
		return false
	}
	labels := []string{s}
	if subdomains {
		labels = strings.Split(s, ".")
	}
	for _, l := range labels {
		if !hostLabel.MatchString(l) {
			return false
		}
	}
	return true
}

var bucketLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// isVirtualHostable says whether a bucket's name may stand in a host name.
func isVirtualHostable(v any, subdomains bool) bool {
	s, ok := v.(string)
	if !ok || len(s) < 3 || len(s) > 63 {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return false
	}
	labels := []string{s}
	if subdomains {
		labels = strings.Split(s, ".")
	}
	for _, l := range labels {
		if !bucketLabel.MatchString(l) {
			return false
		}
	}
	return true
}

func parseRuleARN(v any) any {
	s, ok := v.(string)
	if !ok {
		return nil
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return nil
	}
	var resource []any
	for p := range strings.SplitSeq(strings.ReplaceAll(parts[5], "/", ":"), ":") {
		resource = append(resource, p)
	}
	return map[string]any{"partition": parts[1], "service": parts[2], "region": parts[3], "accountId": parts[4], "resourceId": resource}
}
