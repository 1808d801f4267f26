package remedy

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Pace says of a group's runs how it goes on: how many more to begin now, and whether
// no more are begun at all because more have failed than may, or all have begun. A
// group begins as Systems Manager does: with one; where that has ended with two, then
// with twice as many each time, up to MaxConcurrency.
// Source: Systems Manager's user guide, "Control automations at scale".
func Pace(g knowngood.PlanGroup, targets, begun, ended, failed int) (more int, over bool, err error) {
	atOnce, err := rate("MaxConcurrency", g.MaxConcurrency, targets, 1)
	if err != nil {
		return 0, true, err
	}
	mayFail, err := rate("MaxErrors", g.MaxErrors, targets, 0)
	if err != nil {
		return 0, true, err
	}
	if failed > mayFail || begun == targets {
		return 0, true, nil
	}
	atOnce = min(atOnce, mostConcurrent, 1<<(bits.Len(uint(ended+1))-1))
	return min(targets-begun, max(0, atOnce-(begun-ended))), false, nil
}

// members is how the runs of a group stand.
type members struct {
	runs                 map[string]knowngood.Run
	begun, ended, failed int
	why                  []string // of failures
}

func (r *Remediator) members(ctx context.Context, plan *knowngood.Plan) (*members, error) {
	runs, err := r.Family.Runs(ctx, knowngood.RunQuery{Parent: plan.RunID})
	if err != nil {
		return nil, err
	}
	m := &members{runs: map[string]knowngood.Run{}, begun: len(runs)}
	for _, run := range runs {
		m.runs[run.ID] = run
	}
	for i := range plan.Children {
		run, ok := m.runs[ChildRunID(plan.RunID, nthOf(i), 1)]
		if !ok || !run.State.Ended() {
			continue
		}
		m.ended++
		if run.State != knowngood.RunSuccess {
			m.failed++
			m.why = append(m.why, fmt.Sprintf("%s %s: %s", run.ID, run.State, run.Message))
		}
	}
	return m, nil
}

// told is the group's state in words.
func (m *members) told(all int) string {
	text := fmt.Sprintf("%d of %d succeeded", m.ended-m.failed, all)
	if m.failed > 0 {
		text += fmt.Sprintf(", %d failed", m.failed)
	}
	if under := m.begun - m.ended; under > 0 {
		text += fmt.Sprintf(", %d under way", under)
	}
	if left := all - m.begun; left > 0 {
		text += fmt.Sprintf(", %d not begun", left)
	}
	return text
}

// group carries out the run of a group. What its members' rows say is all the state
// that there is: after a crash it goes on with them.
func (r *Remediator) group(ctx context.Context, plan *knowngood.Plan, epoch int64) (Result, error) {
	crew := &crew{r: r, done: make(chan outcome), driven: map[string]bool{}}
	running, stop := context.WithCancel(ctx)
	defer crew.wait()
	defer stop()
	asked := r.cancelled(running, plan.RunID)
	for {
		log, err := r.Log.Entries(ctx, plan.RunID)
		if err != nil {
			return Result{}, err
		}
		cancel := slices.ContainsFunc(log, func(e knowngood.LogEntry) bool { return e.Kind == knowngood.EntryCancel })
		m, err := r.members(ctx, plan)
		if err != nil {
			return Result{}, err
		}
		more, over, err := Pace(*plan.Group, len(plan.Children), m.begun, m.ended, m.failed)
		if err != nil {
			return Result{}, err
		}
		switch {
		case cancel:
			over, asked = true, nil
			for id, run := range m.runs {
				if !run.State.Ended() {
					if err := r.stop(ctx, id, "by the run "+plan.RunID+" that started it"); err != nil {
						return Result{}, err
					}
				}
			}
		case more > 0:
			if err := r.beginMembers(ctx, plan, m, more); err != nil {
				return Result{}, err
			}
			continue
		}
		if over && m.begun == m.ended {
			return r.groupEnded(ctx, plan, epoch, log, m, cancel)
		}
		result := Result{RunID: plan.RunID, State: knowngood.RunWaiting, Message: m.told(len(plan.Children))}
		if err := r.logGroup(ctx, plan, epoch, log, nil, result.State, result.Message); err != nil {
			return Result{}, err
		}
		if r.Patience > 0 || !crew.drive(running, m) {
			return result, nil
		}
		select {
		case o := <-crew.done:
			if crew.under--; o.err != nil {
				return Result{}, o.err
			}
		case <-asked:
		}
	}
}

