package app

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/library"
)

// awsOptions are the flags of every command that calls AWS.
type awsOptions struct {
	profile, region, endpointURL string
	storeOptions
}

func (o *awsOptions) register(cmd *cobra.Command) {
	o.registerButRegion(cmd)
	cmd.Flags().StringVar(&o.region, "region", "", "Region; default: the profile's, or AWS_REGION")
}

// registerButRegion is for commands whose Regions are many.
func (o *awsOptions) registerButRegion(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.profile, "profile", "", "profile of the AWS configuration; default: AWS_PROFILE")
	cmd.Flags().StringVar(&o.endpointURL, "endpoint-url", "", "endpoint in place of AWS's own; default: AWS_ENDPOINT_URL")
	o.storeOptions.register(cmd)
}

// session is one account and Region, with the credentials of a caller, and what
// knowngood remembers.
type session struct {
	catalog   *awsapi.Catalog
	client    *awsapi.Client
	content   *remedy.Content
	types     *inventory.Table
	rates     *inventory.Rates
	percent   int  // of the rates that is used at most; 0: the collector's default
	paced     bool // calls keep to the rates: unless all of them go to this machine
	scripts   scripts
	store     store
	clock     knowngood.Clock
	place     knowngood.Place
	principal string // ARN
	state     string // where the store is
	loopback  bool   // every call goes to this machine
	webhooks  runbook.Webhooks
	history   historyOptions
	files     attachmentOptions
}

// config is the standard chain's configuration.
func (o awsOptions) config(ctx context.Context) (awsapi.Config, error) {
	c, err := catalog()
	if err != nil {
		return awsapi.Config{}, err
	}
	cfg, err := awsapi.LoadConfig(ctx, awsapi.LoadOptions{Catalog: c, Profile: o.profile, Region: o.region, EndpointURL: o.endpointURL})
	if err != nil {
		return cfg, (&knowngood.Error{Kind: knowngood.Credentials, Op: "read the AWS configuration", Err: err}).WithHint("`aws configure list` shows what is configured")
	}
	if cfg.Region == "" {
		// Where nothing at all is configured, the credentials come first.
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			return cfg, (&knowngood.Error{Kind: knowngood.Credentials, Op: "find the credentials", Err: err}).WithHint("%s", signIn)
		}
	}
	switch {
	case cfg.Region == "":
		return cfg, knowngood.E(knowngood.Usage, "find the Region", "none is configured").WithHint("give --region, or set AWS_REGION")
	case !regionName.MatchString(cfg.Region):
		return cfg, knowngood.E(knowngood.Usage, "find the Region", "%q is no Region's name; expected one such as eu-west-1", cfg.Region).WithHint("it comes from --region, AWS_REGION or the profile")
	}
	for _, endpoint := range endpoints(cfg) {
		if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return cfg, knowngood.E(knowngood.Usage, "find the endpoint", "%q is no URL; expected one such as http://127.0.0.1:4566", endpoint).
				WithHint("it comes from --endpoint-url, AWS_ENDPOINT_URL or the profile")
		}
	}
	return cfg, nil
}

// open makes a session with the credentials of the standard chain.
func (o awsOptions) open(ctx context.Context) (*session, error) {
	cfg, err := o.config(ctx)
	if err != nil {
		return nil, err
	}
	return newSession(ctx, cfg, knowngood.WallClock{}, o.storeOptions)
}

// connect is open for commands that read no resources.
func (o awsOptions) connect(ctx context.Context) (*session, error) {
	cfg, err := o.config(ctx)
	if err != nil {
		return nil, err
	}
	return newConnection(ctx, cfg, knowngood.WallClock{}, o.storeOptions)
}

