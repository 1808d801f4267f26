package app_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/app"
)

func TestVersionNamesTheModels(t *testing.T) {
	var out, errs bytes.Buffer
	if code := app.Main(t.Context(), []string{"version"}, app.Streams{Out: &out, Err: &errs}); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	if !strings.Contains(out.String(), "models of botocore 1.") {
		t.Errorf("%s", &out)
	}
}

func TestUsageErrorsExit2(t *testing.T) {
	for _, args := range [][]string{{"no-such-command"}, {"sandbox", "--no-such-flag"}, {"sandbox", "--port", "70000"}} {
		var out, errs bytes.Buffer
		if code := app.Main(t.Context(), args, app.Streams{Out: &out, Err: &errs}); code != 2 || !strings.HasPrefix(errs.String(), "error:") {
			t.Errorf("%v: exit %d, %s", args, code, &errs)
		}
	}
}

func TestSandboxPrintsItsExportsServesAndStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- app.Main(ctx, []string{"sandbox", "--scenario", "demo"}, app.Streams{Out: w, Err: io.Discard})
	}()
	exports := map[string]string{}
	lines := bufio.NewScanner(r)
	for len(exports) < 6 && lines.Scan() {
		name, value, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "export "), "=")
		if !ok {
			t.Fatalf("not an export: %q", lines.Text())
		}
		exports[name] = value
	}
	url := exports["AWS_ENDPOINT_URL"]
	if !strings.HasPrefix(url, "http://127.0.0.1:") {
		t.Fatalf("%v", exports)
	}
	resp, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity&Version=2011-06-15"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request: status %d", resp.StatusCode)
	}
	// The exports lead knowngood to the scenario's account.
	for name, value := range exports {
		t.Setenv(name, value)
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	if out, _ := knowngood(t, 3, "scan", "--state", t.TempDir()); !strings.Contains(out, "acme-invoices") {
		t.Errorf("%s", out)
	}
	cancel()
	if code := <-exit; code != 0 {
		t.Errorf("exit %d", code)
	}
}
