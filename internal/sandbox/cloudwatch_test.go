package sandbox

import (
	"math"
	"reflect"
	"testing"
	"time"
)

func datum(name string, v float64, more object) object {
	o := object{"MetricName": name, "Value": v}
	for k, e := range more {
		if o[k] = e; e == nil {
			delete(o, k)
		}
	}
	return o
}

func (w *world) putMetrics(data ...object) {
	w.t.Helper()
	w.do("cloudwatch", "PutMetricData", object{"Namespace": "acme", "MetricData": anys(data)})
}

// stat asks for one statistic of acme's metrics, oldest first.
func (w *world) stat(id, name, stat string, period int64, back time.Duration) (times []any, values []any) {
	w.t.Helper()
	out := w.do("cloudwatch", "GetMetricData", object{"StartTime": w.clock.Now().Add(-back), "EndTime": w.clock.Now().Add(time.Minute), "ScanBy": "TimestampAscending", "MetricDataQueries": []any{
		object{"Id": id, "MetricStat": object{"Metric": object{"Namespace": "acme", "MetricName": name}, "Period": period, "Stat": stat}}}})
	r := out["MetricDataResults"].([]any)[0].(object)
	if r["StatusCode"] != "Complete" || r["Id"] != id || r["Label"] != name {
		w.t.Errorf("%v", r)
	}
	return r["Timestamps"].([]any), r["Values"].([]any)
}

func TestMetricsReadBackExactly(t *testing.T) {
	w := newWorld(t)
	start := w.clock.Now()
	want := []float64{0.1, 1e-300, 3, -7.25, math.Nextafter(1, 2)}
	for _, v := range want {
		w.putMetrics(datum("m", v, nil))
		w.clock.Advance(time.Minute)
	}
	times, values := w.stat("a", "m", "Average", 60, time.Hour)
	if len(values) != len(want) {
		t.Fatalf("%v", values)
	}
	for i := range want {
		if values[i] != want[i] || times[i] != start.Add(time.Duration(i)*time.Minute) {
			t.Errorf("%v at %v, want %v", values[i], times[i], want[i])
		}
	}
}

func TestStatistics(t *testing.T) {
	w := newWorld(t)
	w.putMetrics(datum("m", 0, object{"Value": nil, "Values": []any{1.0, 2.0, 3.0, 100.0}, "Counts": []any{50.0, 40.0, 9.0, 1.0}, "Unit": "Seconds"}))
	w.clock.Advance(time.Minute)
	w.putMetrics(datum("m", 0, object{"Value": nil, "StatisticValues": object{"Minimum": 2.0, "Maximum": 8.0, "Sum": 20.0, "SampleCount": 4.0}}))
	for stat, want := range map[string][]any{
		"Minimum": {1.0, 2.0}, "Maximum": {100.0, 8.0}, "Sum": {257.0, 20.0}, "SampleCount": {100.0, 4.0}, "Average": {2.57, 5.0},
		"p50": {1.0}, "p90": {2.0}, "p99": {3.0}, "p99.5": {100.0}, "p100": {100.0}, // a set of statistics has no percentiles
	} {
		if _, got := w.stat("a", "m", stat, 60, time.Hour); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", stat, got, want)
		}
	}
	out := w.do("cloudwatch", "GetMetricStatistics", object{"Namespace": "acme", "MetricName": "m", "StartTime": w.clock.Now().Add(-time.Hour), "EndTime": w.clock.Now(), "Period": int64(3600), "Unit": "Seconds", "ExtendedStatistics": ids("p99")})
	if got := out["Datapoints"].([]any); len(got) != 1 || got[0].(object)["ExtendedStatistics"].(object)["p99"] != 3.0 || got[0].(object)["Unit"] != "Seconds" {
		t.Errorf("%v", got)
	}
}

