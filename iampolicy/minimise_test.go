package iampolicy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
	"pgregory.net/rapid"
)

var managed = iampolicy.Limit{Size: iampolicy.ManagedPolicySize, Policies: 10}

// minimise joins the policies' texts, for there is one mostly.
func minimise(t *testing.T, limit iampolicy.Limit, needs ...iampolicy.Need) string {
	t.Helper()
	policies, err := iampolicy.Minimise(needs, limit)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range policies {
		if p.Size() > limit.Size {
			t.Errorf("a policy has %d characters", p.Size())
		}
		if _, err := iampolicy.Parse(p.String(), iampolicy.Identity); err != nil {
			t.Errorf("%s\n%v", p, err)
		}
		out = append(out, p.String())
	}
	return strings.Join(out, "\n")
}

func need(action string, resources ...string) iampolicy.Need {
	return iampolicy.Need{Action: action, Resources: resources}
}

func TestMinimise(t *testing.T) {
	const bucket, objects, queue = "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:sqs:eu-west-1:111122223333:q"
	document := func(statements string) string {
		return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
	}
	passed := []iampolicy.Condition{{Operator: iampolicy.Operator{Test: iampolicy.StringEquals}, Key: "iam:PassedToService", Values: []string{"ec2.amazonaws.com"}}}
	for _, c := range []struct {
		name  string
		needs []iampolicy.Need
		want  string
	}{
		{"one", []iampolicy.Need{need("s3:GetObject", objects)}, document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`)},
		{"twice, in another case", []iampolicy.Need{need("s3:getobject", objects), need("s3:GetObject", objects, objects)},
			document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`)},
		{"equal resources", []iampolicy.Need{need("s3:PutObject", objects), need("s3:GetObject", objects)},
			document(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b/*"}`)},
		{"equal actions", []iampolicy.Need{need("s3:GetObject", objects, "arn:aws:s3:::a/*")},
			document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":["arn:aws:s3:::a/*","arn:aws:s3:::b/*"]}`)},
		{"a resource that another has", []iampolicy.Need{need("s3:GetObject", objects, "arn:aws:s3:::b/x", "arn:aws:s3:::b/${aws:username}")},
			document(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}`)},
		{"an action that another has", []iampolicy.Need{need("s3:Get*", objects), need("s3:GetObject", "arn:aws:s3:::b/x"), need("s3:GetObject", bucket)},
			document(`{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b"}`)},
		{"nothing is widened to share a statement", []iampolicy.Need{need("sqs:SendMessage", queue), need("s3:ListBucket", bucket)},
			document(`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b"},{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"` + queue + `"}`)},
		{"shared in part", []iampolicy.Need{need("s3:GetObject", objects, "arn:aws:s3:::a/*"), need("s3:PutObject", objects, "arn:aws:s3:::a/*"), need("s3:DeleteObject", objects)},
			document(`{"Effect":"Allow","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::a/*","arn:aws:s3:::b/*"]}`)},
		{"conditions stay apart", []iampolicy.Need{{Action: "iam:PassRole", Resources: []string{dev}, Conditions: passed}, need("iam:GetRole", dev)},
			document(`{"Effect":"Allow","Action":"iam:PassRole","Resource":"` + dev + `","Condition":{"StringEquals":{"iam:PassedToService":"ec2.amazonaws.com"}}},` +
				`{"Effect":"Allow","Action":"iam:GetRole","Resource":"` + dev + `"}`)},
		{"equal conditions, otherwise written", []iampolicy.Need{
			{Action: "s3:GetObject", Resources: []string{bucket}, Conditions: []iampolicy.Condition{
				{Operator: iampolicy.Operator{Test: iampolicy.StringEquals}, Key: "a:b", Values: []string{"2", "1", "2"}}, {Operator: iampolicy.Operator{Test: iampolicy.Bool}, Key: "a:c", Values: []string{"true"}}}},
			{Action: "s3:PutObject", Resources: []string{bucket}, Conditions: []iampolicy.Condition{
				{Operator: iampolicy.Operator{Test: iampolicy.Bool}, Key: "a:c", Values: []string{"true"}}, {Operator: iampolicy.Operator{Test: iampolicy.StringEquals}, Key: "a:b", Values: []string{"1", "2"}}}},
		}, document(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::b","Condition":{"Bool":{"a:c":"true"},"StringEquals":{"a:b":["1","2"]}}}`)},
		{"none", nil, ""},
	} {
		if got := minimise(t, managed, c.needs...); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
		slices.Reverse(c.needs)
		if got := minimise(t, managed, c.needs...); got != c.want {
			t.Errorf("%s, in another order: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestMinimiseKeepsTheLimit(t *testing.T) {
	var needs []iampolicy.Need
	for i := range 300 {
		needs = append(needs, need(fmt.Sprintf("ec2:DescribeSomethingLong%03d", i), "*"))
	}
	text := minimise(t, managed, needs...)
	if n := strings.Count(text, "\n") + 1; n != 2 {
		t.Errorf("%d policies, want 2: 300 actions of 31 characters each", n)
	}
	for _, n := range needs {
		if !strings.Contains(text, `"`+n.Action+`"`) {
			t.Errorf("%s is lost", n.Action)
		}
	}
	var large *iampolicy.TooLargeError
	if _, err := iampolicy.Minimise(needs, iampolicy.Limit{Size: iampolicy.InlineUserPolicySize, Policies: 1}); !errors.As(err, &large) || large.Need < 5 {
		t.Errorf("300 actions in one inline policy: %v", err)
	}
	if _, err := iampolicy.Minimise(needs[:1], iampolicy.Limit{Size: 80, Policies: 1}); !errors.As(err, &large) || large.Need != 0 || !strings.Contains(err.Error(), "DescribeSomethingLong000 on *") {
		t.Errorf("a policy of 80 characters: %v", err)
	}
	two := []iampolicy.Need{need("s3:GetObject", "arn:aws:s3:::a"), need("sqs:SendMessage", "arn:aws:sqs:::b")}
	exact := len(minimise(t, managed, two...))
	for room, want := range map[int]int{exact: 1, exact - 1: 2} {
		policies, err := iampolicy.Minimise(two, iampolicy.Limit{Size: room, Policies: 2})
		if err != nil || len(policies) != want {
			t.Errorf("%d policies in %d characters, want %d; %v", len(policies), room, want, err)
		}
	}
	var wide iampolicy.Need
	wide.Action = "s3:GetObject"
	for i := range 400 {
		wide.Resources = append(wide.Resources, fmt.Sprintf("arn:aws:s3:::bucket-%03d/*", i))
	}
	if text := minimise(t, managed, wide); strings.Count(text, "arn:aws:s3:::") != 400 {
		t.Error("a resource is lost, or there twice")
	}
}

func TestMinimiseRefusesWhatIsNoNeed(t *testing.T) {
	equals := iampolicy.Operator{Test: iampolicy.StringEquals}
	for name, n := range map[string]iampolicy.Need{
		"no action":       need("", "*"),
		"no service":      need("GetObject", "*"),
		"no resource":     need("s3:GetObject"),
		"an empty one":    need("s3:GetObject", ""),
		"a key twice":     {Action: "s3:GetObject", Resources: []string{"*"}, Conditions: []iampolicy.Condition{{Operator: equals, Key: "a"}, {Operator: equals, Key: "a"}}},
		"too many to fit": need("s3:GetObject", slices.Repeat([]string{"*"}, 10001)...),
	} {
		if p, err := iampolicy.Minimise([]iampolicy.Need{n}, managed); err == nil {
			t.Errorf("%s: %v", name, p)
		}
	}
}

// TestMinimisedAllowsExactlyTheNeeds asks, of everything that the words below can
// make, whether it is allowed, and whether it was needed.
func TestMinimisedAllowsExactlyTheNeeds(t *testing.T) {
	actions := []string{"a:Get", "a:GetAll", "a:Put", "b:Get", "b:List", "A:get"}
	resources := []string{"arn:aws:a:::x", "arn:aws:a:::x/1", "arn:aws:a:::x/2", "arn:aws:a:::y", "arn:aws:b:eu:1:y", "arn:aws:b:us:1:y"}
	asked := rapid.Custom(func(t *rapid.T) iampolicy.Need {
		return iampolicy.Need{
			Action:    rapid.SampledFrom(append([]string{"a:*", "a:Get*", "*:Get", "*", "a:?et", "a:**"}, actions...)).Draw(t, "action"),
			Resources: rapid.SliceOfN(rapid.SampledFrom(append([]string{"*", "arn:aws:a:::x*", "arn:aws:a:::x/?", "arn:aws:b", "arn:aws:b:*:1:y", "arn:aws:a:::*"}, resources...)), 1, 4).Draw(t, "resources"),
		}
	})
	merged := 0
	rapid.Check(t, func(t *rapid.T) {
		needs := rapid.SliceOfN(asked, 1, 12).Draw(t, "needs")
		size := rapid.SampledFrom([]int{130, 200, 6144}).Draw(t, "size")
		policies, err := iampolicy.Minimise(needs, iampolicy.Limit{Size: size, Policies: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var attached []iampolicy.Attached
		statements := 0
		for _, p := range policies {
			if p.Size() > size {
				t.Fatalf("%d characters: %s", p.Size(), p)
			}
			attached = append(attached, iampolicy.Attached{Policy: p})
			statements += len(p.Statements)
		}
		if statements < len(needs) {
			merged++
		}
		for _, action := range append(actions, "c:Other") {
			for _, resource := range append(resources, "arn:aws:c:::z", "*") {
				needed := slices.ContainsFunc(needs, func(n iampolicy.Need) bool {
					return iampolicy.MatchAction(n.Action, action) && slices.ContainsFunc(n.Resources, func(r string) bool { return iampolicy.MatchResource(r, resource) })
				})
				r := iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: action, Resource: resource, Owner: "111122223333"}
				if got := iampolicy.Evaluate(&r, &iampolicy.Policies{Identity: attached}).Allowed; got != needed {
					t.Fatalf("%s on %s is allowed: %v, needed: %v, by\n%v\nof %v", action, resource, got, needed, policies, needs)
				}
			}
		}
		shuffled := rapid.Permutation(needs).Draw(t, "shuffled")
		again, err := iampolicy.Minimise(shuffled, iampolicy.Limit{Size: size, Policies: 1000})
		if err != nil || fmt.Sprint(again) != fmt.Sprint(policies) {
			t.Fatalf("in another order: %v, %v\nwant %v", again, err, policies)
		}
	})
	if merged == 0 {
		t.Error("nothing was ever put together")
	}
}

// TestMinimisedIsNeverLongerThanThePlainWays compares with one statement for each
// need, duplicates left out.
func TestMinimisedIsNeverLongerThanThePlainWays(t *testing.T) {
	letters := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})
	rapid.Check(t, func(t *rapid.T) {
		plain := &iampolicy.Policy{Version: iampolicy.Version2012}
		var needs []iampolicy.Need
		byAction := map[string][]string{}
		for range rapid.IntRange(1, 20).Draw(t, "pairs") {
			action, resource := "svc:"+letters.Draw(t, "action"), "arn:aws:svc:::"+letters.Draw(t, "resource")
			needs = append(needs, need(action, resource))
			if !slices.Contains(byAction[action], resource) {
				byAction[action] = append(byAction[action], resource)
			}
		}
		for action, resources := range byAction {
			plain.Statements = append(plain.Statements, iampolicy.Statement{Effect: iampolicy.Allow, Actions: []string{action}, Resources: resources})
		}
		policies, err := iampolicy.Minimise(needs, managed)
		if err != nil || len(policies) != 1 {
			t.Fatal(policies, err)
		}
		if policies[0].Size() > plain.Size() {
			t.Fatalf("%s is longer than %s", policies[0], plain)
		}
	})
}

// TestStatementsOverlap has needs for which the smallest statements share what they
// allow, or take from each other what was put in twice.
func TestStatementsOverlap(t *testing.T) {
	for name, c := range map[string]struct{ needs, want string }{ // action letters, a colon, resource digits
		"two blocks that meet in one action": {"a:012 b:012 c:01234 d:234 e:234", "abc:012 cde:234"},
		"resources given up":                 {"a:01 b:023 c:02 d:02", "a:01 b:3 bcd:02"},
		"actions given up too":               {"a:023 b:03 c:0123 d:012", "a:2 abc:03 cd:012"},
	} {
		read := func(text string) (needs []iampolicy.Need, statements []iampolicy.Statement) {
			for _, word := range strings.Fields(text) {
				letters, digits, _ := strings.Cut(word, ":")
				s := iampolicy.Statement{Effect: iampolicy.Allow}
				for _, r := range digits {
					s.Resources = append(s.Resources, "arn:aws:service:::resource-"+string(r))
				}
				for _, a := range letters {
					s.Actions = append(s.Actions, "service:Action"+string(a))
					needs = append(needs, iampolicy.Need{Action: "service:Action" + string(a), Resources: s.Resources})
				}
				statements = append(statements, s)
			}
			return needs, statements
		}
		needs, _ := read(c.needs)
		_, statements := read(c.want)
		want := (&iampolicy.Policy{Version: iampolicy.Version2012, Statements: statements}).String()
		if got := minimise(t, managed, needs...); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}
