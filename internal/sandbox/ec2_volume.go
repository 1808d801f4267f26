package sandbox

import (
	"slices"
	"strconv"
	"time"
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

	Attachments []attachment `json:"attachments,omitempty"`
	// Writes is what the volume held when it was made; see volumeWrites.
	Writes int64 `json:"writes,omitempty"`
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

func (c *call) volumeOut(id string, v volume) object {
	attachments := []any{}
	for _, a := range v.Attachments {
		attachments = append(attachments, attachmentOut(id, a))
	}
	out := object{
		"VolumeId": id, "State": v.State, "CreateTime": v.Created, "AvailabilityZone": v.Zone, "Size": v.Size, "VolumeType": v.Type,
		"Encrypted": v.Encrypted, "SnapshotId": v.Snapshot, "MultiAttachEnabled": v.Multi, "Attachments": attachments,
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
	return withTags(out, v.Tags)
}

var volumes = kind[volume]{
	key: "Volumes", ids: "VolumeIds", missing: "InvalidVolume.NotFound", what: "volume",
	table:   func(r *region) map[string]*record[volume] { return r.Volumes },
	there:   func(v volume) bool { return v.State != gone },
	tags:    func(v volume) tagSet { return v.Tags },
	filters: volumeFilters(),
	out:     (*call).volumeOut,
}

func volumeFilters() filterTable[volume] {
	attached := func(of func(attachment) string) func(*call, string, volume) []string {
		return func(_ *call, _ string, v volume) []string {
			var out []string
			for _, a := range v.Attachments {
				out = append(out, of(a))
			}
			return out
		}
	}
	return filterTable[volume]{
		"volume-id":            func(_ *call, id string, _ volume) []string { return []string{id} },
		"status":               func(_ *call, _ string, v volume) []string { return []string{v.State} },
		"encrypted":            func(_ *call, _ string, v volume) []string { return boolean(v.Encrypted) },
		"volume-type":          func(_ *call, _ string, v volume) []string { return []string{v.Type} },
		"availability-zone":    func(_ *call, _ string, v volume) []string { return []string{v.Zone} },
		"availability-zone-id": func(_ *call, _ string, v volume) []string { return []string{zoneID(v.Zone)} },
		"snapshot-id":          func(_ *call, _ string, v volume) []string { return []string{v.Snapshot} },
		"size":                 func(_ *call, _ string, v volume) []string { return numeral(v.Size) },
		"create-time":          func(_ *call, _ string, v volume) []string { return []string{moment(v.Created)} },
		"multi-attach-enabled": func(_ *call, _ string, v volume) []string { return boolean(v.Multi) },
		"fast-restored":        func(*call, string, volume) []string { return boolean(false) },
		"operator.managed":     func(*call, string, volume) []string { return boolean(false) },

		"attachment.instance-id":           attached(func(a attachment) string { return a.Instance }),
		"attachment.device":                attached(func(a attachment) string { return a.Device }),
		"attachment.status":                attached(func(a attachment) string { return a.State }),
		"attachment.attach-time":           attached(func(a attachment) string { return moment(a.At) }),
		"attachment.delete-on-termination": attached(func(a attachment) string { return strconv.FormatBool(a.DeleteOn) }),
	}
}

func present(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// volumeKind has the limits of a volume type: sizes in GiB, what IOPS and
// throughput (MiB/s) it takes, and what it has where none is given.
type volumeKind struct {
	minSize, maxSize                    int64
	iops                                bool
	minIops, maxIops, iops1, iopsPerGiB int64
	throughput                          int64 // the most; 0: it takes none
}

// volumeTypes. Source: Amazon EBS User Guide, "Amazon EBS volume types", and
// CreateVolume in the EC2 API reference.
var volumeTypes = map[string]volumeKind{
	"gp2":      {minSize: 1, maxSize: 16384},
	"gp3":      {minSize: 1, maxSize: 65536, iops: true, minIops: 3000, maxIops: 80000, iops1: 3000, iopsPerGiB: 500, throughput: 2000},
	"io1":      {minSize: 4, maxSize: 16384, iops: true, minIops: 100, maxIops: 64000, iopsPerGiB: 50},
	"io2":      {minSize: 4, maxSize: 65536, iops: true, minIops: 100, maxIops: 256000, iopsPerGiB: 1000},
	"st1":      {minSize: 125, maxSize: 16384},
	"sc1":      {minSize: 125, maxSize: 16384},
	"standard": {minSize: 1, maxSize: 1024},
}

func createVolume(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		v, _ := c.home().Volumes[id].as(c.now)
		return c.volumeOut(id, v), nil
	}
	v, err := c.specVolume()
	if err != nil {
		return nil, err
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

// specVolume checks CreateVolume's input and gives the volume that it asks for.
func (c *call) specVolume() (volume, error) {
	v := volume{State: "creating", Created: c.now, Zone: c.str("AvailabilityZone"), Type: c.str("VolumeType"), Snapshot: c.str("SnapshotId"), Encrypted: c.bool("Encrypted"), Multi: c.bool("MultiAttachEnabled")}
	if v.Zone == "" {
		for _, z := range zones(c.region) {
			if zoneID(z) == c.str("AvailabilityZoneId") {
				v.Zone = z
			}
		}
	}
	if !slices.Contains(zones(c.region), v.Zone) {
		return v, failure(400, "InvalidZone.NotFound", "The zone '%s' does not exist.", v.Zone)
	}
	if v.Type == "" {
		v.Type = "gp2"
	}
	v.Size, _ = c.int("Size")
	if err := c.fromSnapshot(&v); err != nil {
		return v, err
	}
	iops, _ := c.int("Iops")
	throughput, _ := c.int("Throughput")
	if err := v.perform(iops, throughput); err != nil {
		return v, err
	}
	if v.Multi && v.Type != "io1" && v.Type != "io2" {
		return v, failure(400, "InvalidParameterCombination", "Multi-Attach is supported by io1 and io2 only")
	}
	v.Encrypted = v.Encrypted || c.home().Encrypt
	var err error
	if v.Encrypted && (v.KeyARN == "" || c.str("KmsKeyId") != "") {
		if v.KeyARN, err = c.ebsKey(c.str("KmsKeyId")); err != nil {
			return v, err
		}
	}
	if !v.Encrypted && c.str("KmsKeyId") != "" {
		return v, failure(400, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	return v, nil
}

// fromSnapshot lets a volume have what its snapshot holds.
func (c *call) fromSnapshot(v *volume) error {
	if v.Snapshot == "" {
		if v.Size == 0 {
			return failure(400, "MissingParameter", "The request must contain the parameter size or snapshotId")
		}
		return nil
	}
	s, err := c.findSnapshot(v.Snapshot, c.now)
	if err != nil {
		return err
	}
	if s.State != "completed" {
		return failure(400, "IncorrectState", "Snapshot is in invalid state - %s", s.State)
	}
	if v.Size == 0 {
		v.Size = s.Size
	}
	if v.Size < s.Size {
		return failure(400, "InvalidParameterValue", "The size of a volume must be at least that of its snapshot, %d GiB", s.Size)
	}
	if _, given := c.in["Encrypted"]; given && !v.Encrypted && s.Encrypted {
		return failure(400, "InvalidParameterDependency", "A volume of the encrypted snapshot %s can't be unencrypted.", v.Snapshot)
	}
	v.Writes = s.Writes
	if s.Encrypted {
		v.Encrypted = true
		if s.Owner == c.who.Account { // another account's key stays there
			v.KeyARN = s.KeyARN
		}
	}
	return nil
}

// perform checks a volume's size, and sets its IOPS and throughput; 0 is what
// was not given.
func (v *volume) perform(iops, throughput int64) error {
	k, ok := volumeTypes[v.Type]
	switch {
	case !ok:
		return failure(400, "InvalidParameterValue", "Invalid volume type '%s'", v.Type)
	case v.Size < k.minSize || v.Size > k.maxSize:
		return failure(400, "InvalidParameterValue", "Volume of %dGiB is out of range for a %s volume; it is from %d to %d GiB.", v.Size, v.Type, k.minSize, k.maxSize)
	case iops != 0 && !k.iops:
		return failure(400, "InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", v.Type)
	case throughput != 0 && k.throughput == 0:
		return failure(400, "InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", v.Type)
	case k.iops && iops == 0 && k.iops1 == 0:
		return failure(400, "MissingParameter", "The request must contain the parameter iops")
	}
	v.Iops, v.Throughput = iops, throughput
	switch {
	case v.Type == "gp2":
		v.Iops = min(max(100, 3*v.Size), 16000)
		return nil
	case !k.iops:
		return nil
	case iops == 0:
		v.Iops = k.iops1
	}
	if k.throughput > 0 && throughput == 0 {
		v.Throughput = 125
	}
	switch {
	case v.Iops < k.minIops:
		return failure(400, "InvalidParameterValue", "Volume iops of %d is too low; minimum is %d.", v.Iops, k.minIops)
	case v.Iops > k.maxIops:
		return failure(400, "InvalidParameterValue", "Volume iops of %d is too high; maximum is %d.", v.Iops, k.maxIops)
	case v.Iops > k.iops1 && v.Iops > v.Size*k.iopsPerGiB:
		return failure(400, "InvalidParameterValue", "Iops to volume size ratio of %d:%d is too high; maximum is %d", v.Iops, v.Size, k.iopsPerGiB)
	case v.Throughput != 0 && (v.Throughput < 125 || v.Throughput > k.throughput):
		return failure(400, "InvalidParameterValue", "Throughput of %d is out of range; it is from 125 to %d MiB/s.", v.Throughput, k.throughput)
	case v.Throughput > 125 && v.Throughput*4 > v.Iops: // 0.25 MiB/s for each IOPS
		return failure(400, "InvalidParameterValue", "Throughput (MiBps) to iops ratio of %d:%d is too high; maximum is 0.25", v.Throughput, v.Iops)
	}
	return nil
}

func deleteVolume(c *call) (map[string]any, error) {
	id := c.str("VolumeId")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	if len(v.Attachments) > 0 {
		return nil, failure(400, "VolumeInUse", "Volume %s is currently attached to %s", id, v.Attachments[0].Instance)
	}
	r.forget(c.now)
	r.change(c.now, func(v *volume) { v.State = gone })
	c.retract(c.ec2ARN("volume", id), c.now)
	c.volumeEvent(c.now, id, "deleteVolume", "deleted")
	return object{}, nil
}
