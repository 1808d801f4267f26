package inventory

import (
	"reflect"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/knowngood/knowngood/awsapi"
)

type m = map[string]any

func TestAt(t *testing.T) {
	v := m{"A": m{"B": "b"}, "L": []any{m{"N": "1"}, m{}, m{"N": "2", "M": []any{"x", "y"}}}, "S": "s", "E": []any{}}
	for path, want := range map[string]any{
		"": v, ".": v, "S": "s", "A.B": "b", "A.C": nil, "S.T": nil, "X.Y": nil, "L[]": v["L"], "L[].N": []any{"1", "2"}, "L[].M": []any{"x", "y"},
		"E[].N": []any{}, "X[].N": nil, "S[]": nil, "L.N": nil,
	} {
		if got := at(v, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, want %v", path, got, want)
		}
	}
}

func TestFill(t *testing.T) {
	vars := map[string]string{"region": "eu-west-1", "account": "1"}
	element := m{"Id": "i-1", "Placement": m{"Zone": "a"}, "N": int64(5), "region": "elsewhere"}
	for _, c := range []struct {
		tmpl, want string
		ok         bool
	}{
		{"", "", true},
		{"Not Applicable", "Not Applicable", true},
		{"arn:{region}:{account}:x/{Id}", "arn:eu-west-1:1:x/i-1", true},
		{"{Placement.Zone}", "a", true},
		{"{Missing}", "", false},
		{"{N}", "", false},
		{"{open", "{open", true},
	} {
		if got, ok := fill(c.tmpl, vars, element); got != c.want || ok != c.ok {
			t.Errorf("%q: %q, %v", c.tmpl, got, ok)
		}
	}
	if got, ok := fill("{.}", vars, "arn:x"); got != "arn:x" || !ok {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestInput(t *testing.T) {
	in := m{"Ids": []any{"{Id}", "{Missing}"}, "Size": uint64(5), "On": true, "Nested": m{"Id": "{Id}", "None": "{Missing}"}}
	want := m{"Ids": []any{"i-1"}, "Size": int64(5), "On": true, "Nested": m{"Id": "i-1"}}
	if got := input(in, nil, m{"Id": "i-1"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

// mappingOf compiles a mapping over an EC2 volume.
func mappingOf(t *testing.T, text string) *value {
	t.Helper()
	var raw map[string]any
	if err := yaml.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	service, err := models(t).Service("ec2")
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{catalog: models(t), service: "ec2"}
	v := c.object("configuration", service.Shape("Volume"), raw)
	for _, err := range c.problems {
		t.Error(err)
	}
	return v
}

func TestMappings(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 30, 0, 120e6, time.FixedZone("", 3600))
	volume := m{"VolumeId": "vol-1", "Size": int64(5), "State": "in-use", "CreateTime": at, "Encrypted": false,
		"Attachments": []any{m{"Device": "/dev/sdf", "AttachTime": at}, m{}}, "Operator": m{"Managed": true}}
	for text, want := range map[string]m{
		`{volumeId: VolumeId, encrypted: Encrypted, iops: Iops}`:                                                      {"volumeId": "vol-1", "encrypted": false},
		`{state: {value: State}, sse: {value: SseType}}`:                                                              {"state": m{"value": "in-use"}},
		`{createTime: CreateTime}`:                                                                                    {"createTime": "2026-11-24T08:30:00.120Z"},
		`{createTime: {$from: CreateTime, $as: milliseconds}}`:                                                        {"createTime": at.UnixMilli()},
		`{attachments: {$each: Attachments, device: Device}, tags: {$each: Tags, k: Key}}`:                            {"attachments": []any{m{"device": "/dev/sdf"}, m{}}, "tags": []any{}},
		`{devices: "Attachments[].Device"}`:                                                                           {"devices": []any{"/dev/sdf"}},
		`{devices: {$each: "Attachments[].Device", value: "."}}`:                                                      {"devices": []any{m{"value": "/dev/sdf"}}},
		`{operator: {$from: Operator, managed: Managed, principal: Principal}}`:                                       {"operator": m{"managed": true}},
		`{operator: {managed: Operator.Managed}}`:                                                                     {"operator": m{"managed": true}},
		`{used: {$from: State, $values: {in-use: true, available: false}}}`:                                           {"used": true},
		`{used: {$from: State, $values: {available: false}}}`:                                                         {"used": "in-use"},
		`{sse: {$from: SseType, $default: "none"}, iops: {$from: Iops, $default: 3000}}`:                              {"sse": "none", "iops": int64(3000)},
		`{s: {$first: [{$from: KmsKeyId}, {$from: State, $values: {in-use: used}}, Size]}}`:                           {"s": "used"},
		`{s: {$first: [{$from: KmsKeyId}, {k: KmsKeyId}]}}`:                                                           {},
		`{s: {$as: text, size: Size, state: {v: State}}}`:                                                             {"s": `{"size":5,"state":{"v":"in-use"}}`},
		`{attachments: {$each: Attachments, $key: Device, at: AttachTime, state: State}}`:                             {"attachments": m{"/dev/sdf": m{"at": "2026-11-24T08:30:00.120Z"}}},
		`{tags: {$each: Tags, $key: Key, value: Value}, by: {$each: Attachments, $key: Device, $as: text, s: State}}`: {"by": m{"/dev/sdf": "{}"}},
		`{s: {$from: CreateTime, $as: date}}`:                                                                         {"s": "Nov 24, 2026 8:30:00 AM"},
		`{s: {$from: Operator, p: Principal}, outpost: {$from: OutpostArn}}`:                                          {"s": m{}},
	} {
		got := m{}
		mappingOf(t, text).merge(got, volume)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// A map of the API's stays a map, by its keys.
func TestMapsOfTheAPI(t *testing.T) {
	service, err := models(t).Service("apigateway")
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{catalog: models(t), service: "apigateway"}
	v := c.object("configuration", service.Shape("Stage"), m{"methodSettings": m{"$each": "methodSettings", "level": "loggingLevel"}})
	for _, err := range c.problems {
		t.Fatal(err)
	}
	got := m{}
	v.merge(got, m{"methodSettings": m{"*/*": m{"loggingLevel": "INFO"}, "a/GET": m{"metricsEnabled": true}}})
	if want := (m{"methodSettings": m{"*/*": m{"level": "INFO"}, "a/GET": m{}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	got = m{}
	if v.merge(got, m{}); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

func TestPagesOfADetailFollowOneAnother(t *testing.T) {
	v := mappingOf(t, `{attachments: {$each: Attachments, device: Device}, size: Size}`)
	got := m{}
	v.merge(got, m{"Attachments": []any{m{"Device": "a"}}, "Size": int64(1)})
	v.merge(got, m{"Attachments": []any{m{"Device": "b"}}})
	if want := (m{"attachments": []any{m{"device": "a"}, m{"device": "b"}}, "size": int64(1)}); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestPlainValues(t *testing.T) {
	if got := plain(m{"b": []byte("hi"), "l": []any{time.Unix(0, 0)}}); !reflect.DeepEqual(got, m{"b": "aGk=", "l": []any{"1970-01-01T00:00:00.000Z"}}) {
		t.Errorf("%v", got)
	}
}

var _ awsapi.Caller = (*session)(nil)