func TestWhatPutMetricDataRefuses(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	many := make([]any, 151)
	for i := range many {
		many[i] = 1.0
	}
	for _, c := range []struct {
		code string
		in   object
	}{
		{"InvalidParameterValue", datum("m", math.NaN(), nil)},
		{"InvalidParameterValue", datum("m", math.Inf(1), nil)},
		{"InvalidParameterValue", datum("m", math.Ldexp(1.1, 360), nil)},
		{"InvalidParameterValue", datum("m", 1, object{"Timestamp": now.Add(-15 * 24 * time.Hour)})},
		{"InvalidParameterValue", datum("m", 1, object{"Timestamp": now.Add(3 * time.Hour)})},
		{"InvalidParameterValue", datum("m", 1, object{"StorageResolution": int64(30)})},
		{"InvalidParameterValue", datum("m", 1, object{"Dimensions": []any{object{"Name": "a", "Value": "1"}, object{"Name": "a", "Value": "2"}}})},
		{"InvalidParameterCombination", datum("m", 1, object{"Values": []any{1.0}})},
		{"MissingParameter", datum("m", 1, object{"Value": nil})},
		{"InvalidParameterValue", datum("m", 1, object{"Value": nil, "Values": many})},
		{"InvalidParameterValue", datum("m", 1, object{"Value": nil, "Values": []any{1.0}, "Counts": []any{1.0, 2.0}})},
		{"InvalidParameterValue", datum("m", 1, object{"Value": nil, "Values": []any{1.0}, "Counts": []any{0.0}})},
		{"InvalidParameterValue", datum("m", 1, object{"Value": nil, "StatisticValues": object{"Minimum": 9.0, "Maximum": 8.0, "Sum": 20.0, "SampleCount": 4.0}})},
	} {
		w.fails(c.code, "cloudwatch", "PutMetricData", object{"Namespace": "acme", "MetricData": []any{datum("good", 1, nil), c.in}})
	}
	w.fails("InvalidParameterValue", "cloudwatch", "PutMetricData", object{"Namespace": "AWS/EC2", "MetricData": []any{datum("m", 1, nil)}})
	w.fails("MissingParameter", "cloudwatch", "PutMetricData", object{"Namespace": "acme"})
	if l := w.do("cloudwatch", "ListMetrics", nil)["Metrics"].([]any); len(l) != 0 {
		t.Errorf("a refused call left %v", l)
	}
}

func TestListMetrics(t *testing.T) {
	w := newWorld(t)
	w.putMetrics(datum("m", 1, object{"Dimensions": []any{object{"Name": "Host", "Value": "a"}, object{"Name": "App", "Value": "x"}}}), datum("m", 1, object{"Dimensions": []any{object{"Name": "Host", "Value": "b"}}}), datum("n", 1, nil))
	count := func(in object) int { return len(w.do("cloudwatch", "ListMetrics", in)["Metrics"].([]any)) }
	for _, c := range []struct {
		in   object
		want int
	}{
		{nil, 3}, {object{"MetricName": "m"}, 2}, {object{"Dimensions": []any{object{"Name": "Host"}}}, 2}, {object{"Dimensions": []any{object{"Name": "Host", "Value": "a"}}}, 1},
		{object{"Dimensions": []any{object{"Name": "Host"}, object{"Name": "App"}}}, 1}, {object{"Namespace": "other"}, 0},
	} {
		if got := count(c.in); got != c.want {
			t.Errorf("%v: %d, want %d", c.in, got, c.want)
		}
	}
	w.fails("InvalidParameterValue", "cloudwatch", "ListMetrics", object{"NextToken": "x"})
	w.clock.Advance(4 * time.Hour)
	if count(object{"RecentlyActive": "PT3H"}) != 0 || count(nil) != 3 {
		t.Error("4 hours later")
	}
	w.clock.Advance(14 * 24 * time.Hour)
	if count(nil) != 0 {
		t.Error("two weeks later")
	}
	i := w.launch(object{})
	w.clock.Advance(time.Hour)
	l := w.do("cloudwatch", "ListMetrics", object{"Namespace": "AWS/EC2"})["Metrics"].([]any)
	if len(l) != 1 || l[0].(object)["MetricName"] != "CPUUtilization" || l[0].(object)["Dimensions"].([]any)[0].(object)["Value"] != i {
		t.Errorf("%v", l)
	}
}