// regionName is the form that the names of all partitions' Regions have. A Region
// may be newer than the models, so that a list would not do.
var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-\d{1,2}$`)

// endpoints are those that are configured in place of AWS's own.
func endpoints(cfg awsapi.Config) []string {
	var out []string
	if cfg.EndpointURL != "" {
		out = append(out, cfg.EndpointURL)
	}
	return slices.AppendSeq(out, maps.Values(cfg.ServiceEndpoints))
}

// newSession is a connection that can read resources.
func newSession(ctx context.Context, cfg awsapi.Config, clock knowngood.Clock, at storeOptions) (*session, error) {
	s, err := newConnection(ctx, cfg, clock, at)
	if err != nil {
		return nil, err
	}
	if s, err = s.withInventory(); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

// newConnection finds out who calls where, and opens the store.
func newConnection(ctx context.Context, cfg awsapi.Config, clock knowngood.Clock, at storeOptions) (*session, error) {
	client, err := awsapi.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &session{catalog: cfg.Catalog, client: client, clock: clock, state: at.where(), loopback: onLoopback(cfg)}
	set, err := readSettings()
	if err != nil {
		return nil, err
	}
	s.scripts = newScripts(s.catalog, set, warner(ctx))
	s.webhooks = webhooks{as: s.asRole, here: s.loopback}
	who, err := client.Call(ctx, "sts", "GetCallerIdentity", nil)
	if err != nil {
		return nil, awsError("find out who calls", err, cfg)
	}
	partition, err := cfg.Catalog.Partition(cfg.Region)
	if err != nil {
		return nil, err
	}
	s.principal, _ = who["Arn"].(string)
	account, _ := who["Account"].(string)
	s.place = knowngood.Place{Partition: partition.ID, Account: account, Region: cfg.Region}
	if s.content, err = remedy.LoadContent(library.FS); err != nil {
		return nil, err
	}
	s.paced = !s.loopback
	s.store, err = at.openStore(ctx)
	return s, err
}

// withInventory gives the session with the resource types and their rates. They
// bring the models of most services into memory.
func (s *session) withInventory() (*session, error) {
	full := *s
	var err error
	if full.types, err = inventory.LoadTypes(library.FS, s.catalog); err != nil {
		return s, err
	}
	full.rates, err = inventory.LoadRates(library.FS, s.catalog)
	return &full, err
}

// as is the client with the credentials of roles that are assumed one after
// another, the last narrowed; without roles it is the caller.
func (s *session) as(roles []string, purpose string, n remedy.Narrowing) awsapi.Caller {
	client := s.client
	for i, role := range roles {
		as := awsapi.RoleSession{Name: "knowngood-" + purpose}
		if i == len(roles)-1 {
			as.Policy, as.PolicyARNs = n.Policy, n.Managed
		}
		client = client.AssumeRole(role, as)
	}
	return client
}

// asRole is as, with at most one role.
func (s *session) asRole(role, purpose string, n remedy.Narrowing) awsapi.Caller {
	if role == "" {
		return s.as(nil, purpose, n)
	}
	return s.as([]string{role}, purpose, n)
}

func (s *session) findings() *finding.Service {
	return &finding.Service{Store: s.store, Clock: s.clock}
}

// collector reads resources, and of each type what is named; nil: everything.
func (s *session) collector(reads map[string][]string) *inventory.Collector {
	c := &inventory.Collector{Caller: s.client, Catalog: s.catalog, Table: s.types, Clock: s.clock, Reads: reads, Percent: s.percent}
	if s.paced {
		c.Rates = s.rates
	}
	return c
}

// survey is what is read in an estate.
func (s *session) survey(at estate, types []string) inventory.Survey {
	return inventory.Survey{Place: s.place, Regions: at.regions, Global: s.globalRegion(), Types: types}
}

// How long a read may show the state before a write, and how often it is
// repeated meanwhile. AWS states no bound; its own waiters poll for minutes.
const (
	consistency = time.Minute
	poll        = 3 * time.Second
)

// remediator carries out plans under a governance.
func (s *session) remediator(g *governance, onEntry func(*knowngood.Plan, knowngood.LogEntry)) *remedy.Remediator {
	return &remedy.Remediator{
		Catalog: s.catalog, Content: s.content, As: s.as, Runs: s.store, Family: s.store, Plans: s.store, Log: s.store, Records: s.store, Findings: s.findings(), Clock: s.clock,
		Verifier: remedy.Verifier{Reader: s.collector(g.rules.Reads()), Evaluator: court{g, s}, Clock: s.clock, Consistency: consistency, Poll: poll},
		Effects:  runbook.Effects{Scripts: s.scripts, Webhooks: s.webhooks}, Attachments: s.files.sources,
		Owner: me(), Dead: isDead, NewID: newRunID, OnEntry: onEntry,
	}
}

const signIn = "sign in with the AWS CLI, or set AWS_PROFILE; `aws sts get-caller-identity` must work"

// awsError gives a call's error its kind, and says what may help.
func awsError(op string, err error, cfg awsapi.Config) error {
	out := &knowngood.Error{Op: op, Err: err}
	var e *awsapi.Error
	if !errors.As(err, &e) {
		return out
	}
	switch {
	case e.Credentials():
		out.Kind = knowngood.Credentials
		return out.WithHint("%s", signIn)
	case e.Code == awsapi.CodeNoResponse:
		if at := endpoints(cfg); len(at) > 0 {
			return out.WithHint("does anything serve AWS at %s? It comes from --endpoint-url, AWS_ENDPOINT_URL or the profile", strings.Join(at, ", "))
		}
		return out.WithHint("is there a way to AWS from here (HTTPS_PROXY), and is %s the right Region?", cfg.Region)
	}
	return out
}

// onLoopback says whether every call goes to this machine.
func onLoopback(cfg awsapi.Config) bool {
	if cfg.EndpointURL == "" {
		return false
	}
	for _, endpoint := range endpoints(cfg) {
		u, err := url.Parse(endpoint)
		if err != nil {
			return false
		}
		if !isLoopback(u.Hostname()) {
			return false
		}
	}
	return true
}

// me names this process as the owner of a lease.
func me() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}

// isDead says whether a lease's owner was a process of this host that is gone.
func isDead(owner string) bool {
	host, pid, ok := strings.Cut(owner, "/")
	mine, _, _ := strings.Cut(me(), "/")
	n, err := strconv.Atoi(pid)
	return ok && host == mine && err == nil && isGone(n)
}
