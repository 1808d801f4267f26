package app

import (
	"context"
	"errors"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/script"
)

// scripts runs the scripts of runbooks, contained.
type scripts struct{ runner *script.Runner }

func newScripts(catalog *awsapi.Catalog) scripts {
	return scripts{script.New(script.Options{Catalog: catalog})}
}

// RunScript implements runbook.Scripts.
func (s scripts) RunScript(ctx context.Context, r runbook.ScriptRequest) (runbook.ScriptResult, error) {
	got, err := s.runner.Run(ctx, script.Request{
		Runtime: r.Runtime, Handler: r.Handler, Script: r.Script, Attachment: r.Attachment, Files: r.Files, Payload: r.Payload, TimeLimit: r.TimeLimit,
		Time: r.Time, Seed: r.Seed, Dry: r.Dry, Region: r.Place.Region, Caller: r.Caller,
	})
	out := runbook.ScriptResult{Payload: got.Payload, Log: got.Log}
	if u := (*script.Unavailable)(nil); errors.As(err, &u) {
		out.Error = &runbook.CallError{Code: runbook.CodeUnavailable, Message: u.Error()}
		return out, nil
	}
	if f := got.Failure; f != nil {
		out.Error = &runbook.CallError{Code: f.Class, Message: f.Message}
	}
	return out, err
}
