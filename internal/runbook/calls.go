package runbook

import "github.com/knowngood/knowngood/awsapi"

// StepCall is an operation that a step may call.
type StepCall struct {
	Step      string
	Operation *awsapi.Operation
}

// Calls are the operations that the document's steps may call, in its order. One
// that the catalog doesn't know is left out, for Validate reports it; so is one
// whose name is a reference.
func (d *Document) Calls(cat *awsapi.Catalog) []StepCall {
	var out []StepCall
	for _, s := range d.steps {
		c, ok := s.run.(caller)
		if !ok {
			continue
		}
		for _, site := range c.calls(s) {
			service, err := serviceOf(cat, site.service)
			if err != nil {
				continue
			}
			if op, err := service.Operation(site.operation); err == nil {
				out = append(out, StepCall{s.Name, op})
			}
		}
	}
	return out
}
