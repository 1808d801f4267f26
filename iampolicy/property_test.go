package iampolicy_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
	"pgregory.net/rapid"
)

// The generators make policies of few words, so that they meet the requests, which
// are made of the same words.
var (
	actionWords   = rapid.SampledFrom([]string{"s3:GetObject", "s3:PutObject", "s3:*", "s3:Get*", "*", "sqs:SendMessage"})
	resourceWords = rapid.SampledFrom([]string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/x", "arn:aws:s3:::b/${aws:username}", "arn:aws:s3"})
	awsWords      = rapid.SampledFrom([]string{"*", ada, dev, session, "111122223333", "444455556666"})
	keyWords      = rapid.SampledFrom([]string{"aws:PrincipalTag/team", "aws:TagKeys", "aws:SourceIp", "s3:max-keys", "aws:CurrentTime", "x:none"})
	valueWords    = rapid.SampledFrom([]string{"blue", "b*", "Team", "203.0.113.0/24", "10", "2026-01-01", "true", "${aws:username}", ""})

	conditions = rapid.Custom(func(t *rapid.T) iampolicy.Condition {
		op := iampolicy.Operator{
			Set:  iampolicy.Set(rapid.IntRange(0, 2).Draw(t, "set")),
			Test: iampolicy.Test(rapid.IntRange(int(iampolicy.StringEquals), int(iampolicy.Null)).Draw(t, "test")),
		}
		op.IfExists = op.Test != iampolicy.Null && rapid.Bool().Draw(t, "ifExists")
		return iampolicy.Condition{Operator: op, Key: keyWords.Draw(t, "key"), Values: rapid.SliceOfN(valueWords, 1, 2).Draw(t, "values")}
	})

	statements = rapid.Custom(func(t *rapid.T) iampolicy.Statement {
		s := iampolicy.Statement{Effect: rapid.SampledFrom([]iampolicy.Effect{iampolicy.Allow, iampolicy.Allow, iampolicy.Deny}).Draw(t, "effect")}
		not := func(label string) bool { return rapid.IntRange(0, 4).Draw(t, label) == 0 }
		if list := rapid.SliceOfN(actionWords, 1, 2).Draw(t, "actions"); not("notAction") {
			s.NotActions = list
		} else {
			s.Actions = list
		}
		if list := rapid.SliceOfN(resourceWords, 1, 2).Draw(t, "resources"); not("notResource") {
			s.NotResources = list
		} else {
			s.Resources = list
		}
		if ps := (&iampolicy.Principals{AWS: rapid.SliceOfN(awsWords, 1, 2).Draw(t, "principals")}); not("notPrincipal") {
			s.NotPrincipal = ps
		} else {
			s.Principal = ps
		}
		s.Conditions = rapid.SliceOfNDistinct(conditions, 0, 2, func(c iampolicy.Condition) iampolicy.Operator { return c.Operator }).Draw(t, "conditions")
		return s
	})

	documents = rapid.Custom(func(t *rapid.T) *iampolicy.Policy {
		return &iampolicy.Policy{
			Version:    rapid.SampledFrom([]string{"", iampolicy.Version2008, iampolicy.Version2012}).Draw(t, "version"),
			ID:         rapid.SampledFrom([]string{"", "id", "<\"é\u2028>"}).Draw(t, "id"),
			Statements: rapid.SliceOfN(statements, 0, 4).Draw(t, "statements"),
		}
	})

	// Most of the policies that are put together allow everything besides, or hardly
	// any request would pass them all.
	attached = rapid.Custom(func(t *rapid.T) iampolicy.Attached {
		p := *documents.Draw(t, "policy")
		if rapid.IntRange(0, 3).Draw(t, "open") > 0 {
			p.Statements = append([]iampolicy.Statement{{Effect: iampolicy.Allow, Principal: &iampolicy.Principals{Everyone: true},
				Actions: []string{"*"}, Resources: []string{"*"}}}, slices.DeleteFunc(slices.Clone(p.Statements), func(s iampolicy.Statement) bool {
				return s.Effect == iampolicy.Deny && len(s.Conditions) == 0
			})...)
		}
		return iampolicy.Attached{Policy: &p}
	})

	policies = rapid.Custom(func(t *rapid.T) iampolicy.Policies {
		maybe := func(label string) *iampolicy.Attached {
			if rapid.Bool().Draw(t, label) {
				return nil
			}
			at := attached.Draw(t, label)
			return &at
		}
		return iampolicy.Policies{
			SCPs:              rapid.SliceOfN(rapid.SliceOfN(attached, 1, 2), 0, 2).Draw(t, "scps"),
			RCPs:              rapid.SliceOfN(rapid.SliceOfN(attached, 1, 2), 0, 1).Draw(t, "rcps"),
			Identity:          rapid.SliceOfN(attached, 0, 2).Draw(t, "identity"),
			Boundary:          maybe("boundary"),
			Session:           rapid.SliceOfN(attached, 0, 1).Draw(t, "session"),
			Resource:          maybe("resource"),
			ResourceMustAllow: rapid.Bool().Draw(t, "must"),
		}
	})

	requests = rapid.Custom(func(t *rapid.T) *iampolicy.Request {
		r := &iampolicy.Request{
			Principal: rapid.SampledFrom([]iampolicy.Principal{iampolicy.NewUser(ada), iampolicy.NewSession(dev, "ada"), iampolicy.NewRoot("111122223333"),
				iampolicy.NewFederatedUser(ada, "fay"), iampolicy.NewService("s3.amazonaws.com"), {}}).Draw(t, "principal"),
			Action:   rapid.SampledFrom([]string{"s3:GetObject", "s3:PutObject", "sqs:SendMessage"}).Draw(t, "action"),
			Resource: rapid.SampledFrom([]string{"arn:aws:s3:::b/x", "arn:aws:s3:::b/ada", "*"}).Draw(t, "resource"),
			Owner:    rapid.SampledFrom([]string{"", "444455556666"}).Draw(t, "owner"),
		}
		if rapid.Bool().Draw(t, "context") {
			r.Context = context()
		}
		return r
	})
)

func TestParseOfPrintIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := documents.Draw(t, "policy")
		again, err := iampolicy.Parse(p.String(), iampolicy.AnyKind)
		if err != nil {
			t.Fatalf("%s\n%v", p, err)
		}
		want := bare(p)
		for i := range want.Statements {
			if len(want.Statements[i].Conditions) == 0 {
				want.Statements[i].Conditions = nil
			}
		}
		if got := bare(again); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// TestMoreDenialsAndFewerGrantsNeverWiden changes one policy of many: with a
// statement more that denies, a statement less that allows, a level, a boundary or a
// session policy more, nothing that was denied is allowed.
func TestMoreDenialsAndFewerGrantsNeverWiden(t *testing.T) {
	allowed, narrowed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r, in := requests.Draw(t, "request"), policies.Draw(t, "policies")
		before := iampolicy.Evaluate(r, &in)
		if before.Allowed {
			allowed++
		}
		change := rapid.SampledFrom([]string{"deny", "remove", "scp", "rcp", "boundary", "session"}).Draw(t, "change")
		switch change {
		case "deny":
			s := statements.Draw(t, "deny")
			s.Effect = iampolicy.Deny
			edit(t, &in, func(list []iampolicy.Statement) []iampolicy.Statement { return append(slices.Clone(list), s) })
		case "remove":
			edit(t, &in, func(list []iampolicy.Statement) []iampolicy.Statement {
				i := slices.IndexFunc(list, func(s iampolicy.Statement) bool { return s.Effect == iampolicy.Allow })
				if i < 0 {
					return list
				}
				return slices.Delete(slices.Clone(list), i, i+1)
			})
		case "scp":
			in.SCPs = append(slices.Clone(in.SCPs), []iampolicy.Attached{attached.Draw(t, "level")})
		case "rcp":
			in.RCPs = append(slices.Clone(in.RCPs), []iampolicy.Attached{attached.Draw(t, "level")})
		case "boundary":
			if in.Boundary == nil {
				at := attached.Draw(t, "added")
				in.Boundary = &at
			}
		case "session":
			if len(in.Session) == 0 && r.Principal.Type != iampolicy.FederatedUser { // who needs one
				in.Session = []iampolicy.Attached{attached.Draw(t, "added")}
			}
		}
		after := iampolicy.Evaluate(r, &in)
		if before.Allowed && !after.Allowed {
			narrowed++
		}
		if after.Allowed && !before.Allowed {
			t.Fatalf("by %q was allowed:\n%s\nbefore:\n%s", change, after, before)
		}
	})
	if allowed == 0 || narrowed == 0 {
		t.Errorf("%d requests were allowed, %d narrowed", allowed, narrowed)
	}
}

