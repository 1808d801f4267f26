package sandbox

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func list(v ...any) object { return object{"L": v} }

func TestUpdateExpressions(t *testing.T) {
	tree := object{"M": object{"a": attr("N", "1"), "l": list(attr("S", "x"), attr("S", "y"), attr("S", "z"))}}
	item := object{"x": attr("N", "0.1"), "s": object{"SS": ids("a", "b")}, "l": list(attr("S", "p")), "m": tree, "text": attr("S", "t")}
	values := object{":n": attr("N", "0.2"), ":s": object{"SS": ids("b", "c")}, ":l": list(attr("S", "q")), ":t": attr("S", "new"), ":all": object{"SS": ids("a", "b")}}
	const invalid = "ValidationException"
	for _, c := range []struct {
		expression string
		want       object // what is not as it was; nil: it is gone
		code       string
	}{
		{"SET x = x + :n", object{"x": attr("N", "0.3")}, ""},
		{"set x = :n - x", object{"x": attr("N", "0.1")}, ""},
		{"SET x = if_not_exists(x, :n), fresh = if_not_exists(fresh, :n) + :n", object{"fresh": attr("N", "0.4")}, ""},
		{"SET l = list_append(l, :l)", object{"l": list(attr("S", "p"), attr("S", "q"))}, ""},
		{"SET l = list_append(if_not_exists(none, :l), l)", object{"l": list(attr("S", "q"), attr("S", "p"))}, ""},
		{"SET m.a = m.a + :n, m.b = :t", object{"m": object{"M": object{"a": attr("N", "1.2"), "b": attr("S", "new"), "l": list(attr("S", "x"), attr("S", "y"), attr("S", "z"))}}}, ""},
		{"SET m.l[1] = :t REMOVE m.l[0], m.l[2]", object{"m": object{"M": object{"a": attr("N", "1"), "l": list(attr("S", "new"))}}}, ""},
		{"SET m.l[9] = :t", object{"m": object{"M": object{"a": attr("N", "1"), "l": list(attr("S", "x"), attr("S", "y"), attr("S", "z"), attr("S", "new"))}}}, ""},
		{"ADD x :n, fresh :n", object{"x": attr("N", "0.3"), "fresh": attr("N", "0.2")}, ""},
		{"ADD s :s", object{"s": object{"SS": ids("a", "b", "c")}}, ""},
		{"DELETE s :s", object{"s": object{"SS": ids("a")}}, ""},
		{"DELETE s :all, none :all", object{"s": nil}, ""},
		{"REMOVE x, none SET text = :t", object{"x": nil, "text": attr("S", "new")}, ""},
		{"SET x = text, text = x", object{"x": attr("S", "t"), "text": attr("N", "0.1")}, ""}, // both as they were
		{"SET x = text + :n", nil, invalid},
		{"SET x = none + :n", nil, invalid},
		{"SET none.a = :n", nil, invalid},
		{"SET text.a = :n", nil, invalid},
		{"SET l = list_append(l, :n)", nil, invalid},
		{"SET m = :n, m.a = :n", nil, invalid},
		{"SET x = :n SET text = :n", nil, invalid},
		{"SET x = :n,", nil, invalid},
		{"SET x :n", nil, invalid},
		{"ADD text :n", nil, invalid},
		{"ADD x :t", nil, invalid},
		{"DELETE x :n", nil, invalid},
		{"MULTIPLY x :n", nil, invalid},
		{"SET x = x * :n", nil, invalid},
	} {
		t.Run(c.expression, func(t *testing.T) {
			w := newWorld(t)
			w.newTable("orders", nil)
			whole := row("a", "1", item)
			key := row("a", "1", nil)
			w.do("dynamodb", "PutItem", object{"TableName": "orders", "Item": whole})
			in := object{"TableName": "orders", "Key": key, "UpdateExpression": c.expression, "ReturnValues": "ALL_NEW"}
			used := object{}
			x, _ := (&call{in: in}).expression("UpdateExpression")
			for name, v := range values {
				if slices.Contains(x.tokens, name) {
					used[name] = v
				}
			}
			if len(used) > 0 {
				in["ExpressionAttributeValues"] = used
			}
			if c.code != "" {
				w.fails(c.code, "dynamodb", "UpdateItem", in)
				return
			}
			want := object{}
			for name, v := range whole {
				want[name] = v
			}
			for name, v := range c.want {
				want[name] = v
				if v == nil {
					delete(want, name)
				}
			}
			if got := w.do("dynamodb", "UpdateItem", in)["Attributes"]; !reflect.DeepEqual(got, want) {
				t.Errorf("%v\nwant %v", got, want)
			}
		})
	}
}

