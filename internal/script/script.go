package script

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// Options are what a Runner is made of. Only Catalog is needed.
type Options struct {
	Catalog *awsapi.Catalog
	// Python is the interpreter; "": python3 of PATH. Where boto3 is installed for
	// it, scripts have it.
	Python string
	// PowerShell is the program; "": pwsh of PATH. Where AWS.Tools modules are
	// installed for it, scripts have them.
	PowerShell string
	// Uncontained runs scripts where the kernel does not give namespaces: with the
	// rights of our own process, its files and its network. Without it they are
	// refused there.
	Uncontained bool
	// Bare does without namespaces even where they can be had. It needs
	// Uncontained.
	Bare bool
	// Warn is told of each script that runs without containment, and why. It may be
	// nil.
	Warn   func(string)
	Limits Limits
}

// Limits bound what a script may use. A zero member is its default.
type Limits struct {
	Time      time.Duration // 600 s, as AWS has it, which is also the most
	Memory    int64         // bytes, of all its processes and files: 512 MiB, of PowerShell 1 GiB, as AWS has it
	Processes int           // and threads: 64
	Scratch   int64         // bytes in /tmp, which count as memory: 256 MiB
	Log       int           // bytes that are kept of what it prints, the last ones: 64 KiB
	Result    int           // bytes of JSON that its handler may return: 4 MiB

	unwatched bool // for tests: nothing looks at the memory, so that only the kernel holds it
}

// watched is the memory beyond which a script is killed that is looked at.
func (l Limits) watched() int64 {
	if l.unwatched {
		return math.MaxInt64
	}
	return l.Memory
}

func (l Limits) withDefaults() Limits {
	if l.Time <= 0 || l.Time > 600*time.Second {
		l.Time = 600 * time.Second
	}
	if l.Processes <= 0 {
		l.Processes = 64
	}
	if l.Scratch <= 0 {
		l.Scratch = 256 << 20
	}
	if l.Log <= 0 {
		l.Log = 64 << 10
	}
	if l.Result <= 0 {
		l.Result = 4 << 20
	}
	return l
}

// of gives the limits of one script of a language.
func (l Limits) of(language string, asked time.Duration) Limits {
	if asked > 0 {
		l.Time = min(l.Time, asked)
	}
	switch {
	case l.Memory > 0:
	case language == PowerShell:
		l.Memory = 1 << 30
	default:
		l.Memory = 512 << 20
	}
	return l
}

// The languages that scripts are in.
const (
	Python     = "Python"
	PowerShell = "PowerShell"
)

// Language is that of a runtime as SSM names them, "python3.11" or "PowerShell
// 7.4"; "": none that scripts are run in.
func Language(runtime string) string {
	switch {
	case strings.HasPrefix(runtime, "python3"):
		return Python
	case strings.HasPrefix(runtime, "PowerShell "), strings.HasPrefix(runtime, "dotnetcore"):
		return PowerShell
	}
	return ""
}

// Runner runs scripts. It may be used by many goroutines.
type Runner struct {
	o Options

	mu         sync.Mutex
	python     *python // found when it is first needed
	powershell *powershell

	check func() error // why nothing can be contained here; it is tried once
}

// New makes a runner.
func New(o Options) *Runner {
	o.Limits = o.Limits.withDefaults()
	return &Runner{o: o, check: sync.OnceValue(check)}
}

// Request is a script that is to be run.
type Request struct {
	Runtime string // "python3.11", "PowerShell 7.4"; whatever version there is runs it
	// Handler is the function that is called with Payload and a context; for one
	// in an attachment "file.function". PowerShell has none.
	Handler string
	Script  string // its text; "" when it is in the attachment
	// Attachment is the name of the file among Files with the script. All Files
	// are where the script can import them; a zip file is unpacked there.
	Attachment string
	Files      map[string][]byte
	Payload    any               // in JSON's terms
	Context    map[string]string // the handler's second argument
	TimeLimit  time.Duration     // 0, or more than the runner's limit: that limit
	// Time is what the script's clock shows when it starts; it goes on only while
	// the script sleeps, so that the script does the same when it is run again.
	// Zero: the real clock. Seed is of its random numbers.
	Time time.Time
	Seed int64
	// Dry lets the script sleep without waiting: what it would wait for is supposed
	// to have happened.
	Dry bool

	Region string // where the script's clients go that name none
	// Caller makes the calls. Those that are signed with credentials which the
	// script got by AssumeRole have the option awsapi.As.
	Caller awsapi.Caller
	// Hosts are those besides AWS's that the script may speak to by HTTP, in lower
	// case and with a port. Outside sends such a request; nil: none are sent.
	Hosts   []string
	Outside func(*http.Request) (*http.Response, error)
}

// Result is what a script left.
type Result struct {
	Payload any // what the handler returned, in JSON's terms
	Log     string
	Failure *Failure // nil: it went well
}

