package remedy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// overlay is what the writes of a way would have changed: the resources that
// they name, and the values that rest on it.
type overlay struct {
	written map[string]bool // ids and names
	assumed map[string]bool // references: "Step.Output", "variable:Name"
	writes  []planned       // in order
}

func (o overlay) clone() overlay {
	out := overlay{map[string]bool{}, map[string]bool{}, slices.Clone(o.writes)}
	for k := range o.written {
		out.written[k] = true
	}
	for k := range o.assumed {
		out.assumed[k] = true
	}
	return out
}

func (o overlay) fingerprint() string {
	var keys []string
	for k := range o.written {
		keys = append(keys, "w"+k)
	}
	for k := range o.assumed {
		keys = append(keys, "a"+k)
	}
	slices.Sort(keys)
	return strings.Join(keys, "\x00")
}

// assume says whether a value is taken for what only the run will show.
func (o overlay) assume(reference string, assumed bool) {
	if assumed {
		o.assumed[reference] = true
	} else {
		delete(o.assumed, reference)
	}
}

// wrote notes the resources that a write names: the texts of members that hold
// ids, ARNs or names. One that names none is of the Region's settings of its
// service.
func (o *overlay) wrote(op *awsapi.Operation, in map[string]any) {
	o.writes = append(o.writes, planned{op, in})
	named := false
	for k, v := range in {
		if namesResource(k) {
			walkText(v, func(s string) { o.written[s], named = true, true })
		}
	}
	if !named {
		o.written[settings(op)] = true
	}
}

// settings stands for what a service has in a Region that no id names.
func settings(op *awsapi.Operation) string { return "settings of " + op.Service.Name }

func namesResource(member string) bool {
	for _, end := range []string{"Id", "Ids", "Arn", "ARN", "Arns", "ARNList", "Name", "Names", "Resources", "Bucket", "Identifier", "Url"} {
		if strings.HasSuffix(member, end) {
			return true
		}
	}
	return false
}

// touches says whether a read names what was written or is yet to be made; one
// without input reads a service's settings.
func (o overlay) touches(op *awsapi.Operation, in map[string]any) bool {
	found := len(in) == 0 && o.written[settings(op)]
	walkText(in, func(s string) { found = found || o.written[s] || strings.Contains(s, refOpen) })
	return found
}

// record adds a call to the way's part and gives its id. A call that the part
// has already, from another way, is the same call.
func (e *exploration) record(w *way, step string, op *awsapi.Operation, class knowngood.CallClass, in map[string]any, assumed bool) string {
	return e.recordAt(w, step, step, e.req.Place.Account, e.req.Place.Region, op, class, in, assumed)
}

// recordAt is record for a call to any account and Region. Of the calls that a
// step makes, those with the same mark and template are the same.
func (e *exploration) recordAt(w *way, step, mark, account, region string, op *awsapi.Operation, class knowngood.CallClass, in map[string]any, assumed bool) string {
	call := knowngood.Call{Step: step, Class: class, Service: op.Service.Name, Operation: op.Name,
		Account: account, Region: region, Input: toTemplate(in), Assumed: assumed, Actions: op.IAMActions(in)}
	id, known := e.number(w, mark, call)
	if known {
		return id
	}
	call.ID = id
	e.need(call.Actions)
	if class == knowngood.Write {
		row, known := e.Operations[op.Service.Name+":"+op.Name]
		switch {
		case !known:
			call.Effect = knowngood.Irreversible
			e.incomplete("%s:%s is not in the table of write operations", op.Service.Name, op.Name)
		case row.Effect == knowngood.Irreversible && e.ownWork(op, in):
			// What the plan itself made, it may remove.
			call.Effect, call.Inverse = knowngood.Reversible, "it was made by this plan"
		default:
			call.Effect, call.Inverse = row.Effect, row.Inverse
		}
		e.lineage.made[id] = row.Inverse
	}
	w.part.calls = append(w.part.calls, call)
	return id
}

