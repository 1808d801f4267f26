package remedy

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

const hunter2 = "hunter2-§-correct"

// vault is a loop whose store's file is at hand, and a runbook that keeps a
// password, waits, and keeps it again.
type vault struct {
	*loop
	dir  string
	book *Runbook
}

const keepTwice = `schemaVersion: '0.3'
parameters:
  Password: {type: String, minChars: 3, maxChars: 40}
  Name: {type: String}
mainSteps:
  - name: Keep
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: PutParameter, Name: '{{ Name }}', Type: SecureString, Overwrite: true, Value: 'pw={{ Password }}'}
  - name: Wait
    action: aws:sleep
    inputs: {Duration: PT1H}
  - name: Again
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: PutParameter, Name: '{{ Name }}-2', Type: SecureString, Overwrite: true, Value: '{{ Password }}'}
`

func newVault(t *testing.T, document string) *vault {
	t.Helper()
	l, dir := newLoop(t), t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l.Runs, l.Log, l.Records, l.store = store, store, store, store
	v := &vault{loop: l, dir: dir}
	v.read(document)
	return v
}

// read makes a document the vault's runbook.
func (v *vault) read(document string) {
	v.t.Helper()
	file := filepath.Join(v.t.TempDir(), "secret.yaml")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		v.t.Fatal(err)
	}
	var err error
	if v.book, err = v.Content.Runbook(file); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vault) plan(password string) (*knowngood.Plan, error) {
	return v.Plan(v.t.Context(), v.place(), v.book, knowngood.Params{"Password": password, "Name": "db"}, knowngood.ResourceKey{ID: "db"}, nil)
}

func (v *vault) mustPlan(password string) *knowngood.Plan {
	v.t.Helper()
	p, err := v.plan(password)
	if err != nil {
		v.t.Fatal(err)
	}
	return p
}

func (v *vault) carryOut(p *knowngood.Plan) (Result, error) {
	return v.Apply(v.t.Context(), p, []knowngood.Approval{{PlanHash: p.Hash, By: "ann", Approved: true, Incomplete: true}}, knowngood.Retry{})
}

func (v *vault) kept(name string) any {
	v.t.Helper()
	return v.do("ssm", "GetParameter", map[string]any{"Name": name, "WithDecryption": true})["Parameter"].(map[string]any)["Value"]
}

func (v *vault) nowhere(secret string, p *knowngood.Plan) {
	v.t.Helper()
	v.nowhereBut(secret, "⟦secret Password ", p)
}

// nowhereBut says that a secret is in no file of the store, and in no plan.
func (v *vault) nowhereBut(secret, seal string, p *knowngood.Plan) {
	v.t.Helper()
	raw, err := EncodePlan(p)
	if err != nil {
		v.t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(seal)) || bytes.Contains(raw, []byte(secret)) {
		v.t.Errorf("the plan has the secret, or no seal: %s", raw)
	}
	files, err := os.ReadDir(v.dir)
	if err != nil || len(files) == 0 {
		v.t.Fatalf("%d files, %v", len(files), err)
	}
	sealedIn := false
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(v.dir, f.Name()))
		if err != nil {
			v.t.Fatal(err)
		}
		sealedIn = sealedIn || bytes.Contains(raw, []byte(seal))
		if bytes.Contains(raw, []byte(secret)) {
			v.t.Errorf("%s has the secret", f.Name())
		}
	}
	if !sealedIn {
		v.t.Error("no file of the store has a seal")
	}
}

