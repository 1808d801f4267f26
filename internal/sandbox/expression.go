package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// timetable is a schedule expression, as EventBridge and others have it:
// rate(5 minutes) or cron(0 12 * * ? *), in UTC.
//
// Source: Amazon EventBridge User Guide, "Setting a schedule pattern for
// scheduled rules (legacy)".
type timetable struct {
	every                         time.Duration // of a rate; 0: a cron expression
	minutes, hours, months, years []int
	days, weekdays                dayField
}

// dayField says which days of a month fit; nil fits all.
type dayField func(day time.Time) bool

// parseTimetable reads a schedule expression.
func parseTimetable(text string) (timetable, error) {
	kind, inner, _ := strings.Cut(text, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	switch {
	case kind == "rate" && closed:
		return parseRate(inner)
	case kind == "cron" && closed:
		return parseCron(strings.Fields(inner))
	}
	return timetable{}, fmt.Errorf("%q is neither rate(value unit) nor cron(fields)", text)
}

// maxRate is far beyond any use, and keeps a rate within what a duration holds.
const maxRate = 100 * 365 * 24 * time.Hour

func parseRate(text string) (timetable, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	per, ok := units[strings.TrimSuffix(unit, "s")]
	if err != nil || n < 1 || !ok || time.Duration(n) > maxRate/per || (n == 1) == strings.HasSuffix(unit, "s") {
		return timetable{}, fmt.Errorf("the rate %q is not a number and a unit, minute, hour or day, with an s for more than one", text)
	}
	return timetable{every: time.Duration(n) * per}, nil
}

var (
	monthNames   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	weekdayNames = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

func parseCron(fields []string) (timetable, error) {
	if len(fields) != 6 {
		return timetable{}, fmt.Errorf("a cron expression has six fields, not %d", len(fields))
	}
	var t timetable
	for _, f := range []struct {
		into      *[]int
		low, high int
		names     []string
		at        int
	}{{&t.minutes, 0, 59, nil, 0}, {&t.hours, 0, 23, nil, 1}, {&t.months, 1, 12, monthNames, 3}, {&t.years, 1970, 2199, nil, 5}} {
		list, err := cronField(fields[f.at], f.low, f.high, f.names)
		if err != nil {
			return t, fmt.Errorf("field %d of the cron expression: %w", f.at+1, err)
		}
		*f.into = list
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return t, fmt.Errorf("one of day of month and day of week must be ?, and not both")
	}
	var err error
	if t.days, err = monthDays(fields[2]); err != nil {
		return t, fmt.Errorf("field 3 of the cron expression: %w", err)
	}
	if t.weekdays, err = weekDays(fields[4]); err != nil {
		return t, fmt.Errorf("field 5 of the cron expression: %w", err)
	}
	return t, nil
}

// cronField reads a field of values, ranges, steps and names.
func cronField(text string, low, high int, names []string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		body, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 {
				return nil, fmt.Errorf("the step of %q is no positive number", part)
			}
		}
		from, to := low, high
		if body != "*" {
			first, last, ranged := strings.Cut(body, "-")
			var err error
			if from, err = cronValue(first, low, high, names); err != nil {
				return nil, err
			}
			if to = from; ranged {
				if to, err = cronValue(last, low, high, names); err != nil {
					return nil, err
				}
			} else if stepped {
				to = high
			}
			if to < from {
				return nil, fmt.Errorf("the range %q goes backwards", body)
			}
		}
		for v := from; v <= to; v += step {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func cronValue(text string, low, high int, names []string) (int, error) {
	if i := slices.Index(names, strings.ToUpper(text)); i >= 0 {
		return i + low, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q is not from %d to %d", text, low, high)
	}
	return n, nil
}

// monthDays reads the day of month: values, L for the last, 15W for the weekday
// next to the 15th.
func monthDays(text string) (dayField, error) {
	switch {
	case text == "?" || text == "*":
		return nil, nil
	case text == "L":
		return func(d time.Time) bool { return d.AddDate(0, 0, 1).Day() == 1 }, nil
	case strings.HasSuffix(text, "W"):
		n, err := cronValue(strings.TrimSuffix(text, "W"), 1, 31, nil)
		return func(d time.Time) bool { return d.Day() == nearestWeekday(d, n) }, err
	}
	list, err := cronField(text, 1, 31, nil)
	return func(d time.Time) bool { return slices.Contains(list, d.Day()) }, err
}

// nearestWeekday is the day from Monday to Friday that is next to the nth, within
// the month; 0: the month has no nth.
func nearestWeekday(month time.Time, n int) int {
	day := time.Date(month.Year(), month.Month(), n, 0, 0, 0, 0, time.UTC)
	if day.Month() != month.Month() {
		return 0
	}
	last := day.AddDate(0, 0, 1).Day() == 1
	switch {
	case day.Weekday() == time.Saturday && n == 1:
		return 3
	case day.Weekday() == time.Saturday:
		return n - 1
	case day.Weekday() == time.Sunday && last:
		return n - 2
	case day.Weekday() == time.Sunday:
		return n + 1
	}
	return n
}

// weekDays reads the day of week, 1 being Sunday: values, 6L for the last Friday
// of the month, 6#3 for the third.
func weekDays(text string) (dayField, error) {
	if text == "?" || text == "*" {
		return nil, nil
	}
	if day, nth, ok := strings.Cut(text, "#"); ok {
		d, err := cronValue(day, 1, 7, weekdayNames)
		n, err2 := cronValue(nth, 1, 5, nil)
		return func(t time.Time) bool { return int(t.Weekday())+1 == d && (t.Day()-1)/7+1 == n }, first(err, err2)
	}
	if text == "L" { // the last day of the week
		return func(t time.Time) bool { return t.Weekday() == time.Saturday }, nil
	}
	if day, ok := strings.CutSuffix(text, "L"); ok {
		d, err := cronValue(day, 1, 7, weekdayNames)
		return func(t time.Time) bool { return int(t.Weekday())+1 == d && t.AddDate(0, 0, 7).Month() != t.Month() }, err
	}
	list, err := cronField(text, 1, 7, weekdayNames)
	return func(t time.Time) bool { return slices.Contains(list, int(t.Weekday())+1) }, err
}

// next gives the first time after another; false: there is none.
func (t timetable) next(after time.Time) (time.Time, bool) {
	if t.every > 0 {
		return after.Add(t.every), true
	}
	at := after.UTC().Truncate(time.Minute).Add(time.Minute)
	last := t.years[len(t.years)-1]
	for day := at.Truncate(24 * time.Hour); day.Year() <= last; day = day.AddDate(0, 0, 1) {
		if !slices.Contains(t.years, day.Year()) || !slices.Contains(t.months, int(day.Month())) ||
			t.days != nil && !t.days(day) || t.weekdays != nil && !t.weekdays(day) {
			continue
		}
		for _, h := range t.hours {
			for _, m := range t.minutes {
				if when := day.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute); !when.Before(at) {
					return when, true
				}
			}
		}
	}
	return time.Time{}, false
}
