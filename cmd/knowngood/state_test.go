package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood/awsapi"
)

// box is a sandbox in a process of its own.
type box struct {
	*process
	endpoint string
	env      map[string]string
}

func startBox(t *testing.T, args ...string) *box {
	t.Helper()
	r, w := io.Pipe()
	b := &box{process: &process{t: t}, env: map[string]string{}}
	b.begin(w, nil, append([]string{"sandbox"}, args...)...)
	for lines := bufio.NewScanner(r); len(b.env) < 6 && lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		b.env[name] = value
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	if b.endpoint = b.env["AWS_ENDPOINT_URL"]; b.endpoint == "" {
		<-b.done
		t.Fatalf("it exports no endpoint: %v\n%s", b.env, &b.errs)
	}
	return b
}

// volumes counts those that a sandbox has, after making some more.
func (b *box) volumes(endpoint string, more int) int {
	b.t.Helper()
	catalog, err := awsapi.Embedded()
	if err != nil {
		b.t.Fatal(err)
	}
	c, err := awsapi.New(awsapi.Config{Catalog: catalog, Region: b.env["AWS_REGION"], EndpointURL: endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: b.env["AWS_ACCESS_KEY_ID"], SecretAccessKey: b.env["AWS_SECRET_ACCESS_KEY"]}, nil
		})})
	if err != nil {
		b.t.Fatal(err)
	}
	for range more {
		if _, err := c.Call(b.t.Context(), "ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": 1}); err != nil {
			b.t.Fatal(err)
		}
	}
	out, err := c.Call(b.t.Context(), "ec2", "DescribeVolumes", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return len(out["Volumes"].([]any))
}

// ask makes a request of the control API.
func (b *box) ask(method, endpoint, path string) object {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, endpoint+"/_knowngood/"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: %s, %v, %v", method, path, resp.Status, out, err)
	}
	return out
}

func TestASandboxesStateOutlivesIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "estate.json")
	first := startBox(t, "--speed", "0", "--scenario", "demo", "--state", file)
	began := first.volumes(first.endpoint, 0)
	if began < 5 {
		t.Fatalf("the demo has %d volumes", began)
	}
	first.volumes(first.endpoint, 2)
	fork := first.ask(http.MethodPost, first.endpoint, "fork")["endpoint"].(string)
	if n := first.volumes(fork, 3); n != began+5 {
		t.Errorf("the fork has %d volumes, want %d", n, began+5)
	}
	first.ask(http.MethodPost, first.endpoint, "save")
	if n := first.volumes(first.endpoint, 1); n != began+3 {
		t.Errorf("beside its fork the sandbox has %d volumes, want %d", n, began+3)
	}
	first.ask(http.MethodDelete, fork, "fork")
	time := first.ask(http.MethodGet, first.endpoint, "clock")["now"]
	first.kill() // what came after save is lost, and nothing else

	second := startBox(t, "--speed", "0", "--scenario", "startup", "--state", file)
	if n := second.volumes(second.endpoint, 4); n != began+6 {
		t.Errorf("after a kill there are %d volumes, want those that were saved and 4 new: %d", n, began+6)
	}
	if now := second.ask(http.MethodGet, second.endpoint, "clock")["now"]; now != time {
		t.Errorf("time went on from %v to %v", time, now)
	}
	second.interrupt()
	second.ends(0)

	third := startBox(t, "--state", file) // on a clock that runs
	if n := third.volumes(third.endpoint, 0); n != began+6 {
		t.Errorf("after an end in order there are %d volumes, want %d", n, began+6)
	}
	third.volumes(third.endpoint, 1)
	third.ask(http.MethodPost, third.endpoint, "reset")
	if n := third.volumes(third.endpoint, 0); n != began+6 {
		t.Errorf("after a reset there are %d volumes, want %d", n, began+6)
	}
}

func TestAStateThatCantBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "estate.json")
	if err := os.WriteFile(file, []byte(`{"version": 99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "sandbox", "--state", file)
	p.ends(2)
	if got := p.errs.String(); !strings.Contains(got, "hint: move it away to begin anew") {
		t.Errorf("%s", got)
	}
}
