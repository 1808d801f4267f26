//go:build unix

package rule_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/rule/rulebench"
)

// bars are how many times faster a sweep must be than plain cel-go, by the number
// of rules that look at each item.
var bars = map[int]float64{10: 8, 100: 7}

// plain is cel-go as one would use it: the item by encoding/json, each rule's
// programs on it.
type plain struct {
	byType map[string][]plainRule
	now    time.Time
}

type plainRule struct {
	name                           string
	applies, compliant, annotation cel.Program
	params                         map[string]any
}

func newPlain(tb testing.TB, rules []rulebench.Rule) *plain {
	env, err := rule.Environment()
	if err != nil {
		tb.Fatal(err)
	}
	program := func(source string) cel.Program {
		if source == "" {
			return nil
		}
		checked, issues := env.Compile(source)
		if issues.Err() != nil {
			tb.Fatal(issues.Err())
		}
		p, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			tb.Fatal(err)
		}
		return p
	}
	p := &plain{byType: map[string][]plainRule{}, now: rulebench.Now}
	for _, r := range rules {
		compiled := plainRule{r.Name, program(r.Applies), program(r.Compliant), program(r.Annotation), r.Params}
		for _, t := range r.Types {
			p.byType[t] = append(p.byType[t], compiled)
		}
	}
	for _, list := range p.byType {
		slices.SortFunc(list, func(a, b plainRule) int { return strings.Compare(a.name, b.name) })
	}
	return p
}

// evaluate gives verdicts as a sweep does.
func (p *plain) evaluate(raw []byte, out []knowngood.Evaluation) ([]knowngood.Evaluation, error) {
	var item map[string]any
	if err := json.Unmarshal(raw, &item); err != nil {
		return nil, err
	}
	text := func(name string) string { s, _ := item[name].(string); return s }
	key := knowngood.ResourceKey{Account: text("accountId"), Region: text("awsRegion"), Type: text("resourceType"), ID: text("resourceId")}
	for _, r := range p.byType[key.Type] {
		vars := map[string]any{"resource": item, "params": r.params, "now": p.now}
		e := knowngood.Evaluation{Rule: r.name, Resource: key, Compliance: knowngood.InsufficientData, Time: p.now}
		if holds, err := evalBool(r.applies, vars); err == nil && !holds {
			e.Compliance = knowngood.NotApplicable
		} else if err == nil {
			holds, err := evalBool(r.compliant, vars)
			switch {
			case err == nil && holds:
				e.Compliance = knowngood.Compliant
			case err == nil:
				e.Compliance = knowngood.NonCompliant
				if r.annotation != nil {
					if v, _, err := r.annotation.Eval(vars); err == nil {
						e.Annotation, _ = v.Value().(string)
					}
				}
			}
		}
		out = append(out, e)
	}
	return out, nil
}

func evalBool(p cel.Program, vars map[string]any) (bool, error) {
	if p == nil {
		return true, nil
	}
	v, _, err := p.Eval(vars)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("no boolean")
	}
	return b, nil
}

func sweepOf(tb testing.TB, rules int) *rule.Sweep {
	set, err := rulebench.Set(rulebench.Rules(rules))
	if err != nil {
		tb.Fatal(err)
	}
	return set.Sweep(rulebench.Now)
}

