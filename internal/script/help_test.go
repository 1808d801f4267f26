package script

import (
	"context"
	"errors"
	"net/http"
	"time"

	"archive/zip"
	"bytes"
	"encoding/json"
	"github.com/knowngood/knowngood/awsapi"
	"testing"
)

func jsonText(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func zipOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for name, text := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// Call implements awsapi.Caller.
func (c ticking) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if operation == "PutParameter" {
		c.clock.Advance(time.Minute)
	}
	return c.bench.Call(ctx, service, operation, in, opts...)
}

// refusing is a run whose plan does not have DeleteParameter.
type refusing struct{ *bench }

// Call implements awsapi.Caller.
func (c refusing) Call(ctx context.Context, service, operation string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	if operation == "DeleteParameter" {
		return nil, errors.New("it is not in the plan")
	}
	return c.bench.Call(ctx, service, operation, in, opts...)
}

// outsideFunc is a way to other hosts that only fails.
func outsideFunc(f func() error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, f() }
}
