package inventory

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/planned"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

var plannedPlace = knowngood.Place{Partition: "aws", Account: "111122223333", Region: "us-east-1"}

// proactive is all that a proactive evaluation needs.
type proactive struct {
	forms *Forms
	table *Table
	rules *rule.Library
}

func newProactive(t testing.TB) proactive {
	t.Helper()
	forms, err := LoadForms(os.DirFS("../../library"))
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	table, err := LoadTypes(library.FS, catalog)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	return proactive{forms, table, rules}
}

// withParameter is a template whose parameter Unknown has no value.
func (p proactive) cloudFormation(t testing.TB, resources map[string]map[string]any) *planned.Plan {
	t.Helper()
	made := map[string]any{}
	for typ, properties := range resources {
		made[typ[strings.LastIndex(typ, ":")+1:]] = map[string]any{"Type": typ, "Properties": properties}
	}
	raw, err := json.Marshal(map[string]any{"Parameters": map[string]any{"Unknown": map[string]any{"Type": "String"}}, "Resources": made})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := template.Planned("t.json", raw, template.Inputs{Partition: plannedPlace.Partition, Account: plannedPlace.Account, Region: plannedPlace.Region}, p.forms.References(false))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// unknown stands for what is known after apply in a test's plan.
const unknownValue = "(known after apply)"

func (p proactive) terraform(t testing.TB, resources map[string]map[string]any) *planned.Plan {
	t.Helper()
	var changes []any
	for _, typ := range slices.Sorted(maps.Keys(resources)) {
		after, unknown := map[string]any{}, map[string]any{}
		for name, v := range resources[typ] {
			if v == unknownValue {
				unknown[name] = true
				continue
			}
			after[name] = v
		}
		changes = append(changes, map[string]any{"address": typ + ".x", "mode": "managed", "type": typ, "name": "x", "change": map[string]any{"actions": []string{"create"}, "after": after, "after_unknown": unknown}})
	}
	raw, err := json.Marshal(map[string]any{"format_version": "1.2", "resource_changes": changes})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := planned.Terraform("plan.json", raw, plannedPlace, p.forms.References(true))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// judge gives a rule's verdict on the only resource of the type.
func (p proactive) judge(t testing.TB, test formTest, itemType string, plan *planned.Plan) knowngood.Evaluation {
	t.Helper()
	d, ok := p.rules.Rule(test.Rule)
	if !ok {
		t.Fatalf("there is no rule %s", test.Rule)
	}
	bound, err := rule.Compile(d, test.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.NewSet([]rule.Active{{Name: d.Name, Rule: bound}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var items []knowngood.Resource
	subject := -1
	for _, made := range p.forms.Items(plan, plannedPlace, p.table, set.Reads(), now) {
		if made.Item.Type == itemType {
			subject = len(items)
		}
		items = append(items, made.Item)
	}
	if subject < 0 {
		t.Fatalf("%s: no item of %s", test.Rule, itemType)
	}
	got := set.Evaluate(&items[subject], now, rule.Among(slices.Collect(maps.Keys(set.Reads())), items, nil))
	if len(got) != 1 {
		t.Fatalf("%s: %d verdicts", test.Rule, len(got))
	}
	return got[0]
}

// each calls do with every case of the forms' tests.
func (p proactive) each(t *testing.T, do func(t *testing.T, name string, test formTest, file *formFile, want knowngood.Compliance, resources map[string]map[string]any, plan func(testing.TB, map[string]map[string]any) *planned.Plan, unknown any)) {
	for _, f := range p.forms.files {
		for _, test := range f.Tests {
			for want, resources := range test.CloudFormation {
				do(t, fmt.Sprintf("%s %s of a template", test.Rule, want), test, f, want, resources, p.cloudFormation, map[string]any{"Ref": "Unknown"})
			}
			for want, resources := range test.Terraform {
				do(t, fmt.Sprintf("%s %s of a plan", test.Rule, want), test, f, want, resources, p.terraform, unknownValue)
			}
		}
	}
}

func TestFormsGiveTheVerdictsOfTheirTests(t *testing.T) {
	p := newProactive(t)
	p.each(t, func(t *testing.T, name string, test formTest, f *formFile, want knowngood.Compliance, resources map[string]map[string]any, plan func(testing.TB, map[string]map[string]any) *planned.Plan, _ any) {
		if got := p.judge(t, test, f.ResourceType, plan(t, resources)); got.Compliance != want {
			t.Errorf("%s: %s (%s)", name, got.Compliance, got.Annotation)
		}
	})
}

// TestWhatIsNotKnownNeverPasses makes each property unknown in turn: the verdict
// must stay, or say that it can't be told.
func TestWhatIsNotKnownNeverPasses(t *testing.T) {
	p := newProactive(t)
	cases, untold, decided := 0, map[string]bool{}, map[string]bool{} // by rule and form
	p.each(t, func(t *testing.T, name string, test formTest, f *formFile, want knowngood.Compliance, resources map[string]map[string]any, plan func(testing.TB, map[string]map[string]any) *planned.Plan, unknown any) {
		_, form, _ := strings.Cut(name, " of ")
		key := test.Rule + " of " + form
		for typ, properties := range resources {
			decided[key] = decided[key] || len(properties) > 0
			for property := range properties {
				if property == "arn" { // by which tests tie resources together; a plan never knows it
					continue
				}
				changed := maps.Clone(resources)
				changed[typ] = maps.Clone(properties)
				changed[typ][property] = unknown
				cases++
				got := p.judge(t, test, f.ResourceType, plan(t, changed))
				switch got.Compliance {
				case knowngood.InsufficientData:
					untold[key] = true
				case want:
				default:
					t.Errorf("%s: %s with %s of %s unknown (%s)", name, got.Compliance, property, typ, got.Annotation)
				}
			}
		}
	})
	for key := range decided {
		if decided[key] && !untold[key] {
			t.Errorf("%s: no property that isn't known makes a verdict unknown", key)
		}
	}
	t.Logf("%d properties made unknown; for %d rules and forms one of them decides", cases, len(untold))
}

// TestCoverage counts the rules for which both a resource that passes and one that
// doesn't are under test.
func TestCoverage(t *testing.T) {
	p := newProactive(t)
	count := func(of func(formTest) map[knowngood.Compliance]map[string]map[string]any) map[string]bool {
		rules := map[string]bool{}
		for _, f := range p.forms.files {
			for _, test := range f.Tests {
				cases := of(test)
				if cases[knowngood.Compliant] != nil && cases[knowngood.NonCompliant] != nil {
					rules[test.Rule] = true
				}
			}
		}
		return rules
	}
	templates := count(func(t formTest) map[knowngood.Compliance]map[string]map[string]any { return t.CloudFormation })
	plans := count(func(t formTest) map[knowngood.Compliance]map[string]map[string]any { return t.Terraform })
	t.Logf("of %d rules %d are evaluable from CloudFormation and %d from Terraform", len(p.rules.Rules()), len(templates), len(plans))
	if len(templates) < 60 || len(plans) < 40 {
		t.Errorf("%d and %d rules, want 60 and 40", len(templates), len(plans))
	}
}

// neverPlanned are types that rules look at and that neither a template nor a plan
// makes.
var neverPlanned = map[string]string{
	"AWS::::Account":                  "it is there before",
	"AWS::Backup::RecoveryPoint":      "backups are made by plans, later",
	"AWS::SSM::AssociationCompliance": "nodes report it when they run",
	"AWS::SSM::PatchCompliance":       "nodes report it when they run",
}

// TestNoRulesTypeIsPassedOver: a resource of a type without a form would be none
// that a rule looks at, and so pass in silence.
func TestNoRulesTypeIsPassedOver(t *testing.T) {
	p := newProactive(t)
	forms := map[string]bool{}
	for _, f := range p.forms.files {
		forms[f.ResourceType] = true
	}
	types := map[string]bool{}
	for _, d := range p.rules.Rules() {
		for _, typ := range d.ResourceTypes {
			types[typ] = true
			if !forms[typ] && neverPlanned[typ] == "" {
				t.Errorf("%s looks at %s, which has no form in library/proactive", d.Identifier, typ)
			}
		}
	}
	for typ := range neverPlanned {
		if !types[typ] {
			t.Errorf("no rule looks at %s", typ)
		}
	}
}

func TestFormsGiveOnlyWhatAnItemHas(t *testing.T) {
	p := newProactive(t)
	for _, f := range p.forms.files {
		typ, ok := p.table.Type(f.ResourceType)
		if !ok {
			t.Errorf("%s: the table has no %s", f.file, f.ResourceType)
			continue
		}
		recorded := typ.Emits()
		for _, m := range append([]*form{f.CloudFormation}, f.Terraform...) {
			if m == nil {
				continue
			}
			given := map[string]bool{} // whether an item has it, by key of a map or as one of all
			for _, path := range m.emits() {
				plain := strings.ReplaceAll(path, ".*", "")
				given[plain] = given[plain] || slices.ContainsFunc(recorded, func(r string) bool { return inside(path, r) })
			}
			for path, ok := range given {
				if !ok {
					t.Errorf("%s: %s of %s is in no item", f.file, path, m.Type)
				}
			}
		}
	}
}
