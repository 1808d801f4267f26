package remedy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gowebpki/jcs"

	"github.com/knowngood/knowngood"
)

// FleetVersion is the form of fleet plans that this version writes.
const FleetVersion = "knowngood.fleet/1"

// FleetPlan is one runbook for many targets: a plan for each, and how many run at
// once. Its rules are those of SSM Automation's rate control.
type FleetPlan struct {
	Version  string          `json:"version"`
	Runbook  string          `json:"runbook"`
	Place    knowngood.Place `json:"place"`
	Created  time.Time       `json:"created"`
	Targets  []FleetTarget   `json:"targets"`
	Excluded []FleetExcluded `json:"excluded"` // that could not be planned
	// MaxConcurrency is how many targets are worked on at once, as a number or a
	// percentage of the targets, as "10" or "10%".
	MaxConcurrency string `json:"maxConcurrency"`
	// MaxErrors is how many targets may fail before no more is begun, as a number or
	// a percentage of the targets: with "0" the first failure stops it.
	MaxErrors string `json:"maxErrors"`
	// Hash is SHA-256, in hex, over the RFC 8785 form of the rest.
	Hash string `json:"hash"`
}

// FleetTarget is one of a fleet's resources and its plan.
type FleetTarget struct {
	Resource knowngood.ResourceKey `json:"resource"`
	Plan     string                `json:"plan"` // the hash
	RunID    string                `json:"runId"`
	Finding  string                `json:"finding,omitempty"`
	Risk     knowngood.Effect      `json:"risk"`
	// Needs says why its plan needs an approval; empty: it does not.
	Needs []string `json:"needs,omitempty"`
}

// FleetExcluded is a resource for which there is no plan, and why.
type FleetExcluded struct {
	Resource knowngood.ResourceKey `json:"resource"`
	Reason   string                `json:"reason"`
}

// Limits of SSM's rate control ("Run automations at scale"): the standards where
// nothing is said, and how many targets there may be at once.
const (
	DefaultMaxConcurrency = "10"
	DefaultMaxErrors      = "0"
	mostConcurrent        = 500
)

// rate reads a number or a percentage. A percentage of the targets is rounded down,
// to least at least.
func rate(name, text string, targets, least int) (int, error) {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0 || !percent && n < least:
		return 0, knowngood.E(knowngood.Usage, "", "%s %q: expected a number from %d, or a percentage as 10%%", name, text, least)
	case percent && n > 100:
		return 0, knowngood.E(knowngood.Usage, "", "%s %q: expected at most 100%%", name, text)
	case percent:
		return max(least, targets*n/100), nil
	}
	return n, nil
}

// CheckRates says what is wrong in a fleet's rate control. Kind knowngood.Usage.
func CheckRates(maxConcurrency, maxErrors string) error {
	if _, err := rate("MaxConcurrency", maxConcurrency, 100, 1); err != nil {
		return err
	}
	_, err := rate("MaxErrors", maxErrors, 100, 0)
	return err
}

// EncodeFleet seals a fleet plan with its hash, and gives it as the bytes of a file.
func EncodeFleet(f *FleetPlan) ([]byte, error) {
	hash, err := hashFleet(*f)
	if err != nil {
		return nil, err
	}
	f.Hash = hash
	raw, err := json.MarshalIndent(f, "", "  ")
	return append(raw, '\n'), err
}

func hashFleet(f FleetPlan) (string, error) {
	f.Hash = ""
	raw, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	form, err := jcs.Transform(raw)
	sum := sha256.Sum256(form)
	return hex.EncodeToString(sum[:]), err
}

// IsFleet says whether a file is a fleet plan rather than the plan of one resource.
func IsFleet(raw []byte) bool {
	var head struct {
		Version string `json:"version"`
	}
	return json.Unmarshal(raw, &head) == nil && strings.HasPrefix(head.Version, "knowngood.fleet/")
}

// DecodeFleet reads a fleet plan and checks that it was not changed. Errors are of
// kind knowngood.Invalid or, where its hash does not fit, knowngood.Refused.
func DecodeFleet(file string, raw []byte) (*FleetPlan, error) {
	var f FleetPlan
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the fleet plan", Err: &knowngood.FileError{
			Position: knowngood.Position{File: file, Line: lineOf(raw, err, d)}, Problem: problemOf(err), Want: "a file as `knowngood run RUNBOOK --targets … --plan` writes it"}}
	}
	if f.Version != FleetVersion {
		return nil, knowngood.E(knowngood.Invalid, "read the fleet plan", "%s: its form is %q, expected %q", file, f.Version, FleetVersion)
	}
	if hash, err := hashFleet(f); err != nil || hash != f.Hash {
		return nil, knowngood.E(knowngood.Refused, "read the fleet plan", "%s: it was changed after it was made", file).WithHint("make it again")
	}
	return &f, nil
}