func TestWhatGetMetricDataRefuses(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	stat := func(id string, period int64, stat string) object {
		return object{"Id": id, "MetricStat": object{"Metric": object{"Namespace": "acme", "MetricName": "m"}, "Period": period, "Stat": stat}}
	}
	math := func(id, e string) object { return object{"Id": id, "Expression": e} }
	for _, c := range []struct {
		code    string
		queries []any
	}{
		{"ValidationError", []any{stat("A", 60, "Sum")}},
		{"ValidationError", []any{stat("a", 60, "Sum"), stat("a", 60, "Average")}},
		{"ValidationError", []any{stat("a", 45, "Sum")}},
		{"ValidationError", []any{stat("a", 90, "Sum")}},
		{"ValidationError", []any{stat("a", 60, "sum")}},
		{"ValidationError", []any{stat("a", 60, "p101")}},
		{"NotImplemented", []any{stat("a", 60, "tm90")}},
		{"ValidationError", []any{object{"Id": "a"}}},
		{"ValidationError", []any{math("a", "b")}},
		{"ValidationError", []any{math("a", "b"), math("b", "a")}},
		{"ValidationError", []any{math("a", "1 + 2")}},
		{"ValidationError", []any{stat("m", 60, "Sum"), math("a", "m +")}},
		{"ValidationError", []any{stat("m", 60, "Sum"), math("a", "m m")}},
		{"ValidationError", []any{stat("m", 60, "Sum"), math("a", "(m")}},
		{"ValidationError", []any{stat("m", 60, "Sum"), math("a", "SUM(m, m)")}},
		{"NotImplemented", []any{stat("m", 60, "Sum"), math("a", "ANOMALY_DETECTION_BAND(m)")}},
		{"ValidationError", []any{object{"Id": "a", "ReturnData": false, "MetricStat": stat("a", 60, "Sum")["MetricStat"]}}},
	} {
		w.fails(c.code, "cloudwatch", "GetMetricData", object{"StartTime": now.Add(-time.Hour), "EndTime": now, "MetricDataQueries": c.queries})
	}
	w.fails("ValidationError", "cloudwatch", "GetMetricData", object{"StartTime": now, "EndTime": now, "MetricDataQueries": []any{stat("a", 60, "Sum")}})
	w.fails("InvalidNextToken", "cloudwatch", "GetMetricData", object{"StartTime": now.Add(-time.Hour), "EndTime": now, "NextToken": "x", "MetricDataQueries": []any{stat("a", 60, "Sum")}})
	in := object{"Namespace": "acme", "MetricName": "m", "StartTime": now.Add(-24 * time.Hour), "EndTime": now, "Period": int64(60), "Statistics": ids("Sum")}
	for code, more := range map[string]object{
		"InvalidParameterCombination": {"StartTime": now.Add(-25 * time.Hour)}, // 1,500 points
		"InvalidParameterValue":       {"Period": int64(61)},
		"ok":                          {},
	} {
		with := copied(in).(object)
		for k, v := range more {
			with[k] = v
		}
		if code == "ok" {
			w.do("cloudwatch", "GetMetricStatistics", with)
			continue
		}
		w.fails(code, "cloudwatch", "GetMetricStatistics", with)
	}
	in["ExtendedStatistics"] = ids("p90")
	w.fails("InvalidParameterCombination", "cloudwatch", "GetMetricStatistics", in)
}

