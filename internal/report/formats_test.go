package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/report"
)

var formats = []report.Format{report.CSV, report.SARIF, report.OCSF, report.ASFF, report.JUnit, report.HTML}

func written(t *testing.T, f report.Format, s report.Scan) []byte {
	t.Helper()
	var b bytes.Buffer
	if ok, err := report.Write(&b, f, report.New(s)); !ok || err != nil {
		t.Fatalf("%s: %v %v", f, ok, err)
	}
	return b.Bytes()
}

func table(t *testing.T, s report.Scan, look report.Look) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.WriteTable(&b, report.New(s), look); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The golden files; UPDATE_GOLDEN=1 writes them anew. Style and script of the page are
// left out, and line ends are a line feed.
func TestGolden(t *testing.T) {
	const file = "testdata/formats.txtar"
	parts := regexp.MustCompile(`(?s)<style>.*?</style>|<script>.*?</script>|'sha256-[^']*'`)
	got := txtar.Archive{Comment: []byte("What the scan of report_test.go is in each format. UPDATE_GOLDEN=1 go test ./internal/report\n")}
	for name, look := range map[string]report.Look{"table": {}, "table-narrow": {Width: 60}, "table-wide-color": {Width: 140, Color: true}} {
		got.Files = append(got.Files, txtar.File{Name: name, Data: []byte(strings.ReplaceAll(table(t, estate(), look), "\x1b", "ESC"))})
	}
	for _, f := range formats {
		got.Files = append(got.Files, txtar.File{Name: string(f), Data: []byte(strings.ReplaceAll(string(parts.ReplaceAll(written(t, f, estate()), nil)), "\r\n", "\n"))})
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, sortedArchive(&got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(sortedArchive(&got))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func sortedArchive(a *txtar.Archive) []byte {
	files := a.Files
	for i := range files {
		for j := i; j > 0 && files[j].Name < files[j-1].Name; j-- {
			files[j], files[j-1] = files[j-1], files[j]
		}
	}
	return txtar.Format(a)
}

func TestStatuses(t *testing.T) {
	r := report.New(estate())
	p := r.Posture()
	status := func(list []report.Group) map[string]report.Status {
		out := map[string]report.Status{}
		for _, g := range list {
			out[g.Name] = g.Status
		}
		return out
	}
	for _, c := range []struct {
		what string
		got  []report.Group
		want map[string]report.Status
	}{
		{"packs", p.Packs, map[string]report.Status{"baseline": report.Failed, "encryption": report.Failed, "identity": report.Passed}},
		{"controls", p.Controls, map[string]report.Status{"EC2.3": report.Failed, "SNS.1": report.NotEvaluated, "S3.8": report.Failed, "CIS AWS Foundations Benchmark v5.0.0/2.1.4": report.Failed, "S3.14": report.Passed, "IAM.19": report.Passed}},
		{"accounts", p.Accounts, map[string]report.Status{"111122223333": report.Failed}},
		{"regions", p.Regions, map[string]report.Status{"eu-west-1": report.Failed, "us-east-1": report.NotEvaluated, "global": report.Passed}},
		{"severities", p.Severities, map[string]report.Status{"CRITICAL": report.Passed, "HIGH": report.Failed, "MEDIUM": report.NotEvaluated, "LOW": report.Passed, "unrated": report.NotEvaluated}},
	} {
		if diff := cmp.Diff(c.want, status(c.got)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.what, diff)
		}
	}
	if p.All.Total() != len(r.Results) || p.All.Passed != 4 || p.All.Failed != 3 || p.All.NotEvaluated != 3 {
		t.Errorf("%+v of %d", p.All, len(r.Results))
	}
	if r.Whole() || r.Unevaluated() != 2 {
		t.Errorf("whole %v, %d not evaluated", r.Whole(), r.Unevaluated())
	}
}

// A verdict that was given though a member was unread needed nothing of it; nor is a
// resource counted twice.
func TestAGivenVerdictStands(t *testing.T) {
	s := estate()
	s.Affected = func(knowngood.ReadError) []string { return []string{"s3-public", "s3-versioning"} }
	s.Unreadable = s.Unreadable[:1]
	r := report.New(s)
	for _, res := range r.Results {
		if res.Rule.Name == "s3-versioning" && res.Status != report.Passed {
			t.Errorf("%+v", res)
		}
	}
	seen := map[string]int{}
	for _, res := range r.Results {
		if seen[res.ID()]++; seen[res.ID()] > 1 {
			t.Errorf("%s on %s is there twice", res.Rule.Name, res.Resource)
		}
	}
}

func TestNothingFound(t *testing.T) {
	s := report.Scan{Places: []knowngood.Place{here}, Began: began, Packs: []string{"baseline"}, Rules: []report.Rule{{Name: "r", Pack: "baseline", Severity: knowngood.Low, Controls: []string{"EC2.3"}}}}
	p := report.New(s).Posture()
	if p.All.Status != report.NoResources || p.Packs[0].Status != report.NoResources || p.Controls[0].Status != report.NoResources || p.Accounts[0].Status != report.NoResources {
		t.Errorf("%+v", p)
	}
	for _, f := range formats {
		written(t, f, s)
	}
	if got := table(t, s, report.Look{}); !strings.HasSuffix(got, "\n0 evaluated, 0 failed, 0 not evaluated, 0 unreadable\n") || strings.Contains(got, "Posture") {
		t.Errorf("%s", got)
	}
}

func TestCSVIsRFC4180(t *testing.T) {
	raw := written(t, report.CSV, nasty())
	if strings.Count(string(raw), "\r\n") != strings.Count(string(raw), "\n") {
		t.Error("a line ends without a carriage return")
	}
	records, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := "status,severity,rule,identifier,pack,controls,account_id,region,resource_type,resource_id,arn,title,annotation,finding_id,finding_state,opened,evaluated"; strings.Join(records[0], ",") != want {
		t.Errorf("the columns are %v", records[0])
	}
	if len(records) != 1+len(report.New(nasty()).Results) {
		t.Errorf("%d records", len(records))
	}
	for _, r := range records {
		for i, cell := range r {
			if cell != "" && strings.ContainsRune("=+-@\t\r＝＋－＠", []rune(strings.TrimLeft(cell, " "))[0]) {
				t.Errorf("a spreadsheet takes %s %q for a formula", records[0][i], cell)
			}
			if strings.ContainsAny(cell, "\x00\x1b\a\n\u202e") {
				t.Errorf("%s %q", records[0][i], cell)
			}
		}
	}
}

func TestTableIsHarmless(t *testing.T) {
	for _, width := range []int{0, 40, 99, 100, 200} {
		got := table(t, nasty(), report.Look{Width: width})
		if i := strings.IndexFunc(got, func(r rune) bool { return r != '\n' && (r < ' ' || r == 0x7f || r >= '\u202a' && r <= '\u202e') }); i >= 0 {
			t.Errorf("width %d: %q", width, got[i:min(len(got), i+20)])
		}
		for line := range strings.Lines(got) {
			if n := len([]rune(line)) - 1; width >= 99 && n > width {
				t.Errorf("width %d: a line of %d: %.120s", width, n, line)
			}
		}
	}
	if strings.Contains(table(t, estate(), report.Look{}), "\x1b") {
		t.Error("colours where no terminal is")
	}
}

func TestJUnitIsXML(t *testing.T) {
	var doc struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
				Skipped *struct{} `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(written(t, report.JUnit, nasty()), &doc); err != nil {
		t.Fatal(err)
	}
	tests, failures, errors := 0, 0, 0
	for _, s := range doc.Suites {
		for _, c := range s.Cases {
			tests++
			if c.Failure != nil {
				failures++
			}
			if c.Error != nil {
				errors++
			}
		}
	}
	if tests != len(report.New(nasty()).Results) || doc.Tests != tests || doc.Failures != failures || doc.Errors != errors || failures == 0 || errors == 0 {
		t.Errorf("%d, %d, %d, said %d, %d, %d", tests, failures, errors, doc.Tests, doc.Failures, doc.Errors)
	}
}

func TestUnknownFormat(t *testing.T) {
	if ok, err := report.Write(&bytes.Buffer{}, "pdf", report.New(estate())); ok || err != nil {
		t.Error(ok, err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWritersErrorsAreSeen(t *testing.T) {
	r := report.New(estate())
	for _, f := range formats {
		if _, err := report.Write(failing{}, f, r); err == nil {
			t.Errorf("%s: no error", f)
		}
	}
	if err := report.WriteTable(failing{}, r, report.Look{}); err == nil {
		t.Error("table: no error")
	}
}

// The ids of what SARIF, OCSF and ASFF say are the same in each scan.
func TestFingerprintsAreStable(t *testing.T) {
	later := estate()
	later.Began = began.Add(24 * 60 * 60 * 1e9)
	for i := range later.Verdicts {
		later.Verdicts[i].Time = later.Began
	}
	ids := func(s report.Scan) string {
		var log struct {
			Runs []struct {
				Results []struct {
					Fingerprints map[string]string `json:"fingerprints"`
				} `json:"results"`
			} `json:"runs"`
		}
		if err := json.Unmarshal(written(t, report.SARIF, s), &log); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range log.Runs[0].Results {
			out = append(out, r.Fingerprints["knowngood/v1"])
		}
		return strings.Join(out, " ")
	}
	if a, b := ids(estate()), ids(later); a != b || !strings.Contains(a, "f-") {
		t.Errorf("%s and %s", a, b)
	}
}
