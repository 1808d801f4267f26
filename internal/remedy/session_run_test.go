package remedy

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/iampolicy"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/sandbox"
	"github.com/knowngood/knowngood/library"
)

const fixer = "arn:aws:iam::111122223333:role/fixer"

// withKey calls the sandbox with an access key.
type withKey struct {
	*estate
	key string
}

func (k withKey) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	return k.Sandbox.Call(ctx, sandbox.Request{Service: service, Operation: operation, Region: awsapi.Options(opts...).Region, AccessKeyID: k.key, Input: in})
}

// mayDoAll makes the role fixer, which may do everything.
func (e *estate) mayDoAll() {
	e.t.Helper()
	e.do("iam", "CreateRole", map[string]any{"RoleName": "fixer",
		"AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + e.Account() + `"},"Action":"sts:AssumeRole"}]}`})
	e.do("iam", "AttachRolePolicy", map[string]any{"RoleName": "fixer", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"})
}

// fixing is a caller with the role fixer, narrowed.
func (e *estate) fixing(n Narrowing) withKey {
	e.t.Helper()
	in := map[string]any{"RoleArn": fixer, "RoleSessionName": "test", "Policy": n.Policy}
	var arns []any
	for _, arn := range n.Managed {
		arns = append(arns, map[string]any{"arn": arn})
	}
	if arns != nil {
		in["PolicyArns"] = arns
	}
	if n.Policy == "" {
		delete(in, "Policy")
	}
	out := e.do("sts", "AssumeRole", in)
	return withKey{e, out["Credentials"].(map[string]any)["AccessKeyId"].(string)}
}

func (e *estate) narrowed(plan *knowngood.Plan) withKey {
	e.t.Helper()
	plan.Role = fixer
	n, err := toPlan(plan, e.catalog, operations(e.t))
	if err != nil {
		e.t.Fatal(err)
	}
	return e.fixing(n)
}

// Every runbook of the library is planned by a role that may only read, and carried
// out, taken back and settled by one that may only do what its plan says. The
// sandbox's authorisation does not know the table from which the policies come.
func TestEveryRunbookWorksWithANarrowedRole(t *testing.T) {
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".yaml")
		t.Run(name, func(t *testing.T) {
			s := newSwept(t, name)
			e := s.world(t)
			e.mayDoAll()
			reads, err := toReads(&Runbook{Document: must(document(t, name)), Entry: entry(t, name)}, s.with, e.catalog, "aws")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.planBy(e.fixing(reads), "run-1", name, s.with, name); err != nil {
				t.Fatalf("planning, narrowed to %+v: %v", reads, err)
			}
			for _, fault := range []string{"", denied, lostAnswer} {
				for i, w := range s.onward.writing() {
					if fault == "" && i > 0 {
						break
					}
					e := s.world(t)
					e.mayDoAll()
					plan := s.planOf(e, "run-1")
					caller := &refusalLog{Caller: e.narrowed(plan)}
					l := &line{Caller: caller, step: w.path, fault: fault, struck: fault == ""}
					end, err := s.executor(e, l, runbook.NewMemLog()).Run(t.Context(), plan, 0)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range caller.seen {
						t.Errorf("%s at %s: %s", fault, w.path, r)
					}
					e.clock.Advance(10 * time.Minute)
					unknown := end.State == knowngood.RunOutcomeUnknown && s.onward.forPerson(operations(t), w.path)
					if now := s.look(e); fault != denied && !unknown && (end.State != knowngood.RunSuccess || now != s.after) || now != s.after && now != s.before {
						t.Errorf("%s at %s: %+v, and the state is %s", fault, w.path, end, now)
					}
				}
			}
		})
	}
}

// refusalLog notes what IAM refused.
type refusalLog struct {
	awsapi.Caller
	seen []string
}

func (r *refusalLog) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	out, err := r.Caller.Call(ctx, service, operation, in, opts...)
	if err != nil && strings.Contains(err.Error(), "not authorized") {
		r.seen = append(r.seen, fmt.Sprintf("%s:%s: %v", service, operation, err))
	}
	return out, err
}

func must(d *runbook.Document, _ knowngood.DocumentRef) *runbook.Document { return d }

// A role may do what its plan says and no more, whatever the run asks for.
func TestARunOfAWidenedDocumentIsDenied(t *testing.T) {
	e := newEstate(t)
	e.mayDoAll()
	volume := e.attach("", nil)
	plan := e.planOf(createSnapshot, volume)
	caller := e.narrowed(plan)
	widened := e.planOf(createSnapshot+deleteVolume, volume)
	x := e.executor(runbook.NewMemLog())
	x.Caller = caller
	end, err := x.Run(t.Context(), widened, 0)
	if err != nil || end.State != knowngood.RunFailed || end.FailedStep != "DeleteVolume" || !strings.Contains(end.Message, "UnauthorizedOperation") {
		t.Errorf("%+v, %v", end, err)
	}
	if _, err := caller.Call(t.Context(), "iam", "ListUsers", nil); err == nil {
		t.Error("what the plan does not have is not denied")
	}
	if e.one("DescribeVolumes", "Volumes", nil)["VolumeId"] != volume || len(e.do("ec2", "DescribeSnapshots", map[string]any{"OwnerIds": []any{"self"}})["Snapshots"].([]any)) != 1 {
		t.Error("the volume is gone, or there is no snapshot")
	}
}

// What a call may need besides, for a volume under a customer's key, the role may
// do as well.
func TestWhatACallMayNeedBesidesIsAllowed(t *testing.T) {
	e := newEstate(t)
	e.mayDoAll()
	key := e.do("kms", "CreateKey", nil)["KeyMetadata"].(map[string]any)["KeyId"]
	instance, _ := e.volumeOn(nil, nil)
	volume := e.attach("", map[string]any{"Encrypted": true, "KmsKeyId": key})
	plan := e.planOf(`
  - name: Attach
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: AttachVolume, VolumeId: '{{ VolumeId }}', InstanceId: `+instance+`, Device: /dev/sdg}
`, volume)
	x := e.executor(runbook.NewMemLog())
	x.Caller = e.narrowed(plan)
	if end, err := x.Run(t.Context(), plan, 0); err != nil || end.State != knowngood.RunSuccess {
		t.Errorf("%+v, %v", end, err)
	}
}

// With a script the planning role has what ReadOnlyAccess allows, without the
// secrets in it, and what the entry allows.
func TestARoleThatPlansAScriptMayReadOnly(t *testing.T) {
	e := newEstate(t)
	e.mayDoAll()
	volume := e.attach("", nil)
	d, err := runbook.Parse("test.yaml", []byte(oneScript))
	if err != nil {
		t.Fatal(err)
	}
	n, err := toReads(&Runbook{Document: d, Entry: Entry{SensitiveReads: []string{"sqs:ReceiveMessage", "kms:Decrypt"}}}, nil, e.catalog, "aws-cn")
	if err != nil || !slices.Equal(n.Managed, []string{"arn:aws-cn:iam::aws:policy/ReadOnlyAccess"}) || len(n.Policy) > iampolicy.SessionPolicySize {
		t.Fatalf("%+v, %v", n, err)
	}
	policy, err := iampolicy.Parse(n.Policy, iampolicy.Identity)
	if err != nil {
		t.Fatal(err)
	}
	last := policy.Statements[len(policy.Statements)-1]
	if last.Effect != iampolicy.Deny || !slices.Contains(last.Actions, "sts:GetSessionToken") || !strings.Contains(n.Policy, `"Action":"kms:Decrypt"`) || !slices.Contains(last.Actions, "sqs:ReceiveMessage") {
		t.Errorf("%s", n.Policy)
	}
	n.Managed[0] = "arn:aws:iam::aws:policy/ReadOnlyAccess"
	caller := e.fixing(n)
	queue := e.do("sqs", "CreateQueue", map[string]any{"QueueName": "q"})["QueueUrl"]
	for operation, allowed := range map[string]bool{"ec2:DescribeVolumes": true, "s3:ListBuckets": true, "iam:ListUsers": true, "ec2:DeleteVolume": false, "sqs:ReceiveMessage": false} {
		service, name, _ := strings.Cut(operation, ":")
		in := map[string]any{}
		if operation == "ec2:DeleteVolume" {
			in["VolumeId"] = volume
		} else if service == "sqs" {
			in["QueueUrl"] = queue
		}
		_, err := caller.Call(t.Context(), service, name, in)
		if denied := err != nil && strings.Contains(err.Error(), "not authorized"); denied == allowed || err != nil && allowed {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// The list of secrets in ReadOnlyAccess is of sensitive reads, each once, in order.
func TestSecretsInReadOnlyAccess(t *testing.T) {
	e := newEstate(t)
	if !slices.IsSorted(readOnlySecrets) || len(slices.Compact(slices.Clone(readOnlySecrets))) != len(readOnlySecrets) {
		t.Error("the list is not in order")
	}
	sensitive := map[string]bool{}
	for _, name := range e.catalog.Services() {
		service, err := e.catalog.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range service.Operations() {
			op, err := service.Operation(name)
			if err != nil {
				t.Fatal(err)
			}
			if op.Class() == awsapi.SensitiveRead {
				for _, a := range op.IAMActions(nil) {
					sensitive[a] = true
				}
			}
		}
	}
	for _, a := range readOnlySecrets {
		if !sensitive[a] {
			t.Errorf("%s is of no sensitive read", a)
		}
	}
}

func TestARoleIsPassedOnOnlyIfThePlanSaysWhich(t *testing.T) {
	e := newEstate(t)
	s := newSession(e.catalog)
	call := func(operation string, in map[string]any) {
		t.Helper()
		if err := s.call(knowngood.Call{Class: knowngood.Write, Service: "lambda", Operation: operation, Input: in}, nil); err != nil {
			t.Fatal(err)
		}
	}
	call("CreateFunction", map[string]any{"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/service/runner"})
	n, err := s.narrowing()
	if want := `{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::111122223333:role/service/runner"}`; err != nil || !strings.Contains(n.Policy, want) {
		t.Errorf("%v, %v", n, err)
	}
	call("CreateFunction", map[string]any{"FunctionName": "f", "Role": map[string]any{refKey: map[string]any{"from": "w1", "path": "Role.Arn"}}})
	if n, err = s.narrowing(); err != nil || strings.Contains(n.Policy, "runner") || !strings.Contains(n.Policy, "iam:PassRole") {
		t.Errorf("a role that only the run shows: %v, %v", n, err)
	}
	if n, err = newSession(e.catalog).narrowing(); err != nil || n.Policy != `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}` {
		t.Errorf("of a plan without calls: %v, %v", n, err)
	}
}

