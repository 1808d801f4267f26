package pattern

import (
	"errors"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		expr, text string
		want       bool
	}{
		{`^vol-[0-9a-f]{8,17}$`, "vol-0123456789abcdef0", true},
		{`^vol-[0-9a-f]{8,17}$`, "vol-x", false},
		{`^(?!aws:).+$`, "owner", true},
		{`^(?!aws:).+$`, "aws:owner", false},
		{`^(?=.*[0-9])[a-z0-9]+$`, "abc1", true},
		{`^(?=.*[0-9])[a-z0-9]+$`, "abc", false},
		{`(a)\1`, "xaax", true},
	} {
		p, err := Compile(c.expr)
		if err != nil {
			t.Fatalf("%s: %v", c.expr, err)
		}
		got, err := p.Match(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s on %q: %v, %v; want %v", c.expr, c.text, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, expr := range []string{`(`, `[z-a]`, `(?<n`, strings.Repeat("a", MaxLength+1)} {
		if _, err := Compile(expr); err == nil {
			t.Errorf("%.20s: compiled", expr)
		}
	}
}

// A pattern that would take exponential time is given up.
func TestCatastrophe(t *testing.T) {
	p, err := Compile(`^(?=a)(a+)+$`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Match(strings.Repeat("a", 64) + "!"); !errors.Is(err, ErrTooSlow) {
		t.Errorf("got %v, want ErrTooSlow", err)
	}
}
