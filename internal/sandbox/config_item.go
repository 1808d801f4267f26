package sandbox

import (
	"crypto/md5" //nolint:gosec // it is what Config's items have
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recordingDelay is how long after a change Config has its item. AWS publishes
// no figure; people see seconds to minutes.
const recordingDelay = 10 * time.Second

// item is a configuration item: a resource as Config records it.
type item struct {
	resourceType, id, name, arn, zone, region string
	created                                   time.Time
	tags                                      tagSet
	relations                                 []any
	configuration                             object
	supplementary                             object

	captured time.Time
	status   string // OK, ResourceDiscovered, ResourceDeleted
}

// itemKind is one type of resources that Config records here.
type itemKind struct {
	resourceType string
	ids          func(c *call) []string // of all resources that there ever were
	moments      func(c *call, id string) []time.Time
	at           func(c *call, id string, at time.Time) (item, bool)
}

// kindOf makes an itemKind of a table of resources. look gives a resource's
// item; false: it isn't there. also gives other resources' moments that change
// the item; it may be nil.
func kindOf[T any](resourceType string, all func(*call) map[string]*record[T], look func(c *call, id string, v T, at time.Time) (item, bool), also func(c *call, id string) []time.Time) itemKind {
	return itemKind{
		resourceType: resourceType,
		ids:          func(c *call) []string { return sorted(all(c)) },
		moments: func(c *call, id string) []time.Time {
			var out []time.Time
			if r := all(c)[id]; r != nil {
				out = moments(r)
			}
			if also != nil {
				out = append(out, also(c, id)...)
			}
			return out
		},
		at: func(c *call, id string, at time.Time) (item, bool) {
			r := all(c)[id]
			if r == nil {
				return item{}, false
			}
			v, ok := r.as(at)
			if !ok {
				return item{}, false
			}
			i, ok := look(c, id, v, at)
			i.resourceType = resourceType
			return i, ok
		},
	}
}

func moments[T any](r *record[T]) []time.Time {
	out := make([]time.Time, len(r.Versions))
	for i, v := range r.Versions {
		out[i] = v.At
	}
	return out
}

func relation(resourceType, id, name string) object {
	return object{"resourceType": resourceType, "resourceId": id, "relationshipName": name}
}

// history gives a resource's items up to a time, in their order: one for each
// change that came about while the recorder was on.
func (c *call) history(k itemKind, id string, until time.Time) []item {
	until = until.Add(-recordingDelay)
	all := k.moments(c, id)
	for _, r := range c.home().Config.Recorders {
		all = append(all, moments(r)...)
	}
	slices.SortFunc(all, time.Time.Compare)
	var out []item
	was, there := "", false
	for i, at := range all {
		if at.After(until) || i > 0 && at.Equal(all[i-1]) {
			continue
		}
		if _, r, ok := c.recorder(at); !ok || !r.Recording || !r.records(k.resourceType) {
			continue
		}
		now, ok := k.at(c, id, at)
		now.captured = at.Add(recordingDelay)
		switch text := ""; {
		case ok:
			text = jsonText(object{"c": now.configuration, "s": now.supplementary, "t": now.tags, "r": now.relations})
			if there && text == was {
				continue
			}
			if now.status = "OK"; !there {
				now.status = "ResourceDiscovered"
			}
			was, there = text, true
		case there:
			now = out[len(out)-1]
			now.captured, now.status, now.configuration, now.supplementary, now.relations, now.tags = at.Add(recordingDelay), "ResourceDeleted", nil, nil, nil, nil
			was, there = "", false
		default:
			continue
		}
		out = append(out, now)
	}
	return out
}

// latest gives a resource's last item; false: there is none, or it was deleted.
func (c *call) latest(k itemKind, id string, until time.Time) (item, bool) {
	h := c.history(k, id, until)
	if len(h) == 0 {
		return item{}, false
	}
	last := h[len(h)-1]
	return last, last.status != "ResourceDeleted"
}

func (i item) stateID() string { return strconv.FormatInt(i.captured.UnixMilli(), 10) }

// out is an item as GetResourceConfigHistory has it.
func (i item) out(c *call) object {
	out := i.base(c)
	tags := object{}
	for k, v := range i.tags {
		tags[k] = v
	}
	sum := md5.Sum([]byte(i.stateID() + jsonText(i.configuration))) //nolint:gosec // no secret hangs on it
	out["configurationItemMD5Hash"], out["tags"], out["relatedEvents"], out["relationships"] = hex.EncodeToString(sum[:]), tags, []any{}, i.related()
	return out
}

func (i item) related() []any {
	if i.relations == nil {
		return []any{}
	}
	return i.relations
}

// base is an item as BatchGetResourceConfig has it.
func (i item) base(c *call) object {
	supplementary := object{}
	for k, v := range i.supplementary {
		if s, ok := v.(string); ok {
			supplementary[k] = s
			continue
		}
		supplementary[k] = jsonText(v)
	}
	out := object{"version": "1.3", "accountId": c.who.Account, "configurationItemCaptureTime": i.captured, "configurationItemDeliveryTime": i.captured, "configurationItemStatus": i.status,
		"configurationStateId": i.stateID(), "arn": i.arn, "resourceType": i.resourceType, "resourceId": i.id, "awsRegion": i.regionIn(c), "availabilityZone": i.zone,
		"supplementaryConfiguration": supplementary, "recordingFrequency": "CONTINUOUS"}
	if i.name != "" {
		out["resourceName"] = i.name
	}
	if !i.created.IsZero() {
		out["resourceCreationTime"] = i.created
	}
	if i.configuration != nil {
		out["configuration"] = jsonText(i.configuration)
	}
	return out
}

func (i item) regionIn(c *call) string {
	if i.region != "" {
		return i.region
	}
	return c.region
}

// event is an item as Config hands it to rules, in which configuration and
// supplements are structures.
func (i item) event(c *call) object {
	out := i.out(c)
	for _, name := range []string{"version", "accountId", "arn", "recordingFrequency"} {
		delete(out, name)
	}
	out["configurationItemVersion"], out["awsAccountId"], out["ARN"] = "1.3", c.who.Account, i.arn
	out["configurationStateMd5Hash"] = out["configurationItemMD5Hash"]
	delete(out, "configurationItemMD5Hash")
	out["configuration"] = any(nil)
	if i.configuration != nil {
		out["configuration"] = i.configuration
	}
	supplementary := object{}
	for k, v := range i.supplementary {
		supplementary[k] = v
	}
	out["supplementaryConfiguration"] = supplementary
	return lowerTimes(out).(object)
}

// itemKindOf finds a type; false: the sandbox doesn't record it.
func itemKindOf(resourceType string) (itemKind, bool) {
	i := slices.IndexFunc(itemKinds, func(k itemKind) bool { return k.resourceType == resourceType })
	if i < 0 {
		return itemKind{}, false
	}
	return itemKinds[i], true
}

// recordable says whether the sandbox keeps items of a type.
func recordable(resourceType string) bool {
	_, ok := itemKindOf(resourceType)
	return ok
}

func listDiscovered(c *call) (map[string]any, error) {
	if _, _, ok := c.recorder(c.view); !ok {
		return nil, noRecorder()
	}
	ids, name := c.strings("resourceIds"), c.str("resourceName")
	if len(ids) > 20 {
		return nil, invalid("resourceIds must have at most 20 members")
	}
	if len(ids) > 0 && name != "" {
		return nil, invalid("You can specify either resource IDs or a resource name, but not both, in the same request.")
	}
	k, ok := itemKindOf(c.str("resourceType"))
	list := []any{}
	for _, id := range known(c, k, ok) {
		h := c.history(k, id, c.view)
		if len(h) == 0 {
			continue
		}
		i := h[len(h)-1]
		if i.status == "ResourceDeleted" && !c.bool("includeDeletedResources") || len(ids) > 0 && !slices.Contains(ids, i.id) || name != "" && name != i.name {
			continue
		}
		out := object{"resourceType": i.resourceType, "resourceId": i.id}
		if i.name != "" {
			out["resourceName"] = i.name
		}
		if i.status == "ResourceDeleted" {
			out["resourceDeletionTime"] = i.captured
		}
		list = append(list, out)
	}
	page, next, err := c.configPage(list, 100, 100)
	if err != nil {
		return nil, err
	}
	out := object{"resourceIdentifiers": page}
	if next != "" {
		out["nextToken"] = next
	}
	return out, nil
}

func known(c *call, k itemKind, ok bool) []string {
	if !ok {
		return nil
	}
	return k.ids(c)
}

// find gives the key under which the sandbox has a resource of Config's id.
func (c *call) find(k itemKind, id string, until time.Time) (key string, ok bool) {
	for _, key := range k.ids(c) {
		if key == id {
			return key, true
		}
		if h := c.history(k, key, until); len(h) > 0 && h[0].id == id {
			return key, true
		}
	}
	return "", false
}

func batchGetConfig(c *call) (map[string]any, error) {
	if _, _, ok := c.recorder(c.view); !ok {
		return nil, noRecorder()
	}
	keys := c.objects("resourceKeys")
	if len(keys) < 1 || len(keys) > 100 {
		return nil, invalid("resourceKeys must have from 1 to 100 members")
	}
	found, missed := []any{}, []any{}
	for _, key := range keys {
		resourceType, _ := key["resourceType"].(string)
		id, _ := key["resourceId"].(string)
		if i, ok := c.currentItem(resourceType, id); ok {
			found = append(found, i.base(c))
		} else {
			missed = append(missed, key)
		}
	}
	return object{"baseConfigurationItems": found, "unprocessedResourceKeys": missed}, nil
}

// currentItem is the latest item of a resource by Config's id.
func (c *call) currentItem(resourceType, id string) (item, bool) {
	k, ok := itemKindOf(resourceType)
	if !ok {
		return item{}, false
	}
	key, ok := c.find(k, id, c.view)
	if !ok {
		return item{}, false
	}
	return c.latest(k, key, c.view)
}

func resourceHistory(c *call) (map[string]any, error) {
	if _, _, ok := c.recorder(c.view); !ok {
		return nil, noRecorder()
	}
	resourceType, id := c.str("resourceType"), c.str("resourceId")
	earlier, _ := c.in["earlierTime"].(time.Time)
	later, given := c.in["laterTime"].(time.Time)
	if given && later.Before(earlier) {
		return nil, failure(400, "InvalidTimeRangeException", "The earlier time is not before the later time.")
	}
	k, ok := itemKindOf(resourceType)
	key := ""
	if ok {
		key, ok = c.find(k, id, c.view)
	}
	var h []item
	if ok {
		h = c.history(k, key, c.view)
	}
	if len(h) == 0 {
		return nil, failure(400, "ResourceNotDiscoveredException", "Resource %s of resourceType:%s is unknown or has not been discovered", id, resourceType)
	}
	list := []any{}
	for _, i := range h {
		if !i.captured.Before(earlier) && (!given || !i.captured.After(later)) {
			list = append(list, i.out(c))
		}
	}
	if c.str("chronologicalOrder") != "Forward" {
		slices.Reverse(list)
	}
	page, next, err := c.configPage(list, 10, 100)
	if err != nil {
		return nil, err
	}
	out := object{"configurationItems": page}
	if next != "" {
		out["nextToken"] = next
	}
	return out, nil
}

// escaped writes a policy as IAM's items have it.
func escaped(policy string) string { return strings.ReplaceAll(url.QueryEscape(policy), "+", "%20") }

var configItemHandlers = map[string]handler{
	"BatchGetResourceConfig":   {"config:BatchGetResourceConfig", batchGetConfig},
	"GetResourceConfigHistory": {"config:GetResourceConfigHistory", resourceHistory},
	"ListDiscoveredResources":  {"config:ListDiscoveredResources", listDiscovered},
}
