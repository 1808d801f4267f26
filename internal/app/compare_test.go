package app

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/internal/strictyaml"
	"github.com/knowngood/knowngood/library"
)

// compared is a rule and the checks of Prowler that ask the same.
type compared struct {
	Rule       string            `yaml:"rule"`
	Parameters map[string]string `yaml:"parameters"`
	Checks     []string          `yaml:"checks"`
	Account    bool              `yaml:"account"`
	Any        bool              `yaml:"any"`
	// Differs are the differences that were decided, by resource id; "*" is of
	// every resource.
	Differs map[string]decided `yaml:"differs"`
}

// decided is how a difference was decided.
type decided struct {
	Ours   knowngood.Compliance `yaml:"ours"`
	Theirs string               `yaml:"theirs"` // PASS, FAIL, or any
	Why    string               `yaml:"why"`    // what AWS's page on the rule says of it
}

// TestRulesAreComparedWithProwler builds an estate, lets our rules and Prowler's
// checks judge it, and compares them, rule by rule and resource by resource. Each
// difference must be one that testdata/compare/prowler.yaml decides; the page
// docs/comparison.md lists them.
func TestRulesAreComparedWithProwler(t *testing.T) {
	folder := os.Getenv("KNOWNGOOD_PROWLER")
	if folder == "" {
		t.Skip("KNOWNGOOD_PROWLER names no folder with Prowler's sources")
	}
	list := comparisons(t)
	box := comparedEstate(t)
	theirs := prowler(t, folder, box, list)
	ours := verdictsOf(t, box, list)
	rules, resources, agree, differ := 0, 0, 0, 0
	for _, c := range list {
		same, other, both := c.compare(t, ours[c.Rule], theirs)
		if both == 0 {
			t.Errorf("%s: nothing is judged by both", c.Rule)
			continue
		}
		rules, resources, agree, differ = rules+1, resources+both, agree+same, differ+other
	}
	figures := fmt.Sprintf("%d rules, %d resources that both judge: %d verdicts are the same, %d differ.", rules, resources, agree, differ)
	t.Log(figures)
	if page, err := os.ReadFile(comparisonPage); err != nil || !strings.Contains(string(page), figures) {
		t.Errorf("%s does not say: %s", comparisonPage, figures)
	}
	if rules < 40 {
		t.Errorf("%d rules are compared, want 40", rules)
	}
}

const comparisonPage = "../../docs/comparison.md"

// comparisons reads which rules are compared.
func comparisons(t *testing.T) []compared {
	t.Helper()
	var list struct {
		Rules []compared `yaml:"rules"`
	}
	raw, err := os.ReadFile("testdata/compare/prowler.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := strictyaml.Decode("prowler.yaml", raw, &list, "rules and checks"); err != nil {
		t.Fatal(err)
	}
	return list.Rules
}

