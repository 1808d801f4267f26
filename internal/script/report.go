package script

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// Report says what there is here to run scripts with.
type Report struct {
	Python     Found  // Detail: boto3's version
	PowerShell Found  // Detail: the version of AWS.Tools.Common
	Contained  error  // nil: scripts can be contained; else why not
	Memory     string // how the limit of memory is held: "cgroup" or "watch"
}

// Found is a program that runs scripts.
type Found struct {
	Path    string
	Version string
	Detail  string // "": what is needed to call AWS is not installed for it
	Err     error  // why there is none; nil: there is one
}

// Report looks at what there is. It starts the programs to ask them.
func (r *Runner) Report(ctx context.Context) Report {
	out := Report{Contained: r.check(), Memory: memoryHeldBy()}
	if py, err := r.interpreter(ctx); err != nil {
		out.Python.Err = err
	} else {
		out.Python = Found{Path: py.Executable, Version: py.Version, Detail: py.Boto3}
	}
	if p, err := r.findPowerShell(ctx); err != nil {
		out.PowerShell.Err = err
	} else {
		out.PowerShell = Found{Path: p.executable, Version: p.Version, Detail: p.AWS}
	}
	return out
}

// What a script says that it needs.
var (
	usesBoto3    = regexp.MustCompile(`(?m)^\s*(import|from)\s+(boto3|botocore)\b`)
	usesAWSTools = regexp.MustCompile(`(?i)\bAWS\.Tools\.`)
)

// Lacks says why a script would not run here: nil where nothing is missing that can
// be seen beforehand. Of a runtime that is "" nothing is known.
func (r *Runner) Lacks(ctx context.Context, runtime, script string) error {
	var missing error
	switch Language(runtime) {
	case Python:
		py, err := r.interpreter(ctx)
		if missing = err; err == nil && py.Boto3 == "" && usesBoto3.MatchString(script) {
			missing = fmt.Errorf("boto3 is not installed for %s, and the script uses it", py.Executable)
		}
	case PowerShell:
		p, err := r.findPowerShell(ctx)
		if missing = err; err == nil && p.AWS == "" && usesAWSTools.MatchString(script) {
			missing = fmt.Errorf("AWS.Tools.Common is not installed for %s, and the script uses AWS.Tools", p.executable)
		}
	default:
		return nil
	}
	if r.o.Uncontained {
		return missing
	}
	return errors.Join(missing, r.check())
}

// Doctor says what keeps scripts in Python from being run here, contained and with
// boto3: nil where nothing does.
func (r *Runner) Doctor(ctx context.Context) error {
	return r.Lacks(ctx, "python3", "import boto3")
}
