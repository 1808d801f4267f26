package inventory

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/planned"
)

// PlannedItem is the configuration item that AWS Config would record of a resource
// once it is made. What of it is not known is Unread, with the reason as message.
type PlannedItem struct {
	Item knowngood.Resource
	From *planned.Resource
}

// Codes of what is Unread of a PlannedItem.
const (
	CodeUnknown   = "Unknown"   // it is known only once it is deployed
	CodeNotMapped = "NotMapped" // no mapping gives it
)

// Items makes the items of a plan's resources that have a mapping. reads are the
// members that the rules read, by type of the item: those that the mapping does not
// give are Unread.
func (f *Forms) Items(p *planned.Plan, place knowngood.Place, table *Table, reads map[string][]string, now time.Time) []PlannedItem {
	var out []PlannedItem
	for i := range p.Resources {
		r := &p.Resources[i]
		m := f.byType[r.Type]
		if m == nil {
			continue
		}
		item := m.item(r, place, now)
		for j := range m.Beside {
			m.Beside[j].merge(&item, r, p)
		}
		strip(&item, "configuration", item.Configuration)
		strip(&item, "supplementaryConfiguration", item.Supplementary)
		if r.Doubt != "" {
			notRead(&item, "", CodeUnknown, r.Doubt)
		}
		for _, member := range f.Missing(r.Type, reads[m.itemType], table) {
			notRead(&item, member, CodeNotMapped, "no mapping from the properties of "+r.Type+" gives it")
		}
		out = append(out, PlannedItem{item, r})
	}
	return out
}

// item makes an item of a resource's own properties.
func (m *form) item(r *planned.Resource, place knowngood.Place, now time.Time) knowngood.Resource {
	item := knowngood.Resource{
		Version: itemVersion, AccountID: place.Account, CaptureTime: now.UTC(), Status: knowngood.ItemOK, Type: m.itemType, ID: r.ID, Name: r.ID, ARN: r.ARN, Region: place.Region,
		Tags: map[string]string{}, RelatedEvents: []string{}, Relationships: []knowngood.Relationship{}, Configuration: map[string]any{}, Supplementary: map[string]any{},
	}
	if r.Region != "" {
		item.Region = r.Region
	}
	if r.ARN != "" && m.ID == "arn" {
		item.ID = r.ARN
	} else if m.ID != "" && m.ID != "arn" {
		id, ok := fill(m.ID, nil, r.Properties)
		if !ok {
			notRead(&item, "resourceId", CodeUnknown, "it is not known before it is made")
		}
		item.ID = id
	}
	if r.ARN == "" {
		notRead(&item, "arn", CodeUnknown, "it is not known before it is made")
	}
	if r.Unnamed != "" {
		// The id is still that of no other resource, which is all that rules ask of it.
		notRead(&item, "resourceName", CodeUnknown, r.Unnamed)
	}
	m.tags(&item, r.Properties)
	m.conf.merge(item.Configuration, r.Properties)
	m.supp.merge(item.Supplementary, r.Properties)
	return item
}

// tags adds the tags; where one isn't known, none of them is.
func (m *form) tags(item *knowngood.Resource, properties map[string]any) {
	if m.Tags == nil {
		return
	}
	from := at(properties, m.Tags.Map+m.Tags.Each)
	if u, ok := planned.Find(from); ok {
		notRead(item, "tags", CodeUnknown, u.Why)
		return
	}
	add := func(key, value any) {
		if k, ok := scalarText(key); ok {
			item.Tags[k], _ = scalarText(value)
		}
	}
	switch from := from.(type) {
	case map[string]any:
		for k, v := range from {
			add(k, v)
		}
	case []any:
		for _, tag := range from {
			add(at(tag, m.Tags.Key), at(tag, m.Tags.Value))
		}
	}
}

func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

