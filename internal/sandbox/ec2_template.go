package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

type launchTemplate struct {
	Name     string            `json:"name"`
	Created  time.Time         `json:"created"`
	By       string            `json:"by"`
	Default  int64             `json:"default"`
	Latest   int64             `json:"latest"`
	Versions []templateVersion `json:"versions"`
	Tags     tagSet            `json:"tags,omitempty"`
}

type templateVersion struct {
	Template string    `json:"template"` // id
	Number   int64     `json:"number"`
	Text     string    `json:"description,omitempty"`
	Created  time.Time `json:"created"`
	By       string    `json:"by"`
	Data     structure `json:"data"` // in the form of RunInstances's input
}

// tags are what AWS puts on instances of a template.
func (v templateVersion) tags() tagSet {
	if v.Template == "" {
		return nil
	}
	return tagSet{"aws:ec2launchtemplate:id": v.Template, "aws:ec2launchtemplate:version": strconv.FormatInt(v.Number, 10)}
}

// findTemplate gives the template that a structure names by its id or name.
func (c *call) findTemplate(in object) (id string, r *record[launchTemplate], t launchTemplate, err error) {
	id, _ = in["LaunchTemplateId"].(string)
	name, _ := in["LaunchTemplateName"].(string)
	switch {
	case id == "" && name == "":
		return "", nil, t, failure(400, "MissingParameter", "Either the launch template ID or the launch template name must be specified")
	case id != "" && name != "":
		return "", nil, t, failure(400, "InvalidParameterCombination", "Either the launch template ID or the launch template name must be specified, but not both")
	case id != "":
		r, t, ok := c.home().EC2.Templates.live(id, c.now)
		if !ok {
			return "", nil, t, failure(400, "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", id)
		}
		return id, r, t, nil
	}
	for id, t := range c.home().EC2.Templates.all(c.now) {
		if t.Name == name {
			return id, c.home().EC2.Templates[id], t, nil
		}
	}
	return "", nil, t, failure(400, "InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
}

// version gives a version by its number, $Latest or $Default; empty is $Default.
func (t launchTemplate) version(text string) (templateVersion, error) {
	n := t.Default
	switch text {
	case "", "$Default":
	case "$Latest":
		n = t.Latest
	default:
		var err error
		if n, err = strconv.ParseInt(text, 10, 64); err != nil {
			return templateVersion{}, failure(400, "InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", text)
		}
	}
	for _, v := range t.Versions {
		if v.Number == n {
			return v, nil
		}
	}
	return templateVersion{}, failure(400, "InvalidLaunchTemplateId.VersionNotFound", "Could not find launch template version %s", text)
}

// withTemplate puts the input of RunInstances over the template that it names.
func (c *call) withTemplate(in object) (object, templateVersion, error) {
	spec, _ := in["LaunchTemplate"].(object)
	if spec == nil {
		return in, templateVersion{}, nil
	}
	_, _, t, err := c.findTemplate(spec)
	if err != nil {
		return nil, templateVersion{}, err
	}
	text, _ := spec["Version"].(string)
	v, err := t.version(text)
	if err != nil {
		return nil, v, err
	}
	return overTemplate(v.Data, in), v, nil
}

// overTemplate puts an input over a template's data. Of structures each member
// counts, of devices and tags each by its name.
func overTemplate(base, in object) object {
	out := maps.Clone(base)
	if out == nil {
		out = object{}
	}
	_, moved := in["NetworkInterfaces"]
	for _, member := range []string{"SubnetId", "SecurityGroupIds", "SecurityGroups"} {
		if _, ok := in[member]; ok { // where it goes is of one mind
			delete(out, "NetworkInterfaces")
		}
		if moved {
			delete(out, member)
		}
	}
	for k, v := range in {
		switch k {
		case "BlockDeviceMappings":
			out[k] = anys(mergedBy("DeviceName", objects(out[k]), objects(v)))
			continue
		case "TagSpecifications":
			out[k] = anys(mergedTags(objects(out[k]), objects(v)))
			continue
		}
		inner, ok := v.(object)
		below, both := out[k].(object)
		if ok && both {
			below = maps.Clone(below)
			maps.Copy(below, inner)
			out[k] = below
			continue
		}
		out[k] = v
	}
	return out
}

func mergedTags(base, over []object) []object {
	out := slices.Clone(base)
	for _, o := range over {
		n := slices.IndexFunc(out, func(b object) bool { return b["ResourceType"] == o["ResourceType"] })
		if n < 0 {
			out = append(out, o)
			continue
		}
		out[n] = object{"ResourceType": o["ResourceType"], "Tags": anys(mergedBy("Key", objects(out[n]["Tags"]), objects(o["Tags"])))}
	}
	return out
}

func (c *call) templateOut(id string, t launchTemplate) object {
	return withTags(object{"LaunchTemplateId": id, "LaunchTemplateName": t.Name, "CreateTime": t.Created, "CreatedBy": t.By, "DefaultVersionNumber": t.Default, "LatestVersionNumber": t.Latest}, t.Tags)
}

func templateVersionOut(id string, t launchTemplate, v templateVersion) object {
	out := object{"LaunchTemplateId": id, "LaunchTemplateName": t.Name, "VersionNumber": v.Number, "CreateTime": v.Created, "CreatedBy": v.By, "DefaultVersion": v.Number == t.Default, "LaunchTemplateData": object(v.Data)}
	if v.Text != "" {
		out["VersionDescription"] = v.Text
	}
	return out
}

func createTemplate(c *call) (map[string]any, error) {
	if id, err := c.once(); err != nil || id != "" {
		if err != nil {
			return nil, err
		}
		_, t, _ := c.home().EC2.Templates.live(id, c.now)
		return object{"LaunchTemplate": c.templateOut(id, t)}, nil
	}
	name := c.str("LaunchTemplateName")
	if len(name) < 3 || len(name) > 128 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()./_-") != "" {
		return nil, failure(400, "InvalidLaunchTemplateName.MalformedException", "Launch template names must be between 3 and 128 characters long, and may contain letters, numbers, and ( ) . / _ -")
	}
	for _, t := range c.home().EC2.Templates.all(c.now) {
		if t.Name == name {
			return nil, failure(400, "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
	}
	tags, err := c.newTags("launch-template")
	if err != nil {
		return nil, err
	}
	id := c.id("lt-0", 16)
	t := launchTemplate{Name: name, Created: c.now, By: c.who.ARN, Default: 1, Latest: 1, Tags: tags,
		Versions: []templateVersion{{Template: id, Number: 1, Text: c.str("VersionDescription"), Created: c.now, By: c.who.ARN, Data: structure(c.object("LaunchTemplateData"))}}}
	c.home().EC2.Templates.put(id, c.now, t)
	c.remember(id)
	return object{"LaunchTemplate": c.templateOut(id, t)}, nil
}

func createTemplateVersion(c *call) (map[string]any, error) {
	id, r, t, err := c.findTemplate(c.in)
	if err != nil {
		return nil, err
	}
	if made, err := c.once(); err != nil || made != "" {
		if err != nil {
			return nil, err
		}
		v, err := t.version(made)
		return object{"LaunchTemplateVersion": templateVersionOut(id, t, v)}, err
	}
	values := c.object("LaunchTemplateData")
	if source := c.str("SourceVersion"); source != "" {
		base, err := t.version(source)
		if err != nil {
			return nil, err
		}
		values = maps.Clone(object(base.Data))
		maps.Copy(values, c.object("LaunchTemplateData")) // a member that is given replaces the source's
	}
	v := templateVersion{Template: id, Number: t.Latest + 1, Text: c.str("VersionDescription"), Created: c.now, By: c.who.ARN, Data: structure(values)}
	r.change(c.now, func(t *launchTemplate) {
		t.Latest, t.Versions = v.Number, append(slices.Clip(t.Versions), v)
	})
	c.remember(strconv.FormatInt(v.Number, 10))
	return object{"LaunchTemplateVersion": templateVersionOut(id, t, v)}, nil
}

func modifyTemplate(c *call) (map[string]any, error) {
	id, r, t, err := c.findTemplate(c.in)
	if err != nil {
		return nil, err
	}
	if text := c.str("DefaultVersion"); text != "" {
		v, err := t.version(text)
		if err != nil {
			return nil, err
		}
		r.change(c.now, func(t *launchTemplate) { t.Default = v.Number })
		t.Default = v.Number
	}
	return object{"LaunchTemplate": c.templateOut(id, t)}, nil
}

func deleteTemplate(c *call) (map[string]any, error) {
	id, r, t, err := c.findTemplate(c.in)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{"LaunchTemplate": c.templateOut(id, t)}, nil
}

func deleteTemplateVersions(c *call) (map[string]any, error) {
	id, r, t, err := c.findTemplate(c.in)
	if err != nil {
		return nil, err
	}
	done, refused := []any{}, []any{}
	for _, text := range c.strings("Versions") {
		v, err := t.version(text)
		if err != nil || v.Number == t.Default {
			reason := object{"Code": "launchTemplateVersionDoesNotExist", "Message": "The version does not exist."}
			if err == nil {
				reason = object{"Code": "unexpectedError", "Message": fmt.Sprintf("Version %d is the default version; it can't be deleted.", v.Number)}
			}
			n, _ := strconv.ParseInt(text, 10, 64)
			refused = append(refused, object{"LaunchTemplateId": id, "LaunchTemplateName": t.Name, "VersionNumber": n, "ResponseError": reason})
			continue
		}
		r.change(c.now, func(t *launchTemplate) {
			t.Versions = slices.DeleteFunc(slices.Clone(t.Versions), func(o templateVersion) bool { return o.Number == v.Number })
		})
		done = append(done, object{"LaunchTemplateId": id, "LaunchTemplateName": t.Name, "VersionNumber": v.Number})
	}
	return object{"SuccessfullyDeletedLaunchTemplateVersions": done, "UnsuccessfullyDeletedLaunchTemplateVersions": refused}, nil
}

var templates = kind[launchTemplate]{
	key: "LaunchTemplates", ids: "LaunchTemplateIds", missing: "InvalidLaunchTemplateId.NotFound", what: "launch template",
	table: func(r *region) map[string]*record[launchTemplate] { return r.EC2.Templates },
	tags:  func(t launchTemplate) tagSet { return t.Tags },
	out:   (*call).templateOut,
	filters: filterTable[launchTemplate]{
		"launch-template-name": func(_ *call, _ string, t launchTemplate) []string { return []string{t.Name} },
		"create-time":          func(_ *call, _ string, t launchTemplate) []string { return []string{moment(t.Created)} },
	},
}

func describeTemplates(c *call) (map[string]any, error) {
	found, err := templates.find(c)
	if err != nil {
		return nil, err
	}
	names := c.strings("LaunchTemplateNames")
	for _, name := range names {
		if !slices.ContainsFunc(found, func(e held[launchTemplate]) bool { return e.v.Name == name }) {
			return nil, failure(400, "InvalidLaunchTemplateName.NotFoundException", "At least one of the launch templates specified in the request does not exist.")
		}
	}
	found = slices.DeleteFunc(found, func(e held[launchTemplate]) bool { return len(names) > 0 && !slices.Contains(names, e.v.Name) })
	return paged(c, templates.key, found, func(e held[launchTemplate]) any { return c.templateOut(e.id, e.v) })
}

// versionFilters are DescribeLaunchTemplateVersions's.
var versionFilters = filterTable[templateVersion]{
	"create-time":   func(_ *call, _ string, v templateVersion) []string { return []string{moment(v.Created)} },
	"image-id":      func(_ *call, _ string, v templateVersion) []string { return v.text("ImageId") },
	"instance-type": func(_ *call, _ string, v templateVersion) []string { return v.text("InstanceType") },
	"http-tokens": func(_ *call, _ string, v templateVersion) []string {
		m, _ := v.Data["MetadataOptions"].(object)
		s, _ := m["HttpTokens"].(string)
		return present(s)
	},
	"http-endpoint": func(_ *call, _ string, v templateVersion) []string {
		m, _ := v.Data["MetadataOptions"].(object)
		s, _ := m["HttpEndpoint"].(string)
		return present(s)
	},
	"ebs-optimized": func(_ *call, _ string, v templateVersion) []string { return boolean(v.Data["EbsOptimized"] == true) },
	"iam-instance-profile": func(_ *call, _ string, v templateVersion) []string {
		p, _ := v.Data["IamInstanceProfile"].(object)
		return slices.Concat(members([]any{p}, "Arn"), members([]any{p}, "Name"))
	},
}

func (v templateVersion) text(member string) []string {
	s, _ := v.Data[member].(string)
	return present(s)
}

func describeTemplateVersions(c *call) (map[string]any, error) {
	fits, err := filtering(c, versionFilters)
	if err != nil {
		return nil, err
	}
	wanted := c.strings("Versions")
	type found struct {
		id string
		t  launchTemplate
		v  templateVersion
	}
	var list []found
	if c.str("LaunchTemplateId") == "" && c.str("LaunchTemplateName") == "" {
		// Of all templates only the latest or the default version can be asked for.
		for _, w := range wanted {
			if w != "$Latest" && w != "$Default" {
				return nil, failure(400, "MissingParameter", "Either the launch template ID or the launch template name must be specified")
			}
		}
		if len(wanted) == 0 {
			return nil, failure(400, "MissingParameter", "Either the launch template ID or the launch template name must be specified, or the versions $Latest or $Default")
		}
		for id, t := range c.home().EC2.Templates.all(c.view) {
			for _, w := range wanted {
				if v, err := t.version(w); err == nil {
					list = append(list, found{id, t, v})
				}
			}
		}
	} else {
		id, r, t, err := c.findTemplate(c.in)
		if err != nil {
			return nil, err
		}
		if stale, ok := r.as(c.view); ok {
			t = stale
		}
		low, high, err := c.versionRange()
		if err != nil {
			return nil, err
		}
		for _, w := range wanted {
			v, err := t.version(w)
			if err != nil {
				return nil, err
			}
			list = append(list, found{id, t, v})
		}
		if len(wanted) == 0 {
			for _, v := range slices.Backward(t.Versions) { // the newest first
				if v.Number >= low && v.Number <= high {
					list = append(list, found{id, t, v})
				}
			}
		}
	}
	list = slices.DeleteFunc(list, func(f found) bool { return !fits(f.id, f.v, nil) })
	return paged(c, "LaunchTemplateVersions", list, func(f found) any { return templateVersionOut(f.id, f.t, f.v) })
}

// versionRange reads MinVersion and MaxVersion.
func (c *call) versionRange() (low, high int64, err error) {
	low, high = 1, 1<<62
	for member, to := range map[string]*int64{"MinVersion": &low, "MaxVersion": &high} {
		text := c.str(member)
		if text == "" {
			continue
		}
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, 0, failure(400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid.", text, member)
		}
	}
	return low, high, nil
}
