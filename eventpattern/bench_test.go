package eventpattern

import (
	"encoding/json"
	"fmt"
	"testing"
)

// callEvent is of the size and shape of an API call that CloudTrail records.
func callEvent(service, name string) []byte {
	return fmt.Appendf(nil, `{"version": "0", "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "detail-type": "AWS API Call via CloudTrail", "source": "aws.%s",
"account": "111122223333", "time": "2026-12-22T18:43:48Z", "region": "eu-west-1", "resources": [], "detail": {"eventVersion": "1.08",
"userIdentity": {"type": "AssumedRole", "principalId": "AROAEXAMPLE:session", "arn": "arn:aws:sts::111122223333:assumed-role/admin/session",
"accountId": "111122223333", "sessionContext": {"sessionIssuer": {"type": "Role", "arn": "arn:aws:iam::111122223333:role/admin", "userName": "admin"},
"attributes": {"creationDate": "2026-12-22T18:00:00Z", "mfaAuthenticated": "false"}}}, "eventTime": "2026-12-22T18:43:48Z",
"eventSource": "%s.amazonaws.com", "eventName": "%s", "awsRegion": "eu-west-1", "sourceIPAddress": "10.1.2.3", "userAgent": "aws-cli/2.15",
"requestParameters": {"instancesSet": {"items": [{"instanceId": "i-0a"}, {"instanceId": "i-0b"}]}, "size": 42}, "responseElements": null,
"readOnly": false, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333"}}`, service, service, name)
}

// callRules are rules as accounts have them: of some services, each for a call.
func callRules(b *testing.B, n int) []Rule[int] {
	rules := make([]Rule[int], n)
	for i := range rules {
		pattern := fmt.Sprintf(`{"source": ["aws.s%d"], "detail-type": ["AWS API Call via CloudTrail"], "detail": {"eventName": ["Call%d", {"prefix": "Delete%d"}],
"userIdentity": {"type": [{"anything-but": "Root"}]}, "requestParameters": {"size": [{"numeric": [">", %d]}]}}}`, i%20, i, i, i%50)
		rules[i] = Rule[int]{i, mustCompile(b, pattern)}
	}
	return rules
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkMatch(b *testing.B) {
	p := callRules(b, 8)[7].Pattern
	event := callEvent("s7", "Call7")
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Match(event); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	perEvent(b)
}

// BenchmarkSet matches an event against sets of many rules, of which one matches.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			set := NewSet(callRules(b, n)...)
			event := callEvent("s7", "Call7")
			var ids []int
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if ids, err = set.AppendMatch(ids[:0], event); len(ids) != 1 || err != nil {
					b.Fatal(ids, err)
				}
			}
			perEvent(b)
		})
	}
}

// BenchmarkSetKinds matches against 1000 rules that differ in one operator.
func BenchmarkSetKinds(b *testing.B) {
	for name, list := range map[string]string{
		"exact": `["Call%d"]`, "prefix": `[{"prefix": "Call%d"}]`, "suffix": `[{"suffix": "all%d"}]`, "fold": `[{"equals-ignore-case": "cALL%d"}]`,
		"wildcard": `[{"wildcard": "Call%d*"}]`, "wildcards": `[{"wildcard": "*l%d*"}]`, "anything-but": `[{"anything-but": ["Call7", "x%d"]}]`,
	} {
		b.Run(name, func(b *testing.B) {
			var rules []Rule[int]
			for i := range 1000 {
				rules = append(rules, Rule[int]{i, mustCompile(b, fmt.Sprintf(`{"source": ["aws.ec2"], "detail": {"eventName": `+list+`}}`, i))})
			}
			set := NewSet(rules...)
			event := callEvent("ec2", "Call7")
			var ids []int
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if ids, err = set.AppendMatch(ids[:0], event); err != nil {
					b.Fatal(err)
				}
			}
			perEvent(b)
		})
	}
}

func BenchmarkNewSet(b *testing.B) {
	rules := callRules(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		NewSet(rules...)
	}
}

func BenchmarkCompile(b *testing.B) {
	pattern := []byte(`{"source": ["aws.ec2"], "detail": {"state": [{"anything-but": "running"}], "path": [{"wildcard": "/usr/*/bin/*"}]}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(pattern); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTransform(b *testing.B) {
	tr, err := TargetInput{InputTransformer: &InputTransformer{InputPathsMap: thePaths, InputTemplate: `{"i": <instance>, "s": "<instance> is <state>", "p": <payload>}`}}.Compile()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tr.Apply([]byte(theEvent), theVariables); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCorpus has the performance scenarios of event-ruler at their largest,
// and its event of 256 kB.
func BenchmarkCorpus(b *testing.B) {
	run := func(name string, rule, event []byte, want bool) {
		p := mustCompile(b, string(rule))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := p.Match(event); ok != want || err != nil {
					b.Fatal(ok, err)
				}
			}
			perEvent(b)
		})
	}
	run("bigEvent", corpusFile(b, "bigEventRule.json"), corpusFile(b, "bigEvent.json"), true)
	for _, s := range corpusJSON[[]scenario](b, "perf-scenarios.json") {
		n := s.Sizes[len(s.Sizes)-1]
		event, err := json.Marshal(scenarioEvents[s.Generator](n))
		if err != nil {
			b.Fatal(err)
		}
		run(fmt.Sprintf("%s/%d", s.Name, n), s.Rule, event, s.ExpectedMatches > 0)
	}
}
