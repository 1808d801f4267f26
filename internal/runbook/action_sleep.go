package runbook

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// maxSleep is AWS's longest delay.
const maxSleep = 604799 * time.Second

// sleep is aws:sleep: it waits for a Duration, or until a Timestamp.
type sleep struct{}

func (sleep) check(c *checker, s *Step) {
	c.members(s, nil, []string{"Duration", "Timestamp"})
	duration, timestamp := s.inputs.get("Duration"), s.inputs.get("Timestamp")
	if (duration == nil) == (timestamp == nil) {
		c.add(s.Position, "Duration: an ISO 8601 duration, or Timestamp: an ISO 8601 time", "step %s: aws:sleep needs one of Duration and Timestamp", s.Name)
	}
	if duration != nil && duration.text == nil {
		if _, err := sleepDuration(text(duration.plain())); err != nil {
			c.add(duration.pos, "an ISO 8601 duration, PT10M", "step %s: Duration: %v", s.Name, err)
		}
	}
	if timestamp != nil && timestamp.text == nil {
		if _, err := time.Parse(time.RFC3339, text(timestamp.plain())); err != nil {
			c.add(timestamp.pos, "an ISO 8601 time, 2026-01-02T03:04:05Z", "step %s: Timestamp is %s", s.Name, excerpt(text(timestamp.plain())))
		}
	}
}

func (sleep) next(t *turn) move {
	var until time.Time
	if v, ok := t.inputs["Timestamp"]; ok {
		at, err := time.Parse(time.RFC3339, text(v))
		if err != nil {
			return failf("Timestamp %s is no ISO 8601 time", excerpt(text(v)))
		}
		until = at
		if until.Sub(t.started) > maxSleep {
			return failf("the Timestamp %s is more than %d seconds away", text(v), int(maxSleep.Seconds()))
		}
	} else {
		d, err := sleepDuration(text(t.inputs["Duration"]))
		if err != nil {
			return failf("Duration: %v", err)
		}
		until = t.started.Add(d)
	}
	if !t.now.Before(until) {
		return done()
	}
	return move{wait: &WaitBody{Until: until, Reason: "sleeps"}}
}

func sleepDuration(s string) (time.Duration, error) {
	d, err := ParseDuration(s)
	if err == nil && d > maxSleep {
		err = fmt.Errorf("%s is longer than %d seconds", s, int(maxSleep.Seconds()))
	}
	return d, err
}

var durationForm = regexp.MustCompile(`^P(?:(\d{1,9})W|(?:(\d{1,9})D)?(T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})(?:\.(\d{1,9}))?S)?)?)$`)

// ParseDuration reads an ISO 8601 duration of weeks, or of days, hours,
// minutes and seconds. Years and months have no fixed length and are refused.
func ParseDuration(s string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(s)
	if m == nil || s == "P" || m[3] == "T" {
		return 0, fmt.Errorf("%s is no ISO 8601 duration of weeks, days, hours, minutes and seconds", excerpt(s))
	}
	const day = 24 * time.Hour
	var total time.Duration
	for _, f := range []struct {
		digits string
		unit   time.Duration
	}{{m[1], 7 * day}, {m[2], day}, {m[4], time.Hour}, {m[5], time.Minute}, {m[6], time.Second}} {
		n, _ := strconv.ParseInt(f.digits, 10, 64) // at most nine digits, or none
		if n > int64((1<<62)/f.unit) {
			return 0, fmt.Errorf("%s is too long", excerpt(s))
		}
		if total += time.Duration(n) * f.unit; total < 0 {
			return 0, fmt.Errorf("%s is too long", excerpt(s))
		}
	}
	if m[7] != "" {
		f, _ := strconv.ParseFloat("0."+m[7], 64)
		total += time.Duration(f * float64(time.Second))
	}
	return total, nil
}
