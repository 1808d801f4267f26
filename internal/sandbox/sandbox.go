package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/eventpattern"
	"github.com/knowngood/knowngood/iampolicy"
)

// Options are what a sandbox is made with. The zero value of each has a
// sensible meaning.
type Options struct {
	Catalog *awsapi.Catalog // required
	Clock   knowngood.Clock // default: a ManualClock at 2026-01-01
	Seed    int64           // of all ids; the same calls with the same seed give the same ids
	Account string          // default 111122223333
	Region  string          // default eu-west-1
	Regions []string        // default: Region and us-east-1
	// Accounts are more accounts than the first. Each has an operator; see
	// OperatorOf.
	Accounts []AccountOptions
	// Documents are Automation runbooks that are AWS's own, as NAME.yaml or
	// NAME.json. Of AWS's Command documents the sandbox has those that its nodes run.
	Documents fs.FS
	Program   Program // around the sandbox
}

// Program is what a program that serves a sandbox does for its control API.
// What is nil is refused.
type Program struct {
	// Save keeps a snapshot where the program has its estate.
	Save func(snapshot []byte) error
	// Serve serves a fork at an endpoint of its own, a URL, until stop is called,
	// which doesn't wait for requests under way.
	Serve func(*Sandbox) (endpoint string, stop func(), err error)
}

// Sandbox is an AWS in memory. Its methods may be used by many goroutines; calls
// take effect one after another.
type Sandbox struct {
	catalog *awsapi.Catalog
	clock   knowngood.Clock
	account string
	region  string
	regions []string

	mu     sync.Mutex
	state  state
	faults []*fault
	stale  time.Duration
	calls  []CallRecord

	injected int    // faults so far
	origin   []byte // what Reset returns to: a snapshot
	program  Program
	stop     func() // of a fork that is served

	policies   map[string]*iampolicy.Policy // by text; see policy
	partitions map[string]string            // by Region
	hooks      []func([]byte)
	later      []func() // to be run without the lock, in order
	draining   bool

	patterns   map[string]*eventpattern.Pattern // of rules, by their text
	deliveries []Delivery
	outcomes   outcomes
	functions  map[string]Function // by name
	// again is Call, for what functions do by their answers: through a variable,
	// since the table of handlers can't refer to what refers to it.
	again func(context.Context, Request) (map[string]any, error)
	judge func(context.Context, RuleCheck) ([]Verdict, error)

	documents fs.FS
	runners   map[string]func(Command) Result // of Command documents, by name
	engine    AutomationEngine
}

// state is all that a snapshot holds.
type state struct {
	Seed     int64                      `json:"seed"`
	Serial   uint64                     `json:"serial"`        // ids given so far
	Occurred uint64                     `json:"occurred"`      // events and records of calls so far
	Requests uint64                     `json:"requests"`      // so far
	Drawn    uint64                     `json:"drawn"`         // blocks of random bytes so far
	Due      []due                      `json:"due,omitempty"` // by time
	Accounts map[string]*account        `json:"accounts"`
	Buckets  map[string]*record[bucket] `json:"buckets"` // their names are global
	Keys     map[string]accessKey       `json:"accessKeys"`
	// Objects are by bucket and key, each with its versions, the oldest first.
	Objects map[string]map[string][]s3Version `json:"objects,omitempty"`

	Organizations map[string]*organization `json:"organizations,omitempty"`
}

