package rule

import (
	"strings"
	"unsafe"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// envelope lists an item's members as expressions see them.
func envelope(to []document.Named, r *knowngood.Resource) []document.Named {
	to = append(to,
		document.Named{Name: "accountId", Value: &r.AccountID}, document.Named{Name: "awsRegion", Value: &r.Region},
		document.Named{Name: "resourceType", Value: &r.Type}, document.Named{Name: "resourceId", Value: &r.ID},
		document.Named{Name: "configurationItemStatus", Value: (*string)(&r.Status)}, document.Named{Name: "tags", Value: r.Tags},
		document.Named{Name: "configuration", Value: r.Configuration}, document.Named{Name: "supplementaryConfiguration", Value: r.Supplementary},
	)
	for _, optional := range [3]struct {
		name string
		text *string
	}{{"arn", &r.ARN}, {"resourceName", &r.Name}, {"availabilityZone", &r.AvailabilityZone}} {
		if *optional.text != "" {
			to = append(to, document.Named{Name: optional.name, Value: optional.text})
		}
	}
	if r.CreationTime != nil {
		to = append(to, document.Named{Name: "resourceCreationTime", Value: *r.CreationTime})
	}
	if len(r.Relationships) > 0 {
		list := make([]any, len(r.Relationships))
		for i := range r.Relationships {
			rel := &r.Relationships[i]
			members := []document.Named{{Name: "resourceType", Value: &rel.Type}, {Name: "relationshipName", Value: &rel.RelationshipName}}
			if rel.ID != "" {
				members = append(members, document.Named{Name: "resourceId", Value: &rel.ID})
			}
			if rel.Name != "" {
				members = append(members, document.Named{Name: "resourceName", Value: &rel.Name})
			}
			list[i] = members
		}
		to = append(to, document.Named{Name: "relationships", Value: list})
	}
	return to
}

// viewed looks at bytes as a text, which is not kept.
func viewed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// inline makes an item as AWS's API gives it, with the configuration and the
// members of the supplementary configuration as JSON text, one that has them as
// they are.
func (w *Sweep) inline(item []byte) []byte {
	d := &w.probe
	if err := d.Parse(item, nil); err != nil {
		return item
	}
	out := []byte{'{'}
	for name, v := range d.Members(d.Root()) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(appendName(out, name), ':')
		switch {
		case name == "configuration":
			out = appendDecoded(out, d, v)
		case name == "supplementaryConfiguration" && d.Kind(v) == document.Object:
			out = append(out, '{')
			for member, m := range d.Members(v) {
				if out[len(out)-1] != '{' {
					out = append(out, ',')
				}
				out = appendDecoded(append(appendName(out, member), ':'), d, m)
			}
			out = append(out, '}')
		default:
			out = d.AppendJSON(out, v)
		}
	}
	return append(out, '}')
}

// appendDecoded appends what a string holds where that is JSON, else the value.
func appendDecoded(to []byte, d *document.Document, n document.Node) []byte {
	if d.Kind(n) == document.String {
		var inner document.Document
		if err := inner.Parse([]byte(d.Text(n)), nil); err == nil {
			return inner.AppendJSON(to, inner.Root())
		}
	}
	return d.AppendJSON(to, n)
}

func appendName(to []byte, name string) []byte {
	var d document.Document
	if err := d.Build(name, nil); err != nil { // a text always builds
		return to
	}
	return d.AppendJSON(to, d.Root())
}

// resourceOf reads an item as Go's values.
func resourceOf(item []byte, d *document.Document) (*knowngood.Resource, error) {
	if err := d.Parse(item, nil); err != nil {
		return nil, err
	}
	root := d.Root()
	if d.Kind(root) != document.Object {
		return nil, errNoObject
	}
	member := func(names ...string) string {
		for _, name := range names {
			if s := textOf(d, d.Member(root, name)); s != "" {
				return strings.Clone(s)
			}
		}
		return ""
	}
	object := func(name string) map[string]any {
		m, _ := d.Value(d.Member(root, name)).(map[string]any)
		return m
	}
	r := &knowngood.Resource{
		AccountID: member("accountId", "awsAccountId"), Region: member("awsRegion"), Type: member("resourceType"), ID: member("resourceId"), Name: member("resourceName"),
		ARN: member("arn", "ARN"), AvailabilityZone: member("availabilityZone"), Status: knowngood.ItemStatus(member("configurationItemStatus")),
		Configuration: object("configuration"), Supplementary: object("supplementaryConfiguration"), Tags: map[string]string{},
	}
	if t := timeFrom(node(d, 0, d.Member(root, "resourceCreationTime"))); t.kind == kindTime {
		at := t.time()
		r.CreationTime = &at
	}
	for name, v := range object("tags") {
		if s, ok := v.(string); ok {
			r.Tags[name] = s
		}
	}
	r.Relationships = relationshipsOf(d, d.Member(root, "relationships"), nil)
	var err error
	if n := d.Member(root, "unread"); n != 0 && d.Kind(n) != document.Null {
		r.Unread, err = unreadOf(d, n)
	}
	return r, err
}

// relationshipsOf appends an item's relationships; what is none is left out.
func relationshipsOf(d *document.Document, n document.Node, to []knowngood.Relationship) []knowngood.Relationship {
	if d.Kind(n) != document.Array {
		return to
	}
	for e := range d.Elements(n) {
		if d.Kind(e) != document.Object {
			continue
		}
		member := func(name string) string { return strings.Clone(textOf(d, d.Member(e, name))) }
		to = append(to, knowngood.Relationship{Type: member("resourceType"), ID: member("resourceId"), Name: member("resourceName"), RelationshipName: member("relationshipName")})
	}
	return to
}