func TestMetricMathAndPages(t *testing.T) {
	w := newWorld(t)
	start := w.clock.Now()
	for i := range 10 {
		data := []object{datum("a", float64(i), nil)}
		if i%2 == 0 {
			data = append(data, datum("b", 10, nil))
		}
		w.putMetrics(data...)
		w.clock.Advance(time.Minute)
	}
	metric := func(id string) object {
		return object{"Id": id, "ReturnData": false, "MetricStat": object{"Metric": object{"Namespace": "acme", "MetricName": id}, "Period": int64(60), "Stat": "Average"}}
	}
	ask := func(expression string, more object) object {
		in := object{"StartTime": start, "EndTime": w.clock.Now(), "ScanBy": "TimestampAscending", "MetricDataQueries": []any{metric("a"), metric("b"), object{"Id": "e", "Expression": expression}}}
		for k, v := range more {
			in[k] = v
		}
		return w.do("cloudwatch", "GetMetricData", in)
	}
	for expression, want := range map[string][]any{
		"a + b":           {10.0, 12.0, 14.0, 16.0, 18.0},
		"(a - 1) * 2 / b": {-0.2, 0.2, 0.6, 1.0, 1.4},
		"SUM([a, b])":     {10.0, 1.0, 12.0, 3.0, 14.0, 5.0, 16.0, 7.0, 18.0, 9.0},
		"MAX(METRICS())":  {10.0, 1.0, 10.0, 3.0, 10.0, 5.0, 10.0, 7.0, 10.0, 9.0},
		"b / MAX(a)":      {10.0 / 9, 10.0 / 9, 10.0 / 9, 10.0 / 9, 10.0 / 9},
		"ABS(0-a) ^ 2":    {0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0, 49.0, 64.0, 81.0},
		"FILL(b, 0)":      {10.0, 0.0, 10.0, 0.0, 10.0, 0.0, 10.0, 0.0, 10.0, 0.0},
		"b / a":           {5.0, 2.5, 10.0 / 6, 1.25}, // no value where it is divided by zero
		"a / PERIOD(a)":   {0.0, 1.0 / 60, 2.0 / 60, 3.0 / 60, 4.0 / 60, 5.0 / 60, 6.0 / 60, 7.0 / 60, 8.0 / 60, 9.0 / 60},
	} {
		if got := ask(expression, nil)["MetricDataResults"].([]any)[0].(object)["Values"].([]any); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", expression, got, want)
		}
	}
	var all []any
	token, pages := "", 0
	for range 9 {
		more := object{"MaxDatapoints": int64(4), "ScanBy": "TimestampDescending"}
		if token != "" {
			more["NextToken"] = token
		}
		out := ask("a * 1", more)
		pages++
		all = append(all, out["MetricDataResults"].([]any)[0].(object)["Values"].([]any)...)
		var ok bool
		if token, ok = out["NextToken"].(string); !ok {
			break
		}
	}
	if pages != 3 || !reflect.DeepEqual(all, []any{9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0}) {
		t.Errorf("%d pages, %v", pages, all)
	}
}

