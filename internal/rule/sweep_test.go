package rule

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/knowngood/knowngood"
)

// ruleOf is a rule of one predicate, in force under a name.
func ruleOf(t *testing.T, name, resourceType, source string, scope Scope) Active {
	t.Helper()
	d := &Definition{Name: name, Title: "it is wrong", ResourceTypes: []string{resourceType}, Compliant: source, Annotation: `'the id is ' + resource.resourceId`}
	d.compile(func(_, _, problem string, args ...any) { t.Fatalf(problem, args...) })
	r, err := Compile(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return Active{Name: name, Rule: r, Scope: scope}
}

func sweepWith(t *testing.T, active ...Active) *Sweep {
	t.Helper()
	s, err := NewSet(active)
	if err != nil {
		t.Fatal(err)
	}
	return s.Sweep(oracleNow)
}

// said are verdicts in one line each.
func said(list []knowngood.Evaluation) string {
	var lines []string
	for _, e := range list {
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("%s %s %s: %s", e.Rule, e.Resource, e.Compliance, e.Annotation), ": "))
	}
	return strings.Join(lines, "\n")
}

func TestFormsOfItems(t *testing.T) {
	bucket := "AWS::S3::Bucket"
	w := sweepWith(t, ruleOf(t, "r", bucket, `resource.configuration.a == 1 && json(resource.supplementaryConfiguration.Acl).owner == 'x' && resource.supplementaryConfiguration.Block.on && resource.arn == 'arn'`, Scope{}))
	const compliant = "r 111122223333/eu-west-1/AWS::S3::Bucket/b COMPLIANT"
	for name, c := range map[string]struct{ item, want string }{
		"of a snapshot":            {`{"resourceType":"AWS::S3::Bucket","awsRegion":"eu-west-1","accountId":"111122223333","resourceId":"b","arn":"arn","configuration":{"a":1},"supplementaryConfiguration":{"Acl":"{\"owner\":\"x\"}","Block":{"on":true}}}`, compliant},
		"with blanks":              {"{ \"resourceType\" :\n \"AWS::S3::Bucket\", \"awsRegion\": \"eu-west-1\", \"accountId\": \"111122223333\", \"resourceId\": \"b\", \"arn\": \"arn\", \"configuration\": {\"a\": 1}, \"supplementaryConfiguration\": {\"Acl\": \"{\\\"owner\\\":\\\"x\\\"}\", \"Block\": {\"on\": true}}}", compliant},
		"of an event":              {`{"relationships":[{"resourceType":"AWS::EC2::VPC"}],"awsAccountId":"111122223333","ARN":"arn","resourceType":"AWS::S3::Bucket","awsRegion":"eu-west-1","resourceId":"b","configuration":{"a":1},"supplementaryConfiguration":{"Acl":"{\"owner\":\"x\"}","Block":{"on":true}}}`, compliant},
		"of the API":               {`{"version":"1.3","accountId":"111122223333","resourceType":"AWS::S3::Bucket","awsRegion":"eu-west-1","resourceId":"b","arn":"arn","configuration":"{\"a\":1}","supplementaryConfiguration":{"Acl":"\"{\\\"owner\\\":\\\"x\\\"}\"","Block":"{\"on\":true}"}}`, compliant},
		"a member there twice":     {`{"resourceType":"AWS::S3::Bucket","awsRegion":"eu-west-1","accountId":"111122223333","resourceId":"b","configuration":{"a":1},"configuration":{"b":1}}`, "r 111122223333/eu-west-1/AWS::S3::Bucket/b INSUFFICIENT_DATA: the rule could not be evaluated: no such key: a"},
		"deleted":                  {`{"resourceType":"AWS::S3::Bucket","awsRegion":"e","accountId":"1","resourceId":"b","configurationItemStatus":"ResourceDeletedNotRecorded"}`, "r 1/e/AWS::S3::Bucket/b NOT_APPLICABLE: the resource is deleted"},
		"not read":                 {`{"resourceType":"AWS::S3::Bucket","awsRegion":"e","accountId":"1","resourceId":"b","unread":[{"path":"configuration","service":"s3","operation":"GetBucket","code":"AccessDenied"}]}`, "r 1/e/AWS::S3::Bucket/b INSUFFICIENT_DATA: configuration could not be read: s3:GetBucket: AccessDenied"},
		"not compliant":            {`{"resourceType":"AWS::S3::Bucket","awsRegion":"e","accountId":"1","resourceId":"b\u0062","configuration":{"a":2}}`, "r 1/e/AWS::S3::Bucket/bb NON_COMPLIANT: the id is bb"},
		"out of range":             {`{"resourceType":"AWS::S3::Bucket","awsRegion":"e","accountId":"1","resourceId":"b","configuration":{"a":1e999}}`, "r 1/e/AWS::S3::Bucket/b INSUFFICIENT_DATA: the rule could not be evaluated: a number is out of range"},
		"of another type":          {`{"resourceType":"AWS::EC2::VPC","resourceId":"v"}`, ""},
		"that names a type inside": {`{"configuration":{"resourceType":"AWS::S3::Bucket"},"resourceType":"AWS::EC2::VPC","resourceId":"v"}`, ""},
		"no object":                {`[]`, ""},
	} {
		got, err := w.JSON([]byte(c.item), nil)
		if err != nil || said(got) != c.want {
			t.Errorf("an item %s: %q (%v), want %q", name, said(got), err, c.want)
		}
	}
	for _, item := range []string{`{`, `{"resourceType":"AWS::S3::Bucket"`, `{"resourceType":"AWS::EC2::VPC"`, `{"resourceType":"AWS::S3::Bucket","unread":[1]}`, `{"resourceType":"AWS::S3::Bucket","unread":{"a":1}}`, ``} {
		if got, err := w.JSON([]byte(item), nil); err == nil {
			t.Errorf("%q is taken: %s", item, said(got))
		}
	}
}

