package iampolicy_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// TestIsPublic has the examples of S3's page and what follows from its list; s3 is
// the verdict by BlockPublicAccess, analyzer by AccessAnalyzer.
func TestIsPublic(t *testing.T) {
	open := func(condition string) string {
		return `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{` + condition + `}}`
	}
	deny := func(condition string) string {
		return open("") + `,{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{` + condition + `}}`
	}
	for _, c := range []struct {
		name         string
		statements   string
		s3, analyzer bool
	}{
		{"everyone", open(""), true, true},
		{"everyone in the AWS list", grantTo(aws("*")), true, true},
		{"everyone beside somebody", grantTo(`{"AWS":["111122223333","*"]}`), true, true},
		{"all but one", `{"Effect":"Allow","NotPrincipal":` + aws("111122223333") + `,"Action":"*","Resource":"*"}`, true, true},
		{"any service", grantTo(`{"Service":"*"}`), true, true},
		{"the public after the known", grantTo(aws("444455556666")) + "," + open(""), true, true},
		{"an account", grantTo(aws("444455556666")), false, false},
		{"a service", grantTo(`{"Service":"cloudtrail.amazonaws.com"}`), false, false},
		{"a canonical user", grantTo(`{"CanonicalUser":"79a5"}`), false, false},
		{"only a Deny", `{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`, false, false},
		{"no action in the list", `{"Effect":"Allow","Principal":"*","Action":[],"Resource":"*"}`, false, false},

		// Identity providers for all the world.
		{"Facebook", grantTo(`{"Federated":"graph.facebook.com"}`), true, true},
		{"Facebook's users of one application", `{"Effect":"Allow","Principal":{"Federated":"graph.facebook.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"graph.facebook.com:app_id":"42"}}}`, true, false},
		{"of any application", `{"Effect":"Allow","Principal":{"Federated":"graph.facebook.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringLike":{"graph.facebook.com:app_id":"*"}}}`, true, true},
		{"an account's provider", grantTo(`{"Federated":"arn:aws:iam::111122223333:saml-provider/ad"}`), false, false},

		// Conditions with fixed values.
		{"a VPC", open(`"StringEquals":{"aws:SourceVpc":"vpc-91237329"}`), false, false},
		{"any VPC", open(`"StringLike":{"aws:SourceVpc":"vpc-*"}`), true, true},
		{"a VPC or any", open(`"StringLike":{"aws:SourceVpc":["vpc-1","vpc-*"]}`), true, true},
		{"a VPC by a variable", open(`"StringEquals":{"aws:SourceVpc":"${aws:PrincipalTag/vpc}"}`), true, true},
		{"a VPC endpoint, key in another case", open(`"StringEqualsIgnoreCase":{"AWS:sourcevpce":"vpce-1"}`), false, false},
		{"an account as source", open(`"StringEquals":{"aws:SourceAccount":"111122223333"}`), false, false},
		{"an owner as source", open(`"StringEquals":{"aws:SourceOwner":"111122223333"}`), false, false},
		{"an organisation", open(`"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3"}`), false, false},
		{"a path of an organisation", open(`"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-a1b2c3/r-ab12/*"}`), false, false},
		{"a path of any", open(`"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-*/r-ab12/*"}`), true, true},
		{"a key for encryption", open(`"StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"k"}`), false, false},
		{"a principal's ARN", open(`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/r"}`), false, false},
		{"ARNs of an account", open(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}`), true, false},
		{"ARNs of any account", open(`"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:topic"}`), true, true},
		{"an account that StringLike can reach over", open(`"StringLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}`), true, true},
		{"one that it can't", open(`"StringLike":{"aws:SourceArn":"arn:aws:sns:eu-west-1:111122223333:*"}`), true, false},
		{"a user id", open(`"StringEquals":{"aws:userid":"AIDAEXAMPLE"}`), false, false},
		{"sessions of a role id", open(`"StringLike":{"aws:userid":"AROAEXAMPLE:*"}`), true, false},
		{"sessions of any role id", open(`"StringLike":{"aws:userid":"AROA*:ada"}`), true, true},
		{"access points of an account", open(`"StringLike":{"s3:DataAccessPointArn":"arn:aws:s3:us-west-2:123456789012:accesspoint/*"}`), false, false},
		{"access points of any account", open(`"StringLike":{"s3:DataAccessPointArn":"arn:aws:s3:us-west-2:*:accesspoint/*"}`), true, true},
		{"access points' account", open(`"StringEquals":{"s3:DataAccessPointAccount":"123456789012"}`), false, false},
		{"the caller's account of KMS", open(`"StringEquals":{"kms:CallerAccount":"123456789012"}`), true, false},
		{"two, of which one is fixed", open(`"StringLike":{"aws:SourceVpc":"*","aws:SourceVpce":"vpce-1"}`), false, false},

		// Addresses: S3 takes /8 and /32 at the widest.
		{"an address", open(`"IpAddress":{"aws:SourceIp":"203.0.113.9"}`), false, false},
		{"/8", open(`"IpAddress":{"aws:SourceIp":"54.0.0.0/8"}`), false, false},
		{"/7", open(`"IpAddress":{"aws:SourceIp":"54.0.0.0/7"}`), true, true},
		{"everywhere", open(`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`), true, true},
		{"half and half", open(`"IpAddress":{"aws:SourceIp":["0.0.0.0/1","128.0.0.0/1"]}`), true, true},
		{"a private block", open(`"IpAddress":{"aws:SourceIp":"172.16.0.0/12"}`), false, false},
		{"IPv6 /32", open(`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`), false, false},
		{"IPv6 /31", open(`"IpAddress":{"aws:SourceIp":"2001:db8::/31"}`), true, true},
		{"IPv4 as IPv6", open(`"IpAddress":{"aws:SourceIp":"::ffff:0.0.0.0/96"}`), true, true},
		{"an address by a string test", open(`"StringLike":{"aws:SourceIp":"203.0.113.9"}`), true, true},

		// Conditions that hold nobody to anything.
		{"all but an address", open(`"NotIpAddress":{"aws:SourceIp":"203.0.113.9"}`), true, true},
		{"all but an account", open(`"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}`), true, true},
		{"if it exists", open(`"StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}`), true, true},
		{"all values, of which there may be none", open(`"ForAllValues:StringEquals":{"aws:PrincipalOrgID":"o-1"}`), true, true},
		{"transport", open(`"Bool":{"aws:SecureTransport":"true"}`), true, true},
		{"a referer", open(`"StringLike":{"aws:Referer":"https://example.com/*"}`), true, true},
		{"existence", open(`"Null":{"aws:SourceVpc":"false"}`), true, true},

		// What statements that deny leave over.
		{"denied outside the organisation", deny(`"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}`), true, false},
		{"denied outside organisation and network", deny(`"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"},"NotIpAddressIfExists":{"aws:SourceIp":"203.0.113.0/24"}`), true, false},
		{"spared by a test that anybody passes", deny(`"StringNotEquals":{"aws:PrincipalOrgID":"o-1"},"Bool":{"aws:SecureTransport":"false"}`), true, true},
		{"denied outside a path of the organisation", deny(`"ForAllValues:StringNotLike":{"aws:PrincipalOrgPaths":"o-1/r-1/*"}`), true, false},
		{"denied where some path is outside, which none at all isn't", deny(`"ForAnyValue:StringNotLike":{"aws:PrincipalOrgPaths":"o-1/r-1/*"}`), true, true},
		{"denied without TLS", deny(`"Bool":{"aws:SecureTransport":"false"}`), true, true},
		{"denied altogether", open("") + `,{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`, true, false},
		{"denied for less", open("") + `,{"Effect":"Deny","Principal":"*","Action":"s3:Put*","Resource":"*"}`, true, true},
		{"denied on less", open("") + `,{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/secret/*"}`, true, true},
		{"denied to one", open("") + `,{"Effect":"Deny","Principal":` + aws("111122223333") + `,"Action":"s3:*","Resource":"*"}`, true, true},
	} {
		p := parse(t, `{"Version":"2012-10-17","Statement":[`+c.statements+`]}`, iampolicy.AnyKind)
		if got := p.IsPublic(iampolicy.BlockPublicAccess); got != c.s3 {
			t.Errorf("%s: public by S3's rule: %v, want %v", c.name, got, c.s3)
		}
		if got := p.IsPublic(iampolicy.AccessAnalyzer); got != c.analyzer {
			t.Errorf("%s: public as Access Analyzer has it: %v, want %v", c.name, got, c.analyzer)
		}
	}
}

