package sandbox

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// cloudwatchState is what cloudwatch has in one account and Region.
type cloudwatchState struct {
	Metrics map[string]*metric `json:"metrics,omitempty"` // by their names' keys
	Alarms  table[alarm]       `json:"alarms,omitempty"`  // by name
}

// check refuses a snapshot with holes.
func (s cloudwatchState) check() error {
	for key, m := range s.Metrics {
		if m == nil || m.Pattern != nil && m.Pattern.Every <= 0 {
			return fmt.Errorf("sandbox: the snapshot's metric %q is not whole", key)
		}
	}
	return whole("alarm", s.Alarms)
}

// What CloudWatch takes of values. Source: Amazon CloudWatch API Reference,
// PutMetricData.
const (
	maxDatums     = 1000
	maxDimensions = 30
	maxValues     = 150
	oldestDatum   = 14 * 24 * time.Hour
	newestDatum   = 2 * time.Hour
)

var maxDatum = math.Ldexp(1, 360)

// wrongValue is how CloudWatch refuses a value.
func wrongValue(format string, args ...any) error {
	return failure(400, "InvalidParameterValue", format, args...)
}

func wrongCombination(format string, args ...any) error {
	return failure(400, "InvalidParameterCombination", format, args...)
}

func cloudwatchInvalid(format string, args ...any) error {
	return failure(400, "ValidationError", format, args...)
}

func putMetricData(c *call) (map[string]any, error) {
	namespace := c.str("Namespace")
	if strings.HasPrefix(namespace, "AWS/") || strings.HasPrefix(namespace, ":") {
		return nil, wrongValue("The value %s for parameter Namespace is invalid.", namespace)
	}
	data := c.objects("MetricData")
	for _, e := range c.objects("EntityMetricData") {
		data = append(data, objects(e["MetricData"])...)
	}
	if len(data) == 0 {
		return nil, failure(400, "MissingParameter", "The parameter MetricData is required.")
	}
	if len(data) > maxDatums {
		return nil, wrongValue("The collection MetricData must not have a size greater than %d.", maxDatums)
	}
	names, samples := make([]metricName, len(data)), make([][]sample, len(data))
	for i, d := range data { // all or nothing
		names[i] = metricNameOf(d)
		names[i].Namespace = namespace
		var err error
		if samples[i], err = c.datum(i+1, names[i], d); err != nil {
			return nil, err
		}
	}
	state := &c.home().CloudWatch
	if state.Metrics == nil {
		state.Metrics = map[string]*metric{}
	}
	for i, n := range names {
		m := state.Metrics[n.key()]
		if m == nil {
			m = &metric{Of: n}
			state.Metrics[n.key()] = m
		}
		for _, s := range samples[i] {
			at := sort.Search(len(m.Samples), func(i int) bool { return m.Samples[i].At > s.At })
			m.Samples = slices.Insert(m.Samples, at, s)
		}
	}
	c.evaluateAlarms()
	return object{}, nil
}

// datum checks one of MetricData, and gives what is kept of it.
func (c *call) datum(n int, name metricName, d object) ([]sample, error) {
	if len(name.Dimensions) > maxDimensions {
		return nil, wrongValue("The collection MetricData.member.%d.Dimensions must not have a size greater than %d.", n, maxDimensions)
	}
	for i, x := range name.Dimensions {
		if x.Name == "" || x.Value == "" || strings.HasPrefix(x.Name, ":") || strings.Contains(x.Name+x.Value, "\n") {
			return nil, wrongValue("The value for the parameter MetricData.member.%d.Dimensions is invalid.", n)
		}
		if i > 0 && name.Dimensions[i-1].Name == x.Name {
			return nil, wrongValue("The parameter MetricData.member.%d.Dimensions has the name %s more than once.", n, x.Name)
		}
	}
	at := c.now
	if t, ok := d["Timestamp"].(time.Time); ok {
		at = t
	}
	if at.Before(c.now.Add(-oldestDatum)) || at.After(c.now.Add(newestDatum)) {
		return nil, wrongValue("The parameter MetricData.member.%d.Timestamp must specify a time within the past two weeks, and no more than two hours in the future.", n)
	}
	resolution, given := d["StorageResolution"].(int64)
	if given && resolution != 1 && resolution != 60 {
		return nil, wrongValue("The parameter MetricData.member.%d.StorageResolution must be 1 or 60.", n)
	}
	second := at.Unix()
	if resolution != 1 {
		second -= second % 60
	}
	unit, _ := d["Unit"].(string)
	if unit == "" {
		unit = "None"
	}
	return measured(n, second, unit, d)
}

