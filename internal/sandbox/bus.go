package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// defaultBus is the event bus that AWS's own events go to.
const defaultBus = "default"

// envelope is an event as EventBridge has it.
type envelope struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       time.Time       `json:"time"` // in whole seconds
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// due is something that comes about at its time: an event, the next time of a
// rule's schedule, or a service's own work.
type due struct {
	At      time.Time `json:"at"`
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Bus     string    `json:"bus,omitempty"`
	Event   *envelope `json:"event,omitempty"`
	Relayed bool      `json:"relayed,omitempty"` // it came from another bus, and goes to no further one
	Rule    string    `json:"rule,omitempty"`    // whose schedule it is, on the default bus
	Task    string    `json:"task,omitempty"`    // what a service goes on with, which perform knows
	Plan    string    `json:"plan,omitempty"`    // a backup plan's rule whose schedule it is, as PLAN/RULE
	Group   string    `json:"group,omitempty"`   // an Auto Scaling group that is to look at itself
}

// emit sends an event of a service to the default bus of the call's account and
// Region. The time may lie ahead: a state that comes about later has its event
// then, unless retract takes it back before. Events take effect when the call is
// over, in the order of their times and, at one time, of their making. They are
// sent also if the call fails in the end, as what it changed stays changed: a
// handler checks first.
func (c *call) emit(at time.Time, source, detailType string, resources []string, detail object) {
	raw, err := json.Marshal(detail)
	if err != nil {
		return // details are of texts, numbers, lists and objects, which always can be written
	}
	c.send(defaultBus, at, envelope{Source: source, DetailType: detailType, Resources: resources, Detail: raw})
}

// send lets an event come about on a bus at a time, which is also the event's
// own if it says none. It gives the event's id.
func (c *call) send(bus string, at time.Time, e envelope) string {
	e.Version, e.Account, e.Region = "0", c.who.Account, c.region
	if e.ID == "" {
		e.ID = c.occurrence()
	}
	if e.Resources == nil {
		e.Resources = []string{}
	}
	if e.Time.IsZero() {
		e.Time = at
	}
	e.Time = e.Time.UTC().Truncate(time.Second)
	c.schedule(due{At: at, Account: e.Account, Region: e.Region, Bus: bus, Event: &e})
	return e.ID
}

// Event is an event in EventBridge's envelope, of any source. What it leaves out
// the sandbox fills in.
type Event struct {
	Version    string         `json:"version,omitempty"` // 0
	ID         string         `json:"id,omitempty"`
	DetailType string         `json:"detail-type"`
	Source     string         `json:"source"`
	Account    string         `json:"account,omitempty"` // the sandbox's own
	Time       time.Time      `json:"time,omitzero"`
	Region     string         `json:"region,omitempty"` // the sandbox's own
	Resources  []string       `json:"resources,omitempty"`
	Detail     map[string]any `json:"detail"`
}

// AddEvent lets an event come about now on the default bus of the sandbox's own
// account and Region, as AWS's services send theirs, whose sources PutEvents
// leaves to them. It gives the event's id.
func (s *Sandbox) AddEvent(e Event) (string, error) {
	if e.Source == "" || e.DetailType == "" || e.Detail == nil {
		return "", fmt.Errorf("an event needs a source, a detail-type and a detail")
	}
	raw, err := json.Marshal(e.Detail)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	c := s.own()
	if e.Account != "" && e.Account != c.who.Account || e.Region != "" && e.Region != c.region {
		s.mu.Unlock()
		return "", fmt.Errorf("the event is of %s in %s, and the sandbox is %s in %s", e.Account, e.Region, c.who.Account, c.region)
	}
	id := c.send(defaultBus, c.now, envelope{ID: e.ID, DetailType: e.DetailType, Source: e.Source, Time: e.Time, Resources: e.Resources, Detail: raw})
	s.settle(c.now)
	s.mu.Unlock()
	s.drain()
	return id, nil
}

// retract takes back a resource's events that were to come after a time, as
// forget does with its states.
func (c *call) retract(resource string, after time.Time) {
	c.state.Due = slices.DeleteFunc(c.state.Due, func(d due) bool {
		return d.Event != nil && d.Account == c.who.Account && d.Region == c.region && d.At.After(after) && slices.Contains(d.Event.Resources, resource)
	})
}

// schedule files something that is to come, behind all of its time.
func (s *Sandbox) schedule(d due) {
	i := sort.Search(len(s.state.Due), func(i int) bool { return s.state.Due[i].At.After(d.At) })
	s.state.Due = slices.Insert(s.state.Due, i, d)
}

// maxTicks is how many times of one schedule come about at once. A clock that
// jumped further skips the others.
const maxTicks = 1000

// settle lets all come about that is due at a time. The sandbox is locked.
func (s *Sandbox) settle(now time.Time) {
	ticks := map[string]int{}
	for len(s.state.Due) > 0 && !s.state.Due[0].At.After(now) {
		d := s.state.Due[0]
		s.state.Due = s.state.Due[1:]
		c := &call{Sandbox: s, now: d.At, view: d.At, region: d.Region, who: accessKey{Account: d.Account}}
		if d.Event != nil {
			c.publish(d)
			continue
		}
		if d.Group != "" {
			c.scale(d.Group)
			continue
		}
		if d.Task != "" {
			c.perform(d.Task)
			continue
		}
		key := d.Account + "/" + d.Region + "/" + d.Rule + "/" + d.Plan
		if ticks[key]++; ticks[key] > maxTicks {
			c.now = now
		}
		if d.Plan != "" {
			c.runPlan(d.Plan)
			continue
		}
		c.tick(d.Rule)
	}
}

// plan schedules a service's work for a time.
func (c *call) plan(at time.Time, task string) {
	c.schedule(due{At: at, Account: c.who.Account, Region: c.region, Task: task})
}

// perform does a service's work that has come due. It is written service/what.
func (c *call) perform(task string) {
	if what, ok := strings.CutPrefix(task, "ssm/"); ok {
		c.performSSM(what)
	}
}

// OnEvent calls a function with each event that comes about on any bus from now
// on, as JSON in EventBridge's envelope, one after another in their order. The
// function may call the sandbox; what comes of that is handed on after it
// returned.
func (s *Sandbox) OnEvent(hook func(event []byte)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook)
}

// Settle lets all come about that is due by the clock: events that were to
// happen since the last call, and schedules. Each call does so before and after
// itself, so it is needed only where none is made.
func (s *Sandbox) Settle() {
	s.mu.Lock()
	s.settle(s.clock.Now())
	s.mu.Unlock()
	s.drain()
}

// drain runs what was left for after the lock: hooks and functions. What they
// leave in turn comes last, and one goroutine at a time does all of it, so that
// the order is that of the events.
func (s *Sandbox) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	defer func() { s.draining = false }()
	for len(s.later) > 0 {
		next := s.later[0]
		s.later = s.later[1:]
		s.unlocked(next)
	}
}

// unlocked runs a function in the midst of what holds the lock.
func (s *Sandbox) unlocked(run func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	run()
}

// occurrence makes the id of an event or a record of one. Such ids have their
// own numbers, so that what is only read doesn't change the ids of resources.
func (s *Sandbox) occurrence() string {
	s.state.Occurred++
	return uuid(derived(s.state.Seed, "event", s.state.Occurred))
}
