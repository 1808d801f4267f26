package sandbox

import (
	"testing"
	"time"
)

func TestTimetables(t *testing.T) {
	const layout = "Mon 2006-01-02 15:04"
	after := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC) // a Tuesday
	for text, want := range map[string][2]string{
		"rate(5 minutes)":              {"Tue 2026-11-24 08:05", "Tue 2026-11-24 08:10"},
		"rate(1 day)":                  {"Wed 2026-11-25 08:00", "Thu 2026-11-26 08:00"},
		"cron(0 8 * * ? *)":            {"Wed 2026-11-25 08:00", "Thu 2026-11-26 08:00"},
		"cron(15 10 ? * 6L 2026-2027)": {"Fri 2026-11-27 10:15", "Fri 2026-12-25 10:15"},
		"cron(0/15 8-9 ? * MON-FRI *)": {"Tue 2026-11-24 08:15", "Tue 2026-11-24 08:30"},
		"cron(0 9 ? * 2#1 *)":          {"Mon 2026-12-07 09:00", "Mon 2027-01-04 09:00"},
		"cron(0 0 L * ? *)":            {"Mon 2026-11-30 00:00", "Thu 2026-12-31 00:00"},
		"cron(0 18 1W * ? *)":          {"Tue 2026-12-01 18:00", "Fri 2027-01-01 18:00"},
		"cron(0 0 15W * ? *)":          {"Tue 2026-12-15 00:00", "Fri 2027-01-15 00:00"},
		"cron(0 0 ? * L *)":            {"Sat 2026-11-28 00:00", "Sat 2026-12-05 00:00"},
		"cron(0 0 29 FEB ? *)":         {"Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"},
		"cron(5,35 14 * JAN,JUN ? *)":  {"Fri 2027-01-01 14:05", "Fri 2027-01-01 14:35"},
		"cron(0 0 31 4 ? *)":           {"never", ""},
		"cron(0 0 1 1 ? 2026)":         {"never", ""},
	} {
		table, err := parseTimetable(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		at := after
		for _, w := range want {
			if w == "" {
				continue
			}
			next, ok := table.next(at)
			if got := next.Format(layout); ok && got != w || !ok && w != "never" {
				t.Errorf("%s after %s: %s (%v), want %s", text, at.Format(layout), got, ok, w)
			}
			at = next
		}
	}
	// 1W of a month that begins on a Saturday is the Monday after: not in the month
	// before. Of one that ends on a Sunday, 31W is the Friday before.
	for text, want := range map[string]string{"cron(0 0 1W 5 ? *)": "Mon 2027-05-03 00:00", "cron(0 0 31W 1 ? *)": "Fri 2027-01-29 00:00"} {
		table, err := parseTimetable(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := table.next(after); got.Format(layout) != want {
			t.Errorf("%s: %s, want %s", text, got.Format(layout), want)
		}
	}
	for _, bad := range []string{"", "rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5 weeks)", "rate(99999999 days)", "rate(5 )", "rate(5 minutes", "cron(0 8 * * ? *", "rate(-5 minutes)", "cron()", "cron(0 12 * * ?)", "cron(0 12 * * * *)",
		"cron(0 12 ? * ? *)", "cron(60 12 * * ? *)", "cron(0 24 * * ? *)", "cron(0 12 32 * ? *)", "cron(0 12 * 13 ? *)", "cron(0 12 ? * 8 *)", "cron(0 12 ? * 1#6 *)",
		"cron(0 12 * * ? 1969)", "cron(5-1 12 * * ? *)", "cron(0/0 12 * * ? *)", "cron(a 12 * * ? *)", "at(2026-01-01T00:00:00)"} {
		if _, err := parseTimetable(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What can be read has times that go forward, in whole minutes for cron.
func FuzzTimetables(f *testing.F) {
	for _, seed := range []string{"rate(5 minutes)", "cron(0/15 8-9 ? * MON-FRI *)", "cron(15 10 ? * 6L 2026-2027)", "cron(0 0 31W 1 ? *)", "cron(0 9 ? * 2#1 *)", "cron(0 0 L * ? *)"} {
		f.Add(seed, int64(1795507200))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		after := time.Unix(seconds%(1<<32), 0).UTC()
		table, err := parseTimetable(text)
		if err != nil {
			return
		}
		for range 3 {
			next, ok := table.next(after)
			if !ok {
				return
			}
			if !next.After(after) || table.every == 0 && (next.Second() != 0 || next.Sub(next.Truncate(time.Minute)) != 0) {
				t.Fatalf("%s after %s: %s", text, after, next)
			}
			after = next
		}
	})
}
