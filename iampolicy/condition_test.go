package iampolicy_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood/iampolicy"
)

const (
	ada = "arn:aws:iam::111122223333:user/ada"
	dev = "arn:aws:iam::111122223333:role/team/dev"
)

// context is what the conditions below are tested against.
func context() iampolicy.Context {
	var c iampolicy.Context
	c.Set("aws:RequestTag/Team", "blue")
	c.Set("aws:PrincipalTag/team", "blue")
	c.Set("aws:PrincipalTag/star", "a*")
	c.Set("aws:TagKeys", "Owner", "Team")
	c.Set("x:empty", "")
	c.Set("x:none")
	c.SetInt("s3:max-keys", 10)
	c.SetInt("x:id", 9007199254740993) // 2^53 + 1
	c.Set("x:half", "0.5")
	c.SetBool("aws:SecureTransport", true)
	c.SetTime("aws:CurrentTime", time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	c.SetAddr("aws:SourceIp", netip.MustParseAddr("203.0.113.9"))
	c.Set("x:mapped", "::ffff:203.0.113.9")
	c.SetAddr("x:ip6", netip.MustParseAddr("2001:db8::1"))
	c.SetBytes("x:bytes", []byte("known good"))
	c.Set("aws:SourceArn", "arn:aws:sns:eu-west-1:111122223333:alerts:a")
	return c
}

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		condition string // as in a policy, without the outer braces
		want      bool
	}{
		// Strings, and keys without case.
		{`"StringEquals":{"aws:requesttag/team":"blue"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"Blue"}`, false},
		{`"StringEquals":{"aws:RequestTag/Team":["red","blue"]}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":[]}`, false},
		{`"StringNotEquals":{"aws:RequestTag/Team":["red","blue"]}`, false},
		{`"StringNotEquals":{"aws:RequestTag/Team":["red","green"]}`, true},
		{`"StringEqualsIgnoreCase":{"aws:RequestTag/Team":"BLUE"}`, true},
		{`"StringNotEqualsIgnoreCase":{"aws:RequestTag/Team":"BLUE"}`, false},
		{`"StringLike":{"aws:RequestTag/Team":"b?u*"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"b*"}`, false},
		{`"StringNotLike":{"aws:RequestTag/Team":"b*"}`, false},
		{`"StringLike":{"x:empty":""}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"blue","aws:PrincipalTag/team":"red"}`, false}, // all must hold
		{`"StringEquals":{"aws:RequestTag/Team":"blue"},"Bool":{"aws:SecureTransport":"false"}`, false},

		// Keys that are not there.
		{`"StringEquals":{"x:none":"a"}`, false},
		{`"StringNotEquals":{"x:none":"a"}`, true},
		{`"NumericLessThan":{"x:none":"1"}`, false},
		{`"NotIpAddress":{"x:none":"10.0.0.0/8"}`, true},
		{`"StringEqualsIfExists":{"x:none":"a"}`, true},
		{`"StringEqualsIfExists":{"aws:RequestTag/Team":"red"}`, false},
		{`"StringNotEqualsIfExists":{"x:none":"a"}`, true},
		{`"Null":{"x:none":"true"}`, true},
		{`"Null":{"x:none":"false"}`, false},
		{`"Null":{"aws:TagKeys":true}`, false},
		{`"Null":{"aws:TagKeys":false}`, true},
		{`"Null":{"x:empty":false}`, true},

		// Many values.
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["Owner","Team","Cost"]}`, true},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["Owner"]}`, false},
		{`"ForAllValues:StringEquals":{"x:none":["Owner"]}`, true},
		{`"ForAllValues:StringEquals":{"x:empty":["Owner"]}`, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["Cost","Team"]}`, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["Cost"]}`, false},
		{`"ForAnyValue:StringEquals":{"x:none":["Owner"]}`, false},
		{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["Owner"]}`, true},
		{`"ForAnyValue:StringNotEquals":{"x:none":["Owner"]}`, false},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Owner"]}`, false},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["Cost"]}`, true},
		{`"ForAnyValue:StringEqualsIfExists":{"x:none":["Owner"]}`, true},
		{`"StringEquals":{"aws:TagKeys":"Team"}`, true},
		{`"StringNotEquals":{"aws:TagKeys":"Team"}`, false},

		// Numbers.
		{`"NumericEquals":{"s3:max-keys":"10.0"}`, true},
		{`"NumericNotEquals":{"s3:max-keys":10}`, false},
		{`"NumericLessThan":{"s3:max-keys":"10"}`, false},
		{`"NumericLessThanEquals":{"s3:max-keys":"10"}`, true},
		{`"NumericGreaterThan":{"s3:max-keys":["10","9.5"]}`, true},
		{`"NumericGreaterThanEquals":{"s3:max-keys":"11"}`, false},
		{`"NumericEquals":{"x:id":"9007199254740992"}`, false}, // not as float64 has it
		{`"NumericLessThan":{"x:half":"1"}`, true},
		{`"NumericEquals":{"aws:RequestTag/Team":"1"}`, false},
		{`"NumericEquals":{"s3:max-keys":"0xA"}`, false},

		// Dates.
		{`"DateEquals":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}`, true},
		{`"DateEquals":{"aws:CurrentTime":"2026-03-04T06:06:07+01:00"}`, true},
		{`"DateEquals":{"aws:CurrentTime":"1772600767"}`, true},
		{`"DateNotEquals":{"aws:CurrentTime":"2026-03-04T05:06:07Z"}`, false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-03-04T05:06Z"}`, false},
		{`"DateLessThanEquals":{"aws:CurrentTime":"2027"}`, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-03"}`, true},
		{`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-03-05"}`, false},

		// Booleans and bytes.
		{`"Bool":{"aws:SecureTransport":true}`, true},
		{`"Bool":{"aws:SecureTransport":"TRUE"}`, true},
		{`"Bool":{"aws:SecureTransport":"false"}`, false},
		{`"BinaryEquals":{"x:bytes":"a25vd24gZ29vZA=="}`, true},
		{`"BinaryEquals":{"x:bytes":"a25vd24="}`, false},

		// Addresses.
		{`"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, true},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","203.0.113.9"]}`, true},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.10"}`, false},
		{`"IpAddress":{"aws:SourceIp":"203.0.113.77/24"}`, true}, // bits of the host are no matter
		{`"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}`, false},
		{`"IpAddress":{"x:ip6":"2001:DB8::/32"}`, true},
		{`"IpAddress":{"x:mapped":"203.0.113.0/24"}`, true},
		{`"IpAddress":{"x:ip6":"0.0.0.0/0"}`, false},
		{`"IpAddress":{"aws:RequestTag/Team":"0.0.0.0/0"}`, false},

		// ARNs, part by part.
		{`"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:alerts*"}`, true},
		{`"ArnEquals":{"aws:SourceArn":"arn:*:sns:*:*:alerts:?"}`, true},
		{`"ArnLike":{"aws:SourceArn":"arn:aws:*:alerts:a"}`, false},
		{`"StringLike":{"aws:SourceArn":"arn:aws:*:alerts:a"}`, true},
		{`"ArnLike":{"aws:SourceArn":"*"}`, true},
		{`"ArnLike":{"aws:SourceArn":"arn:aws:sns"}`, false}, // not completed, as a Resource is
		{`"ArnNotLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}`, false},
		{`"ArnNotEquals":{"aws:SourceArn":"arn:aws:sqs:*:*:*"}`, true},
		{`"ArnLike":{"aws:RequestTag/Team":"arn:aws:sns:*:*:*"}`, false},

		// Variables.
		{`"StringEquals":{"aws:RequestTag/Team":"${aws:PrincipalTag/team}"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"${ aws:principaltag/TEAM }"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"${x:none}"}`, false},
		{`"StringNotEquals":{"aws:RequestTag/Team":"${x:none}"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"${x:none, 'blue'}"}`, true},
		{`"StringEquals":{"aws:RequestTag/Team":"${aws:PrincipalTag/team, 'red'}"}`, true},
		{`"StringEquals":{"aws:TagKeys":"${aws:TagKeys}"}`, false}, // has several values
		{`"StringEquals":{"aws:RequestTag/Team":"${aws:TagKeys, 'blue'}"}`, false},
		{`"StringLike":{"aws:PrincipalTag/star":"a${*}"}`, true},
		{`"StringLike":{"aws:RequestTag/Team":"blu${*}"}`, false},
		{`"StringLike":{"aws:PrincipalTag/star":"${aws:PrincipalTag/star}"}`, true},
		{`"StringLike":{"aws:SourceArn":"${aws:PrincipalTag/star}"}`, false}, // the tag's star is no wildcard
		{`"StringEquals":{"aws:PrincipalTag/star":"a*"}`, true},
		{`"StringEquals":{"aws:PrincipalTag/star":"a${*}"}`, true},
		{`"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:${aws:PrincipalAccount}:*"}`, true},
		{`"Bool":{"aws:SecureTransport":"${x:none, 'true'}"}`, true},
		{`"StringLike":{"aws:RequestTag/Team":"*${"}`, false}, // no variable, plain text

		// Keys that follow from the request.
		{`"StringEquals":{"aws:username":"ada"}`, true},
		{`"StringEquals":{"aws:PrincipalType":"User"}`, true},
		{`"ArnEquals":{"aws:PrincipalArn":"` + ada + `"}`, true},
		{`"StringEquals":{"aws:ResourceAccount":"111122223333"}`, true},
		{`"Bool":{"aws:PrincipalIsAWSService":"false"}`, true},
		{`"Null":{"aws:PrincipalServiceName":"true"}`, true},
	} {
		p := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}}}`, iampolicy.AnyKind)
		d := iampolicy.Evaluate(&iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", Context: context()},
			&iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: p}}})
		if d.Allowed != c.want {
			t.Errorf("%s: %v, want %v", c.condition, d.Allowed, c.want)
		}
	}
}

func TestVariablesAreTextInTheOldVersion(t *testing.T) {
	for version, want := range map[string]bool{iampolicy.Version2012: true, iampolicy.Version2008: false, "": false} {
		p := &iampolicy.Policy{Version: version, Statements: []iampolicy.Statement{
			{Effect: iampolicy.Allow, Actions: []string{"s3:*"}, Resources: []string{"arn:aws:s3:::home/${aws:username}/*"}}}}
		r := iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: "s3:GetObject", Resource: "arn:aws:s3:::home/ada/x"}
		in := iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: p}}}
		if got := iampolicy.Evaluate(&r, &in).Allowed; got != want {
			t.Errorf("version %q: %v, want %v", version, got, want)
		}
		r.Resource = "arn:aws:s3:::home/${aws:username}/x"
		if got := iampolicy.Evaluate(&r, &in).Allowed; got == want {
			t.Errorf("version %q, the text itself: %v", version, got)
		}
	}
}

func TestVariablesInResources(t *testing.T) {
	var c iampolicy.Context
	c.Set("aws:PrincipalTag/team", "a/*")
	for _, test := range []struct {
		pattern, resource string
		want              bool
	}{
		{"arn:aws:s3:::b/${aws:PrincipalTag/team}/*", "arn:aws:s3:::b/a/*/x", true},
		{"arn:aws:s3:::b/${aws:PrincipalTag/team}/*", "arn:aws:s3:::b/a/secret/x", false}, // a value's star is a star
		{"arn:aws:s3:::b/${aws:PrincipalTag/none}", "arn:aws:s3:::b/", false},
		{"arn:aws:s3:::b-${aws:PrincipalTag/none, 'company-wide'}", "arn:aws:s3:::b-company-wide", true},
		{"arn:aws:s3:::b/${*}${?}${$}{x}", "arn:aws:s3:::b/*?${x}", true},
		{"arn:aws:s3:::b/" + iampolicy.Escape("*?${x}"), "arn:aws:s3:::b/*?${x}", true},
		{"arn:aws:s3:::b/" + iampolicy.Escape("*"), "arn:aws:s3:::b/x", false},
	} {
		p := &iampolicy.Policy{Version: iampolicy.Version2012, Statements: []iampolicy.Statement{
			{Effect: iampolicy.Allow, Actions: []string{"*"}, Resources: []string{test.pattern}}}}
		d := iampolicy.Evaluate(&iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: "s3:GetObject", Resource: test.resource, Context: c},
			&iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: p}}})
		if d.Allowed != test.want {
			t.Errorf("%s on %s: %v, want %v", test.pattern, test.resource, d.Allowed, test.want)
		}
	}
}

func TestContextNamesAreWithoutCase(t *testing.T) {
	var c iampolicy.Context
	long := "aws:PrincipalTag/" + strings.Repeat("Long", 50)
	for _, key := range []string{"aws:SourceIp", long, "aws:RequestTag/Größe"} {
		if c.Get(key) != nil {
			t.Errorf("%s is there before it was set", key)
		}
		c.Set(key, "v")
		for _, same := range []string{key, strings.ToLower(key), strings.ToUpper(key)} {
			if got := c.Get(same); len(got) != 1 || got[0] != "v" {
				t.Errorf("%s: %v", same, got)
			}
		}
	}
}

func TestKeysThatFollowFromThePrincipal(t *testing.T) {
	session := iampolicy.NewSession(dev, "ada")
	session.ID = "AROAEXAMPLE:ada"
	service := iampolicy.NewService("config.amazonaws.com")
	for _, c := range []struct {
		who       iampolicy.Principal
		condition string
	}{
		{session, `"StringEquals":{"aws:PrincipalArn":"` + dev + `","aws:PrincipalType":"AssumedRole","aws:userid":"AROAEXAMPLE:ada"},"Null":{"aws:username":"true"}`},
		{iampolicy.NewRoot("111122223333"), `"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:root","aws:PrincipalType":"Account","aws:userid":"111122223333"}`},
		{iampolicy.NewFederatedUser(ada, "fay"), `"StringEquals":{"aws:PrincipalArn":"arn:aws:sts::111122223333:federated-user/fay","aws:PrincipalType":"FederatedUser"},"Null":{"aws:username":"true"}`},
		{service, `"StringEquals":{"aws:PrincipalServiceName":"config.amazonaws.com"},"Bool":{"aws:PrincipalIsAWSService":"true"},` +
			`"Null":{"aws:username":"true","aws:PrincipalArn":"true","aws:PrincipalAccount":"true","aws:PrincipalType":"true"}`},
		{iampolicy.Principal{}, `"StringEquals":{"aws:PrincipalType":"Anonymous"},"Null":{"aws:PrincipalArn":"true","aws:userid":"true"}`},
	} {
		at := named(t, "", `{"Effect":"Allow","Principal":"*","Action":"*","Condition":{`+c.condition+`}}`)
		r := iampolicy.Request{Principal: c.who, Action: "s3:GetObject", Resource: "arn:aws:s3:::b/x", Owner: "111122223333"}
		if d := iampolicy.Evaluate(&r, &iampolicy.Policies{Resource: &at}); !d.Allowed {
			t.Errorf("not so of %+v: %s", c.who, c.condition)
		}
	}
}
