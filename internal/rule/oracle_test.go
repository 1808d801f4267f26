package rule

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// corpus are predicates of every feature of the language, over the members that
// drawItem makes.
var corpus = []string{
	`resource.configuration.a`, `!resource.configuration.a`, `has(resource.configuration.a)`, `has(resource.configuration.a.b)`, `has(resource.configuration.a.b) && resource.configuration.a.b`,
	`resource.configuration.a == resource.configuration.b`, `resource.configuration.a != resource.configuration.b`, `resource.configuration.a < resource.configuration.b`,
	`resource.configuration.a <= resource.configuration.b`, `resource.configuration.a > 3`, `resource.configuration.a >= 2.5`, `resource.configuration.a == 1`, `1.0 == resource.configuration.a`,
	`resource.configuration.a + resource.configuration.b == resource.configuration.c`, `resource.configuration.a - resource.configuration.b > 0`, `resource.configuration.a * resource.configuration.b > 0`,
	`resource.configuration.a / resource.configuration.b > 0`, `resource.configuration.a % resource.configuration.b == 0`, `-resource.configuration.a < 0`,
	`resource.configuration.a == null`, `resource.configuration.a == 'x'`, `'x' != resource.configuration.a`, `resource.configuration.list == [1, 'x', null]`, `resource.configuration.map == {'a': 1}`,
	`resource.configuration.a || resource.configuration.b`, `resource.configuration.a && resource.configuration.b`, `resource.configuration.a || resource.configuration.b || resource.configuration.c`,
	`resource.configuration.a && resource.configuration.b && resource.configuration.c`, `resource.configuration.a ? resource.configuration.b : resource.configuration.c`, `(resource.configuration.a ? dyn('x') : 1) == 'x'`,
	`size(resource.configuration.a) > 1`, `resource.configuration.list.size() == 2`, `size(resource.configuration.map) == 1`, `size(resource.tags) > 0`,
	`resource.configuration.a in resource.configuration.list`, `'x' in resource.configuration.list`, `resource.configuration.a in ['x', 'y']`, `resource.configuration.a in ['x', 1, 2.0]`, `resource.configuration.a in [1, 2]`,
	`'a' in resource.configuration.map`, `resource.configuration.a in resource.configuration.map`, `resource.configuration.a in resource.configuration.b`,
	`resource.configuration.list[0] == 'x'`, `resource.configuration.list[1.0] == 1`, `resource.configuration.list[resource.configuration.a] == 1`, `resource.configuration.map[resource.configuration.a] == 1`, `resource.configuration.map['a'].b`,
	`resource.configuration.list[0].a`, `resource.configuration.list.a == 1`, `has(resource.configuration.list.a)`, `has(resource.configuration.list[0].a)`, `resource.configuration['a'] == 1`,
	`resource.configuration.list.exists(x, x == 1)`, `resource.configuration.list.all(x, x > 0)`, `resource.configuration.list.exists_one(x, x == 'x')`, `resource.configuration.list.filter(x, x != 1).size() > 1`,
	`resource.configuration.list.map(x, x + 1) == [2, 3]`, `resource.configuration.list.map(x, x > 1, x * 2).size() == 1`, `resource.configuration.list.exists(x, has(x.a) && x.a == 1)`, `resource.configuration.list.all(x, x.a == 1 || x.b == 2)`,
	`resource.configuration.list.exists(x, resource.configuration.list.exists(y, y == x && x == 1))`, `resource.configuration.list.exists(x, x in resource.configuration.map)`, `resource.configuration.map.exists(k, resource.configuration.map[k] == 1)`,
	`resource.configuration.map.all(k, k == 'a' || k == 'b')`, `resource.tags.exists(k, resource.tags[k] == 'x')`, `size(resource.configuration.map.filter(k, k != 'a')) == 1`, `resource.configuration.a.exists(x, true)`, `resource.configuration.a.all(x, x)`,
	`[resource.configuration.a, resource.configuration.b].exists(x, x)`, `[1, resource.configuration.a] + resource.configuration.list == [1, 2]`, `(resource.configuration.list + [1])[0] == 1`, `{'k': resource.configuration.a}.k == 1`, `{'k': resource.configuration.a} == resource.configuration.map`,
	`resource.configuration.a.startsWith('x')`, `resource.configuration.a.endsWith(resource.configuration.b)`, `resource.configuration.a.contains('')`, `resource.configuration.a.matches('^[a-z]+$')`, `resource.configuration.a.matches(resource.configuration.b)`,
	`string(resource.configuration.a) == '1'`, `string(resource.configuration.a) + '!' != '1!'`, `int(resource.configuration.a) == 1`, `double(resource.configuration.a) == 1.0`, `bool(resource.configuration.a)`, `dyn(resource.configuration.a) == 1`,
	`timestamp(resource.configuration.time) < now`, `now - timestamp(resource.configuration.time) > duration('24h')`, `timestamp(resource.configuration.time) + duration('1h') > now`, `duration(resource.configuration.a) > duration('1s')`,
	`timestamp(resource.configuration.time).getFullYear() > 2000`, `timestamp(resource.configuration.time).getHours() == 2`, `timestamp(resource.configuration.time).getDayOfWeek('Europe/Vienna') > 1`, `string(timestamp(resource.configuration.time)) == resource.configuration.time`,
	`int(timestamp(resource.configuration.time)) > 0`, `timestamp(resource.configuration.a) < now`, `string(now - timestamp(resource.configuration.time)) != ''`, `(now - timestamp(resource.configuration.time)).getHours() > 24`,
	`ageDays(resource.configuration.time) > 30`, `ageDays(resource.configuration.a) > 30`, `resource.resourceCreationTime < now`, `has(resource.resourceCreationTime) && ageDays(resource.resourceCreationTime) > 10`,
	`has(params.text)`, `params.text == resource.configuration.a`, `resource.configuration.a in params.list`, `params.list.exists(x, x == resource.configuration.a)`, `has(params.missing) || resource.configuration.a`, `!has(params.missing) && resource.configuration.a == params.number`,
	`string(params.number * 24) + 'h' == '168h'`, `params.missing == 1 || resource.configuration.a`, `resource.configuration[params.text] == 'x'`, `size(params) > 1`, `params.number / 0 == 1 || resource.configuration.a`,
	`resource.accountId == '111122223333'`, `resource.resourceId == 'b' && resource.resourceType == 'AWS::S3::Bucket' && resource.awsRegion != ''`, `resource.configurationItemStatus == 'OK'`, `has(resource.arn) && resource.arn != ''`, `resource.resourceName == 'n'`, `has(resource.availabilityZone)`,
	`has(resource.tags.env)`, `resource.tags['env'] == 'x'`, `'env' in resource.tags && resource.tags.env == 'x'`, `resource.relationships.exists(r, r.resourceType == 'AWS::KMS::Key' && has(r.resourceId))`, `resource.relationships.all(r, r.resourceName != '')`, `has(resource.supplementaryConfiguration.P)`,
	`has(resource.supplementaryConfiguration.P) && resource.supplementaryConfiguration.P.a`, `resource.supplementaryConfiguration.P.a || !has(resource.supplementaryConfiguration.P)`, `size(resource.supplementaryConfiguration) == 1`,
	`json(resource.configuration.text).a == 1`, `has(json(resource.configuration.text).a)`, `json(resource.configuration.text).exists(x, x == 1)`, `json(resource.configuration.a) == 1`, `size(json(resource.configuration.text)) > 0`, `json('{"a": [1]}').a[0] == 1`,
	`lookup('AWS::KMS::Key', resource.configuration.a).configuration.enabled`, `has(lookup('AWS::KMS::Key', 'k-1').configuration.enabled)`, `related('AWS::KMS::Key').exists(k, k.configuration.enabled)`, `size(resources('AWS::KMS::Key')) == 2`, `resources('AWS::KMS::Key').exists(k, ageDays(k.resourceCreationTime) > 3)`,
	`resources('AWS::KMS::Key').all(k, k.resourceCreationTime < now)`, `resources('AWS::KMS::Key').map(k, k.resourceId) == ['k-1', 'k-2']`,
	`policyIsPublic(resource.configuration.a)`, `policyIsPublic(resource.configuration.map)`, `cidrContains('10.0.0.0/8', resource.configuration.a)`, `portIn(resource.configuration.a, 25, resource.configuration.list)`, `portsWithin(20, 21, params.list)`,
	`resource.configuration.a.split(',').exists(x, x == 'x')`, `resource.configuration.list.join('-') == 'x-y'`, `resource.configuration.a.lowerAscii().trim() == 'x'`, `resource.configuration.list.map(x, string(x)).join('') != ''`,
	`resource.configuration.big > 9007199254740992`, `resource.configuration.big + 1 > 0`, `resource.configuration.big == 9223372036854775807`, `resource.configuration.big * 2 > 0`, `double(resource.configuration.big) > 1.0`, `resource.configuration.big == resource.configuration.a`,
	`[1, 2, 3].exists(resource, resource == 2)`, `resource.configuration.list.map(x, {'v': x}).exists(m, m.v == 1)`, `true`, `false || resource.configuration.a`, `1 / 0 == 1 || true`, `resource.configuration.a == 1 ? true : 1 / 0 == 1`, `'' + resource.configuration.a == 'x'`,
}

