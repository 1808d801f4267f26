package remedy

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// A seal stands in plans and logs for a secret value, "⟦secret Password 3f2a…⟧": it
// names the parameter and has the keyed digest of its value. The interpreter and
// scripts see the seal and carry it wherever the value goes; only as a call is made
// the value takes its place, and in what the call answers the seal takes the
// value's.
const (
	sealOpen  = "⟦secret "
	sealClose = "⟧"
)

func sealOf(s knowngood.Secret) string {
	return sealOpen + s.Parameter + " " + s.Digest + sealClose
}

func hasSeal(v any) bool {
	found := false
	walkText(v, func(s string) { found = found || strings.Contains(s, sealOpen) })
	return found
}

// newSecret is a secret of a run's plan. The same value has another digest in
// another run's plan, and under another name.
func newSecret(key []byte, runID, parameter, from, value string) knowngood.Secret {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(runID + "\x00" + parameter + "\x00" + value))
	return knowngood.Secret{Parameter: parameter, From: from, Digest: hex.EncodeToString(mac.Sum(nil))}
}

// opened is a secret whose value is at hand.
type opened struct{ seal, value string }

// secrets are the secrets of a plan with their values. There is nothing to open or
// to seal without any.
type secrets []opened

// shortSecret is how many bytes a value has to have for it to be looked for within
// other texts: shorter ones are part of a text by chance.
const shortSecret = 4

func (s secrets) open(text string) string {
	for _, o := range s {
		text = strings.ReplaceAll(text, o.seal, o.value)
	}
	return text
}

func (s secrets) seal(text string) string {
	for _, o := range s {
		if len(o.value) >= shortSecret {
			text = strings.ReplaceAll(text, o.value, o.seal)
		} else if text == o.value && text != "" {
			text = o.seal
		}
	}
	return text
}

// eachText gives a value with each of its texts changed, keys of objects excepted.
func eachText(v any, change func(string) string) any {
	switch v := v.(type) {
	case string:
		return change(v)
	case []byte:
		if utf8.Valid(v) {
			return []byte(change(string(v)))
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = eachText(e, change)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = eachText(e, change)
		}
		return out
	}
	return v
}

// sealing makes calls with the values of secrets, and seals what they answer.
type sealing struct {
	awsapi.Caller
	secrets secrets
}

// sealed is a caller for inputs with seals in them.
func sealed(c awsapi.Caller, s secrets) awsapi.Caller {
	if len(s) == 0 {
		return c
	}
	return sealing{c, s}
}

// Call implements awsapi.Caller.
func (c sealing) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	in, _ = eachText(in, c.secrets.open).(map[string]any)
	out, err := c.Caller.Call(ctx, service, operation, in, opts...)
	if out != nil {
		out, _ = eachText(out, c.secrets.seal).(map[string]any)
	}
	var answer *awsapi.Error
	if errors.As(err, &answer) {
		told := *answer
		told.Message = c.secrets.seal(answer.Message)
		if told.Err != nil {
			told.Err = errors.New(c.secrets.seal(told.Err.Error()))
		}
		return out, &told
	}
	if err != nil && c.secrets.seal(err.Error()) != err.Error() {
		err = errors.New(c.secrets.seal(err.Error()))
	}
	return out, err
}

// withSecrets reads the secrets that a request's parameters refer to: the parameters
// with their values, and where they are from.
func (p *Planner) withSecrets(ctx context.Context, req PlanRequest) (knowngood.Params, map[string]string, error) {
	given, from := cloneParams(req.Parameters), map[string]string{}
	for _, name := range req.Secrets {
		from[name] = ""
	}
	for _, s := range req.Document.StoredSecrets(given) {
		value, err := s.Value(ctx, planReads{p})
		if err != nil {
			return nil, nil, knowngood.E(knowngood.KindOf(err), "plan "+req.Ref.Name, "the parameter %s, %s of %s: %w", s.Parameter, s.Name, s.Store, err)
		}
		given[s.Parameter], from[s.Parameter] = value, s.Store+":"+s.Name
	}
	return given, from, nil
}

// withoutSecrets is an error of BindParameters, which quotes values, without those
// of secrets.
func withoutSecrets(err error, from map[string]string) error {
	var e *knowngood.Error
	if !errors.As(err, &e) {
		return err
	}
	all, ok := e.Err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var out []error
	for _, one := range all.Unwrap() {
		for name := range from {
			if about := "the parameter " + name + ":"; strings.HasPrefix(one.Error(), about) {
				one = errors.New(about + " the secret is not such as the runbook declares it")
			}
		}
		out = append(out, one)
	}
	return &knowngood.Error{Kind: e.Kind, Op: e.Op, Err: errors.Join(out...), Hint: e.Hint}
}

// sealing is the planner for inputs with seals in them.
func (p *Planner) sealing(values secrets) *Planner {
	if len(values) == 0 {
		return p
	}
	out, caller := *p, sealed(planReads{p}, values)
	out.Read = func(ctx context.Context, op *awsapi.Operation, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
		return caller.Call(ctx, op.Service.Name, op.Name, in, opts...)
	}
	return &out
}

// blank are parameters without the references to secrets.
func blank(params knowngood.Params, stored []runbook.StoredSecret) knowngood.Params {
	out := cloneParams(params)
	for _, s := range stored {
		out[s.Parameter] = ""
	}
	return out
}

// withDefaults are the parameters as far as they are known before the secrets are
// read: enough to know the role by.
func withDefaults(d *runbook.Document, given knowngood.Params) knowngood.Params {
	out := knowngood.Params{}
	for _, p := range d.Parameters {
		if v, ok := given[p.Name]; ok {
			out[p.Name] = v
		} else if p.Default != nil {
			out[p.Name] = p.Default
		}
	}
	return out
}

