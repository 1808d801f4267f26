package iampolicy

import "strings"

// Set is the set operator before a condition's test, which says how the many
// values of a key are taken. Source: IAM User Guide, "Set operators for
// multivalued context keys".
type Set uint8

// The set operators.
const (
	NoSet        Set = iota
	ForAllValues     // every value of the request passes; true if there is none
	ForAnyValue      // some value of the request passes; false if there is none
)

// Test is what a condition compares, and how. Source of the list and of what
// each does: IAM User Guide, "IAM JSON policy elements: Condition operators".
type Test uint8

// The tests.
const (
	NoTest Test = iota
	StringEquals
	StringNotEquals
	StringEqualsIgnoreCase
	StringNotEqualsIgnoreCase
	StringLike
	StringNotLike
	NumericEquals
	NumericNotEquals
	NumericLessThan
	NumericLessThanEquals
	NumericGreaterThan
	NumericGreaterThanEquals
	DateEquals
	DateNotEquals
	DateLessThan
	DateLessThanEquals
	DateGreaterThan
	DateGreaterThanEquals
	Bool
	BinaryEquals
	IPAddress
	NotIPAddress
	ARNEquals
	ARNLike
	ARNNotEquals
	ARNNotLike
	Null
)

// class is what a test compares.
type class uint8

const (
	classText class = iota
	classFold
	classPattern
	classNumber
	classDate
	classBool
	classBinary
	classIP
	classARN
	classNull
)

// relation is how an ordered test compares.
type relation uint8

const (
	equal relation = iota
	less
	lessEqual
	greater
	greaterEqual
)

// tests says of each test what it is. A negated test passes where the positive
// one fails.
var tests = [...]struct {
	name     string
	class    class
	relation relation
	negated  bool
}{
	NoTest:                    {},
	StringEquals:              {name: "StringEquals", class: classText},
	StringNotEquals:           {name: "StringNotEquals", class: classText, negated: true},
	StringEqualsIgnoreCase:    {name: "StringEqualsIgnoreCase", class: classFold},
	StringNotEqualsIgnoreCase: {name: "StringNotEqualsIgnoreCase", class: classFold, negated: true},
	StringLike:                {name: "StringLike", class: classPattern},
	StringNotLike:             {name: "StringNotLike", class: classPattern, negated: true},
	NumericEquals:             {name: "NumericEquals", class: classNumber},
	NumericNotEquals:          {name: "NumericNotEquals", class: classNumber, negated: true},
	NumericLessThan:           {name: "NumericLessThan", class: classNumber, relation: less},
	NumericLessThanEquals:     {name: "NumericLessThanEquals", class: classNumber, relation: lessEqual},
	NumericGreaterThan:        {name: "NumericGreaterThan", class: classNumber, relation: greater},
	NumericGreaterThanEquals:  {name: "NumericGreaterThanEquals", class: classNumber, relation: greaterEqual},
	DateEquals:                {name: "DateEquals", class: classDate},
	DateNotEquals:             {name: "DateNotEquals", class: classDate, negated: true},
	DateLessThan:              {name: "DateLessThan", class: classDate, relation: less},
	DateLessThanEquals:        {name: "DateLessThanEquals", class: classDate, relation: lessEqual},
	DateGreaterThan:           {name: "DateGreaterThan", class: classDate, relation: greater},
	DateGreaterThanEquals:     {name: "DateGreaterThanEquals", class: classDate, relation: greaterEqual},
	Bool:                      {name: "Bool", class: classBool},
	BinaryEquals:              {name: "BinaryEquals", class: classBinary},
	IPAddress:                 {name: "IpAddress", class: classIP},
	NotIPAddress:              {name: "NotIpAddress", class: classIP, negated: true},
	ARNEquals:                 {name: "ArnEquals", class: classARN},
	ARNLike:                   {name: "ArnLike", class: classARN},
	ARNNotEquals:              {name: "ArnNotEquals", class: classARN, negated: true},
	ARNNotLike:                {name: "ArnNotLike", class: classARN, negated: true},
	Null:                      {name: "Null", class: classNull},
}

// Operator is a condition's operator: its test, a set operator before it, and
// IfExists after it, by which the condition holds where the key is not there.
type Operator struct {
	Set      Set
	Test     Test
	IfExists bool
}

// String is the operator's name in a policy, such as
// ForAnyValue:StringLikeIfExists.
func (o Operator) String() string {
	name := "?"
	if int(o.Test) < len(tests) && o.Test != NoTest {
		name = tests[o.Test].name
	}
	switch o.Set {
	case ForAllValues:
		name = "ForAllValues:" + name
	case ForAnyValue:
		name = "ForAnyValue:" + name
	}
	if o.IfExists {
		name += "IfExists"
	}
	return name
}

// ParseOperator reads an operator's name. Case counts.
func ParseOperator(name string) (Operator, bool) {
	var o Operator
	if rest, ok := strings.CutPrefix(name, "ForAllValues:"); ok {
		o.Set, name = ForAllValues, rest
	} else if rest, ok := strings.CutPrefix(name, "ForAnyValue:"); ok {
		o.Set, name = ForAnyValue, rest
	}
	name, o.IfExists = strings.CutSuffix(name, "IfExists")
	for t := StringEquals; t <= Null; t++ {
		if tests[t].name == name {
			o.Test = t
			return o, !(t == Null && o.IfExists) // existence is what Null tests
		}
	}
	return Operator{}, false
}

// negated says whether the test passes where values differ.
func (o Operator) negated() bool { return int(o.Test) < len(tests) && tests[o.Test].negated }
