package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Type is one resource type of the table. library/resources/README.md says what
// each key means.
type Type struct {
	Name    string `yaml:"resourceType"` // AWS::EC2::Volume
	Service string `yaml:"service"`      // botocore's name
	// Global types have one list for all Regions; their items' Region is
	// "global", as in AWS Config.
	Global bool `yaml:"global"`
	List   List `yaml:"list"`
	// Read is the call that reads one resource, with {id} for its id. Without
	// one the list is read and searched.
	Read *Call `yaml:"read"`
	// Region says where a listed resource is, for lists that hold several
	// Regions.
	Region *RegionOf           `yaml:"region"`
	Gone   map[string][]string `yaml:"gone"` // values of members that say that a listed resource is gone

	// Templates over an element.
	ID               string `yaml:"resourceId"`
	Label            string `yaml:"resourceName"`
	ARN              string `yaml:"arn"`
	AvailabilityZone string `yaml:"availabilityZone"`

	CreationTime  string     `yaml:"resourceCreationTime"` // path
	Tags          *Tags      `yaml:"tags"`
	Relationships []Relation `yaml:"relationships"`
	// OmitEmptyLists: a list that an answer lacks is left out of the item.
	OmitEmptyLists bool           `yaml:"omitEmptyLists"`
	Configuration  map[string]any `yaml:"configuration"`
	// Details are further calls for each resource.
	Details []Detail `yaml:"details"`
	// Events are the calls that change a resource, as CloudTrail records them.
	Events []Event `yaml:"events"`
	// Volatile are members that change by themselves, and make no change of the
	// resource.
	Volatile []string `yaml:"volatile"`
	// Unrecorded types are not in AWS Config, which evaluates them all the same.
	Unrecorded bool `yaml:"unrecorded"`

	file string
	conf *value
}

// Call is an operation of the type's service that gives elements.
type Call struct {
	Operation string         `yaml:"operation"`
	Input     map[string]any `yaml:"input"`    // texts are templates
	Items     string         `yaml:"items"`    // path of the elements, as Reservations[].Instances
	NotFound  []string       `yaml:"notFound"` // error codes that mean that the resource is gone
	// Pages is, where the models don't know the operation's pages, the path in
	// an answer of each member of the next page's input.
	Pages map[string]string `yaml:"pages"`
}

// List is the call that lists a type's resources.
type List struct {
	Call `yaml:",inline"`
	// ID is, where the list gives no more than ids, the template of an id; each
	// resource is then read by Read.
	ID string `yaml:"id"`
	// For is, where the list is one of many, what each of them belongs to.
	For *Parents `yaml:"for"`
}

// Parents is the call that lists what has a list of resources each.
type Parents struct {
	Call `yaml:",inline"`
	// As are variables for the templates of the type: paths in a parent.
	As map[string]string `yaml:"as"`
}

// RegionOf finds a listed element's Region: its member, else a call, if there is
// one.
type RegionOf struct {
	Member    string            `yaml:"member"`
	Operation string            `yaml:"operation"`
	Input     map[string]any    `yaml:"input"`
	Path      string            `yaml:"path"`
	Names     map[string]string `yaml:"names"` // what the answer says, where it is not the Region's name; "" for nothing
}

// Tags says where an element or answer has its tags: in a map, or in a list.
type Tags struct {
	Map   string `yaml:"map"`
	Each  string `yaml:"each"`
	Key   string `yaml:"key"`
	Value string `yaml:"value"`
}

// Relation makes relationships from an element.
type Relation struct {
	Each  string `yaml:"each"` // path of a list; empty: the element itself
	Type  string `yaml:"resourceType"`
	ID    string `yaml:"resourceId"`   // path; or
	Label string `yaml:"resourceName"` // path
	Name  string `yaml:"relationshipName"`
}

