package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// botocore's own cases are in its source tree, which its package does not have.
// KNOWNGOOD_BOTOCORE_SOURCE names a checkout; the rules are taken from there
// too, since cases and rules change together.
func TestBotocoresEndpointCases(t *testing.T) {
	source := os.Getenv("KNOWNGOOD_BOTOCORE_SOURCE")
	if source == "" {
		t.Skip("KNOWNGOOD_BOTOCORE_SOURCE does not name a checkout of botocore")
	}
	raw, manifest, err := CompilePack(os.DirFS(filepath.Join(source, "botocore")))
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenPack(raw)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(source, "tests/functional/endpoint-rules/*/endpoint-tests-1.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases under %s: %v", source, err)
	}
	cases := 0
	for _, file := range files {
		service := filepath.Base(filepath.Dir(file))
		n, err := runEndpointCases(c, service, file, t.Errorf)
		if err != nil {
			t.Errorf("%s: %v", service, err)
		}
		cases += n
	}
	t.Logf("botocore %s: %d files, %d cases", manifest.Botocore, len(files), cases)
	if cases == 0 {
		t.Error("the files have no cases")
	}
}

func runEndpointCases(c *Catalog, service, file string, report func(string, ...any)) (int, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var doc struct {
		TestCases []struct {
			Documentation string
			Params        EndpointParams
			Expect        struct {
				Error    string
				Endpoint *struct {
					URL        string
					Headers    map[string][]string
					Properties map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return 0, err
	}
	for _, test := range doc.TestCases {
		what := fmt.Sprintf("%s %s %v", service, test.Documentation, test.Params)
		ep, err := c.ResolveEndpoint(service, test.Params)
		if test.Expect.Endpoint == nil {
			var refused *EndpointError
			if !errors.As(err, &refused) || refused.Message != test.Expect.Error {
				report("%s: %v, %v; want the error %q", what, ep, err, test.Expect.Error)
			}
			continue
		}
		want := test.Expect.Endpoint
		if err != nil || ep.URL != want.URL {
			report("%s: %s, %v; want %s", what, ep.URL, err, want.URL)
			continue
		}
		if len(ep.Headers) != len(want.Headers) {
			report("%s: headers %v, want %v", what, ep.Headers, want.Headers)
		}
		for name, values := range want.Headers {
			if got := ep.Headers.Values(name); !reflect.DeepEqual(got, values) {
				report("%s: header %s is %v, want %v", what, name, got, values)
			}
		}
		if (len(ep.Properties) > 0 || len(want.Properties) > 0) && !reflect.DeepEqual(ep.Properties, want.Properties) {
			report("%s: properties %v, want %v", what, ep.Properties, want.Properties)
		}
	}
	return len(doc.TestCases), nil
}
