package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
)

type scanOptions struct {
	awsOptions
	governanceOptions
	proactiveOptions
	reportOptions
	historyOptions
	sourceOption
	regions  []string
	rate     int
	resume   bool
	estimate bool
}

func newScan(s Streams) *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Read the resources of an account, judge them, and list what is wrong",
		Long: `Reads the resources that the rules look at, in all Regions that are enabled for the
account, judges them, and lists the findings. It makes reads only, at no more than
a fifth of the rates that AWS allows. Exit code 3: there are findings; 6: something
could not be read or evaluated. The report says both.

A scan that is interrupted keeps what it has read for an hour: --resume goes on
with it. --estimate says what a scan would call, and starts nothing.

One scan writes several reports: --report sarif=scan.sarif --report html=scan.html
beside the table, or what --output says, on stdout.

With --template or --terraform-plan it judges what a file would deploy instead, and
calls nothing: no account and no credentials are needed.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runScan(cmd.Context(), s, o) },
	}
	o.registerButRegion(cmd)
	cmd.Flags().StringSliceVar(&o.regions, "region", nil, "Regions to read, with commas between or repeated; default: all that are enabled for the account")
	cmd.Flags().IntVar(&o.rate, "rate", 20, "percentage of the rates that AWS allows which is used at most")
	cmd.Flags().BoolVar(&o.resume, "resume", false, "go on with a scan that was interrupted within the last hour")
	cmd.Flags().BoolVar(&o.estimate, "estimate", false, "say how many calls a scan would make, how long it would take, and which calls are billed; start nothing")
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
	if o.estimate {
		if err := checkOutput(o.output); err != nil {
			return err
		}
	}
	if o.rate < 1 || o.rate > 100 {
		return knowngood.E(knowngood.Usage, "", "--rate %d: expected a percentage from 1 to 100", o.rate)
	}
	asked, err := checkRegions(o.regions)
	if err != nil {
		return err
	}
	if len(asked) > 0 {
		o.region = asked[0]
	}
	if o.given() {
		if len(asked) > 1 || o.estimate {
			return knowngood.E(knowngood.Usage, "", "what a file would deploy is judged for one Region, and calls nothing")
		}
		return runProactive(ctx, s, o)
	}
	ses, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	ses.history, ses.percent = o.historyOptions, o.rate
	if err := ses.trail(ctx, s.Err, o.historyOptions); err != nil {
		return err
	}
	everywhere := o.in(ses.place)
	g, err := everywhere.at(ses.place.Region)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	recorded := ses.recorded(o.source) != nil
	at := estate{regions: []string{ses.place.Region}}
	if !recorded {
		at, err = ses.estate(ctx, asked)
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	fmt.Fprintf(s.Err, "account %s as %s, %s\n", ses.place.Account, ses.principal, at)
	if o.estimate {
		return ses.printEstimate(ctx, s, everywhere, at, o.output)
	}
	var report *scanReport
	if recorded {
		report, err = ses.scanRecorded(ctx, g, o.source)
	} else {
		report, err = ses.scan(ctx, everywhere, reading{at: at, resume: o.resume, progress: scanProgress(s)})
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	if report.Recorded != nil && o.to[0].form == outputTable {
		report.Recorded.print(s.Out, ses.clock.Now(), report.Unreadable)
	}
	if err := o.reportOptions.write(s, report, g); err != nil {
		return err
	}
	if o.output == outputTable {
		printSaved(s.Err, report)
	}
	return report.verdict(o.failOn)
}

// printSaved says what of an earlier scan was taken.
func printSaved(w io.Writer, r *scanReport) {
	if r.Resumed > 0 {
		fmt.Fprintf(w, "went on with what an interrupted scan had read: %s\n", plural2(r.Resumed, "type in a Region", "types in Regions"))
	}
	if r.Reused > 0 {
		fmt.Fprintf(w, "%d of %s are of an earlier scan, for nothing that they rest on has changed\n", r.Reused, plural(len(r.Evaluations), "evaluation"))
	}
}

// interrupted says how a scan that did not come to its end goes on.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return knowngood.E(knowngood.Interrupted, "scan", "interrupted; nothing was changed").WithHint("`knowngood scan --resume` goes on with what was read so far, for an hour")
	}
	if knowngood.KindOf(err) == knowngood.Credentials {
		return withHint(err, "sign in again; `knowngood scan --resume` then goes on with what was read so far, for an hour")
	}
	return err
}

// scanProgress shows on a terminal how far a collection is, in one line that is
// taken away in the end.
func scanProgress(s Streams) func(inventory.Progress) {
	if !onTerminal(s.Err) {
		return nil
	}
	return func(p inventory.Progress) {
		fmt.Fprintf(s.Err, "\r\x1b[Kread %d of %d: %s in %s, %s", p.Done, p.Parts, p.Type, p.Region, plural(p.Items, "resource"))
		if p.Done == p.Parts {
			fmt.Fprint(s.Err, "\r\x1b[K")
		}
	}
}

// scanReport is what a scan found.
type scanReport struct {
	Account      string                 `json:"account"`
	Principal    string                 `json:"principal"`
	Region       string                 `json:"region"`  // the configured one
	Regions      []string               `json:"regions"` // that were read
	Started      time.Time              `json:"started"`
	Seconds      float64                `json:"seconds"`
	Packs        []string               `json:"packs"`
	Rules        int                    `json:"rules"`
	Resources    int                    `json:"resources"`
	Calls        int                    `json:"calls"`
	Resumed      int                    `json:"resumed"` // types in Regions that an interrupted scan had read
	Evaluations  []knowngood.Evaluation `json:"evaluations"`
	Reused       int                    `json:"reused"`   // evaluations of what has not changed since an earlier scan
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

// reading is how a scan reads.
type reading struct {
	at       estate
	resume   bool // with what an interrupted scan has read
	progress func(inventory.Progress)
}

// scan reads what the rules look at, judges it, and brings the findings in line.
func (ses *session) scan(ctx context.Context, everywhere *governances, r reading) (*scanReport, error) {
	started := time.Now()
	g, err := everywhere.at(ses.place.Region)
	if err != nil {
		return nil, err
	}
	all, err := ses.inForce(everywhere, r.at)
	if err != nil {
		return nil, err
	}
	report := &scanReport{Account: ses.place.Account, Principal: ses.principal, Region: ses.place.Region, Regions: r.at.regions, Started: ses.clock.Now(), Packs: g.packs, Rules: g.rules.Len(),
		NotEvaluated: []string{}, Evaluations: []knowngood.Evaluation{}, partition: ses.place.Partition, arns: map[knowngood.ResourceKey]string{}}
	for _, region := range r.at.regions {
		report.covered = append(report.covered, knowngood.Place{Partition: ses.place.Partition, Account: ses.place.Account, Region: region})
	}
	for _, g := range append([]*governance{g}, all...) {
		for _, why := range g.notEvaluated {
			if !slices.Contains(report.NotEvaluated, why) {
				report.NotEvaluated = append(report.NotEvaluated, why)
			}
		}
	}
	read, err := ses.readAll(ctx, everywhere, r, report)
	if err != nil {
		return nil, err
	}
	bench, err := ses.newBench(ctx, everywhere, read)
	if err != nil {
		return nil, err
	}
	if err := ses.rememberAll(ctx, read); err != nil {
		return nil, err
	}
	var verdicts []finding.Verdict
	for i := range read.items {
		item := &read.items[i]
		if item.ARN != "" {
			report.arns[item.Key()] = item.ARN
		}
		for _, e := range bench.judge(item) {
			report.Evaluations = append(report.Evaluations, e)
			verdicts = append(verdicts, bench.at[item.Region].verdict(e, item))
			if e.Compliance == knowngood.InsufficientData {
				report.NotEvaluated = append(report.NotEvaluated, fmt.Sprintf("%s on %s: %s", e.Rule, e.Resource.ID, e.Annotation))
			}
		}
	}
	report.Reused = bench.reused()
	changes, err := ses.findings().Reconcile(ctx, finding.Scan{Verdicts: verdicts, Began: inventory.Began(read.parts, report.Started), Absent: read.absent(bench)})
	if err != nil {
		return nil, err
	}
	report.Closed, report.Archived = changes.Closed, append([]knowngood.Finding{}, changes.Archived...)
	finding.Sort(report.Archived)
	found, err := ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	report.Findings = slices.DeleteFunc(append([]knowngood.Finding{}, found...), func(f knowngood.Finding) bool {
		return f.State.Ended() || !read.covers(f.Resource)
	})
	if report.Residuals, err = ses.residuals(ctx, read); err != nil {
		return nil, err
	}
	if err := bench.remember(ctx, ses.store, read); err != nil {
		return nil, err
	}
	if err := ses.store.EndCollections(ctx, ses.place.Account); err != nil {
		return nil, err
	}
	report.Seconds = time.Since(started).Seconds()
	return report, nil
}

// verdict is an evaluation with what a finding takes from its rule and resource.
func (g *governance) verdict(e knowngood.Evaluation, item *knowngood.Resource) finding.Verdict {
	a, _ := g.rules.Rule(e.Rule)
	e.Time = item.CaptureTime // it is of what was read then, whenever that is judged
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

// residuals lists what remediations left behind where the scan read, and is still
// there, as far as it can tell.
func (ses *session) residuals(ctx context.Context, read *readings) ([]knowngood.Residual, error) {
	all, err := ses.store.Residuals(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(append([]knowngood.Residual{}, all...), func(r knowngood.Residual) bool {
		return !read.covers(r.Resource) || !read.there[r.Resource] && read.whole(r.Resource)
	}), nil
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