// What doesn't fit is named by its verb, but for writes, and for verbs that would
// let in a write or a secret.
func TestWhatDoesNotFitIsNamedByItsVerb(t *testing.T) {
	e := newEstate(t)
	all := func(s *session, service, prefix string) {
		t.Helper()
		svc, err := e.catalog.Service(service)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range svc.Operations() {
			if op, err := svc.Operation(name); err == nil && strings.HasPrefix(name, prefix) && op.Class() != awsapi.SensitiveRead {
				s.need(op, nil)
			}
		}
	}
	s := newSession(e.catalog)
	all(s, "ec2", "DescribeV")
	all(s, "rds", "Describe")
	all(s, "secretsmanager", "Get")
	all(s, "secretsmanager", "List")
	n, err := s.narrowing()
	if err != nil || len(n.Policy) > iampolicy.SessionPolicySize {
		t.Fatalf("%v, %v", n, err)
	}
	if !strings.Contains(n.Policy, `"rds:Describe*"`) || strings.Contains(n.Policy, `"secretsmanager:Get*"`) || strings.Contains(n.Policy, `"secretsmanager:List*"`) {
		t.Errorf("the longest first, no secrets, and no more than needed: %s", n.Policy)
	}
	s = newSession(e.catalog)
	all(s, "ec2", "Create")
	if n, err := s.narrowing(); knowngood.KindOf(err) != knowngood.Refused {
		t.Errorf("writes were widened: %v, %v", n, err)
	}
}

