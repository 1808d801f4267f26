package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// ssmState is what Systems Manager has in one account and Region.
type ssmState struct {
	Documents   table[document]   `json:"documents,omitempty"`
	Commands    table[command]    `json:"commands,omitempty"`
	Invocations table[invocation] `json:"invocations,omitempty"` // by command and instance
	Executions  table[automation] `json:"automations,omitempty"`
	Parameters  table[parameter]  `json:"parameters,omitempty"`
	Baselines   table[baseline]   `json:"patchBaselines,omitempty"`
	// Defaults are the default baselines that the account chose, by operating
	// system; PatchGroups the baselines of patch groups, by group and operating
	// system.
	Defaults    map[string]string            `json:"defaultBaselines,omitempty"`
	PatchGroups map[string]map[string]string `json:"patchGroups,omitempty"`
	Packages    table[packages]              `json:"packages,omitempty"`    // that patching installed, by instance
	PatchStates table[patchState]            `json:"patchStates,omitempty"` // as last reported, by instance
	Compliance  table[complianceReport]      `json:"compliance,omitempty"`  // by resource and type
	Windows     table[window]                `json:"maintenanceWindows,omitempty"`
	WindowRuns  table[windowRun]             `json:"maintenanceWindowExecutions,omitempty"`
	NodeTags    table[tagSet]                `json:"nodeTags,omitempty"` // of managed instances, not of their EC2 instances
}

// check refuses a snapshot with holes.
func (s *ssmState) check() error {
	return first(whole("document", s.Documents), whole("command", s.Commands), whole("command invocation", s.Invocations), whole("automation", s.Executions),
		whole("parameter", s.Parameters), whole("patch baseline", s.Baselines), whole("installed packages of", s.Packages), whole("patch state of", s.PatchStates),
		whole("compliance of", s.Compliance), whole("maintenance window", s.Windows), whole("maintenance window execution", s.WindowRuns), whole("tags of", s.NodeTags))
}

// performSSM goes on with what is under way: a command to be delivered, to be
// finished or to be cancelled, a maintenance window to open or to go on.
func (c *call) performSSM(task string) {
	what, id, _ := strings.Cut(task, "/")
	switch what {
	case "deliver":
		c.deliverCommand(id)
	case "finish":
		c.finishInvocation(id)
	case "cancelled":
		c.cancelledInvocation(id)
	case "window":
		c.openWindow(id)
	case "windowrun":
		c.checkWindow(id)
	}
}

func (c *call) ssmARN(rest string) string {
	return c.arnOf("ssm", rest)
}

// checked holds a request to the model before a handler has it: nothing is too
// long, too large, too many, or outside an enum.
func checked(run func(*call) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		if err := c.operation.Validate(c.in); err != nil {
			return nil, invalid("1 validation error detected: %v", err)
		}
		return run(c)
	}
}

// ssmPage is page with the size that an operation gives to those who ask for
// none.
func (c *call) ssmPage(key string, most int64, items []any) (map[string]any, error) {
	sub := *c
	n, ok := c.int("MaxResults")
	if !ok || n > most {
		n = most
	}
	sub.in = object{"NextToken": c.in["NextToken"], "MaxResults": n}
	return sub.page(key, items)
}

// ssmFilter is one condition of a list, under the names that most operations of
// Systems Manager have for it.
type ssmFilter struct {
	key    string
	values []string
}

// ssmFilters reads the conditions of a list; Key and Values are written in two ways.
func ssmFilters(v any) []ssmFilter {
	var out []ssmFilter
	for _, o := range objects(v) {
		f := ssmFilter{}
		f.key, _ = cmp.Or(o["Key"], o["key"]).(string)
		f.values = texts(cmp.Or(o["Values"], o["valueSet"]))
		if s, ok := o["value"].(string); ok {
			f.values = []string{s}
		}
		out = append(out, f)
	}
	return out
}

// passes says whether a resource meets all filters: of each it must have one of
// the values. have gives what it has under a filter's key; false: there is no
// such key.
func passes(list []ssmFilter, have func(key string) ([]string, bool)) (bool, error) {
	for _, f := range list {
		values, ok := have(f.key)
		if !ok {
			return false, failure(400, "InvalidFilterKey", "The specified filter key %s is not valid.", f.key)
		}
		if !slices.ContainsFunc(f.values, func(v string) bool { return slices.Contains(values, v) }) {
			return false, nil
		}
	}
	return true, nil
}