type region struct {
	Volumes   map[string]*record[volume]   `json:"volumes"`
	Snapshots map[string]*record[snapshot] `json:"snapshots"`
	Instances map[string]*record[instance] `json:"instances"`
	Groups    map[string]*record[group]    `json:"autoScalingGroups"`
	Keys      map[string]*record[kmsKey]   `json:"kmsKeys"`
	Aliases   map[string]string            `json:"kmsAliases"` // alias to key id
	Addresses map[string]*record[address]  `json:"addresses"`
	VPCs      map[string]*record[vpc]      `json:"vpcs"`
	Subnets   map[string]*record[subnet]   `json:"subnets"`

	SecurityGroups map[string]*record[securityGroup] `json:"securityGroups"`

	Tokens  map[string]token `json:"clientTokens"`
	Encrypt bool             `json:"encryptByDefault"`

	AutoScaling autoscalingState `json:"autoscaling"`
	Backup      backupState      `json:"backup"`
	CloudTrail  cloudtrailState  `json:"cloudtrail"`
	CloudWatch  cloudwatchState  `json:"cloudwatch"`
	Config      configState      `json:"config"`
	DynamoDB    dynamodbState    `json:"dynamodb"`
	EC2         ec2State         `json:"ec2"`
	ELB         elbState         `json:"elb"`
	Events      eventsState      `json:"events"`
	GuardDuty   guarddutyState   `json:"guardduty"`
	Inspector   inspectorState   `json:"inspector"`
	Lambda      lambdaState      `json:"lambda"`
	Optimizer   optimizerState   `json:"optimizer"`
	RDS         rdsState         `json:"rds"`
	SNS         snsState         `json:"sns"`
	SQS         sqsState         `json:"sqs"`
	SSM         ssmState         `json:"ssm"`
	SecurityHub securityhubState `json:"securityhub"`
	Logs        logsState        `json:"logs,omitzero"`
	Secrets     secretsState     `json:"secretsmanager,omitzero"`
	Kept        keptState        `json:"kept,omitempty"`
	TagGroups   groupsState      `json:"resourceGroups,omitzero"`
}

// token remembers what a client token was used for.
type token struct {
	Input string `json:"input"`
	ID    string `json:"id"`
}

// CallRecord is one call that the sandbox was asked to make.
type CallRecord struct {
	Time      time.Time      `json:"time"`
	Principal string         `json:"principal"` // ARN
	Service   string         `json:"service"`
	Operation string         `json:"operation"`
	Region    string         `json:"region"`
	Input     map[string]any `json:"input"`
	Error     string         `json:"error,omitempty"` // code
}

// New makes a sandbox of empty accounts.
func New(o Options) (*Sandbox, error) {
	if o.Catalog == nil {
		return nil, fmt.Errorf("sandbox: no catalog")
	}
	if o.Clock == nil {
		o.Clock = NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if o.Account == "" {
		o.Account = "111122223333"
	}
	if o.Region == "" {
		o.Region = "eu-west-1"
	}
	if len(o.Regions) == 0 {
		o.Regions = []string{o.Region, "us-east-1"}
	}
	s := &Sandbox{program: o.Program, catalog: o.Catalog, clock: o.Clock, account: o.Account, region: o.Region, regions: o.Regions,
		policies: map[string]*iampolicy.Policy{}, partitions: map[string]string{}, patterns: map[string]*eventpattern.Pattern{}, functions: map[string]Function{},
		documents: o.Documents, runners: map[string]func(Command) Result{}}
	s.again = s.Call
	s.state = state{Seed: o.Seed, Accounts: map[string]*account{}, Buckets: map[string]*record[bucket]{}, Keys: map[string]accessKey{}}
	for _, a := range append([]AccountOptions{{ID: o.Account}}, o.Accounts...) {
		if err := s.addAccount(a.ID, a.Partition); err != nil {
			return nil, err
		}
	}
	return s, s.SetOrigin()
}

// Account is the account of the sandbox's operator.
func (s *Sandbox) Account() string { return s.account }

// Region is the Region that the sandbox's exports name.
func (s *Sandbox) Region() string { return s.region }

// maxCalls is how many calls are remembered.
const maxCalls = 20_000

// Calls lists the calls so far, in order; of very many, the last 20,000.
func (s *Sandbox) Calls() []CallRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]CallRecord(nil), s.calls...)
}

// Request is one call, decoded.
type Request struct {
	Service, Operation string
	Region             string
	AccessKeyID        string
	Input              map[string]any
	// What CloudTrail's record of the call has; each may be empty.
	ID, SourceIP, UserAgent string
}

// Call makes one call. Errors are *awsapi.Error.
func (s *Sandbox) Call(ctx context.Context, r Request) (map[string]any, error) {
	op, err := s.catalog.Operation(r.Service, r.Operation)
	if err != nil {
		return nil, failure(400, "InvalidAction", "%v", err)
	}
	c, out, err := s.locked(op, r)
	if c.after != nil {
		o, e := c.after(ctx)
		if err == nil {
			out, err = o, e
		}
	}
	s.drain()
	return out, err
}

