package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/runbook"
)

func newRuns(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "runs", Short: "List runs, show their logs, cancel, settle and work on them",
		Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRunsList(s), newRunsShow(s), newRunsCancel(s), newRunsSettle(s), newRunsPrune(s), newRunsWork(s))
	return cmd
}

type runsListOptions struct {
	storeOptions
	states []string
	query  knowngood.RunQuery
	output string
}

func newRunsList(s Streams) *cobra.Command {
	var o runsListOptions
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, the newest first", Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return listRuns(cmd.Context(), s, o) },
	}
	o.register(cmd)
	registerOutput(cmd, &o.output)
	cmd.Flags().StringSliceVar(&o.states, "status", nil, "only runs in these states: Pending, InProgress, Waiting, Success, …")
	cmd.Flags().StringVar(&o.query.Text, "search", "", "only runs that have this somewhere: a resource, a finding, a message")
	cmd.Flags().IntVar(&o.query.Limit, "limit", 50, "as many runs at most; 0: all")
	return cmd
}

func listRuns(ctx context.Context, s Streams, o runsListOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	for _, name := range o.states {
		state := knowngood.RunState(name)
		if !slices.Contains(knowngood.RunStates(), state) {
			return knowngood.E(knowngood.Usage, "", "--status %s: expected one of %v", name, knowngood.RunStates())
		}
		o.query.States = append(o.query.States, state)
	}
	st, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	runs, err := st.Runs(ctx, o.query)
	if err != nil {
		return err
	}
	if o.output == outputJSON {
		return writeJSON(s.Out, append([]knowngood.Run{}, runs...))
	}
	rows := make([][]string, len(runs))
	for i, r := range runs {
		on := r.Resource.ID
		if on == r.ID { // it acts on nothing by itself
			on = ""
		}
		if r.Parent != "" {
			on = strings.TrimSpace(on + " of " + r.Parent)
		}
		rows[i] = []string{r.ID, string(r.State), r.Created.Format(time.DateTime), on, r.Message}
	}
	columns(s.Out, "", rows)
	if len(runs) == 0 {
		fmt.Fprintln(s.Err, "no runs")
	}
	return nil
}

type runsOptions struct {
	storeOptions
	output string
}

func newRunsShow(s Streams) *cobra.Command {
	var o runsOptions
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Show a run and its log", Args: takes(cobra.ExactArgs(1), "one argument, a run's id or the beginning of it"),
		RunE: func(cmd *cobra.Command, args []string) error { return showRun(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	registerOutput(cmd, &o.output)
	return cmd
}

func showRun(ctx context.Context, s Streams, o runsOptions, id string) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	st, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	run, err := st.Run(ctx, id)
	if err != nil {
		return err
	}
	log, err := st.Entries(ctx, run.ID)
	if err != nil {
		return err
	}
	if o.output == outputJSON {
		return writeJSON(s.Out, struct {
			Run knowngood.Run        `json:"run"`
			Log []knowngood.LogEntry `json:"log"`
		}{run, append([]knowngood.LogEntry{}, log...)})
	}
	children, err := st.Runs(ctx, knowngood.RunQuery{Parent: run.ID})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "Run       %s, %s\nResource  %s\nPlan      %s\n", run.ID, run.State, run.Resource, short(run.PlanHash))
	if run.Parent != "" {
		fmt.Fprintf(s.Out, "Of        %s\n", run.Parent)
	}
	if run.Message != "" {
		fmt.Fprintf(s.Out, "Why       %s\n", run.Message)
	}
	if run.Wake != nil && !run.State.Ended() {
		fmt.Fprintf(s.Out, "Wakes     %s\n", run.Wake.Format(time.DateTime))
	}
	printLog(s.Out, log)
	if len(children) > 0 {
		fmt.Fprintf(s.Out, "\nIt has started %s:\n", plural(len(children), "run"))
		slices.Reverse(children) // the oldest first
		rows := make([][]string, len(children))
		for i, r := range children {
			rows[i] = []string{r.ID, string(r.State), r.Message}
		}
		columns(s.Out, "  ", rows)
	}
	return nil
}

// printLog shows a run's log, an entry a line.
func printLog(w io.Writer, log []knowngood.LogEntry) {
	rows := make([][]string, len(log))
	for i, e := range log {
		rows[i] = []string{fmt.Sprint(e.Seq), e.Time.Format(time.TimeOnly), e.Step, string(e.Kind), entryLine(e)}
	}
	columns(w, "  ", rows)
}

