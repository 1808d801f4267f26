package awsapi

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

// testModel has one of everything that Validate and Coerce look at.
const testModel = `{
 "metadata": {"apiVersion": "2020-01-01", "protocol": "json", "endpointPrefix": "test", "serviceId": "Test"},
 "operations": {
  "Do": {"name": "Do", "http": {"method": "POST", "requestUri": "/{Name}"}, "input": {"shape": "DoInput"}},
  "DoNothing": {"name": "DoNothing", "http": {"method": "POST", "requestUri": "/"}}
 },
 "shapes": {
  "DoInput": {"type": "structure", "required": ["Name", "Token"], "members": {
    "Name": {"shape": "Name", "location": "uri", "locationName": "Name"}, "Token": {"shape": "Text", "idempotencyToken": true},
    "Count": {"shape": "Count"}, "Big": {"shape": "Long"}, "Ratio": {"shape": "Ratio"}, "On": {"shape": "Bool"}, "Data": {"shape": "Blob"},
    "Body": {"shape": "Body"}, "When": {"shape": "Time"}, "Color": {"shape": "Color"}, "Secret": {"shape": "Secret"}, "Names": {"shape": "Names"},
    "Holes": {"shape": "Holes"}, "Tags": {"shape": "Tags"}, "Either": {"shape": "Either"}, "Tree": {"shape": "Tree"}, "Any": {"shape": "Any"}, "Short": {"shape": "Text", "jsonvalue": true}}},
  "Name": {"type": "string", "min": 2, "max": 4}, "Text": {"type": "string"}, "Count": {"type": "integer", "min": 1, "max": 10},
  "Long": {"type": "long"}, "Ratio": {"type": "double", "min": 0.5}, "Bool": {"type": "boolean"}, "Blob": {"type": "blob", "max": 3},
  "Body": {"type": "blob", "streaming": true}, "Time": {"type": "timestamp"}, "Color": {"type": "string", "enum": ["red", "green"]},
  "Secret": {"type": "string", "sensitive": true, "enum": ["a", "b"]},
  "Names": {"type": "list", "member": {"shape": "Name"}, "min": 1, "max": 2}, "Holes": {"type": "list", "member": {"shape": "Name"}, "sparse": true},
  "Tags": {"type": "map", "key": {"shape": "Name"}, "value": {"shape": "Count"}},
  "Either": {"type": "structure", "union": true, "members": {"A": {"shape": "Text"}, "B": {"shape": "Text"}}},
  "Tree": {"type": "structure", "required": ["Leaf"], "members": {"Leaf": {"shape": "Text"}, "Left": {"shape": "Tree"}}},
  "Any": {"type": "structure", "document": true, "members": {}}
 }}`

