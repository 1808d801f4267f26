// Package eventpattern matches events against the event patterns of Amazon
// EventBridge, and makes a target's input from an event as EventBridge's input
// transformers do.
//
//	p, err := eventpattern.Compile([]byte(`{"source": ["aws.ec2"], "detail": {"state": [{"anything-but": "running"}]}}`))
//	ok, err := p.Match(event)
//	why, err := p.Explain(event)
//
// # Patterns
//
// A pattern is a JSON object of the event's shape whose leaves are lists of what
// a field may be. All fields must match; of a list, one entry. An event's array
// stands for its elements, and a field matches if one of them does. The entries
// are exact values (texts, numbers, true, false, null) and the operators prefix,
// suffix, equals-ignore-case (also within prefix and suffix), wildcard,
// anything-but, numeric, exists and cidr; $or holds alternatives. Only leaves can
// be matched: an object or an empty array has no value, so that exists is false
// for it.
//
// Where fields of a pattern lie below the same array of the event, their values
// must come from one element of it. An exists: false is judged within the
// elements that the fields before it, in the order of their paths, were found in.
//
// The rules are those of the EventBridge User Guide ("Event patterns",
// "Comparison operators") and of the README of aws/event-ruler, the library that
// EventBridge matches with; these are less obvious:
//
//   - Key names are joined with dots, so that {"a": {"b": …}} and {"a.b": …} are
//     the same in patterns and in events.
//   - Numbers are compared as IEEE 754 doubles, if a double holds them exactly as
//     they were written; those that it doesn't (ids of 20 digits) equal only the
//     same digits. The User Guide has given a narrower range, up to ±5.0e9 with six
//     digits after the point, which event-ruler has left; it isn't enforced.
//   - anything-but matches values of every type that it doesn't name, null too,
//     but not an absent field.
//   - An exact text that is an IP address equals every spelling of that address.
//   - Ignoring case, a letter of the pattern equals its own lower and upper form, of
//     one letter.
//   - A CIDR's mask is at most 31 bits for IPv4 and 127 for IPv6, as event-ruler
//     has it.
//
// An error of Compile joins one *Error for each problem, with its line and column
// and what was expected there. Options has the limits.
//
// # Sets
//
// A Set matches an event against many patterns at once. Each pattern is filed
// under the values of its most telling field, so an event meets only the patterns
// which that field lets through, and not all the others:
//
//	set := eventpattern.NewSet(
//		eventpattern.Rule[string]{ID: "volumes", Pattern: volumes},
//		eventpattern.Rule[string]{ID: "buckets", Pattern: buckets})
//	ids, err := set.Match(event)
//
// Patterns and sets never change once made; any number of goroutines may use them.
//
// # Inputs
//
// TargetInput has the names of EventBridge's Target: Input, InputPath and
// InputTransformer. Its Compile checks it, and Apply of the result gives what the
// target is to receive.
package eventpattern