// TestTypeIsVerified has a type before the item's own that other rules look at.
func TestTypeIsVerified(t *testing.T) {
	w := sweepWith(t, ruleOf(t, "b", "AWS::S3::Bucket", `true`, Scope{}), ruleOf(t, "v", "AWS::EC2::VPC", `resource.configuration.a == 1`, Scope{}))
	got, err := w.JSON([]byte(`{"relationships":[{"resourceType":"AWS::S3::Bucket","resourceId":"b"}],"resourceId":"v","resourceType":"AWS::EC2::VPC","configuration":{"a":1}}`), nil)
	if err != nil || said(got) != "v //AWS::EC2::VPC/v COMPLIANT" {
		t.Errorf("%q, %v", said(got), err)
	}
}

func TestScopesOfJSON(t *testing.T) {
	for name, c := range map[string]struct {
		scope Scope
		want  bool
	}{
		"none": {Scope{}, true}, "the id": {Scope{ResourceID: "b"}, true}, "another id": {Scope{ResourceID: "c"}, false}, "a tag": {Scope{TagKey: "env"}, true},
		"a tag's value": {Scope{TagKey: "env", TagValue: "x"}, true}, "another value": {Scope{TagKey: "env", TagValue: "y"}, false}, "another tag": {Scope{TagKey: "team"}, false},
	} {
		w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `true`, c.scope))
		item := &knowngood.Resource{Type: "AWS::S3::Bucket", ID: "b", Tags: map[string]string{"env": "x"}}
		raw, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.JSON(raw, nil)
		if err != nil || (len(got) == 1) != c.want {
			t.Errorf("%s: %q, %v", name, said(got), err)
		}
		if got := w.Resource(item, nil); (len(got) == 1) != c.want {
			t.Errorf("%s: %q", name, said(got))
		}
	}
	// Without tags there is no tag.
	w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `true`, Scope{TagKey: "env"}))
	if got, err := w.JSON([]byte(`{"resourceType":"AWS::S3::Bucket","resourceId":"b","tags":null}`), nil); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", said(got), err)
	}
}