// entryLine says in a few words what an entry records.
func entryLine(e knowngood.LogEntry) string {
	// Of each kind these members say the most.
	var b struct {
		Service, Operation, Reason, Settled, Status, Message, State string
		Error                                                       *runbook.CallError
		Failure                                                     *runbook.Failure
	}
	if json.Unmarshal(e.Body, &b) != nil {
		return ""
	}
	var parts []string
	if b.Operation != "" {
		parts = append(parts, b.Service+":"+b.Operation)
	}
	for _, text := range []string{b.Status, b.State, b.Reason, b.Message, b.Settled} {
		if text != "" {
			parts = append(parts, text)
		}
	}
	if b.Error != nil {
		parts = append(parts, b.Error.Error())
	}
	if b.Failure != nil {
		parts = append(parts, b.Failure.Message)
	}
	return strings.Join(parts, "; ")
}

func newRunsCancel(s Streams) *cobra.Command {
	var o runsOptions
	cmd := &cobra.Command{
		Use: "cancel RUN", Short: "Ask for a run's cancellation",
		Long: `Asks for a run's cancellation. Whoever works on the run sees it before the next
step, or while the step waits, and takes the step's onCancel path: a run that can go
back goes back. If nobody works on it, "runs work" or "apply RUN" does.`,
		Args: takes(cobra.ExactArgs(1), "one argument, a run's id or the beginning of it"),
		RunE: func(cmd *cobra.Command, args []string) error { return cancelRun(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	return cmd
}

func cancelRun(ctx context.Context, s Streams, o runsOptions, id string) error {
	st, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	run, err := st.Run(ctx, id)
	if err != nil {
		return err
	}
	if err := st.RequestCancel(ctx, run.ID, knowngood.LogEntry{Kind: knowngood.EntryCancel, Time: time.Now().UTC()}); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "the run %s is asked to stop\n", run.ID)
	fmt.Fprintf(s.Err, "next: knowngood runs show %s\n", run.ID)
	return nil
}

type runsSettleOptions struct {
	storeOptions
	done, notDone bool
	response      string
	reason        string
}

func newRunsSettle(s Streams) *cobra.Command {
	var o runsSettleOptions
	cmd := &cobra.Command{
		Use: "settle RUN --done|--not-done --reason TEXT", Short: "Say what became of a write whose outcome is unknown",
		Long: `A write that was sent and whose answer was lost is looked for before anything
else happens. Where that can't tell, the run is OutcomeUnknown and waits for a
person, who looks at the account and says here what is so. "apply RUN" then goes on.`,
		Args: takes(cobra.ExactArgs(1), "one argument, a run's id or the beginning of it"),
		RunE: func(cmd *cobra.Command, args []string) error { return settleRun(cmd.Context(), s, o, args[0]) },
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&o.done, "done", false, "the write took place")
	cmd.Flags().BoolVar(&o.notDone, "not-done", false, "the write did not take place: the step fails")
	cmd.Flags().StringVar(&o.response, "response", "", "file with the write's response as JSON, where later steps need it")
	cmd.Flags().StringVar(&o.reason, "reason", "", "how you know")
	return cmd
}

func settleRun(ctx context.Context, s Streams, o runsSettleOptions, id string) error {
	op := "settle " + id
	if o.done == o.notDone || o.reason == "" {
		return knowngood.E(knowngood.Usage, op, "give --done or --not-done, and --reason")
	}
	var response map[string]any
	if o.response != "" {
		raw, err := os.ReadFile(o.response)
		if err == nil {
			err = json.Unmarshal(raw, &response)
		}
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Invalid, Op: op, Err: fmt.Errorf("--response: %w", err)}
		}
	}
	st, err := o.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	run, err := st.Run(ctx, id)
	if err != nil {
		return err
	}
	if run.State != knowngood.RunOutcomeUnknown {
		return knowngood.E(knowngood.Refused, op, "the run is %s; only one that is %s waits for this", run.State, knowngood.RunOutcomeUnknown)
	}
	raw, err := st.Plan(ctx, run.PlanHash)
	if err != nil {
		return err
	}
	plan, err := remedy.DecodePlan("run "+run.ID, raw)
	if err != nil {
		return err
	}
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return err
	}
	epoch, err := st.Acquire(ctx, run.ID, me(), time.Now(), time.Minute, isDead)
	if err != nil {
		return err
	}
	defer st.Release(context.WithoutCancel(ctx), run.ID, epoch) //nolint:errcheck // the lease runs out by itself
	log, err := st.Entries(ctx, run.ID)
	if err != nil {
		return err
	}
	e, err := d.Decide(log, o.done, response, o.reason, time.Now())
	if err != nil {
		return err
	}
	if err := st.Append(ctx, run.ID, epoch, []knowngood.LogEntry{e}, knowngood.RunInProgress, "settled by a person: "+o.reason, nil); err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "settled: the step %s of the run %s\n", e.Step, run.ID)
	fmt.Fprintln(s.Err, "next: knowngood apply", run.ID)
	return nil
}

