package rule

import (
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/knowngood/knowngood/iampolicy"
)

// hostFunction is a function of ours that expressions may call. Its arguments
// have been checked as far as their types are known; one of type dyn is checked by
// the function itself, which answers errNoOverload to what it doesn't take.
type hostFunction struct {
	name   string
	member bool // called on its first argument: text.trim()
	params []*cel.Type
	result *cel.Type
	call   func(m *machine, args []value) value
}

var (
	policyAlone = []*cel.Type{cel.DynType}
	policyList  = []*cel.Type{cel.DynType, cel.DynType}
	portsList   = []*cel.Type{cel.IntType, cel.IntType, cel.DynType}
	oneText     = []*cel.Type{cel.StringType}
	twoTexts    = []*cel.Type{cel.StringType, cel.StringType}
)

// hostFunctions are all of them, save those that read other resources: see
// lookups. docs/rules.md describes each; a test holds the two together.
func hostFunctions() []hostFunction {
	return []hostFunction{
		{"isDate", false, oneText, cel.BoolType, func(_ *machine, args []value) value {
			_, err := time.Parse(time.DateOnly, args[0].str)
			return boolValue(err == nil)
		}},
		{"date", false, oneText, cel.TimestampType, func(_ *machine, args []value) value {
			t, err := time.Parse(time.DateOnly, args[0].str)
			if err != nil {
				return errorValue("date: %q is no day as YYYY-MM-DD", args[0].str)
			}
			return timeValue(t)
		}},
		{"ageDays", false, []*cel.Type{cel.DynType, cel.TimestampType}, cel.IntType, ageDays},

		{"cidrContains", false, twoTexts, cel.BoolType, func(_ *machine, args []value) value {
			outer, err := prefixOf(args[0].str)
			if err != nil {
				return errorValue("cidrContains: %v", err)
			}
			inner, err := prefixOf(args[1].str)
			if err != nil {
				return errorValue("cidrContains: %v", err)
			}
			return boolValue(contains(outer, inner))
		}},
		{"isPublicCidr", false, oneText, cel.BoolType, func(_ *machine, args []value) value {
			p, err := prefixOf(args[0].str)
			if err != nil {
				return errorValue("isPublicCidr: %v", err)
			}
			return boolValue(isPublic(p))
		}},
		{"isAnyCidr", false, oneText, cel.BoolType, func(_ *machine, args []value) value {
			p, err := prefixOf(args[0].str)
			if err != nil {
				return errorValue("isAnyCidr: %v", err)
			}
			return boolValue(p.Bits() == 0)
		}},
		{"portIn", false, portsList, cel.BoolType, func(m *machine, args []value) value {
			list, err := m.ports(args[2])
			if err.isError() {
				return err
			}
			return boolValue(opened(args[0].int(), args[1].int()).anyWithin(list))
		}},
		{"portsWithin", false, portsList, cel.BoolType, func(m *machine, args []value) value {
			list, err := m.ports(args[2])
			if err.isError() {
				return err
			}
			return boolValue(opened(args[0].int(), args[1].int()).allWithin(list))
		}},

		{"policyIsPublic", false, policyAlone, cel.BoolType, onPolicy(func(p *iampolicy.Policy) bool {
			return p.IsPublic(iampolicy.BlockPublicAccess)
		})},
		{"policyIsAdmin", false, policyAlone, cel.BoolType, onPolicy(func(p *iampolicy.Policy) bool {
			return len(p.AdminStatements()) > 0
		})},
		{"policyGivesFullAccess", false, policyAlone, cel.BoolType, onPolicy(func(p *iampolicy.Policy) bool {
			return len(p.FullAccessStatements()) > 0
		})},
		{"policyRequiresTls", false, policyAlone, cel.BoolType, onPolicy(deniesInsecureTransport)},
		{"policyAllowsActions", false, policyList, cel.BoolType, onPolicyAndList(func(p *iampolicy.Policy, actions []string) bool {
			return len(p.AllowsActions(actions, "")) > 0
		})},
		{"policyGrantsOutside", false, policyList, cel.BoolType, onPolicyAndList(func(p *iampolicy.Policy, accounts []string) bool {
			return len(p.ExternalGrants(iampolicy.Zone{Accounts: accounts})) > 0
		})},

		{"lowerAscii", true, oneText, cel.StringType, onText(func(s string) string { return mapASCII(s, 'A', 'Z', 'a'-'A') })},
		{"upperAscii", true, oneText, cel.StringType, onText(func(s string) string { return mapASCII(s, 'a', 'z', 'A'-'a') })},
		{"trim", true, oneText, cel.StringType, onText(strings.TrimSpace)},
		{"replace", true, []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType, func(_ *machine, args []value) value {
			return stringValue(strings.ReplaceAll(args[0].str, args[1].str, args[2].str))
		}},
		{"split", true, twoTexts, cel.ListType(cel.StringType), func(m *machine, args []value) value {
			from := len(m.arena)
			for part := range strings.SplitSeq(args[0].str, args[1].str) {
				m.arena = append(m.arena, stringValue(part))
			}
			return span(kindList, from, len(m.arena))
		}},
		{"join", true, []*cel.Type{cel.ListType(cel.StringType), cel.StringType}, cel.StringType, func(m *machine, args []value) value {
			list, ok := m.texts(args[0])
			if !ok {
				return errNoOverload
			}
			return stringValue(strings.Join(list, args[1].str))
		}},

		{"json", false, oneText, cel.DynType, func(m *machine, args []value) value { return m.decode(args[0].str) }},
	}
}