// TestTextsOutliveTheItem changes and reuses what verdicts were made from.
func TestTextsOutliveTheItem(t *testing.T) {
	w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `false`, Scope{}))
	item := []byte(`{"resourceType":"AWS::S3::Bucket","awsRegion":"eu-west-1","accountId":"111122223333","resourceId":"first"}`)
	got, err := w.JSON(item, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := got[0]
	clear(item)
	if _, err := w.JSON([]byte(`{"resourceType":"AWS::S3::Bucket","awsRegion":"us-east-11","accountId":"999999999999","resourceId":"other"}`), nil); err != nil {
		t.Fatal(err)
	}
	if want := "r 111122223333/eu-west-1/AWS::S3::Bucket/first NON_COMPLIANT: the id is first"; said([]knowngood.Evaluation{first}) != want {
		t.Errorf("%q, want %q", said([]knowngood.Evaluation{first}), want)
	}
}

func TestLongAnnotationsAreCut(t *testing.T) {
	w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `false`, Scope{}))
	got := w.Resource(&knowngood.Resource{Type: "AWS::S3::Bucket", ID: strings.Repeat("é", 300)}, nil)
	if n := len([]rune(got[0].Annotation)); n != maxAnnotation || !strings.HasSuffix(got[0].Annotation, "é…") {
		t.Errorf("%d characters: %s", n, got[0].Annotation)
	}
}

func TestItemsThatAreNoJSONHaveNoVerdict(t *testing.T) {
	w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `resource.configuration.a == 1`, Scope{}))
	got := w.Resource(&knowngood.Resource{Type: "AWS::S3::Bucket", ID: "b", Configuration: map[string]any{"a": struct{}{}}}, nil)
	if len(got) != 1 || got[0].Compliance != knowngood.InsufficientData || !strings.Contains(got[0].Annotation, "struct {}") {
		t.Errorf("%q", said(got))
	}
}

// TestLongEvaluationsEnd has a predicate that would go through 10^9 elements, and
// one that would make 2^40 bytes. Neither may pass.
func TestLongEvaluationsEnd(t *testing.T) {
	list := make([]any, 1000)
	for i := range list {
		list[i] = int64(i)
	}
	for _, source := range []string{
		`resource.configuration.l.all(a, resource.configuration.l.all(b, resource.configuration.l.all(c, c >= 0)))`,
		`!resource.configuration.l.exists(a, resource.configuration.l.exists(b, -1 in resource.configuration.l))`,
		`size(resource.configuration.l.map(a, resource.configuration.l.map(b, resource.configuration.l.map(c, 'x' + resource.resourceId)))) > 0`,
		`[1, 1, 1, 1, 1].map(a, resource.configuration.big + resource.configuration.big).size() == 5`,
	} {
		w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", source, Scope{}))
		got := w.Resource(&knowngood.Resource{Type: "AWS::S3::Bucket", ID: "b", Configuration: map[string]any{"l": list, "big": strings.Repeat("x", 4<<20)}}, nil)
		if got[0].Compliance != knowngood.InsufficientData || !strings.Contains(got[0].Annotation, tooMuch) {
			t.Errorf("%s: %q", source, said(got))
		}
	}
}

// TestWhatWeCannotCompileIsLeftToCEL has expressions of features that rules don't
// need: they give the same verdict, slower, and the rule says so.
func TestWhatWeCannotCompileIsLeftToCEL(t *testing.T) {
	for source, want := range map[string]knowngood.Compliance{
		`type(resource.configuration.a) == int`: knowngood.Compliant, `resource.configuration.a == 1u`: knowngood.Compliant, `{1: 2}[resource.configuration.a] == 2`: knowngood.Compliant, `bytes('a') == b'a'`: knowngood.Compliant,
		`has(resource.configuration.b) && uint(resource.configuration.a) == 1u`: knowngood.NonCompliant, `uint(resource.configuration.b) == 1u`: knowngood.InsufficientData, `size(resource) > 3`: knowngood.Compliant,
	} {
		a := ruleOf(t, "r", "AWS::S3::Bucket", source, Scope{})
		if a.Rule.Interpreted() == "" {
			t.Errorf("%s is compiled", source)
		}
		w := sweepWith(t, a)
		item := &knowngood.Resource{Type: "AWS::S3::Bucket", ID: "b", Configuration: map[string]any{"a": int64(1)}}
		if got := w.Resource(item, nil); got[0].Compliance != want {
			t.Errorf("%s: %q, want %s", source, said(got), want)
		}
		if got, err := w.JSON(rawOf(item), nil); err != nil || got[0].Compliance != want {
			t.Errorf("%s of JSON: %q, %v, want %s", source, said(got), err, want)
		}
	}
}