type runsPruneOptions struct {
	storeOptions
	olderThan time.Duration
}

func newRunsPrune(s Streams) *cobra.Command {
	var o runsPruneOptions
	cmd := &cobra.Command{
		Use: "prune", Short: "Forget runs that ended long ago, and their logs", Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := o.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			n, err := st.Prune(cmd.Context(), time.Now().Add(-o.olderThan))
			if err == nil {
				fmt.Fprintf(s.Out, "%s forgotten; plans and approvals are kept, files of runbooks are not\n", plural(n, "run"))
			}
			return err
		},
	}
	o.register(cmd)
	cmd.Flags().DurationVar(&o.olderThan, "older-than", 400*24*time.Hour, "how long ago a run ended at least")
	return cmd
}

type runsWorkOptions struct {
	awsOptions
	governanceOptions
	concurrency int
}

func newRunsWork(s Streams) *cobra.Command {
	var o runsWorkOptions
	cmd := &cobra.Command{
		Use: "work", Short: "Go on with runs that are due, until interrupted",
		Long: `Goes on with runs that are due: those whose wake has come, those that a decision
or a cancel request waits on, and those whose worker died. Any number of workers may
share a store; each run is with one of them at a time. "apply" beside a worker leaves
its run to it, and follows the run's log.`,
		Args: noArgs(), RunE: func(cmd *cobra.Command, _ []string) error { return workRuns(cmd.Context(), s, o) },
	}
	o.awsOptions.register(cmd)
	o.governanceOptions.register(cmd)
	cmd.Flags().IntVar(&o.concurrency, "concurrency", 8, "runs that are under way at once, at most")
	return cmd
}

func workRuns(ctx context.Context, s Streams, o runsWorkOptions) error {
	if o.concurrency < 1 {
		return knowngood.E(knowngood.Usage, "", "--concurrency %d: expected at least 1", o.concurrency)
	}
	ses, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer ses.store.Close()
	judge := ses.judge(s, o.governanceOptions)
	if o.asked() { // what is wrong in it is told at once
		if _, _, err := judge(); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.Err, "account %s as %s, Region %s: working on runs that are due\n", ses.place.Account, ses.principal, ses.place.Region)
	w := ses.worker(judge, o.concurrency)
	w.Register, w.Self = ses.store, knowngood.Worker{Owner: me(), Account: ses.place.Account}
	if w.Self.Governance, err = o.digest(ses.place); err != nil {
		return err
	}
	w.Ended = func(id string, r remedy.Result, err error) {
		if err != nil {
			fmt.Fprintf(s.Err, "%s: %v\n", id, err)
			return
		}
		fmt.Fprintf(s.Out, "%s %s %s\n", id, r.State, r.Message)
	}
	debug.FreeOSMemory() // to begin took more than to wait will
	return w.Run(ctx)
}

// judge gives what verifies the runs of findings: the session with the resource
// types, and the governance. Both are read when they are first asked for, because
// they take more memory than thousands of runs that wait.
func (ses *session) judge(s Streams, o governanceOptions) func() (*session, *governance, error) {
	type full struct {
		*session
		*governance
	}
	read := sync.OnceValues(func() (full, error) {
		g, err := o.load(ses.place)
		if err != nil {
			return full{}, err
		}
		g.printNotes(s.Err)
		with, err := ses.withInventory()
		return full{with, g}, err
	})
	return func() (*session, *governance, error) {
		f, err := read()
		return f.session, f.governance, err
	}
}

// worker goes on with runs of the session's account.
func (ses *session) worker(judge func() (*session, *governance, error), concurrency int) *remedy.Worker {
	return &remedy.Worker{
		Runs: ses.store, Plans: ses.store, Queue: ses.store, Clock: ses.clock, Dead: isDead, Concurrency: concurrency,
		For: func(plan *knowngood.Plan) (*remedy.Remediator, error) {
			in, g, only := ses, &governance{rules: &rule.Set{}}, ""
			if plan.Finding != "" {
				var err error
				if in, g, err = judge(); err != nil {
					return nil, err
				}
				if g.regional { // else what verifies a plan is the same in all Regions
					only = ses.place.Region
				}
			}
			if err := ses.isFor("run "+plan.RunID, plan, only); err != nil {
				return nil, err
			}
			return in.in(plan.Place.Region).remediator(g, nil), nil
		},
	}
}
