package runbook

import (
	"fmt"
	"regexp"
	"strconv"
)

// Rate is a MaxConcurrency or MaxErrors: a number of targets, or a percentage.
type Rate struct {
	N       int
	Percent bool
	Set     bool
}

// The forms that StartAutomationExecution takes.
var (
	concurrencyForm = regexp.MustCompile(`^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$`)
	errorsForm      = regexp.MustCompile(`^([1-9][0-9]{0,6}|0|[1-9][0-9]?%|0%|100%)$`)
)

// ParseConcurrency reads a MaxConcurrency: "10" or "10%", at least 1. "" is not
// set.
func ParseConcurrency(s string) (Rate, error) { return parseRate(s, concurrencyForm) }

// ParseErrors reads a MaxErrors: "10" or "10%". "" is not set.
func ParseErrors(s string) (Rate, error) { return parseRate(s, errorsForm) }

func parseRate(s string, form *regexp.Regexp) (Rate, error) {
	if s == "" {
		return Rate{}, nil
	}
	if !form.MatchString(s) {
		return Rate{}, fmt.Errorf("%s is no number of targets and no percentage", excerpt(s))
	}
	r := Rate{Set: true}
	if n := len(s) - 1; s[n] == '%' {
		s, r.Percent = s[:n], true
	}
	var err error
	r.N, err = strconv.Atoi(s)
	return r, err
}

// Or is the rate as it is written, or the standard where nothing is set.
func (r Rate) Or(standard string) string {
	switch {
	case !r.Set:
		return standard
	case r.Percent:
		return strconv.Itoa(r.N) + "%"
	}
	return strconv.Itoa(r.N)
}

// Concurrency is how many of the targets may be worked on at once: all where
// nothing is set, and at least one.
func (r Rate) Concurrency(targets int) int {
	switch {
	case !r.Set:
		return targets
	case r.Percent:
		return max(1, targets*r.N/100)
	}
	return min(r.N, max(1, targets))
}

// Errors is after how many failed targets no further ones are begun: with
// MaxErrors 3 it is the fourth, with 10% of 50 the sixth. Where nothing is set
// it is one, as in Systems Manager.
func (r Rate) Errors(targets int) int {
	if r.Percent {
		return targets*r.N/100 + 1
	}
	return r.N + 1
}
