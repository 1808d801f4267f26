package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/script"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/library"
)

type doctorOptions struct {
	awsOptions
	governance []string
	online     bool
	output     string
}

func newDoctor(s Streams) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with this setup",
		Long: `Looks at what knowngood needs on this machine: settings, API models, the store, the
configuration of AWS, and what runs the scripts of runbooks; and which runbooks of the
library and of --governance can't run for something that is missing. It changes
nothing, and asks AWS nothing unless the endpoint is on this machine or --online is
given. Exit code 1: something is broken.`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd.Context(), s.Out, o) },
	}
	o.register(cmd)
	cmd.Flags().StringArrayVar(&o.governance, "governance", nil, "folder whose runbooks are looked at besides the library's")
	cmd.Flags().BoolVar(&o.online, "online", false, "ask AWS who calls, and let credentials be fetched")
	registerOutput(cmd, &o.output)
	return cmd
}

// state is what a check came to.
type state string

// The states of a check.
const (
	stateOK     state = "ok"
	stateNote   state = "note"   // something is not there, and nothing needs it; or it could not be looked at
	stateBroken state = "broken" // something will fail for it
)

// checked is one thing that was looked at.
type checked struct {
	Check string `json:"check"`
	State state  `json:"state"`
	Found string `json:"found"`
	Hint  string `json:"hint,omitempty"`
}

// doctor looks at one thing after the other.
type doctor struct {
	doctorOptions
	settings settings
	catalog  *awsapi.Catalog
	found    []checked
}

