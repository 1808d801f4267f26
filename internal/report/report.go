package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
)

// Status is what is known of a rule on a resource, or of a group of such results.
type Status string

// Statuses. A group has the first of these that one of its results has, or NoResources
// where it has none: so a group is Passed only if all of it was evaluated.
const (
	Failed       Status = "FAILED"
	NotEvaluated Status = "NOT_EVALUATED" // of a group: not wholly
	Passed       Status = "PASSED"
	NoResources  Status = "NO_RESOURCES"
)

// Rule is a rule that a scan was asked for.
type Rule struct {
	Name        string // ConfigRuleName
	Pack        string
	Identifier  string // the library's: ENCRYPTED_VOLUMES
	Title       string // what is wrong where it fails
	Description string // what it asks for
	Severity    knowngood.Severity
	Controls    []string // EC2.3, CIS AWS Foundations Benchmark v5.0.0/5.5
	Source      string   // the page that describes it
	Where       string   // the place in the template of one that is missing
	Missing     string   // why it can't be evaluated at all; empty: it can
}

// Scan is what a scan found.
type Scan struct {
	Version    string            // of knowngood
	Principal  string            // who asked
	Places     []knowngood.Place // that were looked at; the first is the caller's own
	Began      time.Time
	Took       time.Duration
	Packs      []string
	Resources  int // that were read
	Calls      int // to AWS
	Rules      []Rule
	Verdicts   []knowngood.Evaluation
	Findings   []knowngood.Finding // that have not ended
	Archived   []knowngood.Finding // by this scan
	Residuals  []knowngood.Residual
	Unreadable []knowngood.ReadError
	// Affected names the rules that may lack a verdict for something unreadable.
	Affected func(knowngood.ReadError) []string
	ARNs     map[knowngood.ResourceKey]string // of those resources that have one
}

// Result is what is known of one rule on one resource.
type Result struct {
	Rule *Rule
	// Resource is the account itself for a rule that is missing. Its ID is Every where
	// the resources of its type could not be listed.
	Resource   knowngood.ResourceKey
	ARN        string // empty: not known, or the resource has none
	Status     Status
	Annotation string
	Code       string             // AWS's error code where that is why it was not evaluated
	Time       time.Time          // of the verdict
	Finding    *knowngood.Finding // that is open
}

// Every is the id that stands for all resources of a type.
const Every = "*"

// accountType is AWS Config's type for an account.
const accountType = "AWS::::Account"

// Report is a scan with its results, in the order of packs, rules and resources.
type Report struct {
	Scan
	Results []Result
}

// Unevaluated counts verdicts that could not be given: rules that are missing, and
// those that lacked data on a resource.
func (r *Report) Unevaluated() int {
	n := 0
	for i := range r.Rules {
		if r.Rules[i].Missing != "" {
			n++
		}
	}
	for i := range r.Verdicts {
		if r.Verdicts[i].Compliance == knowngood.InsufficientData {
			n++
		}
	}
	return n
}

// Whole says whether everything was read and evaluated.
func (r *Report) Whole() bool { return len(r.Unreadable) == 0 && r.Unevaluated() == 0 }

// on is a rule on a resource.
type on struct {
	rule     string
	resource knowngood.ResourceKey
}

// New brings a scan's verdicts, findings and gaps together.
func New(s Scan) *Report {
	r := &Report{Scan: s}
	b := builder{Report: r, rules: map[string]*Rule{}, at: map[on]int{}, codes: map[knowngood.ResourceKey]string{}}
	for i := range r.Rules {
		b.rules[r.Rules[i].Name] = &r.Rules[i]
	}
	for _, e := range r.Unreadable {
		b.codes[keyOf(e)] = e.Code
	}
	judged := b.verdicts()
	b.findings()
	b.unreadable(judged)
	b.missing()
	slices.SortStableFunc(r.Results, func(a, b Result) int {
		return cmp.Or(strings.Compare(a.Rule.Pack, b.Rule.Pack), strings.Compare(a.Rule.Name, b.Rule.Name), compareKeys(a.Resource, b.Resource))
	})
	return r
}

func compareKeys(a, b knowngood.ResourceKey) int {
	return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Region, b.Region), strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID))
}

type builder struct {
	*Report
	rules map[string]*Rule
	at    map[on]int // where a result is
	codes map[knowngood.ResourceKey]string
}

func (b *builder) add(r Result) {
	b.at[on{r.Rule.Name, r.Resource}] = len(b.Results)
	r.ARN = b.ARNs[r.Resource]
	b.Results = append(b.Results, r)
}

// rule gives a rule by its name; a finding may be of one that is in force no more.
func (b *builder) rule(name string) *Rule {
	r := b.rules[name]
	if r == nil {
		r = &Rule{Name: name, Title: name}
		b.rules[name] = r
	}
	return r
}

