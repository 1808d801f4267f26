package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/mototest"
)

var update = flag.Bool("update", false, "write the tables of docs/sandbox.md anew")

// assertion is what testdata/conformance.py says of one of its assertions.
type assertion struct {
	Service, Text string
	Passed        bool
	Why           string
}

// assertions runs the script against a server. control is the sandbox's control
// API, or "".
func assertions(t *testing.T, endpoint, control, key, secret string) []assertion {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", "testdata/conformance.py")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+endpoint, "AWS_ACCESS_KEY_ID="+key, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=", "CONTROL="+control,
		"AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "no_proxy=127.0.0.1", "PYTHONDONTWRITEBYTECODE=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the script: %v\n%s", err, stderr.String())
	}
	var all []assertion
	for line := range bytes.Lines(out) {
		var a assertion
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, a)
	}
	return all
}

// The flows that this project depends on are asked of the sandbox over HTTP, by
// boto3, and of moto, a server by others: what AWS documents decides, so that the
// sandbox and we can't share one misunderstanding.
func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("python3 with boto3 is not installed")
	}
	w := newWorld(t)
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	ours := assertions(t, server.URL, server.URL+controlPrefix, OperatorKey, operatorSecret)
	if n := len(ours); n < 200 {
		t.Errorf("%d assertions, want 200", n)
	}
	passed := 0
	for _, a := range ours {
		if a.Passed {
			passed++
		} else {
			t.Logf("%s: %s: %s", a.Service, a.Text, a.Why)
		}
	}
	if share := float64(passed) / float64(len(ours)); share < 0.92 {
		t.Errorf("%d of %d hold (%.0f%%), want 92%%", passed, len(ours), 100*share)
	}
	version, theirs := moto(t)
	if theirs != nil && len(theirs) != len(ours) {
		t.Errorf("%d assertions for the sandbox and %d for moto: an assertion must not depend on what a server answers", len(ours), len(theirs))
	}
	checkTables(t, ours, theirs, version)
}

// moto runs the script against moto's server, where it is installed.
func moto(t *testing.T) (version string, all []assertion) {
	t.Helper()
	raw, err := exec.Command("python3", "-c", "import moto, flask; print(moto.__version__)").Output()
	if err != nil || mototest.Missing() != "" {
		t.Log("moto is not installed: there is no second opinion")
		return "", nil
	}
	endpoint := mototest.Start(t, "MOTO_IAM_LOAD_MANAGED_POLICIES=true")
	return strings.TrimSpace(string(raw)), assertions(t, endpoint, "", "testing", "testing")
}

// score is how many of a service's assertions hold.
type score struct{ passed, total int }

func scores(list []assertion) (by map[string]score, services []string, sum score) {
	by = map[string]score{}
	for _, a := range list {
		s := by[a.Service]
		if s.total == 0 {
			services = append(services, a.Service)
		}
		s.total++
		sum.total++
		if a.Passed {
			s.passed++
			sum.passed++
		}
		by[a.Service] = s
	}
	slices.Sort(services)
	return by, services, sum
}

const paper = "../../docs/sandbox.md"

var (
	conformanceTable = regexp.MustCompile(`(?s)\| service \| assertions \|.*?\n\n`)
	differences      = regexp.MustCompile(`(?s)(<!-- differences -->\n).*?(<!-- end -->\n)`)
	motosRow         = regexp.MustCompile(`(?m)^\| (\S+) \| \d+ \| \d+ \| (\d+) \|$`)
	motosVersion     = regexp.MustCompile(`moto ([\d.]+) \|\n`)
)

// checkTables holds docs/sandbox.md to what was found, or writes it with -update.
// Where only moto's column differs it says so: that is no fault of ours.
func checkTables(t *testing.T, ours, theirs []assertion, version string) {
	t.Helper()
	raw, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	old := string(raw)
	was, had := map[string]string{}, ""
	if m := motosVersion.FindStringSubmatch(old); m != nil {
		had = m[1]
	}
	for _, row := range motosRow.FindAllStringSubmatch(old, -1) {
		was[row[1]] = row[2]
	}
	kept, wanted := tables(old, ours, was, had), ""
	if theirs == nil {
		wanted = kept
	} else {
		by, _, sum := scores(theirs)
		is := map[string]string{all: fmt.Sprint(sum.passed)}
		for service, s := range by {
			is[service] = fmt.Sprint(s.passed)
		}
		t.Logf("moto %s: %d of %d hold (%.0f%%)", version, sum.passed, sum.total, 100*float64(sum.passed)/float64(sum.total))
		wanted = tables(old, ours, is, version)
	}
	_, _, sum := scores(ours)
	t.Logf("the sandbox: %d of %d hold (%.0f%%)\n\n%s", sum.passed, sum.total, 100*float64(sum.passed)/float64(sum.total), conformanceTable.FindString(wanted))
	switch {
	case wanted == old:
	case *update:
		if err := os.WriteFile(paper, []byte(wanted), 0o644); err != nil { //nolint:gosec // a document is for all to read
			t.Fatal(err)
		}
	case kept == old:
		t.Logf("docs/sandbox.md has other figures of moto:\n%s", difference(old, wanted))
	default:
		t.Errorf("docs/sandbox.md is not what was found; go test ./internal/sandbox -run TestConformance -update writes it anew:\n%s", difference(old, wanted))
	}
}

// all names the row of sums.
const all = "**all**"

// tables puts what was found into a text.
func tables(text string, ours []assertion, moto map[string]string, version string) string {
	by, services, sum := scores(ours)
	table := fmt.Sprintf("| service | assertions | sandbox | moto %s |\n|---|---|---|---|\n", version)
	for _, s := range services {
		table += fmt.Sprintf("| %s | %d | %d | %s |\n", s, by[s].total, by[s].passed, moto[s])
	}
	table += fmt.Sprintf("| %s | %d | %d | %s |\n\n", all, sum.total, sum.passed, moto[all])
	list := ""
	for _, a := range ours {
		if !a.Passed {
			list += fmt.Sprintf("- %s: %s\n", a.Service, a.Text)
		}
	}
	text = conformanceTable.ReplaceAllLiteralString(text, table)
	return differences.ReplaceAllStringFunc(text, func(m string) string {
		parts := differences.FindStringSubmatch(m)
		return parts[1] + list + parts[2]
	})
}

// difference gives the lines of a text that another has not, and the other way
// round.
func difference(old, wanted string) string {
	has := func(text, line string) bool { return slices.Contains(strings.Split(text, "\n"), line) }
	var out strings.Builder
	for _, side := range []struct{ sign, text, other string }{{"-", old, wanted}, {"+", wanted, old}} {
		for s := bufio.NewScanner(strings.NewReader(side.text)); s.Scan(); {
			if !has(side.other, s.Text()) {
				fmt.Fprintf(&out, "%s %s\n", side.sign, s.Text())
			}
		}
	}
	return out.String()
}