var byVerb = regexp.MustCompile(`"[a-z0-9-]+:[A-Z][a-z]+\*"`)

// All that a document may call fits into a session policy, and so all that a plan
// of it does: of the library's documents each by name, of a corpus' at most by the
// verbs of its reads.
func TestWhatDocumentsCallFits(t *testing.T) {
	e := newEstate(t)
	table := operations(t)
	longest, named := 0, 0
	check := func(name string, d *runbook.Document, exactly bool) {
		t.Helper()
		s := newSession(e.catalog)
		for _, c := range d.Calls(e.catalog) {
			class := knowngood.CallClass(c.Operation.Class().String())
			if err := s.call(knowngood.Call{Class: class, Service: c.Operation.Service.Name, Operation: c.Operation.Name}, table); err != nil {
				t.Fatal(err)
			}
		}
		n, err := s.narrowing()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		longest = max(longest, len(n.Policy))
		if len(n.Policy) > iampolicy.SessionPolicySize {
			t.Errorf("%s: %d characters", name, len(n.Policy))
		}
		if byVerb.MatchString(n.Policy) {
			named++
			if exactly {
				t.Errorf("%s: %s", name, n.Policy)
			}
		}
	}
	files, err := fs.Glob(library.FS, "runbooks/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".yaml")
		check(name, must(document(t, name)), true)
	}
	t.Logf("%d documents of the library, the longest policy has %d characters", len(files), longest)
	dir := os.Getenv("KNOWNGOOD_RUNBOOK_CORPUS")
	if dir == "" {
		t.Skip("KNOWNGOOD_RUNBOOK_CORPUS names no folder of runbooks")
	}
	documents := 0
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(file)) {
			return err
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if d, err := runbook.Parse(file, raw); err == nil {
			documents++
			check(file, d, false)
		}
		return nil
	})
	if err != nil || documents == 0 {
		t.Fatalf("%d documents: %v", documents, err)
	}
	t.Logf("%d documents of %s, the longest policy has %d characters, %d name reads by their verb", documents, dir, longest, named)
}
