// Package planned holds what a template or plan would make: resources with their
// properties, before there is any of them. A value that only the deployment
// knows is an Unknown, and stays one in everything that is made of it. The package
// reads Terraform's plans; CloudFormation's templates are read by
// internal/template, and internal/inventory makes configuration items of both.
package planned

import (
	"strings"

	"github.com/knowngood/knowngood"
)

// MaxDepth bounds how deeply values may be nested.
const MaxDepth = 64

// Unknown is a value that is known only once the deployment has made it, or that
// could not be worked out. It is never taken for an absent one.
type Unknown struct {
	Why string // such as "the parameter Vpc has no value"
	// Unset: the plan states no value, and the provider chooses one.
	Unset bool
}

// Resource is one that would be made.
type Resource struct {
	knowngood.Position // where it is declared; for a plan the file alone
	// Type is CloudFormation's AWS::S3::Bucket, or Terraform's aws_s3_bucket.
	Type string
	// Address is the logical id, or Terraform's address.
	Address string
	// ID is the id that references to the resource give: what is stated as its name,
	// else a text with the address in place of what the deployment will choose.
	ID string
	// ARN is likewise; empty where the form is not known.
	ARN string
	// Unnamed says why it is not known what its name is, where one is stated.
	Unnamed string
	// Region is where it is made, where that is not the plan's.
	Region string
	// Properties are values of encoding/json's kinds, integers as int64, with
	// Unknowns among them.
	Properties map[string]any
	// Doubt says why all of it may be otherwise, such as by a macro; empty: it is so.
	Doubt string
	// Maybe says why it may not be made at all; empty: it is made.
	Maybe string
}

// Names says whether a text refers to the resource: by its id, ARN or address.
func (r *Resource) Names(text string) bool {
	return text != "" && (text == r.ID || text == r.ARN || text == "${"+r.Address+"}")
}

// Plan is what a file would make.
type Plan struct {
	File      string
	Resources []Resource
	// NotEvaluated are parts that could not be read, such as nested stacks.
	NotEvaluated []Note
	// Notes say what was taken for granted.
	Notes []Note
}

// Note is a remark about a place of the file.
type Note struct {
	knowngood.Position
	Text string
}

// Reference says how resources of a type refer to one that doesn't exist yet. In
// its templates {id} stands for the name that is stated, else for the address in
// ${}; {partition}, {region} and {account} for the place.
type Reference struct {
	CloudFormation string `yaml:"cloudformation"` // type; empty: none
	Terraform      string `yaml:"terraform"`
	Name           string `yaml:"name"`  // CloudFormation's property that states the name
	Label          string `yaml:"label"` // Terraform's argument that does
	ID             string `yaml:"id"`    // template; {id} where empty
	ARN            string `yaml:"arn"`   // template; empty: not known
	// Ref is "arn" where Ref, or Terraform's id, gives the ARN.
	Ref string `yaml:"ref"`
	// Attributes are further attributes that give the id or ARN, by name: "id", "arn".
	Attributes map[string]string `yaml:"attributes"`
}

// Of makes a resource's id and ARN. name is what is stated as its name; empty:
// nothing.
func (f Reference) Of(place knowngood.Place, address, name string) (id, arn string) {
	id = name
	if id == "" {
		form := f.ID
		if form == "" {
			form = "{id}"
		}
		id = strings.ReplaceAll(form, "{id}", "${"+address+"}")
	}
	arn = strings.NewReplacer("{partition}", place.Partition, "{region}", place.Region, "{account}", place.Account, "{id}", id).Replace(f.ARN)
	return id, arn
}

// Attribute is what an attribute of a resource gives; false where its form is not
// known.
func (f Reference) Attribute(name, id, arn string) (string, bool) {
	what := f.Attributes[name]
	switch {
	case what == "id" || what == "" && (name == f.Name || name == f.Label) && name != "":
		return id, true
	case what == "arn" || what == "" && (name == "Arn" || name == "arn"):
		return arn, arn != ""
	}
	return "", false
}

// Given is what a reference to the resource itself gives: Ref, or Terraform's id.
func (f Reference) Given(id, arn string) string {
	if f.Ref == "arn" && arn != "" {
		return arn
	}
	return id
}

// Find gives the first Unknown in a value.
func Find(v any) (Unknown, bool) {
	switch v := v.(type) {
	case Unknown:
		return v, true
	case []any:
		for _, e := range v {
			if u, ok := Find(e); ok {
				return u, true
			}
		}
	case map[string]any:
		for _, e := range v {
			if u, ok := Find(e); ok {
				return u, true
			}
		}
	}
	return Unknown{}, false
}