// texts that items hold, some of which are times, numbers, patterns or JSON.
var someTexts = []string{"", "x", "y", "a", "true", "1", "-7", "2.5", "x,y", "10.1.2.0/24", "1h", "^x", "(", "é", "k-1", "k-2", `{"a":1,"b":null}`, `[1,2]`, "2026-01-01T00:00:00Z", "2025-03-01T02:30:15.25Z", "2026-01-01T02:00:00+02:00", "2026-02-31T00:00:00Z", "2024-02-29T23:59:59.999999999Z", "9999-12-31T23:59:59Z"}

func drawScalar(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "scalar") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.SampledFrom([]int64{0, 1, 2, 3, -1, 25, math.MaxInt64, math.MinInt64, 9007199254740993}).Draw(t, "int")
	case 3:
		return rapid.SampledFrom([]float64{0.5, 1, 2.5, -1e300, 1e21, 9223372036854775808}).Draw(t, "double")
	}
	return rapid.SampledFrom(someTexts).Draw(t, "text")
}

func drawValue(t *rapid.T, depth int) any {
	switch k := rapid.IntRange(0, 7).Draw(t, "kind"); {
	case depth > 0 && k == 0:
		return drawList(t, depth)
	case depth > 0 && k == 1:
		return drawMap(t, depth)
	}
	return drawScalar(t)
}