// number gives a call's id, and says whether the part has the call already.
func (e *exploration) number(w *way, mark string, c knowngood.Call) (id string, known bool) {
	key := strings.Join([]string{w.part.name, mark, c.Account, c.Region, c.Service + ":" + c.Operation, text(c.Input)}, "\x00")
	if id, known = e.ids[key]; known {
		return id, true
	}
	if c.Class == knowngood.Write {
		e.lineage.writes++
		id = "w" + strconv.Itoa(e.lineage.writes)
	} else {
		e.lineage.reads++
		id = "r" + strconv.Itoa(e.lineage.reads)
	}
	e.ids[key] = id
	return id, false
}

// put adds a call of which all is known to the way's part, unless the part has it,
// and gives its id.
func (e *exploration) put(w *way, mark string, c knowngood.Call) string {
	id, known := e.number(w, mark, c)
	if !known {
		c.ID = id
		e.need(c.Actions)
		w.part.calls = append(w.part.calls, c)
	}
	return id
}

// ownWork says whether a write only removes what the plan itself has made: each
// resource that it names is the id that an earlier write of the plan brings, in
// the member of that name, and the table has this operation as that write's
// inverse.
func (e *exploration) ownWork(op *awsapi.Operation, in map[string]any) bool {
	names := 0
	for member, v := range in {
		if !namesResource(member) {
			continue
		}
		names++
		s, _ := v.(string)
		made, whole := wholePlaceholder(s)
		if !whole || made.Path != member || e.lineage.made[made.From] != op.Service.Name+":"+op.Name {
			return false
		}
	}
	return names > 0
}

// need notes the IAM actions of a call, whichever part it is in: the role that
// may fix must also be able to go back.
func (e *exploration) need(actions []string) {
	for _, a := range actions {
		e.actions[a] = true
	}
}

// respond makes up the response of a planned write from its output shape:
// inputs that it echoes, and placeholders for the texts that only the real
// response will bring.
func (e *exploration) respond(op *awsapi.Operation, in map[string]any, id string) map[string]any {
	out, _ := respondShape(op.Output, in, id, "", 0).(map[string]any)
	if out == nil {
		out = map[string]any{}
	}
	if list, ok := madeLists[op.Service.Name+":"+op.Name]; ok {
		out[list.member] = list.elements(op.Output.Member(list.member).Shape, in, id)
	}
	if op.Service.Name == "lambda" && op.Name == "Invoke" {
		// The payload of the answer is no echo, and there is an error only where the
		// function fails.
		delete(out, "FunctionError")
		out["StatusCode"], out["Payload"] = int64(200), placeholder(ref{id, "Payload"})
	}
	return out
}

// madeList is a member of a response that lists what a write makes, and the input
// that says how many there are.
type madeList struct{ member, count string }

var madeLists = map[string]madeList{"ec2:RunInstances": {"Instances", "MinCount"}}

func (l madeList) elements(s *awsapi.Shape, in map[string]any, id string) []any {
	n, ok := in[l.count].(int64)
	if !ok || n < 1 {
		n = 1
	}
	out := []any{}
	for i := range min(n, 100) {
		out = append(out, respondShape(s.Elem.Shape, nil, id, l.member+"."+strconv.FormatInt(i, 10), 1))
	}
	return out
}

func respondShape(s *awsapi.Shape, in map[string]any, id, path string, depth int) any {
	if s == nil || s.Type != awsapi.Structure || depth > 3 {
		return nil
	}
	out := map[string]any{}
	for i := range s.Members {
		m := &s.Members[i]
		at := m.Name
		if path != "" {
			at = path + "." + m.Name
		}
		if v, echoed := in[m.Name]; echoed && m.Shape.Type != awsapi.Structure {
			out[m.Name] = v
			continue
		}
		switch m.Shape.Type {
		case awsapi.String:
			if len(m.Shape.Enum) == 0 {
				out[m.Name] = placeholder(ref{id, at})
			}
		case awsapi.Structure:
			if v := respondShape(m.Shape, in, id, at, depth+1); v != nil {
				out[m.Name] = v
			}
		case awsapi.List:
			out[m.Name] = []any{}
			// What is made is one thing, unless the response says otherwise.
			if e := m.Shape.Elem; e != nil && e.Shape.Type == awsapi.String && len(e.Shape.Enum) == 0 && namesResource(m.Name) {
				out[m.Name] = []any{placeholder(ref{id, at + ".0"})}
			}
		}
	}
	return out
}

