package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/report"
	"github.com/knowngood/knowngood/internal/sandbox"
)

type demoOptions struct {
	state    string
	scenario string
	output   string
}

func newDemo(s Streams) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole loop on an AWS account in memory",
		Long: `Builds an AWS account in memory, finds what is wrong in it, fixes what may be fixed
at once, asks before it fixes the rest, and verifies each fix. It needs no account
and no network. Time in the account passes only while something waits for it.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return demo(cmd.Context(), s, o) },
	}
	cmd.Flags().StringVar(&o.state, "state", "", "folder that holds what the demo remembers; default: a new one for temporary files")
	cmd.Flags().StringVar(&o.scenario, "scenario", "demo", "estate to build")
	registerOutput(cmd, &o.output)
	return cmd
}

// show is a demo under way.
type show struct {
	Streams
	box   *sandbox.Sandbox
	clock *sandbox.ManualClock
	ses   *session
	at    estate
	g     *governance
	// everywhere has g, and what may differ in other Regions.
	everywhere *governances
	in         *bufio.Reader
	fixed      int
	result     demoResult
}

func demo(ctx context.Context, s Streams, o demoOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	results := s.Out
	if o.output == outputJSON {
		s.Out = io.Discard
	}
	d, err := openShow(ctx, s, &o)
	if err != nil {
		return err
	}
	defer d.ses.store.Close()
	if err := d.run(ctx, o.state); err != nil {
		if ctx.Err() != nil {
			return knowngood.E(knowngood.Interrupted, "demo", "interrupted; its account is gone, what it remembers is in %s", o.state)
		}
		return err
	}
	if o.output == outputJSON {
		return writeJSON(results, d.result)
	}
	return nil
}

// demoResult is what a demo came to.
type demoResult struct {
	State     string               `json:"state"` // the folder
	Findings  int                  `json:"findings"`
	Fixed     int                  `json:"verifiedFixes"`
	Left      int                  `json:"left"`
	Residuals []knowngood.Residual `json:"residuals"`
}

// openShow builds the estate and opens a session in it: the same as for a real
// account, but that calls go to the sandbox in this process.
func openShow(ctx context.Context, s Streams, o *demoOptions) (*show, error) {
	c, err := catalog()
	if err != nil {
		return nil, err
	}
	d := &show{Streams: s, clock: sandbox.NewClock(time.Now())}
	if s.In != nil {
		d.in = bufio.NewReader(s.In)
	}
	if d.box, err = sandbox.New(sandbox.Options{Catalog: c, Clock: d.clock, Seed: 1, Documents: runbooks()}); err != nil {
		return nil, err
	}
	d.box.RunAutomations(newAutomations(ctx, c, d.box, d.clock, false))
	if err := loadScenario(ctx, d.box, o.scenario, ""); err != nil {
		return nil, err
	}
	if o.state == "" {
		if o.state, err = os.MkdirTemp("", "knowngood-demo-"); err != nil {
			return nil, err
		}
	}
	id, secret := d.box.Credentials()
	cfg := awsapi.Config{Catalog: c, Region: d.box.Region(), HTTPClient: awsapi.HandlerDoer(d.box), Credentials: awsapi.StaticCredentials(id, secret, "")}
	if d.ses, err = newSession(ctx, cfg, d.clock, storeOptions{state: o.state}); err != nil {
		return nil, err
	}
	d.ses.paced = false // nothing leaves this process
	if d.at, err = d.ses.estate(ctx, nil); err != nil {
		return nil, err
	}
	// The estate enforces: its remediations start by themselves.
	d.everywhere = governanceOptions{params: []string{"Automatic=true", "AutomationAssumeRole=arn:aws:iam::" + d.box.Account() + ":role/remediation"}}.in(d.ses.place)
	d.g, err = d.everywhere.at(d.ses.place.Region)
	return d, err
}

func (d *show) run(ctx context.Context, state string) error {
	_, everything, err := d.ses.collector(nil).Survey(ctx, d.ses.survey(d.at, d.ses.types.Types()))
	if err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "An AWS account in memory: %s, %s, %s (state in %s)\n\n", d.ses.place.Account, d.ses.place.Region, plural(everything.Items, "resource"), state)
	found, err := d.ses.scan(ctx, d.everywhere, reading{at: d.at, progress: scanProgress(d.Streams)})
	if err != nil {
		return err
	}
	fmt.Fprintln(d.Out, scanLine(found))
	if err := report.WriteFindings(d.Out, found.Findings, lookOf(d.Out)); err != nil {
		return err
	}
	waiting, err := d.automatic(ctx, found.Findings)
	if err != nil {
		return err
	}
	for _, o := range waiting {
		if err := d.approval(ctx, state, o); err != nil {
			return err
		}
	}
	return d.summary(ctx, len(found.Findings))
}

// automatic starts the remediations that start by themselves, rule by rule, and
// gives those whose plans wait for a person.
func (d *show) automatic(ctx context.Context, found []knowngood.Finding) (waiting []remedy.Outcome, err error) {
	byRule := map[string][]remedy.Task{}
	var rules []string
	for _, f := range found {
		c, err := d.g.remediation(f.Rule)
		if err != nil {
			continue // nothing is tied to its rule: it is left to a person
		}
		if byRule[f.Rule] == nil {
			rules = append(rules, f.Rule)
		}
		byRule[f.Rule] = append(byRule[f.Rule], remedy.Task{Finding: f, Remediation: c})
	}
	fmt.Fprintf(d.Out, "\nAutomatic (reversible, nothing stops meanwhile)\n")
	for _, rule := range rules {
		tasks := slices.DeleteFunc(byRule[rule], func(t remedy.Task) bool { return !t.Remediation.Automatic })
		begun := time.Now()
		outcomes, err := d.ses.remediator(d.g, nil).Automatic(ctx, d.ses.place, tasks)
		if err != nil {
			return nil, err
		}
		for _, o := range outcomes {
			switch {
			case o.Err != nil:
				return nil, o.Err
			case o.Waits != nil:
				waiting = append(waiting, o)
			case o.Skipped != "":
				fmt.Fprintf(d.Out, "  %s: %s\n", o.Finding, o.Skipped)
			default:
				d.automaticLine(o, time.Since(begun))
			}
		}
	}
	return waiting, nil
}

func (d *show) automaticLine(o remedy.Outcome, took time.Duration) {
	var writes []string
	for _, c := range o.Plan.Parts[0].Calls {
		if c.Class == knowngood.Write {
			writes = append(writes, named(c))
		}
	}
	fmt.Fprintf(d.Out, "  %-22s %s: %s\n", o.Plan.Resource.ID, plural(len(writes), "write"), strings.Join(counted(writes), ", "))
	d.ending(o.Result, took)
}

// named is a call, with its IAM action where that has another name.
func named(c knowngood.Call) string {
	name := c.Service + ":" + c.Operation
	if len(c.Actions) == 1 && c.Actions[0] != name {
		name += " (IAM " + c.Actions[0] + ")"
	}
	return name
}

// counted folds repeats: "ec2:DeleteSnapshot ×2".
func counted(names []string) []string {
	n := map[string]int{}
	var order []string
	for _, name := range names {
		if n[name]++; n[name] == 1 {
			order = append(order, name)
		}
	}
	for i, name := range order {
		if n[name] > 1 {
			order[i] = fmt.Sprintf("%s ×%d", name, n[name])
		}
	}
	return order
}

// ending says how a run ended.
func (d *show) ending(r remedy.Result, took time.Duration) {
	if r.State != knowngood.RunSuccess {
		fmt.Fprintf(d.Out, "  %-22s %s: %s\n", "", r.State, r.Message)
		return
	}
	d.fixed++
	fmt.Fprintf(d.Out, "  %-22s verified after %.1f s (%s), finding closed\n", "", took.Seconds(), r.Verification.Reason)
}

// approval shows a plan that waits, asks for a decision, and carries it out.
func (d *show) approval(ctx context.Context, state string, o remedy.Outcome) error {
	p := o.Plan
	fmt.Fprintf(d.Out, "\nWaits for approval (%s)\n", strings.Join(o.Waits, "; "))
	fmt.Fprintf(d.Out, "  %s   %s, plan %s\n\n", p.Resource.ID, counts(p.Parts[0].Calls), short(p.Hash))
	printFolded(d.Out, p)
	printChange(d.Out, "  ", p)
	wrapped(d.Out, "  needs     ", p.Actions)
	for _, part := range p.Parts[1:] {
		fmt.Fprintf(d.Out, "  way back  %s, if %s\n", counts(part.Calls), conditions(part.When))
	}
	file := filepath.Join(state, "plan-"+short(p.Hash)+".json")
	raw, err := remedy.EncodePlan(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "  in full   %s\n\n", file)
	by, approved, err := d.ask(ctx)
	if err != nil {
		return err
	}
	a := knowngood.Approval{PlanHash: p.Hash, RunID: p.RunID, By: by, Approved: approved, Time: d.clock.Now()}
	if err := d.ses.store.PutApproval(ctx, a); err != nil {
		return err
	}
	if !approved {
		fmt.Fprintln(d.Out, "Not approved: the finding stays open, nothing was changed.")
		return d.ses.findings().Withdrawn(ctx, o.Finding, "the plan "+short(p.Hash)+" was rejected by "+by)
	}
	entry, err := d.ses.content.Entry(p.Document.Name)
	if err != nil {
		return err
	}
	fmt.Fprint(d.Out, "  ")
	follow := newProgress(d.Out, "", entry.Stages)
	begun, account := time.Now(), d.clock.Now()
	result, err := d.ses.remediator(d.g, follow.entry).Apply(ctx, p, []knowngood.Approval{a}, knowngood.Retry{})
	follow.done()
	if err != nil {
		return err
	}
	d.ending(result, time.Since(begun))
	fmt.Fprintf(d.Out, "  %-22s in the account %s passed\n", "", d.clock.Now().Sub(account).Round(time.Second))
	return nil
}

// ask asks the person at the terminal; without one the demo decides, and says so.
// The error is the context's.
func (d *show) ask(ctx context.Context) (by string, approved bool, err error) {
	if !onTerminal(d.Out) || !onTerminal(d.In) {
		fmt.Fprintln(d.Out, "Approved by `demo`, for no terminal is there to ask.")
		return "demo", true, nil
	}
	fmt.Fprint(d.Out, "Approve this plan? [y/N] ")
	line, err := readLine(ctx, d.in)
	if err != nil {
		fmt.Fprintln(d.Out)
		return "", false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return "demo", answer == "y" || answer == "yes", nil
}

// readLine reads a line, or what there is before the input ends. A read of a
// terminal can't be broken off: when the context ends, it is left behind.
func readLine(ctx context.Context, r *bufio.Reader) (string, error) {
	line := make(chan string, 1)
	go func() {
		s, _ := r.ReadString('\n') // without an answer it is no
		line <- s
	}()
	select {
	case s := <-line:
		return s, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// summary scans again and says what is left.
func (d *show) summary(ctx context.Context, found int) error {
	after, err := d.ses.scan(ctx, d.everywhere, reading{at: d.at, progress: scanProgress(d.Streams)})
	if err != nil {
		return err
	}
	if len(after.Residuals) > 0 {
		fmt.Fprintf(d.Out, "\nLeft behind, until somebody deletes it or the exception of its tag ends\n")
		for _, r := range after.Residuals {
			fmt.Fprintf(d.Out, "  %s\n", report.ResidualLine(r))
		}
	}
	d.result = demoResult{d.ses.state, found, d.fixed, len(after.Findings), after.Residuals}
	fmt.Fprintf(d.Out, "\n%s, %s, %d left. ", plural(found, "finding"), plural2(d.fixed, "verified fix", "verified fixes"), len(after.Findings))
	fmt.Fprintln(d.Out, "Next: `knowngood scan` with your AWS profile reads only;\n`knowngood plan FINDING` shows what a fix would do, and changes nothing either.")
	return nil
}

func plural2(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printFolded shows the calls in order, each write in a line of its own and the
// reads between two of them in one.
func printFolded(w io.Writer, p *knowngood.Plan) {
	calls, t := p.Parts[0].Calls, newCallTable(p)
	for i := 0; i < len(calls); {
		if calls[i].Class == knowngood.Write {
			t.add(fmt.Sprint(i+1), calls[i])
			i++
			continue
		}
		number, kind := fmt.Sprintf("%3d", i+1), "read"
		var names []string
		for ; i < len(calls) && calls[i].Class != knowngood.Write; i++ {
			names = append(names, calls[i].Service+":"+calls[i].Operation)
		}
		for _, line := range folded(counted(names), pageWidth-20) {
			t.rows = append(t.rows, []string{number, kind, line})
			number, kind = "", ""
		}
	}
	columns(w, "  ", t.rows)
}
