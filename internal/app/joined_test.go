package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/strictyaml"
	"github.com/knowngood/knowngood/library"
)

// joined is how a rule is shown to work on an estate, from the calls that make it
// to the verdicts: testdata/joined holds one for each rule whose reads the sandbox
// serves.
type joined struct {
	Rule       string            `yaml:"rule"`
	Parameters map[string]string `yaml:"parameters"`
	Calls      []any             `yaml:"calls"` // that make the estate, as a scenario's
	// Before and After are verdicts by resource id, before and after the one call
	// that flips one of them.
	Before map[string]knowngood.Compliance `yaml:"before"`
	Flip   struct {
		Call  string         `yaml:"call"` // service:Operation
		Input map[string]any `yaml:"input"`
		Wait  string         `yaml:"wait"` // until it has taken effect; 1m unless given
		Root  bool           `yaml:"root"` // the root user makes it, whose key's id is {{root.AccessKeyId}}
	} `yaml:"flip"`
	After map[string]knowngood.Compliance `yaml:"after"`
	// Cannot says why no estate shows both verdicts; CannotFlip, why no call turns
	// one into the other, and Lacks which call would and is not simulated.
	Cannot     string `yaml:"cannot"`
	CannotFlip string `yaml:"cannotFlip"`
	Lacks      string `yaml:"lacks"`
}

