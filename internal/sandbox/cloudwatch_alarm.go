package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// alarm is a metric alarm. Its state is found when something asks for it, as of
// every period that ended since it was last found.
type alarm struct {
	Settings structure `json:"settings"` // as PutMetricAlarm had them
	Tags     tagSet    `json:"tags,omitempty"`
	Put      time.Time `json:"put"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`  // of the state
	Looked   time.Time `json:"looked"` // when the state was last found
}

func (a alarm) str(name string) string {
	s, _ := a.Settings[name].(string)
	return s
}

func (a alarm) int(name string) int64 {
	f, _ := asNumber(a.Settings[name])
	return int64(f)
}

// comparisons are by what a value breaches a threshold.
var comparisons = map[string]func(v, threshold float64) bool{
	"GreaterThanOrEqualToThreshold": func(v, t float64) bool { return v >= t },
	"GreaterThanThreshold":          func(v, t float64) bool { return v > t },
	"LessThanThreshold":             func(v, t float64) bool { return v < t },
	"LessThanOrEqualToThreshold":    func(v, t float64) bool { return v <= t },
}

func (c *call) alarmARN(name string) string {
	return "arn:aws:cloudwatch:" + c.region + ":" + c.who.Account + ":alarm:" + name
}

func putMetricAlarm(c *call) (map[string]any, error) {
	a := alarm{Settings: copied(c.in).(object), Put: c.now, State: "INSUFFICIENT_DATA", Reason: "Unchecked: Initial alarm creation", Since: c.now, Looked: c.now}
	delete(a.Settings, "Tags")
	if err := c.checkAlarm(a); err != nil {
		return nil, err
	}
	name := c.str("AlarmName")
	var err error
	if a.Tags, err = parseTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	if r, old, ok := c.home().CloudWatch.Alarms.live(name, c.now); ok { // keeps its state and tags
		r.change(c.now, func(now *alarm) { now.Settings, now.Put, now.Looked = a.Settings, a.Put, old.Looked })
		return object{}, nil
	}
	c.home().CloudWatch.Alarms.put(name, c.now, a)
	return object{}, nil
}

// Source: Amazon CloudWatch API Reference, PutMetricAlarm.
func (c *call) checkAlarm(a alarm) error {
	if c.in["EvaluationCriteria"] != nil || a.str("ThresholdMetricId") != "" {
		return failure(501, "NotImplemented", "The sandbox does not simulate alarms on queries or on anomaly detection.")
	}
	metrics := len(c.objects("Metrics")) > 0
	period, periods := a.int("Period"), a.int("EvaluationPeriods")
	_, threshold := asNumber(a.Settings["Threshold"])
	missing := a.str("TreatMissingData")
	switch {
	case metrics && (a.str("MetricName") != "" || period != 0):
		return wrongCombination("The parameters MetricName and Metrics are mutually exclusive and you have specified both.")
	case !metrics && (a.str("MetricName") == "" || a.str("Namespace") == ""):
		return failure(400, "MissingParameter", "The parameters Namespace and MetricName are required.")
	case !metrics && (a.str("Statistic") == "") == (a.str("ExtendedStatistic") == ""):
		return wrongCombination("Exactly one of the parameters Statistic and ExtendedStatistic must be specified.")
	case !metrics && !(validPeriod(period) && !slices.Contains([]int64{1, 5}, period)):
		return cloudwatchInvalid("Period must be 10, 20, 30 or a multiple of 60")
	case periods < 1:
		return failure(400, "MissingParameter", "The parameter EvaluationPeriods is required.")
	case a.int("DatapointsToAlarm") > periods:
		return cloudwatchInvalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
	case a.str("ComparisonOperator") == "":
		return failure(400, "MissingParameter", "The parameter ComparisonOperator is required.")
	case comparisons[a.str("ComparisonOperator")] == nil:
		return cloudwatchInvalid("The operator %s is for anomaly detection only, or unknown", a.str("ComparisonOperator"))
	case !threshold:
		return failure(400, "MissingParameter", "The parameter Threshold is required.")
	case missing != "" && !slices.Contains([]string{"breaching", "notBreaching", "ignore", "missing"}, missing):
		return cloudwatchInvalid("TreatMissingData must be one of breaching, notBreaching, ignore and missing")
	}
	limit := int64(86400)
	if period >= 3600 {
		limit = 7 * 86400
	}
	if periods*period > limit {
		return cloudwatchInvalid("Metrics cannot be checked across more than %d seconds (EvaluationPeriods * Period must be <= %d)", limit, limit)
	}
	_, _, err := a.queries()
	return err
}

