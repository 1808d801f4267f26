package sandbox

import (
	"fmt"
	"time"
)

// eachInstance applies a change to the instances of a call, or to none of them
// where one may not be changed, and answers with their states before and after.
func (c *call) eachInstance(key string, may func(id string, i instance) error, change func(id string, r *record[instance], i instance)) (map[string]any, error) {
	ids := c.strings("InstanceIds")
	if len(ids) == 0 {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter InstanceIds")
	}
	for _, id := range ids {
		_, i, err := c.liveInstance(id, c.now)
		if err != nil {
			return nil, err
		}
		if err := may(id, i); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for _, id := range ids {
		r, i, _ := c.liveInstance(id, c.now)
		change(id, r, i)
		after, _ := r.as(c.now)
		out = append(out, object{"InstanceId": id, "PreviousState": stateOut(i.State), "CurrentState": stateOut(after.State)})
	}
	return object{key: out}, nil
}

// start lets an instance run from a time on.
func (c *call) start(id string, r *record[instance]) {
	r.forget(c.now)
	up := c.now.Add(instanceStart)
	r.change(c.now, func(i *instance) {
		i.State, i.Reason, i.Launched, i.Checked = "pending", "", c.now, up.Add(instanceChecks)
		if i.PublicFrom == "amazon" { // a new address at each start
			i.PublicIP = "203.0.113." + octet(c.id("", 2))
		}
	})
	r.change(up, func(i *instance) { i.State = "running" })
	c.instanceEvents(id, c.now, "pending", up, "running")
}

func startInstances(c *call) (map[string]any, error) {
	return c.eachInstance("StartingInstances", func(id string, i instance) error {
		switch i.State {
		case "running", "pending":
			return nil
		case "stopped":
			return c.mayStart(id)
		}
		return failure(400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", id)
	}, func(id string, r *record[instance], i instance) {
		if i.State == "stopped" {
			c.start(id, r)
		}
	})
}

// mayStart says whether an instance has its root volume, and the keys of its
// volumes can be used.
func (c *call) mayStart(id string) error {
	_, i, err := c.liveInstance(id, c.now)
	if err != nil {
		return err
	}
	root := false
	for _, d := range c.devices(c.now, id)[id] {
		root = root || d.on.Device == i.Root
		v, _ := c.home().Volumes[d.id].as(c.now)
		if v.KeyARN == "" {
			continue
		}
		if at, k, err := c.findKey(v.KeyARN, c.now); err != nil || k.usable(at.arn) != nil {
			return failure(400, "Client.InvalidKMSKey.InvalidState", "The KMS key %s that %s is encrypted with can't be used.", v.KeyARN, d.id)
		}
	}
	if !root {
		return failure(400, "IncorrectInstanceState", "Instance '%s' does not have a volume attached at root (%s)", id, i.Root)
	}
	return nil
}

// userInitiated is the reason of a change of state that a call asked for.
func userInitiated(at time.Time) string {
	return fmt.Sprintf("User initiated (%s GMT)", at.UTC().Format("2006-01-02 15:04:05"))
}

func stopInstances(c *call) (map[string]any, error) {
	return c.eachInstance("StoppingInstances", func(id string, i instance) error {
		switch {
		case i.State == "stopped" || i.State == "stopping":
			return nil
		case i.StopGuard:
			return failure(400, "OperationNotPermitted", "The instance '%s' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.", id)
		case i.Lifecycle == "spot" && !i.Persistent:
			return failure(400, "UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request.", id)
		case i.State != "running" && i.State != "pending":
			return failure(400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", id)
		}
		return nil
	}, func(id string, r *record[instance], i instance) {
		if i.State == "stopped" || i.State == "stopping" {
			return
		}
		r.forget(c.now)
		r.change(c.now, func(i *instance) { i.State, i.Reason = "stopping", userInitiated(c.now) })
		r.change(c.now.Add(instanceStop), func(i *instance) {
			if i.State = "stopped"; i.PublicFrom == "amazon" {
				i.PublicIP = ""
			}
		})
		c.instanceEvents(id, c.now, "stopping", c.now.Add(instanceStop), "stopped")
		c.memberChanged(id)
	})
}

// reboot restarts what runs: its checks have to pass again.
func (i *instance) reboot(at time.Time) {
	i.Rebooted, i.Checked = at, at.Add(instanceReboot+instanceChecks)
}

func rebootInstances(c *call) (map[string]any, error) {
	_, err := c.eachInstance("", func(id string, i instance) error {
		if i.State != "running" && i.State != "pending" {
			return failure(400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be rebooted.", id)
		}
		return nil
	}, func(_ string, r *record[instance], _ instance) {
		r.change(c.now, func(i *instance) { i.reboot(c.now) })
	})
	if err != nil {
		return nil, err
	}
	return object{}, nil
}

func terminateInstances(c *call) (map[string]any, error) {
	return c.eachInstance("TerminatingInstances", func(id string, i instance) error {
		if i.TerminateGuard && i.State != "terminated" && i.State != "shutting-down" {
			return failure(400, "OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", id)
		}
		return nil
	}, func(id string, _ *record[instance], i instance) {
		if i.State != "terminated" && i.State != "shutting-down" {
			c.terminate(id, userInitiated(c.now))
			c.memberChanged(id)
		}
	})
}

// terminate ends an instance; its volumes go or stay as each is set.
func (c *call) terminate(id, reason string) {
	r := c.home().Instances[id]
	end := c.now.Add(instanceDestroy)
	r.forget(c.now)
	r.change(c.now, func(i *instance) { i.State, i.Reason = "shutting-down", reason })
	r.change(end, func(i *instance) { i.State, i.PublicIP, i.PublicFrom = "terminated", "", "" })
	c.instanceEvents(id, c.now, "shutting-down", end, "terminated")
	for _, d := range c.devices(c.now, id)[id] {
		v := c.home().Volumes[d.id]
		now, _ := v.as(c.now)
		last := len(now.Attachments) == 1
		if d.on.DeleteOn && last {
			c.volumeEvent(end, d.id, "deleteVolume", "deleted")
		}
		v.change(end, func(v *volume) {
			v.detach(id)
			if d.on.DeleteOn && last {
				v.State = gone
			}
		})
	}
	for _, a := range c.home().Addresses {
		a.change(end, func(a *address) {
			if a.Instance == id {
				a.Instance = ""
			}
		})
	}
}
