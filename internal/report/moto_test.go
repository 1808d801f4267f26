package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/report"
)

// TestASFFOnMoto imports the findings into an AWS by others.
func TestASFFOnMoto(t *testing.T) {
	if _, err := exec.LookPath("moto_server"); err != nil {
		t.Skip("moto_server is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	server := exec.CommandContext(t.Context(), "moto_server", "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	server.Stdout, server.Stderr = io.Discard, io.Discard
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() }) //nolint:errcheck // it is killed
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	for tries := 0; ; tries++ {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			break
		}
		if tries == 300 {
			t.Fatalf("moto does not answer: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range scans() {
		sent, imported := 0, int64(0)
		for _, line := range bytes.Split(bytes.TrimSuffix(written(t, report.ASFF, s), []byte("\n")), []byte("\n")) {
			var in map[string]any
			if err := json.Unmarshal(line, &in); err != nil {
				t.Fatal(err)
			}
			list := in["Findings"].([]any)
			sent += len(list)
			client, err := awsapi.New(awsapi.Config{Catalog: catalog, EndpointURL: url, Region: list[0].(map[string]any)["Region"].(string), Credentials: awsapi.StaticCredentials("x", "y", "")})
			if err != nil {
				t.Fatal(err)
			}
			out, err := client.Call(t.Context(), "securityhub", "BatchImportFindings", in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n, _ := out["SuccessCount"].(int64)
			imported += n
		}
		if imported != int64(sent) || sent != len(report.New(s).Results) {
			t.Errorf("%s: %d imported of %d", name, imported, sent)
		}
		t.Logf("%s: %d of %d findings imported", name, imported, sent)
	}
}