func testOperation(t testing.TB, name string) *Operation {
	t.Helper()
	s, err := ParseService("test", Source{Service: []byte(testModel)})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.Operation(name)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestValidateNamesEachProblem(t *testing.T) {
	self := map[string]any{"Leaf": "x"}
	self["Left"] = self
	for name, test := range map[string]struct {
		in   map[string]any
		want []string
	}{
		"good": {map[string]any{"Name": "ab", "Count": int64(3), "Big": 5, "Ratio": 1, "On": true, "Data": []byte("abc"), "Body": strings.NewReader("x"),
			"When": time.Unix(0, 0), "Color": "red", "Names": []any{"ab"}, "Holes": []any{nil, "ab"}, "Tags": map[string]any{"ab": 1.0},
			"Either": map[string]any{"A": "x"}, "Any": []any{1, "x", nil}, "Short": map[string]any{"x": 1}}, nil},
		"special Go types":      {map[string]any{"Name": "ab", "Names": []string{"ab"}, "Tags": map[string]int{}}, []string{"Tags must be a map, not a Go map[string]int"}},
		"nil counts as not set": {map[string]any{"Name": "ab", "Count": nil, "Nonsense": nil}, nil},
		"required":              {nil, []string{"Name is required"}},
		"nested required":       {map[string]any{"Name": "ab", "Tree": map[string]any{"Left": map[string]any{}}}, []string{"Tree.Leaf is required", "Tree.Left.Leaf is required"}},
		"unknown":               {map[string]any{"Name": "ab", "Cuont": 1, "Zzzzzzzzzz": 1}, []string{"Cuont is not known; near: Count", "Zzzzzzzzzz is not known"}},
		"types": {map[string]any{"Name": 1, "Count": "8", "Ratio": "x", "On": "true", "Data": "x", "When": "2020-01-01", "Names": "ab", "Tags": []any{}, "Tree": "x", "Body": 1},
			[]string{"Name must be text, not the integer 1", "Count must be an integer of 32 bits, not text", "Ratio must be a number, not text", "On must be a boolean, not text",
				"Data must be bytes, not text", "Body must be bytes, not the integer 1", "When must be a timestamp, not text", "Names must be a list, not text", "Tags must be a map, not a list",
				"Tree must be a structure, not text"}},
		"an empty label":   {map[string]any{"Name": ""}, []string{"Name must not be empty: it is a part of the path"}},
		"a length":         {map[string]any{"Name": "a"}, []string{"Name has 1 characters, fewer than the least, 2"}},
		"runes, not bytes": {map[string]any{"Name": "äöüß"}, nil},
		"too long":         {map[string]any{"Name": "abcde", "Data": []byte("abcd")}, []string{"Name has 5 characters, more than the most, 4", "Data has 4 bytes, more than the most, 3"}},
		"a range":          {map[string]any{"Name": "ab", "Count": 11, "Ratio": 0.25}, []string{"Count is 11, more than the most, 10", "Ratio is 0.25, fewer than the least, 0.5"}},
		"not an integer":   {map[string]any{"Name": "ab", "Count": 1.5}, []string{"Count must be an integer of 32 bits, not the number 1.5"}},
		"beyond 32 bits":   {map[string]any{"Name": "ab", "Count": 1 << 40}, []string{"Count must be an integer of 32 bits, not the integer 1099511627776"}},
		"beyond 64 bits":   {map[string]any{"Name": "ab", "Big": math.Pow(2, 63)}, []string{"Big must be an integer of 64 bits, not the number 9223372036854776000"}},
		"an enum":          {map[string]any{"Name": "ab", "Color": "blue"}, []string{`Color "blue" is none of red, green`}},
		"a secret":         {map[string]any{"Name": "ab", "Secret": "hush"}, []string{"Secret is none of a, b"}},
		"lists": {map[string]any{"Name": "ab", "Names": []any{"ab", nil, "x"}},
			[]string{"Names has 3 elements, more than the most, 2", "Names[1] must not be null", "Names[2] has 1 characters, fewer than the least, 2"}},
		"maps":            {map[string]any{"Name": "ab", "Tags": map[string]any{"x": 1, "yy": 0}}, []string{`Tags["x"] as a key has 1 characters, fewer than the least, 2`, `Tags["yy"] is 0, fewer than the least, 1`}},
		"an empty union":  {map[string]any{"Name": "ab", "Either": map[string]any{}}, []string{"Either must have exactly one member set, it has 0"}},
		"a double union":  {map[string]any{"Name": "ab", "Either": map[string]any{"A": "x", "B": "x"}}, []string{"Either must have exactly one member set, it has 2"}},
		"contains itself": {map[string]any{"Name": "ab", "Tree": self}, []string{"Tree" + strings.Repeat(".Left", maxInputDepth-1) + ".Leaf is nested more than 64 levels deep", "Tree" + strings.Repeat(".Left", maxInputDepth) + " is nested more than 64 levels deep"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := testOperation(t, "Do").Validate(test.in)
			var got []string
			var invalid *ValidationError
			if errors.As(err, &invalid) {
				for _, p := range invalid.Problems {
					got = append(got, p.String())
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(test.want, "\n  "))
			}
		})
	}
	if err := testOperation(t, "DoNothing").Validate(map[string]any{"X": 1}); err == nil || !strings.Contains(err.Error(), "takes none") {
		t.Errorf("input to an operation without: %v", err)
	}
	if err := testOperation(t, "DoNothing").Validate(nil); err != nil {
		t.Error(err)
	}
}

func TestCoerceMakesTheModelsTypes(t *testing.T) {
	op := testOperation(t, "Do")
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for name, test := range map[string]struct{ in, want map[string]any }{
		"nil":             {nil, nil},
		"integers":        {map[string]any{"Count": "8", "Big": 7.0}, map[string]any{"Count": int64(8), "Big": int64(7)}},
		"not integers":    {map[string]any{"Count": "8.5", "Big": "0x10"}, map[string]any{"Count": "8.5", "Big": "0x10"}},
		"floats":          {map[string]any{"Ratio": "1.5"}, map[string]any{"Ratio": 1.5}},
		"infinity":        {map[string]any{"Ratio": "-Infinity"}, map[string]any{"Ratio": math.Inf(-1)}},
		"not floats":      {map[string]any{"Ratio": "0x1p3"}, map[string]any{"Ratio": "0x1p3"}},
		"an empty number": {map[string]any{"Ratio": "", "Count": ""}, map[string]any{"Ratio": "", "Count": ""}},
		"booleans":        {map[string]any{"On": "True"}, map[string]any{"On": true}},
		"not booleans":    {map[string]any{"On": "1"}, map[string]any{"On": "1"}},
		"text":            {map[string]any{"Name": 12, "Color": true, "Secret": 1.5}, map[string]any{"Name": "12", "Color": "true", "Secret": "1.5"}},
		"bytes":           {map[string]any{"Data": "YWJj"}, map[string]any{"Data": []byte("abc")}},
		"not base64":      {map[string]any{"Data": "a b"}, map[string]any{"Data": "a b"}},
		"times":           {map[string]any{"When": "2024-05-06T07:08:09Z"}, map[string]any{"When": at}},
		"seconds":         {map[string]any{"When": float64(at.Unix())}, map[string]any{"When": at}},
		"dates":           {map[string]any{"When": "2024-05-06"}, map[string]any{"When": time.Date(2024, 5, 6, 0, 0, 0, 0, time.UTC)}},
		"typed lists":     {map[string]any{"Names": []string{"ab"}}, map[string]any{"Names": []any{"ab"}}},
		"typed maps":      {map[string]any{"Tags": map[string]string{"ab": "3"}}, map[string]any{"Tags": map[string]any{"ab": int64(3)}}},
		"nested":          {map[string]any{"Tree": map[string]any{"Left": map[string]any{"Leaf": 3}}}, map[string]any{"Tree": map[string]any{"Left": map[string]any{"Leaf": "3"}}}},
		"unknown stays":   {map[string]any{"Nonsense": "8"}, map[string]any{"Nonsense": "8"}},
		"null stays":      {map[string]any{"Count": nil, "On": nil, "When": nil}, map[string]any{"Count": nil, "On": nil, "When": nil}},
		"documents stay":  {map[string]any{"Any": map[string]any{"x": "8"}}, map[string]any{"Any": map[string]any{"x": "8"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := op.Coerce(test.in)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, %v; want %#v", got, err, test.want)
			}
		})
	}
}

func TestCoerceCopies(t *testing.T) {
	in := map[string]any{"Names": []any{"ab"}, "Any": map[string]any{"x": []any{"1"}}, "Data": []byte("abc")}
	out, err := testOperation(t, "Do").Coerce(in)
	if err != nil {
		t.Fatal(err)
	}
	out["Names"].([]any)[0] = "changed"
	out["Any"].(map[string]any)["x"].([]any)[0] = "changed"
	out["Data"].([]byte)[0] = 'X'
	want := map[string]any{"Names": []any{"ab"}, "Any": map[string]any{"x": []any{"1"}}, "Data": []byte("abc")}
	if !reflect.DeepEqual(in, want) {
		t.Errorf("the input changed: %v", in)
	}
}

func TestCoerceEndsOnAValueThatContainsItself(t *testing.T) {
	self := map[string]any{}
	self["Left"] = self
	for _, member := range []string{"Tree", "Any", "Nonsense"} {
		if _, err := testOperation(t, "Do").Coerce(map[string]any{member: self}); err == nil {
			t.Errorf("%s: no error", member)
		}
	}
}