// A secret that is given is neither in the plan nor in the run's log. Whoever applies
// the plan gives it again, also when the run goes on after a wait.
func TestAGivenSecretIsInNoPlanAndNoLog(t *testing.T) {
	v := newVault(t, keepTwice)
	p := v.mustPlan(hunter2)
	if len(p.Secrets) != 1 || p.Secrets[0].Parameter != "Password" || p.Secrets[0].From != "" || p.Parameters["Name"] != "db" {
		t.Errorf("secrets %+v, parameters %v", p.Secrets, p.Parameters)
	}
	if _, err := v.carryOut(p); knowngood.KindOf(err) != knowngood.Usage || !strings.Contains(err.Error(), "Password is a secret") {
		t.Errorf("without it: %v", err)
	}
	v.Secrets = map[string]string{"Password": "another"}
	if _, err := v.carryOut(p); knowngood.KindOf(err) != knowngood.Usage || strings.Contains(err.Error(), "another") {
		t.Errorf("with another: %v", err)
	}
	v.Secrets, v.Patience = map[string]string{"Password": hunter2}, time.Minute
	if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunWaiting {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := v.kept("db"); got != "pw="+hunter2 {
		t.Errorf("kept %v", got)
	}
	v.clock.Advance(2 * time.Hour)
	v.Secrets = nil
	if _, err := v.carryOut(p); knowngood.KindOf(err) != knowngood.Usage {
		t.Errorf("going on without it: %v", err)
	}
	v.Secrets = map[string]string{"Password": hunter2}
	if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunSuccess {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := v.kept("db-2"); got != hunter2 {
		t.Errorf("kept %v", got)
	}
	v.nowhere(hunter2, p)
}

// A secret that is referred to is read again by the run; one that has changed since
// is a drift. A role that is narrowed may read it.
func TestAStoredSecretIsReadAgain(t *testing.T) {
	v := newVault(t, strings.Replace(keepTwice, "parameters:", "assumeRole: "+fixer+"\nparameters:", 1))
	v.mayDoAll()
	for store, reference := range map[string]string{
		"ssm-secure:/pw":                       "{{ resolve:ssm-secure:/pw }}",
		"secretsmanager:pw":                    "{{resolve:secretsmanager:pw}}",
		"secretsmanager:json:SecretString:key": "{{resolve:secretsmanager:json:SecretString:key}}",
	} {
		t.Run(store, func(t *testing.T) {
			value := hunter2
			secretsManager := callerFunc(func(_ context.Context, _, _ string, in map[string]any) (map[string]any, error) {
				if in["SecretId"] == "json" {
					return map[string]any{"SecretString": `{"key":"` + value + `"}`}, nil
				}
				return map[string]any{"SecretString": value}, nil
			})
			v.As = func(_ []string, _ string, n Narrowing) awsapi.Caller {
				return callerFunc(func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error) {
					if service == "secretsmanager" { // the sandbox has none
						if !strings.Contains(n.Policy, "secretsmanager:GetSecretValue") {
							t.Error("the role may not read the secret")
						}
						return secretsManager(ctx, service, operation, in)
					}
					return v.fixing(n).Call(ctx, service, operation, in)
				})
			}
			put := func(secret string) {
				value = secret
				v.do("ssm", "PutParameter", map[string]any{"Name": "/pw", "Type": "SecureString", "Value": secret, "Overwrite": true})
			}
			put(hunter2)
			p, drifted := v.mustPlan(reference), v.mustPlan(reference)
			if len(p.Secrets) != 1 || p.Secrets[0].From != store || p.Secrets[0].Digest == drifted.Secrets[0].Digest {
				t.Errorf("secrets %+v and %+v", p.Secrets, drifted.Secrets)
			}
			if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunSuccess {
				t.Fatalf("%+v, %v", r, err)
			}
			if got := v.kept("db-2"); got != hunter2 {
				t.Errorf("kept %v", got)
			}
			put("another secret")
			if _, err := v.carryOut(drifted); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), "plan drift: the secret Password") {
				t.Errorf("with another secret: %v", err)
			}
			v.nowhere(hunter2, p)
		})
	}
}

