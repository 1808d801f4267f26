// Package mototest runs moto for tests: a server by others that answers as AWS does,
// so that our client, our engine and our sandbox can't share one misunderstanding.
package mototest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"
)

// program is what moto's Python package installs.
const program = "moto_server"

// Missing says why moto can't be run here; empty: it can be.
func Missing() string {
	if _, err := exec.LookPath(program); err != nil {
		return program + " is not installed"
	}
	return ""
}

// Start runs a server of its own for the test, on a free port of 127.0.0.1, until
// the test has ended, and gives its URL. env are settings of moto, "NAME=value". Where
// moto is not installed, or not whole, the test is skipped, and says so.
func Start(t testing.TB, env ...string) (url string) {
	t.Helper()
	if testing.Short() {
		t.Skip("moto takes seconds to start")
	}
	if why := Missing(); why != "" {
		t.Skip(why)
	}
	address, err := freeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-H", address.IP.String(), "-p", fmt.Sprint(address.Port))
	cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })
	url = "http://" + address.String()
	for range 600 {
		select {
		case err := <-exited:
			exited <- err
			t.Skipf("%s does not start: %v\n%s", program, err, output.Bytes())
		case <-time.After(100 * time.Millisecond):
		}
		if resp, err := http.Get(url + "/moto-api/"); err == nil {
			resp.Body.Close()
			return url
		}
	}
	t.Fatalf("%s does not answer", program)
	return ""
}

// freeAddress is an address that nobody listens on, as far as can be told.
func freeAddress(ctx context.Context) (*net.TCPAddr, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return listener.Addr().(*net.TCPAddr), listener.Close()
}
