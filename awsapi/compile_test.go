package awsapi

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// miniBotocore is a package folder with one service in two versions, the newer
// one compressed, with extras.
func miniBotocore(t *testing.T) fstest.MapFS {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	newer := strings.ReplaceAll(testModel, "2020-01-01", "2021-01-01")
	if _, err := w.Write([]byte(newer)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"__init__.py":                                       file("import os\n\n__version__ = '9.8.7'\n"),
		"data/partitions.json":                              file(`{"partitions": [{"id": "aws", "regionRegex": "^x", "regions": {}, "outputs": {}}]}`),
		"data/endpoints.json":                               file(`{}`),
		"data/test/2020-01-01/service-2.json":               file(testModel),
		"data/test/2021-01-01/service-2.json.gz":            {Data: z.Bytes()},
		"data/test/2021-01-01/service-2.sdk-extras.json":    file(`{"version": 1.0, "merge": {"shapes": {"Text": {"type": "timestamp"}, "New": {"type": "string"}}}}`),
		"data/test/2021-01-01/paginators-1.json":            file(`{"pagination": {"Do": {"input_token": "Token", "output_token": ["Next"], "result_key": "Items"}}}`),
		"data/test/2021-01-01/paginators-1.sdk-extras.json": file(`{"merge": {"pagination": {"Do": {"non_aggregate_keys": ["Total"]}}}}`),
		"data/test/2021-01-01/waiters-2.json": file(`{"version": 2, "waiters": {"Done": {"operation": "Do", "delay": 5, "maxAttempts": 3,
			"acceptors": [{"matcher": "status", "expected": 200, "state": "success"}]}}}`),
		"data/empty/2020-01-01/examples-1.json": file(`{}`),
	}
}

func TestCompileTakesTheNewestVersionWithItsExtras(t *testing.T) {
	raw, manifest, err := CompilePack(miniBotocore(t))
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Botocore != "9.8.7" || manifest.Services != 1 || manifest.Operations != 2 || len(manifest.SHA256) != 64 {
		t.Errorf("manifest %+v", manifest)
	}
	c, err := OpenPack(raw)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Service("test")
	if err != nil {
		t.Fatal(err)
	}
	if s.APIVersion != "2021-01-01" {
		t.Errorf("version %s", s.APIVersion)
	}
	if sh := s.Shape("Text"); sh == nil || sh.Type != Timestamp {
		t.Errorf("the extras did not change Text: %+v", sh)
	}
	if s.Shape("New") == nil {
		t.Error("the extras did not add New")
	}
	op, err := s.Operation("Do")
	if err != nil {
		t.Fatal(err)
	}
	if got := memberNames(op.Input); !slices.Equal(got[:4], []string{"Name", "Token", "Count", "Big"}) {
		t.Errorf("the members lost their order: %v", got)
	}
	if member, ok := op.IdempotencyToken(); !ok || member != "Token" {
		t.Errorf("idempotency token %q, %v", member, ok)
	}
	p, ok := s.Paginator("Do")
	if !ok || !slices.Equal(p.InputToken, []string{"Token"}) || !slices.Equal(p.NonAggregate, []string{"Total"}) {
		t.Errorf("paginator %+v", p)
	}
	w, err := s.Waiter("done")
	if err != nil || w.MaxAttempts != 3 || w.Acceptors[0].Expected != 200.0 {
		t.Errorf("waiter %+v, %v", w, err)
	}
	again, _, err := CompilePack(miniBotocore(t))
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("the same input gave other bytes: %v", err)
	}
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		file, text, want string
	}{
		"no version":    {"__init__.py", "x", "names no version"},
		"not JSON":      {"data/test/2021-01-01/service-2.json", "{", "model of test"},
		"no partitions": {"data/partitions.json", "", "partitions"},
		"bad extras":    {"data/test/2021-01-01/service-2.sdk-extras.json", "[", "sdk-extras"},
		"bad protocol":  {"data/test/2021-01-01/service-2.json", `{"metadata": {"protocol": "gopher"}}`, `unknown protocol "gopher"`},
		"bad shape":     {"data/test/2021-01-01/service-2.json", `{"metadata": {"protocol": "json"}, "shapes": {"A": {"type": "list"}}}`, "shape A"},
		"bad reference": {"data/test/2021-01-01/service-2.json", `{"metadata": {"protocol": "json"}, "operations": {"A": {"input": {"shape": "B"}}}}`, `unknown shape "B"`},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := miniBotocore(t)
			fsys[test.file] = &fstest.MapFile{Data: []byte(test.text)}
			if strings.HasSuffix(test.file, "service-2.json") {
				delete(fsys, "data/test/2021-01-01/service-2.sdk-extras.json")
			}
			if _, _, err := CompilePack(fsys); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// Two operations may differ in nothing but case; then only the exact names do.
func TestAmbiguousNamesAreRefused(t *testing.T) {
	model := `{"metadata": {"protocol": "json"}, "operations": {"GetID": {"http": {}}, "GetId": {"http": {}}, "GetX": {"http": {}}}}`
	s, err := ParseService("test", Source{Service: []byte(model)})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"GetID": "GetID", "GetId": "GetId", "get_x": "GetX", "get_id": ""} {
		op, err := s.Operation(name)
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "GetID, GetId")):
			t.Errorf("%s: %v", name, err)
		case want != "" && (err != nil || op.Name != want):
			t.Errorf("%s: %v, %v", name, op, err)
		}
	}
}

// The SDKs' names of all operations lead back to them.
func TestEveryOperationResolvesFromItsPythonName(t *testing.T) {
	c := embeddedCatalog(t)
	for _, service := range []string{"ec2", "s3", "iam", "cloudfront", "rds", "ssm"} {
		s, err := c.Service(service)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range s.Operations() {
			if op, err := s.Operation(snakeCase(name)); err != nil || op.Name != name {
				t.Errorf("%s %s as %s: %v", service, name, snakeCase(name), err)
			}
		}
	}
}

// snakeCase puts an underscore before each capital, which is more of them than
// botocore's xform_name puts; the look-up takes none as many.
func snakeCase(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
