package iampolicy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// typical is a policy as they are written: twenty statements of four actions and
// two resources, every fourth with a condition.
func typical() string {
	var list []string
	for i := range 20 {
		condition := ""
		if i%4 == 0 {
			condition = `,"Condition":{"StringEquals":{"aws:PrincipalTag/team":["red","blue"]},"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`
		}
		list = append(list, fmt.Sprintf(`{"Sid":"S%02d","Effect":"Allow","Action":["svc%02d:Get*","svc%02d:List*","svc%02d:Put*","svc%02d:DeleteThing"],"Resource":["arn:aws:svc%02d:*:111122223333:thing/*","arn:aws:svc%02d:::b/${aws:username}/*"]%s}`,
			i, i, i, i, i, i, i, condition))
	}
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

func BenchmarkParse(b *testing.B) {
	text := typical()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := iampolicy.Parse(text, iampolicy.Identity); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEvaluate is a request as a sandbox has it: two SCP levels, an identity's
// policy of twenty statements, a boundary and the resource's policy.
func BenchmarkEvaluate(b *testing.B) {
	identity := iampolicy.Attached{Name: "dev", Policy: parse(b, typical(), iampolicy.Identity)}
	boundary := named(b, "boundary", allowAll)
	bucket := named(b, "bucket", `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`)
	in := iampolicy.Policies{SCPs: [][]iampolicy.Attached{{named(b, "root", allowAll)}, {named(b, "ou", allowAll)}}, Identity: []iampolicy.Attached{identity}, Boundary: &boundary, Resource: &bucket}
	for _, c := range []struct {
		name, action, resource string
		allowed                bool
	}{
		{"allowed", "svc16:GetThing", "arn:aws:svc16:eu-west-1:111122223333:thing/1", true},
		{"variable", "svc15:GetThing", "arn:aws:svc15:::b/ada/x", true},
		{"denied", "svc16:TagThing", "arn:aws:svc16:eu-west-1:111122223333:thing/1", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: c.action, Resource: c.resource, Owner: "111122223333", Context: context()}
			b.ReportAllocs()
			for b.Loop() {
				if iampolicy.Evaluate(&r, &in).Allowed != c.allowed {
					b.Fatal("decided wrongly")
				}
			}
		})
	}
}

func BenchmarkIsPublic(b *testing.B) {
	p := parse(b, `{"Version":"2012-10-17","Statement":[`+grantTo(aws("444455556666"))+`,`+
		`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":["vpce-1","vpce-2"]}}}]}`, iampolicy.Resource)
	b.ReportAllocs()
	for b.Loop() {
		if p.IsPublic(iampolicy.BlockPublicAccess) {
			b.Fatal("public")
		}
	}
}

// BenchmarkMinimise has 400 pairs of 100 actions and 40 resources.
func BenchmarkMinimise(b *testing.B) {
	var needs []iampolicy.Need
	for i := range 400 {
		needs = append(needs, need(fmt.Sprintf("svc%d:Action%d", i%10, i%100), fmt.Sprintf("arn:aws:svc:::resource-%d/*", (i/100+i%37)%40)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := iampolicy.Minimise(needs, managed); err != nil {
			b.Fatal(err)
		}
	}
}