// verdicts gives the rules and resources on which there is a verdict, whatever it is.
func (b *builder) verdicts() map[on]bool {
	judged := make(map[on]bool, len(b.Verdicts))
	status := map[knowngood.Compliance]Status{knowngood.Compliant: Passed, knowngood.NonCompliant: Failed, knowngood.InsufficientData: NotEvaluated}
	for _, e := range b.Verdicts {
		judged[on{e.Rule, e.Resource}] = true
		s, ok := status[e.Compliance]
		if !ok {
			continue // NOT_APPLICABLE is no result
		}
		code := ""
		if s == NotEvaluated {
			code = b.codes[e.Resource]
		}
		b.add(Result{Rule: b.rule(e.Rule), Resource: e.Resource, Status: s, Annotation: e.Annotation, Code: code, Time: e.Time})
	}
	return judged
}

// findings ties the open findings to their results. One that the scan did not come to
// is a result too: it stays failed until a fresh read passes.
func (b *builder) findings() {
	for i := range b.Findings {
		f := &b.Findings[i]
		at, ok := b.at[on{f.Rule, f.Resource}]
		if !ok {
			rule := b.rule(f.Rule)
			if rule.Severity == "" {
				rule.Severity, rule.Pack = f.Severity, f.Pack
			}
			b.add(Result{Rule: rule, Resource: f.Resource, Annotation: f.Annotation, Time: f.Updated})
			at = len(b.Results) - 1
		}
		r := &b.Results[at]
		r.Finding = f
		if r.Status != Failed {
			r.Status = Failed
			if f.Reason != "" {
				r.Annotation = f.Reason
			}
		}
	}
}

// keyOf is the resource that could not be read.
func keyOf(e knowngood.ReadError) knowngood.ResourceKey {
	k := knowngood.ResourceKey{Account: e.Account, Region: e.Region, Type: e.Type, ID: e.ID}
	if k.ID == "" {
		k.ID = Every
	}
	return k
}

// unreadable adds a result for each rule that lacks a verdict for what could not be
// read. A verdict that was given all the same needed nothing of it.
func (b *builder) unreadable(judged map[on]bool) {
	if b.Affected == nil {
		return
	}
	for _, e := range b.Unreadable {
		for _, name := range b.Affected(e) {
			key := on{name, keyOf(e)}
			if _, there := b.at[key]; there || judged[key] {
				continue
			}
			b.add(Result{Rule: b.rule(name), Resource: key.resource, Status: NotEvaluated, Annotation: unreadText(e), Code: e.Code, Time: b.Began})
		}
	}
}

func unreadText(e knowngood.ReadError) string {
	what := "the resource"
	switch {
	case e.ID == "":
		what = "resources of type " + e.Type
	case e.Path != "":
		what = e.Path
	}
	return what + " could not be read: " + e.Service + ":" + e.Operation + ": " + e.Code
}

// missing adds a result for each account and rule that can't be evaluated at all.
func (b *builder) missing() {
	for i := range b.Rules {
		rule := &b.Rules[i]
		if rule.Missing == "" {
			continue
		}
		seen := map[string]bool{}
		for _, p := range b.Places {
			if seen[p.Account] {
				continue
			}
			seen[p.Account] = true
			b.add(Result{Rule: rule, Resource: knowngood.ResourceKey{Account: p.Account, Region: p.Region, Type: accountType, ID: p.Account},
				Status: NotEvaluated, Annotation: rule.Missing, Time: b.Began})
		}
	}
}

// Severity is that of the finding, else of the rule; INFORMATIONAL where neither
// says one.
func (r *Result) Severity() knowngood.Severity {
	if r.Finding != nil && r.Finding.Severity != "" {
		return r.Finding.Severity
	}
	return cmp.Or(r.Rule.Severity, knowngood.Informational)
}

// ID is the same for the same rule and resource in every scan: the finding's, where
// there is one.
func (r *Result) ID() string {
	if r.Finding != nil {
		return r.Finding.ID
	}
	return finding.ID(r.Rule.Name, r.Resource, 0)
}

// Suppressed says whether an exception is on the finding. It stays failed.
func (r *Result) Suppressed() bool {
	return r.Finding != nil && r.Finding.State == knowngood.FindingExcepted
}

// Name is the resource's ARN, else its key.
func (r *Result) Name() string { return cmp.Or(r.ARN, r.Resource.String()) }

// Title is what is wrong, or what is asked for where nothing is.
func (r *Result) Title() string {
	if r.Status == Failed {
		return cmp.Or(r.Rule.Title, r.Rule.Name)
	}
	return cmp.Or(r.Rule.Description, r.Rule.Title, r.Rule.Name)
}