// edit changes the statements of one of the policies.
func edit(t *rapid.T, in *iampolicy.Policies, change func([]iampolicy.Statement) []iampolicy.Statement) {
	var all []*iampolicy.Attached
	for _, levels := range [][][]iampolicy.Attached{in.SCPs, in.RCPs, {in.Identity}, {in.Session}} {
		for _, level := range levels {
			for i := range level {
				all = append(all, &level[i])
			}
		}
	}
	for _, at := range []*iampolicy.Attached{in.Boundary, in.Resource} {
		if at != nil {
			all = append(all, at)
		}
	}
	if len(all) == 0 {
		return
	}
	at := rapid.SampledFrom(all).Draw(t, "edited")
	p := *at.Policy
	p.Statements = change(p.Statements)
	at.Policy = &p
}

// TestDecisionsHaveTheirReasons: what is denied has a statement that denies or
// something that is missing, and what is allowed has neither.
func TestDecisionsHaveTheirReasons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, in := requests.Draw(t, "request"), policies.Draw(t, "policies")
		d := iampolicy.Evaluate(r, &in)
		if d.Allowed != (len(d.Denials) == 0 && len(d.Missing) == 0) {
			t.Fatalf("allowed: %v, with\n%s", d.Allowed, d)
		}
		if d.Allowed && len(d.Allows) == 0 && r.Principal.Type != iampolicy.Root {
			t.Fatal("allowed by nothing")
		}
		for _, m := range d.Denials {
			if m.Statement.Effect != iampolicy.Deny {
				t.Fatalf("denied by %s", m)
			}
		}
		for _, m := range d.Allows {
			if m.Statement.Effect != iampolicy.Allow {
				t.Fatalf("allowed by %s", m)
			}
		}
		if (d.Message(r) == "") != d.Allowed {
			t.Fatalf("allowed: %v, message %q", d.Allowed, d.Message(r))
		}
	})
}

