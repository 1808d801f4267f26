package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood/awsapi"
)

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// coldStart runs the sandbox of a program until its first answer, and says how
// long that took from the process's start, and how much memory it has had at most,
// in KiB; 0 where the system doesn't tell.
func coldStart(tb testing.TB, program string, catalog *awsapi.Catalog) (time.Duration, int) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "sandbox")
	cmd.Env = []string{"HOME=" + tb.TempDir()}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	defer func() {
		cancel()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait() // it was killed
	}()
	exports := map[string]string{}
	for lines := bufio.NewScanner(out); len(exports) < 6 && lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		exports[name] = value
	}
	client, err := awsapi.New(awsapi.Config{Catalog: catalog, Region: exports["AWS_REGION"], EndpointURL: exports["AWS_ENDPOINT_URL"],
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: exports["AWS_ACCESS_KEY_ID"], SecretAccessKey: exports["AWS_SECRET_ACCESS_KEY"]}, nil
		})})
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := client.Call(ctx, "sts", "GetCallerIdentity", nil); err != nil {
		tb.Fatal(err)
	}
	took := time.Since(begun)
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)) // there is none but on Linux
	kib := 0
	if m := highWater.FindSubmatch(status); m != nil {
		kib, _ = strconv.Atoi(string(m[1])) // digits
	}
	return took, kib
}

func buildProgram(tb testing.TB) (string, *awsapi.Catalog) {
	tb.Helper()
	program := filepath.Join(tb.TempDir(), "knowngood")
	if out, err := exec.CommandContext(tb.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := catalog.Operation("sts", "GetCallerIdentity"); err != nil { // the client is warm
		tb.Fatal(err)
	}
	return program, catalog
}

// The time is the benchmark's to judge, for the machine may be busy; memory is not.
func TestAColdSandboxIsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the program")
	}
	program, catalog := buildProgram(t)
	// The kernel maps more or fewer of the program's pages around those that are used,
	// by what it has in memory already: the least of a few starts is the program's own
	// doing.
	took, kib := coldStart(t, program, catalog)
	for range 4 {
		if again, less := coldStart(t, program, catalog); less < kib {
			took, kib = again, less
		}
	}
	if kib == 0 {
		t.Skip("this system does not tell how much memory a process has had")
	}
	t.Logf("first answer after %v, with %.1f MiB", took.Round(time.Millisecond), float64(kib)/1024)
	if kib > 40<<10 {
		t.Errorf("the first answer took %.1f MiB, want 40", float64(kib)/1024)
	}
}

func BenchmarkColdSandbox(b *testing.B) {
	program, catalog := buildProgram(b)
	var total time.Duration
	most := 0
	for b.Loop() {
		took, kib := coldStart(b, program, catalog)
		total += took
		most = max(most, kib)
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/start")
	b.ReportMetric(float64(most)/1024, "MiB")
}
