package rule

import (
	"fmt"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// Check runs the tests that a rule's file holds and gives one error for each
// that fails.
func (d *Definition) Check() []error {
	var failed []error
	for i, t := range d.Tests {
		if err := d.CheckTest(t); err != nil {
			failed = append(failed, fmt.Errorf("%s: test %d, %s: %w", d.Identifier, i+1, t.Name, err))
		}
	}
	return failed
}

// CheckTest runs one of the rule's tests; the error says how it failed.
func (d *Definition) CheckTest(t Test) error {
	r, err := Compile(d, t.Parameters)
	if err != nil {
		return err
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if t.Now != "" {
		if now, err = time.Parse(time.RFC3339, t.Now); err != nil {
			return err
		}
	}
	var others testLookup
	for i := range t.Resources {
		others = append(others, t.Resources[i].resource(d))
	}
	got := r.Evaluate(t.Item.resource(d), now, others)
	if got.Compliance != t.Expect {
		return fmt.Errorf("%s (%s), want %s", got.Compliance, got.Annotation, t.Expect)
	}
	if !strings.Contains(got.Annotation, t.Annotation) {
		return fmt.Errorf("the annotation is %q, want one with %q", got.Annotation, t.Annotation)
	}
	return nil
}

func (t TestItem) resource(d *Definition) *knowngood.Resource {
	r := &knowngood.Resource{
		CreationTime: t.CreationTime, Version: "1.3", AccountID: "111122223333", Region: "eu-west-1", Type: t.Type, ID: t.ID, Name: t.Name, ARN: t.ARN, Status: t.Status, Tags: t.Tags,
	}
	if r.Type == "" {
		r.Type = d.ResourceTypes[0]
	}
	if r.Status == "" {
		r.Status = knowngood.ItemOK
	}
	r.Configuration, _ = jsonLike(t.Configuration).(map[string]any)
	r.Supplementary, _ = jsonLike(t.Supplementary).(map[string]any)
	for _, rel := range t.Relationships {
		r.Relationships = append(r.Relationships, knowngood.Relationship{Type: rel.Type, ID: rel.ID, Name: rel.Name, RelationshipName: rel.Relationship})
	}
	for _, path := range t.Unread {
		r.Unread = append(r.Unread, knowngood.ReadError{Type: r.Type, ID: r.ID, Path: path, Service: "service", Operation: "Read", Code: "AccessDenied"})
	}
	return r
}

// testLookup is a test's other resources.
type testLookup []*knowngood.Resource

// Resource implements Lookup.
func (l testLookup) Resource(resourceType, id string) (*knowngood.Resource, error) {
	for _, r := range l {
		if r.Type == resourceType && (r.ID == id || r.ARN == id && id != "") {
			return r, nil
		}
	}
	return nil, nil
}

// Resources implements Lookup.
func (l testLookup) Resources(resourceType string) ([]*knowngood.Resource, error) {
	var list []*knowngood.Resource
	for _, r := range l {
		if r.Type == resourceType {
			list = append(list, r)
		}
	}
	return list, nil
}
