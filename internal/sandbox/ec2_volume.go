package sandbox

import (
	"slices"
	"sort"
	"strconv"
	"time"
)

// How long EBS and EC2 take for a change, on the sandbox's clock. AWS publishes
// no figures; these are of the order that people see.
const (
	volumeCreation  = 3 * time.Second
	attachTime      = 2 * time.Second
	detachTime      = 4 * time.Second
	snapshotBase    = 20 * time.Second
	snapshotPerGiB  = 200 * time.Millisecond
	instanceStart   = 15 * time.Second
	instanceStop    = 30 * time.Second
	instanceDestroy = 20 * time.Second
)

type volume struct {
	State      string    `json:"state"`
	Created    time.Time `json:"created"`
	Zone       string    `json:"zone"`
	Size       int64     `json:"size"`
	Type       string    `json:"type"`
	Iops       int64     `json:"iops,omitempty"`
	Throughput int64     `json:"throughput,omitempty"`
	Encrypted  bool      `json:"encrypted"`
	KeyARN     string    `json:"kmsKeyArn,omitempty"`
	Snapshot   string    `json:"snapshot,omitempty"`
	Multi      bool      `json:"multiAttach,omitempty"`
	Tags       tagSet    `json:"tags,omitempty"`

	Instance string    `json:"instance,omitempty"`
	Device   string    `json:"device,omitempty"`
	Attach   string    `json:"attach,omitempty"` // attaching, attached, detaching
	Attached time.Time `json:"attached,omitzero"`
	DeleteOn bool      `json:"deleteOnTermination,omitempty"`
	// Writes is what the volume held when it was made; see volumeWrites.
	Writes int64 `json:"writes,omitempty"`
}

type snapshot struct {
	State     string    `json:"state"`
	Started   time.Time `json:"started"`
	Volume    string    `json:"volume"`
	Size      int64     `json:"size"`
	Encrypted bool      `json:"encrypted"`
	KeyARN    string    `json:"kmsKeyArn,omitempty"`
	Text      string    `json:"description"`
	Tags      tagSet    `json:"tags,omitempty"`
	Writes    int64     `json:"writes,omitempty"` // the volume's at the request
}

const gone = "deleted"

// liveVolume gives a volume as of the call's view, for reads, or as of now.
func (c *call) liveVolume(id string, at time.Time) (*record[volume], volume, error) {
	r, ok := c.home().Volumes[id]
	if ok {
		if v, ok := r.as(at); ok && v.State != gone {
			return r, v, nil
		}
	}
	return nil, volume{}, failure(400, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
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
		if v.Value.Instance == "" {
			continue
		}
		if i, ok := c.home().Instances[v.Value.Instance]; ok {
			for _, iv := range i.Versions {
				moments = append(moments, iv.At)
			}
		}
	}
	moments = append(moments, until)
	sort.Slice(moments, func(i, j int) bool { return moments[i].Before(moments[j]) })
	var total time.Duration
	for i := 1; i < len(moments) && !moments[i].After(until); i++ {
		v, ok := r.as(moments[i-1])
		if !ok || v.Attach != "attached" {
			continue
		}
		if inst, ok := c.home().Instances[v.Instance]; ok {
			if now, ok := inst.as(moments[i-1]); ok && now.State == "running" {
				total += moments[i].Sub(moments[i-1])
			}
		}
	}
	return r.Versions[0].Value.Writes + int64(total/time.Second)
}

// VolumeWrites gives a volume's write counter in the sandbox's own account and
// Region.
func (s *Sandbox) VolumeWrites(id string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{Sandbox: s, now: s.clock.Now(), region: s.region, who: s.state.Keys[OperatorKey]}
	return c.volumeWrites(id, c.now)
}

func (c *call) volumeOut(id string, v volume) object {
	out := object{
		"VolumeId": id, "State": v.State, "CreateTime": v.Created, "AvailabilityZone": v.Zone, "Size": v.Size, "VolumeType": v.Type,
		"Encrypted": v.Encrypted, "SnapshotId": v.Snapshot, "MultiAttachEnabled": v.Multi, "Attachments": []any{},
	}
	if v.Iops > 0 {
		out["Iops"] = v.Iops
	}
	if v.Throughput > 0 {
		out["Throughput"] = v.Throughput
	}
	if v.KeyARN != "" {
		out["KmsKeyId"] = v.KeyARN
	}
	if v.Instance != "" {
		out["Attachments"] = []any{attachmentOut(id, v)}
	}
	if len(v.Tags) > 0 {
		out["Tags"] = v.Tags.list()
	}
	return out
}

