package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// refreshPatience is how long a refresh may come on no further before it fails.
// Source: Amazon EC2 Auto Scaling User Guide, "Instance refresh".
const refreshPatience = time.Hour

// rolling is one look of a group at its refresh.
type rolling struct {
	*call
	name    string
	g       *group
	refresh refresh
	surge   int64 // members above the desired capacity that it takes
}

// launches is what new members are made of.
func (s *rolling) launches() source {
	if s.refresh.over() || s.refresh.Status == "Cancelling" {
		return s.g.source
	}
	return s.refresh.launches(*s.g)
}

// run brings the refresh as far as it can come now, and says when to look again.
func (s *rolling) run() time.Time {
	r := &s.refresh
	if !s.g.runs("InstanceRefresh") {
		return time.Time{}
	}
	s.drop()
	warming, warmAt := s.warming()
	s.progress(int64(warming))
	switch {
	case r.Status == "Cancelling":
		if warming == 0 && !s.terminating() {
			s.end("Cancelled", r.Reason)
			return time.Time{}
		}
		return warmAt
	case r.Status == "Baking":
		if s.now.Before(r.Resume) {
			return r.Resume
		}
		s.succeed()
		return time.Time{}
	case len(r.Old) == 0 && warming == 0 && s.g.active() >= s.g.Desired:
		if r.Prefs.Bake > 0 && !r.rollingBack() {
			r.Status, r.Resume = "Baking", s.now.Add(time.Duration(r.Prefs.Bake)*time.Second)
			return r.Resume
		}
		s.succeed()
		return time.Time{}
	}
	if s.atCheckpoint() {
		return r.Resume
	}
	n, waits := s.replaceable(warming)
	for _, id := range s.next(n) {
		s.retire(s.g, s.name, id, "An instance was taken out of service in response to an instance refresh.")
		r.Moved = s.now
	}
	s.drop()
	s.surge = min(s.surge, int64(len(r.Old)))
	if deadline := r.Moved.Add(refreshPatience); !s.now.Before(deadline) {
		s.fail("There is no progress: " + waits)
		return s.now.Add(time.Nanosecond) // a rollback begins at once
	}
	var next earliest
	next.add(warmAt)
	next.add(r.Moved.Add(refreshPatience))
	return next.at
}

// drop forgets members that are replaced already.
func (s *rolling) drop() {
	s.refresh.Old = slices.DeleteFunc(slices.Clone(s.refresh.Old), func(id string) bool {
		m, ok := s.g.Members[id]
		return !ok || m.State == "Terminating" || m.State == "Detaching" || m.Protected && s.refresh.Prefs.Protected == "Ignore" || m.State == "Standby" && s.refresh.Prefs.Standby == "Ignore"
	})
}

// isNew says whether a member was launched since the refresh, or its rollback,
// began.
func (s *rolling) isNew(id string, m member) bool {
	since := s.refresh.Start
	if s.refresh.rollingBack() {
		since = s.refresh.RollbackStart
	}
	return !m.Launched.Before(since) && !slices.Contains(s.refresh.Old, id) && (m.State == "Pending" || m.State == "InService")
}

// warm says when a member in service counts as healthy.
func (s *rolling) warm(m member) time.Time {
	return m.Since.Add(time.Duration(s.refresh.Prefs.Warmup) * time.Second)
}

// warming counts new members that don't count yet, and says when the next one
// does.
func (s *rolling) warming() (n int, at time.Time) {
	var next earliest
	for id, m := range s.g.Members {
		if !s.isNew(id, m) {
			continue
		}
		if m.State == "Pending" {
			n++
		} else if at := s.warm(m); at.After(s.now) {
			n++
			next.add(at)
		}
	}
	return n, next.at
}

func (s *rolling) terminating() bool {
	for _, m := range s.g.Members {
		if m.State == "Terminating" {
			return true
		}
	}
	return false
}

// progress works out how far the refresh has come.
func (s *rolling) progress(warming int64) {
	r := &s.refresh
	done := r.Total - int64(len(r.Old)) - max(warming, s.g.Desired-s.g.active()) + s.surplus()
	done = min(max(done, 0), r.Total-int64(len(r.Old)))
	percent := int64(100)
	if r.Total > 0 {
		percent = 100 * done / r.Total
	}
	if percent > r.Percent || r.rollingBack() && percent != r.Percent {
		r.Moved = s.now
	}
	r.Percent, r.Left = percent, r.Total-done
}

