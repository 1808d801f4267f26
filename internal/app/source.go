package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/rule"
)

// sourceOption says where a scan has its items from.
type sourceOption struct{ source string }

const (
	recorderSource   = "recorder"
	aggregatorSource = "aggregator:"
)

func (o *sourceOption) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.source, "source", knowngood.SourceAPI,
		"api; or what AWS Config has recorded: recorder, of this account and Region, or aggregator:NAME, of all that it covers. Nothing closes on that")
}

func (o *sourceOption) check() error {
	name, aggregator := strings.CutPrefix(o.source, aggregatorSource)
	if o.source != knowngood.SourceAPI && o.source != recorderSource && (!aggregator || name == "") {
		return knowngood.E(knowngood.Usage, "", "--source %s: expected api, recorder or aggregator:NAME", o.source)
	}
	return nil
}

// recorded is the source of what AWS Config has recorded; nil for the APIs.
func (ses *session) recorded(source string) *inventory.RecordedSource {
	if source == knowngood.SourceAPI || source == "" {
		return nil
	}
	name, _ := strings.CutPrefix(source, aggregatorSource)
	if source == recorderSource {
		name = ""
	}
	return &inventory.RecordedSource{Caller: ses.client, Catalog: ses.catalog, Table: ses.types, Clock: ses.clock, Aggregator: name}
}

// recordedData says of a scan of recorded items how old they are.
type recordedData struct {
	Source   string     `json:"source"`
	Accounts []string   `json:"accounts"`
	Oldest   *time.Time `json:"oldest,omitempty"` // CaptureTime
	Newest   *time.Time `json:"newest,omitempty"`
}

// scanRecorded judges what AWS Config has recorded. It is as old as it is, so that
// it may open a finding, and closes and archives none.
func (ses *session) scanRecorded(ctx context.Context, g *governance, source string) (*scanReport, error) {
	started := time.Now()
	report := &scanReport{Account: ses.place.Account, Principal: ses.principal, Region: ses.place.Region, Started: ses.clock.Now(), Packs: g.packs, Rules: g.rules.Len(),
		NotEvaluated: append([]string{}, g.notEvaluated...), Evaluations: []knowngood.Evaluation{}, Archived: []knowngood.Finding{}, Residuals: []knowngood.Residual{},
		partition: ses.place.Partition, arns: map[knowngood.ResourceKey]string{}}
	types := slices.Sorted(maps.Keys(g.rules.Reads()))
	from := ses.recorded(source)
	items, unreadable, stats := from.Collect(ctx, ses.place, types)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	report.Resources, report.Unreadable = len(items), append([]knowngood.ReadError{}, unreadable...)
	for _, n := range stats.Calls {
		report.Calls += n
	}
	if err := ses.remember(ctx, ses.history, inventory.Reading{Source: source, Place: ses.place, Began: report.Started, Items: items}); err != nil {
		return nil, err
	}
	report.Recorded = dataOf(source, items)
	looked := types
	if source == recorderSource {
		looked = nil // what it records and has none of is not there
	}
	var verdicts []finding.Verdict
	sweep := g.rules.Sweep(ses.clock.Now())
	captured := map[knowngood.ResourceKey]time.Time{}
	parts := inventory.Parts(ses.place, items, unreadable, looked)
	for _, part := range parts {
		report.covered = append(report.covered, knowngood.Place{Partition: ses.place.Partition, Account: part.Account, Region: part.Region})
		others := rule.Among(types, part.Items, part.Unreadable)
		for i := range part.Items {
			item := &part.Items[i]
			if item.Region != part.Region {
				continue // a global one, which has its own part
			}
			captured[item.Key()] = item.CaptureTime
			if item.ARN != "" {
				report.arns[item.Key()] = item.ARN
			}
			for _, e := range sweep.Resource(item, others) {
				report.Evaluations = append(report.Evaluations, e)
				switch e.Compliance {
				case knowngood.NonCompliant:
					verdicts = append(verdicts, g.verdict(e, item))
				case knowngood.InsufficientData:
					report.NotEvaluated = append(report.NotEvaluated, fmt.Sprintf("%s on %s in %s: %s", e.Rule, e.Resource.ID, e.Resource.Account, e.Annotation))
				}
			}
		}
	}
	all, err := ses.findings().List(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := ses.findings().Reconcile(ctx, finding.Scan{Verdicts: fresh(verdicts, captured, all), Began: report.Started}); err != nil {
		return nil, err
	}
	if all, err = ses.findings().List(ctx); err != nil {
		return nil, err
	}
	report.Findings = slices.DeleteFunc(append([]knowngood.Finding{}, all...), func(f knowngood.Finding) bool {
		return f.State.Ended() || !slices.Contains(report.Recorded.Accounts, f.Resource.Account)
	})
	report.Seconds = time.Since(started).Seconds()
	return report, nil
}

// fresh leaves the verdicts that say something new: an item that was recorded before
// a finding came to its end does not open it again.
func fresh(verdicts []finding.Verdict, captured map[knowngood.ResourceKey]time.Time, all []knowngood.Finding) []finding.Verdict {
	type subject struct {
		rule     string
		resource knowngood.ResourceKey
	}
	ended := map[subject]time.Time{}
	for _, f := range all {
		if f.State.Ended() {
			ended[subject{f.Rule, f.Resource}] = f.Updated
		}
	}
	return slices.DeleteFunc(verdicts, func(v finding.Verdict) bool {
		return captured[v.Resource].Before(ended[subject{v.Rule, v.Resource}])
	})
}

func dataOf(source string, items []knowngood.Resource) *recordedData {
	d := &recordedData{Source: source, Accounts: []string{}}
	for i := range items {
		at := items[i].CaptureTime
		if d.Oldest == nil || at.Before(*d.Oldest) {
			d.Oldest = &at
		}
		if d.Newest == nil || at.After(*d.Newest) {
			d.Newest = &at
		}
		if !slices.Contains(d.Accounts, items[i].AccountID) {
			d.Accounts = append(d.Accounts, items[i].AccountID)
		}
	}
	slices.Sort(d.Accounts)
	return d
}

// print says how old what was judged is, and of which accounts there is none.
func (d *recordedData) print(w io.Writer, now time.Time, unreadable []knowngood.ReadError) {
	age := "no items"
	if d.Oldest != nil {
		age = fmt.Sprintf("%s, recorded from %s to %s ago", plural(len(d.Accounts), "account"), ago(now.Sub(*d.Oldest)), ago(now.Sub(*d.Newest)))
	}
	fmt.Fprintf(w, "Source   %s: %s; no finding closes on recorded data\n", d.Source, age)
	told := map[string]bool{}
	for _, e := range unreadable {
		line := fmt.Sprintf("         %s %s %s\n", e.Account, e.Region, e.Message)
		if e.ID == "" && e.Code != inventory.CodeNotRecorded && !told[line] {
			told[line] = true
			fmt.Fprint(w, line)
		}
	}
}