// TestBenchmarksCompareTheSame holds what is measured to give the same verdicts,
// each of them often enough.
func TestBenchmarksCompareTheSame(t *testing.T) {
	items := rulebench.Items(1, 500)
	total := 0
	for _, item := range items {
		total += len(item)
	}
	if mean := total / len(items); mean < 2360 || mean > 2560 {
		t.Errorf("items have %d bytes on average, want 2.4 KiB", mean)
	}
	for rules := range bars {
		w, p := sweepOf(t, rules), newPlain(t, rulebench.Rules(rules))
		verdicts := map[knowngood.Compliance]int{}
		for _, item := range items {
			got, err := w.JSON(item, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := p.evaluate(item, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != rules || len(want) != rules {
				t.Fatalf("%d and %d verdicts, want %d", len(got), len(want), rules)
			}
			for i := range got {
				if got[i].Annotation == "It is not as it should be: "+got[i].Rule { // plain cel-go has no title
					got[i].Annotation = ""
				}
				if got[i] != want[i] {
					t.Fatalf("%+v, cel-go has %+v, of %s", got[i], want[i], item)
				}
				verdicts[got[i].Compliance]++
			}
		}
		if verdicts[knowngood.Compliant] < 100*rules || verdicts[knowngood.NonCompliant] < 50*rules {
			t.Errorf("with %d rules: %v", rules, verdicts)
		}
	}
}

func TestSweepAllocatesLittle(t *testing.T) {
	w, items := sweepOf(t, 10), rulebench.Items(1, 500)
	all := func() {
		for _, item := range items {
			if _, err := w.JSON(item, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := testing.AllocsPerRun(5, all) / float64(len(items)); n > 2 {
		t.Errorf("%.2f allocations an item, want 2 at most", n)
	}
}

// cpu is the processor time that this process has had: what else the machine does
// isn't in it.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkSweep(b *testing.B) {
	items := rulebench.Items(1, 1000)
	for _, rules := range []int{10, 100} {
		b.Run(fmt.Sprintf("%d", rules), func(b *testing.B) {
			w := sweepOf(b, rules)
			b.ReportAllocs()
			i, start := 0, cpu(b)
			for b.Loop() {
				if _, err := w.JSON(items[i%len(items)], nil); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.N)/(cpu(b)-start).Seconds(), "items/cpu-s")
		})
	}
}

// BenchmarkSweepOfResources is of items as the inventory has them.
func BenchmarkSweepOfResources(b *testing.B) {
	var resources []*knowngood.Resource
	for _, raw := range rulebench.Items(1, 1000) {
		resources = append(resources, resourceOf(b, raw))
	}
	w := sweepOf(b, 10)
	b.ReportAllocs()
	i, start := 0, cpu(b)
	for b.Loop() {
		w.Resource(resources[i%len(resources)], nil)
		i++
	}
	b.ReportMetric(float64(b.N)/(cpu(b)-start).Seconds(), "items/cpu-s")
}

func resourceOf(tb testing.TB, raw []byte) *knowngood.Resource {
	var d document.Document
	if err := d.Parse(raw, nil); err != nil {
		tb.Fatal(err)
	}
	r := &knowngood.Resource{}
	if err := json.Unmarshal(raw, r); err != nil {
		tb.Fatal(err)
	}
	r.Configuration, _ = d.Value(d.Member(d.Root(), "configuration")).(map[string]any)
	r.Supplementary, _ = d.Value(d.Member(d.Root(), "supplementaryConfiguration")).(map[string]any)
	return r
}

// BenchmarkAgainstCEL takes turns with plain cel-go and says how many times faster
// a sweep is.
func BenchmarkAgainstCEL(b *testing.B) {
	items := rulebench.Items(1, 1000)
	for _, rules := range []int{10, 100} {
		b.Run(fmt.Sprintf("%d", rules), func(b *testing.B) {
			w, p := sweepOf(b, rules), newPlain(b, rulebench.Rules(rules))
			var ours, theirs time.Duration
			var buffer []knowngood.Evaluation
			for b.Loop() {
				start := cpu(b)
				for _, item := range items {
					if _, err := w.JSON(item, nil); err != nil {
						b.Fatal(err)
					}
				}
				middle := cpu(b)
				for _, item := range items {
					var err error
					if buffer, err = p.evaluate(item, buffer[:0]); err != nil {
						b.Fatal(err)
					}
				}
				ours += middle - start
				theirs += cpu(b) - middle
			}
			ratio := float64(theirs) / float64(ours)
			b.ReportMetric(ratio, "x-cel-go")
			b.ReportMetric(float64(b.N*len(items))/ours.Seconds(), "items/cpu-s")
			b.ReportMetric(float64(b.N*len(items))/theirs.Seconds(), "cel-items/cpu-s")
			if ratio < bars[rules] {
				b.Errorf("%.1f times as fast as cel-go, want %.0f", ratio, bars[rules])
			}
		})
	}
}