func TestConditionExpressions(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	w.putRow("a", "1", object{"text": attr("S", "héllo"), "set": object{"NS": ids("1", "2.0")}, "l": list(attr("S", "p"), attr("N", "3")),
		"m": object{"M": object{"deep": list(object{"M": object{"k": object{"BOOL": true}}})}}, "raw": object{"B": []byte("bytes")}})
	values := object{":one": attr("N", "1.0"), ":two": attr("N", "2"), ":five": attr("N", "5"), ":h": attr("S", "hé"), ":l": attr("S", "llo"), ":S": attr("S", "S"),
		":set": object{"NS": ids("2", "1")}, ":b": object{"B": []byte("by")}, ":p": attr("S", "p")}
	for expression, want := range map[string]bool{
		"n = :one":                    true,
		"n <> :one":                   false,
		"none <> :one":                true,
		"none = :one":                 false,
		"none < :one OR none >= :one": false,
		"n IN (:two, :one)":           true,
		"n IN (:two, :five)":          false,
		"n BETWEEN :one AND :two AND NOT n = :two":         true,
		"n = :two OR n = :one AND text = :h":               false, // AND binds closer
		"(n = :one OR n = :two) AND begins_with(text, :h)": true,
		"not (n = :one)":                false,
		"NOT n = :two AND n = :one":     true,
		"contains(text, :l)":            true,
		"contains(set, :two)":           true,
		"contains(set, :five)":          false,
		"contains(l, :p)":               true,
		"contains(n, :one)":             false,
		"set = :set":                    true,
		"size(text) = :five":            true,
		"size(l) = :two":                true,
		"size(none) = :two":             false,
		"size(n) = :one":                true,
		"attribute_type(text, :S)":      true,
		"attribute_type(n, :S)":         false,
		"attribute_exists(m.deep[0].k)": true,
		"attribute_exists(m.deep[1]) OR attribute_exists(m.deep.k)": false,
		"attribute_not_exists(l[2]) AND attribute_exists(l[1])":     true,
		"begins_with(raw, :b)": true,
		"begins_with(raw, :h)": false,
		"n < text":             false,
	} {
		in := object{"TableName": "orders", "FilterExpression": expression}
		x, _ := (&call{in: in}).expression("FilterExpression")
		used := object{}
		for name, v := range values {
			if slices.Contains(x.tokens, name) {
				used[name] = v
			}
		}
		if len(used) > 0 {
			in["ExpressionAttributeValues"] = used
		}
		out := w.do("dynamodb", "Scan", in)
		if got := out["Count"] == int64(1); got != want || out["ScannedCount"] != int64(1) {
			t.Errorf("%s: %v, want %v", expression, got, want)
		}
	}
	for _, expression := range []string{"n", "n =", "n = :one AND", "(n = :one", "n = :one)", "size(n)", "begins_with(text)", "attribute_exists(n, :one)", "n ! :one", "n = :none", "#n = :one", "IN (:one)", "n BETWEEN :one", "m[x] = :one", strings.Repeat("(", 5000)} {
		in := object{"TableName": "orders", "FilterExpression": expression, "ExpressionAttributeValues": object{":one": attr("N", "1")}}
		w.fails("ValidationException", "dynamodb", "Scan", in)
	}
}

func TestProjections(t *testing.T) {
	w := newWorld(t)
	w.newTable("orders", nil)
	w.putRow("a", "1", object{"m": object{"M": object{"x": attr("S", "1"), "y": attr("S", "2")}}, "l": list(attr("S", "p"), object{"M": object{"q": attr("S", "r"), "s": attr("S", "t")}})})
	get := func(projection string) object {
		return w.do("dynamodb", "GetItem", object{"TableName": "orders", "Key": row("a", "1", nil), "ProjectionExpression": projection})["Item"].(object)
	}
	if got, want := get("id, m.y, l[1].q, none, m.none"), (object{"id": attr("S", "a"), "m": object{"M": object{"y": attr("S", "2")}}, "l": list(object{"M": object{"q": attr("S", "r")}})}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	w.fails("ValidationException", "dynamodb", "GetItem", object{"TableName": "orders", "Key": row("a", "1", nil), "ProjectionExpression": "m, m.x"})
	w.putRow("b", "1", nil)
	out := w.do("dynamodb", "Scan", object{"TableName": "orders", "ProjectionExpression": "#i", "ExpressionAttributeNames": object{"#i": "id"}, "Limit": int64(1)})
	if first := objects(out["Items"]); len(first) != 1 || len(first[0]) != 1 || out["LastEvaluatedKey"].(object)["n"] == nil {
		t.Errorf("%v", out)
	}
	changed := w.do("dynamodb", "UpdateItem", object{"TableName": "orders", "Key": row("a", "1", nil), "UpdateExpression": "SET m.x = :v", "ExpressionAttributeValues": object{":v": attr("S", "new")}, "ReturnValues": "UPDATED_NEW"})["Attributes"]
	if want := (object{"m": object{"M": object{"x": attr("S", "new")}}}); !reflect.DeepEqual(changed, want) {
		t.Errorf("%v, want %v", changed, want)
	}
}