// queries are the metrics behind an alarm, and the id of the one that counts.
func (a alarm) queries() (list []*metricQuery, id string, err error) {
	ask := objects(a.Settings["Metrics"])
	if len(ask) == 0 {
		stat := a.str("Statistic")
		if stat == "" {
			stat = a.str("ExtendedStatistic")
		}
		of := object{"Namespace": a.str("Namespace"), "MetricName": a.str("MetricName"), "Dimensions": a.Settings["Dimensions"]}
		ask = []object{{"Id": "m1", "MetricStat": object{"Metric": of, "Period": a.int("Period"), "Stat": stat, "Unit": a.str("Unit")}}}
	}
	if list, err = parseQueries(ask); err != nil {
		return nil, "", err
	}
	for _, q := range list {
		if q.returned {
			if id != "" {
				return nil, "", cloudwatchInvalid("Exactly one element of the metrics list should return data.")
			}
			id = q.id
		}
	}
	if id == "" {
		return nil, "", cloudwatchInvalid("Exactly one element of the metrics list should return data.")
	}
	return list, id, nil
}

// maxLooks is how many periods are looked at that passed since an alarm's state
// was last found.
const maxLooks = 500

// evaluateAlarms finds the state of every alarm of the call's account and Region.
func (c *call) evaluateAlarms() {
	for name, was := range c.home().CloudWatch.Alarms.all(c.now) {
		if !c.now.After(was.Looked) { // SetAlarmState holds until time goes on
			continue
		}
		a := was
		queries, id, err := a.queries()
		if err != nil {
			continue // it was checked when it was put
		}
		period := int64(60)
		for _, q := range queries {
			period = max(period, q.period)
		}
		first := a.Looked.Unix()/period*period + period
		if n := (c.now.Unix() - first) / period; n > maxLooks {
			first += (n - maxLooks) * period
		}
		for at := first; at <= c.now.Unix(); at += period {
			a = c.evaluateAlarm(name, a, queries, id, period, time.Unix(at, 0).UTC())
		}
		a = c.evaluateAlarm(name, a, queries, id, period, c.now)
		r := c.home().CloudWatch.Alarms[name]
		if a.State == was.State && a.Since.Equal(was.Since) { // a look alone makes no version
			r.Versions[len(r.Versions)-1].Value.Looked = c.now
			continue
		}
		r.change(c.now, func(now *alarm) { now.State, now.Reason, now.Since, now.Looked = a.State, a.Reason, a.Since, c.now })
	}
}

// evaluateAlarm gives an alarm in the state that it has at a time, and says so if
// that is another one.
func (c *call) evaluateAlarm(name string, a alarm, queries []*metricQuery, id string, period int64, at time.Time) alarm {
	n := a.int("EvaluationPeriods")
	end := at.Unix() / period * period
	s, err := c.evaluation(queries, end-n*period, end).of(id)
	if err != nil {
		return a
	}
	state, reason := a.judge(s, n)
	if state == a.State {
		return a
	}
	before := a
	a.State, a.Reason, a.Since = state, reason, at
	c.alarmEvent(name, before, a, at)
	return a
}

// judge finds the state that an alarm has by its latest periods.
func (a alarm) judge(s *series, periods int64) (state, reason string) {
	need := a.int("DatapointsToAlarm")
	if need == 0 {
		need = periods
	}
	threshold, _ := asNumber(a.Settings["Threshold"])
	breaches := int64(0)
	for _, v := range s.values {
		if comparisons[a.str("ComparisonOperator")](v, threshold) {
			breaches++
		}
	}
	missing := periods - int64(len(s.values))
	switch a.str("TreatMissingData") {
	case "breaching":
		breaches += missing
	case "notBreaching":
	case "ignore":
		if len(s.values) == 0 {
			return a.State, a.Reason
		}
	default:
		if len(s.values) == 0 {
			return "INSUFFICIENT_DATA", fmt.Sprintf("Insufficient Data: %d datapoints were unknown.", missing)
		}
	}
	state, verb := "OK", "was not"
	if breaches >= need {
		state, verb = "ALARM", "was"
	}
	return state, fmt.Sprintf("Threshold Crossed: %d out of the last %d datapoints crossed the threshold (%g), which %s enough for the ALARM state (minimum %d datapoints).", breaches, periods, threshold, verb, need)
}

// Source: Amazon CloudWatch User Guide, "Alarm events and EventBridge".
func (c *call) alarmEvent(name string, before, after alarm, at time.Time) {
	metrics := after.Settings["Metrics"]
	if metrics == nil {
		queries, _, err := after.queries()
		if err != nil {
			return
		}
		q, dimensions := queries[0], object{}
		for _, d := range q.metric.Dimensions {
			dimensions[d.Name] = d.Value
		}
		metrics = []any{object{"id": uuid(derived(c.state.Seed, name, 0)), "returnData": true, "metricStat": object{"period": q.period, "stat": q.stat.name,
			"metric": object{"namespace": q.metric.Namespace, "name": q.metric.Name, "dimensions": dimensions}}}}
	}
	c.emit(at, "aws.cloudwatch", "CloudWatch Alarm State Change", []string{c.alarmARN(name)}, object{
		"alarmName":     name,
		"state":         object{"value": after.State, "reason": after.Reason, "timestamp": eventStamp(after.Since)},
		"previousState": object{"value": before.State, "reason": before.Reason, "timestamp": eventStamp(before.Since)},
		"configuration": object{"description": after.str("AlarmDescription"), "metrics": metrics},
	})
}

func eventStamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

func (c *call) alarmOut(name string, a alarm) object {
	out := copied(a.Settings).(object)
	maps.Copy(out, object{"AlarmArn": c.alarmARN(name), "AlarmConfigurationUpdatedTimestamp": a.Put, "StateValue": a.State, "StateReason": a.Reason,
		"StateUpdatedTimestamp": a.Since, "StateTransitionedTimestamp": a.Since})
	for _, member := range []string{"OKActions", "AlarmActions", "InsufficientDataActions", "Dimensions"} {
		if out[member] == nil {
			out[member] = []any{}
		}
	}
	if _, ok := out["ActionsEnabled"]; !ok {
		out["ActionsEnabled"] = true
	}
	return out
}

const maxAlarmRecords = 100

func describeAlarms(c *call) (map[string]any, error) {
	names, prefix := c.strings("AlarmNames"), c.str("AlarmNamePrefix")
	if len(names) > 0 && prefix != "" {
		return nil, wrongCombination("The parameters AlarmNames and AlarmNamePrefix are mutually exclusive and you have specified both.")
	}
	limit, ok := c.int("MaxRecords")
	if ok && (limit < 1 || limit > maxAlarmRecords) {
		return nil, wrongValue("The parameter MaxRecords must be from 1 to %d.", maxAlarmRecords)
	}
	if !ok {
		limit = maxAlarmRecords
	}
	c.evaluateAlarms()
	list := []any{}
	for name, a := range c.home().CloudWatch.Alarms.all(c.view) {
		if len(names) > 0 && !slices.Contains(names, name) || !strings.HasPrefix(name, prefix) || c.str("StateValue") != "" && c.str("StateValue") != a.State {
			continue
		}
		if p := c.str("ActionPrefix"); p != "" && !slices.ContainsFunc(slices.Concat(texts(a.Settings["AlarmActions"]), texts(a.Settings["OKActions"]), texts(a.Settings["InsufficientDataActions"])),
			func(s string) bool { return strings.HasPrefix(s, p) }) {
			continue
		}
		list = append(list, c.alarmOut(name, a))
	}
	if types := c.strings("AlarmTypes"); len(types) > 0 && !slices.Contains(types, "MetricAlarm") {
		list = nil
	}
	page, next, ok := slicePage(list, c.str("NextToken"), limit)
	if !ok {
		return nil, failure(400, "InvalidNextToken", "The token is not valid.")
	}
	return withToken(object{"MetricAlarms": page, "CompositeAlarms": []any{}}, next), nil
}

func describeAlarmsForMetric(c *call) (map[string]any, error) {
	c.evaluateAlarms()
	want, list := metricNameOf(c.in), []any{}
	for name, a := range c.home().CloudWatch.Alarms.all(c.view) {
		if metricNameOf(a.Settings).key() != want.key() {
			continue
		}
		if s := c.str("Statistic"); s != "" && s != a.str("Statistic") {
			continue
		}
		if p, ok := c.int("Period"); ok && p != a.int("Period") {
			continue
		}
		list = append(list, c.alarmOut(name, a))
	}
	return object{"MetricAlarms": list}, nil
}

func setAlarmState(c *call) (map[string]any, error) {
	name := c.str("AlarmName")
	r, before, ok := c.home().CloudWatch.Alarms.live(name, c.now)
	if !ok {
		return nil, failure(404, "ResourceNotFound", "Unknown alarm: %s", name)
	}
	after := before
	after.State, after.Reason, after.Since, after.Looked = c.str("StateValue"), c.str("StateReason"), c.now, c.now
	r.change(c.now, func(a *alarm) { *a = after })
	if before.State != after.State {
		c.alarmEvent(name, before, after, c.now)
	}
	return object{}, nil
}

func deleteAlarms(c *call) (map[string]any, error) {
	alarms := c.home().CloudWatch.Alarms
	for _, name := range c.strings("AlarmNames") {
		if _, _, ok := alarms.live(name, c.now); !ok {
			return nil, failure(404, "ResourceNotFound", "Unknown alarm: %s", name)
		}
	}
	for _, name := range c.strings("AlarmNames") {
		alarms[name].end(c.now)
	}
	return object{}, nil
}