// beginMembers begins the next of a group's runs. One that can't be begun has failed.
func (r *Remediator) beginMembers(ctx context.Context, plan *knowngood.Plan, m *members, more int) error {
	for i := range plan.Children {
		id := ChildRunID(plan.RunID, nthOf(i), 1)
		if _, there := m.runs[id]; there || more == 0 {
			continue
		}
		more--
		err := r.begin(ctx, plan, &plan.Children[i], nthOf(i), id, nil)
		if knowngood.KindOf(err) == knowngood.Conflict || knowngood.KindOf(err) == knowngood.Invalid {
			err = r.stillborn(ctx, plan, id, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stillborn makes the run of a member that can't be begun: another run has its
// resource.
func (r *Remediator) stillborn(ctx context.Context, plan *knowngood.Plan, id string, why error) error {
	now := r.Clock.Now()
	epoch, err := r.Runs.StartRun(ctx, knowngood.Run{ID: id, PlanHash: plan.Hash, Document: plan.Document.SHA256, Resource: own(plan.Place, id), Parent: plan.RunID, State: knowngood.RunPending, Created: now, Updated: now}, r.Owner, now, leaseTime)
	if err != nil {
		return err
	}
	return r.Log.Append(ctx, id, epoch, nil, knowngood.RunFailed, why.Error(), nil)
}

// groupEnded ends a group's run.
func (r *Remediator) groupEnded(ctx context.Context, plan *knowngood.Plan, epoch int64, log []knowngood.LogEntry, m *members, cancel bool) (Result, error) {
	end := runbook.RunEndedBody{State: knowngood.RunSuccess, Message: m.told(len(plan.Children))}
	switch {
	case cancel:
		end.State = knowngood.RunCancelled
	case m.failed > 0:
		end.State = knowngood.RunFailed
		end.Message += "; " + strings.Join(m.why[:min(len(m.why), maxTold)], "; ")
	}
	entry, err := runbook.Encode(knowngood.EntryRunEnded, "", 0, end)
	if err != nil {
		return Result{}, err
	}
	return Result{RunID: plan.RunID, State: end.State, Message: end.Message}, r.logGroup(ctx, plan, epoch, log, &entry, end.State, end.Message)
}

// maxTold is of how many failures a group's message tells.
const maxTold = 3

// logGroup writes a group's log, which begins as any run's does.
func (r *Remediator) logGroup(ctx context.Context, plan *knowngood.Plan, epoch int64, log []knowngood.LogEntry, last *knowngood.LogEntry, state knowngood.RunState, message string) error {
	var entries []knowngood.LogEntry
	if !slices.ContainsFunc(log, func(e knowngood.LogEntry) bool { return e.Kind == knowngood.EntryRunStarted }) {
		begin, err := runbook.Encode(knowngood.EntryRunStarted, "", 0, runbook.StartBody{
			LogVersion: knowngood.LogVersion, DocumentSHA256: plan.Document.SHA256, Parameters: plan.Parameters, ExecutionID: plan.RunID, DateTime: plan.Created, Seed: plan.Seed,
			Place: plan.Place, Role: plan.Role, MultiAccount: plan.MultiAccount,
		})
		if err != nil {
			return err
		}
		entries = append(entries, begin)
	}
	if last != nil {
		entries = append(entries, *last)
	}
	for i := range entries {
		entries[i].Seq, entries[i].Time = int64(len(log)+i+1), r.Clock.Now().UTC()
	}
	err := r.Log.Append(context.WithoutCancel(ctx), plan.RunID, epoch, entries, state, message, nil)
	if knowngood.KindOf(err) == knowngood.Conflict && last == nil {
		return nil // a cancel request came: the next look sees it
	}
	return err
}

// crew carries out the runs of a group in this process, each by a goroutine.
type crew struct {
	r      *Remediator
	done   chan outcome
	driven map[string]bool // once: one that waits for a person is left
	under  int
}

type outcome struct{ err error }

// drive begins to carry out what is not; it is false where nothing is under way here.
func (c *crew) drive(ctx context.Context, m *members) bool {
	for id, run := range m.runs {
		if run.State.Ended() || c.driven[id] {
			continue
		}
		c.driven[id] = true
		c.under++
		go func() {
			_, err := c.r.goOn(ctx, id)
			c.done <- outcome{err}
		}()
	}
	return c.under > 0
}

// wait waits until nobody works any more.
func (c *crew) wait() {
	for ; c.under > 0; c.under-- {
		<-c.done
	}
}
