package sandbox

import (
	"slices"
	"sort"
	"time"
)

// attachment is a volume's to one instance.
type attachment struct {
	Instance string    `json:"instance"`
	Device   string    `json:"device"`
	State    string    `json:"state"` // attaching, attached, detaching
	At       time.Time `json:"at"`
	DeleteOn bool      `json:"deleteOnTermination,omitempty"`
}

// maxAttachments is how many instances a volume with Multi-Attach can be
// attached to. Source: Amazon EBS User Guide, "Multi-Attach".
const maxAttachments = 16

// on gives the volume's attachment to an instance.
func (v *volume) on(instanceID string) (attachment, bool) {
	for _, a := range v.Attachments {
		if a.Instance == instanceID {
			return a, true
		}
	}
	return attachment{}, false
}

// attached changes the attachment to an instance. Versions of a volume don't
// share their attachments.
func (v *volume) attached(instanceID string, change func(*attachment)) {
	v.Attachments = slices.Clone(v.Attachments)
	for n := range v.Attachments {
		if v.Attachments[n].Instance == instanceID {
			change(&v.Attachments[n])
		}
	}
}

// detach ends the attachment to an instance.
func (v *volume) detach(instanceID string) {
	v.Attachments = slices.DeleteFunc(slices.Clone(v.Attachments), func(a attachment) bool { return a.Instance == instanceID })
	if len(v.Attachments) == 0 {
		v.State, v.Attachments = "available", nil
	}
}

func attachmentOut(id string, a attachment) object {
	return object{"VolumeId": id, "InstanceId": a.Instance, "Device": a.Device, "State": a.State, "AttachTime": a.At, "DeleteOnTermination": a.DeleteOn}
}

func attachVolume(c *call) (map[string]any, error) {
	id, instanceID, device := c.str("VolumeId"), c.str("InstanceId"), c.str("Device")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	_, i, err := c.liveInstance(instanceID, c.now)
	if err != nil {
		return nil, err
	}
	_, already := v.on(instanceID)
	switch {
	case already, len(v.Attachments) > 0 && !v.Multi:
		return nil, failure(400, "VolumeInUse", "%s is already attached to an instance", id)
	case len(v.Attachments) >= maxAttachments:
		return nil, failure(400, "AttachmentLimitExceeded", "%s is attached to %d instances, the most that it can be.", id, maxAttachments)
	case v.State != "available" && len(v.Attachments) == 0:
		return nil, failure(400, "IncorrectState", "Volume '%s' is not 'available'.", id)
	case v.Zone != i.Zone:
		return nil, failure(400, "InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", id, instanceID)
	case v.Multi && instanceTypes[i.Type].hypervisor(i.Type) == "xen":
		return nil, failure(400, "InvalidParameterCombination", "A volume with Multi-Attach can be attached to instances built on the Nitro System only.")
	case i.State != "running" && i.State != "stopped":
		return nil, failure(400, "IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", instanceID)
	}
	for _, d := range c.devices(c.now, instanceID)[instanceID] {
		if d.on.Device == device {
			return nil, failure(400, "InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use by %s", device, device, d.id)
		}
	}
	a := attachment{Instance: instanceID, Device: device, State: "attaching", At: c.now}
	r.change(c.now, func(v *volume) {
		v.State, v.Attachments = "in-use", append(slices.Clone(v.Attachments), a)
	})
	r.change(c.now.Add(attachTime), func(v *volume) { v.attached(instanceID, func(a *attachment) { a.State = "attached" }) })
	return attachmentOut(id, a), nil
}

func detachVolume(c *call) (map[string]any, error) {
	id, want := c.str("VolumeId"), c.str("InstanceId")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	if len(v.Attachments) == 0 {
		return nil, failure(400, "IncorrectState", "Volume '%s' is in the 'available' state.", id)
	}
	if want == "" {
		if len(v.Attachments) > 1 {
			return nil, failure(400, "MissingParameter", "The volume '%s' is attached to several instances; the request must contain the parameter instanceId", id)
		}
		want = v.Attachments[0].Instance
	}
	a, ok := v.on(want)
	if !ok {
		return nil, failure(400, "InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s'.", id, want)
	}
	if device := c.str("Device"); device != "" && device != a.Device {
		return nil, failure(400, "InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'.", id, want, device)
	}
	if a.State == "detaching" && !c.bool("Force") {
		return nil, failure(400, "IncorrectState", "The attachment of volume '%s' is in the 'detaching' state.", id)
	}
	if _, i, err := c.liveInstance(want, c.now); err == nil && i.Root == a.Device && i.State != "stopped" {
		return nil, failure(400, "OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", id, want)
	}
	end := c.now.Add(detachTime)
	r.change(c.now, func(v *volume) { v.attached(want, func(a *attachment) { a.State = "detaching" }) })
	r.change(end, func(v *volume) { v.detach(want) })
	a.State = "detaching"
	return attachmentOut(id, a), nil
}

// volumeWrites counts the seconds for which a volume was attached to a running
// instance, on top of what it held when it was made: something that a program
// on the instance would have written.
func (c *call) volumeWrites(id string, until time.Time) int64 {
	r, ok := c.home().Volumes[id]
	if !ok {
		return 0
	}
	var moments []time.Time
	for _, v := range r.Versions {
		moments = append(moments, v.At)
		for _, a := range v.Value.Attachments {
			if i, ok := c.home().Instances[a.Instance]; ok {
				for _, iv := range i.Versions {
					moments = append(moments, iv.At)
				}
			}
		}
	}
	moments = append(moments, until)
	sort.Slice(moments, func(i, j int) bool { return moments[i].Before(moments[j]) })
	var total time.Duration
	for i := 1; i < len(moments) && !moments[i].After(until); i++ {
		if v, ok := r.as(moments[i-1]); ok && c.inUse(v, moments[i-1]) {
			total += moments[i].Sub(moments[i-1])
		}
	}
	return r.Versions[0].Value.Writes + int64(total/time.Second)
}

// inUse says whether a volume is attached to an instance that runs.
func (c *call) inUse(v volume, at time.Time) bool {
	return slices.ContainsFunc(v.Attachments, func(a attachment) bool {
		_, i, err := c.liveInstance(a.Instance, at)
		return err == nil && a.State == "attached" && i.State == "running"
	})
}

// VolumeWrites gives a volume's write counter in the sandbox's own account and
// Region.
func (s *Sandbox) VolumeWrites(id string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Sandbox: s, now: s.clock.Now(), region: s.region, who: s.state.Keys[OperatorKey]}
	s.settle(c.now)
	return c.volumeWrites(id, c.now)
}
