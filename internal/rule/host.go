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
	policyOn    = []*cel.Type{cel.DynType, cel.DynType, cel.StringType}
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

		onPolicy("policyIsPublic", func(p *iampolicy.Policy) bool {
			return p.IsPublic(iampolicy.BlockPublicAccess)
		}),
		onPolicy("policyIsAdmin", func(p *iampolicy.Policy) bool {
			return len(p.AdminStatements()) > 0
		}),
		onPolicy("policyGivesFullAccess", func(p *iampolicy.Policy) bool {
			return len(p.FullAccessStatements()) > 0
		}),
		onPolicy("policyRequiresTls", deniesInsecureTransport),
		onPolicyAndList("policyAllowsActions", func(p *iampolicy.Policy, actions []string) bool {
			return len(p.AllowsActions(actions, "")) > 0
		}),
		{"policyAllowsActionsOn", false, policyOn, cel.BoolType, policyAllowsActionsOn},
		onPolicyAndList("policyGrantsOutside", func(p *iampolicy.Policy, accounts []string) bool {
			return len(p.ExternalGrants(iampolicy.Zone{Accounts: accounts})) > 0
		}),

		{"backupSelects", false, []*cel.Type{cel.DynType, cel.StringType, cel.DynType}, cel.BoolType, backupSelects},

		{"lowerAscii", true, oneText, cel.StringType, onText(func(s string) string { return mapASCII(s, 'A', 'Z', 'a'-'A') })},
		{"upperAscii", true, oneText, cel.StringType, onText(func(s string) string { return mapASCII(s, 'a', 'z', 'A'-'a') })},
		{"trim", true, oneText, cel.StringType, onText(strings.TrimSpace)},
		{"replace", true, []*cel.Type{cel.StringType, cel.StringType, cel.StringType}, cel.StringType, func(_ *machine, args []value) value {
			return stringValue(strings.ReplaceAll(args[0].str, args[1].str, args[2].str))
		}},
		{"split", true, twoTexts, cel.ListType(cel.StringType), func(m *machine, args []value) value {
			base := len(m.stack)
			defer m.drop(base)
			for part := range strings.SplitSeq(args[0].str, args[1].str) {
				m.stack = append(m.stack, stringValue(part))
			}
			return m.keep(kindList, m.stack[base:])
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
func onPolicy(name string, answer func(*iampolicy.Policy) bool) hostFunction {
	return hostFunction{name, false, policyAlone, cel.BoolType, func(m *machine, args []value) value {
		p, err := m.policy(args[0])
		if p == nil {
			return err
		}
		return boolValue(m.ask(name, p, nil, func(p *iampolicy.Policy, _ []string) bool { return answer(p) }))
	}}
}

// onPolicyAndList makes a function of a question about a policy and a list.
func onPolicyAndList(name string, answer func(*iampolicy.Policy, []string) bool) hostFunction {
	return hostFunction{name, false, policyList, cel.BoolType, func(m *machine, args []value) value {
		p, err := m.policy(args[0])
		if p == nil {
			return err
		}
		list, ok := m.texts(args[1])
		if !ok {
			return errNoOverload
		}
		return boolValue(m.ask(name, p, list, answer))
	}}
}

// policyAllowsActionsOn is a question about a policy, a list and a text, which is
// asked as one with the text behind the list.
func policyAllowsActionsOn(m *machine, args []value) value {
	p, err := m.policy(args[0])
	if p == nil {
		return err
	}
	actions, ok := m.texts(args[1])
	if !ok {
		return errNoOverload
	}
	return boolValue(m.ask("policyAllowsActionsOn", p, append(actions, args[2].str), func(p *iampolicy.Policy, list []string) bool {
		last := len(list) - 1
		return len(p.AllowsActions(list[:last], list[last])) > 0
	}))
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
	since := timeFrom(args[0])
	if since.isError() {
		return since
	}
	seconds := args[1].int() - since.int()
	if args[1].sub < since.sub {
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
	list := m.portList[:0]
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
	m.portList = list
	return list, boolValue(true)
}