// TestThePageOfComparisons holds docs/comparison.md to the rules that are compared
// and the differences that are decided. UPDATE_COMPARISON=1 writes its tables anew.
func TestThePageOfComparisons(t *testing.T) {
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| rule | resource | ours | theirs | what AWS's page decides |\n|---|---|---|---|---|\n")
	list := comparisons(t)
	for _, c := range list {
		d, ok := lib.Rule(c.Rule)
		if !ok {
			t.Fatalf("there is no rule %s", c.Rule)
		}
		for _, id := range slices.Sorted(maps.Keys(c.Differs)) {
			x := c.Differs[id]
			if x.Why == "" {
				t.Errorf("%s, %s: nothing decides", c.Rule, id)
			}
			fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s | %s |\n", d.Name, d.Source, strings.Replace(id, "*", "those that differ", 1), x.Ours, x.Theirs, x.Why)
		}
	}
	b.WriteString("\n| rule | checks |\n|---|---|\n")
	for _, c := range list {
		fmt.Fprintf(&b, "| %s | %s |\n", c.Rule, strings.Join(c.Checks, ", "))
	}
	raw, err := os.ReadFile(comparisonPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), "<!-- tables -->\n")
	_, after, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatal("the page has no place for its tables")
	}
	page := before + "<!-- tables -->\n" + b.String() + "<!-- end -->" + after
	if os.Getenv("UPDATE_COMPARISON") != "" {
		if err := os.WriteFile(comparisonPage, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if page != string(raw) {
		t.Error("the page's tables are not those of testdata/compare/prowler.yaml; UPDATE_COMPARISON=1 writes them")
	}
}

// comparedEstate is the scenario startup, and more.
func comparedEstate(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	// Prowler counts days on the machine's clock, and waits for reports on it.
	clock := &lateClock{behind: 90 * 24 * time.Hour}
	box, err := sandbox.New(sandbox.Options{Catalog: c, Clock: clock, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := loadScenario(t.Context(), box, "startup", ""); err != nil {
		t.Fatal(err)
	}
	clock.behind = 0 // what follows lies in the time since
	if err := loadScenario(t.Context(), box, "testdata/compare/estate.yaml", "."); err != nil {
		t.Fatal(err)
	}
	return box
}

// lateClock is behind the machine's.
type lateClock struct {
	knowngood.WallClock
	behind time.Duration // not changed while somebody may read it
}

func (c *lateClock) Now() time.Time { return c.WallClock.Now().Add(-c.behind) }

// judgement is what one side says of a resource.
type judgement struct {
	id, name, arn string
	verdict       string
	why           string
}

// prowler gives the findings of all checks, by check.
func prowler(t *testing.T, folder string, box *sandbox.Sandbox, rules []compared) map[string][]judgement {
	t.Helper()
	server := httptest.NewServer(box)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	args := []string{"testdata/compare/prowler.py", folder, box.Account(), box.Region()}
	for _, c := range rules {
		args = append(args, c.Checks...)
	}
	cmd := exec.CommandContext(ctx, "python3", args...)
	id, secret := box.Credentials()
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION="+box.Region(), "AWS_DEFAULT_REGION="+box.Region(), "AWS_EC2_METADATA_DISABLED=true", "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	findings := map[string][]judgement{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var f struct{ Check, ID, ARN, Status, Text, Error string }
		if json.Unmarshal(lines.Bytes(), &f) != nil {
			continue // a check's own print
		}
		if f.Error != "" {
			t.Errorf("%s did not run: %s", f.Check, f.Error)
		}
		findings[f.Check] = append(findings[f.Check], judgement{id: f.ID, arn: f.ARN, verdict: f.Status, why: f.Text})
	}
	return findings
}

// verdictsOf collects the estate and gives our evaluations, by rule.
func verdictsOf(t *testing.T, box *sandbox.Sandbox, rules []compared) map[string][]judgement {
	t.Helper()
	c, err := catalog()
	if err != nil {
		t.Fatal(err)
	}
	lib, err := rule.Load(library.FS)
	if err != nil {
		t.Fatal(err)
	}
	table, err := inventory.LoadTypes(library.FS, c)
	if err != nil {
		t.Fatal(err)
	}
	var active []rule.Active
	for _, r := range rules {
		d, ok := lib.Rule(r.Rule)
		if !ok {
			t.Fatalf("there is no rule %s", r.Rule)
		}
		compiled, err := rule.Compile(d, r.Parameters)
		if err != nil {
			t.Fatal(err)
		}
		active = append(active, rule.Active{Name: r.Rule, Rule: compiled})
	}
	set, err := rule.NewSet(active)
	if err != nil {
		t.Fatal(err)
	}
	id, secret := box.Credentials()
	client, err := awsapi.New(awsapi.Config{Catalog: c, Region: box.Region(), HTTPClient: awsapi.HandlerDoer(box), Credentials: awsapi.StaticCredentials(id, secret, "")})
	if err != nil {
		t.Fatal(err)
	}
	collector := &inventory.Collector{Caller: client, Catalog: c, Table: table, Clock: knowngood.WallClock{}, Reads: set.Reads()}
	types := slices.Sorted(maps.Keys(set.Reads()))
	items, unreadable, _ := collector.Collect(t.Context(), knowngood.Place{Partition: "aws", Account: box.Account(), Region: box.Region()}, types)
	others, out := rule.Among(types, items, unreadable), map[string][]judgement{}
	for i := range items {
		for _, e := range set.Evaluate(&items[i], knowngood.WallClock{}.Now(), others) {
			out[e.Rule] = append(out[e.Rule], judgement{items[i].ID, cmp.Or(items[i].Name, items[i].ID), items[i].ARN, string(e.Compliance), e.Annotation})
		}
	}
	return out
}

// compare gives how many resources both sides judge, and of these how many alike
// and how many otherwise. A difference that isn't decided is an error.
func (c compared) compare(t *testing.T, ours []judgement, theirs map[string][]judgement) (same, other, both int) {
	t.Helper()
	missing := maps.Clone(c.Differs)
	var findings []judgement
	for _, check := range c.Checks {
		findings = append(findings, theirs[check]...)
	}
	used := make([]bool, len(findings))
	for _, o := range ours {
		verdict, why := "", ""
		for i, f := range findings {
			if !c.Account && !o.is(f) {
				continue
			}
			used[i] = true
			if verdict == "" || !c.Any && f.verdict == "FAIL" || c.Any && f.verdict == "PASS" {
				verdict, why = f.verdict, f.why
			}
		}
		judged := o.verdict == string(knowngood.Compliant) || o.verdict == string(knowngood.NonCompliant)
		if judged && (verdict == "PASS" || verdict == "FAIL") {
			both++
			if (verdict == "PASS") == (o.verdict == string(knowngood.Compliant)) {
				same++
				continue
			}
			other++
		} else if !judged && verdict == "" {
			continue
		}
		d, ok := c.Differs[o.name]
		if ok {
			delete(missing, o.name)
		} else if d, ok = c.Differs["*"]; ok {
			delete(missing, "*")
		}
		if !ok || string(d.Ours) != o.verdict || d.Theirs != verdict && d.Theirs != "any" {
			t.Errorf("%s, %s: ours %s (%s), theirs %q (%s)", c.Rule, o.name, o.verdict, o.why, verdict, why)
		}
	}
	for i, f := range findings {
		if !used[i] && f.id != "<root_account>" {
			t.Errorf("%s: only theirs judges %s: %s (%s)", c.Rule, cmp.Or(f.arn, f.id), f.verdict, f.why)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(missing)) {
		t.Errorf("%s: the difference that is decided for %s is not there", c.Rule, id)
	}
	return same, other, both
}

// is says whether a finding is about the resource.
func (o judgement) is(f judgement) bool {
	return o.arn != "" && o.arn == f.arn || f.id == o.id || f.id == o.name || strings.HasSuffix(o.id, "/"+f.id)
}
