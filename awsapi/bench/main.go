// Command bench measures what a call costs with awsapi, with the typed clients of
// aws-sdk-go-v2 and with boto3, against one loopback server with canned answers.
//
//	go run . [-rounds 9] [-slice 300ms]
//
// Each contender is a process of its own and measures its own CPU time, user and
// system, so neither the server nor what else the machine does is in the figures.
// They take turns, and the medians of the rounds are compared. The exit status is
// 1 if awsapi misses a bar. Where there is no python3 with boto3, its part is left
// out, and a line says so.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"
)

// bar is what awsapi must reach against another contender: its CPU time per call
// times Times must not exceed the other's.
type bar struct {
	against string
	times   float64
}

// scenario is one kind of call.
type scenario struct {
	name, title string
	items       int // what each call must give
	contenders  []string
	bars        []bar
}

var scenarios = []scenario{
	{"DescribeVolumes", "ec2 DescribeVolumes, 1,000 volumes", 1000, []string{"awsapi", "typed", "boto3"}, []bar{{"boto3", 20}, {"typed", 5}}},
	{"Scan", "dynamodb Scan, 1,000 items", 1000, []string{"awsapi", "typed", "boto3"}, []bar{{"boto3", 6}, {"typed", 1 / 1.5}}},
	{"GetCallerIdentity", "sts GetCallerIdentity", 1, []string{"awsapi", "typed", "boto3"}, []bar{{"boto3", 4}, {"typed", 1}}},
	{"ParseXML", "the XML of 1,000 volumes into maps; xml: tokens of encoding/xml", 1000, []string{"awsapi", "xml"}, []bar{{"xml", 4}}},
}

func main() {
	if name := os.Getenv(contenderVariable); name != "" {
		fatal(serve(name, os.Stdin, os.Stdout))
		return
	}
	rounds := flag.Int("rounds", 9, "how often each contender's turn comes in each scenario")
	slice := flag.Duration("slice", 300*time.Millisecond, "CPU time of a turn, at least")
	flag.Parse()
	met, err := run(*rounds, *slice)
	fatal(err)
	if !met {
		os.Exit(1)
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures all scenarios and prints the table. met is whether no bar is missed.
func run(rounds int, slice time.Duration) (met bool, err error) {
	url, stop, err := startServer()
	if err != nil {
		return false, err
	}
	defer stop()
	contenders := map[string]*process{}
	for _, name := range []string{"awsapi", "typed", "xml", "boto3"} {
		p, err := startContender(name, url)
		if err != nil && name == "boto3" {
			fmt.Printf("boto3 is left out: %v\n", err)
			continue
		}
		if err != nil {
			return false, err
		}
		defer p.stop()
		contenders[name] = p
	}
	met = true
	for _, s := range scenarios {
		medians, err := measure(s, contenders, rounds, slice)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
		met = report(s, medians) && met
	}
	return met, nil
}

// measure gives each contender's median CPU time per call.
func measure(s scenario, contenders map[string]*process, rounds int, slice time.Duration) (map[string]time.Duration, error) {
	times := map[string][]time.Duration{}
	for round := range rounds + 1 {
		for _, name := range s.contenders {
			p := contenders[name]
			if p == nil {
				continue
			}
			d, err := p.turn(s, slice)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if round > 0 { // the first is for warming up
				times[name] = append(times[name], d)
			}
		}
	}
	medians := map[string]time.Duration{}
	for name, t := range times {
		slices.Sort(t)
		medians[name] = t[len(t)/2]
	}
	return medians, nil
}

// report prints a scenario's lines, and says whether its bars are met.
func report(s scenario, medians map[string]time.Duration) bool {
	fmt.Println(s.title)
	met := true
	for _, name := range s.contenders {
		median, ok := medians[name]
		if !ok {
			continue
		}
		fmt.Printf("  %-8s %12.1f µs CPU per call", name, float64(median)/1e3)
		if name != "awsapi" {
			fmt.Printf(" %8.2fx awsapi's", float64(median)/float64(medians["awsapi"]))
		}
		for _, b := range s.bars {
			if b.against != name {
				continue
			}
			verdict := "met"
			if float64(median) < b.times*float64(medians["awsapi"]) {
				verdict, met = "MISSED", false
			}
			fmt.Printf("  (at least %.2fx: %s)", b.times, verdict)
		}
		fmt.Println()
	}
	return met
}
