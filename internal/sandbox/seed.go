package sandbox

import (
	"encoding/json"
	"fmt"
	"strings"
)

// What an estate holds that no call makes: metrics of AWS's own namespaces,
// threats, vulnerabilities, events of AWS's services, and what a Lambda function does. A scenario adds them with calls to the service
// "sandbox", the control API at /_knowngood/seed/, and a program with the
// functions themselves.
//
//	sandbox:AddAnswer         FunctionAnswer
//	sandbox:AddEvent          Event
//	sandbox:AddHubFinding     a finding in ASFF
//	sandbox:AddMetric         MetricPattern
//	sandbox:AddThreat         Threat
//	sandbox:AddVulnerability  Vulnerability
var seeds = map[string]func(*Sandbox, []byte) (object, error){
	"AddAnswer":        seed((*Sandbox).AddAnswer),
	"AddEvent":         seed((*Sandbox).AddEvent),
	"AddHubFinding":    seed((*Sandbox).AddHubFinding),
	"AddMetric":        seed((*Sandbox).AddMetric),
	"AddThreat":        seed((*Sandbox).AddThreat),
	"AddVulnerability": seed((*Sandbox).AddVulnerability),
}

// seed reads one of what a function adds, from JSON without unknown members.
func seed[T any](add func(*Sandbox, T) (string, error)) func(*Sandbox, []byte) (object, error) {
	return func(s *Sandbox, raw []byte) (object, error) {
		var v T
		if err := strict(strings.NewReader(string(raw)), &v); err != nil {
			return nil, err
		}
		id, err := add(s, v)
		return object{"id": id}, err
	}
}

// seeded adds one thing by the name of its kind.
func (s *Sandbox) seeded(kind string, in any) (map[string]any, error) {
	add, ok := seeds[kind]
	if !ok {
		return nil, fmt.Errorf("the sandbox has no %s to be told; it has %s", kind, strings.Join(sorted(seeds), ", "))
	}
	raw, ok := in.([]byte)
	if !ok {
		var err error
		if raw, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	return add(s, raw)
}

// own is a call of the sandbox's own operator in its own account and Region,
// under the lock.
func (s *Sandbox) own() *call {
	now := s.clock.Now()
	s.settle(now)
	return &call{Sandbox: s, now: now, view: now, region: s.region, who: s.state.Keys[OperatorKey]}
}

// AddMetric lets a metric of the sandbox's own account and Region follow a
// pattern, from now on and for the past. It gives the metric's name.
func (s *Sandbox) AddMetric(p MetricPattern) (string, error) {
	if p.Namespace == "" || p.Name == "" {
		return "", fmt.Errorf("a metric needs a namespace and a name")
	}
	if p.Every == 0 {
		p.Every = 300
	}
	if !validPeriod(p.Every) {
		return "", fmt.Errorf("a metric's values come every 1, 5, 10, 20 or 30 seconds, or in whole minutes, not every %d seconds", p.Every)
	}
	if p.Unit == "" {
		p.Unit = "Percent"
	}
	var dimensions []dimension
	for k, v := range p.Dimensions {
		dimensions = append(dimensions, dimension{k, v})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := &s.own().home().CloudWatch
	if state.Metrics == nil {
		state.Metrics = map[string]*metric{}
	}
	name := newMetricName(p.Namespace, p.Name, dimensions)
	m := state.Metrics[name.key()]
	if m == nil {
		m = &metric{Of: name}
		state.Metrics[name.key()] = m
	}
	m.Pattern = &p
	return p.Name, nil
}
