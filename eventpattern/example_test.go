package eventpattern_test

import (
	"fmt"
	"log"

	"github.com/knowngood/knowngood/eventpattern"
)

const stopped = `{"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification",
 "detail": {"instance-id": "i-0123456789", "state": "stopped"}}`

func Example() {
	p, err := eventpattern.Compile([]byte(`{"source": ["aws.ec2"], "detail": {"state": [{"anything-but": "running"}]}}`))
	if err != nil {
		log.Fatal(err)
	}
	ok, err := p.Match([]byte(stopped))
	fmt.Println(ok, err)
	// Output: true <nil>
}

func ExampleCompile_errors() {
	_, err := eventpattern.Compile([]byte(`{
  "source": [],
  "detail": {"state": [{"startsWith": "run"}], "count": [{"numeric": [">", 5, "<", 1]}]}
}`))
	fmt.Println(err)
	// Output:
	// line 2, column 13: source: an empty list; expected values
	// line 3, column 25: detail.state: there is no operator "startsWith" here; expected one of prefix, suffix, equals-ignore-case, wildcard, anything-but, numeric, exists, cidr
	// line 3, column 84: detail.count: the range is empty; expected a number above 5
}

func ExamplePattern_Explain() {
	p, err := eventpattern.Compile([]byte(`{"source": ["aws.ec2"], "detail": {"state": ["running", "pending"]}}`))
	if err != nil {
		log.Fatal(err)
	}
	why, err := p.Explain([]byte(stopped))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(why)
	// Output:
	// no match
	//   no  detail.state: no value is one of those wanted; got "stopped", want ["running", "pending"] (line 1, column 45)
	//   ok  source: got "aws.ec2"
}

func ExampleSet() {
	rule := func(id, pattern string) eventpattern.Rule[string] {
		p, err := eventpattern.Compile([]byte(pattern))
		if err != nil {
			log.Fatal(err)
		}
		return eventpattern.Rule[string]{ID: id, Pattern: p}
	}
	set := eventpattern.NewSet(
		rule("instances", `{"source": ["aws.ec2"]}`),
		rule("buckets", `{"source": ["aws.s3"]}`),
		rule("stops", `{"detail": {"state": [{"prefix": "stop"}]}}`))
	fmt.Println(set.Match([]byte(stopped)))
	// Output: [instances stops] <nil>
}

func ExampleTargetInput() {
	t, err := eventpattern.TargetInput{InputTransformer: &eventpattern.InputTransformer{
		InputPathsMap: map[string]string{"instance": "$.detail.instance-id", "state": "$.detail.state"},
		InputTemplate: `{"id": <instance>, "text": "<instance> is <state>, says <aws.events.rule-name>"}`,
	}}.Compile()
	if err != nil {
		log.Fatal(err)
	}
	out, err := t.Apply([]byte(stopped), eventpattern.Variables{RuleName: "stops"})
	fmt.Println(string(out), err)
	// Output: {"id": "i-0123456789", "text": "i-0123456789 is stopped, says stops"} <nil>
}