func drawList(t *rapid.T, depth int) []any {
	list := make([]any, rapid.IntRange(0, 3).Draw(t, "length"))
	for i := range list {
		list[i] = drawValue(t, depth-1)
	}
	return list
}

func drawMap(t *rapid.T, depth int) map[string]any {
	out := map[string]any{}
	for _, name := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, "there") {
			out[name] = drawValue(t, depth-1)
		}
	}
	return out
}

// drawItem draws an item whose members are now of the type that an expression
// expects, now of another, now null, now absent.
func drawItem(t *rapid.T) *knowngood.Resource {
	configuration := drawMap(t, 3)
	for _, typical := range []struct {
		name string
		draw func() any
	}{
		{"list", func() any { return drawList(t, 2) }}, {"map", func() any { return drawMap(t, 2) }},
		{"time", func() any { return rapid.SampledFrom(someTexts[18:]).Draw(t, "time") }}, {"text", func() any { return rapid.SampledFrom(someTexts[16:18]).Draw(t, "json") }},
		{"big", func() any {
			return rapid.SampledFrom([]int64{math.MaxInt64, 9007199254740993, math.MinInt64}).Draw(t, "big")
		}},
	} {
		switch rapid.IntRange(0, 9).Draw(t, typical.name) {
		case 0:
		case 1:
			configuration[typical.name] = drawValue(t, 2)
		default:
			configuration[typical.name] = typical.draw()
		}
	}
	item := &knowngood.Resource{
		Type: "AWS::S3::Bucket", ID: "b", AccountID: "111122223333", Region: "eu-west-1", Status: knowngood.ItemOK, Configuration: configuration,
		ARN: rapid.SampledFrom([]string{"", "arn:aws:s3:::b"}).Draw(t, "arn"), Name: rapid.SampledFrom([]string{"", "n"}).Draw(t, "name"),
		Tags: rapid.MapOfN(rapid.SampledFrom([]string{"env", "a.b", "é"}), rapid.SampledFrom(someTexts), 0, 2).Draw(t, "tags"),
	}
	if rapid.Bool().Draw(t, "created") {
		at := time.Date(2025, 12, 1, 2, 3, 4, 5000, time.UTC)
		item.CreationTime = &at
	}
	if rapid.Bool().Draw(t, "supplementary") {
		item.Supplementary = map[string]any{"P": drawValue(t, 2)}
	}
	if rapid.Bool().Draw(t, "related") {
		item.Relationships = []knowngood.Relationship{{Type: "AWS::KMS::Key", ID: rapid.SampledFrom([]string{"k-1", "k-9"}).Draw(t, "key"), RelationshipName: "r"}, {Type: "AWS::EC2::VPC", Name: "v"}}
	}
	if rapid.IntRange(0, 9).Draw(t, "denied") == 0 {
		item.Unread = []knowngood.ReadError{{Path: rapid.SampledFrom([]string{"configuration.a", "configuration", "tags", "configuration.list.a"}).Draw(t, "unread"), Service: "s3", Operation: "Get", Code: "AccessDenied"}}
	}
	return item
}

