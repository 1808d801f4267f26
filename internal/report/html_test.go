package report_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/report"
)

// The page's policy lets its own style and script run, and nothing else; it loads nothing.
func TestPageIsSelfContained(t *testing.T) {
	page := string(written(t, report.HTML, nasty()))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("it has no policy")
	}
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		parts := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(page, -1)
		if len(parts) != 1 {
			t.Fatalf("%d parts <%s>", len(parts), tag)
		}
		sum := sha256.Sum256([]byte(parts[0][1]))
		if want := directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(html.UnescapeString(policy[1]), want) {
			t.Errorf("the policy is %s, want %s", html.UnescapeString(policy[1]), want)
		}
	}
	if !strings.Contains(policy[1], "default-src &#39;none&#39;") && !strings.Contains(policy[1], "default-src 'none'") {
		t.Errorf("the policy is %s", policy[1])
	}
	for _, bad := range []string{`src=`, `@import`, `url(h`, ` style="`, ` onclick`, `<iframe`, `<link`, `<img`} {
		if i := strings.Index(strings.ReplaceAll(page, html.EscapeString(hostile["html"]), ""), bad); i >= 0 && !strings.Contains(page[max(0, i-60):i], "&lt;") {
			t.Errorf("it has %q: %s", bad, page[max(0, i-40):i+40])
		}
	}
}

// Whatever others wrote is text: no tag, attribute or link is made of it.
func TestPageEscapesEverything(t *testing.T) {
	page := string(written(t, report.HTML, nasty()))
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error("the hostile text is not shown")
	}
	for _, m := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "#") && !strings.HasPrefix(m[1], "https://docs.aws.amazon.com/") {
			t.Errorf("a link to %s", m[1])
		}
	}
	// Each element is one that the page's own text has.
	own := map[string]bool{}
	for _, m := range regexp.MustCompile(`<([a-zA-Z]+)`).FindAllStringSubmatch(string(written(t, report.HTML, estate())), -1) {
		own[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`<([a-zA-Z]+)`).FindAllStringSubmatch(page, -1) {
		if !own[m[1]] {
			t.Errorf("a foreign element <%s>", m[1])
		}
	}
}

// What a screen reader needs is there.
func TestPageIsAccessible(t *testing.T) {
	page := string(written(t, report.HTML, estate()))
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]]++; ids[m[1]] > 1 {
			t.Errorf("the id %s is there twice", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:href="#|aria-labelledby="|for=")([^"]*)"`).FindAllStringSubmatch(page, -1) {
		for _, id := range strings.Fields(m[1]) {
			if ids[id] == 0 {
				t.Errorf("nothing has the id %s", id)
			}
		}
	}
	for _, svg := range regexp.MustCompile(`<svg[^>]*>`).FindAllString(page, -1) {
		if !strings.Contains(svg, `aria-hidden="true"`) && (!strings.Contains(svg, `role="img"`) || !regexp.MustCompile(`aria-label="[^"]+"`).MatchString(svg)) {
			t.Errorf("a picture without a text: %s", svg)
		}
	}
	for _, want := range []string{`<html lang="en">`, "<main>", "<h1>", `class="skip"`, `scope="col"`} {
		if !strings.Contains(page, want) {
			t.Errorf("it has no %s", want)
		}
	}
	for _, th := range regexp.MustCompile(`<th[ >][^>]*>?`).FindAllString(page, -1) {
		if !strings.Contains(th, "scope=") {
			t.Errorf("a head without a scope: %s", th)
		}
	}
}

// 5,000 findings, and as many passes, in each format; bytes is the file's size.
func BenchmarkFormats(b *testing.B) {
	r := report.New(many(5000))
	for _, f := range formats {
		b.Run(string(f), func(b *testing.B) {
			for b.Loop() {
				var size counting
				if _, err := report.Write(&size, f, r); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(size), "bytes")
			}
		})
	}
}

type counting int

func (c *counting) Write(p []byte) (int, error) { *c += counting(len(p)); return len(p), nil }
