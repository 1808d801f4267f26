package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jmespath "github.com/jmespath-community/go-jmespath"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// check gives everything that is not as it must be.
func (s *stage) check(ctx context.Context) (wrong []string, err error) {
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	want := s.Then
	if want.Error != "" && (s.failed == nil || !strings.Contains(s.failed.Error(), want.Error)) {
		add("the last step's error is %v, want one with %q", s.failed, want.Error)
	}
	if want.Run != "" {
		switch {
		case s.result == nil:
			add("nothing was run, want a run that ends as %s", want.Run)
		case s.result.State != want.Run:
			add("the run ended as %s (%s), want %s", s.result.State, s.result.Message, want.Run)
		}
	}
	for _, e := range want.Evaluations {
		id, err := s.text(e.Resource)
		if err != nil {
			return nil, err
		}
		if problem := s.evaluated(e.Rule, id, e.Compliance, e.Annotation); problem != "" {
			add("%s", problem)
		}
	}
	all, err := s.ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range want.Findings {
		id, err := s.text(f.Resource)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(have knowngood.Finding) bool {
			return have.Rule == f.Rule && (have.Resource.ID == id || have.MovedFrom != nil && have.MovedFrom.ID == id)
		})
		switch {
		case i < 0:
			add("%s has no finding on %s", f.Rule, id)
		case all[i].State != f.State:
			add("the finding of %s on %s is %s (%s), want %s", f.Rule, id, all[i].State, all[i].Reason, f.State)
		}
	}
	if want.Open != nil {
		open := slices.DeleteFunc(slices.Clone(all), func(f knowngood.Finding) bool { return f.State.Ended() })
		if len(open) != *want.Open {
			add("%d findings are not closed, want %d", len(open), *want.Open)
		}
	}
	s.checkCalls(add)
	if why := s.webhooks.differ(want.Webhooks); why != "" {
		add("%s", why)
	}
	return wrong, s.checkState(ctx, add)
}

func (s *stage) evaluated(rule, id string, want knowngood.Compliance, annotation string) string {
	if s.report == nil {
		return "there was no scan to evaluate " + id
	}
	for _, e := range s.report.Evaluations {
		if e.Rule != rule || e.Resource.ID != id {
			continue
		}
		if e.Compliance != want {
			return fmt.Sprintf("%s on %s is %s (%s), want %s", rule, id, e.Compliance, e.Annotation, want)
		}
		if !strings.Contains(e.Annotation, annotation) {
			return fmt.Sprintf("%s on %s has the annotation %q, want one with %q", rule, id, e.Annotation, annotation)
		}
		return ""
	}
	return fmt.Sprintf("%s was not evaluated on %s", rule, id)
}

func (s *stage) checkCalls(add func(string, ...any)) {
	made := map[string]bool{}
	writes := []string{}
	for _, c := range s.box.Calls()[s.began:] {
		name := c.Service + ":" + c.Operation
		made[name] = true
		if op, err := s.ses.catalog.Operation(c.Service, c.Operation); err == nil && op.Class() == awsapi.Write {
			writes = append(writes, name)
		}
	}
	for _, name := range s.Then.Made {
		if !made[name] {
			add("%s was not called", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Then.Invoked)) {
		if n := s.box.FunctionRuns(name) - s.ran[name]; n != s.Then.Invoked[name] {
			add("the function %s was run %d times, want %d", name, n, s.Then.Invoked[name])
		}
	}
	for _, name := range s.Then.Never {
		if made[name] {
			add("%s was called", name)
		}
	}
	if s.Then.Writes != nil && !slices.Equal(s.Then.Writes, writes) {
		add("the writes were\n      %s\n    want\n      %s", strings.Join(writes, "\n      "), strings.Join(s.Then.Writes, "\n      "))
	}
}

// checkState looks at the estate as it is in the end.
func (s *stage) checkState(ctx context.Context, add func(string, ...any)) error {
	s.box.SetStale(0)
	for _, q := range s.Then.State {
		out, err := s.call(ctx, q.Call, q.Input)
		var refused *awsapi.Error
		switch {
		case q.Fails == "":
		case err == nil:
			add("%s succeeds, want %s", q.Call, q.Fails)
			continue
		case errors.As(err, &refused) && refused.Code == q.Fails:
			continue
		}
		if err != nil {
			add("%s: %v", q.Call, err)
			continue
		}
		have, err := jmespath.Search(q.Find, jsonValue(out))
		if err != nil {
			return knowngood.E(knowngood.Invalid, "test "+s.Name, "find %q: %w", q.Find, err)
		}
		want, err := sandbox.Resolve(q.Is, s.answers)
		if err != nil {
			return err
		}
		if h, w := jsonText(have), jsonText(want); h != w {
			add("%s, %s: %s, want %s", q.Call, q.Find, h, w)
		}
	}
	return nil
}

// jsonValue is a value as JMESPath knows them.
func jsonValue(v any) any {
	p, err := printable(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal([]byte(jsonText(p)), &out) != nil {
		return nil
	}
	return out
}

func jsonText(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
