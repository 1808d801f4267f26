package sandbox

import (
	"slices"
	"strings"
	"time"
)

type image struct {
	State    string        `json:"state"` // pending, available, deregistered
	Created  time.Time     `json:"created"`
	Owner    string        `json:"owner"`
	Name     string        `json:"name"`
	Text     string        `json:"description,omitempty"`
	Arch     string        `json:"architecture"`
	Root     string        `json:"rootDevice"`
	Platform string        `json:"platform,omitempty"`
	IMDS     string        `json:"imdsSupport,omitempty"`
	Size     int64         `json:"size,omitempty"` // of a public image's root volume
	Source   string        `json:"sourceInstance,omitempty"`
	From     string        `json:"sourceImage,omitempty"`
	FromAt   string        `json:"sourceRegion,omitempty"`
	Devices  []imageDevice `json:"devices,omitempty"`
	Public   bool          `json:"public,omitempty"`
	Users    []string      `json:"users,omitempty"`
	Tags     tagSet        `json:"tags,omitempty"`
}

// imageDevice is a volume that an image's instances have.
type imageDevice struct {
	Name      string `json:"name"`
	Snapshot  string `json:"snapshot"`
	Size      int64  `json:"size"`
	Type      string `json:"type"`
	Iops      int64  `json:"iops,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"`
	KeepAfter bool   `json:"keepAfterTermination,omitempty"`
}

const (
	deregistered = "deregistered"
	// amazonOwner is the account that owns Amazon's Linux images.
	amazonOwner = "137112412989"
)

// publicImage is an image that anybody may launch, in every Region with the same
// id. (AWS's have another id in each.)
type publicImage struct {
	ID string
	image
}

var publicImages = []publicImage{
	{"ami-0c1a2b3c4d5e6f708", image{Name: "al2023-ami-2023.9.20251110.1-kernel-6.1-x86_64", Text: "Amazon Linux 2023 AMI 2023.9.20251110.1 x86_64 HVM kernel-6.1", Arch: "x86_64", Root: "/dev/xvda", IMDS: "v2.0", Size: 8}},
	{"ami-0d2b3c4d5e6f70819", image{Name: "al2023-ami-2023.9.20251110.1-kernel-6.1-arm64", Text: "Amazon Linux 2023 AMI 2023.9.20251110.1 arm64 HVM kernel-6.1", Arch: "arm64", Root: "/dev/xvda", IMDS: "v2.0", Size: 8}},
	{"ami-0e3c4d5e6f708192a", image{Name: "amzn2-ami-kernel-5.10-hvm-2.0.20251110.0-x86_64-gp2", Text: "Amazon Linux 2 Kernel 5.10 AMI 2.0.20251110.0 x86_64 HVM gp2", Arch: "x86_64", Root: "/dev/xvda", Size: 8}},
	{"ami-0f4d5e6f708192a3b", image{Name: "Windows_Server-2022-English-Full-Base-2025.11.12", Text: "Microsoft Windows Server 2022 Full Locale English AMI", Arch: "x86_64", Root: "/dev/sda1", Platform: "Windows", Size: 30}},
}

// snapshot is the id of the snapshot behind a public image.
func (p publicImage) snapshot(region string) string {
	return "snap-0" + derived(0, p.ID+region, 0)[:16]
}

// in gives a public image as it is in a Region.
func (p publicImage) in(region string) image {
	i := p.image
	i.State, i.Owner, i.Public, i.Created = "available", amazonOwner, true, time.Date(2025, 11, 12, 0, 0, 0, 0, time.UTC)
	kind := "gp2"
	if i.IMDS != "" {
		kind = "gp3"
	}
	i.Devices = []imageDevice{{Name: i.Root, Snapshot: p.snapshot(region), Size: i.Size, Type: kind}}
	return i
}