// What quotes a secret, an answer or an error, comes back with its seal.
func TestWhatACallSaysIsSealed(t *testing.T) {
	s := newSecret([]byte("key"), "run-1", "P", "", hunter2)
	values := secrets{{sealOf(s), hunter2}, {sealOf(newSecret([]byte("key"), "run-1", "Q", "", "abc")), "abc"}}
	var got map[string]any
	var fail error
	caller := sealed(callerFunc(func(_ context.Context, _, _ string, in map[string]any) (map[string]any, error) {
		got = in
		return map[string]any{"Echo": []any{"it is " + hunter2, "abcd", "abc", []byte(hunter2)}}, fail
	}), values)
	out, err := caller.Call(t.Context(), "x", "Y", map[string]any{"Value": "<" + sealOf(s) + ">", "Bytes": []byte(sealOf(s))})
	if err != nil || got["Value"] != "<"+hunter2+">" || string(got["Bytes"].([]byte)) != hunter2 {
		t.Errorf("called with %v, %v", got, err)
	}
	echo := out["Echo"].([]any)
	if echo[0] != "it is "+values[0].seal || echo[1] != "abcd" || echo[2] != values[1].seal || string(echo[3].([]byte)) != values[0].seal {
		t.Errorf("answered %v", out)
	}
	fail = &awsapi.Error{Code: "Invalid", Message: "not " + hunter2, Status: 400}
	if _, err = caller.Call(t.Context(), "x", "Y", nil); strings.Contains(err.Error(), hunter2) || !strings.Contains(err.Error(), "not "+values[0].seal) || !definiteRefusal(err) {
		t.Errorf("%v", err)
	}
	if a, b := newSecret([]byte("key"), "run-2", "P", "", hunter2), newSecret([]byte("other"), "run-1", "P", "", hunter2); a.Digest == s.Digest || b.Digest == s.Digest {
		t.Error("the digests of two runs, or by two keys, are the same")
	}
}

func definiteRefusal(err error) bool {
	e, ok := err.(*awsapi.Error)
	return ok && e.Refused()
}

// What can't be done with a seal is refused while it is planned.
func TestWhatHangsOnASecretIsRefused(t *testing.T) {
	head, _, _ := strings.Cut(keepTwice, "  - name: Wait")
	v := newVault(t, keepTwice)
	for name, c := range map[string]struct{ document, want string }{
		"a branch": {head + `  - name: Which
    action: aws:branch
    inputs:
      Choices: [{Variable: '{{ Password }}', StringEquals: x, NextStep: Done}]
      Default: Done
  - {name: Done, action: aws:sleep, inputs: {Duration: PT1S}}
`, "the branch Which hangs on a secret"},
		"a webhook": {head + `  - name: Tell
    action: aws:invokeWebhook
    inputs: {IntegrationName: x, Body: '{{ Password }}'}
`, "the step Tell would hand a secret on"},
		"a literal": {strings.Replace(head, "pw={{ Password }}", "literal", 1), "the step Keep gives Value of ssm:PutParameter, a secret"},
	} {
		v.read(c.document)
		if p, err := v.plan(hunter2); knowngood.KindOf(err) != knowngood.Refused || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), hunter2) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	v.read(keepTwice)
	_, err := v.Plan(t.Context(), v.place(), v.book, knowngood.Params{"Password": hunter2, "Name": "db"}, knowngood.ResourceKey{ID: hunter2}, nil)
	if knowngood.KindOf(err) != knowngood.Refused || strings.Contains(err.Error(), hunter2) {
		t.Errorf("a resource that is named by the secret: %v", err)
	}
	v.do("ssm", "PutParameter", map[string]any{"Name": "/pw", "Type": "SecureString", "Value": strings.Repeat(hunter2, 5)})
	if _, err = v.plan("{{resolve:ssm-secure:/pw}}"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a stored secret that is too long: %v", err)
	}
}

// Where a person has to see what a command does, a secret in it is sealed.
func TestASecretInACommandIsSealed(t *testing.T) {
	v := newVault(t, `schemaVersion: '0.3'
parameters:
  Password: {type: String}
  Name: {type: String}
mainSteps:
  - name: Run
    action: aws:runCommand
    inputs: {DocumentName: AWS-RunShellScript, InstanceIds: [i-0123456789abcdef0], Parameters: {commands: ['login --password {{ Password }}']}}
`)
	v.do("ssm", "PutParameter", map[string]any{"Name": "/pw", "Type": "SecureString", "Value": hunter2})
	p := v.mustPlan("{{ resolve:ssm-secure:/pw }}")
	if got := text(p.Parts[0].Calls[0].Input); !strings.Contains(got, "login --password ⟦secret Password ") {
		t.Errorf("the command is %s", got)
	}
	v.nowhere(hunter2, p)
}

