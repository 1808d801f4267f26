package remedy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// describe fills in what a person is shown of a plan, from the runbook's entry
// and the expected path's log.
func describe(plan *knowngood.Plan, d *runbook.Document, entry Entry, log []knowngood.LogEntry) error {
	var err error
	if plan.Risk.DowntimeSeconds, err = downtime(plan, d, entry.Downtime, log); err != nil {
		return err
	}
	plan.Display.Title = d.Description
	if plan.Display.Before, err = lines(d, entry.Before, log); err != nil {
		return err
	}
	plan.Display.After, err = lines(d, entry.After, log)
	return err
}

func lines(d *runbook.Document, from []Line, log []knowngood.LogEntry) ([]knowngood.Property, error) {
	out := []knowngood.Property{}
	for _, l := range from {
		name, hasName, err := d.Expand(log, l.Name)
		if err != nil {
			return nil, err
		}
		value, hasValue, err := d.Expand(log, l.Value)
		if err != nil {
			return nil, err
		}
		if hasName && hasValue {
			out = append(out, knowngood.Property{Name: name, Value: readable(value)})
		}
	}
	return out, nil
}

// readable replaces what only the run will bring by a word.
func readable(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, refOpen)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, after, _ := strings.Cut(rest, refClose)
		b.WriteString("(new)")
		s = after
	}
}

// downtime estimates for how long the resource is out of service on the
// expected path, low and high.
func downtime(plan *knowngood.Plan, d *runbook.Document, rule *Downtime, log []knowngood.LogEntry) ([2]int64, error) {
	if rule == nil || !slices.ContainsFunc(plan.Parts[0].Calls, func(c knowngood.Call) bool { return c.Step == rule.Step }) {
		return [2]int64{}, nil
	}
	units := int64(0)
	if text, ok, err := d.Expand(log, rule.Units); err != nil {
		return [2]int64{}, err
	} else if ok {
		if units, err = strconv.ParseInt(text, 10, 64); err != nil {
			return [2]int64{}, knowngood.E(knowngood.Invalid, "estimate the downtime", "%s is %q, which is no whole number", rule.Units, text)
		}
	}
	var out [2]int64
	for i := range out {
		out[i] = rule.Seconds[i] + units*rule.SecondsPerUnit[i]
	}
	return out, nil
}
