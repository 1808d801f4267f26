package iampolicy_test

import (
	"reflect"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// FuzzParse reads anything; what is a policy must print, read back as the same, and
// answer each question.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		everything, `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, `{"Statement":[{"Effect":"Deny","NotAction":[],"NotResource":"arn:aws:s3"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":[]},"Action":"a:${","Resource":"arn:aws:s3:::${a, 'b'}${*}${}"}]}`,
		`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"StringNotLike":{"aws:PrincipalOrgID":"o-1"},"Null":{"a":true}}}]}`,
		`{"Id":"\ud800\u0000","Statement":[]}`, `{"a":-1.5e+3,"b":[null,true]}`, "[[[[", `{"`, "",
	} {
		for kind := range uint8(6) {
			f.Add(seed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		p, err := iampolicy.Parse(text, iampolicy.Kind(kind))
		if err != nil {
			if p != nil || err.Error() == "" {
				t.Fatalf("policy %v beside error %q", p, err)
			}
			return
		}
		raw, err := p.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := iampolicy.Parse(string(raw), iampolicy.Kind(kind))
		if err != nil || !reflect.DeepEqual(bare(again), bare(p)) {
			t.Fatalf("%s\nreads back as %v, %v", raw, again, err)
		}
		at := iampolicy.Attached{Policy: p}
		r := iampolicy.Request{Principal: iampolicy.NewSession(dev, "ada"), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", Context: context()}
		d := iampolicy.Evaluate(&r, &iampolicy.Policies{Identity: []iampolicy.Attached{at}, Resource: &at, Boundary: &at, SCPs: [][]iampolicy.Attached{{at}}, RCPs: [][]iampolicy.Attached{{at}}})
		_ = d.String()
		p.IsPublic(iampolicy.BlockPublicAccess)
		p.ExternalGrants(iampolicy.Zone{})
		p.AllowsActions([]string{"s3:*"}, "")
		p.AdminStatements()
		p.FullAccessStatements()
	})
}
