package sandbox

import (
	"iter"
	"slices"
	"strings"
	"time"
)

// taggable is one kind of resource of EC2 that has tags.
type taggable struct {
	prefix, name string // of ids; in TagSpecifications and ARNs
	all          func(c *call, at time.Time) iter.Seq2[string, tagSet]
	// find gives the tags of a resource, and what puts others in their place.
	find func(c *call, id string) (tagSet, func(tagSet), error)
}

func taggableOf[T any](prefix, name string, k *kind[T], tags func(*T) *tagSet) taggable {
	return taggable{prefix, name, func(c *call, at time.Time) iter.Seq2[string, tagSet] {
		return func(yield func(string, tagSet) bool) {
			for id, v := range table[T](k.table(c.home())).all(at) {
				if (k.there == nil || k.there(v)) && !yield(id, k.tags(v)) {
					return
				}
			}
		}
	}, func(c *call, id string) (tagSet, func(tagSet), error) {
		r, v, err := k.now(c, id)
		return k.tags(v), func(t tagSet) { r.change(c.now, func(v *T) { *tags(v) = t }) }, err
	}}
}

var images = kind[image]{
	missing: "InvalidAMIID.NotFound", what: "image",
	table: func(r *region) map[string]*record[image] { return r.EC2.Images },
	there: func(i image) bool { return i.State != deregistered },
	tags:  func(i image) tagSet { return i.Tags },
}

// taggables are the kinds that have tags, by prefix.
var taggables = []taggable{
	taggableOf("ami", "image", &images, func(i *image) *tagSet { return &i.Tags }),
	taggableOf("eipalloc", "elastic-ip", &addresses, func(a *address) *tagSet { return &a.Tags }),
	taggableOf("fl", "vpc-flow-log", &flowLogs, func(f *flowLog) *tagSet { return &f.Tags }),
	taggableOf("i", "instance", &instances, func(i *instance) *tagSet { return &i.Tags }),
	taggableOf("lt", "launch-template", &templates, func(t *launchTemplate) *tagSet { return &t.Tags }),
	taggableOf("sg", "security-group", &securityGroups, func(g *securityGroup) *tagSet { return &g.Tags }),
	{"sgr", "security-group-rule", ruleTags, findRuleTags},
	taggableOf("snap", "snapshot", &snapshots, func(s *snapshot) *tagSet { return &s.Tags }),
	taggableOf("subnet", "subnet", &subnets, func(s *subnet) *tagSet { return &s.Tags }),
	taggableOf("vol", "volume", &volumes, func(v *volume) *tagSet { return &v.Tags }),
	taggableOf("vpc", "vpc", &vpcs, func(v *vpc) *tagSet { return &v.Tags }),
}

func ruleTags(c *call, at time.Time) iter.Seq2[string, tagSet] {
	return func(yield func(string, tagSet) bool) {
		for _, g := range table[securityGroup](c.home().SecurityGroups).all(at) {
			for _, r := range g.Rules {
				if !yield(r.ID, r.Tags) {
					return
				}
			}
		}
	}
}

func findRuleTags(c *call, id string) (tagSet, func(tagSet), error) {
	for gid, g := range table[securityGroup](c.home().SecurityGroups).all(c.now) {
		n := slices.IndexFunc(g.Rules, func(r groupRule) bool { return r.ID == id })
		if n < 0 {
			continue
		}
		return g.Rules[n].Tags, func(t tagSet) {
			c.home().SecurityGroups[gid].change(c.now, func(g *securityGroup) {
				g.Rules = slices.Clone(g.Rules)
				g.Rules[n].Tags = t
			})
		}, nil
	}
	return nil, nil, failure(400, "InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

func createTags(c *call) (map[string]any, error) {
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, failure(400, "MissingParameter", "The request must contain the parameter Tags")
	}
	return c.eachTagged(func(t tagSet) tagSet { return t.with(tags) })
}

// deleteTags deletes tags by their keys, or where a value is given too only if
// the tag has it. Without tags it deletes all but AWS's own.
func deleteTags(c *call) (map[string]any, error) {
	tags := c.objects("Tags")
	for _, o := range tags {
		if k, _ := o["Key"].(string); strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, failure(400, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	return c.eachTagged(func(t tagSet) tagSet {
		out := t.with(nil)
		for k := range out {
			if len(tags) == 0 && !strings.HasPrefix(k, "aws:") {
				delete(out, k)
			}
		}
		for _, o := range tags {
			k, _ := o["Key"].(string)
			if v, given := o["Value"].(string); !given || out[k] == v {
				delete(out, k)
			}
		}
		return out
	})
}

// eachTagged changes the tags of all of a call's resources, or of none.
func (c *call) eachTagged(fn func(tagSet) tagSet) (map[string]any, error) {
	var changes []func()
	for _, id := range c.strings("Resources") {
		prefix, _, _ := strings.Cut(id, "-")
		n := slices.IndexFunc(taggables, func(t taggable) bool { return t.prefix == prefix })
		if n < 0 {
			return nil, failure(400, "InvalidID", "The ID '%s' is not valid", id)
		}
		tags, put, err := taggables[n].find(c, id)
		if err != nil {
			return nil, err
		}
		next := fn(tags)
		if next.own() > maxTags {
			return nil, failure(400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
		changes = append(changes, func() { put(next) })
	}
	for _, change := range changes {
		change()
	}
	return object{}, nil
}

// maxTags is how many tags a resource has, AWS's own not counted.
const maxTags = 50

// own counts the tags that aren't AWS's.
func (t tagSet) own() int {
	n := 0
	for k := range t {
		if !strings.HasPrefix(k, "aws:") {
			n++
		}
	}
	return n
}

// tagOf is one tag of a resource.
type tagOf struct{ id, kind, key, value string }

func describeTags(c *call) (map[string]any, error) {
	fits, err := filtering(c, filterTable[tagOf]{
		"key":           func(_ *call, _ string, t tagOf) []string { return []string{t.key} },
		"value":         func(_ *call, _ string, t tagOf) []string { return []string{t.value} },
		"resource-id":   func(_ *call, id string, _ tagOf) []string { return []string{id} },
		"resource-type": func(_ *call, _ string, t tagOf) []string { return []string{t.kind} },
	})
	if err != nil {
		return nil, err
	}
	var found []tagOf
	for _, kind := range taggables {
		for id, tags := range kind.all(c, c.view) {
			for _, k := range sorted(tags) {
				if t := (tagOf{id, kind.name, k, tags[k]}); fits(id, t, tags) {
					found = append(found, t)
				}
			}
		}
	}
	return paged(c, "Tags", found, func(t tagOf) any {
		return object{"ResourceId": t.id, "ResourceType": t.kind, "Key": t.key, "Value": t.value}
	})
}