// surplus counts the members above the desired capacity.
func (s *rolling) surplus() int64 { return max(0, s.g.active()-s.g.Desired) }

// atCheckpoint says whether the refresh waits at a checkpoint.
func (s *rolling) atCheckpoint() bool {
	r := &s.refresh
	if r.Passed >= len(r.Prefs.Checkpoints) || r.Percent < r.Prefs.Checkpoints[r.Passed] || r.Percent == 100 {
		return false
	}
	if r.Resume.IsZero() {
		r.Resume = s.now.Add(time.Duration(r.Prefs.Delay) * time.Second)
		r.Reason = fmt.Sprintf("Waiting for checkpoint delay at %d%%.", r.Prefs.Checkpoints[r.Passed])
		s.refreshEvent(*s.g, s.name, s.id(), "Checkpoint Reached", object{"CheckPointPercentage": r.Prefs.Checkpoints[r.Passed]})
	}
	if s.now.Before(r.Resume) {
		return true
	}
	r.Passed, r.Resume, r.Reason, r.Moved = r.Passed+1, time.Time{}, "", s.now
	return false
}

func (s *rolling) id() string {
	for id, r := range s.home().AutoScaling.Refreshes.all(s.now) {
		if r.Group == s.name && !r.over() {
			return id
		}
	}
	return ""
}

// replaceable says how many old members may be replaced now, and if none, why.
func (s *rolling) replaceable(warming int) (n int64, waits string) {
	r, g := &s.refresh, s.g
	if !g.runs("Launch") || !g.runs("Terminate") {
		return 0, "the processes Launch and Terminate are suspended."
	}
	var healthy int64
	for id, m := range g.Members {
		if m.State == "Standby" && r.Prefs.Standby == "Wait" {
			return 0, "instances are in Standby."
		}
		if m.State == "InService" && !m.Unhealthy && (!s.isNew(id, m) || !s.warm(m).After(s.now)) {
			healthy++
		}
	}
	left := int64(len(r.Old))
	if r.Passed < len(r.Prefs.Checkpoints) { // no further than the next checkpoint
		until := (r.Total*r.Prefs.Checkpoints[r.Passed] + 99) / 100
		left = min(left, until-(r.Total-int64(len(r.Old))))
	}
	least := (g.Desired*r.Prefs.MinHealthy + 99) / 100
	if most := g.Desired * r.Prefs.MaxHealthy / 100; r.Prefs.MaxHealthy > 100 {
		// Others are launched before the old ones go.
		s.surge = min(max(most-g.Desired, 1), left)
		return min(left, max(0, healthy-max(least, g.Desired))), "replacements don't become healthy."
	}
	n = healthy - least
	if n <= 0 && warming == 0 && g.active() >= g.Desired {
		n = 1 // else it would never come on
	}
	return min(left, max(0, n)), "replacements don't become healthy."
}

// next picks the old members to be replaced first.
func (s *rolling) next(n int64) []string {
	var out []string
	for _, id := range s.refresh.Old {
		if int64(len(out)) < n && (!s.g.Members[id].Protected || s.refresh.Prefs.Protected == "Refresh") {
			out = append(out, id)
		}
	}
	return out
}

// succeed ends the refresh. The configuration that it brought is the group's.
func (s *rolling) succeed() {
	r := &s.refresh
	r.Percent, r.Left = 100, 0
	if r.rollingBack() {
		s.end("RollbackSuccessful", "")
		return
	}
	if r.hasDesired() {
		s.g.source = r.Desired
	}
	s.end("Successful", "")
}

// fail ends the refresh, or turns it round.
func (s *rolling) fail(reason string) {
	r := &s.refresh
	switch {
	case r.rollingBack():
		s.end("RollbackFailed", reason)
	case r.Prefs.AutoRollback:
		s.g.Retry, s.g.Failures = time.Time{}, 0
		s.rollBack(r, *s.g, "Instance refresh failed. "+reason)
	default:
		s.end("Failed", reason)
	}
}

func (s *rolling) end(status, reason string) {
	id := s.id()
	r := &s.refresh
	r.Status, r.Reason, r.End = status, reason, s.now
	what := map[string]string{"Successful": "Succeeded", "Failed": "Failed", "Cancelled": "Cancelled", "RollbackSuccessful": "Rollback Succeeded", "RollbackFailed": "Rollback Failed"}[status]
	s.refreshEvent(*s.g, s.name, id, what, nil)
}