// onPolicy makes a function of a question about a policy.
func onPolicy(ask func(*iampolicy.Policy) bool) func(*machine, []value) value {
	return func(m *machine, args []value) value {
		p, err := m.policy(args[0])
		if p == nil {
			return err
		}
		return boolValue(ask(p))
	}
}

// onPolicyAndList makes a function of a question about a policy and a list.
func onPolicyAndList(ask func(*iampolicy.Policy, []string) bool) func(*machine, []value) value {
	return func(m *machine, args []value) value {
		p, err := m.policy(args[0])
		if p == nil {
			return err
		}
		list, ok := m.texts(args[1])
		if !ok {
			return errNoOverload
		}
		return boolValue(ask(p, list))
	}
}

// onText makes a function of one that changes a text.
func onText(change func(string) string) func(*machine, []value) value {
	return func(_ *machine, args []value) value { return stringValue(change(args[0].str)) }
}

// mapASCII moves the letters of a range by an offset.
func mapASCII(s string, first, last, offset rune) string {
	return strings.Map(func(r rune) rune {
		if first <= r && r <= last {
			return r + offset
		}
		return r
	}, s)
}

// ageDays is the number of whole days since a time, given as a timestamp, as text
// or as seconds or milliseconds since 1970; of a time to come it is negative.
func ageDays(_ *machine, args []value) value {
	var since time.Time
	switch v := args[0]; v.kind {
	case kindTime:
		since = v.time()
	case kindString:
		t, err := timeOf(v.str)
		if err != nil {
			return errorValue("ageDays: %v", err)
		}
		since = t
	case kindInt:
		const milliseconds = 100_000_000_000 // as seconds this is the year 5138, as milliseconds 1973
		if since = time.Unix(v.int(), 0); v.int() >= milliseconds {
			since = time.UnixMilli(v.int())
		}
	default:
		return errNoOverload
	}
	seconds := args[1].time().Unix() - since.Unix()
	if args[1].time().Nanosecond() < since.Nanosecond() {
		seconds--
	}
	const day = 24 * 60 * 60
	if seconds < 0 {
		seconds -= day - 1 // whole days, so down and not towards 0
	}
	return intValue(seconds / day)
}

// ports reads a list of ports: numbers, and texts such as 22 and 1020-1025. The
// value is an error where the list is none.
func (m *machine) ports(v value) ([]ports, value) {
	elements, ok := m.elements(v)
	if !ok {
		return nil, errNoOverload
	}
	list := make([]ports, 0, 8)
	for _, e := range elements {
		switch e.kind {
		case kindInt:
			list = append(list, ports{e.int(), e.int()})
		case kindString:
			p, err := portsOf(e.str)
			if err != nil {
				return nil, errorValue("%v", err)
			}
			list = append(list, p)
		default:
			return nil, errNoOverload
		}
	}
	return list, boolValue(true)
}