// A script is given the seal, and what it calls with it is called with the value.
func TestAScriptSeesTheSeal(t *testing.T) {
	v := newVault(t, `schemaVersion: '0.3'
parameters:
  Password: {type: String}
  Name: {type: String}
mainSteps:
  - name: Work
    action: aws:executeScript
    inputs: {Runtime: python3.11, Handler: f, Script: 'def f(e, c): pass', InputPayload: {pw: '{{ Password }}'}}
`)
	v.Effects.Scripts = scriptFunc(func(call func(string, map[string]any, ...awsapi.CallOption) map[string]any, r runbook.ScriptRequest) any {
		pw := r.Payload.(map[string]any)["pw"].(string)
		if strings.Contains(pw, hunter2) && r.Dry == false {
			t.Errorf("the script saw %s", pw)
		}
		call("ssm:PutParameter", map[string]any{"Name": "db", "Type": "SecureString", "Value": pw})
		return map[string]any{"got": pw}
	})
	p := v.mustPlan(hunter2)
	v.Secrets = map[string]string{"Password": hunter2}
	if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunSuccess || v.kept("db") != hunter2 {
		t.Fatalf("%+v, %v, kept %v", r, err, v.kept("db"))
	}
	v.nowhere(hunter2, p)
}

// What a step's sensitive read hands out is in no plan and no log, and is read again
// where the process that read it is gone.
func TestWhatAStepReadsIsSealed(t *testing.T) {
	v := newVault(t, `schemaVersion: '0.3'
parameters:
  Password: {type: String, default: ''}
  Name: {type: String}
mainSteps:
  - name: Open
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: GetParameter, Name: /pw, WithDecryption: true}
    outputs: [{Name: Value, Selector: $.Parameter.Value, Type: String}]
  - name: First
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: PutParameter, Name: '{{ Name }}-1', Type: SecureString, Overwrite: true, Value: '{{ Open.Value }}'}
  - name: Wait
    action: aws:sleep
    inputs: {Duration: PT1H}
  - name: Keep
    action: aws:executeAwsApi
    inputs: {Service: ssm, Api: PutParameter, Name: '{{ Name }}', Type: SecureString, Overwrite: true, Value: '{{ Open.Value }}!'}
`)
	put := func(value string) {
		v.do("ssm", "PutParameter", map[string]any{"Name": "/pw", "Type": "SecureString", "Value": value, "Overwrite": true})
	}
	put(hunter2)
	if p, err := v.plan(""); knowngood.KindOf(err) != knowngood.Refused {
		t.Fatalf("a sensitive read that no entry allows: %v, %v", p, err)
	}
	v.book.Entry.SensitiveReads = []string{"ssm:GetParameter"}
	p, drifted := v.mustPlan(""), v.mustPlan("")
	v.Patience = time.Minute
	if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunWaiting {
		t.Fatalf("%+v, %v", r, err)
	}
	v.clock.Advance(2 * time.Hour)
	if r, err := v.carryOut(p); err != nil || r.State != knowngood.RunSuccess || v.kept("db") != hunter2+"!" {
		t.Fatalf("%+v, %v, kept %v", r, err, v.kept("db"))
	}
	put("another secret")
	if _, err := v.carryOut(drifted); knowngood.KindOf(err) != knowngood.Refused || strings.Contains(err.Error(), "another secret") {
		t.Errorf("with another secret: %v", err)
	}
	put(hunter2)
	changed := v.mustPlan("")
	if r, err := v.carryOut(changed); err != nil || r.State != knowngood.RunWaiting {
		t.Fatalf("%+v, %v", r, err)
	}
	put("another secret")
	v.clock.Advance(2 * time.Hour)
	if r, err := v.carryOut(changed); err != nil || r.State != knowngood.RunFailed || !strings.Contains(r.Message, "is not the one that the step read") {
		t.Errorf("changed while the run waits: %+v, %v", r, err)
	}
	v.nowhereBut(hunter2, "⟦secret Open.Parameter.Value ", p)
}
