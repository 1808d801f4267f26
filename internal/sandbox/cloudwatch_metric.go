package sandbox

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// metricName is what identifies a metric. Dimensions are by name.
type metricName struct {
	Namespace  string      `json:"namespace"`
	Name       string      `json:"name"`
	Dimensions []dimension `json:"dimensions,omitempty"`
}

type dimension struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func newMetricName(namespace, name string, dimensions []dimension) metricName {
	slices.SortFunc(dimensions, func(a, b dimension) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value)) })
	return metricName{namespace, name, dimensions}
}

// metricNameOf reads a metric as the calls have it.
func metricNameOf(o object) metricName {
	namespace, _ := o["Namespace"].(string)
	name, _ := o["MetricName"].(string)
	var dimensions []dimension
	for _, d := range objects(o["Dimensions"]) {
		var one dimension
		one.Name, _ = d["Name"].(string)
		one.Value, _ = d["Value"].(string)
		dimensions = append(dimensions, one)
	}
	return newMetricName(namespace, name, dimensions)
}

// key is one text for the whole name; no part of it may hold a line feed.
func (m metricName) key() string {
	parts := []string{m.Namespace, m.Name}
	for _, d := range m.Dimensions {
		parts = append(parts, d.Name, d.Value)
	}
	return strings.Join(parts, "\n")
}

func (m metricName) out() object {
	dimensions := []any{}
	for _, d := range m.Dimensions {
		dimensions = append(dimensions, object{"Name": d.Name, "Value": d.Value})
	}
	return object{"Namespace": m.Namespace, "MetricName": m.Name, "Dimensions": dimensions}
}

// metric holds what was put, or follows a pattern.
type metric struct {
	Of      metricName     `json:"of"`
	Samples []sample       `json:"samples,omitempty"` // by time
	Pattern *MetricPattern `json:"pattern,omitempty"`
}

// sample is one value, which may count several times, or a set of statistics.
type sample struct {
	At    int64   `json:"at"` // Unix seconds
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Sum   float64 `json:"sum"`
	Count float64 `json:"count"`
	Unit  string  `json:"unit"`
}

// MetricPattern is a metric that the sandbox makes up as it is asked for, and
// doesn't store: a month of it costs nothing. Its values follow from the
// sandbox's seed: Mean, plus a daily swing that is highest at 14:00 UTC, plus
// noise of up to Noise either way, all between Low and High.
//
// A metric of the namespace AWS/EC2 with the dimension InstanceId has values
// only while the instance runs.
type MetricPattern struct {
	Namespace  string            `json:"namespace"`
	Name       string            `json:"name"`
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Unit       string            `json:"unit,omitempty"`  // default Percent
	Every      int64             `json:"every,omitempty"` // seconds between values; default 300, as EC2's basic monitoring
	Mean       float64           `json:"mean"`
	Swing      float64           `json:"swing,omitempty"`
	Noise      float64           `json:"noise,omitempty"`
	Low        float64           `json:"low,omitempty"`
	High       float64           `json:"high,omitempty"`  // 0: no bound
	Since      time.Time         `json:"since,omitempty"` // default: as long as CloudWatch keeps data
}

// at gives the value of a slot of Every seconds.
func (p *MetricPattern) at(seed uint64, slot int64) float64 {
	day := float64((slot*p.Every)%86400) / 86400
	v := p.Mean + p.Swing*math.Cos(2*math.Pi*(day-14.0/24)) + p.Noise*(2*unit(seed+uint64(slot))-1)
	if v = max(v, p.Low); p.High > 0 {
		v = min(v, p.High)
	}
	return v
}

// unit makes a number from 0 to 1 of any other (SplitMix64).
func unit(x uint64) float64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// seedOf is the start of a metric's own numbers.
func seedOf(seed int64, key string) uint64 {
	h := fnv.New64a()
	_ = binary.Write(h, binary.BigEndian, seed) // a hash takes everything
	_, _ = h.Write([]byte(key))
	return h.Sum64()
}

// each gives the samples from one time up to another, by time.
func (m *metric) each(seed int64, there func(at int64) bool, from, to int64, yield func(sample)) {
	put := m.Samples[sort.Search(len(m.Samples), func(i int) bool { return m.Samples[i].At >= from }):]
	until := func(at int64) {
		for ; len(put) > 0 && put[0].At < at; put = put[1:] {
			yield(put[0])
		}
	}
	if p := m.Pattern; p != nil {
		if !p.Since.IsZero() {
			from = max(from, p.Since.Unix())
		}
		own := seedOf(seed, m.Of.key())
		for slot := (from + p.Every - 1) / p.Every; slot*p.Every < to; slot++ {
			at := slot * p.Every
			until(at)
			if there == nil || there(at) {
				v := p.at(own, slot)
				yield(sample{at, v, v, v, 1, p.Unit})
			}
		}
	}
	until(to)
}

