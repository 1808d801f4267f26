// Command bench measures a sweep of rules beside OPA embedded as a library, which
// evaluates the same rules in Rego on the same items: raw JSON in, verdicts out.
//
//	go run . [-rounds 5] [-slice 300ms]
//
// They take turns on one core and the processor time of each is counted, so what
// else the machine does isn't in the figures. Before that, they must have the same
// items comply with the same rules. The exit status is 1 if the sweep misses a bar.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/rule/rulebench"
)

// bars are how many times faster a sweep must be, by the number of rules that look
// at each item.
var bars = []struct {
	rules int
	times float64
}{{10, 25}, {100, 40}}

func main() {
	rounds := flag.Int("rounds", 5, "how often each one's turn comes")
	slice := flag.Duration("slice", 300*time.Millisecond, "processor time of a turn, at least")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	met := true
	for _, bar := range bars {
		ratio, err := compare(bar.rules, *rounds, *slice)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		verdict := "met"
		if ratio < bar.times {
			verdict, met = "MISSED", false
		}
		fmt.Printf("%d rules: %.0f times as fast as OPA, bar %.0f: %s\n", bar.rules, ratio, bar.times, verdict)
	}
	if !met {
		os.Exit(1)
	}
}

// compare gives how many times faster a sweep is.
func compare(n, rounds int, slice time.Duration) (float64, error) {
	rules, items := rulebench.Rules(n), rulebench.Items(1, 1000)
	set, err := rulebench.Set(rules)
	if err != nil {
		return 0, err
	}
	sweep := set.Sweep(rulebench.Now)
	opa, err := newOPA(rules)
	if err != nil {
		return 0, err
	}
	if err := agree(sweep, opa, items[:100]); err != nil {
		return 0, err
	}
	var ours, theirs []float64
	for range rounds {
		ours = append(ours, perSecond(slice, items, func(item []byte) error { _, err := sweep.JSON(item, nil); return err }))
		theirs = append(theirs, perSecond(slice, items, func(item []byte) error { _, err := opa.evaluate(item); return err }))
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	a, b := ours[rounds/2], theirs[rounds/2]
	fmt.Printf("%d rules: sweep %.0f items/s, OPA %.0f items/s, of processor time\n", n, a, b)
	return a / b, nil
}

// perSecond runs for a slice of processor time.
func perSecond(slice time.Duration, items [][]byte, run func([]byte) error) float64 {
	runtime.GC()
	start, done := cpu(), 0
	for {
		for range 20 {
			if err := run(items[done%len(items)]); err != nil {
				panic(err) // it ran before
			}
			done++
		}
		if used := cpu() - start; used >= slice {
			return float64(done) / used.Seconds()
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// opa is a prepared query for the set of rules that an item complies with.
type opa struct{ query rego.PreparedEvalQuery }

func newOPA(rules []rulebench.Rule) (*opa, error) {
	q, err := rego.New(rego.Query("data.bench.compliant"), rego.Module("bench.rego", rulebench.Rego(rules))).PrepareForEval(context.Background())
	return &opa{q}, err
}

func (o *opa) evaluate(item []byte) (map[string]bool, error) {
	v, err := ast.ValueFromReader(bytes.NewReader(item))
	if err != nil {
		return nil, err
	}
	results, err := o.query.Eval(context.Background(), rego.EvalParsedInput(v))
	if err != nil {
		return nil, err
	}
	names, _ := results[0].Expressions[0].Value.([]any)
	compliant := make(map[string]bool, len(names))
	for _, n := range names {
		compliant[fmt.Sprint(n)] = true
	}
	return compliant, nil
}

// agree holds both to find the same rules complied with.
func agree(sweep *rule.Sweep, o *opa, items [][]byte) error {
	for _, item := range items {
		verdicts, err := sweep.JSON(item, nil)
		if err != nil {
			return err
		}
		want := map[string]bool{}
		for _, v := range verdicts {
			if v.Compliance == knowngood.Compliant {
				want[v.Rule] = true
			}
		}
		got, err := o.evaluate(item)
		if err != nil {
			return err
		}
		if !maps.Equal(got, want) {
			var indented bytes.Buffer
			if err := json.Indent(&indented, item, "", " "); err != nil {
				return err
			}
			return fmt.Errorf("OPA has %s, a sweep %s, of %s", strings.Join(slices.Sorted(maps.Keys(got)), " "), strings.Join(slices.Sorted(maps.Keys(want)), " "), indented.String())
		}
	}
	return nil
}