// Detail is a further call for each resource and what its answer gives.
type Detail struct {
	Service   string         `yaml:"service"` // the type's where empty
	Operation string         `yaml:"operation"`
	Input     map[string]any `yaml:"input"`
	// Unrecorded: AWS Config's items don't have what this gives.
	Unrecorded bool `yaml:"unrecorded"`
	// Absent are the error codes that mean "read, and there is nothing".
	Absent        []string       `yaml:"absent"`
	Configuration map[string]any `yaml:"configuration"`
	Supplementary map[string]any `yaml:"supplementaryConfiguration"`
	Tags          *Tags          `yaml:"tags"`

	conf, supp *value
}

// gives are the members of the item that come from this call.
func (d *Detail) gives() []string {
	var out []string
	for _, name := range d.conf.names() {
		out = append(out, "configuration."+name)
	}
	for _, name := range d.supp.names() {
		out = append(out, "supplementaryConfiguration."+name)
	}
	if d.Tags != nil {
		out = append(out, "tags")
	}
	return out
}

// Table is the resource types that can be read.
type Table struct{ types map[string]*Type }

// Types gives the names of all types, sorted.
func (t *Table) Types() []string { return slices.Sorted(maps.Keys(t.types)) }

// Type gives a type by its name.
func (t *Table) Type(name string) (*Type, bool) {
	typ, ok := t.types[name]
	return typ, ok
}

// Emits gives every path that items of the type can have under configuration
// and supplementaryConfiguration, sorted, elements of lists not marked.
func (t *Type) Emits() []string {
	out := t.conf.paths("configuration")
	for i := range t.Details {
		out = append(out, t.Details[i].conf.paths("configuration")...)
		out = append(out, t.Details[i].supp.paths("supplementaryConfiguration")...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Operations gives the operations that reading the type may call, by service and
// name as ec2:DescribeVolumes, sorted.
func (t *Type) Operations() []string { return t.operations(func(*Detail) bool { return true }) }

// OperationsFor gives those of Operations that are called where rules read some
// members of the type's items.
func (t *Type) OperationsFor(reads []string) []string {
	return t.operations(func(d *Detail) bool { return anyRead(reads, d.gives()) })
}

func (t *Type) operations(called func(*Detail) bool) []string {
	out := []string{t.Service + ":" + t.List.Operation}
	if t.List.For != nil {
		out = append(out, t.Service+":"+t.List.For.Operation)
	}
	if t.Read != nil {
		out = append(out, t.Service+":"+t.Read.Operation)
	}
	if t.Region != nil && t.Region.Operation != "" {
		out = append(out, t.Service+":"+t.Region.Operation)
	}
	for i := range t.Details {
		if d := &t.Details[i]; called(d) {
			out = append(out, d.Service+":"+d.Operation)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// maxTypeBytes bounds a type's file.
const maxTypeBytes = 256 << 10

// LoadTypes reads resources/*.yaml of fsys and checks each operation and each
// member against the API models. The error joins one *knowngood.FileError for
// each problem.
func LoadTypes(fsys fs.FS, catalog *awsapi.Catalog) (*Table, error) {
	files, err := fs.Glob(fsys, "resources/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	table := &Table{types: map[string]*Type{}}
	var problems []error
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, fmt.Errorf("inventory: %w", err)
		}
		t, err := parseType(file, data, catalog)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		table.types[t.Name] = t // the check has bound each file's name to its type's
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return table, nil
}

// parseType reads one type's file. A key that is not known is an error.
func parseType(file string, data []byte, catalog *awsapi.Catalog) (*Type, error) {
	if len(data) > maxTypeBytes {
		return nil, &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: fmt.Sprintf("the file has %d bytes", len(data)), Want: fmt.Sprintf("at most %d", maxTypeBytes)}
	}
	t := &Type{file: file}
	if err := strictyaml.Decode(file, data, t, "a resource type, as library/resources/README.md describes it"); err != nil {
		return nil, err
	}
	c := &checker{file: file, data: data, catalog: catalog, service: t.Service}
	c.check(t)
	return t, errors.Join(c.problems...)
}
