package app

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// publicCorpus names a folder of public runbooks, which are not in the repository:
// in it, a folder for each project that they come from.
const publicCorpus = "KNOWNGOOD_RUNBOOK_CORPUS"

// publicDocument is what became of a public runbook.
type publicDocument struct {
	name    string
	trials  int
	lacks   []string // calls that it may make and the sandbox doesn't know
	holes   []string // why its plans are incomplete
	refused string   // why it is never run
	failed  bool
}

// TestPublicRunbooksRunToTheirEnd carries out the trials of public runbooks that are
// in testdata/public, in the form of users' tests, one file for each document. A
// document without one must make calls that the sandbox lacks; these are named, so
// that nothing is left out in silence.
func TestPublicRunbooksRunToTheirEnd(t *testing.T) {
	corpus := os.Getenv(publicCorpus)
	if corpus == "" {
		t.Skipf("%s names no folder of runbooks", publicCorpus)
	}
	projects, err := os.ReadDir("testdata/public")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range projects {
		t.Run(p.Name(), func(t *testing.T) {
			publicProject(t, filepath.Join(corpus, p.Name()), filepath.Join("testdata/public", p.Name()))
		})
	}
}

func publicProject(t *testing.T, documents, trials string) {
	// The documents and what the trials need lie in one folder, so that a trial
	// names both as a user's would.
	dir := t.TempDir()
	for _, from := range []string{documents, trials} {
		if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
		found, err := filepath.Glob(filepath.Join(documents, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("%s has no runbooks", documents)
	}
	var (
		mu      sync.Mutex
		results []*publicDocument
		tried   = map[string]bool{}
	)
	t.Run("documents", func(t *testing.T) {
		for _, file := range files {
			name := filepath.Base(file)
			trial := strings.TrimSuffix(name, filepath.Ext(name)) + ".test.yaml"
			tried[trial] = true
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := &publicDocument{name: name, lacks: lacking(t, c, file, dir)}
				defer func() {
					d.failed = t.Failed()
					mu.Lock()
					defer mu.Unlock()
					results = append(results, d)
				}()
				publicTrials(t, d, filepath.Join(dir, trial))
			})
		}
	})
	ours, err := filepath.Glob(filepath.Join(trials, "*.test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range ours {
		if !tried[filepath.Base(file)] {
			t.Errorf("%s is of no document in %s", file, documents)
		}
	}
	tabulate(t, results)
}

// publicTrials carries out the trials of one document.
func publicTrials(t *testing.T, d *publicDocument, file string) {
	f, err := readTrials(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(d.lacks) > 0:
		return
	case errors.Is(err, fs.ErrNotExist):
		t.Fatal("it has no trial, and the sandbox knows all of its calls")
	case err != nil:
		t.Fatal(err)
	}
	for _, trial := range f.Tests {
		switch ends := trial.Then; {
		case ends.Writes == nil:
			t.Errorf("%s: it must ask for the writes", trial.Name)
		case ends.Error != "":
			d.refused = ends.Error
		case ends.Run == "" || len(ends.State) == 0:
			t.Errorf("%s: it must ask for the run's end and the state", trial.Name)
		}
		s := trial.stage(f.dir)
		wrong, err := s.perform(t.Context(), t.TempDir())
		if err != nil {
			t.Fatalf("%s: %v", trial.Name, err)
		}
		for _, w := range wrong {
			t.Errorf("%s: %s", trial.Name, w)
		}
		d.trials++
		if s.plan == nil {
			continue
		}
		for _, w := range beyond(s.plan, s) {
			t.Errorf("%s: %s is not in the plan", trial.Name, w)
		}
		for _, why := range s.plan.Incomplete {
			if !slices.Contains(d.holes, why) {
				d.holes = append(d.holes, why)
			}
		}
	}
}

// beyond gives the writes that were made and are in no part of the plan, of which a
// loop may repeat any.
func beyond(plan *knowngood.Plan, s *stage) (out []string) {
	planned := map[string]bool{}
	writesOf(plan, planned)
	for _, c := range s.box.Calls()[s.began:] {
		name := c.Service + ":" + c.Operation
		if op, err := s.ses.catalog.Operation(c.Service, c.Operation); err == nil && op.ClassOf(c.Input) == awsapi.Write && !planned[name] {
			out = append(out, name)
		}
	}
	return out
}

// writesOf collects the writes of a plan and of the automations that it starts.
func writesOf(plan *knowngood.Plan, into map[string]bool) {
	for _, part := range plan.Parts {
		for _, c := range part.Calls {
			if c.Class == knowngood.Write {
				into[c.Service+":"+c.Operation] = true
			}
		}
	}
	for i := range plan.Children {
		writesOf(&plan.Children[i], into)
	}
}

func tabulate(t *testing.T, results []*publicDocument) {
	slices.SortFunc(results, func(a, b *publicDocument) int { return cmp.Compare(a.name, b.name) })
	var text strings.Builder
	ended, complete, refused, missing := 0, 0, 0, map[string]int{}
	for _, d := range results {
		what := "runs to the expected end"
		switch {
		case d.failed:
			what = "FAILS"
		case d.trials == 0:
			what = "has no trial: the sandbox lacks " + strings.Join(d.lacks, ", ")
			for _, call := range d.lacks {
				missing[call]++
			}
		case d.refused != "":
			refused++
			what = "is refused: " + d.refused
		default:
			ended++
			if len(d.holes) == 0 {
				complete++
			} else {
				what += "; its plan is incomplete: " + strings.Join(d.holes, "; ")
			}
		}
		fmt.Fprintf(&text, "  %-60s %s\n", d.name, what)
	}
	t.Logf("%d documents, %d run to the expected end, %d of them by a plan without a gap; %d are refused\n%s", len(results), ended, complete, refused, &text)
	calls := slices.SortedFunc(func(yield func(string) bool) {
		for call := range missing {
			if !yield(call) {
				return
			}
		}
	}, func(a, b string) int { return cmp.Or(missing[b]-missing[a], strings.Compare(a, b)) })
	for i, call := range calls {
		calls[i] = fmt.Sprintf("%s (%d)", call, missing[call])
	}
	t.Logf("calls that the sandbox lacks, by the documents that make them: %s", strings.Join(calls, ", "))
}

// lacking gives what a document does that the sandbox can't: calls, as
// service:Operation, and the documents that it executes and that are not beside it. What its scripts call is taken from their
// text: the services and the methods that it names.
func lacking(t *testing.T, c *awsapi.Catalog, file, beside string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := runbook.Parse(file, raw)
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, call := range d.Calls(c) {
		calls = append(calls, call.Operation.Service.Name+":"+call.Operation.Name)
	}
	var tree any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	for _, script := range scriptsIn(tree) {
		calls = append(calls, scriptCalls(t, c, script)...)
	}
	for _, name := range executedIn(tree) {
		if _, err := os.Stat(filepath.Join(beside, name+".yaml")); err != nil {
			out = append(out, "the document "+name)
		}
	}
	slices.Sort(calls)
	simulated := sandbox.Simulated()
	for _, call := range slices.Compact(calls) {
		if !slices.Contains(simulated, call) {
			out = append(out, call)
		}
	}
	return out
}

// executedIn gives the names of the documents that a document executes.
func executedIn(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		if inputs, ok := v["inputs"].(map[string]any); ok && v["action"] == "aws:executeAutomation" {
			if name, ok := inputs["DocumentName"].(string); ok {
				out = append(out, name)
			}
		}
		for _, e := range v {
			out = append(out, executedIn(e)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, executedIn(e)...)
		}
	}
	return out
}

