package sandbox

import (
	"slices"
	"strconv"
	"time"
)

// eventHistory is how far back LookupEvents goes.
const eventHistory = 90 * 24 * time.Hour

// lookupEvents searches the event history, latest first. A page goes on behind
// the last record of the one before, whatever was recorded since: the search
// itself is.
func lookupEvents(c *call) (map[string]any, error) {
	most := 50
	if n, ok := c.int("MaxResults"); ok {
		if most = int(n); n < 1 || n > 50 {
			return nil, failure(400, "InvalidMaxResultsException", "MaxResults must be from 1 to 50.")
		}
	}
	from, to := c.view.Add(-eventHistory), c.view
	if t, ok := c.in["StartTime"].(time.Time); ok && t.After(from) {
		from = t
	}
	if t, ok := c.in["EndTime"].(time.Time); ok && t.Before(to) {
		to = t
	}
	start, started := c.in["StartTime"].(time.Time)
	end, ended := c.in["EndTime"].(time.Time)
	attributes := c.objects("LookupAttributes")
	switch {
	case started && ended && start.After(end):
		return nil, failure(400, "InvalidTimeRangeException", "StartTime must be before EndTime.")
	case len(attributes) > 1:
		return nil, failure(400, "InvalidLookupAttributesException", "Only one lookup attribute can be given.")
	case c.str("EventCategory") == "insight":
		return object{"Events": []any{}}, nil
	}
	records := c.home().CloudTrail.Records
	i := len(records) - 1
	if token := c.str("NextToken"); token != "" {
		i = slices.IndexFunc(records, func(r trailRecord) bool { return r.ID == token }) - 1
		if i < -1 {
			return nil, failure(400, "InvalidNextTokenException", "Invalid token.")
		}
	}
	out := []any{}
	for ; i >= 0; i-- {
		r := records[i]
		if r.Time.Before(from) || r.Time.After(to) {
			continue
		}
		fits := true
		for _, a := range attributes {
			value, _ := a["AttributeValue"].(string)
			ok, known := r.has(a["AttributeKey"], value)
			if !known {
				return nil, failure(400, "InvalidLookupAttributesException", "There is no lookup attribute %v.", a["AttributeKey"])
			}
			fits = fits && ok
		}
		if !fits {
			continue
		}
		if len(out) == most {
			last, _ := out[most-1].(object)
			return object{"Events": out, "NextToken": last["EventId"]}, nil
		}
		out = append(out, r.out())
	}
	return object{"Events": out}, nil
}

// has says whether a record has a lookup attribute, and whether there is such
// an attribute.
func (r trailRecord) has(key any, value string) (match, known bool) {
	resource := func(of func(trailResource) string) bool {
		return slices.ContainsFunc(r.Resources, func(t trailResource) bool { return of(t) == value })
	}
	switch key {
	case "AccessKeyId":
		return r.KeyID == value, true
	case "EventId":
		return r.ID == value, true
	case "EventName":
		return r.Name == value, true
	case "EventSource":
		return r.Source == value, true
	case "ReadOnly":
		return strconv.FormatBool(r.ReadOnly) == value, true
	case "ResourceName":
		return resource(func(t trailResource) string { return t.Name }), true
	case "ResourceType":
		return resource(func(t trailResource) string { return t.Type }), true
	case "Username":
		return r.User == value, true
	}
	return false, false
}

func (r trailRecord) out() object {
	resources := []any{}
	for _, t := range r.Resources {
		resources = append(resources, object{"ResourceType": t.Type, "ResourceName": t.Name})
	}
	return object{"EventId": r.ID, "EventName": r.Name, "EventTime": r.Time, "EventSource": r.Source, "Username": r.User, "AccessKeyId": r.KeyID,
		"ReadOnly": strconv.FormatBool(r.ReadOnly), "Resources": resources, "CloudTrailEvent": string(r.Event.json())}
}
