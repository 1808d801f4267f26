package rule

import (
	"fmt"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/document"
)

// Lookup finds other resources of the item's account and Region, global ones
// among them, for rules that read more than one. Its methods are called while an
// item is evaluated, often more than once with the same arguments; what they give
// isn't changed. A nil Lookup makes every look-up an error, and so
// INSUFFICIENT_DATA.
type Lookup interface {
	// Resource gives a resource, nil if there is none. An error says that it is not
	// known whether there is one.
	Resource(resourceType, id string) (*knowngood.Resource, error)
	// Resources gives all resources of a type. An error says that some may be
	// missing.
	Resources(resourceType string) ([]*knowngood.Resource, error)
}

// subject is what a look-up starts from: an item under evaluation.
type subject struct {
	lookup        Lookup
	relationships []knowngood.Relationship
	projections   map[string]*document.Projection // of the resources that are looked up
}

// find gives a resource, nil if there is none. What of it the rule reads, as of
// says by type, has been read, or there is an error.
func (s *subject) find(of map[string][]string, resourceType, id string) (*knowngood.Resource, error) {
	if s.lookup == nil {
		return nil, fmt.Errorf("there is nothing to look %s up in", resourceType)
	}
	found, err := s.lookup.Resource(resourceType, id)
	if err != nil {
		return nil, fmt.Errorf("%s %s could not be looked up: %w", resourceType, id, err)
	}
	if found != nil && found.Status == knowngood.ItemDeleted {
		return nil, nil
	}
	return found, wasRead(found, of[resourceType])
}

// related gives the resources of a type that the item's relationships name. One
// that isn't found is an error, for the relationship says that it is there.
func (s *subject) related(of map[string][]string, resourceType string) ([]*knowngood.Resource, error) {
	var list []*knowngood.Resource
	for _, rel := range s.relationships {
		if rel.Type != resourceType {
			continue
		}
		id := rel.ID
		if id == "" {
			id = rel.Name
		}
		found, err := s.find(of, resourceType, id)
		if err != nil {
			return nil, err
		}
		if found == nil {
			return nil, fmt.Errorf("%s %s, to which the resource is related, was not found", resourceType, id)
		}
		list = append(list, found)
	}
	return list, nil
}

// all gives every resource of a type.
func (s *subject) all(of map[string][]string, resourceType string) ([]*knowngood.Resource, error) {
	if s.lookup == nil {
		return nil, fmt.Errorf("there is nothing to look %s up in", resourceType)
	}
	found, err := s.lookup.Resources(resourceType)
	if err != nil {
		return nil, fmt.Errorf("the resources of type %s could not be looked up: %w", resourceType, err)
	}
	var list []*knowngood.Resource
	for _, r := range found {
		if r.Status == knowngood.ItemDeleted {
			continue
		}
		if err := wasRead(r, of[resourceType]); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// wasRead gives an error where one of the members could not be read.
func wasRead(r *knowngood.Resource, members []string) error {
	if r == nil {
		return nil
	}
	if why := unread(r.Unread, members); why != "" {
		return fmt.Errorf("of %s %s %s", r.Type, r.ID, why)
	}
	return nil
}

// Among is a Lookup over what a scan of one account and Region collected: all
// resources of some types, save what could not be read.
func Among(types []string, items []knowngood.Resource, failed []knowngood.ReadError) Lookup {
	a := &among{collected: map[string]bool{}, byType: map[string][]*knowngood.Resource{}, byID: map[[2]string]*knowngood.Resource{}, missing: map[string]error{}}
	for _, t := range types {
		a.collected[t] = true
	}
	for i := range items {
		r := &items[i]
		a.byType[r.Type] = append(a.byType[r.Type], r)
		a.byID[[2]string{r.Type, r.ID}] = r
		if r.ARN != "" {
			a.byID[[2]string{r.Type, r.ARN}] = r
		}
	}
	for _, f := range failed {
		if f.Path == "" && a.missing[f.Type] == nil { // else a member is, which the item tells
			a.missing[f.Type] = f
		}
	}
	return a
}

type among struct {
	collected map[string]bool
	byType    map[string][]*knowngood.Resource
	byID      map[[2]string]*knowngood.Resource // by type and id, or ARN
	missing   map[string]error                  // why some of a type may be
}

// Resource implements Lookup.
func (a *among) Resource(resourceType, id string) (*knowngood.Resource, error) {
	if r := a.byID[[2]string{resourceType, id}]; r != nil {
		return r, nil
	}
	return nil, a.incomplete(resourceType)
}

// Resources implements Lookup.
func (a *among) Resources(resourceType string) ([]*knowngood.Resource, error) {
	return a.byType[resourceType], a.incomplete(resourceType)
}

func (a *among) incomplete(resourceType string) error {
	if !a.collected[resourceType] {
		return fmt.Errorf("%s was not collected", resourceType)
	}
	return a.missing[resourceType]
}