// TestRulesAreJoinedToTheEstate collects an estate for each rule whose reads are
// simulated, and evaluates it before and after a call: it must find something
// COMPLIANT and something NON_COMPLIANT, and the call must turn one into the
// other. Rules without such an estate are named, with the calls that the sandbox
// lacks.
func TestRulesAreJoinedToTheEstate(t *testing.T) {
	t.Parallel()
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	table, err := inventory.LoadTypes(library.FS, c)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]joined{}
	files, err := filepath.Glob("testdata/joined/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Rules []joined `yaml:"rules"`
		}
		if err := strictyaml.Decode(file, raw, &list, "a list of rules"); err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Rules {
			d, ok := lib.Rule(j.Rule)
			if _, twice := cases[d.Identifier]; !ok || twice {
				t.Fatalf("%s: %s is unknown, or there twice", file, j.Rule)
			}
			cases[d.Identifier] = j
		}
	}
	first, err := sandbox.New(sandbox.Options{Catalog: c, Clock: sandbox.NewClock(trialTime), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	served := simulated(t, first)
	shown, still := 0, 0
	for _, d := range lib.Rules() {
		lacking := lacks(t, d, table, served)
		j, there := cases[d.Identifier]
		switch {
		case there && j.Cannot != "":
			t.Logf("%s is not joined: %s", d.Name, j.Cannot)
		case there:
			if served[j.Lacks] {
				t.Errorf("%s can flip, for the sandbox serves %s", d.Name, j.Lacks)
			}
			if j.Flip.Call == "" {
				t.Logf("%s does not flip: %s", d.Name, cmp.Or(j.CannotFlip, "the sandbox lacks "+j.Lacks))
				still++
			}
			shown++
			t.Run(d.Name, func(t *testing.T) { j.check(t, d, c, table) })
		case len(lacking) > 0:
			t.Logf("%s is not joined: the sandbox lacks %s", d.Name, strings.Join(lacking, ", "))
		default:
			t.Errorf("%s has no estate in testdata/joined, though the sandbox serves what it reads", d.Name)
		}
	}
	t.Logf("%d of %d rules are joined, %d of them without a call that flips", shown, len(lib.Rules()), still)
}

// simulated are the operations that the sandbox serves, as service:Operation.
func simulated(t *testing.T, box *sandbox.Sandbox) map[string]bool {
	t.Helper()
	answer := httptest.NewRecorder()
	box.ServeHTTP(answer, httptest.NewRequest("GET", "http://localhost/_knowngood/operations", nil))
	var list []string
	if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || len(list) == 0 {
		t.Fatalf("%v: %s", err, answer.Body)
	}
	served := map[string]bool{}
	for _, name := range list {
		served[name] = true
	}
	return served
}

// lacks are the calls that reading for a rule makes and the sandbox doesn't serve.
func lacks(t *testing.T, d *rule.Definition, table *inventory.Table, served map[string]bool) []string {
	t.Helper()
	compiled, err := rule.Compile(d, anyParameters(d))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.NewSet([]rule.Active{{Name: d.Name, Rule: compiled}})
	if err != nil {
		t.Fatal(err)
	}
	lacking := map[string]bool{}
	for name, reads := range set.Reads() {
		typ, ok := table.Type(name)
		if !ok {
			t.Fatalf("%s reads %s, which the table does not have", d.Name, name)
		}
		for _, call := range typ.OperationsFor(reads) {
			if !served[call] {
				lacking[call] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(lacking))
}

// anyParameters gives the parameters of a rule that have no default and must be
// there a value that they take.
func anyParameters(d *rule.Definition) map[string]string {
	for _, t := range d.Tests {
		if _, err := rule.Compile(d, t.Parameters); err == nil {
			return t.Parameters
		}
	}
	return nil
}

// check makes the estate and looks at the verdicts.
func (j joined) check(t *testing.T, d *rule.Definition, c *awsapi.Catalog, table *inventory.Table) {
	t.Parallel()
	ctx := t.Context()
	clock := sandbox.NewClock(trialTime)
	box, err := sandbox.New(sandbox.Options{Catalog: c, Clock: clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := yaml.Marshal(map[string]any{"calls": j.Calls})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]any{}
	if len(j.Calls) > 0 {
		if names, err = box.LoadNamed(ctx, d.Name, raw); err != nil {
			t.Fatal(err)
		}
	}
	id, secret := box.Credentials()
	client := clientOf(t, box, c, id, secret)
	caller := client
	if j.Flip.Root {
		id, secret, err := box.RootCredentials(box.Account())
		if err != nil {
			t.Fatal(err)
		}
		caller, names["root"] = clientOf(t, box, c, id, secret), map[string]any{"AccessKeyId": id}
	}
	compiled, err := rule.Compile(d, j.parameters(t, names))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.NewSet([]rule.Active{{Name: d.Name, Rule: compiled}})
	if err != nil {
		t.Fatal(err)
	}
	collector := &inventory.Collector{Caller: client, Catalog: c, Table: table, Clock: clock, Reads: set.Reads()}
	verdicts := func() map[string]knowngood.Evaluation {
		types := slices.Sorted(maps.Keys(set.Reads()))
		items, unreadable, _ := collector.Collect(ctx, knowngood.Place{Partition: "aws", Account: box.Account(), Region: box.Region()}, types)
		for _, e := range unreadable {
			t.Errorf("could not be read: %v", e)
		}
		others, out := rule.Among(types, items, unreadable), map[string]knowngood.Evaluation{}
		for i := range items {
			for _, e := range set.Evaluate(&items[i], clock.Now(), others) {
				out[items[i].ID] = e
				if items[i].Name != "" && items[i].Name != items[i].ID {
					out[items[i].Name] = e
				}
			}
		}
		return out
	}
	seen, flipped := map[knowngood.Compliance]bool{}, false
	look := func(when string, want map[string]knowngood.Compliance) map[string]knowngood.Evaluation {
		got := verdicts()
		for name, w := range want {
			e, ok := got[resolved(t, name, names)]
			if !ok {
				t.Errorf("%s, %s has no verdict; there are %s", when, name, strings.Join(slices.Sorted(maps.Keys(got)), ", "))
			} else if e.Compliance != w {
				t.Errorf("%s, %s is %s (%s), want %s", when, name, e.Compliance, e.Annotation, w)
			}
			seen[w] = true
		}
		return got
	}
	before := look("before", j.Before)
	if j.Flip.Call == "" && j.CannotFlip+j.Lacks != "" {
		if !seen[knowngood.Compliant] || !seen[knowngood.NonCompliant] {
			t.Error("the estate must show COMPLIANT and NON_COMPLIANT")
		}
		return
	}
	j.flip(ctx, t, caller, c, names, clock)
	after := look("after", j.After)
	for id, e := range before {
		pair := [2]knowngood.Compliance{e.Compliance, after[id].Compliance}
		flipped = flipped || pair == [2]knowngood.Compliance{knowngood.Compliant, knowngood.NonCompliant} || pair == [2]knowngood.Compliance{knowngood.NonCompliant, knowngood.Compliant}
	}
	if !seen[knowngood.Compliant] || !seen[knowngood.NonCompliant] || !flipped {
		t.Errorf("the estate must show COMPLIANT and NON_COMPLIANT, and the call must turn one into the other")
	}
}

func clientOf(t *testing.T, box *sandbox.Sandbox, c *awsapi.Catalog, id, secret string) *awsapi.Client {
	t.Helper()
	client, err := awsapi.New(awsapi.Config{Catalog: c, Region: box.Region(), HTTPClient: awsapi.HandlerDoer(box), Credentials: awsapi.StaticCredentials(id, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// flip makes the one call.
func (j joined) flip(ctx context.Context, t *testing.T, client *awsapi.Client, c *awsapi.Catalog, names map[string]any, clock *sandbox.ManualClock) {
	t.Helper()
	service, operation, _ := strings.Cut(j.Flip.Call, ":")
	op, err := c.Operation(service, operation)
	if err != nil {
		t.Fatal(err)
	}
	in, err := sandbox.Resolve(j.Flip.Input, names)
	if err != nil {
		t.Fatal(err)
	}
	input, _ := in.(map[string]any)
	if input, err = op.Coerce(input); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call(ctx, service, operation, input); err != nil {
		t.Fatal(err)
	}
	wait, err := time.ParseDuration(cmp.Or(j.Flip.Wait, "1m"))
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(wait)
}

func (j joined) parameters(t *testing.T, names map[string]any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for k, v := range j.Parameters {
		out[k] = resolved(t, v, names)
	}
	return out
}

// resolved puts answers of calls into a text.
func resolved(t *testing.T, text string, names map[string]any) string {
	t.Helper()
	v, err := sandbox.Resolve(text, names)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(v)
}