// stampMillis is a time as Systems Manager writes it where it is text.
func stampMillis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// taggedResource finds the tags of a resource by the type and id that tagging
// operations have. change is nil where the resource isn't there.
func (c *call) taggedResource(at time.Time) (tags tagSet, change func(tagSet), err error) {
	id, state := c.str("ResourceId"), &c.home().SSM
	switch c.str("ResourceType") {
	case "Document":
		if r, v, ok := state.Documents.live(id, at); ok {
			return v.Tags, func(t tagSet) { r.change(c.now, func(d *document) { d.Tags = t }) }, nil
		}
	case "Parameter":
		if r, v, ok := state.Parameters.live(id, at); ok {
			return v.Tags, func(t tagSet) { r.change(c.now, func(p *parameter) { p.Tags = t }) }, nil
		}
	case "PatchBaseline":
		if r, v, ok := state.Baselines.live(id, at); ok {
			return v.Tags, func(t tagSet) { r.change(c.now, func(b *baseline) { b.Tags = t }) }, nil
		}
	case "MaintenanceWindow":
		if r, v, ok := state.Windows.live(id, at); ok {
			return v.Tags, func(t tagSet) { r.change(c.now, func(w *window) { w.Tags = t }) }, nil
		}
	case "Automation":
		if r, v, ok := state.Executions.live(id, at); ok {
			return v.Tags, func(t tagSet) { r.change(c.now, func(a *automation) { a.Tags = t }) }, nil
		}
	case "ManagedInstance":
		if _, ok := c.node(id, at); ok {
			_, v, _ := state.NodeTags.live(id, at)
			return v, func(t tagSet) { state.NodeTags.put(id, c.now, t) }, nil
		}
	default:
		return nil, nil, failure(501, "NotImplemented", "The sandbox does not tag the %s of Systems Manager.", c.str("ResourceType"))
	}
	return nil, nil, failure(400, "InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again.")
}

func addTagsToResource(c *call) (map[string]any, error) {
	tags, change, err := c.taggedResource(c.now)
	if err != nil {
		return nil, err
	}
	more, err := ssmTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	if tags = tags.with(more); len(tags) > 50 {
		return nil, failure(400, "TooManyTagsError", "The Tags you provided exceed the maximum of 50.")
	}
	change(tags)
	return object{}, nil
}

func removeTagsFromResource(c *call) (map[string]any, error) {
	tags, change, err := c.taggedResource(c.now)
	if err != nil {
		return nil, err
	}
	tags = tags.with(nil)
	for _, k := range c.strings("TagKeys") {
		delete(tags, k)
	}
	change(tags)
	return object{}, nil
}

func listTagsForResource(c *call) (map[string]any, error) {
	tags, _, err := c.taggedResource(c.view)
	if err != nil {
		return nil, err
	}
	return object{"TagList": tags.list()}, nil
}

// ssmTags reads tags under Systems Manager's own error codes.
func ssmTags(v any) (tagSet, error) {
	tags, err := parseTags(v)
	if codeOf(err) == "TagLimitExceeded" {
		return nil, failure(400, "TooManyTagsError", "The Tags you provided exceed the maximum of 50.")
	}
	if err != nil {
		return nil, invalid("%v", err)
	}
	return tags, nil
}

var instanceIDPattern = patternOf(`^(i-(\w{8}|\w{17})|mi-\w{17})$`)

var ssmHandlers = merged(documentHandlers, nodeHandlers, commandHandlers, patchHandlers, baselineHandlers, complianceHandlers, automationHandlers, parameterHandlers, windowHandlers, windowRunHandlers, ssmSettingHandlers,
	map[string]handler{
		"AddTagsToResource":      {"ssm:AddTagsToResource", checked(addTagsToResource)},
		"ListTagsForResource":    {"ssm:ListTagsForResource", checked(listTagsForResource)},
		"RemoveTagsFromResource": {"ssm:RemoveTagsFromResource", checked(removeTagsFromResource)},
	})
