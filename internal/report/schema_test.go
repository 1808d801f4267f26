package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/report"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// scans are what every schema is tried on.
func scans() map[string]report.Scan {
	clean := estate()
	clean.Verdicts, clean.Findings, clean.Unreadable = clean.Verdicts[:1], nil, nil
	clean.Rules = clean.Rules[:1]
	return map[string]report.Scan{"estate": estate(), "hostile": nasty(), "clean": clean, "many": many(2500)}
}

// many is a scan with n findings, and as many passes.
func many(n int) report.Scan {
	s := estate()
	for i := range n {
		bad, good := key(here, volume, fmt.Sprintf("vol-%017x", i)), key(here, volume, fmt.Sprintf("vol-f%016x", i))
		s.ARNs[bad], s.ARNs[good] = "arn:aws:ec2:eu-west-1:111122223333:volume/"+bad.ID, "arn:aws:ec2:eu-west-1:111122223333:volume/"+good.ID
		s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: "encrypted-volumes", Resource: bad, Compliance: knowngood.NonCompliant, Annotation: "not encrypted; attached to i-0123456789abcdef0", Time: began},
			knowngood.Evaluation{Rule: "encrypted-volumes", Resource: good, Compliance: knowngood.Compliant, Time: began})
		s.Findings = append(s.Findings, knowngood.Finding{ID: finding.ID("encrypted-volumes", bad, 0), Rule: "encrypted-volumes", Severity: knowngood.High, Resource: bad, Annotation: "not encrypted; attached to i-0123456789abcdef0", Title: "500 GiB gp3", State: knowngood.FindingOpen, Opened: began, Updated: began})
	}
	return s
}

// documents are the JSON documents that a format consists of.
func documents(t *testing.T, f report.Format, s report.Scan) []any {
	t.Helper()
	raw := written(t, f, s)
	lines := [][]byte{raw}
	if f != report.SARIF {
		lines = bytes.Split(bytes.TrimSuffix(raw, []byte("\n")), []byte("\n"))
	}
	var out []any
	for i, line := range lines {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatalf("%s, line %d: %v", f, i+1, err)
		}
		out = append(out, v)
	}
	return out
}

