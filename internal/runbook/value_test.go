package runbook

import (
	"reflect"
	"testing"
	"time"
)

// The conversions of outputs are those of AWS's "Using action outputs as
// inputs"; every other one is refused.
func TestConvert(t *testing.T) {
	type list = []any
	type object = map[string]any
	no := struct{}{}
	for _, c := range []struct {
		value any
		want  map[Type]any // no: refused; nil: absent
	}{
		{"a", map[Type]any{String: "a", StringList: list{"a"}, Integer: no, Boolean: no, MapList: no, StringMap: no}},
		{"42", map[Type]any{String: "42", StringList: list{"42"}, Integer: int64(42), Boolean: no}},
		{"true", map[Type]any{Boolean: true}},
		{int64(42), map[Type]any{String: "42", StringList: list{"42"}, Integer: int64(42), Boolean: no, MapList: no, StringMap: no}},
		{2.5, map[Type]any{String: "2.5", Integer: no}},
		{true, map[Type]any{String: "true", StringList: list{"true"}, Integer: no, Boolean: true}},
		{list{"a"}, map[Type]any{String: "a", StringList: list{"a"}, Integer: no}},
		{list{int64(4)}, map[Type]any{String: "4", StringList: list{"4"}, Integer: int64(4)}},
		{list{true}, map[Type]any{Boolean: true}},
		{list{"a", "b"}, map[Type]any{String: no, StringList: list{"a", "b"}, Integer: no, Boolean: no, MapList: no, StringMap: no}},
		{list{}, map[Type]any{String: nil, StringList: list{}, Integer: nil, Boolean: nil, MapList: list{}, StringMap: no}},
		{list{nil}, map[Type]any{String: nil, StringList: no}},
		{list{object{"a": int64(1)}}, map[Type]any{String: no, StringList: no, MapList: list{object{"a": int64(1)}}}},
		{object{"a": int64(1)}, map[Type]any{String: no, StringList: no, StringMap: object{"a": int64(1)}, MapList: no}},
		{nil, map[Type]any{String: nil, StringList: nil, StringMap: nil}},
	} {
		for to, want := range c.want {
			got, err := convert(c.value, to)
			if want == any(no) {
				if err == nil {
					t.Errorf("%#v became %s: %#v", c.value, to, got)
				}
				continue
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%#v to %s: %#v, %v; want %#v", c.value, to, got, err, want)
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, ""}, {"a<b>", "a<b>"}, {int64(1) << 60, "1152921504606846976"}, {2.0, "2"}, {0.25, "0.25"}, {false, "false"},
		{[]any{"a<b>", int64(1), nil}, `["a<b>",1,null]`},
		{map[string]any{"b": []any{}, "a": true}, `{"a":true,"b":[]}`},
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), "2026-01-02T02:04:05Z"},
		{[]byte("hi"), "aGk="},
	} {
		if got := text(c.value); got != c.want {
			t.Errorf("%#v: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"PT10M": 10 * time.Minute, "PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour, "P1DT2H3M4S": 26*time.Hour + 3*time.Minute + 4*time.Second,
		"PT0.5S": time.Second / 2, "P2W": 14 * 24 * time.Hour, "PT0S": 0, "PT999999999S": 999999999 * time.Second,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "P", "PT", "P1DT", "1H", "-PT1S", "PT-1S", "P1Y", "P1M", "PT1.5H", "PT1M1H", "pt1s", "P999999999W", "PT99999999999S"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestSatisfied(t *testing.T) {
	type list = []any
	for _, c := range []struct {
		property any
		desired  list
		want     bool
	}{
		{"available", list{"in-use", "available"}, true},
		{"Available", list{"available"}, false},
		{true, list{"True"}, true},
		{false, list{"true"}, false},
		{int64(3), list{"3"}, true},
		{int64(3), list{3.0}, true},
		{nil, list{""}, false},
		{nil, list{nil}, true},
		{"", list{""}, true},
		{list{}, list{"a"}, false},
		{list{}, list{"[]"}, true},
		{list{"a"}, list{"[]"}, false},
		{map[string]any{}, list{"{}"}, true},
		{list{"a", "b"}, list{"a", "b"}, true},
		{list{"a", "c"}, list{"a", "b"}, false},
		{"a", nil, false},
	} {
		if got := satisfied(c.property, c.desired); got != c.want {
			t.Errorf("%#v of %#v: %v", c.property, c.desired, got)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		op          string
		value, want any
		holds       bool
		fails       bool
	}{
		{"StringEquals", "a", "a", true, false},
		{"StringEquals", "a", "A", false, false},
		{"StringEquals", int64(1), "1", true, false},
		{"StringEquals", []any{"a"}, "a", true, false},
		{"EqualsIgnoreCase", "Windows", "WINDOWS", true, false},
		{"StartsWith", "db-1", "db-", true, false},
		{"EndsWith", "db-1", "-1", true, false},
		{"Contains", "abc", "b", true, false},
		{"Contains", "abc", "d", false, false},
		{"Contains", []any{"spot", "x"}, "spot", true, false},
		{"Contains", []any{"spotty"}, "spot", false, false},
		{"Contains", []any{}, "", false, false},
		{"NumericEquals", "8", int64(8), true, false},
		{"NumericEquals", "8.0", int64(8), true, false},
		{"NumericEquals", "9007199254740993", "9007199254740992", false, false},
		{"NumericGreater", int64(9), int64(8), true, false},
		{"NumericGreater", int64(8), int64(8), false, false},
		{"NumericLesser", int64(7), 7.5, true, false},
		{"NumericGreaterOrEquals", int64(8), int64(8), true, false},
		{"NumericLesserOrEquals", int64(9), int64(8), false, false},
		{"NumericEquals", "", int64(0), false, true},
		{"NumericEquals", "1e999999999", int64(0), false, true},
		{"BooleanEquals", "true", true, true, false},
		{"BooleanEquals", true, "False", false, false},
		{"BooleanEquals", "", true, false, true},
	} {
		holds, err := compare(c.op, c.value, c.want)
		if holds != c.holds || (err != nil) != c.fails {
			t.Errorf("%v %s %v: %v, %v", c.value, c.op, c.want, holds, err)
		}
	}
}
