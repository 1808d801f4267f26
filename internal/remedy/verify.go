package remedy

import (
	"context"
	"time"

	"github.com/knowngood/knowngood"
)

// Reader reads a resource afresh. internal/inventory implements it.
type Reader interface {
	// Read gives the resource as it is now; it may be called again at any time.
	// Kind NotFound: it is gone. Kind Incomplete: it could not be read. What of it
	// could not be read is in the item's Unread.
	Read(ctx context.Context, key knowngood.ResourceKey) (*knowngood.Resource, error)
}

// Evaluator judges a resource by a rule that is in force.
type Evaluator interface {
	// Evaluate gives the verdict of a rule, by its name, on an item that was just
	// read. Other resources that the rule looks up are read afresh too; what of them
	// can't be read makes the verdict INSUFFICIENT_DATA. It may be called again at
	// any time. Kind Invalid: no such rule is in force.
	Evaluate(ctx context.Context, rule string, item *knowngood.Resource, now time.Time) (knowngood.Evaluation, error)
	// InForce says whether there is such a rule.
	InForce(rule string) bool
}

// Verification is what fresh reads said after a run.
type Verification struct {
	Verified bool                   `json:"verified"`
	Reason   string                 `json:"reason"`
	Verdicts []knowngood.Evaluation `json:"verdicts,omitempty"`
	// Left is the original, where a replacement took its place and it is still
	// there.
	Left *knowngood.Resource `json:"-"`
}

// Verifier finds out whether a run has done what it was for.
type Verifier struct {
	Reader    Reader
	Evaluator Evaluator
	Clock     knowngood.Clock
	// Consistency is how long a read may show the state before the run, and Poll
	// how often it is repeated meanwhile.
	Consistency, Poll time.Duration
}

// Verify reads a resource afresh and judges it by a rule again: it must be
// COMPLIANT. Where a replacement took its place, the replacement must be, and
// the original must not be NON_COMPLIANT any more; that it is gone, or
// NOT_APPLICABLE, is no pass of its own. Reads that are stale are repeated. The
// error is the context's, or that no such rule is in force.
func (v *Verifier) Verify(ctx context.Context, rule string, original knowngood.ResourceKey, replacement *knowngood.ResourceKey) (Verification, error) {
	for deadline := v.Clock.Now().Add(v.Consistency); ; {
		got, err := v.look(ctx, rule, original, replacement)
		if err != nil || got.Verified || !v.Clock.Now().Before(deadline) {
			return got, err
		}
		if err := v.Clock.Sleep(ctx, v.Poll); err != nil {
			return got, err
		}
	}
}

func (v *Verifier) look(ctx context.Context, rule string, original knowngood.ResourceKey, replacement *knowngood.ResourceKey) (Verification, error) {
	subject := original
	if replacement != nil {
		subject = *replacement
	}
	verdict, _, err := v.judge(ctx, rule, subject)
	if err != nil {
		return Verification{}, err
	}
	out := Verification{Verified: verdict.Compliance == knowngood.Compliant, Reason: reason(verdict), Verdicts: []knowngood.Evaluation{verdict}}
	if replacement == nil {
		return out, nil
	}
	verdict, item, err := v.judge(ctx, rule, original)
	if err != nil {
		return Verification{}, err
	}
	out.Verdicts, out.Left = append(out.Verdicts, verdict), item
	switch verdict.Compliance {
	case knowngood.NonCompliant, knowngood.InsufficientData:
		out.Verified, out.Reason = false, out.Reason+"; the original, "+reason(verdict)
	}
	return out, nil
}

// judge reads and evaluates one resource. What is gone is NOT_APPLICABLE, what
// can't be read INSUFFICIENT_DATA.
func (v *Verifier) judge(ctx context.Context, rule string, key knowngood.ResourceKey) (knowngood.Evaluation, *knowngood.Resource, error) {
	item, err := v.Reader.Read(ctx, key)
	now := v.Clock.Now()
	if err == nil {
		verdict, err := v.Evaluator.Evaluate(ctx, rule, item, now)
		if ctx.Err() != nil {
			return knowngood.Evaluation{}, nil, ctx.Err()
		}
		return verdict, item, err
	}
	if ctx.Err() != nil {
		return knowngood.Evaluation{}, nil, ctx.Err()
	}
	out := knowngood.Evaluation{Rule: rule, Resource: key, Compliance: knowngood.InsufficientData, Annotation: err.Error(), Time: now}
	if knowngood.KindOf(err) == knowngood.NotFound {
		out.Compliance, out.Annotation = knowngood.NotApplicable, "it is gone"
	}
	return out, nil, nil
}

func reason(e knowngood.Evaluation) string {
	s := e.Resource.ID + " is " + string(e.Compliance)
	if e.Annotation != "" {
		s += ": " + e.Annotation
	}
	return s
}