// mappings are an image's devices as block device mappings.
func (i image) mappings() []object {
	var out []object
	for _, d := range i.Devices {
		ebs := object{"SnapshotId": d.Snapshot, "VolumeSize": d.Size, "VolumeType": d.Type, "DeleteOnTermination": !d.KeepAfter}
		if d.Iops > 0 {
			ebs["Iops"] = d.Iops
		}
		out = append(out, object{"DeviceName": d.Name, "Ebs": ebs})
	}
	return out
}

// findImage gives an image that the caller may launch.
func (c *call) findImage(id string, at time.Time) (image, error) {
	if !strings.HasPrefix(id, "ami-") {
		return image{}, failure(400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
	}
	for _, p := range publicImages {
		if p.ID == id {
			return p.in(c.region), nil
		}
	}
	look := func(from *call) (image, bool) {
		_, img, ok := from.home().EC2.Images.live(id, at)
		return img, ok && img.State != deregistered && (img.Owner == c.who.Account || img.Public || slices.Contains(img.Users, c.who.Account))
	}
	if img, ok := look(c); ok {
		return img, nil
	}
	for other := range c.others() {
		if img, ok := look(other); ok {
			return img, nil
		}
	}
	return image{}, failure(400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// ownImage gives an image of the caller's account, to be changed.
func (c *call) ownImage() (*record[image], image, error) {
	id := c.str("ImageId")
	r, img, ok := c.home().EC2.Images.live(id, c.now)
	if !ok || img.State == deregistered {
		if _, err := c.findImage(id, c.now); err == nil {
			return nil, image{}, failure(403, "AuthFailure", "Not authorized for image:%s", id)
		}
		return nil, image{}, failure(400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
	}
	return r, img, nil
}

func (c *call) imageOut(id string, i image) object {
	mappings := []any{}
	for _, d := range i.Devices {
		ebs := object{"SnapshotId": d.Snapshot, "VolumeSize": d.Size, "VolumeType": d.Type, "Encrypted": d.Encrypted, "DeleteOnTermination": !d.KeepAfter}
		if d.Iops > 0 {
			ebs["Iops"] = d.Iops
		}
		mappings = append(mappings, object{"DeviceName": d.Name, "Ebs": ebs})
	}
	out := object{"ImageId": id, "State": i.State, "OwnerId": i.Owner, "Name": i.Name, "Description": i.Text, "Architecture": i.Arch, "RootDeviceName": i.Root, "RootDeviceType": "ebs",
		"ImageType": "machine", "ImageLocation": i.Owner + "/" + i.Name, "Public": i.Public, "Hypervisor": "xen", "VirtualizationType": "hvm", "EnaSupport": true, "SriovNetSupport": "simple",
		"CreationDate": moment(i.Created), "BlockDeviceMappings": mappings, "PlatformDetails": "Linux/UNIX", "UsageOperation": "RunInstances"}
	if i.Owner == amazonOwner {
		out["ImageOwnerAlias"], out["ImageLocation"] = "amazon", "amazon/"+i.Name
	}
	if i.Platform == "Windows" {
		out["Platform"], out["PlatformDetails"], out["UsageOperation"] = "windows", "Windows", "RunInstances:0002"
	}
	withTexts(out, map[string]string{"ImdsSupport": i.IMDS, "SourceInstanceId": i.Source, "SourceImageId": i.From, "SourceImageRegion": i.FromAt})
	if i.Owner == c.who.Account {
		return withTags(out, i.Tags)
	}
	return out
}

var imageFilters = filterTable[image]{
	"image-id":            func(_ *call, id string, _ image) []string { return []string{id} },
	"name":                func(_ *call, _ string, i image) []string { return []string{i.Name} },
	"description":         func(_ *call, _ string, i image) []string { return []string{i.Text} },
	"state":               func(_ *call, _ string, i image) []string { return []string{i.State} },
	"owner-id":            func(_ *call, _ string, i image) []string { return []string{i.Owner} },
	"architecture":        func(_ *call, _ string, i image) []string { return []string{i.Arch} },
	"is-public":           func(_ *call, _ string, i image) []string { return boolean(i.Public) },
	"platform":            func(_ *call, _ string, i image) []string { return present(strings.ToLower(i.Platform)) },
	"root-device-name":    func(_ *call, _ string, i image) []string { return []string{i.Root} },
	"creation-date":       func(_ *call, _ string, i image) []string { return []string{moment(i.Created)} },
	"source-instance-id":  func(_ *call, _ string, i image) []string { return present(i.Source) },
	"source-image-id":     func(_ *call, _ string, i image) []string { return present(i.From) },
	"source-image-region": func(_ *call, _ string, i image) []string { return present(i.FromAt) },
	"root-device-type":    func(*call, string, image) []string { return []string{"ebs"} },
	"virtualization-type": func(*call, string, image) []string { return []string{"hvm"} },
	"hypervisor":          func(*call, string, image) []string { return []string{"xen"} },
	"image-type":          func(*call, string, image) []string { return []string{"machine"} },
	"ena-support":         func(*call, string, image) []string { return boolean(true) },
	"owner-alias": func(_ *call, _ string, i image) []string {
		if i.Owner == amazonOwner {
			return []string{"amazon"}
		}
		return nil
	},
	"block-device-mapping.snapshot-id": func(_ *call, _ string, i image) []string {
		return eachDevice(i, func(d imageDevice) string { return d.Snapshot })
	},
	"block-device-mapping.device-name": func(_ *call, _ string, i image) []string {
		return eachDevice(i, func(d imageDevice) string { return d.Name })
	},
	"block-device-mapping.volume-type": func(_ *call, _ string, i image) []string {
		return eachDevice(i, func(d imageDevice) string { return d.Type })
	},
	"block-device-mapping.volume-size": func(_ *call, _ string, i image) []string {
		return eachDevice(i, func(d imageDevice) string { return numeral(d.Size)[0] })
	},
	"block-device-mapping.encrypted": func(_ *call, _ string, i image) []string {
		return eachDevice(i, func(d imageDevice) string { return boolean(d.Encrypted)[0] })
	},
}

func eachDevice(i image, of func(imageDevice) string) []string {
	var out []string
	for _, d := range i.Devices {
		out = append(out, of(d))
	}
	return out
}

func describeImages(c *call) (map[string]any, error) {
	fits, err := filtering(c, imageFilters)
	if err != nil {
		return nil, err
	}
	all := map[string]image{}
	gather := func(from *call) {
		for id, i := range from.home().EC2.Images.all(c.view) {
			if i.State != deregistered && (i.Owner == c.who.Account || i.Public || slices.Contains(i.Users, c.who.Account)) {
				all[id] = i
			}
		}
	}
	gather(c)
	for other := range c.others() {
		gather(other)
	}
	for _, p := range publicImages {
		all[p.ID] = p.in(c.region)
	}
	ids := c.strings("ImageIds")
	for _, id := range ids {
		if !strings.HasPrefix(id, "ami-") {
			return nil, failure(400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
		}
		if _, ok := all[id]; !ok {
			return nil, failure(400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
	}
	owners, users := c.strings("Owners"), c.strings("ExecutableUsers")
	var found []held[image]
	for _, id := range sorted(all) {
		i := all[id]
		tags := i.Tags
		if i.Owner != c.who.Account {
			tags = nil
		}
		launchable := snapshot{Owner: i.Owner, Public: i.Public, Users: i.Users}.restorable(users, c.who.Account)
		if (len(ids) == 0 || slices.Contains(ids, id)) && c.ownedBy(owners, i.Owner) && launchable && fits(id, i, tags) {
			found = append(found, held[image]{id, i})
		}
	}
	return paged(c, "Images", found, func(e held[image]) any { return c.imageOut(e.id, e.v) })
}

// imageName refuses names that an image can't have, or that another one has.
func (c *call) imageName(name string) error {
	if len(name) < 3 || len(name) > 128 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_") != "" {
		return failure(400, "InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and ( ) [ ] space . / - ' @ _")
	}
	for id, i := range c.home().EC2.Images.all(c.now) {
		if i.Name == name && i.State != deregistered {
			return failure(400, "InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, id)
		}
	}
	return nil
}

// putImage makes an image that is available once its snapshots are complete.
func (c *call) putImage(i image) string {
	id := c.id("ami-0", 16)
	i.State, i.Created, i.Owner = "pending", c.now, c.who.Account
	ready := c.now
	for _, d := range i.Devices {
		if s := c.home().Snapshots[d.Snapshot]; s != nil && s.Versions[len(s.Versions)-1].At.After(ready) {
			ready = s.Versions[len(s.Versions)-1].At
		}
	}
	ready = ready.Add(imageRegistration)
	r := c.home().EC2.Images.put(id, c.now, i)
	r.change(ready, func(i *image) { i.State = "available" })
	c.emit(ready, "aws.ec2", "EC2 AMI State Change", []string{imageARN(c.region, id)}, object{"RequestId": c.request.ID, "ImageId": id, "State": "available", "ErrorMessage": ""})
	return id
}

// imageRegistration is how long an image is pending after its snapshots are
// complete.
const imageRegistration = 10 * time.Second

func imageARN(region, id string) string { return "arn:aws:ec2:" + region + "::image/" + id }

// createImage makes an image of an instance, which is rebooted unless the call
// says NoReboot: so what it holds is whole.
func createImage(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	r, inst, err := c.liveInstance(id, c.now)
	if err != nil {
		return nil, err
	}
	if inst.State != "running" && inst.State != "stopped" {
		return nil, failure(400, "IncorrectState", "Instance '%s' is not 'running' or 'stopped'.", id)
	}
	if err := c.imageName(c.str("Name")); err != nil {
		return nil, err
	}
	tags, err := c.newTags("image")
	if err != nil {
		return nil, err
	}
	snapshotTags, err := c.newTags("snapshot")
	if err != nil {
		return nil, err
	}
	img := image{Name: c.str("Name"), Text: c.str("Description"), Arch: inst.Arch, Root: inst.Root, Platform: inst.Platform, Source: id, Tags: tags}
	if base, err := c.findImage(inst.Image, c.now); err == nil {
		img.IMDS = base.IMDS
	}
	if inst.State == "running" && !c.bool("NoReboot") {
		r.change(c.now, func(i *instance) { i.reboot(c.now) })
	}
	text := "Created by CreateImage(" + id + ")"
	for _, d := range c.devices(c.now, id)[id] {
		v, _ := c.home().Volumes[d.id].as(c.now)
		snap := c.putSnapshot(c.snapshotOf(d.id, v, text, snapshotTags), "createSnapshot", "arn:aws:ec2:"+c.region+"::volume/"+d.id)
		device := imageDevice{Name: d.on.Device, Snapshot: snap, Size: v.Size, Type: v.Type, Encrypted: v.Encrypted, KeepAfter: !d.on.DeleteOn}
		if v.Type == "io1" || v.Type == "io2" {
			device.Iops = v.Iops
		}
		img.Devices = append(img.Devices, device)
	}
	slices.SortFunc(img.Devices, func(a, b imageDevice) int { return strings.Compare(a.Name, b.Name) })
	return object{"ImageId": c.putImage(img)}, nil
}

func copyImage(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		return object{"ImageId": id}, err
	}
	from, sourceID := c.str("SourceRegion"), c.str("SourceImageId")
	if !slices.Contains(c.regions, from) {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter sourceRegion is invalid. It is no Region of this account.", from)
	}
	there := c.inRegion(from)
	source, err := there.findImage(sourceID, c.now)
	if err != nil {
		return nil, err
	}
	if source.State != "available" {
		return nil, failure(400, "IncorrectState", "The image '%s' is in the '%s' state.", sourceID, source.State)
	}
	if err := c.imageName(c.str("Name")); err != nil {
		return nil, err
	}
	tags, err := c.newTags("image")
	if err != nil {
		return nil, err
	}
	snapshotTags, err := c.newTags("snapshot")
	if err != nil {
		return nil, err
	}
	if c.bool("CopyImageTags") && source.Owner == c.who.Account {
		tags = source.Tags.with(tags)
	}
	img := source
	img.Name, img.Text, img.Tags, img.From, img.FromAt, img.Source, img.Public, img.Users = c.str("Name"), c.str("Description"), tags, sourceID, from, "", false, nil
	var copies []snapshot
	for _, d := range source.Devices {
		s, err := there.findSnapshot(d.Snapshot, c.now)
		if err != nil {
			return nil, err
		}
		s, err = c.copyOf(s, from, c.bool("Encrypted"), c.str("KmsKeyId"))
		if err != nil {
			return nil, err
		}
		s.Text, s.Tags = "Copied for DestinationAmi from SourceAmi "+sourceID+" for SourceSnapshot "+d.Snapshot, snapshotTags
		copies = append(copies, s)
	}
	img.Devices = slices.Clone(source.Devices)
	for n, s := range copies {
		img.Devices[n].Snapshot = c.putSnapshot(s, "copySnapshot", snapshotARN(from, source.Devices[n].Snapshot))
		img.Devices[n].Encrypted = s.Encrypted
	}
	id := c.putImage(img)
	c.remember(id)
	return object{"ImageId": id}, nil
}

func deregisterImage(c *call) (map[string]any, error) {
	r, img, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	id := c.str("ImageId")
	r.forget(c.now)
	r.change(c.now, func(i *image) { i.State = deregistered })
	c.retract(imageARN(c.region, id), c.now)
	c.emit(c.now, "aws.ec2", "EC2 AMI State Change", []string{imageARN(c.region, id)}, object{"RequestId": c.request.ID, "ImageId": id, "State": "deregistered", "ErrorMessage": ""})
	results := []any{}
	if c.bool("DeleteAssociatedSnapshots") {
		for _, d := range img.Devices {
			code := "success"
			if _, err := c.sub(deleteSnapshot, "ec2", "DeleteSnapshot", object{"SnapshotId": d.Snapshot}); err != nil {
				code = "client-error" // it is used by another image
			}
			results = append(results, object{"SnapshotId": d.Snapshot, "ReturnCode": code})
		}
	}
	return object{"Return": true, "DeleteSnapshotResults": results}, nil
}

func describeImageAttribute(c *call) (map[string]any, error) {
	_, img, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	out := object{"ImageId": c.str("ImageId")}
	switch name := c.str("Attribute"); name {
	case "launchPermission":
		list := []any{}
		if img.Public {
			list = append(list, object{"Group": "all"})
		}
		for _, u := range img.Users {
			list = append(list, object{"UserId": u})
		}
		out["LaunchPermissions"] = list
	case "description":
		out["Description"] = object{"Value": img.Text}
	case "imdsSupport":
		out["ImdsSupport"] = object{"Value": img.IMDS}
	default:
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter attribute is invalid.", name)
	}
	return out, nil
}

func modifyImageAttribute(c *call) (map[string]any, error) {
	r, img, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	if v, ok := c.object("Description")["Value"].(string); ok {
		r.change(c.now, func(i *image) { i.Text = v })
		return object{}, nil
	}
	p, err := c.permissions("LaunchPermission")
	if err != nil {
		return nil, err
	}
	if p.public && slices.ContainsFunc(img.Devices, func(d imageDevice) bool { return d.Encrypted }) {
		return nil, failure(400, "InvalidParameterValue", "An image with encrypted snapshots can't be made public.")
	}
	r.change(c.now, func(i *image) { i.Users, i.Public = p.apply(i.Users, i.Public) })
	return object{}, nil
}