// locked is the part of a call that needs the sandbox for itself.
func (s *Sandbox) locked(op *awsapi.Operation, r Request) (*call, map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	s.settle(now)
	if r.ID == "" {
		r.ID = s.nextRequest()
	}
	c := &call{Sandbox: s, now: now, view: now.Add(-s.stale), region: r.Region, in: r.Input, operation: op, request: r}
	if c.region == "" {
		c.region = s.region
	}
	out, err := s.serve(c, r.AccessKeyID)
	record := CallRecord{Time: now, Principal: c.who.ARN, Service: op.Service.Name, Operation: op.Name, Region: c.region, Input: r.Input, Error: codeOf(err)}
	s.calls = append(s.calls, record)
	if over := len(s.calls) - maxCalls; over > 0 {
		s.calls = s.calls[over:] // append makes room for twice as many at a time
	}
	s.settle(now)
	return c, out, err
}

func (s *Sandbox) serve(c *call, accessKeyID string) (map[string]any, error) {
	key, ok := s.state.Keys[accessKeyID]
	if !ok {
		return nil, failure(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if key.Inactive {
		return nil, failure(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if !key.Expires.IsZero() && !key.Expires.After(c.now) {
		return nil, failure(403, "ExpiredToken", "The security token included in the request is expired.")
	}
	if s.partitionOf(c.region) != s.state.Accounts[key.Account].Partition {
		return nil, failure(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	c.who = key
	c.use(accessKeyID)
	logged := c.inRecord().logged() // StopLogging itself is logged
	f := s.nextFault(c.operation, c.now)
	if e := f.before(); e != nil {
		c.trail(logged, nil, e)
		return nil, e
	}
	if f != nil && f.Stale > 0 {
		c.view = c.now.Add(-f.Stale)
	}
	out, err := c.answer()
	c.trail(logged, out, err)
	if err == nil {
		if e := f.after(); e != nil {
			return nil, e
		}
	}
	return out, err
}

// answer runs the handler, if the caller may and the input is whole.
func (c *call) answer() (map[string]any, error) {
	h, ok := handlers[c.operation.Service.Name][c.operation.Name]
	if !ok {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate %s:%s.", c.operation.Service.Name, c.operation.Name)
	}
	if err := c.authorize(h.action); err != nil {
		return nil, err
	}
	if missing := missingMembers(c.operation.Input, c.in, ""); missing != "" {
		return nil, failure(400, missingCode(c.operation.Service.Protocol), "The request must contain the parameter %s", missing)
	}
	if c.bool("DryRun") && c.operation.Service.Name == "ec2" {
		return nil, failure(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	if _, ok := c.state.Accounts[c.host]; ok {
		guest := *c
		guest.who.Account = c.host
		out, err := h.run(&guest)
		c.after = guest.after
		return out, err
	}
	return h.run(c)
}

func missingCode(p awsapi.Protocol) string {
	switch p {
	case awsapi.EC2, awsapi.Query:
		return "MissingParameter"
	}
	return "ValidationException"
}

// missingMembers gives the path of the first required member that is not there.
func missingMembers(s *awsapi.Shape, v any, path string) string {
	switch v := v.(type) {
	case map[string]any:
		if s == nil || s.Type != awsapi.Structure {
			return ""
		}
		for i := range s.Members {
			m := &s.Members[i]
			at := m.Name
			if path != "" {
				at = path + "." + m.Name
			}
			e, ok := v[m.Name]
			if !ok {
				if m.Is(awsapi.Required) {
					return at
				}
				continue
			}
			if missing := missingMembers(m.Shape, e, at); missing != "" {
				return missing
			}
		}
	case []any:
		if s == nil || s.Type != awsapi.List {
			return ""
		}
		for i, e := range v {
			if missing := missingMembers(s.Elem.Shape, e, fmt.Sprintf("%s.%d", path, i+1)); missing != "" {
				return missing
			}
		}
	}
	return ""
}

// id makes an id of n hex digits behind a prefix. It follows from the seed and
// the number of ids before it.
func (s *Sandbox) id(prefix string, n int) string {
	s.state.Serial++
	return prefix + derived(s.state.Seed, "", s.state.Serial)[:n]
}

// derived gives 64 hex digits that follow from the seed, a kind and a number.
func derived(seed int64, kind string, n uint64) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(seed))
	b = append(binary.BigEndian.AppendUint64(b, n), kind...)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// uuid writes 32 hex digits as a UUID.
func uuid(h string) string {
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:32]}, "-")
}

// failure is an error as AWS answers it.
func failure(status int, code, format string, args ...any) *awsapi.Error {
	return &awsapi.Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func sorted[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// codeOf is the code of an error as AWS answers it, or "".
func codeOf(err error) string {
	var e *awsapi.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
