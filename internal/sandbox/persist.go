package sandbox

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/knowngood/knowngood"
)

// snapshotVersion is the form of a snapshot. Restore refuses any other.
const snapshotVersion = 2

// saved is the form of a snapshot.
type saved struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"` // on the sandbox's clock
	Account string    `json:"account"`
	Region  string    `json:"region"`
	Regions []string  `json:"regions"`
	State   state     `json:"state"`
}

// Snapshot gives the whole estate as JSON: resources with what is under way,
// access keys, client tokens, events to come and CloudTrail's records, but
// neither faults nor the logs of calls and deliveries, nor the Go functions of
// OnEvent and HandleFunction. The same history gives the same bytes.
func (s *Sandbox) Snapshot() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(saved{snapshotVersion, s.clock.Now(), s.account, s.region, s.regions, s.state})
}

// SavedAt is the sandbox's time when a snapshot was taken.
func SavedAt(data []byte) (time.Time, error) {
	var in struct{ Time time.Time }
	if err := json.Unmarshal(data, &in); err != nil {
		return time.Time{}, fmt.Errorf("sandbox: the snapshot can't be read: %w", err)
	}
	return in.Time, nil
}

// Restore makes a sandbox of a snapshot. Of the options only Catalog, which is
// required, Clock, Documents and Program count; without a clock, time goes on from when the
// snapshot was taken.
func Restore(o Options, data []byte) (*Sandbox, error) {
	var in saved
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("sandbox: the snapshot can't be read: %w", err)
	}
	if in.Version != snapshotVersion {
		return nil, fmt.Errorf("sandbox: the snapshot is of version %d, and this program reads version %d only: build the estate anew, or read it with the program that wrote it", in.Version, snapshotVersion)
	}
	if o.Clock == nil {
		o.Clock = NewClock(in.Time)
	}
	o.Account, o.Region, o.Regions, o.Seed = in.Account, in.Region, in.Regions, in.State.Seed
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := in.State.check(); err != nil {
		return nil, err
	}
	for _, a := range in.State.Accounts {
		a.Partition = cmp.Or(a.Partition, s.partitionOf(s.region))
	}
	s.state, s.origin = in.State, data
	return s, nil
}

// SetOrigin makes the present estate what Reset returns to, in place of that
// with which the sandbox began.
func (s *Sandbox) SetOrigin() error {
	raw, err := s.Snapshot()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.origin = raw
	return nil
}

// Reset puts the estate back to its origin, with the same ids to come, and
// forgets faults and the logs of calls and deliveries. A ManualClock goes back to
// the origin's time; any other goes on.
func (s *Sandbox) Reset() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	other, err := Restore(Options{Catalog: s.catalog}, s.origin)
	if err != nil {
		return err
	}
	if c, ok := s.clock.(*ManualClock); ok {
		c.set(other.clock.Now())
	}
	s.put(other)
	s.faults, s.stale, s.calls, s.deliveries, s.outcomes = nil, 0, nil, nil, outcomes{}
	return nil
}

// put takes over another sandbox's estate.
func (s *Sandbox) put(other *Sandbox) {
	s.state, s.account, s.region, s.regions = other.state, other.account, other.region, other.regions
}

// Fork makes a second sandbox with the same estate, from which on the two go
// their own ways. It has the functions of HandleFunction and the origin, but
// neither faults nor logs nor the functions of OnEvent, and a clock of its own
// where the sandbox's is a ManualClock or a FastClock.
func (s *Sandbox) Fork() (*Sandbox, error) {
	raw, err := s.Snapshot()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clock := s.clock
	if c, ok := clock.(interface{ fork() knowngood.Clock }); ok {
		clock = c.fork()
	}
	out, err := Restore(Options{Catalog: s.catalog, Clock: clock, Documents: s.documents, Program: Program{Serve: s.program.Serve}}, raw)
	if err != nil {
		return nil, err
	}
	out.origin, out.functions, out.runners = s.origin, maps.Clone(s.functions), maps.Clone(s.runners)
	return out, nil
}

// check refuses a snapshot with holes, and makes the maps that it lacks.
func (s *state) check() error {
	s.Buckets, s.Keys, s.Accounts = made(s.Buckets), made(s.Keys), made(s.Accounts)
	err := whole("bucket", s.Buckets)
	for id, a := range s.Accounts {
		if a == nil {
			return fmt.Errorf("sandbox: the snapshot's account %s is empty", id)
		}
		a.Roles, a.Regions = made(a.Roles), made(a.Regions)
		err = first(err, whole("user", a.Users), whole("group", a.UserGroups), whole("role", a.Roles), whole("policy", a.Policies), whole("instance profile", a.Profiles),
			whole("public access block", a.PublicBlock))
		for name, r := range a.Regions {
			if r == nil {
				return fmt.Errorf("sandbox: the snapshot's Region %s is empty", name)
			}
			r.fill()
			err = first(err, whole("volume", r.Volumes), whole("snapshot", r.Snapshots), whole("instance", r.Instances), whole("group", r.Groups),
				whole("key", r.Keys), whole("address", r.Addresses), whole("VPC", r.VPCs), whole("subnet", r.Subnets), whole("security group", r.SecurityGroups),
				whole("trail", r.CloudTrail.Trails), whole("event bus", r.Events.Buses), whole("rule", r.Events.Rules), whole("queue", r.SQS.Queues),
				whole("topic", r.SNS.Topics), whole("subscription", r.SNS.Subscriptions), whole("function", r.Lambda.Functions), r.SQS.check(), r.RDS.check(), r.DynamoDB.check(), r.Backup.check(), r.EC2.check(), r.AutoScaling.check(), r.ELB.check(), r.SSM.check())
			err = first(err, r.CloudWatch.check(), r.Config.check(), r.GuardDuty.check(), r.Inspector.check(), r.Optimizer.check(), r.SecurityHub.check(),
				r.Kept.check(), whole("log group", r.Logs.Groups), whole("secret", r.Secrets.Secrets), whole("resource group", r.TagGroups.Groups))
		}
	}
	for id, o := range s.Organizations {
		if o == nil {
			return fmt.Errorf("sandbox: the snapshot's organization %s is empty", id)
		}
		err = first(err, whole("member account", o.Accounts), whole("organizational unit", o.Units), whole("policy", o.Policies))
	}
	return err
}

// fill makes the maps that a region lacks.
func (r *region) fill() {
	r.Volumes, r.Snapshots, r.Instances, r.Groups = made(r.Volumes), made(r.Snapshots), made(r.Instances), made(r.Groups)
	r.Keys, r.Aliases, r.Addresses, r.Tokens = made(r.Keys), made(r.Aliases), made(r.Addresses), made(r.Tokens)
	r.VPCs, r.Subnets, r.SecurityGroups = made(r.VPCs), made(r.Subnets), made(r.SecurityGroups)
}

func made[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}

// whole says whether each resource has at least one version.
func whole[T any](kind string, m map[string]*record[T]) error {
	for id, r := range m {
		if r == nil || len(r.Versions) == 0 {
			return fmt.Errorf("sandbox: the snapshot's %s %s has no versions", kind, id)
		}
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