// Failure is why a script failed.
type Failure struct {
	// Class is the name of the exception's class, or one of the Failed… constants.
	Class   string
	Message string
}

// What fails a script besides its own exceptions.
const (
	FailedTime   = "TimedOut"      // it took longer than its limit
	FailedMemory = "OutOfMemory"   // it, with all that it started, took more than its limit
	FailedEnd    = "ProcessEnded"  // its process ended before its handler did
	FailedResult = "InvalidOutput" // what it returned is too large, or no JSON
)

// Run runs a script to its end. That a script fails is a result; an error says
// that it could not be run, and is an *Unavailable where nothing here can run it.
// When ctx ends, the script and all that it started are gone before Run returns,
// with ctx's error. A write that is under way then is waited for: what became of
// it should be known.
func (r *Runner) Run(ctx context.Context, req Request) (Result, error) {
	language := Language(req.Runtime)
	if language == "" {
		return Result{}, unavailable("scripts are run in Python and PowerShell, not in %s", req.Runtime)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	limits := r.o.Limits.of(language, req.TimeLimit)
	by, path, note, err := r.program(ctx, language, req, limits)
	if err != nil {
		return Result{}, err
	}
	contained := !r.o.Bare && r.check() == nil
	if !contained && !r.o.Uncontained {
		return Result{}, unavailable("scripts are not run here, where they can't be contained: %w", r.check())
	}
	if !contained && r.o.Warn != nil {
		r.o.Warn(r.bare())
	}
	ca, err := newAuthority()
	if err != nil {
		return Result{}, err
	}
	log := &tail{keep: limits.Log}
	p := &proxy{catalog: r.o.Catalog, caller: req.Caller, region: req.Region, hosts: req.Hosts, outside: req.Outside, open: contained, authority: ca, note: log.note}
	if err := p.init(ctx); err != nil {
		return Result{}, err
	}
	j, err := newJob(by, path, req, limits, ca.certificate, p.root)
	if err != nil {
		return Result{Failure: &Failure{FailedEnd, err.Error()}}, nil
	}
	if note != "" {
		log.note(note)
	}
	if !contained {
		log.note(r.bare())
	}
	start := startBare
	if contained {
		start = startContained
	}
	ended, err := p.run(ctx, limits, start, j, log)
	switch {
	case ctx.Err() != nil:
		return Result{Log: log.String()}, ctx.Err()
	case err != nil:
		return Result{}, err
	}
	out := ended.result(limits)
	if language == PowerShell {
		out.Payload = ofJSON(out.Payload)
	}
	out.Log = log.String()
	if denied := p.refused(); out.Failure != nil && len(denied) > 0 {
		out.Failure.Message += fmt.Sprintf(" (the script may not speak to %s, which the runbook's entry does not allow)", strings.Join(denied[:min(len(denied), 3)], ", "))
	}
	return out, nil
}

// program finds what runs a script, the path of its modules where it has to be told,
// and what the script's log should say of it.
func (r *Runner) program(ctx context.Context, language string, req Request, l Limits) (by *program, path []string, note string, err error) {
	if language == PowerShell {
		p, err := r.findPowerShell(ctx)
		if err != nil {
			return nil, nil, "", err
		}
		payload, err := json.Marshal(req.Payload)
		switch {
		case err != nil:
			return nil, nil, "", fmt.Errorf("the script's input has no form in JSON: %w", err)
		case len(payload) > maxVariable:
			return nil, nil, "", unavailable("InputPayload has %d bytes as JSON; PowerShell gets it in an environment variable, which has at most %d", len(payload), maxVariable)
		}
		return p.program(l, payload), nil, p.note(req.Runtime), nil
	}
	p, err := r.interpreter(ctx)
	if err != nil {
		return nil, nil, "", err
	}
	return p.program(), p.Path, p.note(req.Runtime), nil
}

// run runs a job and serves it, until it and its calls have ended.
func (p *proxy) run(ctx context.Context, limits Limits, start func(*job, io.Writer) (*process, error), j *job, log io.Writer) (*end, error) {
	running, stop := context.WithTimeout(ctx, limits.Time)
	defer stop()
	proc, err := start(j, log)
	if err != nil {
		return nil, err
	}
	defer p.close()
	go p.serve(proc.listener)
	kill := context.AfterFunc(running, proc.kill)
	defer kill()
	ended := proc.wait(limits.Result)
	ended.late = running.Err() != nil
	return ended, nil
}

// Unavailable says that nothing here can run a script.
type Unavailable struct{ Err error }

// Error implements error.
func (e *Unavailable) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Unavailable) Unwrap() error { return e.Err }

func unavailable(format string, args ...any) error {
	return &Unavailable{fmt.Errorf(format, args...)}
}

// bare says that a script runs without containment, and why.
func (r *Runner) bare() string {
	why := "containment was not asked for"
	if err := r.check(); err != nil {
		why = err.Error()
	}
	return "the script runs uncontained, with the files, the network and the rights of this process: " + why
}
