package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// trialEvent is what brings an event about: a call that AWS makes one of, or the
// event itself in EventBridge's envelope.
type trialEvent struct {
	Call  string         `yaml:"call"`
	Input map[string]any `yaml:"input"`
	As    string         `yaml:"as"`

	Version    string         `yaml:"version"`
	ID         string         `yaml:"id"`
	DetailType string         `yaml:"detail-type"`
	Source     string         `yaml:"source"`
	Account    string         `yaml:"account"`
	Time       time.Time      `yaml:"time"`
	Region     string         `yaml:"region"`
	Resources  []string       `yaml:"resources"`
	Detail     map[string]any `yaml:"detail"`
}

// problem says why no event can come of it, or "". items: the test has no estate.
func (e *trialEvent) problem(items bool) string {
	enveloped := e.Source != "" || e.DetailType != "" || e.Detail != nil
	switch {
	case enveloped == (e.Call != ""):
		return "an event is either a call or an envelope (source, detail-type, detail)"
	case enveloped && (e.Source == "" || e.DetailType == "" || e.Detail == nil):
		return "an event's envelope has a source, a detail-type and a detail"
	case e.Call != "" && items:
		return "items stand in place of an estate, so that no call can be made an event of"
	}
	return ""
}

// event lets an event come about on the sandbox's bus, reads anew what the rules
// look at, and judges the resources that the event names, whatever it says of
// them: it is a hint only. Their findings are brought in line; no other is.
func (s *stage) event(ctx context.Context, e *trialEvent) error {
	s.events = nil
	if err := s.bring(ctx, e); err != nil {
		return err
	}
	named := namesIn(s.events)
	s.report = &scanReport{Started: s.clock.Now()}
	if len(s.Given.Items) > 0 {
		items, err := s.items()
		if err != nil {
			return err
		}
		s.judge(items, nil, named.has)
		return nil
	}
	read, err := s.ses.readAll(ctx, s.everywhere, reading{at: estate{regions: []string{s.ses.place.Region}}}, &scanReport{})
	if err != nil {
		return err
	}
	bench, err := s.ses.newBench(ctx, s.everywhere, read)
	if err != nil {
		return err
	}
	verdicts, absent := s.judge(read.items, read.unread, named.has), read.absent(bench)
	_, err = s.ses.findings().Reconcile(ctx, finding.Scan{Verdicts: verdicts, Began: s.report.Started, Absent: func(rule string, k knowngood.ResourceKey) string {
		if !named[k.ID] {
			return ""
		}
		return absent(rule, k)
	}})
	return errors.Join(ctx.Err(), err)
}

// bring makes the event's call, or puts the event on the bus.
func (s *stage) bring(ctx context.Context, e *trialEvent) error {
	if e.Call == "" {
		detail, err := s.input(e.Detail)
		if err != nil {
			return err
		}
		out := sandbox.Event{ID: e.ID, DetailType: e.DetailType, Source: e.Source, Account: e.Account, Time: e.Time, Region: e.Region, Detail: detail}
		for _, r := range e.Resources {
			text, err := s.text(r)
			if err != nil {
				return err
			}
			out.Resources = append(out.Resources, text)
		}
		_, err = s.box.AddEvent(out)
		return err
	}
	out, err := s.call(ctx, e.Call, e.Input)
	if err != nil {
		return err
	}
	if e.As != "" {
		s.answers[e.As] = out
	}
	if len(s.events) == 0 {
		return knowngood.E(knowngood.Other, "event", "no event came of %s", e.Call).
			WithHint("calls that change something are events where a trail logs them; given.calls can make one, with cloudtrail:CreateTrail and StartLogging")
	}
	return nil
}

// names are what an event says: ids, ARNs and names of resources among it.
type names map[string]bool

// namesIn gathers all texts of events but those of the envelope, which are the
// same in each.
func namesIn(events []sandbox.Event) names {
	out := names{}
	var gather func(any)
	gather = func(v any) {
		switch v := v.(type) {
		case string:
			out[v] = true
		case []any:
			for _, e := range v {
				gather(e)
			}
		case map[string]any:
			for _, e := range v {
				gather(e)
			}
		}
	}
	for _, e := range events {
		for _, r := range e.Resources {
			out[r] = true
		}
		gather(e.Detail)
	}
	return out
}

func (n names) has(r *knowngood.Resource) bool {
	return n[r.ID] || r.ARN != "" && n[r.ARN] || r.Name != "" && n[r.Name]
}

// heard keeps what comes about on the sandbox's buses.
func (s *stage) heard(raw []byte) {
	var e sandbox.Event
	if json.Unmarshal(raw, &e) == nil {
		s.events = append(s.events, e)
	}
}
