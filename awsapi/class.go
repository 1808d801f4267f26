package awsapi

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// Class is what an operation does to an account.
type Class uint8

// The classes. The zero value is the one to be most careful with.
const (
	// Write may change something.
	Write Class = iota
	// Read changes nothing.
	Read
	// SensitiveRead changes nothing by itself, but hands out a secret, a
	// credential or a message, or runs code or a statement that may.
	SensitiveRead
)

// String is read, write or sensitive-read.
func (c Class) String() string {
	switch c {
	case Read:
		return "read"
	case SensitiveRead:
		return "sensitive-read"
	}
	return "write"
}

// Class is what the operation does at worst, whatever its input. What the
// table does not know is a write.
func (o *Operation) Class() Class {
	return classes().of(o.Service.Name, o.Name)
}

// ClassOf is Class with this input: of the sensitive reads, those that hand
// out secrets only when they are asked to are reads when they aren't.
func (o *Operation) ClassOf(in map[string]any) Class {
	class := o.Class()
	if class != SensitiveRead {
		return class
	}
	if ask, ok := secretOnDemand[o.Service.Name+" "+o.Name]; ok {
		// Only a boolean is sure; text that Coerce would make one is not.
		value, set := in[ask.member]
		if value == ask.harmless || !set && !ask.harmless {
			return Read
		}
	}
	return class
}

// secretOnDemand are the operations with a member that says whether their
// output holds secrets, and its value when it doesn't. A member that is not set
// is false.
var secretOnDemand = map[string]struct {
	member   string
	harmless bool
}{
	"apigateway GetApiKey":    {"includeValue", false},
	"apigateway GetApiKeys":   {"includeValues", false},
	"glue GetConnection":      {"HidePassword", true},
	"glue GetConnections":     {"HidePassword", true},
	"ssm GetParameter":        {"WithDecryption", false},
	"ssm GetParameters":       {"WithDecryption", false},
	"ssm GetParametersByPath": {"WithDecryption", false},
	"ssm GetParameterHistory": {"WithDecryption", false},
}

//go:embed classes/classes.txt
var classesText string

var classes = sync.OnceValue(func() *classTable {
	// A test proves that the embedded table is in order; a line that is not
	// would leave its operations writes.
	table, _ := parseClasses(classesText)
	return table
})

// classTable is the text in classes/classes.txt, read.
type classTable struct {
	verbs    map[string]Class
	named    map[string]Class // by "service Operation"
	prefixed []prefixedClass
}

type prefixedClass struct {
	prefix string // "service Oper"
	class  Class
}

func (t *classTable) of(service, operation string) Class {
	key := service + " " + operation
	if c, ok := t.named[key]; ok {
		return c
	}
	for _, p := range t.prefixed {
		if strings.HasPrefix(key, p.prefix) {
			return p.class
		}
	}
	return t.verbs[verb(operation)]
}

// verb is the first word of an operation's name; after Batch or Admin, the
// second. A word ends before the next capital letter.
func verb(operation string) string {
	first, rest := firstWord(operation)
	if first == "Batch" || first == "Admin" {
		first, _ = firstWord(rest)
	}
	return first
}

func firstWord(s string) (word, rest string) {
	for i := 1; i < len(s); i++ {
		if s[i] < 'a' || s[i] > 'z' {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// parseClasses reads a table, as far as it is in order. The error names the
// first line that is not.
func parseClasses(text string) (*classTable, error) {
	t := &classTable{verbs: map[string]Class{}, named: map[string]Class{}}
	words := map[string]Class{"read": Read, "write": Write, "sensitive": SensitiveRead}
	var first error
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := t.add(fields, words); err != nil && first == nil {
			first = fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return t, first
}

func (t *classTable) add(fields []string, words map[string]Class) error {
	if len(fields) < 3 {
		return fmt.Errorf("%q has %d words; expected at least 3", strings.Join(fields, " "), len(fields))
	}
	if fields[0] == "verb" {
		class, ok := words[fields[1]]
		if !ok {
			return fmt.Errorf("%q is no class", fields[1])
		}
		for _, v := range fields[2:] {
			if _, twice := t.verbs[v]; twice {
				return fmt.Errorf("verb %s is there twice", v)
			}
			t.verbs[v] = class
		}
		return nil
	}
	class, ok := words[fields[0]]
	if !ok {
		return fmt.Errorf("%q is no class", fields[0])
	}
	for _, name := range fields[2:] {
		key := fields[1] + " " + name
		if prefix, any := strings.CutSuffix(key, "*"); any {
			t.prefixed = append(t.prefixed, prefixedClass{prefix, class})
			continue
		}
		if _, twice := t.named[key]; twice {
			return fmt.Errorf("%s is there twice", key)
		}
		t.named[key] = class
	}
	return nil
}