// scriptsIn gives the texts of a document's scripts.
func scriptsIn(v any) (out []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if text, ok := e.(string); ok && k == "Script" {
				out = append(out, text)
			}
			out = append(out, scriptsIn(e)...)
		}
	case []any:
		for _, e := range v {
			out = append(out, scriptsIn(e)...)
		}
	}
	return out
}

var (
	quotedName = regexp.MustCompile(`['"]([A-Za-z0-9_-]+)['"]`)
	methodName = regexp.MustCompile(`\.([a-z][a-z0-9_]+)\(`)
)

// scriptCalls gives the operations that a script of boto3's may call: those that it
// names, as methods or to a paginator, of the services that it names.
func scriptCalls(t *testing.T, c *awsapi.Catalog, script string) (out []string) {
	t.Helper()
	var services []string
	methods := map[string]bool{}
	for _, m := range quotedName.FindAllStringSubmatch(script, -1) {
		if slices.Contains(c.Services(), m[1]) && !slices.Contains(services, m[1]) {
			services = append(services, m[1])
		}
		methods[m[1]] = true
	}
	for _, m := range methodName.FindAllStringSubmatch(script, -1) {
		methods[m[1]] = true
	}
	for _, name := range services {
		service, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for method := range methods {
			for _, op := range service.Operations() {
				if strings.EqualFold(strings.ReplaceAll(method, "_", ""), op) {
					out = append(out, name+":"+op)
				}
			}
		}
	}
	return out
}