func attachmentOut(id string, v volume) object {
	return object{"VolumeId": id, "InstanceId": v.Instance, "Device": v.Device, "State": v.Attach, "AttachTime": v.Attached, "DeleteOnTermination": v.DeleteOn}
}

func describeVolumes(c *call) (map[string]any, error) {
	ids := c.strings("VolumeIds")
	for _, id := range ids {
		if _, _, err := c.liveVolume(id, c.view); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for _, id := range sorted(c.home().Volumes) {
		v, ok := c.home().Volumes[id].as(c.view)
		if !ok || v.State == gone || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		fits, err := c.matches(v.Tags, func(name string) ([]string, bool) {
			switch name {
			case "volume-id":
				return []string{id}, true
			case "status":
				return []string{v.State}, true
			case "encrypted":
				return []string{strconv.FormatBool(v.Encrypted)}, true
			case "volume-type":
				return []string{v.Type}, true
			case "availability-zone":
				return []string{v.Zone}, true
			case "snapshot-id":
				return []string{v.Snapshot}, true
			case "attachment.instance-id":
				return present(v.Instance), true
			case "attachment.device":
				return present(v.Device), true
			case "attachment.status":
				return present(v.Attach), true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, c.volumeOut(id, v))
		}
	}
	return c.page("Volumes", out)
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// limits of the volume types, from the EBS user guide: default IOPS, and
// whether IOPS and throughput may be given.
var volumeTypes = map[string]struct {
	iops, throughput     bool
	defaultIops, minIops int64
}{
	"gp2": {}, "standard": {}, "st1": {}, "sc1": {},
	"gp3": {iops: true, throughput: true, defaultIops: 3000, minIops: 3000},
	"io1": {iops: true, minIops: 100},
	"io2": {iops: true, minIops: 100},
}

func createVolume(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		v, _ := c.home().Volumes[id].as(c.now)
		return c.volumeOut(id, v), nil
	}
	v := volume{State: "creating", Created: c.now, Zone: c.str("AvailabilityZone"), Type: c.str("VolumeType"), Snapshot: c.str("SnapshotId"), Encrypted: c.bool("Encrypted"), Multi: c.bool("MultiAttachEnabled")}
	if !slices.Contains(zones(c.region), v.Zone) {
		return nil, failure(400, "InvalidParameterValue", "Invalid availability zone: [%s]", v.Zone)
	}
	if v.Type == "" {
		v.Type = "gp2"
	}
	kind, ok := volumeTypes[v.Type]
	if !ok {
		return nil, failure(400, "InvalidParameterValue", "Invalid volume type '%s'", v.Type)
	}
	v.Size, _ = c.int("Size")
	if v.Snapshot != "" {
		_, s, err := c.liveSnapshot(v.Snapshot, c.now)
		if err != nil {
			return nil, err
		}
		if s.State != "completed" {
			return nil, failure(400, "IncorrectState", "Snapshot is in invalid state - %s", s.State)
		}
		if v.Size == 0 {
			v.Size = s.Size
		}
		if v.Size < s.Size {
			return nil, failure(400, "InvalidParameterValue", "The size of a volume must be at least that of its snapshot, %d GiB", s.Size)
		}
		v.Encrypted, v.Writes = v.Encrypted || s.Encrypted, s.Writes
		if c.str("KmsKeyId") == "" {
			v.KeyARN = s.KeyARN
		}
	}
	if v.Size < 1 || v.Size > 65536 {
		return nil, failure(400, "InvalidParameterValue", "Volume of %dGiB is out of range", v.Size)
	}
	var err error
	if v.Iops, err = c.performance("Iops", kind.iops, kind.defaultIops, kind.minIops, v.Type); err != nil {
		return nil, err
	}
	if v.Throughput, err = c.performance("Throughput", kind.throughput, 125, 125, v.Type); err != nil {
		return nil, err
	}
	if v.Type == "gp2" {
		v.Iops = min(max(100, 3*v.Size), 16000)
	}
	if v.Multi && v.Type != "io1" && v.Type != "io2" {
		return nil, failure(400, "InvalidParameterCombination", "Multi-Attach is supported by io1 and io2 only")
	}
	v.Encrypted = v.Encrypted || c.home().Encrypt
	if v.Encrypted && (v.KeyARN == "" || c.str("KmsKeyId") != "") {
		if v.KeyARN, err = c.encryptionKey(c.str("KmsKeyId")); err != nil {
			return nil, err
		}
	}
	if !v.Encrypted && c.str("KmsKeyId") != "" {
		return nil, failure(400, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if v.Tags, err = c.newTags("volume"); err != nil {
		return nil, err
	}
	id := c.id("vol-0", 16)
	r := newRecord(c.now, v)
	r.change(c.now.Add(volumeCreation), func(v *volume) { v.State = "available" })
	c.volumeEvent(c.now.Add(volumeCreation), id, "createVolume", "available")
	c.home().Volumes[id] = r
	c.remember(id)
	return c.volumeOut(id, v), nil
}

// performance checks Iops or Throughput against what a volume type takes.
func (c *call) performance(name string, allowed bool, otherwise, least int64, volumeType string) (int64, error) {
	n, given := c.int(name)
	switch {
	case given && !allowed:
		return 0, failure(400, "InvalidParameterCombination", "The parameter %s is not supported for %s volumes.", name, volumeType)
	case !given && allowed && otherwise == 0:
		return 0, failure(400, "MissingParameter", "The request must contain the parameter %s", name)
	case !given && allowed:
		return otherwise, nil
	case given && n < least:
		return 0, failure(400, "InvalidParameterValue", "%s of %d is too low; minimum is %d.", name, n, least)
	}
	return n, nil
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
	switch {
	case v.Instance != "" && !v.Multi:
		return nil, failure(400, "VolumeInUse", "%s is already attached to an instance", id)
	case v.State != "available":
		return nil, failure(400, "IncorrectState", "Volume '%s' is not 'available'.", id)
	case v.Zone != i.Zone:
		return nil, failure(400, "InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", id, instanceID)
	case i.State != "running" && i.State != "stopped":
		return nil, failure(400, "IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", instanceID)
	}
	for other, o := range c.home().Volumes {
		if ov, ok := o.as(c.now); ok && ov.Instance == instanceID && ov.Device == device && ov.State != gone {
			return nil, failure(400, "InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use by %s", device, device, other)
		}
	}
	r.forget(c.now)
	r.change(c.now, func(v *volume) {
		v.State, v.Instance, v.Device, v.Attach, v.Attached, v.DeleteOn = "in-use", instanceID, device, "attaching", c.now, false
	})
	r.change(c.now.Add(attachTime), func(v *volume) { v.Attach = "attached" })
	v, _ = r.as(c.now)
	return attachmentOut(id, v), nil
}

func detachVolume(c *call) (map[string]any, error) {
	id := c.str("VolumeId")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	if v.Instance == "" || v.Attach == "detaching" {
		return nil, failure(400, "IncorrectState", "Volume '%s' is in the '%s' state.", id, v.State)
	}
	if want := c.str("InstanceId"); want != "" && want != v.Instance {
		return nil, failure(400, "InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s'.", id, want)
	}
	if want := c.str("Device"); want != "" && want != v.Device {
		return nil, failure(400, "InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'.", id, v.Instance, want)
	}
	if i, ok := c.home().Instances[v.Instance]; ok {
		if now, ok := i.as(c.now); ok && now.Root == v.Device && now.State != "stopped" {
			return nil, failure(400, "OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", id, v.Instance)
		}
	}
	r.forget(c.now)
	r.change(c.now, func(v *volume) { v.Attach = "detaching" })
	v, _ = r.as(c.now)
	r.change(c.now.Add(detachTime), func(v *volume) {
		v.State, v.Instance, v.Device, v.Attach, v.Attached, v.DeleteOn = "available", "", "", "", time.Time{}, false
	})
	return attachmentOut(id, v), nil
}

func deleteVolume(c *call) (map[string]any, error) {
	id := c.str("VolumeId")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	if v.Instance != "" {
		return nil, failure(400, "VolumeInUse", "Volume %s is currently attached to %s", id, v.Instance)
	}
	r.forget(c.now)
	r.change(c.now, func(v *volume) { v.State = gone })
	c.retract(c.ec2ARN("volume", id), c.now)
	c.volumeEvent(c.now, id, "deleteVolume", "deleted")
	return object{}, nil
}

func (c *call) liveSnapshot(id string, at time.Time) (*record[snapshot], snapshot, error) {
	r, ok := c.home().Snapshots[id]
	if ok {
		if s, ok := r.as(at); ok && s.State != gone {
			return r, s, nil
		}
	}
	return nil, snapshot{}, failure(400, "InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func (c *call) snapshotOut(id string, s snapshot) object {
	progress := "100%"
	if s.State == "pending" {
		progress = "0%"
	}
	out := object{"SnapshotId": id, "State": s.State, "StartTime": s.Started, "VolumeId": s.Volume, "VolumeSize": s.Size, "Encrypted": s.Encrypted,
		"Description": s.Text, "OwnerId": c.who.Account, "Progress": progress}
	if s.KeyARN != "" {
		out["KmsKeyId"] = s.KeyARN
	}
	if len(s.Tags) > 0 {
		out["Tags"] = s.Tags.list()
	}
	return out
}

func (c *call) putSnapshot(s snapshot, event, source string) string {
	id := c.id("snap-0", 16)
	s.State = "pending"
	r := newRecord(c.now, s)
	done := c.now.Add(snapshotBase + time.Duration(s.Size)*snapshotPerGiB)
	r.change(done, func(s *snapshot) { s.State = "completed" })
	c.snapshotEvent(done, id, event, source, c.now)
	c.home().Snapshots[id] = r
	return id
}

func createSnapshot(c *call) (map[string]any, error) {
	id := c.str("VolumeId")
	_, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	tags, err := c.newTags("snapshot")
	if err != nil {
		return nil, err
	}
	s := snapshot{State: "pending", Started: c.now, Volume: id, Size: v.Size, Encrypted: v.Encrypted, KeyARN: v.KeyARN, Text: c.str("Description"), Tags: tags, Writes: c.volumeWrites(id, c.now)}
	return c.snapshotOut(c.putSnapshot(s, "createSnapshot", "arn:aws:ec2:"+c.region+"::volume/"+id), s), nil
}

func copySnapshot(c *call) (map[string]any, error) {
	if from := c.str("SourceRegion"); from != c.region {
		return nil, failure(501, "NotImplemented", "The sandbox copies snapshots within a Region only, not from %s to %s.", from, c.region)
	}
	_, source, err := c.liveSnapshot(c.str("SourceSnapshotId"), c.now)
	if err != nil {
		return nil, err
	}
	if source.State != "completed" {
		return nil, failure(400, "IncorrectState", "Snapshot is in invalid state - %s", source.State)
	}
	tags, err := c.newTags("snapshot")
	if err != nil {
		return nil, err
	}
	s := snapshot{State: "pending", Started: c.now, Volume: "vol-ffffffff", Size: source.Size, Encrypted: source.Encrypted || c.bool("Encrypted"), KeyARN: source.KeyARN,
		Text: c.str("Description"), Tags: tags, Writes: source.Writes}
	if s.Encrypted && (s.KeyARN == "" || c.str("KmsKeyId") != "") {
		if s.KeyARN, err = c.encryptionKey(c.str("KmsKeyId")); err != nil {
			return nil, err
		}
	}
	out := object{"SnapshotId": c.putSnapshot(s, "copySnapshot", snapshotARN(c.region, c.str("SourceSnapshotId")))}
	if len(tags) > 0 {
		out["Tags"] = tags.list()
	}
	return out, nil
}

func describeSnapshots(c *call) (map[string]any, error) {
	ids := c.strings("SnapshotIds")
	for _, id := range ids {
		if _, _, err := c.liveSnapshot(id, c.view); err != nil {
			return nil, err
		}
	}
	out := []any{}
	for _, id := range sorted(c.home().Snapshots) {
		s, ok := c.home().Snapshots[id].as(c.view)
		if !ok || s.State == gone || len(ids) > 0 && !slices.Contains(ids, id) {
			continue
		}
		fits, err := c.matches(s.Tags, func(name string) ([]string, bool) {
			switch name {
			case "snapshot-id":
				return []string{id}, true
			case "volume-id":
				return []string{s.Volume}, true
			case "status":
				return []string{s.State}, true
			case "encrypted":
				return []string{strconv.FormatBool(s.Encrypted)}, true
			case "description":
				return []string{s.Text}, true
			case "owner-id":
				return []string{c.who.Account}, true
			}
			return nil, false
		})
		if err != nil {
			return nil, err
		}
		if fits {
			out = append(out, c.snapshotOut(id, s))
		}
	}
	return c.page("Snapshots", out)
}

func deleteSnapshot(c *call) (map[string]any, error) {
	r, _, err := c.liveSnapshot(c.str("SnapshotId"), c.now)
	if err != nil {
		return nil, err
	}
	r.forget(c.now)
	r.change(c.now, func(s *snapshot) { s.State = gone })
	c.retract(snapshotARN(c.region, c.str("SnapshotId")), c.now)
	return object{}, nil
}

func getEncryption(c *call) (map[string]any, error) {
	return object{"EbsEncryptionByDefault": c.home().Encrypt}, nil
}

func enableEncryption(c *call) (map[string]any, error) {
	c.home().Encrypt = true
	return object{"EbsEncryptionByDefault": true}, nil
}

func disableEncryption(c *call) (map[string]any, error) {
	c.home().Encrypt = false
	return object{"EbsEncryptionByDefault": false}, nil
}

func getDefaultKey(*call) (map[string]any, error) {
	return object{"KmsKeyId": ebsAlias}, nil
}
