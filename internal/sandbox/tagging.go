package sandbox

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// taggedResource is what the Resource Groups Tagging API sees of any service's.
type taggedResource struct {
	ARN  string
	Kind string // as ResourceTypeFilters have it, such as ec2:instance
	Tags tagSet
	put  func(tagSet)
}

// tagger is implemented by the state of a service whose resources have tags.
type tagger interface {
	tagged(c *call, at time.Time) iter.Seq[taggedResource]
}

// states are those of all services in the call's account and Region. What is a
// tagger among them is seen by the tagging API.
func (c *call) states() []any {
	h := c.home()
	return []any{&h.AutoScaling, &h.Backup, &h.CloudTrail, &h.CloudWatch, &h.Config, &h.DynamoDB, &h.EC2, &h.ELB, &h.Events, &h.GuardDuty, &h.Inspector, &h.Lambda,
		&h.Optimizer, &h.RDS, &h.SNS, &h.SQS, &h.SSM, &h.SecurityHub, taggedKeys{h.Keys}, buckets{}}
}

// taggedResources are all resources of the account and Region, by their ARNs.
func (c *call) taggedResources(at time.Time) []taggedResource {
	var out []taggedResource
	for _, s := range c.states() {
		if t, ok := s.(tagger); ok {
			out = slices.AppendSeq(out, t.tagged(c, at))
		}
	}
	slices.SortStableFunc(out, func(a, b taggedResource) int { return strings.Compare(a.ARN, b.ARN) })
	return out
}

// tagged implements tagger.
func (s *ec2State) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for _, k := range taggables {
			for id, tags := range k.all(c, at) {
				r := taggedResource{c.ec2ResourceARN(k.name, id), "ec2:" + k.name, tags, func(t tagSet) {
					if _, put, err := k.find(c, id); err == nil {
						put(t)
					}
				}}
				if !yield(r) {
					return
				}
			}
		}
	}
}

// tagged implements tagger.
func (s *autoscalingState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for name, g := range table[group](c.home().Groups).all(at) {
			put := func(t tagSet) {
				c.home().Groups[name].change(c.now, func(g *group) {
					before := g.Tags
					g.Tags = nil
					for _, k := range sorted(t) {
						n := slices.IndexFunc(before, func(o groupTag) bool { return o.Key == k })
						g.Tags = append(g.Tags, groupTag{k, t[k], n >= 0 && before[n].Propagate})
					}
				})
			}
			if !yield(taggedResource{c.groupARN(name, g), "autoscaling:autoScalingGroup", g.tagSet(), put}) {
				return
			}
		}
	}
}

// buckets are the caller's of the Region.
type buckets struct{}

func (buckets) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for name, b := range table[bucket](c.state.Buckets).all(at) {
			if b.Deleted || b.Owner != c.who.Account || b.Region != c.region {
				continue
			}
			if !yield(taggedResource{c.bucketARN(name), "s3:bucket", b.Tags, func(t tagSet) { c.state.Buckets[name].change(c.now, func(b *bucket) { b.Tags = t }) }}) {
				return
			}
		}
	}
}

// wrong is the tagging API's error for an input.
func wrong(format string, args ...any) error {
	return failure(400, "InvalidParameterException", format, args...)
}

// ofKind says whether a resource is of a type that is asked for: a service, or a
// service and a type.
func (r taggedResource) ofKind(kinds []string) bool {
	service, _, _ := strings.Cut(r.Kind, ":")
	return len(kinds) == 0 || slices.Contains(kinds, service) || slices.Contains(kinds, r.Kind)
}

// hasTags says whether a resource passes all TagFilters: of each it has the key,
// with one of the values if there are any.
func (r taggedResource) hasTags(filters []object) bool {
	for _, f := range filters {
		key, _ := f["Key"].(string)
		v, ok := r.Tags[key]
		if values := texts(f["Values"]); !ok || len(values) > 0 && !slices.Contains(values, v) {
			return false
		}
	}
	return true
}

// getResources answers with the resources that have tags.
func getResources(c *call) (map[string]any, error) {
	filters, kinds, arns := c.objects("TagFilters"), c.strings("ResourceTypeFilters"), c.strings("ResourceARNList")
	if len(arns) > 0 && (len(filters) > 0 || len(kinds) > 0 || c.str("PaginationToken") != "") {
		return nil, wrong("ResourceARNList can't be combined with TagFilters, ResourceTypeFilters or PaginationToken")
	}
	if len(filters) > 50 {
		return nil, wrong("At most 50 TagFilters can be given")
	}
	for _, f := range filters {
		if key, _ := f["Key"].(string); key == "" || len(texts(f["Values"])) > 20 {
			return nil, wrong("A tag filter has a key, and at most 20 values")
		}
	}
	for _, k := range kinds {
		if k == "" || strings.Count(k, ":") > 1 {
			return nil, wrong("The resource type %q is not of the form service[:resourceType]", k)
		}
	}
	var found []taggedResource
	for _, r := range c.taggedResources(c.view) {
		if (len(r.Tags) > 0 || slices.Contains(arns, r.ARN)) && (len(arns) == 0 || slices.Contains(arns, r.ARN)) && r.ofKind(kinds) && r.hasTags(filters) {
			found = append(found, r)
		}
	}
	n, given := c.int("ResourcesPerPage")
	if !given {
		n = 50
	}
	if n < 1 || n > 100 {
		return nil, wrong("ResourcesPerPage is from 1 to 100")
	}
	return tokened(c, n, "ResourceTagMappingList", found, func(r taggedResource) any {
		return object{"ResourceARN": r.ARN, "Tags": r.Tags.list()}
	})
}