// withGiven are parameters with secrets among them.
func withGiven(params knowngood.Params, secrets map[string]string) knowngood.Params {
	if len(secrets) == 0 {
		return params
	}
	out := cloneParams(params)
	for name, value := range secrets {
		out[name] = value
	}
	return out
}

func cloneParams(p knowngood.Params) knowngood.Params {
	out := make(knowngood.Params, len(p))
	for k, v := range p {
		out[k] = v
	}
	return out
}

// sealParams puts seals in the place of parameters' values; from says of which.
func (p *Planner) sealParams(req PlanRequest, params knowngood.Params, from map[string]string) (knowngood.Params, []knowngood.Secret, secrets, error) {
	params = cloneParams(params)
	var list []knowngood.Secret
	var values secrets
	for _, name := range sortedKeys(params) {
		source, secret := from[name]
		if !secret {
			continue
		}
		value, isText := params[name].(string)
		op := "plan " + req.Ref.Name
		switch {
		case !isText:
			return nil, nil, nil, knowngood.E(knowngood.Refused, op, "the parameter %s is a secret and no text", name)
		case p.DigestKey == nil:
			return nil, nil, nil, knowngood.E(knowngood.Refused, op, "the parameter %s is a secret, and there is no key for its digest", name)
		case len(value) >= shortSecret && strings.Contains(req.Resource.ID, value):
			return nil, nil, nil, knowngood.E(knowngood.Refused, op, "the resource that the run acts on would be named by the secret %s", name).WithHint("say with --resource what it acts on")
		}
		s := newSecret(p.DigestKey, req.RunID, name, source, value)
		list, values = append(list, s), append(values, opened{sealOf(s), value})
		params[name] = sealOf(s)
	}
	return params, list, values, nil
}

// secretError says that a step gives a secret member what parameters hold: they are
// secrets.
type secretError struct {
	error
	parameters []string
}

// secretMember refuses a secret that would be in the plan in clear. Where it is the
// value of parameters, the error is a secretError: they are sealed, and the runbook
// is planned again.
func (e *exploration) secretMember(step string, op *awsapi.Operation, in map[string]any) error {
	name := op.Service.Name + ":" + op.Name
	member, value := sensitiveMember(op.Input, in, "")
	if member == "" || slices.Contains(mustBeSeen[name], member) {
		return nil
	}
	err := knowngood.E(knowngood.Refused, "plan "+e.req.Ref.Name, "the step %s gives %s of %s, a secret, which the plan would have in clear", step, member, name).
		WithHint("make it a parameter of the runbook: its value is not in the plan then")
	var used, others []string
	for _, p := range sortedKeys(e.params) {
		text, isText := e.params[p].(string)
		if !isText || hasSeal(text) || e.DigestKey == nil || !holds(value, text) {
			continue
		}
		others = append(others, p)
		if slices.Contains(e.req.Document.Uses(step), p) {
			used = append(used, p)
		}
	}
	switch {
	case used != nil:
		return secretError{err, used}
	case others != nil: // by way of a variable, or of a script
		return secretError{err, others}
	}
	return err
}

// holds says whether a secret text is in a value.
func holds(v any, secret string) bool {
	s, found := secrets{{"", secret}}, false
	walkText(v, func(text string) { found = found || s.seal(text) != text })
	return found
}

// blind refuses a branch that hangs on a secret: whoever decides it sees the seal.
func (e *exploration) blind(w *way, next runbook.Next) error {
	if len(e.secrets) == 0 && !e.sealedReads {
		return nil
	}
	for _, used := range next.Branch.Uses {
		value, _, err := e.req.Document.Expand(w.run.Log(), "{{ "+used+" }}")
		if err != nil {
			return err
		}
		if hasSeal(value) {
			return knowngood.E(knowngood.Refused, "plan "+e.req.Ref.Name, "the branch %s hangs on a secret, %s, which a run does not see", next.Step, used)
		}
	}
	return nil
}

// unsealed gives the values of a plan's secrets: those that are given, the others
// read again with the run's own role. One that is missing is an error of kind Usage;
// one that is another than when the plan was made, of kind Refused.
func (r *Remediator) unsealed(ctx context.Context, plan *knowngood.Plan, caller awsapi.Caller, key []byte) (secrets, error) {
	op := "apply plan " + plan.Hash[:12]
	var out secrets
	for _, s := range plan.Secrets {
		store, name, stored := strings.Cut(s.From, ":")
		value, given := r.Secrets[s.Parameter]
		var err error
		switch {
		case stored:
			value, err = runbook.StoredSecret{Parameter: s.Parameter, Store: store, Name: name}.Value(ctx, caller, awsapi.Region(plan.Place.Region))
			var answer *awsapi.Error
			if errors.As(err, &answer) && answer.Credentials() {
				return nil, credentials(op, err)
			}
			if err != nil {
				return nil, &knowngood.Error{Kind: knowngood.KindOf(err), Op: op + ", read its secret " + s.Parameter, Err: err}
			}
		case !given:
			return nil, knowngood.E(knowngood.Usage, op, "its parameter %s is a secret, and not in the plan", s.Parameter).WithHint("give it with --secret %s=VALUE, or from a file with --secret %s=@FILE", s.Parameter, s.Parameter)
		}
		now := newSecret(key, plan.RunID, s.Parameter, s.From, value)
		if !hmac.Equal([]byte(now.Digest), []byte(s.Digest)) {
			kind := knowngood.Refused
			if !stored {
				kind = knowngood.Usage
			}
			return nil, knowngood.E(kind, op, "plan drift: the secret %s is not the one with which the plan was made", s.Parameter)
		}
		out = append(out, opened{sealOf(s), value})
	}
	return out, nil
}
