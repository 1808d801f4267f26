package sandbox

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood/awsapi"
)

// fleet is a sandbox with n tagged volumes.
func fleet(b *testing.B, n int) *Sandbox {
	b.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Catalog: catalog})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		in := object{"AvailabilityZone": "eu-west-1a", "Size": int64(8 + i%100), "VolumeType": "gp3", "TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{
			object{"Key": "Name", "Value": fmt.Sprint("volume-", i)}, object{"Key": "Owner", "Value": "shop@acme.example"}, object{"Key": "Environment", "Value": "production"}}}}}
		if _, err := s.Call(b.Context(), Request{Service: "ec2", Operation: "CreateVolume", AccessKeyID: OperatorKey, Input: in}); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// overLoopback serves a sandbox over HTTP and gives a client of it.
func overLoopback(b *testing.B, s *Sandbox) *awsapi.Client {
	b.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	b.Cleanup(server.Close)
	c, err := awsapi.New(awsapi.Config{Catalog: s.catalog, Region: s.region, EndpointURL: server.URL, HTTPClient: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: OperatorKey, SecretAccessKey: operatorSecret}, nil
		})})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// perCall reports what a call costs: how many there are in a second, and the
// processor time of the whole process, which tells more on a busy machine. Over
// loopback the client's share is in it.
func perCall(b *testing.B, run func()) {
	b.Helper()
	before := processorTime(b)
	run()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/call")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDescribe5000VolumesOverLoopback(b *testing.B) {
	c := overLoopback(b, fleet(b, 5000))
	perCall(b, func() { describeAll(b, c) })
}

func describeAll(b *testing.B, c *awsapi.Client) {
	b.Helper()
	for b.Loop() {
		out, err := c.Call(b.Context(), "ec2", "DescribeVolumes", nil)
		if err != nil || len(out["Volumes"].([]any)) != 5000 {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	s := fleet(b, 5000)
	out, err := s.Call(b.Context(), Request{Service: "ec2", Operation: "DescribeVolumes", AccessKeyID: OperatorKey, Input: object{"MaxResults": int64(5)}})
	if err != nil {
		b.Fatal(err)
	}
	id := out["Volumes"].([]any)[0].(object)["VolumeId"]
	for _, c := range []struct {
		operation string
		in        object
	}{
		{"DescribeVolumes", object{"VolumeIds": []any{id}}},
		{"GetEbsEncryptionByDefault", nil},
		{"CreateTags", object{"Resources": []any{id}, "Tags": []any{object{"Key": "a", "Value": "b"}}}},
	} {
		b.Run(c.operation, func(b *testing.B) {
			perCall(b, func() {
				for b.Loop() {
					if _, err := s.Call(b.Context(), Request{Service: "ec2", Operation: c.operation, AccessKeyID: OperatorKey, Input: c.in}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkCallOverLoopback(b *testing.B) {
	s := fleet(b, 100)
	c := overLoopback(b, s)
	perCall(b, func() {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := c.Call(b.Context(), "ec2", "GetEbsEncryptionByDefault", nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkColdStart measures a process of its own that makes a sandbox and one
// call, and the most memory that it had from the system.
func BenchmarkColdStart(b *testing.B) {
	if os.Getenv("SANDBOX_COLD_START") != "" {
		catalog, err := awsapi.Embedded()
		if err != nil {
			b.Fatal(err)
		}
		s, err := New(Options{Catalog: catalog})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Call(b.Context(), Request{Service: "ec2", Operation: "DescribeVpcs", AccessKeyID: OperatorKey}); err != nil {
			b.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintf(os.Stderr, "cold %d\n", m.Sys)
		os.Exit(0) // the rest of the test binary's work isn't the sandbox's
	}
	var sys int64
	var took, busy time.Duration
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkColdStart$", "-test.benchtime=1x")
		cmd.Env = append(os.Environ(), "SANDBOX_COLD_START=1")
		start := time.Now()
		out, err := cmd.CombinedOutput()
		took += time.Since(start)
		busy += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		_, text, ok := strings.Cut(string(out), "cold ")
		if err != nil || !ok {
			b.Fatalf("%v\n%s", err, out)
		}
		text, _, _ = strings.Cut(text, "\n")
		if sys, err = strconv.ParseInt(text, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/start")
	b.ReportMetric(float64(busy.Milliseconds())/float64(b.N), "cpu-ms/start")
	b.ReportMetric(float64(sys)/(1<<20), "MiB")
}
