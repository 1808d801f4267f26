package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
)

type scanOptions struct {
	awsOptions
	governanceOptions
	proactiveOptions
	reportOptions
	historyOptions
	sourceOption
}

func newScan(s Streams) *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Read the resources of an account, judge them, and list what is wrong",
		Long: `Reads the resources that the rules look at, judges them, and lists the findings.
It makes reads only. Exit code 3: there are findings; 6: something could not be
read or evaluated. The report says both.

One scan writes several reports: --report sarif=scan.sarif --report html=scan.html
beside the table, or what --output says, on stdout.

With --template or --terraform-plan it judges what a file would deploy instead, and
calls nothing: no account and no credentials are needed.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runScan(cmd.Context(), s, o) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	o.proactiveOptions.register(cmd)
	o.reportOptions.register(cmd)
	o.historyOptions.register(cmd)
	o.sourceOption.register(cmd)
	return cmd
}

func runScan(ctx context.Context, s Streams, o scanOptions) error {
	if err := errors.Join(o.reportOptions.check(), o.historyOptions.check(), o.sourceOption.check()); err != nil {
		return err
	}
	if o.given() {
		return runProactive(ctx, s, o)
	}
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	ses.history = o.historyOptions
	if err := ses.trail(ctx, s.Err, o.historyOptions); err != nil {
		return err
	}
	g, err := o.load(ses.place)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	fmt.Fprintf(s.Err, "account %s as %s, Region %s\n", ses.place.Account, ses.principal, ses.place.Region)
	var report *scanReport
	if ses.recorded(o.source) == nil {
		report, err = ses.scan(ctx, g, scanProgress(s))
	} else {
		report, err = ses.scanRecorded(ctx, g, o.source)
	}
	if err != nil {
		if ctx.Err() != nil {
			return knowngood.E(knowngood.Interrupted, "scan", "interrupted; nothing was changed")
		}
		return err
	}
	if report.Recorded != nil && o.to[0].form == outputTable {
		report.Recorded.print(s.Out, ses.clock.Now(), report.Unreadable)
	}
	if err := o.reportOptions.write(s, report, g); err != nil {
		return err
	}
	return report.verdict(o.failOn)
}

// scanProgress shows on a terminal how far a collection is, in one line that is
// taken away in the end.
func scanProgress(s Streams) func(inventory.Progress) {
	if !onTerminal(s.Err) {
		return nil
	}
	return func(p inventory.Progress) {
		fmt.Fprintf(s.Err, "\r\x1b[K%d of %d resource types: %s, %d", p.Done, p.Types, p.Type, p.Items)
		if p.Done == p.Types {
			fmt.Fprint(s.Err, "\r\x1b[K")
		}
	}
}

// scanReport is what a scan found.
type scanReport struct {
	Account      string                 `json:"account"`
	Principal    string                 `json:"principal"`
	Region       string                 `json:"region"`
	Started      time.Time              `json:"started"`
	Seconds      float64                `json:"seconds"`
	Packs        []string               `json:"packs"`
	Rules        int                    `json:"rules"`
	Resources    int                    `json:"resources"`
	Calls        int                    `json:"calls"`
	Evaluations  []knowngood.Evaluation `json:"evaluations"`
	Findings     []knowngood.Finding    `json:"findings"` // that have not ended
	Closed       int                    `json:"closed"`   // by this scan
	Archived     []knowngood.Finding    `json:"archived"` // by this scan
	NotEvaluated []string               `json:"notEvaluated"`
	Unreadable   []knowngood.ReadError  `json:"unreadable"`
	Residuals    []knowngood.Residual   `json:"residuals"`
	Recorded     *recordedData          `json:"recorded,omitempty"`

	partition string
	covered   []knowngood.Place                // where recorded items are, beside the caller's own place
	arns      map[knowngood.ResourceKey]string // of the resources that have one
}

// scan reads what the rules look at, judges it, and brings the findings in line.
func (ses *session) scan(ctx context.Context, g *governance, progress func(inventory.Progress)) (*scanReport, error) {
	started := time.Now()
	report := &scanReport{Account: ses.place.Account, Principal: ses.principal, Region: ses.place.Region, Started: ses.clock.Now(), Packs: g.packs, Rules: g.rules.Len(),
		NotEvaluated: append([]string{}, g.notEvaluated...), Evaluations: []knowngood.Evaluation{}, partition: ses.place.Partition, arns: map[knowngood.ResourceKey]string{}}
	reads := g.rules.Reads()
	types := slices.Sorted(maps.Keys(reads)) // those that rules only look up among them
	collector := &inventory.Collector{Caller: ses.client, Catalog: ses.catalog, Table: ses.types, Clock: ses.clock, Reads: reads, Progress: progress}
	items, unreadable, stats := collector.Collect(ctx, ses.place, types)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	report.Resources, report.Unreadable = len(items), append([]knowngood.ReadError{}, unreadable...)
	for _, n := range stats.Calls {
		report.Calls += n
	}
	if err := ses.remember(ctx, ses.history, inventory.Reading{
		Source: knowngood.SourceAPI, Place: ses.place, Types: types, Began: report.Started, Items: items, Unreadable: unreadable, Whole: true,
	}); err != nil {
		return nil, err
	}
	var verdicts []finding.Verdict
	others, sweep := rule.Among(types, items, unreadable), g.rules.Sweep(ses.clock.Now())
	for i := range items {
		if items[i].ARN != "" {
			report.arns[items[i].Key()] = items[i].ARN
		}
		for _, e := range sweep.Resource(&items[i], others) {
			report.Evaluations = append(report.Evaluations, e)
			verdicts = append(verdicts, g.verdict(e, &items[i]))
			if e.Compliance == knowngood.InsufficientData {
				report.NotEvaluated = append(report.NotEvaluated, fmt.Sprintf("%s on %s: %s", e.Rule, e.Resource.ID, e.Annotation))
			}
		}
	}
	changes, err := ses.findings().Reconcile(ctx, finding.Scan{Verdicts: verdicts, Began: report.Started, Absent: ses.absent(g, items, unreadable)})
	if err != nil {
		return nil, err
	}
	report.Closed, report.Archived = changes.Closed, append([]knowngood.Finding{}, changes.Archived...)
	finding.Sort(report.Archived)
	all, err := ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	report.Findings = slices.DeleteFunc(append([]knowngood.Finding{}, all...), func(f knowngood.Finding) bool {
		return f.State.Ended() || f.Resource.Account != ses.place.Account || f.Resource.Region != ses.place.Region
	})
	if report.Residuals, err = ses.residuals(ctx, items); err != nil {
		return nil, err
	}
	report.Seconds = time.Since(started).Seconds()
	return report, nil
}

// verdict is an evaluation with what a finding takes from its rule and resource.
func (g *governance) verdict(e knowngood.Evaluation, item *knowngood.Resource) finding.Verdict {
	a, _ := g.rules.Rule(e.Rule)
	return finding.Verdict{Evaluation: e, Pack: a.Pack, Severity: a.Severity, Title: title(item)}
}

// title is a resource in a few words.
func title(item *knowngood.Resource) string {
	if name := item.Tags["Name"]; name != "" {
		return name
	}
	if item.Name != item.ID {
		return item.Name
	}
	return ""
}

// absent says why a rule in force has no verdict on a resource, where the scan
// read everything that could have had one.
func (ses *session) absent(g *governance, items []knowngood.Resource, unreadable []knowngood.ReadError) func(string, knowngood.ResourceKey) string {
	read := map[string]bool{}
	for _, t := range g.rules.Types() {
		read[t] = true
	}
	unread := map[string]bool{} // ids
	for _, e := range unreadable {
		if e.ID == "" {
			read[e.Type] = false
		}
		unread[e.ID] = true
	}
	there := map[knowngood.ResourceKey]bool{}
	for i := range items {
		there[items[i].Key()] = true
	}
	return func(rule string, k knowngood.ResourceKey) string {
		switch {
		case !g.InForce(rule) || !read[k.Type] || unread[k.ID] || k.Account != ses.place.Account || k.Region != ses.place.Region:
			return ""
		case there[k]:
			return "the rule's scope leaves the resource out"
		}
		return "the resource is gone"
	}
}

// residuals lists what remediations left behind in this account and Region and
// is still there, as far as the scan can tell.
func (ses *session) residuals(ctx context.Context, items []knowngood.Resource) ([]knowngood.Residual, error) {
	all, err := ses.store.Residuals(ctx)
	if err != nil {
		return nil, err
	}
	types, there := map[string]bool{}, map[knowngood.ResourceKey]bool{}
	for i := range items {
		types[items[i].Type], there[items[i].Key()] = true, true
	}
	out := []knowngood.Residual{}
	for _, r := range all {
		here := r.Resource.Account == ses.place.Account && r.Resource.Region == ses.place.Region
		if here && (there[r.Resource] || !types[r.Resource.Type]) {
			out = append(out, r)
		}
	}
	return out, nil
}

// verdict is the error that gives a scan its exit code, or nil: findings come
// before what is incomplete, and the report says both. Findings below failOn are none
// here.
func (r *scanReport) verdict(failOn threshold) error {
	switch {
	case slices.ContainsFunc(r.Findings, func(f knowngood.Finding) bool { return failOn.reached(f.Severity) }):
		return &knowngood.Error{Kind: knowngood.Findings}
	case len(r.NotEvaluated)+len(r.Unreadable) > 0:
		return knowngood.E(knowngood.Incomplete, "scan", "%d could not be evaluated, %d could not be read", len(r.NotEvaluated), len(r.Unreadable))
	}
	return nil
}
