package remedy

import (
	"context"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// A script's request to a host that is not AWS's is a write of the plan, which can't
// be taken back. It is not sent while planning, and what it answers is not known.

// hosts are those that the plan's scripts may speak to.
func (e *exploration) hosts() []string {
	if len(e.req.Document.Scripts()) == 0 {
		return nil
	}
	return e.req.Entry.Hosts
}

// outside plans a request.
func (s *scriptCalls) outside(method string, in map[string]any) map[string]any {
	s.nth++
	mark := runbook.ScriptStep(s.step, s.nth)
	in, _ = unescaped(plain(in)).(map[string]any) // plain has made a copy
	address, _ := in["url"].(string)
	address = inURL.Replace(address)
	in["url"] = address
	template := toTemplate(in)
	s.incomplete("what %s %s answers the script %s is known only when it is run", method, printable(address), s.step)
	key := strings.Join([]string{s.w.part.name, mark, runbook.OutsideService, method, text(template)}, "\x00")
	if _, ok := s.ids[key]; !ok {
		s.lineage.writes++
		s.ids[key] = "w" + strconv.Itoa(s.lineage.writes)
		s.w.part.calls = append(s.w.part.calls, knowngood.Call{ID: s.ids[key], Step: s.step, Class: knowngood.Write, Service: runbook.OutsideService, Operation: method,
			Account: s.req.Place.Account, Region: s.req.Place.Region, Input: template, Assumed: s.assumed || hasPlaceholder(in), Effect: knowngood.Irreversible})
	}
	s.assumed = true
	return map[string]any{"status": int64(200), "header": map[string]any{"Content-Type": []any{"application/json"}}, "body": base64.StdEncoding.EncodeToString([]byte("{}"))}
}

// inURL undoes what a URL does to placeholders.
var inURL = strings.NewReplacer(url.PathEscape(refOpen), refOpen, url.PathEscape(refSplit), refSplit, url.PathEscape(refClose), refClose)

// printable is a text without what stands for values that only a run will bring.
func printable(s string) string {
	return strings.NewReplacer(refOpen, "(", refSplit, " ", refClose, ")").Replace(s)
}

// outside sends a request if the plan has it.
func (h *held) outside(ctx context.Context, method string, in map[string]any) (map[string]any, error) {
	step, _ := ctx.Value(stepKey{}).(string)
	h.mu.Lock()
	ids, err := h.replay.Allow(step, runbook.OutsideService, method, h.plan.Place.Account, h.plan.Place.Region, in)
	h.mu.Unlock()
	if err != nil {
		return nil, err
	}
	out, err := runbook.Send(ctx)
	if err == nil {
		h.answered(ids, out)
	}
	return out, err
}

// effects are those of a plan's run: its scripts may speak to the plan's hosts, and
// its webhooks are held to it.
func (x *Executor) effects(plan *knowngood.Plan, h *held) runbook.Effects {
	e := x.Effects
	if e.Webhooks != nil {
		e.Webhooks = heldWebhooks{e.Webhooks, h}
	}
	if e.Scripts != nil && len(plan.Hosts) > 0 {
		e.Scripts = allowing{e.Scripts, slices.Clone(plan.Hosts)}
	}
	return e
}

// allowing runs scripts that may speak to hosts.
type allowing struct {
	runbook.Scripts
	hosts []string
}

// RunScript implements runbook.Scripts.
func (a allowing) RunScript(ctx context.Context, r runbook.ScriptRequest) (runbook.ScriptResult, error) {
	r.Hosts = a.hosts
	return a.Scripts.RunScript(ctx, r)
}