func (d *doctor) say(check string, s state, hint, format string, args ...any) {
	d.found = append(d.found, checked{check, s, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; "), hint})
}

// broken says what an error says, with its hint or another one.
func (d *doctor) broken(check string, err error, hint string) {
	if e := (*knowngood.Error)(nil); errors.As(err, &e) {
		hint = cmp.Or(e.Hint, hint)
		if e.Err != nil {
			err = e.Err
		}
	}
	d.say(check, stateBroken, hint, "%v", err)
}

func runDoctor(ctx context.Context, w io.Writer, o doctorOptions) error {
	if err := checkOutput(o.output); err != nil {
		return err
	}
	d := &doctor{doctorOptions: o}
	for _, look := range []func(context.Context) error{d.models, d.configured, d.store, d.aws, d.runners} {
		if err := look(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	var err error
	if o.output == outputJSON {
		err = writeJSON(w, d.found)
	} else {
		err = printChecks(w, d.found)
	}
	broken := 0
	for _, c := range d.found {
		if c.State == stateBroken {
			broken++
		}
	}
	if err == nil && broken > 0 {
		err = knowngood.E(knowngood.Other, "look at the setup", "%s of %d found something broken", plural(broken, "check"), len(d.found))
	}
	return err
}

func printChecks(w io.Writer, found []checked) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tSTATE\tFOUND")
	for _, c := range found {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Check, c.State, c.Found)
		if c.Hint != "" {
			fmt.Fprintf(t, "\t\thint: %s\n", c.Hint)
		}
	}
	return t.Flush()
}

func (d *doctor) models(context.Context) error {
	d.say("knowngood", stateOK, "", "%s", version())
	c, err := catalog()
	if err != nil {
		d.broken("models", err, "")
		d.catalog, err = awsapi.Embedded()
		return err
	}
	d.catalog = c
	from := "built in"
	if built, err := awsapi.Embedded(); err == nil && built.Manifest() != c.Manifest() {
		from, _ = modelsFile()
	}
	m := c.Manifest()
	d.say("models", stateOK, "", "botocore %s, %d services, %d operations (%s)", m.Botocore, m.Services, m.Operations, from)
	return nil
}

func (d *doctor) configured(context.Context) error {
	var err error
	if d.settings, err = readSettings(); err != nil {
		d.broken("settings", err, "the keys are in docs/doctor.md")
		d.settings = settings{Scripts: scriptsContained}
		return nil
	}
	if _, err := os.Stat(settingsPath()); err != nil {
		d.say("settings", stateOK, "", "no %s here; the defaults hold", settingsPath())
		return nil
	}
	d.say("settings", stateOK, "", "%s: scripts %s", settingsPath(), d.settings.Scripts)
	return nil
}

// store opens the store where there is one; where there is none, it tries the folder
// with a database that it takes away again.
func (d *doctor) store(ctx context.Context) error {
	if d.url != "" {
		s, err := d.openStore(ctx)
		if err != nil {
			d.broken("store", err, "it comes from --store or "+storeVariable)
			return nil
		}
		d.say("store", stateOK, "", "PostgreSQL, tables of version %d", s.Version())
		return s.Close()
	}
	file := filepath.Join(d.state, "knowngood.db")
	const hint = "--state chooses another folder"
	_, err := os.Stat(file)
	switch {
	case err == nil:
		s, err := d.openStore(ctx)
		if err != nil {
			d.broken("store", err, hint)
			return nil
		}
		d.say("store", stateOK, "", "SQLite, %s, tables of version %d; it can be locked, on a local file system", file, s.Version())
		return s.Close()
	case !errors.Is(err, fs.ErrNotExist):
		d.broken("store", err, hint)
		return nil
	}
	in := d.state
	for in != "." && in != filepath.Dir(in) {
		if _, err := os.Stat(in); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		in = filepath.Dir(in)
	}
	trial, err := os.MkdirTemp(in, ".knowngood-doctor-")
	if err != nil {
		d.broken("store", err, hint)
		return nil
	}
	defer os.RemoveAll(trial) //nolint:errcheck // what is left there hurts nobody
	s, err := sqlite.Open(ctx, filepath.Join(trial, "knowngood.db"))
	if err != nil {
		d.broken("store", err, hint)
		return nil
	}
	d.say("store", stateOK, "", "none yet; one can be made in %s", d.state)
	return s.Close()
}

// aws looks at the configuration of AWS, and asks who calls where it may.
func (d *doctor) aws(ctx context.Context) error {
	cfg, err := awsapi.LoadConfig(ctx, awsapi.LoadOptions{Catalog: d.catalog, Profile: d.profile, Region: d.region, EndpointURL: d.endpointURL})
	if err != nil {
		d.broken("AWS", err, "`aws configure list` shows what is configured")
		return nil
	}
	switch {
	case cfg.Region == "":
		d.say("Region", stateBroken, "give --region, or set AWS_REGION", "none is configured")
	case !regionName.MatchString(cfg.Region):
		d.say("Region", stateBroken, "it comes from --region, AWS_REGION or the profile", "%q is no Region's name", cfg.Region)
	default:
		d.say("Region", stateOK, "", "%s", cfg.Region)
	}
	if at := endpoints(cfg); len(at) > 0 {
		d.say("endpoint", stateOK, "", "%s", strings.Join(at, ", "))
	}
	if d.online || onLoopback(cfg) {
		return d.caller(ctx, cfg)
	}
	if cfg, err = awsapi.LoadConfig(ctx, awsapi.LoadOptions{Catalog: d.catalog, Profile: d.profile, Region: d.region, Offline: true}); err != nil {
		return err
	}
	c, err := cfg.Credentials.Retrieve(ctx)
	switch {
	case errors.Is(err, awsapi.ErrOffline):
		d.say("credentials", stateNote, "knowngood doctor --online tries to", "they would have to be fetched: by sign-in, from a role or an instance's metadata")
	case err != nil:
		d.say("credentials", stateBroken, signIn, "none are found")
	default:
		d.say("credentials", stateOK, "", "access key %s (%s); not tried, which --online does", c.AccessKeyID, c.Source)
	}
	return nil
}

func (d *doctor) caller(ctx context.Context, cfg awsapi.Config) error {
	if cfg.Region == "" {
		cfg.Region = "us-east-1" // who calls is the same everywhere
	}
	client, err := awsapi.New(cfg)
	if err != nil {
		return err
	}
	who, err := client.Call(ctx, "sts", "GetCallerIdentity", nil)
	if err != nil {
		d.broken("credentials", awsError("find out who calls", err, cfg), signIn)
		return nil
	}
	d.say("credentials", stateOK, "", "%v", who["Arn"])
	return nil
}

// runners looks at what runs scripts, and at which runbooks need it.
func (d *doctor) runners(ctx context.Context) error {
	lacking := newScripts(d.catalog, d.settings, nil)
	r := lacking.runner.Report(ctx)
	books, err := d.runbooks()
	if err != nil {
		return err
	}
	needs := map[string]int{}
	for _, b := range books {
		for _, language := range languages(b.document) {
			needs[language]++
		}
	}
	missing := func(language string) (state, string) {
		if n := needs[language]; n > 0 {
			return stateBroken, "needed by " + plural(n, "runbook")
		}
		return stateNote, "no runbook needs it"
	}
	d.containment(r, needs)
	d.program("python3", r.Python, "boto3", "install boto3 for it: python3 -m pip install boto3", "install python3", script.Python, missing)
	if r.Python.Err == nil && r.Python.Detail != "" {
		d.importing(ctx, lacking, r)
	}
	d.program("pwsh", r.PowerShell, "AWS.Tools.Common", "install it for pwsh: Install-Module AWS.Tools.Common", "install PowerShell 7", script.PowerShell, missing)
	for _, b := range books {
		for _, l := range lacking.lacks(ctx, b.document) {
			d.say("runbook "+b.name, stateBroken, "see the checks above", "step %s: %s", l.Step, l.why)
		}
	}
	return nil
}

// languages of a runbook's scripts, each once.
func languages(doc *runbook.Document) []string {
	var out []string
	for _, s := range doc.Scripts() {
		if l := script.Language(s.Runtime); !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

func (d *doctor) containment(r script.Report, needs map[string]int) {
	uncontained := d.settings.Scripts == scriptsUncontained
	switch {
	case r.Contained == nil:
		d.say("containment", stateOK, "", "scripts run in namespaces of their own; memory is limited by %s", r.Memory)
	case uncontained:
		d.say("containment", stateNote, "scripts have the rights of knowngood itself; "+settingsPath()+" allows it", "%v", r.Contained)
	case len(needs) == 0:
		d.say("containment", stateNote, "no runbook needs it; with scripts: uncontained in "+settingsFile+" scripts run without it", "%v", r.Contained)
	default:
		d.say("containment", stateBroken, "with scripts: uncontained in "+settingsFile+" scripts run without it", "%v", r.Contained)
	}
}

// program says whether an interpreter is there, and what it needs to call AWS.
func (d *doctor) program(name string, f script.Found, library, hint, install, language string, missing func(string) (state, string)) {
	if f.Err != nil {
		s, why := missing(language)
		d.say(name, s, install, "%v; %s", f.Err, why)
		return
	}
	d.say(name, stateOK, "", "%s %s", f.Version, f.Path)
	if f.Detail == "" {
		s, why := missing(language)
		d.say(library, s, hint, "it is not installed for %s; %s", f.Path, why)
		return
	}
	if language == script.PowerShell {
		d.say(library, stateOK, "", "%s", f.Detail)
	}
}

// importing runs a script that imports boto3, as scripts are run.
func (d *doctor) importing(ctx context.Context, s scripts, r script.Report) {
	if r.Contained != nil && d.settings.Scripts != scriptsUncontained {
		d.say("boto3", stateNote, "", "%s; not tried, for it can't be contained", r.Python.Detail)
		return
	}
	got, err := s.runner.Run(ctx, script.Request{Runtime: "python3", Handler: "handler", Script: "import boto3\ndef handler(events, context): return boto3.__version__", Region: "us-east-1"})
	if err == nil && got.Failure != nil {
		err = fmt.Errorf("%s: %s", got.Failure.Class, got.Failure.Message)
	}
	if err != nil {
		d.say("boto3", stateBroken, "its folder has to be readable for everybody, and below python3's own or named site-packages", "a contained script can't import it: %v", err)
		return
	}
	d.say("boto3", stateOK, "", "%v, imported by a script", got.Payload)
}

// book is a runbook that is looked at.
type book struct {
	name     string
	document *runbook.Document
}

// runbooks are the library's and those of --governance. One that can't be read is a
// finding of its own.
func (d *doctor) runbooks() ([]book, error) {
	var targets []lintTarget
	shipped, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, file := range shipped {
		raw, err := fs.ReadFile(library.FS, file)
		if err != nil {
			return nil, err
		}
		targets = append(targets, lintTarget{name: strings.TrimSuffix(filepath.Base(file), ".yaml"), data: raw})
	}
	for _, folder := range d.governance {
		found, err := runbooksIn(folder)
		if err != nil {
			return nil, &knowngood.Error{Kind: knowngood.Usage, Op: "read the governance", Err: err}
		}
		targets = append(targets, found...)
	}
	var out []book
	for _, t := range targets {
		doc, err := runbook.Parse(t.name, t.data)
		if err != nil {
			d.say("runbook "+t.name, stateBroken, "knowngood runbook lint "+t.name, "it can't be read")
			continue
		}
		out = append(out, book{t.name, doc})
	}
	d.say("runbooks", stateOK, "", "%d of the library, %d of yours", len(shipped), len(targets)-len(shipped))
	return out, nil
}