// merge adds what resources of the type say of another. One whose reference isn't
// known may be about any, and one that may not be made may say nothing.
func (b *beside) merge(item *knowngood.Resource, of *planned.Resource, p *planned.Plan) {
	for i := range p.Resources {
		r := &p.Resources[i]
		if r.Type != b.Type || !b.where(r) {
			continue
		}
		target := at(r.Properties, b.Of)
		unknown, isUnknown := planned.Find(target)
		about := slices.ContainsFunc(elements(target, "."), func(v any) bool {
			s, ok := v.(string)
			return ok && of.Names(s)
		})
		why := ""
		switch {
		case isUnknown && !about:
			why = "it is not known whether " + r.Address + " is about it: " + unknown.Why
		case !about && of.Unnamed != "" && !refersWithin(p, target):
			why = "it is not known whether " + r.Address + " is about it: " + of.Unnamed
		case !about:
			continue
		case r.Doubt != "":
			why = r.Doubt
		case r.Maybe != "":
			why = "it is not known whether " + r.Address + " is made: " + r.Maybe
		}
		if why == "" && b.Replace {
			b.conf.merge(item.Configuration, r.Properties)
			b.supp.merge(item.Supplementary, r.Properties)
			continue
		}
		if why == "" {
			b.conf.add(item.Configuration, r.Properties)
			b.supp.add(item.Supplementary, r.Properties)
			continue
		}
		for _, name := range b.conf.names() {
			item.Configuration[name] = planned.Unknown{Why: why}
		}
		for _, name := range b.supp.names() {
			item.Supplementary[name] = planned.Unknown{Why: why}
		}
	}
}

// refersWithin says whether each of some texts refers to a resource of the plan.
func refersWithin(p *planned.Plan, target any) bool {
	return !slices.ContainsFunc(elements(target, "."), func(v any) bool {
		s, _ := v.(string)
		return !slices.ContainsFunc(p.Resources, func(r planned.Resource) bool { return r.Names(s) })
	})
}

// where says whether the resource is one of those that are meant.
func (b *beside) where(r *planned.Resource) bool {
	for path, want := range b.Where {
		have := at(r.Properties, path)
		if _, unknown := have.(planned.Unknown); !unknown && have != want {
			return false
		}
	}
	return true
}

// add adds an answer's members to those of an object: objects are made one, lists
// follow one another, and other values are replaced. What isn't known stays so, save
// what the plan leaves to the provider because another resource states it.
func (v *value) add(into map[string]any, answer any) {
	if v == nil {
		return
	}
	made, _ := v.make(answer).(map[string]any)
	addTo(into, made)
}

func addTo(into, made map[string]any) {
	for name, more := range made {
		switch have := into[name].(type) {
		case planned.Unknown:
			if have.Unset {
				into[name] = more
			}
		case map[string]any:
			if more, ok := more.(map[string]any); ok {
				have = maps.Clone(have)
				addTo(have, more)
				into[name] = have
				continue
			}
			into[name] = more
		case []any:
			if more, ok := more.([]any); ok {
				into[name] = slices.Concat(have, more)
				continue
			}
			into[name] = more
		default:
			into[name] = more
		}
	}
}

// strip takes what isn't known out of a value and notes it as unread. It says
// whether the value itself is to be taken out.
func strip(item *knowngood.Resource, path string, v any) bool {
	switch v := v.(type) {
	case planned.Unknown:
		notRead(item, path, CodeUnknown, v.Why)
		return true
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if strip(item, path+"."+name, v[name]) {
				delete(v, name)
			}
		}
	case []any:
		for i, e := range v {
			if strip(item, path, e) {
				v[i] = nil
			}
		}
	}
	return false
}

// notRead notes a member that isn't known.
func notRead(item *knowngood.Resource, path, code, why string) {
	e := knowngood.ReadError{
		Place: knowngood.Place{Account: item.AccountID, Region: item.Region}, Type: item.Type, ID: item.ID, Path: path, Service: "plan", Operation: "Properties", Code: code, Message: why,
	}
	if !slices.Contains(item.Unread, e) {
		item.Unread = append(item.Unread, e)
	}
}
