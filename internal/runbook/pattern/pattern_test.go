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
		// More repeats than RE2 takes, and escapes of Java's, as AWS's runbooks have them.
		{`^[a-z_\_\-]{1,1024}$`, "a_-b", true},
		{`^[a-z_\_\-]{1,1024}$`, "a.b", false},
		{`^(?!aws\/)[0-9A-Za-z\-\_\/#.]{1,512}$`, "a_b/c", true},
		{`^(?!aws\/)[0-9A-Za-z\-\_\/#.]{1,512}$`, "aws/c", false},
		{`^[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*$`, "group é 𝄞\n", true},
		{`^[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*$`, "\a", false},
		{`^\u002a+\\u$`, `**\u`, true},
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