func oracleLookup() Lookup {
	at := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	return testLookup{
		{Type: "AWS::KMS::Key", ID: "k-1", CreationTime: &at, Configuration: map[string]any{"enabled": true}},
		{Type: "AWS::KMS::Key", ID: "k-2", Configuration: map[string]any{"enabled": nil}},
	}
}

var oracleParams = map[string]any{"text": "a", "number": int64(7), "list": []string{"x", "y", "20-22"}}

// compiledRule is a rule of one predicate; nil where CEL's checker refuses it.
func compiledRule(t interface{ Fatalf(string, ...any) }, source string) *Rule {
	d := &Definition{Name: "r", Title: "t", ResourceTypes: []string{"AWS::S3::Bucket"}, Compliant: source}
	refused := ""
	d.compile(func(_, _, problem string, args ...any) { refused = fmt.Sprintf(problem, args...) })
	if refused != "" {
		return nil
	}
	r := &Rule{Definition: d, params: oracleParams}
	r.engine = newEngine([]Active{{Name: "r", Rule: r}})
	return r
}

var oracleNow = time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC)

// agree holds our evaluation of an item, as Go's values and as JSON, against
// cel-go's.
func agree(t interface{ Errorf(string, ...any) }, r *Rule, item *knowngood.Resource) {
	want, why := interpreted{rule: r}.verdict(item, oracleNow, oracleLookup())
	source := r.Definition.Compliant
	if got := r.Evaluate(item, oracleNow, oracleLookup()); got.Compliance != want {
		t.Errorf("%s\n  on %#v\n  is %s (%s), want %s (%s)", source, item.Configuration, got.Compliance, got.Annotation, want, why)
	}
	raw := rawOf(item)
	got, err := r.engine.sweep(oracleNow).JSON(raw, oracleLookup())
	if err != nil || len(got) != 1 || got[0].Compliance != want {
		t.Errorf("%s\n  on %s\n  is %+v (%v), want %s (%s)", source, raw, got, err, want, why)
	}
}

// rawOf is an item as JSON, in which a double stays one, as it doesn't where
// encoding/json writes 1.0.
func rawOf(item *knowngood.Resource) []byte {
	members := envelope(nil, item)
	var unread []any
	for _, u := range item.Unread {
		unread = append(unread, map[string]string{"path": u.Path, "service": u.Service, "operation": u.Operation, "code": u.Code})
	}
	var d document.Document
	if err := d.Build(append(members, document.Named{Name: "unread", Value: unread}), nil); err != nil {
		panic(err)
	}
	return d.AppendJSON(nil, d.Root())
}

func TestVerdictsAreThoseOfCELsOwnEvaluator(t *testing.T) {
	var rules []*Rule
	for _, source := range corpus {
		r := compiledRule(t, source)
		if r == nil {
			t.Fatalf("CEL's checker refuses %s", source)
		}
		if why := r.Interpreted(); why != "" {
			t.Errorf("%s isn't compiled: %s", source, why)
		}
		rules = append(rules, r)
	}
	verdicts := map[string]map[knowngood.Compliance]int{}
	rapid.Check(t, func(t *rapid.T) {
		item := drawItem(t)
		for _, r := range rules {
			agree(t, r, item)
			if verdicts[r.Definition.Compliant] == nil {
				verdicts[r.Definition.Compliant] = map[knowngood.Compliance]int{}
			}
			verdicts[r.Definition.Compliant][r.Evaluate(item, oracleNow, oracleLookup()).Compliance]++
		}
	})
	// The items must reach both verdicts of nearly all, or they prove little.
	both := 0
	for _, v := range verdicts {
		if len(v) > 1 {
			both++
		}
	}
	if both < len(corpus)*3/4 {
		t.Errorf("only %d of %d expressions had more than one verdict", both, len(corpus))
	}
}

