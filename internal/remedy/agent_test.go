//go:build unix

package remedy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// localAgent is an SSM Agent that really runs what it is sent: the commands of
// AWS-RunShellScript by this machine's shell, in a folder of its own.
type localAgent struct {
	folder string
	runs   int
}

// run carries a command out on this machine. What it has started is gone when it
// is done, or after a minute.
func (a *localAgent) run(c sandbox.Command) sandbox.Result {
	a.runs++
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	shell := exec.CommandContext(ctx, "/bin/sh", "-c", strings.Join(c.Parameters["commands"], "\n"))
	shell.Dir, shell.Env = filepath.Join(a.folder, strings.Join(c.Parameters["workingDirectory"], "")), []string{"PATH=" + os.Getenv("PATH")}
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	var out, errs bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &errs
	err := shell.Run()
	result := sandbox.Result{Output: out.String(), ErrorOutput: errs.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		result.Code = exit.ExitCode()
	case err != nil:
		result.Code, result.ErrorOutput = 127, err.Error()
	}
	return result
}

// managed makes an instance that is a managed node, and gives it a local agent.
func (e *estate) managed() (instance string, a *localAgent) {
	e.t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		e.t.Skip("there is no /bin/sh")
	}
	e.do("iam", "CreateRole", map[string]any{"RoleName": "managed", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`})
	e.do("iam", "AttachRolePolicy", map[string]any{"RoleName": "managed", "PolicyArn": "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"})
	e.do("iam", "CreateInstanceProfile", map[string]any{"InstanceProfileName": "managed"})
	e.do("iam", "AddRoleToInstanceProfile", map[string]any{"InstanceProfileName": "managed", "RoleName": "managed"})
	e.clock.Advance(time.Minute)
	vm := e.do("ec2", "RunInstances", map[string]any{"ImageId": "ami-0c1a2b3c4d5e6f708", "MinCount": int64(1), "MaxCount": int64(1), "IamInstanceProfile": map[string]any{"Name": "managed"}})
	e.clock.Advance(time.Hour)
	a = &localAgent{folder: e.t.TempDir()}
	e.HandleCommand("AWS-RunShellScript", a.run)
	return vm["Instances"].([]any)[0].(map[string]any)["InstanceId"].(string), a
}

const twoCommands = `
- name: Write
  action: aws:runCommand
  inputs:
    DocumentName: AWS-RunShellScript
    InstanceIds: ['{{ VolumeId }}']
    Parameters: {commands: ['umask 077', 'echo from the runbook > note', 'ls']}
- name: Read
  action: aws:runCommand
  inputs:
    DocumentName: AWS-RunShellScript
    InstanceIds: ['{{ VolumeId }}']
    Parameters: {commands: ['cat note']}
`

// A command of a runbook is run by a real shell, once, and its output is the step's.
func TestCommandsRunOnALocalAgent(t *testing.T) {
	e := newEstate(t)
	instance, agent := e.managed()
	plan := e.planOf(twoCommands, instance)
	if agent.runs != 0 {
		t.Fatal("planning has run a command")
	}
	log := runbook.NewMemLog()
	end, err := e.executor(log).Run(t.Context(), plan, 0)
	if err != nil || end.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", end, err)
	}
	if raw, err := os.ReadFile(filepath.Join(agent.folder, "note")); string(raw) != "from the runbook\n" || agent.runs != 2 {
		t.Errorf("the note says %q (%v), after %d commands", raw, err, agent.runs)
	}
	if out := outputOf(t, log, plan.RunID, "Read"); !strings.Contains(out, "from the runbook") {
		t.Errorf("the step's output is %q", out)
	}
}

// A command that fails fails its step, with the shell's exit code.
func TestACommandThatFailsOnALocalAgent(t *testing.T) {
	e := newEstate(t)
	instance, agent := e.managed()
	plan := e.planOf(strings.Replace(twoCommands, "'ls'", "'echo no room >&2; exit 3'", 1), instance)
	log := runbook.NewMemLog()
	end, err := e.executor(log).Run(t.Context(), plan, 0)
	if err != nil || end.State != knowngood.RunFailed || end.FailedStep != "Write" || agent.runs != 1 {
		t.Fatalf("%+v, %v, after %d commands", end, err, agent.runs)
	}
	if !strings.Contains(end.Message, "Failed") || !strings.Contains(end.Message, "3") {
		t.Errorf("the message says neither Failed nor 3: %s", end.Message)
	}
}

// outputOf is the output Output of a step that has ended.
func outputOf(t *testing.T, log runbook.RunLog, run, step string) string {
	t.Helper()
	entries, err := log.Entries(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Kind == knowngood.EntryStepEnded && entry.Step == step {
			body, err := runbook.Decode[runbook.StepEndedBody](entry)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := body.Outputs["Output"].(string)
			return out
		}
	}
	t.Fatalf("step %s has not ended", step)
	return ""
}