// measured reads the values of a datum, which are in one of three forms.
func measured(n int, at int64, unit string, d object) ([]sample, error) {
	forms := 0
	for _, form := range []string{"Value", "Values", "StatisticValues"} {
		if _, ok := d[form]; ok {
			forms++
		}
	}
	if forms > 1 {
		return nil, wrongCombination("The parameters MetricData.member.%d.Value, Values and StatisticValues are mutually exclusive and you have specified more than one.", n)
	}
	if v, ok := asNumber(d["Value"]); ok {
		if err := measurable(n, v); err != nil {
			return nil, err
		}
		return []sample{{at, v, v, v, 1, unit}}, nil
	}
	if o, ok := d["StatisticValues"].(object); ok {
		s := sample{At: at, Unit: unit}
		for name, into := range map[string]*float64{"Minimum": &s.Low, "Maximum": &s.High, "Sum": &s.Sum, "SampleCount": &s.Count} {
			*into, _ = asNumber(o[name])
			if err := measurable(n, *into); err != nil {
				return nil, err
			}
		}
		if s.Low > s.High || s.Count <= 0 {
			return nil, wrongValue("The parameter MetricData.member.%d.StatisticValues must have a Minimum that is not above its Maximum, and a SampleCount above 0.", n)
		}
		return []sample{s}, nil
	}
	values, _ := d["Values"].([]any)
	counts, given := d["Counts"].([]any)
	switch {
	case len(values) == 0:
		return nil, failure(400, "MissingParameter", "At least one of the parameters MetricData.member.%d.Value, Values or StatisticValues must be specified.", n)
	case len(values) > maxValues:
		return nil, wrongValue("The collection MetricData.member.%d.Values must not have a size greater than %d.", n, maxValues)
	case given && len(counts) != len(values):
		return nil, wrongValue("The parameters MetricData.member.%d.Values and Counts must have the same size.", n)
	}
	var out []sample
	for i, e := range values {
		v, _ := asNumber(e)
		count := 1.0
		if given {
			count, _ = asNumber(counts[i])
		}
		if err := first(measurable(n, v), measurable(n, count)); err != nil {
			return nil, err
		}
		if count <= 0 {
			return nil, wrongValue("The parameter MetricData.member.%d.Counts must hold numbers above 0.", n)
		}
		out = append(out, sample{at, v, v, v * count, count, unit})
	}
	return out, nil
}

func measurable(n int, v float64) error {
	if math.IsNaN(v) || math.IsInf(v, 0) || math.Abs(v) > maxDatum {
		return wrongValue("The value %v for the parameter MetricData.member.%d.Value is invalid.", v, n)
	}
	return nil
}

const metricsPage = 500

// ListMetrics leaves out what had no value for two weeks, or for three hours if
// it is asked for what is active.
func listMetrics(c *call) (map[string]any, error) {
	since := c.view.Add(-oldestDatum)
	switch c.str("RecentlyActive") {
	case "":
	case "PT3H":
		since = c.view.Add(-3 * time.Hour)
	default:
		return nil, wrongValue("The value %s for parameter RecentlyActive is invalid.", c.str("RecentlyActive"))
	}
	all := map[string]*metric{}
	for id, r := range c.home().Instances {
		if _, ok := r.as(c.view); ok {
			name := cpuOf(id)
			all[name.key()], _ = c.metric(name)
		}
	}
	for k, m := range c.home().CloudWatch.Metrics {
		all[k] = m
	}
	list := []any{}
	for _, k := range sorted(all) {
		if m := all[k]; c.listed(m.Of) && c.active(m, since) {
			list = append(list, m.Of.out())
		}
	}
	page, next, ok := slicePage(list, c.str("NextToken"), metricsPage)
	if !ok {
		return nil, wrongValue("The service rejected the provided NextToken.")
	}
	return withToken(object{"Metrics": page}, next), nil
}

func withToken(out object, next string) object {
	if next != "" {
		out["NextToken"] = next
	}
	return out
}

// listed says whether a metric passes the call's filters.
func (c *call) listed(m metricName) bool {
	if n := c.str("Namespace"); n != "" && n != m.Namespace {
		return false
	}
	if n := c.str("MetricName"); n != "" && n != m.Name {
		return false
	}
	for _, f := range c.objects("Dimensions") {
		if !slices.ContainsFunc(m.Dimensions, func(d dimension) bool { return d.Name == f["Name"] && (f["Value"] == nil || d.Value == f["Value"]) }) {
			return false
		}
	}
	return true
}

// active says whether a metric had a value since a time.
func (c *call) active(m *metric, since time.Time) bool {
	if n := len(m.Samples); n > 0 && m.Samples[n-1].At >= since.Unix() {
		return true
	}
	if m.Pattern == nil {
		return false
	}
	r := c.home().Instances[m.Of.instance()]
	if r == nil {
		return true
	}
	for i, v := range r.Versions { // it ran at some time since then
		end := c.view
		if i+1 < len(r.Versions) {
			end = r.Versions[i+1].At
		}
		if v.Value.State == "running" && !v.Gone && end.After(since) && v.At.Before(c.view) {
			return true
		}
	}
	return false
}

var cloudwatchHandlers = map[string]handler{
	"DeleteAlarms":            {"cloudwatch:DeleteAlarms", deleteAlarms},
	"DescribeAlarms":          {"cloudwatch:DescribeAlarms", describeAlarms},
	"DescribeAlarmsForMetric": {"cloudwatch:DescribeAlarmsForMetric", describeAlarmsForMetric},
	"GetMetricData":           {"cloudwatch:GetMetricData", getMetricData},
	"GetMetricStatistics":     {"cloudwatch:GetMetricStatistics", getMetricStatistics},
	"ListMetrics":             {"cloudwatch:ListMetrics", listMetrics},
	"PutMetricAlarm":          {"cloudwatch:PutMetricAlarm", putMetricAlarm},
	"PutMetricData":           {"cloudwatch:PutMetricData", putMetricData},
	"SetAlarmState":           {"cloudwatch:SetAlarmState", setAlarmState},
}