// tokened cuts a list by PaginationToken, which the answer always has.
func tokened[T any](c *call, n int64, key string, items []T, render func(T) any) (map[string]any, error) {
	at := *c
	at.in = object{"NextToken": c.str("PaginationToken"), "MaxResults": n}
	out, err := paged(&at, key, items, render)
	if err != nil {
		return nil, failure(400, "PaginationTokenExpiredException", "The PaginationToken is not valid.")
	}
	token, _ := out["NextToken"].(string)
	delete(out, "NextToken")
	out["PaginationToken"] = token
	return out, nil
}

func getTagKeys(c *call) (map[string]any, error) {
	keys := map[string]bool{}
	for _, r := range c.taggedResources(c.view) {
		for k := range r.Tags {
			keys[k] = true
		}
	}
	return tokened(c, 1000, "TagKeys", sorted(keys), func(k string) any { return k })
}

func getTagValues(c *call) (map[string]any, error) {
	values := map[string]bool{}
	for _, r := range c.taggedResources(c.view) {
		if v, ok := r.Tags[c.str("Key")]; ok {
			values[v] = true
		}
	}
	return tokened(c, 1000, "TagValues", sorted(values), func(v string) any { return v })
}

// retag changes the tags of each of a call's resources. What fails has its place
// in the answer; the others are changed. off is 1 to take tags off.
func (c *call) retag(off int, change func(tagSet) tagSet) (map[string]any, error) {
	arns := c.strings("ResourceARNList")
	if len(arns) == 0 || len(arns) > 20 {
		return nil, wrong("ResourceARNList has from 1 to 20 ARNs")
	}
	failed := object{}
	all := map[string]taggedResource{}
	for _, r := range c.taggedResources(c.now) {
		all[r.ARN] = r
	}
	for _, arn := range arns {
		r, ok := all[arn]
		if !ok {
			failed[arn] = object{"StatusCode": int64(400), "ErrorCode": "InvalidParameterException", "ErrorMessage": "The resource " + arn + " does not exist, or can't be tagged."}
			continue
		}
		service, _, _ := strings.Cut(r.Kind, ":")
		if err := c.permit(&need{action: tagAction(service, off), resource: arn}); err != nil {
			failed[arn] = object{"StatusCode": int64(403), "ErrorCode": codeOf(err), "ErrorMessage": err.Error()}
			continue
		}
		next := change(r.Tags)
		if next.own() > maxTags {
			failed[arn] = object{"StatusCode": int64(400), "ErrorCode": "InvalidParameterException", "ErrorMessage": "A resource has at most 50 tags."}
			continue
		}
		r.put(next)
	}
	return object{"FailedResourcesMap": failed}, nil
}

func tagResources(c *call) (map[string]any, error) {
	tags := tagSet{}
	for k, v := range c.object("Tags") {
		text, _ := v.(string)
		if k == "" || len(k) > 128 || len(text) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, wrong("The tag %q is not valid: a key has from 1 to 128 characters and doesn't begin with aws:, a value has at most 256", k)
		}
		tags[k] = text
	}
	if len(tags) == 0 || len(tags) > maxTags {
		return nil, wrong("Tags has from 1 to 50 tags")
	}
	return c.retag(0, func(t tagSet) tagSet { return t.with(tags) })
}

func untagResources(c *call) (map[string]any, error) {
	keys := c.strings("TagKeys")
	if len(keys) == 0 || len(keys) > maxTags {
		return nil, wrong("TagKeys has from 1 to 50 keys")
	}
	return c.retag(1, func(t tagSet) tagSet {
		out := t.with(nil)
		maps.DeleteFunc(out, func(k, _ string) bool { return slices.Contains(keys, k) && !strings.HasPrefix(k, "aws:") })
		return out
	})
}

var taggingHandlers = map[string]handler{
	"GetResources":   {"tag:GetResources", getResources},
	"GetTagKeys":     {"tag:GetTagKeys", getTagKeys},
	"GetTagValues":   {"tag:GetTagValues", getTagValues},
	"TagResources":   {"tag:TagResources", tagResources},
	"UntagResources": {"tag:UntagResources", untagResources},
}