func TestNamesThatItemsDontHaveAreRefused(t *testing.T) {
	for _, source := range []string{`resource.config.a == 1`, `has(resource.tag)`, `lookup('AWS::KMS::Key', 'k').enabled`} {
		refused := false
		d := &Definition{Compliant: source}
		d.compile(func(_, _, problem string, _ ...any) { refused = strings.Contains(problem, "no member") })
		if !refused {
			t.Errorf("%s is taken", source)
		}
	}
}

// TestSetServesManyGoroutines is for the race detector, and for what they would
// write into one another's verdicts.
func TestSetServesManyGoroutines(t *testing.T) {
	s, err := NewSet([]Active{ruleOf(t, "r", "AWS::S3::Bucket", `resource.configuration.list.map(x, x + x).exists(x, x == resource.resourceId + resource.resourceId)`, Scope{})})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", g, i)
				item := &knowngood.Resource{Type: "AWS::S3::Bucket", ID: id, Configuration: map[string]any{"list": []any{"a", id}}}
				if i%2 > 0 {
					item.Configuration["list"] = []any{"a"}
				}
				got := s.Evaluate(item, oracleNow, nil)
				want := "r //AWS::S3::Bucket/" + id + " COMPLIANT"
				if i%2 > 0 {
					want = "r //AWS::S3::Bucket/" + id + " NON_COMPLIANT: the id is " + id
				}
				if said(got) != want {
					t.Errorf("%q, want %q", said(got), want)
				}
			}
		})
	}
	wg.Wait()
}

// countingLookup counts what is asked of it.
type countingLookup struct {
	testLookup
	asked int
}

func (l *countingLookup) Resources(t string) ([]*knowngood.Resource, error) {
	l.asked++
	return l.testLookup.Resources(t)
}

// TestLookedUpDocumentsAreKept evaluates many items that look the same up, and more
// resources than are kept.
func TestLookedUpDocumentsAreKept(t *testing.T) {
	w := sweepWith(t, ruleOf(t, "r", "AWS::S3::Bucket", `resources('AWS::KMS::Key').exists(k, k.configuration.bucket == resource.resourceId) && json(resource.configuration.j).a == resource.resourceId`, Scope{}))
	l := &countingLookup{}
	for i := range 50 {
		l.testLookup = append(l.testLookup, &knowngood.Resource{Type: "AWS::KMS::Key", ID: fmt.Sprint(i), Configuration: map[string]any{"bucket": fmt.Sprint("b", i)}})
	}
	for i := range 200 {
		id := fmt.Sprint("b", i%50)
		item := &knowngood.Resource{Type: "AWS::S3::Bucket", ID: id, Configuration: map[string]any{"j": fmt.Sprintf(`{"a":%q}`, id)}}
		if got := w.Resource(item, l); got[0].Compliance != knowngood.Compliant {
			t.Fatalf("%d: %q", i, said(got))
		}
	}
	if l.asked != 200 || len(w.machine.docs) > 60 {
		t.Errorf("asked %d times, %d documents", l.asked, len(w.machine.docs))
	}
	for i := range 2 * maxFound {
		one := testLookup{{Type: "AWS::KMS::Key", ID: "k", Configuration: map[string]any{"bucket": fmt.Sprint("c", i)}}}
		item := &knowngood.Resource{Type: "AWS::S3::Bucket", ID: fmt.Sprint("c", i), Configuration: map[string]any{"j": fmt.Sprintf(`{"a":"c%d"}`, i)}}
		if got := w.Resource(item, one); got[0].Compliance != knowngood.Compliant {
			t.Fatalf("%d: %q", i, said(got))
		}
	}
	if len(w.machine.docs) > maxFound+100 {
		t.Errorf("%d documents are kept", len(w.machine.docs))
	}
}
