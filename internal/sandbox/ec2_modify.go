package sandbox

import "time"

// modification is a volume's last one.
type modification struct {
	State    string    `json:"state"` // modifying, optimizing, completed
	Started  time.Time `json:"started"`
	Ends     time.Time `json:"ends"`
	Original shape     `json:"original"`
	Target   shape     `json:"target"`
}

// shape is what can be modified of a volume.
type shape struct {
	Size       int64  `json:"size"`
	Type       string `json:"type"`
	Iops       int64  `json:"iops,omitempty"`
	Throughput int64  `json:"throughput,omitempty"`
	Multi      bool   `json:"multiAttach,omitempty"`
}

const (
	modifyingTime  = 5 * time.Second // until the volume has its new shape
	optimizingBase = time.Minute
	optimizePerGiB = time.Second
	// betweenModifications is how long a volume can't be modified again. Source:
	// Amazon EBS User Guide, "Elastic Volumes".
	betweenModifications = 6 * time.Hour
)

func shapeOf(v volume) shape { return shape{v.Size, v.Type, v.Iops, v.Throughput, v.Multi} }

func modifyVolume(c *call) (map[string]any, error) {
	id := c.str("VolumeId")
	r, v, err := c.liveVolume(id, c.now)
	if err != nil {
		return nil, err
	}
	if v.State != "available" && v.State != "in-use" {
		return nil, failure(400, "IncorrectState", "Volume '%s' is in the '%s' state.", id, v.State)
	}
	if _, last, ok := c.home().EC2.Modifications.live(id, c.now); ok {
		if last.State != "completed" {
			return nil, failure(400, "IncorrectModificationState", "Cannot modify volume %s in modification state %s", id, last.State)
		}
		if c.now.Before(last.Started.Add(betweenModifications)) {
			return nil, failure(400, "VolumeModificationRateExceeded", "You've reached the maximum modification rate per volume limit. Wait at least 6 hours between modifications per EBS volume.")
		}
	}
	size, sized := c.int("Size")
	kind := c.str("VolumeType")
	iops, paced := c.int("Iops")
	throughput, piped := c.int("Throughput")
	multi, shared := c.in["MultiAttachEnabled"].(bool)
	if !sized && kind == "" && !paced && !piped && !shared {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter size, volumeType, iops, throughput or multiAttachEnabled")
	}
	next := v
	if sized {
		if size < v.Size {
			return nil, failure(400, "InvalidParameterValue", "New size cannot be smaller than existing size")
		}
		next.Size = size
	}
	if kind == "" || kind == v.Type { // what isn't given stays
		if !paced && volumeTypes[v.Type].iops {
			iops = v.Iops
		}
		if !piped && volumeTypes[v.Type].throughput > 0 {
			throughput = v.Throughput
		}
	} else {
		next.Type = kind
	}
	if err := next.perform(iops, throughput); err != nil {
		return nil, err
	}
	if shared {
		next.Multi = multi
	}
	if next.Multi && next.Type != "io1" && next.Type != "io2" || next.Multi != v.Multi && v.Type == "io1" {
		return nil, failure(400, "InvalidParameterCombination", "Multi-Attach can be enabled for io2 volumes only")
	}
	if next.Multi != v.Multi && len(v.Attachments) > 0 {
		return nil, failure(400, "IncorrectState", "Multi-Attach can't be changed while volume '%s' is attached.", id)
	}
	shaped := c.now.Add(modifyingTime)
	m := modification{State: "modifying", Started: c.now, Ends: shaped.Add(optimizingBase + time.Duration(next.Size)*optimizePerGiB), Original: shapeOf(v), Target: shapeOf(next)}
	mr := c.home().EC2.Modifications.put(id, c.now, m)
	mr.change(shaped, func(m *modification) { m.State = "optimizing" })
	mr.change(m.Ends, func(m *modification) { m.State = "completed" })
	r.change(shaped, func(v *volume) {
		v.Size, v.Type, v.Iops, v.Throughput, v.Multi = next.Size, next.Type, next.Iops, next.Throughput, next.Multi
	})
	c.volumeEvent(shaped, id, "modifyVolume", "optimizing")
	c.volumeEvent(m.Ends, id, "modifyVolume", "completed")
	return object{"VolumeModification": c.modificationOut(id, m)}, nil
}

func (c *call) modificationOut(id string, m modification) object {
	out := object{"VolumeId": id, "ModificationState": m.State, "StartTime": m.Started, "Progress": m.progress(c.view)}
	for prefix, s := range map[string]shape{"Original": m.Original, "Target": m.Target} {
		out[prefix+"Size"], out[prefix+"VolumeType"], out[prefix+"MultiAttachEnabled"] = s.Size, s.Type, s.Multi
		if s.Iops > 0 {
			out[prefix+"Iops"] = s.Iops
		}
		if s.Throughput > 0 {
			out[prefix+"Throughput"] = s.Throughput
		}
	}
	if m.State == "completed" {
		out["EndTime"] = m.Ends
	}
	return out
}

func (m modification) progress(at time.Time) int64 {
	if m.State == "completed" {
		return 100
	}
	return max(0, min(99, int64(100*at.Sub(m.Started)/m.Ends.Sub(m.Started))))
}

var modifications = kind[modification]{
	key: "VolumesModifications", ids: "VolumeIds", missing: "InvalidVolumeModification.NotFound", what: "modification of volume",
	table: func(r *region) map[string]*record[modification] { return r.EC2.Modifications },
	tags:  func(modification) tagSet { return nil },
	out:   (*call).modificationOut,
	filters: filterTable[modification]{
		"volume-id":                  func(_ *call, id string, _ modification) []string { return []string{id} },
		"modification-state":         func(_ *call, _ string, m modification) []string { return []string{m.State} },
		"start-time":                 func(_ *call, _ string, m modification) []string { return []string{moment(m.Started)} },
		"original-size":              func(_ *call, _ string, m modification) []string { return numeral(m.Original.Size) },
		"original-iops":              func(_ *call, _ string, m modification) []string { return numeral(m.Original.Iops) },
		"original-volume-type":       func(_ *call, _ string, m modification) []string { return []string{m.Original.Type} },
		"target-size":                func(_ *call, _ string, m modification) []string { return numeral(m.Target.Size) },
		"target-iops":                func(_ *call, _ string, m modification) []string { return numeral(m.Target.Iops) },
		"target-volume-type":         func(_ *call, _ string, m modification) []string { return []string{m.Target.Type} },
		"originalMultiAttachEnabled": func(_ *call, _ string, m modification) []string { return boolean(m.Original.Multi) },
		"targetMultiAttachEnabled":   func(_ *call, _ string, m modification) []string { return boolean(m.Target.Multi) },
	},
}
