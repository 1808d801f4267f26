package remedy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// asWhoever calls the sandbox with the credentials of a call's options, or with its
// own. It is killed as it has made one operation.
type asWhoever struct {
	withKey
	killedAfter string
	killed      bool
}

func (c *asWhoever) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if c.killed {
		return nil, errKilled
	}
	as := c.withKey
	if p := awsapi.Options(opts...).Credentials; p != nil {
		creds, err := p.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		as.key = creds.AccessKeyID
	}
	out, err := as.Call(ctx, service, operation, in, opts...)
	if c.killed = operation == c.killedAfter; c.killed {
		return nil, errKilled
	}
	return out, err
}

// deadLog is the log of a process, which it can't write to once it is killed.
type deadLog struct {
	runbook.RunLog
	process *asWhoever
}

func (l deadLog) Append(ctx context.Context, id string, epoch int64, entries []knowngood.LogEntry, state knowngood.RunState, message string, wake *time.Time) error {
	if l.process.killed {
		return errKilled
	}
	return l.RunLog.Append(ctx, id, epoch, entries, state, message, wake)
}

// What a script made with a role that it had assumed is looked for with that role:
// the run's own may not even read it. Where the role can't be assumed again, nothing
// is sent again on a guess.
func TestAScriptsWriteIsSettledWithTheRoleThatMadeIt(t *testing.T) {
	script := scriptFunc(func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any {
		out := call("sts:AssumeRole", map[string]any{"RoleArn": fixer, "RoleSessionName": "inner"})
		c := out["Credentials"].(map[string]any)
		who := out["AssumedRoleUser"].(map[string]any)["Arn"].(string)
		made := call("ec2:CreateSnapshot", map[string]any{"VolumeId": r.Payload.(map[string]any)["id"]},
			awsapi.As(awsapi.StaticCredentials(c["AccessKeyId"].(string), c["SecretAccessKey"].(string), c["SessionToken"].(string)), strings.Split(who, ":")[4]), awsapi.Principal(who))
		return map[string]any{"Id": made["SnapshotId"]}
	})
	for _, gone := range []bool{false, true} {
		e := newEstate(t)
		e.mayDoAll()
		e.do("iam", "CreateRole", map[string]any{"RoleName": "runner",
			"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + e.Account() + `"},"Action":"sts:AssumeRole"}]}`})
		e.do("iam", "PutRolePolicy", map[string]any{"RoleName": "runner", "PolicyName": "p", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`})
		plan, err := e.planScript(script, e.attach("", nil), "sts:AssumeRole")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range e.Calls() {
			if c.Operation == "AssumeRole" && !strings.Contains(text(c.Input), "ReadOnlyAccess") {
				t.Errorf("while it is planned, the script assumes a role that may write: %v", c.Input)
			}
		}
		session := e.do("sts", "AssumeRole", map[string]any{"RoleArn": strings.Replace(fixer, "fixer", "runner", 1), "RoleSessionName": "run"})
		runner := withKey{e, session["Credentials"].(map[string]any)["AccessKeyId"].(string)}
		log := runbook.NewMemLog()
		x := e.executor(log)
		x.Effects.Scripts = script
		first := &asWhoever{withKey: runner, killedAfter: "CreateSnapshot"}
		x.Caller, x.Log = first, deadLog{log, first}
		if _, err := x.Run(t.Context(), plan, 0); !errors.Is(err, errKilled) {
			t.Fatalf("the process was not killed: %v", err)
		}
		if gone {
			e.do("iam", "DetachRolePolicy", map[string]any{"RoleName": "fixer", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
			e.do("iam", "DeleteRole", map[string]any{"RoleName": "fixer"})
		}
		x.Caller, x.Log = &asWhoever{withKey: runner}, log
		end, err := x.Run(t.Context(), plan, 0)
		if err != nil {
			t.Fatal(err)
		}
		snapshots := e.do("ec2", "DescribeSnapshots", map[string]any{"OwnerIds": []any{"self"}})["Snapshots"].([]any)
		switch {
		case len(snapshots) != 1:
			t.Errorf("%d snapshots; %+v", len(snapshots), end)
		case !gone && end.State != knowngood.RunSuccess:
			t.Errorf("%+v", end)
		case gone && (end.State != knowngood.RunOutcomeUnknown || !strings.Contains(end.Message, "assumed-role/fixer/inner, which can't be assumed again")):
			t.Errorf("without the role: %+v", end)
		}
	}
}