// PlanFleet makes a plan for each of the resources, with a number of them at once,
// by plan. A resource whose plan fails is excluded, with the reason; an error means
// that ctx ended.
func PlanFleet(ctx context.Context, resources []knowngood.ResourceKey, atOnce int, plan func(context.Context, knowngood.ResourceKey) (*knowngood.Plan, error), progress func(done int)) ([]FleetTarget, []FleetExcluded, error) {
	var (
		mu       sync.Mutex
		targets  []FleetTarget
		excluded []FleetExcluded
		done     int
	)
	each(len(resources), atOnce, func(i int) bool {
		key := resources[i]
		p, err := plan(ctx, key)
		if ctx.Err() != nil {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			excluded = append(excluded, FleetExcluded{key, err.Error()})
		} else {
			targets = append(targets, FleetTarget{Resource: p.Resource, Plan: p.Hash, RunID: p.RunID, Finding: p.Finding, Risk: p.Risk.Effect, Needs: NeedsApproval(p)})
		}
		done++
		if progress != nil {
			progress(done)
		}
		return true
	})
	order := func(a, b knowngood.ResourceKey) int { return cmp.Compare(a.String(), b.String()) }
	slices.SortFunc(targets, func(a, b FleetTarget) int { return order(a.Resource, b.Resource) })
	slices.SortFunc(excluded, func(a, b FleetExcluded) int { return order(a.Resource, b.Resource) })
	return targets, excluded, ctx.Err()
}

// each calls do for 0 to n-1, in order, atOnce at once, until it is false.
func each(n, atOnce int, do func(i int) bool) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, stopped := 0, false
	for range min(n, atOnce) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				over := stopped || i >= n
				mu.Unlock()
				if over {
					return
				}
				if !do(i) {
					mu.Lock()
					stopped = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
}

// FleetResult is how far a fleet has come.
type FleetResult struct {
	Succeeded int  `json:"succeeded"`
	Failed    int  `json:"failed"` // TimedOut, Cancelled, Unverified and refused ones among them
	Waiting   int  `json:"waiting"`
	NotBegun  int  `json:"notBegun"`
	Stopped   bool `json:"stopped"` // more failed than may
}

// ApplyFleet applies the plans of a fleet's targets in their order, as many at once
// as the fleet says, and begins no more once more have failed than may; those that
// are under way go on to their end. apply applies one plan, or goes on with its run;
// told, which may be nil, is told how each ended. What the runs' logs say is all the
// state that there is: to apply the fleet again goes on where it stopped.
func ApplyFleet(ctx context.Context, f *FleetPlan, apply func(context.Context, FleetTarget) (Result, error), told func(FleetTarget, Result, error)) (FleetResult, error) {
	atOnce, err := rate("MaxConcurrency", f.MaxConcurrency, len(f.Targets), 1)
	if err != nil {
		return FleetResult{}, err
	}
	mayFail, err := rate("MaxErrors", f.MaxErrors, len(f.Targets), 0)
	if err != nil {
		return FleetResult{}, err
	}
	var mu sync.Mutex
	out, begun := FleetResult{}, 0
	each(len(f.Targets), min(atOnce, mostConcurrent), func(i int) bool {
		if ctx.Err() != nil {
			return false
		}
		target := f.Targets[i]
		r, err := apply(ctx, target)
		mu.Lock()
		defer mu.Unlock()
		begun++
		switch {
		case err != nil && ctx.Err() != nil:
			return false // it goes on with the next ApplyFleet
		case err == nil && r.State == knowngood.RunSuccess:
			out.Succeeded++
		case err == nil && !r.State.Ended() || knowngood.KindOf(err) == knowngood.Waiting:
			out.Waiting++
		default:
			out.Failed++
		}
		if told != nil {
			told(target, r, err)
		}
		out.Stopped = out.Failed > mayFail
		return !out.Stopped
	})
	out.NotBegun = len(f.Targets) - begun
	if err := ctx.Err(); err != nil {
		return out, fmt.Errorf("the fleet is not done: %w", err)
	}
	return out, nil
}