func TestExternalGrants(t *testing.T) {
	zone := iampolicy.Zone{Accounts: []string{"111122223333", "222233334444"}, Organizations: []string{"o-home"}, CanonicalUsers: []string{"known"}}
	p := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::222233334444:role/r","arn:aws:iam::999988887777:root","AIDAUNKNOWN"],
			"Service":"sns.amazonaws.com","CanonicalUser":["known","unknown"],"Federated":"arn:aws:iam::111122223333:saml-provider/ad"},"Action":"*","Resource":"*"},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":["111122223333","222233334444"]}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":["111122223333","999988887777"]}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-home"}}},
		{"Sid":"Other","Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-other"}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:111122223333:*"}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-home/*"}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceVpce":["vpce-1","vpce-2"],"aws:SourceVpc":"vpc-1"}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalServiceName":"sns.amazonaws.com"}}},
		{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":["111122223333","AIDAOTHER"]}}},
		{"Effect":"Allow","NotPrincipal":{"AWS":"999988887777"},"Action":"*","Resource":"*","Condition":{"StringEquals":{"kms:CallerAccount":"111122223333"}}}]}`, iampolicy.AnyKind)
	var got []string
	for _, g := range p.ExternalGrants(zone) {
		got = append(got, fmt.Sprintf("%v, account %q", g, g.Account))
	}
	want := []string{
		`statement 1 allows arn:aws:iam::999988887777:root, account "999988887777"`,
		`statement 1 allows AIDAUNKNOWN, account ""`,
		`statement 1 allows unknown, account ""`,
		`statement 3 allows * bounded by aws:PrincipalAccount 111122223333 or 999988887777, account ""`,
		`statement 5 (Other) allows * bounded by aws:PrincipalOrgID o-other, account ""`,
		`statement 8 allows * bounded by aws:SourceVpce vpce-1 or vpce-2, aws:SourceVpc vpc-1, account ""`,
		`statement 9 allows *, bounded by nothing, account ""`,
		`statement 11 allows * bounded by aws:userid 111122223333 or AIDAOTHER, account ""`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAllowsActions(t *testing.T) {
	for _, c := range []struct {
		name, statements, resource string
		patterns                   []string
		want                       []string
	}{
		{"by name", allowGet, "", []string{"s3:GetObject", "s3:PutObject"}, []string{"s3:GetObject by 0 s3:GetObject"}},
		{"by patterns that overlap", `{"Effect":"Allow","Action":["sqs:*","kms:*crypt"],"Resource":"*"}`, "", []string{"kms:D*", "kms:ListKeys"}, []string{"kms:D* by 0 kms:*crypt"}},
		{"by NotAction", `{"Effect":"Allow","NotAction":["iam:*","kms:Decrypt"],"Resource":"*"}`, "", []string{"kms:Decrypt", "kms:De*", "iam:Get*"}, []string{"kms:De* by 0 "}},
		{"denied", allowAll + `,{"Effect":"Deny","Action":"kms:*","Resource":"*"}`, "", []string{"kms:Decrypt", "s3:Get*"}, []string{"s3:Get* by 0 *"}},
		{"denied in part", allowAll + `,{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`, "", []string{"kms:De*"}, []string{"kms:De* by 0 *"}},
		{"denied on some", allowAll + `,{"Effect":"Deny","Action":"kms:*","Resource":"arn:aws:kms:*:*:key/a"}`, "", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 *"}},
		{"denied under a condition", allowAll + `,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`, "", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 *"}},
		{"denied to somebody", allowAll + `,{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*"}`, "", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 *"}},
		{"under a condition", `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`, "", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 * conditional"}},
		{"on all keys", `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:*:*:key/*"}`, "arn:aws:kms:*:*:key/*", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 kms:Decrypt"}},
		{"on one key", `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:eu-west-1:111122223333:key/1"}`, "arn:aws:kms:*:*:key/*", []string{"kms:Decrypt"}, nil},
		{"on all but buckets", `{"Effect":"Allow","Action":"kms:Decrypt","NotResource":"arn:aws:s3:::*"}`, "arn:aws:kms:*:*:key/*", []string{"kms:Decrypt"}, []string{"kms:Decrypt by 0 kms:Decrypt"}},
		{"on all but a key", `{"Effect":"Allow","Action":"kms:Decrypt","NotResource":"arn:aws:kms:*:*:key/1"}`, "arn:aws:kms:*:*:key/*", []string{"kms:Decrypt"}, nil},
	} {
		p := parse(t, `{"Version":"2012-10-17","Statement":[`+c.statements+`]}`, iampolicy.AnyKind)
		var got []string
		for _, g := range p.AllowsActions(c.patterns, c.resource) {
			s := fmt.Sprintf("%s by %d %s", g.Pattern, g.Index, g.Action)
			if g.Conditional {
				s += " conditional"
			}
			got = append(got, s)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAdminAndFullAccess(t *testing.T) {
	for statement, want := range map[string][2]bool{ // admin, full access to a service
		allowAll: {true, true},
		`{"Effect":"Allow","Action":"*:*","Resource":"*"}`:                                                                 {true, true},
		`{"Effect":"Allow","Action":"**","Resource":["arn:aws:s3:::b","*"]}`:                                               {true, true},
		`{"Effect":"Allow","Action":["iam:List*","*"],"Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}`: {true, true},
		`{"Effect":"Allow","NotAction":[],"Resource":"*"}`:                                                                 {true, false},
		`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b"}`:                                                      {false, true},
		`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`:                                                                {false, true},
		`{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}`:                                                             {false, false},
		`{"Effect":"Allow","Action":"*:GetObject","Resource":"*"}`:                                                         {false, false},
		`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`:                                                            {false, false},
		`{"Effect":"Deny","Action":"*","Resource":"*"}`:                                                                    {false, false},
	} {
		p := parse(t, `{"Statement":`+statement+`}`, iampolicy.AnyKind)
		if got := [2]bool{len(p.AdminStatements()) == 1, len(p.FullAccessStatements()) == 1}; got != want {
			t.Errorf("%s: got %v, want %v", statement, got, want)
		}
	}
}
