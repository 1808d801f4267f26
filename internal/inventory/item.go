package inventory

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/knowngood/knowngood"
)

// itemVersion is the version of AWS Config's item form.
const itemVersion = "1.3"

// item makes an element's configuration item and reads its details.
func (s *session) item(ctx context.Context, t *Type, f found, id string) *knowngood.Resource {
	element, vars := f.element, maps.Clone(f.vars)
	setID(vars, id)
	r := &knowngood.Resource{
		Version: itemVersion, AccountID: s.place.Account, CaptureTime: s.Clock.Now().UTC(), Status: knowngood.ItemOK, Type: t.Name, ID: id, Region: s.region,
		Tags: map[string]string{}, RelatedEvents: []string{}, Relationships: []knowngood.Relationship{}, Configuration: map[string]any{}, Supplementary: map[string]any{},
	}
	r.Name, _ = fill(t.Label, vars, element)
	r.ARN, _ = fill(t.ARN, vars, element)
	r.AvailabilityZone, _ = fill(t.AvailabilityZone, vars, element)
	if t.CreationTime != "" {
		if created, ok := at(element, t.CreationTime).(time.Time); ok {
			created = created.UTC()
			r.CreationTime = &created
		}
	}
	t.Tags.add(r, element)
	for _, rel := range t.Relationships {
		rel.add(r, element)
	}
	t.conf.merge(r.Configuration, element)
	for i := range t.Details {
		s.detail(ctx, t, &t.Details[i], element, vars, r)
	}
	if t.other != nil {
		for _, path := range t.other.gives() {
			r.Unread = append(r.Unread, knowngood.ReadError{Place: s.where(), Type: t.Name, ID: r.ID, Path: path, Service: t.other.Service, Code: CodeNotCollected, Message: "it is on another item of the resource"})
		}
	}
	return r
}

func (t *Tags) add(r *knowngood.Resource, from any) {
	if t == nil {
		return
	}
	if t.Map != "" {
		tags, _ := at(from, t.Map).(map[string]any)
		for key, v := range tags {
			r.Tags[key], _ = v.(string)
		}
		return
	}
	for _, tag := range elements(from, t.Each) {
		if key, ok := at(tag, t.Key).(string); ok {
			r.Tags[key], _ = at(tag, t.Value).(string)
		}
	}
}

// add adds the relationships that an element has, each once.
func (rel *Relation) add(r *knowngood.Resource, element any) {
	for _, source := range elements(element, rel.Each) {
		edge := knowngood.Relationship{Type: rel.Type, RelationshipName: rel.Name}
		if rel.ID != "" {
			edge.ID, _ = at(source, rel.ID).(string)
		}
		if rel.Label != "" {
			edge.Name, _ = at(source, rel.Label).(string)
		}
		if (edge.ID != "" || edge.Name != "") && !slices.Contains(r.Relationships, edge) {
			r.Relationships = append(r.Relationships, edge)
		}
	}
}

// detail makes one further call for an item, where a rule reads what it gives.
// What its call gives is on the item whole or, where it fails, not at all.
func (s *session) detail(ctx context.Context, t *Type, d *Detail, element any, vars map[string]string, r *knowngood.Resource) {
	gives := d.gives()
	if !s.wanted(t.Name, gives) {
		for _, path := range gives {
			r.Unread = append(r.Unread, knowngood.ReadError{
				Place: s.where(), Type: t.Name, ID: r.ID, Path: path, Service: d.Service, Operation: d.Operation, Code: CodeNotCollected, Message: "no active rule reads it",
			})
		}
		return
	}
	answers, operation, err := s.answers(ctx, d, element, vars)
	if slices.Contains(d.Absent, errorCode(err)) {
		return
	}
	if err != nil {
		for _, path := range gives {
			e := s.readError(t, r.ID, path, operation, err)
			e.Service = d.Service
			r.Unread = append(r.Unread, e)
			s.failed(e)
		}
		return
	}
	for _, answer := range answers {
		d.Tags.add(r, answer)
		d.conf.merge(r.Configuration, answer)
		d.supp.merge(r.Supplementary, answer)
	}
}

// What the mappings of a detail with for see: the answers as a list, each with
// what its call was made for.
const (
	eachAnswer = "Answers"
	answerFor  = "For"
)

// answers makes a detail's calls. With an error comes the operation that failed.
func (s *session) answers(ctx context.Context, d *Detail, element any, vars map[string]string) ([]map[string]any, string, error) {
	if d.For == nil {
		pages, err := s.all(ctx, d, element, vars)
		return pages, d.Operation, err
	}
	each := []any{}
	for page, err := range s.pages(ctx, d.Service, d.For.Operation, input(d.For.Input, vars, element)) {
		if err != nil {
			return nil, d.For.Operation, err
		}
		for _, parent := range elements(page, d.For.Items) {
			vars := maps.Clone(vars)
			for name, path := range d.For.As {
				vars[name], _ = at(parent, path).(string)
			}
			pages, err := s.all(ctx, d, element, vars)
			if slices.Contains(d.Absent, errorCode(err)) {
				continue // it is gone since it was listed
			}
			if err != nil {
				return nil, d.Operation, err
			}
			for _, p := range pages {
				p = maps.Clone(p)
				p[answerFor] = parent
				each = append(each, p)
			}
		}
	}
	return []map[string]any{{eachAnswer: each}}, "", nil
}

// all gives the pages of a detail's call.
func (s *session) all(ctx context.Context, d *Detail, element any, vars map[string]string) (pages []map[string]any, err error) {
	for page, err := range s.pages(ctx, d.Service, d.Operation, input(d.Input, vars, element)) {
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}
