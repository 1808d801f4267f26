package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// statistic is what is made of the values of a period.
type statistic struct {
	name       string // SampleCount, Average, Sum, Minimum, Maximum, or as given
	percentile float64
	ranked     bool // name is a percentile
}

var (
	basicStatistics = []string{"SampleCount", "Average", "Sum", "Minimum", "Maximum"}
	percentileText  = patternOf(`^p(\d{1,2}(?:\.\d{1,10})?|100)$`)
	trimmedText     = patternOf(`(?i)^(tm|tc|ts|wm|pr)[(\d]|^IQM$`)
)

// parseStatistic reads a statistic's name.
func parseStatistic(text string) (statistic, error) {
	if slices.Contains(basicStatistics, text) {
		return statistic{name: text}, nil
	}
	if m := percentileText.FindStringSubmatch(text); m != nil {
		p, err := strconv.ParseFloat(m[1], 64)
		return statistic{text, p, true}, err
	}
	if trimmedText.MatchString(text) {
		return statistic{}, failure(501, "NotImplemented", "The sandbox does not simulate the statistic %s.", text)
	}
	return statistic{}, fmt.Errorf("the statistic %q is not known", text)
}

// validPeriod: 1, 5, 10, 20, 30 seconds or whole minutes.
func validPeriod(p int64) bool {
	return p >= 60 && p%60 == 0 || slices.Contains([]int64{1, 5, 10, 20, 30}, p)
}

// rounded is from when on CloudWatch counts periods. Source: Amazon CloudWatch
// API Reference, GetMetricStatistics, StartTime.
func rounded(start, now time.Time, period int64) int64 {
	unit := int64(60)
	switch age := now.Sub(start); {
	case age > 63*24*time.Hour:
		unit = 3600
	case age > 15*24*time.Hour:
		unit = 300
	case period < 60:
		unit = period
	}
	return start.Unix() / unit * unit
}

const maxStatisticsPoints = 1440