func compile(t *testing.T, name string, schema any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func readSchema(t *testing.T, file string) any {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, f report.Format) {
	t.Helper()
	for name, s := range scans() {
		docs := documents(t, f, s)
		wrong := 0
		for i, doc := range docs {
			if err := schema.Validate(doc); err != nil {
				if wrong++; wrong <= 3 {
					t.Errorf("%s, document %d: %v", name, i+1, err)
				}
			}
		}
		t.Logf("%s %s: %d of %d documents are valid", f, name, len(docs)-wrong, len(docs))
	}
}

// Schemas of ours, of what must be in each format, are tried always.
func TestOwnSchemas(t *testing.T) {
	for _, f := range []report.Format{report.SARIF, report.OCSF, report.ASFF} {
		t.Run(string(f), func(t *testing.T) {
			schema := compile(t, string(f)+".json", readSchema(t, "testdata/schemas/"+string(f)+".json"))
			validate(t, schema, f)
			// A schema that lets anything pass would show nothing.
			doc := documents(t, f, estate())[0].(map[string]any)
			for _, member := range slices.Sorted(maps.Keys(doc)) {
				less := maps.Clone(doc)
				less[member] = nil
				if schema.Validate(less) == nil {
					t.Errorf("%s may be null", member)
				}
			}
		})
	}
}

// publicSchemas is the folder with the formats' own schemas, which are others' work and
// no part of this repository: sarif-schema-2.1.0.json of OASIS, and in ocsf the schema of
// github.com/ocsf/ocsf-schema.
func publicSchemas(t *testing.T, path string) string {
	dir := os.Getenv("KNOWNGOOD_SCHEMAS")
	if dir == "" {
		t.Skip("KNOWNGOOD_SCHEMAS does not name a folder with the public schemas")
	}
	path = filepath.Join(dir, path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the public schema is not there: %v", err)
	}
	return path
}

func TestPublicSARIFSchema(t *testing.T) {
	schema := compile(t, "sarif.json", readSchema(t, publicSchemas(t, "sarif-schema-2.1.0.json")))
	validate(t, schema, report.SARIF)
	if schema.Validate(map[string]any{"version": "2.1.0"}) == nil {
		t.Error("a log without runs is valid")
	}
}

func TestPublicOCSFSchema(t *testing.T) {
	o := ocsf{t: t, dir: publicSchemas(t, "ocsf"), objects: map[string]any{}}
	schema := compile(t, "ocsf.json", o.class("events/findings/compliance_finding.json", 2003))
	validate(t, schema, report.OCSF)
	doc := documents(t, report.OCSF, estate())[0].(map[string]any)
	for _, member := range []string{"finding_info", "compliance", "metadata", "time", "cloud"} {
		less := maps.Clone(doc)
		delete(less, member)
		if schema.Validate(less) == nil {
			t.Errorf("without %s it is valid", member)
		}
	}
	more := maps.Clone(doc)
	more["of_ours"] = "x"
	if schema.Validate(more) == nil {
		t.Error("with an unknown member it is valid")
	}
}

// TestASFFByTheModel tries each batch on the model of BatchImportFindings, and imports
// it into a sandbox, which checks what AWS does.
func TestASFFByTheModel(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	op, err := catalog.Operation("securityhub", "BatchImportFindings")
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range scans() {
		for i := range s.Unreadable { // a batch is imported into one Region
			s.Unreadable[i].Place = here
		}
		s.Places = s.Places[:1]
		box, err := sandbox.New(sandbox.Options{Catalog: catalog, Clock: sandbox.NewClock(began.Add(time.Minute)), Seed: 1, Account: here.Account, Region: here.Region})
		if err != nil {
			t.Fatal(err)
		}
		id, secret := box.Credentials()
		client, err := awsapi.New(awsapi.Config{Catalog: catalog, Region: here.Region, HTTPClient: awsapi.HandlerDoer(box), Credentials: awsapi.StaticCredentials(id, secret, "")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Call(t.Context(), "securityhub", "EnableSecurityHub", nil); err != nil {
			t.Fatal(err)
		}
		imported, findings := int64(0), 0
		for i, line := range bytes.Split(bytes.TrimSuffix(written(t, report.ASFF, s), []byte("\n")), []byte("\n")) {
			var in map[string]any
			if err := json.Unmarshal(line, &in); err != nil {
				t.Fatal(err)
			}
			if err := op.Validate(in); err != nil {
				t.Errorf("%s, batch %d: %v", name, i+1, err)
			}
			list := in["Findings"].([]any)
			findings += len(list)
			if len(line) > 6_000_000 {
				t.Errorf("%s, batch %d has %d bytes", name, i+1, len(line))
			}
			for _, f := range list {
				raw, err := json.Marshal(f)
				if err != nil || len(raw) > 240<<10 {
					t.Errorf("%s, batch %d: a finding of %d bytes, %v", name, i+1, len(raw), err)
				}
			}
			out, err := client.Call(t.Context(), "securityhub", "BatchImportFindings", in)
			if err != nil {
				t.Fatalf("%s, batch %d: %v", name, i+1, err)
			}
			if out["FailedCount"] != int64(0) {
				t.Errorf("%s, batch %d: %v", name, i+1, out["FailedFindings"])
			}
			n, _ := out["SuccessCount"].(int64)
			imported += n
		}
		t.Logf("%s: %d of %d findings imported", name, imported, findings)
		if findings != len(report.New(s).Results) || imported != int64(findings) {
			t.Errorf("%s: %d imported of %d, of %d results", name, imported, findings, len(report.New(s).Results))
		}
	}
}

// Each resource type that ASFF has a name for is one that the model knows.
func TestASFFTypes(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	op, err := catalog.Operation("securityhub", "BatchImportFindings")
	if err != nil {
		t.Fatal(err)
	}
	for kind, name := range report.ASFFTypes {
		if kind == "AWS::::Account" {
			continue // has no details
		}
		in := map[string]any{"Findings": []any{map[string]any{
			"SchemaVersion": "2018-10-08", "Id": "x", "ProductArn": "x", "GeneratorId": "x", "AwsAccountId": "x", "CreatedAt": "x", "UpdatedAt": "x", "Title": "x", "Description": "x",
			"Resources": []any{map[string]any{"Type": name, "Id": "x", "Details": map[string]any{name: map[string]any{}}}},
		}}}
		if err := op.Validate(in); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
