package inventory

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// dated is what CloudTrail puts behind the names of some services' operations:
// CreateFunction20150331.
var dated = regexp.MustCompile(`\d{8}(v\d+)?$`)

// operationOf finds the operation that a CloudTrail event is of. S3's events have
// Bucket or Account in their names where its operations have not, and lack
// Configuration. Source: Amazon S3 User Guide, "Amazon S3 CloudTrail events".
func (t *Type) operationOf(catalog *awsapi.Catalog, name string) *awsapi.Operation {
	names := []string{name, dated.ReplaceAllString(name, "")}
	if t.Service == "s3" || t.Service == "s3control" {
		plain := strings.NewReplacer("Bucket", "", "Account", "").Replace(name)
		names = append(names, plain, name+"Configuration", strings.Replace(name, "Accelerate", "BucketAccelerate", 1))
	}
	for _, name := range names {
		if op, err := catalog.Operation(t.Service, name); err == nil && op.Name == name {
			return op
		}
	}
	return nil
}

// event checks a kind of call against the models.
func (c *checker) event(place string, t *Type, e *Event) {
	if len(e.Names) == 0 || e.Resource == "" {
		c.add(place, "names and resource", "something is missing")
		return
	}
	for i, name := range e.Names {
		place := place + "/names/" + strconv.Itoa(i)
		op := t.operationOf(c.catalog, name)
		switch {
		case e.Source != "":
		case op == nil:
			c.add(place, "CloudTrail's name of an operation of "+t.Service, "there is none for %s", name)
		case op.Class() == awsapi.Read:
			c.add(place, "a call that writes", "%s reads", name)
		default:
			c.eventPaths(place, op, e)
		}
	}
}

// eventPaths checks that the operation has the members that name the resource.
// EC2 and S3 name them otherwise than the models do.
func (c *checker) eventPaths(place string, op *awsapi.Operation, e *Event) {
	paths := placeholders(e.Resource)
	if e.Each != "" {
		paths = []string{e.Each}
	}
	for _, p := range paths {
		side, rest, _ := strings.Cut(p, ".")
		member, _, _ := strings.Cut(rest, ".")
		shape := op.Input
		switch {
		case slices.Contains(variables[:3], p):
			continue
		case side == "responseElements":
			shape = op.Output
		case side != "requestParameters":
			c.add(place, "requestParameters or responseElements", "%s is of neither", p)
			continue
		}
		if slices.Contains([]string{"ec2", "s3", "s3control"}, op.Service.Name) {
			continue
		}
		if shape == nil || !slices.ContainsFunc(shape.Members, func(m awsapi.Member) bool { return lowerFirst(m.Name) == member }) {
			c.add(place, "a member of "+op.Name, "%s has no %s", op.Name, p)
		}
	}
}

// lowerFirst is how CloudTrail writes a member's name.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// volatile checks that the members are those of an item.
func (c *checker) volatile(t *Type) {
	emits := t.Emits()
	for i, path := range t.Volatile {
		if !slices.ContainsFunc(emits, func(p string) bool { return p == path || strings.HasPrefix(p, path+".") }) {
			c.add("volatile/"+strconv.Itoa(i), "a member of the item, as configuration.itemCount", "the items have no %s", path)
		}
	}
}