func TestAPatternIsAMonthWithoutStore(t *testing.T) {
	w := newWorld(t)
	i := w.launch(object{})
	pattern := MetricPattern{Namespace: "AWS/EC2", Name: "CPUUtilization", Dimensions: map[string]string{"InstanceId": i}, Mean: 4, Swing: 2, Noise: 1, High: 100}
	if _, err := w.AddMetric(pattern); err != nil {
		t.Fatal(err)
	}
	launched := w.clock.Now()
	w.clock.Advance(30 * 24 * time.Hour)
	ask := func(stat string, period int64) []any {
		out := w.do("cloudwatch", "GetMetricData", object{"StartTime": launched.Add(-time.Hour), "EndTime": w.clock.Now(), "ScanBy": "TimestampAscending", "MetricDataQueries": []any{object{"Id": "c", "MetricStat": object{
			"Metric": object{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Dimensions": []any{object{"Name": "InstanceId", "Value": i}}}, "Period": period, "Stat": stat}}}})
		return out["MetricDataResults"].([]any)[0].(object)["Values"].([]any)
	}
	values := ask("Average", 300)
	if len(values) != 30*24*12 {
		t.Errorf("%d values in 30 days", len(values))
	}
	low, high, total := 100.0, 0.0, 0.0
	for _, v := range values {
		low, high, total = min(low, v.(float64)), max(high, v.(float64)), total+v.(float64)
	}
	if low < 1 || high > 7 || high < 6 || low > 2 || math.Abs(total/float64(len(values))-4) > 0.05 {
		t.Errorf("from %v to %v, mean %v", low, high, total/float64(len(values)))
	}
	if again := ask("Average", 300); !reflect.DeepEqual(values, again) {
		t.Error("asked again, it is another")
	}
	if got := ask("Maximum", 60); len(got) != 15*24*12 {
		t.Errorf("%d values by the minute: CloudWatch keeps those for 15 days", len(got))
	}
	raw, err := w.Snapshot()
	if err != nil || len(raw) > 60000 {
		t.Errorf("a snapshot of %d bytes, %v", len(raw), err)
	}
	back, err := Restore(Options{Catalog: w.catalog}, raw)
	if err != nil {
		t.Fatal(err)
	}
	restored := *w
	restored.Sandbox = back
	w = &restored
	if again := ask("Average", 300); !reflect.DeepEqual(values, again) {
		t.Error("restored, it is another")
	}
	w.do("ec2", "StopInstances", object{"InstanceIds": ids(i)})
	before := len(ask("Average", 3600))
	w.clock.Advance(time.Hour)
	if after := len(ask("Average", 3600)); after != before {
		t.Errorf("a stopped instance has values: %d, then %d", before, after)
	}
	for _, bad := range []MetricPattern{{Name: "x"}, {Namespace: "a"}, {Namespace: "a", Name: "x", Every: 7}} {
		if _, err := w.AddMetric(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestAlarms(t *testing.T) {
	w := newWorld(t)
	var events []string
	w.OnEvent(func(e []byte) { events = append(events, string(e)) })
	alarm := object{"AlarmName": "hot", "Namespace": "acme", "MetricName": "m", "Statistic": "Average", "Period": int64(60), "EvaluationPeriods": int64(2), "Threshold": 10.0, "ComparisonOperator": "GreaterThanThreshold"}
	w.do("cloudwatch", "PutMetricAlarm", alarm)
	state := func() any {
		w.t.Helper()
		return w.do("cloudwatch", "DescribeAlarms", object{"AlarmNames": ids("hot")})["MetricAlarms"].([]any)[0].(object)["StateValue"]
	}
	if state() != "INSUFFICIENT_DATA" {
		t.Errorf("%v before any data", state())
	}
	for _, v := range []float64{1, 20, 30, 5} {
		w.putMetrics(datum("m", v, nil))
		w.clock.Advance(time.Minute)
		if want := map[float64]string{1: "OK", 20: "OK", 30: "ALARM", 5: "OK"}[v]; state() != want {
			t.Errorf("after %v: %v, want %s", v, state(), want)
		}
	}
	w.clock.Advance(time.Hour)
	if state() != "INSUFFICIENT_DATA" || len(events) != 4 {
		t.Errorf("%v an hour later, %d events", state(), len(events))
	}
	for _, c := range [][2]string{{"breaching", "ALARM"}, {"notBreaching", "OK"}, {"missing", "INSUFFICIENT_DATA"}} {
		alarm["TreatMissingData"] = c[0]
		w.do("cloudwatch", "PutMetricAlarm", alarm)
		w.clock.Advance(time.Minute)
		if state() != c[1] {
			t.Errorf("missing data is %s: %v, want %s", c[0], state(), c[1])
		}
	}
	w.do("cloudwatch", "SetAlarmState", object{"AlarmName": "hot", "StateValue": "ALARM", "StateReason": "a test"})
	if state() != "ALARM" {
		t.Errorf("%v after it was set", state())
	}
	w.clock.Advance(time.Minute)
	if state() == "ALARM" {
		t.Error("a state that was set outlives its evaluation")
	}
	for _, c := range []struct {
		code string
		more object
	}{
		{"InvalidParameterCombination", object{"ExtendedStatistic": "p90"}},
		{"ValidationError", object{"Period": int64(45)}},
		{"ValidationError", object{"EvaluationPeriods": int64(1441)}},
		{"ValidationError", object{"DatapointsToAlarm": int64(3)}},
		{"ValidationError", object{"TreatMissingData": "never"}},
		{"ValidationError", object{"ComparisonOperator": "GreaterThanUpperThreshold"}},
		{"InvalidParameterCombination", object{"Metrics": []any{object{"Id": "a", "Expression": "1"}}}},
	} {
		with := copied(alarm).(object)
		for k, v := range c.more {
			with[k] = v
		}
		w.fails(c.code, "cloudwatch", "PutMetricAlarm", with)
	}
	w.fails("ResourceNotFound", "cloudwatch", "DeleteAlarms", object{"AlarmNames": ids("hot", "cold")})
	w.do("cloudwatch", "DeleteAlarms", object{"AlarmNames": ids("hot")})
	w.fails("ResourceNotFound", "cloudwatch", "SetAlarmState", object{"AlarmName": "hot", "StateValue": "OK", "StateReason": "x"})
}

func BenchmarkAMonthOfCPU(b *testing.B) {
	m := &metric{Of: cpuOf("i-1"), Pattern: &MetricPattern{Every: 300, Mean: 20, Swing: 10, Noise: 5, High: 100}}
	for b.Loop() {
		n := 0
		m.each(1, nil, 1_700_000_000, 1_700_000_000+30*86400, func(sample) { n++ })
		if n != 30*86400/300 {
			b.Fatal(n)
		}
	}
}
