package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

type snapshot struct {
	State     string    `json:"state"`
	Started   time.Time `json:"started"`
	Completed time.Time `json:"completed,omitzero"`
	Owner     string    `json:"owner"`
	Volume    string    `json:"volume"`
	Size      int64     `json:"size"`
	Encrypted bool      `json:"encrypted"`
	KeyARN    string    `json:"kmsKeyArn,omitempty"`
	Text      string    `json:"description"`
	Public    bool      `json:"public,omitempty"`
	Users     []string  `json:"users,omitempty"` // accounts that may make volumes of it
	Tags      tagSet    `json:"tags,omitempty"`
	Writes    int64     `json:"writes,omitempty"` // the volume's at the request
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

// findSnapshot gives a snapshot that the caller may read: an own one, one that
// another account shares, or one of a public image.
func (c *call) findSnapshot(id string, at time.Time) (snapshot, error) {
	if _, s, err := c.liveSnapshot(id, at); err == nil {
		return s, nil
	}
	for account := range c.others() {
		if _, s, err := account.liveSnapshot(id, at); err == nil && s.mayUse(c.who.Account, account.sharesPublicly()) {
			return s, nil
		}
	}
	for _, image := range publicImages {
		if image.snapshot(c.region) == id {
			return snapshot{State: "completed", Owner: image.Owner, Size: image.Size, Started: image.Created}, nil
		}
	}
	_, _, err := c.liveSnapshot(id, at)
	return snapshot{}, err
}

// others are the calls as other accounts with the Region would make them, in the
// order of the accounts' ids.
func (c *call) others() func(func(*call) bool) {
	return func(yield func(*call) bool) {
		for _, id := range sorted(c.state.Accounts) {
			if id == c.who.Account || c.state.Accounts[id].Regions[c.region] == nil {
				continue
			}
			at := *c
			at.who.Account = id
			if !yield(&at) {
				return
			}
		}
	}
}

// sharesPublicly says whether public snapshots of the account can be seen.
func (c *call) sharesPublicly() bool { return c.home().EC2.BlockPublic != blockAll }

func (s snapshot) mayUse(account string, public bool) bool {
	return s.Owner == account || slices.Contains(s.Users, account) || s.Public && public
}

func (c *call) snapshotOut(id string, s snapshot) object {
	progress := "100%"
	if s.State == "pending" {
		progress = "0%"
	}
	out := object{"SnapshotId": id, "State": s.State, "StartTime": s.Started, "VolumeId": s.Volume, "VolumeSize": s.Size, "Encrypted": s.Encrypted,
		"Description": s.Text, "OwnerId": s.Owner, "Progress": progress, "StorageTier": "standard"}
	if !s.Completed.IsZero() {
		out["CompletionTime"] = s.Completed
	}
	if s.KeyARN != "" {
		out["KmsKeyId"] = s.KeyARN
	}
	if s.Owner == "amazon" || s.Owner == amazonOwner {
		out["OwnerAlias"] = "amazon"
	}
	if s.Owner == c.who.Account { // tags aren't shared
		return withTags(out, s.Tags)
	}
	return out
}

func (c *call) putSnapshot(s snapshot, event, source string) string {
	id := c.id("snap-0", 16)
	s.State, s.Owner = "pending", c.who.Account
	r := newRecord(c.now, s)
	done := c.now.Add(snapshotBase + time.Duration(s.Size)*snapshotPerGiB)
	r.change(done, func(s *snapshot) { s.State, s.Completed = "completed", done })
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
	if v.State != "available" && v.State != "in-use" {
		return nil, failure(400, "IncorrectState", "Volume '%s' is in the '%s' state.", id, v.State)
	}
	tags, err := c.newTags("snapshot")
	if err != nil {
		return nil, err
	}
	s := c.snapshotOf(id, v, c.str("Description"), tags)
	return c.snapshotOut(c.putSnapshot(s, "createSnapshot", "arn:aws:ec2:"+c.region+"::volume/"+id), s), nil
}

// snapshotOf is what a snapshot of a volume holds at the call.
func (c *call) snapshotOf(id string, v volume, text string, tags tagSet) snapshot {
	return snapshot{State: "pending", Started: c.now, Owner: c.who.Account, Volume: id, Size: v.Size, Encrypted: v.Encrypted, KeyARN: v.KeyARN, Text: text, Tags: tags, Writes: c.volumeWrites(id, c.now)}
}

func copySnapshot(c *call) (map[string]any, error) {
	from := c.str("SourceRegion")
	if !slices.Contains(c.regions, from) {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid. It is no Region of this account.", from)
	}
	sourceID := c.str("SourceSnapshotId")
	source, err := c.inRegion(from).findSnapshot(sourceID, c.now)
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
	s, err := c.copyOf(source, from, c.bool("Encrypted"), c.str("KmsKeyId"))
	if err != nil {
		return nil, err
	}
	s.Text, s.Tags = c.str("Description"), tags
	id := c.putSnapshot(s, "copySnapshot", snapshotARN(from, sourceID))
	return withTags(object{"SnapshotId": id}, tags), nil
}

// copyOf is a copy of a snapshot, encrypted as the source is, as asked for, or
// as the Region does by default. A key stays in its Region and account.
func (c *call) copyOf(source snapshot, from string, encrypt bool, key string) (snapshot, error) {
	s := snapshot{State: "pending", Started: c.now, Owner: c.who.Account, Volume: "vol-ffffffff", Size: source.Size, Encrypted: source.Encrypted || encrypt || c.home().Encrypt, Writes: source.Writes}
	if from == c.region && source.Owner == c.who.Account {
		s.KeyARN = source.KeyARN
	}
	if key != "" && !s.Encrypted {
		return s, failure(400, "InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if !s.Encrypted || s.KeyARN != "" && key == "" {
		return s, nil
	}
	var err error
	s.KeyARN, err = c.ebsKey(key)
	return s, err
}

var snapshots = kind[snapshot]{
	key: "Snapshots", ids: "SnapshotIds", missing: "InvalidSnapshot.NotFound", what: "snapshot",
	table: func(r *region) map[string]*record[snapshot] { return r.Snapshots },
	there: func(s snapshot) bool { return s.State != gone },
	tags:  func(s snapshot) tagSet { return s.Tags },
	filters: filterTable[snapshot]{
		"snapshot-id":  func(_ *call, id string, _ snapshot) []string { return []string{id} },
		"volume-id":    func(_ *call, _ string, s snapshot) []string { return []string{s.Volume} },
		"volume-size":  func(_ *call, _ string, s snapshot) []string { return numeral(s.Size) },
		"status":       func(_ *call, _ string, s snapshot) []string { return []string{s.State} },
		"encrypted":    func(_ *call, _ string, s snapshot) []string { return boolean(s.Encrypted) },
		"description":  func(_ *call, _ string, s snapshot) []string { return []string{s.Text} },
		"owner-id":     func(_ *call, _ string, s snapshot) []string { return []string{s.Owner} },
		"start-time":   func(_ *call, _ string, s snapshot) []string { return []string{moment(s.Started)} },
		"storage-tier": func(*call, string, snapshot) []string { return []string{"standard"} },
		"owner-alias": func(_ *call, _ string, s snapshot) []string {
			if s.Owner == amazonOwner {
				return []string{"amazon"}
			}
			return nil
		},
		"progress": func(_ *call, _ string, s snapshot) []string {
			if s.State == "pending" {
				return []string{"0%"}
			}
			return []string{"100%"}
		},
	},
}

// describeSnapshots answers with the snapshots that the caller may make volumes
// of. OwnerIds and RestorableByUserIds narrow that down. Those behind Amazon's
// images can't be seen, nor can they at AWS.
func describeSnapshots(c *call) (map[string]any, error) {
	fits, err := filtering(c, snapshots.filters)
	if err != nil {
		return nil, err
	}
	all := map[string]snapshot{}
	gather := func(from *call, public bool) {
		for id, s := range table[snapshot](from.home().Snapshots).all(c.view) {
			if s.State != gone && s.mayUse(c.who.Account, public) {
				all[id] = s
			}
		}
	}
	gather(c, true)
	for other := range c.others() {
		gather(other, other.sharesPublicly())
	}
	ids := c.strings("SnapshotIds")
	for _, id := range ids {
		if _, ok := all[id]; !ok {
			return nil, failure(400, "InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
		}
	}
	owners, restorable := c.strings("OwnerIds"), c.strings("RestorableByUserIds")
	var found []held[snapshot]
	for _, id := range sorted(all) {
		s := all[id]
		tags := s.Tags
		if s.Owner != c.who.Account {
			tags = nil
		}
		if (len(ids) == 0 || slices.Contains(ids, id)) && c.ownedBy(owners, s.Owner) && s.restorable(restorable, c.who.Account) && fits(id, s, tags) {
			found = append(found, held[snapshot]{id, s})
		}
	}
	return paged(c, snapshots.key, found, func(e held[snapshot]) any { return c.snapshotOut(e.id, e.v) })
}

// ownedBy says whether an owner is among those asked for: accounts, self, or
// amazon. None is all.
func (c *call) ownedBy(owners []string, owner string) bool {
	return len(owners) == 0 || slices.ContainsFunc(owners, func(o string) bool {
		return o == owner || o == "self" && owner == c.who.Account || o == "amazon" && owner == amazonOwner
	})
}

func (s snapshot) restorable(users []string, self string) bool {
	return len(users) == 0 || slices.ContainsFunc(users, func(u string) bool {
		if u == "self" {
			u = self
		}
		return u == "all" && s.Public || u == s.Owner || slices.Contains(s.Users, u)
	})
}

func deleteSnapshot(c *call) (map[string]any, error) {
	id := c.str("SnapshotId")
	r, _, err := c.liveSnapshot(id, c.now)
	if err != nil {
		return nil, err
	}
	for imageID, img := range c.home().EC2.Images.all(c.now) {
		if img.State != deregistered && slices.ContainsFunc(img.Devices, func(d imageDevice) bool { return d.Snapshot == id }) {
			return nil, failure(400, "InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, imageID)
		}
	}
	r.forget(c.now)
	r.change(c.now, func(s *snapshot) { s.State = gone })
	c.retract(snapshotARN(c.region, id), c.now)
	return object{}, nil
}

func describeSnapshotAttribute(c *call) (map[string]any, error) {
	id := c.str("SnapshotId")
	_, s, err := c.liveSnapshot(id, c.view)
	if err != nil {
		return nil, err
	}
	out := object{"SnapshotId": id}
	switch name := c.str("Attribute"); name {
	case "createVolumePermission":
		list := []any{}
		if s.Public {
			list = append(list, object{"Group": "all"})
		}
		for _, u := range s.Users {
			list = append(list, object{"UserId": u})
		}
		out["CreateVolumePermissions"] = list
	case "productCodes":
		out["ProductCodes"] = []any{}
	default:
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Unknown attribute.", name)
	}
	return out, nil
}

// permissions are what a call adds to and removes from those who may use a
// resource, in both forms that the API has.
type permissions struct {
	add, remove       []string
	public, unpublish bool
}

func (c *call) permissions(member string) (permissions, error) {
	var p permissions
	users, groups := c.strings("UserIds"), c.strings("GroupNames")
	if len(groups) == 0 {
		groups = c.strings("UserGroups")
	}
	all := slices.Contains(groups, "all")
	switch c.str("OperationType") {
	case "add":
		p.add, p.public = users, all
	case "remove":
		p.remove, p.unpublish = users, all
	case "":
		if len(users)+len(groups) > 0 {
			return p, failure(400, "MissingParameter", "The request must contain the parameter operationType")
		}
	}
	changes := c.object(member)
	for _, o := range objects(changes["Add"]) {
		p.public = p.public || o["Group"] == "all"
		p.add = append(p.add, members([]any{o}, "UserId")...)
	}
	for _, o := range objects(changes["Remove"]) {
		p.unpublish = p.unpublish || o["Group"] == "all"
		p.remove = append(p.remove, members([]any{o}, "UserId")...)
	}
	for _, u := range slices.Concat(p.add, p.remove) {
		if !isAccount(u) {
			return p, failure(400, "InvalidUserID.Malformed", "Invalid user id: \"%s\"", u)
		}
	}
	if !p.public && !p.unpublish && len(p.add)+len(p.remove) == 0 {
		return p, failure(400, "MissingParameter", "The request must contain the parameter %s", cmp.Or(member, "operationType"))
	}
	return p, nil
}

func isAccount(id string) bool {
	return len(id) == 12 && !slices.ContainsFunc([]byte(id), func(b byte) bool { return b < '0' || b > '9' })
}

// apply gives the users and the publicity after a change.
func (p permissions) apply(users []string, public bool) ([]string, bool) {
	out := slices.Concat(users, p.add)
	slices.Sort(out)
	out = slices.Compact(slices.DeleteFunc(out, func(u string) bool { return slices.Contains(p.remove, u) }))
	return out, (public || p.public) && !p.unpublish
}

func modifySnapshotAttribute(c *call) (map[string]any, error) {
	id := c.str("SnapshotId")
	r, s, err := c.liveSnapshot(id, c.now)
	if err != nil {
		return nil, err
	}
	if name := c.str("Attribute"); name != "" && !strings.EqualFold(name, "createVolumePermission") {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid. Only createVolumePermission can be modified.", name)
	}
	p, err := c.permissions("CreateVolumePermission")
	if err != nil {
		return nil, err
	}
	switch {
	case p.public && s.Encrypted:
		return nil, failure(400, "OperationNotPermitted", "Encrypted snapshots can't be shared publicly.")
	case p.public && c.home().EC2.BlockPublic != "":
		return nil, failure(400, "OperationNotPermitted", "Public sharing of snapshots is blocked in this Region by %s.", c.home().EC2.BlockPublic)
	case len(p.add) > 0 && s.Encrypted && c.managedByAWS(s.KeyARN):
		return nil, failure(400, "OperationNotPermitted", "Snapshots encrypted with the AWS managed key can't be shared.")
	}
	r.change(c.now, func(s *snapshot) { s.Users, s.Public = p.apply(s.Users, s.Public) })
	return object{}, nil
}

func resetSnapshotAttribute(c *call) (map[string]any, error) {
	r, _, err := c.liveSnapshot(c.str("SnapshotId"), c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(s *snapshot) { s.Users, s.Public = nil, false })
	return object{}, nil
}

// managedByAWS says whether a key is AWS's own of the account.
func (c *call) managedByAWS(arn string) bool {
	_, k, err := c.findKey(arn, c.now)
	return err == nil && k.Manager == "AWS"
}