// TestWhatAnybodyMayIsPublic compares the reading of a policy's text with what it
// does: what an anonymous request without any key may, must be called public.
func TestWhatAnybodyMayIsPublic(t *testing.T) {
	open := 0
	rapid.Check(t, func(t *rapid.T) {
		r, p := requests.Draw(t, "request"), documents.Draw(t, "policy")
		r.Principal, r.Context, r.Owner = iampolicy.Principal{}, iampolicy.Context{}, "444455556666"
		if !iampolicy.Evaluate(r, &iampolicy.Policies{Resource: &iampolicy.Attached{Policy: p}}).Allowed {
			return
		}
		open++
		for _, d := range []iampolicy.Definition{iampolicy.BlockPublicAccess, iampolicy.AccessAnalyzer} {
			if !p.IsPublic(d) {
				t.Fatalf("by definition %d not public: %s", d, p)
			}
		}
		if len(p.ExternalGrants(iampolicy.Zone{Accounts: []string{"111122223333", "444455556666"}})) == 0 {
			t.Fatalf("nothing external: %s", p)
		}
	})
	if open == 0 {
		t.Error("nothing was open")
	}
}

// TestAllowedActionsAreToldOf: what a policy allows is among what AllowsActions
// says.
func TestAllowedActionsAreToldOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, p := requests.Draw(t, "request"), documents.Draw(t, "policy")
		if !iampolicy.Evaluate(&iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: r.Action, Resource: r.Resource, Context: r.Context},
			&iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: p}}}).Allowed {
			return
		}
		if len(p.AllowsActions([]string{r.Action}, "")) == 0 {
			t.Fatalf("%s allows %s on %s", p, r.Action, r.Resource)
		}
	})
}
