package iampolicy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// naive is the matcher that anybody would write first.
func naive(pattern, text []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(text) == 0
	case pattern[0] == '*':
		return naive(pattern[1:], text) || len(text) > 0 && naive(pattern, text[1:])
	case len(text) == 0:
		return false
	}
	return (pattern[0] == '?' || pattern[0] == text[0]) && naive(pattern[1:], text[1:])
}

var (
	patterns = rapid.StringMatching(`[abé€*?]{0,8}`)
	texts    = rapid.StringMatching(`[abé€]{0,10}`)
)

func TestMatcherEqualsTheNaiveOne(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		pattern, text := patterns.Draw(t, "pattern"), texts.Draw(t, "text")
		want := naive([]rune(pattern), []rune(text))
		if want {
			matched++
		}
		if got := asWritten.matches(pattern, text, false); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
		expanded := strings.NewReplacer("*", "\xff", "?", "\xfe").Replace(pattern)
		if got := asExpanded.matches(expanded, text, false); got != want {
			t.Fatalf("%q expanded on %q: %v, want %v", pattern, text, got, want)
		}
		if got := asWritten.matches(strings.ToUpper(pattern), text, true); !strings.Contains(pattern, "é") && got != want {
			t.Fatalf("%q without case on %q: %v, want %v", pattern, text, got, want)
		}
	})
	if matched == 0 {
		t.Error("nothing ever matched")
	}
}

// FuzzMatch compares with the naive matcher where that ends soon enough, and
// checks that the fast one ends everywhere.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "axxbyc"}, {"*a*a*a*a*b", strings.Repeat("a", 50)}, {"?", "\xff"}, {"*??b?c", "€bxc"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		got := asWritten.matches(pattern, text, false)
		if strings.Count(pattern, "*") > 3 || len(text) > 60 || !utf8.ValidString(pattern) || !utf8.ValidString(text) {
			return
		}
		if want := naive([]rune(pattern), []rune(text)); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
	})
}

func TestCoversIsNeverWrong(t *testing.T) {
	covered := 0
	rapid.Check(t, func(t *rapid.T) {
		p, q := patterns.Draw(t, "p"), patterns.Draw(t, "q")
		if !covers(p, q, false) {
			return
		}
		covered++
		for range 20 {
			if text := texts.Draw(t, "text"); asWritten.matches(q, text, false) && !asWritten.matches(p, text, false) {
				t.Fatalf("%q covers %q, but %q matches the latter only", p, q, text)
			}
		}
	})
	if covered == 0 {
		t.Error("nothing ever covered")
	}
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{"s3:*", "s3:Get*", true}, {"s3:Get*", "s3:*", false}, {"s3:?et", "s3:*et", false}, {"s3:*et", "s3:?et", true},
		{"*", "${aws:username}", true}, {"a/*", "a/${aws:username}", true}, {"*}", "${aws:username}", false}, {"a/?", "a/${?}", false},
		{"${aws:username}*", "${aws:username}*", true}, {"${aws:username}*", "${aws:username}", false}, {"S3:get*", "s3:GetObject", true},
	} {
		if got := coversAction(c.p, c.q); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.p, c.q, got, c.want)
		}
	}
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x", true}, {"arn:aws:sqs:*:*:q", "arn:aws:sqs:eu-west-1:111122223333:q", true},
		{"arn:aws:sqs", "arn:aws:sqs:eu-west-1:111122223333:q", true}, {"arn:aws:s3:::b*", "*", false}, {"*", "anything", true},
		{"arn:*:x", "arn:aws:s3:::x", false}, {"arn:aws:s3:::b/*", "arn:aws:s3", false},
	} {
		if got := coversResource(c.p, c.q); got != c.want {
			t.Errorf("%q covers %q: %v, want %v", c.p, c.q, got, c.want)
		}
	}
}

// TestOverlapsEqualsTrying tries all texts that two short patterns could have in
// common: none needs to be longer than both together.
func TestOverlapsEqualsTrying(t *testing.T) {
	var all []string
	var grow func(prefix string, n int)
	grow = func(prefix string, n int) {
		all = append(all, prefix)
		if n > 0 {
			grow(prefix+"a", n-1)
			grow(prefix+"b", n-1)
		}
	}
	grow("", 6)
	short := rapid.StringMatching(`[ab*?]{0,3}`)
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := short.Draw(t, "a"), short.Draw(t, "b")
		want := false
		for _, text := range all {
			want = want || asWritten.matches(a, text, false) && asWritten.matches(b, text, false)
		}
		if want {
			yes++
		} else {
			no++
		}
		if got := overlaps(a, b); got != want {
			t.Fatalf("%q and %q: %v, want %v", a, b, got, want)
		}
	})
	if yes == 0 || no == 0 {
		t.Errorf("%d overlapped, %d did not", yes, no)
	}
}

func TestResourcesAreMatchedPartByPart(t *testing.T) {
	for _, c := range []struct {
		pattern, resource string
		want              bool
	}{
		{"*", "*", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false},
		{"arn:aws:s3:::B", "arn:aws:s3:::b", false},
		{"arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1/2/test/3/o.jpg", true},
		{"arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b//test/o.jpg", true},
		{"arn:aws:s3:::b/*/test/*", "arn:aws:s3:::b/1-test/o.jpg", false},
		{"arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:eu-west-1:111122223333:q", true},
		{"arn:aws:sqs:*:111122223333:q", "arn:aws:sqs:eu-west-1:444455556666:x:111122223333:q", false}, // no reach over colons
		{"arn:aws:sqs", "arn:aws:sqs:eu-west-1:111122223333:q", true},                                  // completed by "*"
		{"arn:aws:sqs:eu-*", "arn:aws:sqs:us-east-1:111122223333:q", false},
		{"arn:aws:ec2:*:*:*", "*", false}, // an action on no resource needs "*"
		{"arn:aws:iam::111122223333:user/?da", "arn:aws:iam::111122223333:user/ada", true},
		{"arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${aws:username}", true}, // plain text here
	} {
		if got := MatchResource(c.pattern, c.resource); got != c.want {
			t.Errorf("%q on %q: %v, want %v", c.pattern, c.resource, got, c.want)
		}
	}
	if !MatchAction("S3:get*", "s3:GetObject") || MatchAction("s3:Get", "s3:GetObject") {
		t.Error("actions are matched wrongly")
	}
}
