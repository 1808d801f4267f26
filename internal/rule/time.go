package rule

import (
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
)

// timeFrom makes a timestamp of how items write times: as a timestamp, as text in
// RFC 3339 or a form that AWS Config's items have beside it, as a day, or as
// seconds or milliseconds since 1970.
func timeFrom(v value) value {
	switch v.kind {
	case kindTime, kindError:
		return v
	case kindInt:
		const milliseconds = 100_000_000_000 // as seconds this is the year 5138, as milliseconds 1973
		if v.int() >= milliseconds {
			return timeValue(time.UnixMilli(v.int()))
		}
		if v.int() < firstSecond {
			return errTimeOverflow
		}
		return timeValue(time.Unix(v.int(), 0))
	case kindString:
		if t := timestamp(v.str); !t.isError() {
			return t
		}
		for _, form := range []string{"2006-01-02T15:04:05.999999999-0700", time.DateOnly} {
			if t, err := time.Parse(form, v.str); err == nil {
				return timeValue(t)
			}
		}
		return errorValue("%q is no time as 2006-01-02T15:04:05Z", v.str)
	}
	return errNoOverload
}

// timestamp is what CEL's function of that name makes of a text. The form that
// nearly all of AWS's times have is read here, any other by cel-go.
func timestamp(text string) value {
	if t, ok := plainTime(text); ok {
		return t
	}
	m := machine{}
	return m.fromCEL(types.String(text).ConvertToType(types.TimestampType))
}

// plainTime reads a time as 2006-01-02T15:04:05Z, with a fraction or without.
func plainTime(s string) (value, bool) {
	if len(s) < 20 || s[len(s)-1] != 'Z' || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return value{}, false
	}
	year, ok1 := digitsOf(s[0:4])
	month, ok2 := digitsOf(s[5:7])
	day, ok3 := digitsOf(s[8:10])
	hour, ok4 := digitsOf(s[11:13])
	minute, ok5 := digitsOf(s[14:16])
	second, ok6 := digitsOf(s[17:19])
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) || year < 1 || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return value{}, false
	}
	nanos := 0
	if fraction := s[19 : len(s)-1]; fraction != "" {
		n, ok := digitsOf(fraction[1:])
		if fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 || !ok {
			return value{}, false
		}
		nanos = n
		for range 10 - len(fraction) {
			nanos *= 10
		}
	}
	return timeValue(time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)), true
}

// digitsOf reads a text of digits alone.
func digitsOf(s string) (int, bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
