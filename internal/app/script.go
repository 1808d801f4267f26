package app

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/script"
)

// scripts runs the scripts of runbooks, contained unless the settings allow it
// otherwise.
type scripts struct {
	runner *script.Runner
	client *http.Client // to hosts that are not AWS's
}

// newScripts makes what runs scripts; warn is told each time that one runs without
// containment.
func newScripts(catalog *awsapi.Catalog, s settings, warn func(string)) scripts {
	return scripts{script.New(script.Options{Catalog: catalog, Uncontained: s.Scripts == scriptsUncontained, Warn: warn}), newOutsideClient()}
}

// RunScript implements runbook.Scripts.
func (s scripts) RunScript(ctx context.Context, r runbook.ScriptRequest) (runbook.ScriptResult, error) {
	got, err := s.runner.Run(ctx, script.Request{
		Runtime: r.Runtime, Handler: r.Handler, Script: r.Script, Attachment: r.Attachment, Files: r.Files, Payload: r.Payload, Context: r.Context, TimeLimit: r.TimeLimit,
		Time: r.Time, Seed: r.Seed, Dry: r.Dry, Region: r.Place.Region, Caller: r.Caller, Hosts: r.Hosts, Outside: s.outside(r),
	})
	out := runbook.ScriptResult{Payload: got.Payload, Log: got.Log}
	if u := (*script.Unavailable)(nil); errors.As(err, &u) {
		out.Error = &runbook.CallError{Code: runbook.CodeUnavailable, Message: u.Error()}
		return out, nil
	}
	if f := got.Failure; f != nil {
		out.Error = &runbook.CallError{Code: f.Class, Message: f.Message}
		if lacking := s.runner.Lacks(ctx, r.Runtime, r.Script); f.Class == "ModuleNotFoundError" && lacking != nil {
			out.Error = &runbook.CallError{Code: runbook.CodeUnavailable, Message: lacking.Error()}
		}
	}
	return out, err
}

// lacks says of each script of a document that would not run here what is missing.
func (s scripts) lacks(ctx context.Context, d *runbook.Document) []lack {
	var out []lack
	for _, source := range d.Scripts() {
		if err := s.runner.Lacks(ctx, source.Runtime, source.Script); err != nil {
			out = append(out, lack{source, strings.ReplaceAll(err.Error(), "\n", "; ")})
		}
	}
	return out
}

// lack is a script, and what is missing for it.
type lack struct {
	runbook.ScriptSource
	why string
}