// certain says whether what a planned write's response holds will be so in the
// real one too: what it echoes, and the id of what it makes, which no condition
// can know beforehand and which is never empty.
func certain(v any, echoes bool) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		if made, whole := wholePlaceholder(v); whole {
			return namesResource(made.Path)
		}
		return echoes && v != "" && !hasPlaceholder(v)
	case []any:
		return echoes && len(v) > 0 && !hasPlaceholder(v)
	}
	return echoes && !hasPlaceholder(v)
}

// finish puts the plan together, with the expected path's log; its hash is still to
// come.
func (e *exploration) finish(log []knowngood.LogEntry) (*knowngood.Plan, error) {
	plan := &knowngood.Plan{
		Version: knowngood.PlanVersion, RunID: e.req.RunID, Created: e.req.Created, Seed: e.req.Seed, Finding: e.req.Finding, Rule: e.req.Rule,
		Resource: e.req.Resource, Place: e.req.Place, Role: e.req.Role, Via: e.req.Via, Document: e.req.Ref, Parameters: e.params, Secrets: e.secrets, Preconditions: e.pre,
		Incomplete: e.missing, Actions: slices.Sorted(maps.Keys(e.actions)), Replacement: e.req.Entry.Replacement, Hosts: e.hosts(),
		Children: e.children, MultiAccount: e.multiAccount,
	}
	for _, name := range e.order {
		b := e.parts[name]
		if len(b.calls) == 0 && name != knowngood.MainPart {
			continue
		}
		// In the document's order: the ways of a part came here in any order.
		slices.SortStableFunc(b.calls, func(x, y knowngood.Call) int {
			return e.req.Document.Compare(x.Step, y.Step)
		})
		slices.Sort(b.when)
		plan.Parts = append(plan.Parts, knowngood.PlanPart{Name: name, When: b.when, Calls: b.calls, Recovery: name != knowngood.MainPart && !b.branched})
	}
	plan.Risk = risk(plan)
	if err := describe(plan, e.req.Document, e.req.Entry, log); err != nil {
		return nil, err
	}
	for _, c := range plan.Parts[0].Calls {
		if child := childOf(plan, c); child != nil {
			for i, d := range child.Risk.DowntimeSeconds {
				plan.Risk.DowntimeSeconds[i] += d
			}
		}
	}
	return plan, nil
}

// severity orders the effects.
var severity = map[knowngood.Effect]int{knowngood.Reversible: 0, knowngood.Disruptive: 1, knowngood.Irreversible: 2}

// risk is the worst of what a run may do that nothing goes wrong in: what the
// expected path does, and what the ways do that a branch may take instead. A part
// that puts things back may stop and start again what the expected path does; but
// what can't be taken back counts wherever it is.
func risk(p *knowngood.Plan) knowngood.Risk {
	r := knowngood.Risk{Effect: knowngood.Reversible}
	for _, part := range p.Parts {
		for _, c := range part.Calls {
			if c.Class != knowngood.Write || c.Effect == knowngood.Reversible || part.Recovery && c.Effect != knowngood.Irreversible {
				continue
			}
			if severity[c.Effect] > severity[r.Effect] {
				r.Effect = c.Effect
			}
			why := []string{string(c.Effect) + ": " + callName(c) + " in " + c.Step}
			if child := childOf(p, c); child != nil {
				why = nil
				for _, reason := range child.Risk.Reasons {
					why = append(why, reason+" of "+child.Document.Name+" in "+c.Step)
				}
			}
			for _, why := range why {
				if !slices.Contains(r.Reasons, why) {
					r.Reasons = append(r.Reasons, why)
				}
			}
		}
	}
	return r
}