// metric finds a metric. Each EC2 instance has a CPUUtilization, put or not.
func (c *call) metric(name metricName) (*metric, bool) {
	if m, ok := c.home().CloudWatch.Metrics[name.key()]; ok {
		return m, true
	}
	if id := name.instance(); id != "" && name.Name == "CPUUtilization" && c.home().Instances[id] != nil {
		return c.defaultCPU(name), true
	}
	return nil, false
}

// instance is the instance that a metric of EC2 is of, or "".
func (m metricName) instance() string {
	if m.Namespace == "AWS/EC2" && len(m.Dimensions) == 1 && m.Dimensions[0].Name == "InstanceId" {
		return m.Dimensions[0].Value
	}
	return ""
}

func cpuOf(id string) metricName {
	return metricName{"AWS/EC2", "CPUUtilization", []dimension{{"InstanceId", id}}}
}

// defaultCPU is what an instance does of which nothing else is said: enough that
// its size is right.
func (c *call) defaultCPU(name metricName) *metric {
	mean := 35 + 15*unit(seedOf(c.state.Seed, name.key()))
	return &metric{Of: name, Pattern: &MetricPattern{Unit: "Percent", Every: 300, Mean: mean, Swing: 15, Noise: 10, High: 100}}
}

// there says when a metric has values; nil: always.
func (c *call) there(name metricName) func(int64) bool {
	r := c.home().Instances[name.instance()]
	if r == nil {
		return nil
	}
	return func(at int64) bool {
		i, ok := r.as(time.Unix(at, 0))
		return ok && i.State == "running"
	}
}

// bin is the samples of one period.
type bin struct {
	start                 int64
	low, high, sum, count float64
	unit                  string
	values                []weighted // only where percentiles are asked for
	blurred               bool       // a set of statistics is in it, which has no percentiles
}

type weighted struct{ value, count float64 }

func (b *bin) add(s sample, keep bool) {
	if b.count == 0 {
		b.low, b.high, b.unit = s.Low, s.High, s.Unit
	}
	b.low, b.high = min(b.low, s.Low), max(b.high, s.High)
	b.sum += s.Sum
	b.count += s.Count
	if s.Low != s.High {
		b.blurred = true
	}
	if keep {
		b.values = append(b.values, weighted{s.Low, s.Count})
	}
}

// value gives a statistic; false: there is none.
func (b *bin) value(s statistic) (float64, bool) {
	switch s.name {
	case "SampleCount":
		return b.count, true
	case "Average":
		return b.sum / b.count, true
	case "Sum":
		return b.sum, true
	case "Minimum":
		return b.low, true
	case "Maximum":
		return b.high, true
	}
	if b.blurred {
		return 0, false
	}
	slices.SortFunc(b.values, func(a, b weighted) int { return cmp.Compare(a.value, b.value) })
	seen, want := 0.0, s.percentile/100*b.count
	for _, v := range b.values {
		if seen += v.count; seen >= want {
			return v.value, true
		}
	}
	return b.high, true
}

// horizon is how long CloudWatch keeps values that are as fine as a period.
// Source: Amazon CloudWatch User Guide, "Metrics retention".
func horizon(period int64) time.Duration {
	switch {
	case period < 60:
		return 3 * time.Hour
	case period%300 != 0:
		return 15 * day
	case period%3600 != 0:
		return 63 * day
	}
	return 455 * day
}

// bins sums up a metric from start to end, both Unix seconds, in periods counted
// from start. An empty unit takes all. Periods without a value are left out.
func (c *call) bins(name metricName, unit string, period, start, end int64, keep bool) []*bin {
	m, ok := c.metric(name)
	if !ok {
		return nil
	}
	from := max(start, c.now.Add(-horizon(period)).Unix())
	var out []*bin
	m.each(c.state.Seed, c.there(name), from, min(end, c.now.Unix()+7200), func(s sample) {
		if unit != "" && s.Unit != unit {
			return
		}
		at := start + (s.At-start)/period*period
		if n := len(out); n == 0 || out[n-1].start != at {
			out = append(out, &bin{start: at})
		}
		out[len(out)-1].add(s, keep)
	})
	return out
}
