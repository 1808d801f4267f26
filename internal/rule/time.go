package rule

import (
	"fmt"
	"time"
)

// timeForms are how AWS Config's items write times.
var timeForms = []string{time.RFC3339, "2006-01-02T15:04:05.999999999-0700", time.DateOnly}

// timeOf reads a time of an item.
func timeOf(text string) (time.Time, error) {
	for _, form := range timeForms {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time as 2006-01-02T15:04:05Z", text)
}