// drawExpression draws an expression of any type.
func drawExpression(t *rapid.T, depth int, vars []string) string {
	leaf := func() string {
		choices := append([]string{
			"resource.configuration.a", "resource.configuration.b", "resource.configuration.list", "resource.configuration.map", "resource.configuration.a.b", "resource.configuration.big",
			"resource.configuration.time", "resource.tags", "params.text", "params.list", "params.number", "now", "true", "false", "1", "2.5", "'x'", "''", "null", "[1, 'x']", "{'a': 1}", "duration('1h')",
		}, vars...)
		return rapid.SampledFrom(choices).Draw(t, "leaf")
	}
	if depth == 0 {
		return leaf()
	}
	sub := func() string { return drawExpression(t, depth-1, vars) }
	form := rapid.SampledFrom([]string{
		"leaf", "leaf", "(%s && %s)", "(%s || %s)", "!%s", "(%s == %s)", "(%s != %s)", "(%s < %s)", "(%s >= %s)", "(%s + %s)", "(%s - %s)", "(%s * %s)", "(%s / %s)", "(%s %% %s)", "-%s", "(%s in %s)",
		"(%s ? %s : %s)", "size(%s)", "string(%s)", "int(%s)", "double(%s)", "timestamp(%s)", "dyn(%s)", "%s[%s]", "%s.startsWith(%s)", "%s.contains(%s)", "%s.matches(%s)", "[%s, %s]", "{'k': %s}", "has(%s.a)", "%s.a",
		"%s.getHours()", "json(%s)", "ageDays(%s)", "exists", "all", "exists_one", "map", "filter",
	}).Draw(t, "form")
	switch form {
	case "leaf":
		return leaf()
	case "exists", "all", "exists_one", "map", "filter":
		over := sub()
		name := fmt.Sprintf("v%d", len(vars))
		within := drawExpression(t, depth-1, append(append([]string{}, vars...), name))
		if form == "map" || form == "filter" { // what they give of a map is in no order
			return fmt.Sprintf("size(%s.%s(%s, %s))", over, form, name, within)
		}
		return fmt.Sprintf("%s.%s(%s, %s)", over, form, name, within)
	}
	args := make([]any, strings.Count(form, "%s"))
	for i := range args {
		args[i] = sub()
	}
	return fmt.Sprintf(form, args...)
}

func TestDrawnExpressionsAreEvaluatedAsByCEL(t *testing.T) {
	taken, compiled, refusals := 0, 0, map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		source := drawExpression(t, 3, nil)
		items := rapid.SliceOfN(rapid.Custom(drawItem), 3, 3).Draw(t, "items")
		r := compiledRule(t, source)
		if r == nil {
			if r = compiledRule(t, "dyn("+source+") == true"); r == nil {
				return
			}
		}
		taken++
		if why := r.Interpreted(); why != "" {
			refusals[why]++
		} else {
			compiled++
		}
		for _, item := range items {
			agree(t, r, item)
		}
	})
	t.Logf("%d expressions, %d compiled; left to cel-go: %v", taken, compiled, refusals)
	if compiled*10 < taken*9 || taken == 0 {
		t.Errorf("only %d of %d drawn expressions are compiled: %v", compiled, taken, refusals)
	}
}

// TestLibraryIsCompiled lists the rules that cel-go's slower evaluator would have
// to evaluate: none may.
func TestLibraryIsCompiled(t *testing.T) {
	for _, d := range load(t).Rules() {
		for _, test := range d.Tests {
			r, err := Compile(d, test.Parameters)
			if err != nil {
				t.Fatal(err)
			}
			if why := r.Interpreted(); why != "" {
				t.Errorf("%s isn't compiled: %s", d.Identifier, why)
			}
		}
	}
}

// TestLibraryAgreesWithCELsOwnEvaluator runs each test of the library by both.
func TestLibraryAgreesWithCELsOwnEvaluator(t *testing.T) {
	for _, d := range load(t).Rules() {
		for _, test := range d.Tests {
			r, err := Compile(d, test.Parameters)
			if err != nil {
				t.Fatal(err)
			}
			now := oracleNow
			if test.Now != "" {
				now, _ = time.Parse(time.RFC3339, test.Now)
			}
			item, others := test.Item.resource(d), testLookup{}
			for i := range test.Resources {
				others = append(others, test.Resources[i].resource(d))
			}
			got := r.Evaluate(item, now, others)
			if item.Status == knowngood.ItemDeleted {
				continue
			}
			if want, why := (interpreted{rule: r}).verdict(item, now, others); got.Compliance != want || want == knowngood.NonCompliant && got.Annotation != shorten(why) {
				t.Errorf("%s, %s: %s (%s), cel-go has %s (%s)", d.Identifier, test.Name, got.Compliance, got.Annotation, want, why)
			}
		}
	}
}