func getMetricStatistics(c *call) (map[string]any, error) {
	period, _ := c.int("Period")
	start, _ := c.in["StartTime"].(time.Time)
	end, _ := c.in["EndTime"].(time.Time)
	plain, extended := c.strings("Statistics"), c.strings("ExtendedStatistics")
	switch {
	case !validPeriod(period):
		return nil, wrongValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, not %d.", period)
	case !start.Before(end):
		return nil, wrongValue("The parameter StartTime must be less than the parameter EndTime.")
	case len(plain) == 0 && len(extended) == 0:
		return nil, wrongCombination("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	case len(plain) > 0 && len(extended) > 0:
		return nil, wrongCombination("The parameters Statistics and ExtendedStatistics are mutually exclusive and you have specified both.")
	}
	from := rounded(start, c.now, period)
	if n := (end.Unix() - from + period - 1) / period; n > maxStatisticsPoints {
		return nil, wrongCombination("You have requested up to %d datapoints, which exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxStatisticsPoints)
	}
	var stats []statistic
	for _, text := range slices.Concat(plain, extended) {
		s, err := parseStatistic(text)
		if codeOf(err) != "" {
			return nil, err
		}
		if err != nil || s.ranked != (len(extended) > 0) {
			return nil, wrongValue("The value %s for parameter Statistics is invalid.", text)
		}
		stats = append(stats, s)
	}
	points := []any{}
	for _, b := range c.bins(metricNameOf(c.in), c.str("Unit"), period, from, end.Unix(), len(extended) > 0) {
		point, ranks := object{"Timestamp": time.Unix(b.start, 0).UTC(), "Unit": b.unit}, object{}
		for _, s := range stats {
			v, ok := b.value(s)
			switch {
			case ok && s.ranked:
				ranks[s.name] = v
			case ok:
				point[s.name] = v
			}
		}
		if len(extended) > 0 {
			if len(ranks) == 0 {
				continue
			}
			point["ExtendedStatistics"] = ranks
		}
		points = append(points, point)
	}
	return object{"Label": c.str("MetricName"), "Datapoints": points}, nil
}

// series is a row of values by time; a scalar is one value for all times.
type series struct {
	times  []int64
	values []float64
	scalar bool
	period int64
	label  string
}

// metricQuery is one of MetricDataQueries.
type metricQuery struct {
	id, label  string
	metric     metricName
	stat       statistic
	period     int64
	unit       string
	expression string
	returned   bool
}

var queryID = patternOf(`^[a-z][a-zA-Z0-9_]{0,254}$`)

const (
	maxQueries    = 500
	maxExpression = 2048
)

// parseQueries reads metric data queries, of a call or an alarm.
func parseQueries(list []object) ([]*metricQuery, error) {
	if len(list) > maxQueries {
		return nil, cloudwatchInvalid("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	}
	var out []*metricQuery
	seen := map[string]bool{}
	for _, o := range list {
		q := &metricQuery{returned: true}
		q.id, _ = o["Id"].(string)
		q.label, _ = o["Label"].(string)
		q.expression, _ = o["Expression"].(string)
		q.period, _ = o["Period"].(int64)
		if r, ok := o["ReturnData"].(bool); ok {
			q.returned = r
		}
		stat, isMetric := o["MetricStat"].(object)
		switch {
		case !queryID.MatchString(q.id):
			return nil, cloudwatchInvalid("The value %s for parameter MetricDataQueries.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", q.id)
		case seen[q.id]:
			return nil, cloudwatchInvalid("The values for parameter id in MetricDataQueries are not unique: %s.", q.id)
		case len(q.expression) > maxExpression:
			return nil, cloudwatchInvalid("The Expression of %s is longer than %d characters.", q.id, maxExpression)
		case isMetric == (q.expression != ""):
			return nil, cloudwatchInvalid("Either Expression or MetricStat must be specified, for the query %s.", q.id)
		}
		seen[q.id] = true
		if isMetric {
			if err := q.readStat(stat); err != nil {
				return nil, err
			}
		}
		out = append(out, q)
	}
	return out, nil
}

func (q *metricQuery) readStat(o object) error {
	of, _ := o["Metric"].(object)
	if q.metric = metricNameOf(of); q.metric.Namespace == "" || q.metric.Name == "" {
		return cloudwatchInvalid("The Metric of the query %s must have Namespace and MetricName.", q.id)
	}
	q.period = 0
	if p, ok := asNumber(o["Period"]); ok {
		q.period = int64(p)
	}
	if !validPeriod(q.period) {
		return cloudwatchInvalid("The Period of the query %s must be 1, 5, 10, 20, 30 or a multiple of 60, not %d.", q.id, q.period)
	}
	text, _ := o["Stat"].(string)
	q.unit, _ = o["Unit"].(string)
	var err error
	if q.stat, err = parseStatistic(text); err != nil && codeOf(err) == "" {
		err = cloudwatchInvalid("The value %s for parameter MetricDataQueries.MetricStat.Stat is not a valid statistic.", text)
	}
	return err
}

// evaluation answers queries from start to end, both Unix seconds.
type evaluation struct {
	c          *call
	start, end int64
	queries    []*metricQuery
	done       map[string]*series
	under      map[string]bool // being evaluated
}

func (c *call) evaluation(queries []*metricQuery, start, end int64) *evaluation {
	return &evaluation{c, start, end, queries, map[string]*series{}, map[string]bool{}}
}

// of gives the series of a query by its id.
func (e *evaluation) of(id string) (*series, error) {
	if s, ok := e.done[id]; ok {
		return s, nil
	}
	i := slices.IndexFunc(e.queries, func(q *metricQuery) bool { return q.id == id })
	if i < 0 {
		return nil, cloudwatchInvalid("The expression refers to the id %s, which is not there.", id)
	}
	if e.under[id] {
		return nil, cloudwatchInvalid("The expression of %s refers to itself.", id)
	}
	e.under[id] = true
	defer delete(e.under, id)
	q := e.queries[i]
	s, err := e.run(q)
	if err != nil {
		return nil, err
	}
	if q.label != "" {
		s.label = q.label
	}
	e.done[id] = s
	return s, nil
}

func (e *evaluation) run(q *metricQuery) (*series, error) {
	if q.expression != "" {
		s, err := e.compute(q.expression)
		if err != nil {
			return nil, err
		}
		out := *s
		out.label = q.id
		return &out, nil
	}
	out := &series{period: q.period, label: q.metric.Name}
	from := e.start / q.period * q.period // periods of GetMetricData are those of the clock
	for _, b := range e.c.bins(q.metric, q.unit, q.period, from, e.end, q.stat.ranked) {
		if v, ok := b.value(q.stat); ok {
			out.times, out.values = append(out.times, b.start), append(out.values, v)
		}
	}
	return out, nil
}

const maxDataPoints = 100800

// GetMetricData pages through the values of all its queries, one after another.
func getMetricData(c *call) (map[string]any, error) {
	start, _ := c.in["StartTime"].(time.Time)
	end, _ := c.in["EndTime"].(time.Time)
	if !start.Before(end) {
		return nil, cloudwatchInvalid("The parameter StartTime must be less than the parameter EndTime.")
	}
	limit, skip := int64(maxDataPoints), int64(0)
	if n, ok := c.int("MaxDatapoints"); ok {
		if n < 1 || n > maxDataPoints {
			return nil, cloudwatchInvalid("The parameter MaxDatapoints must be from 1 to %d.", maxDataPoints)
		}
		limit = n
	}
	if t := c.str("NextToken"); t != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(t, "point-"), 10, 64)
		if err != nil || n < 0 {
			return nil, failure(400, "InvalidNextToken", "The token is not valid.")
		}
		skip = n
	}
	queries, err := parseQueries(c.objects("MetricDataQueries"))
	if err != nil {
		return nil, err
	}
	e := c.evaluation(queries, rounded(start, c.now, 60), end.Unix())
	results, seen, left := []any{}, int64(0), limit
	for _, q := range queries {
		s, err := e.of(q.id)
		if err != nil {
			return nil, err
		}
		if !q.returned {
			continue
		}
		if s.scalar {
			return nil, cloudwatchInvalid("Error in expression '%s': the result of a returned query must be a time series.", q.id)
		}
		n := int64(len(s.values))
		from := min(max(skip-seen, 0), n)
		to := min(from+left, n)
		left -= to - from
		seen += n
		results = append(results, s.out(q.id, from, to, c.str("ScanBy") == "TimestampAscending"))
	}
	if len(results) == 0 {
		return nil, cloudwatchInvalid("At least one of the queries must have ReturnData set to true.")
	}
	out := object{"MetricDataResults": results, "Messages": []any{}}
	if next := skip + limit - left; next < seen {
		out["NextToken"] = fmt.Sprintf("point-%d", next)
	}
	return out, nil
}

// out is a part of a series in the order that was asked for.
func (s *series) out(id string, from, to int64, ascending bool) object {
	times, values := []any{}, []any{}
	for i := from; i < to; i++ {
		at := i
		if !ascending {
			at = int64(len(s.values)) - 1 - i
		}
		times, values = append(times, time.Unix(s.times[at], 0).UTC()), append(values, s.values[at])
	}
	status := "Complete"
	if to < int64(len(s.values)) {
		status = "PartialData"
	}
	return object{"Id": id, "Label": s.label, "Timestamps": times, "Values": values, "StatusCode": status}
}
