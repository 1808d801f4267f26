package inventory

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// schemas are what AWS has published of AWS Config's items: for each type the
// paths with their kinds, and sample items.
type schemas struct {
	dir     string
	samples map[string]map[string]any // by resource type
}

// notJSON are samples that were published so.
var notJSON = map[string]bool{"AWS_EC2_NetworkInterface.json": true, "AWS_SSM_ManagedInstanceInventory_Linux.json": true}

func loadSchemas(t *testing.T) schemas {
	t.Helper()
	s := schemas{corpora(t, "resource-schemas"), map[string]map[string]any{}}
	files, err := filepath.Glob(filepath.Join(corpora(t, "config-items"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample items: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var sample any
		if err := json.Unmarshal(raw, &sample); err != nil {
			if !notJSON[filepath.Base(file)] {
				t.Fatalf("%s: %v", file, err)
			}
			continue
		}
		for _, v := range elements(sample, ".") {
			item, _ := v.(map[string]any)
			if name, _ := item["resourceType"].(string); name != "" {
				s.samples[name] = item
			}
		}
	}
	return s
}

// of gives the kinds of a type's paths.
func (s schemas) of(t *testing.T, typ string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, strings.ReplaceAll(typ, "::", "_")+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Errorf("AWS Config does not record %s", typ)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string]string
	if err := json.Unmarshal(raw, &kinds); err != nil {
		t.Fatal(err)
	}
	return kinds
}

// elsewhere are paths that AWS Config's items have by other sources than its
// schemas and sample items.
var elsewhere = map[string]string{
	"AWS::Lambda::Function supplementaryConfiguration.Policy":                                                            "Cloud Custodian reads the function's policy there, c7n/resources/awslambda.py",
	"AWS::ElasticLoadBalancing::LoadBalancer supplementaryConfiguration.LoadBalancerAttributes.accessLog.emitInterval":   "the SDK's name; the sample's access log is off",
	"AWS::ElasticLoadBalancing::LoadBalancer supplementaryConfiguration.LoadBalancerAttributes.accessLog.s3BucketName":   "likewise",
	"AWS::ElasticLoadBalancing::LoadBalancer supplementaryConfiguration.LoadBalancerAttributes.accessLog.s3BucketPrefix": "likewise",
	"AWS::EC2::VPCPeeringConnection configuration.status.code":                                                           "the sample item has an object where the schema has text",
	"AWS::EC2::VPCPeeringConnection configuration.status.message":                                                        "likewise",
	"AWS::ApiGateway::Stage configuration.methodSettings":                                                                "the sample's map is empty; the names are the SDK's",
	"AWS::S3::Bucket supplementaryConfiguration.BucketReplicationConfiguration.rules":                                    "Cloud Custodian reads the rules by their ids there, c7n/resources/s3.py",
}

// unrecorded are types and members that AWS Config does not record. Its periodic
// rules read them by API, and so do ours.
var unrecorded = map[string]string{
	"AWS::::Account": "IAM, S3, EC2, Security Hub and Organizations say it of the account",
	"AWS::CloudTrail::Trail supplementaryConfiguration.TrailStatus":               "GetTrailStatus",
	"AWS::ElasticLoadBalancingV2::LoadBalancer supplementaryConfiguration.WebACL": "GetWebACLForResource",
	"AWS::GuardDuty::Detector supplementaryConfiguration.Administrator":           "GetAdministratorAccount",
	"AWS::IAM::User supplementaryConfiguration.AccessKeys":                        "ListAccessKeys",
	"AWS::IAM::User supplementaryConfiguration.LoginProfile":                      "GetLoginProfile",
	"AWS::IAM::User supplementaryConfiguration.MFADevices":                        "ListMFADevices",
	"AWS::SSM::Document supplementaryConfiguration.Permissions":                   "DescribeDocumentPermission",
	"AWS::WAFv2::WebACL supplementaryConfiguration.LoggingConfiguration":          "GetLoggingConfiguration",
}

// TestWhatIsNotRecordedIsMarked: scans of what AWS Config recorded must know what
// it can't say.
func TestWhatIsNotRecordedIsMarked(t *testing.T) {
	table := libraryTable(t)
	marked := map[string]bool{}
	for _, name := range table.Types() {
		typ, _ := table.Type(name)
		if typ.Unrecorded {
			marked[name] = true
		}
		for i := range typ.Details {
			for _, path := range typ.Details[i].gives() {
				if typ.Details[i].Unrecorded {
					marked[name+" "+path] = true
				}
			}
		}
	}
	for path := range unrecorded {
		if !marked[path] {
			t.Errorf("%s has no unrecorded: true in library/resources", path)
		}
	}
	for path := range marked {
		if unrecorded[path] == "" {
			t.Errorf("%s is unrecorded without a reason", path)
		}
	}
}

// excused says whether a path is one of a table's, or within one.
func excused(table map[string]string, typ, path string) bool {
	for key := range table {
		if full := typ + " " + path; full == key || strings.HasPrefix(full, key+".") {
			return true
		}
	}
	return false
}

// has says whether AWS Config's items have a path: the schema lists it, or says
// nothing of it and the sample item has it.
func (s schemas) has(kinds map[string]string, typ, path string) bool {
	if _, ok := kinds[path]; ok {
		return true
	}
	for known := range kinds {
		if strings.HasPrefix(known, path+".") || strings.HasPrefix(path, known+".") {
			return false // it is an object, or none, in the schema
		}
	}
	return sampleHas(s.samples[typ], path)
}

// sampleHas follows a path; what is in an empty list is not known to be absent.
func sampleHas(v any, path string) bool {
	for path != "" {
		if l, ok := v.([]any); ok {
			if len(l) == 0 {
				return true
			}
			v = l[0]
		}
		m, ok := v.(map[string]any)
		if !ok {
			return false
		}
		name, rest, _ := strings.Cut(path, ".")
		if v, ok = m[name]; !ok {
			return false
		}
		path = rest
	}
	return true
}

func TestEveryPathIsAWSConfigs(t *testing.T) {
	s, table := loadSchemas(t), libraryTable(t)
	for _, name := range table.Types() {
		typ, _ := table.Type(name)
		if unrecorded[name] != "" {
			continue
		}
		kinds := s.of(t, name)
		if kinds == nil {
			continue
		}
		emits := typ.Emits()
		if len(emits) == 0 {
			t.Errorf("%s emits nothing", name)
		}
		for _, path := range emits {
			if !s.has(kinds, name, path) && !excused(elsewhere, name, path) && !excused(unrecorded, name, path) {
				t.Errorf("%s: AWS Config has no %s", name, path)
			}
		}
	}
}

func TestTheSchemaCheckFindsOtherNames(t *testing.T) {
	s := loadSchemas(t)
	kinds := s.of(t, "AWS::EC2::Volume")
	for path, want := range map[string]bool{
		"configuration.volumeId": true, "configuration.VolumeId": false, "configuration.state": false, "configuration.state.value": true, "configuration.tags.key": true,
		"configuration.size.value": false, "configuration.colour": false, "supplementaryConfiguration.Colour": false,
	} {
		if got := s.has(kinds, "AWS::EC2::Volume", path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// Where AWS's schema and its sample item say different kinds, items follow the
// sample.
var kindsOfSamples = map[string]string{
	"AWS::EC2::Instance configuration.state.code": "integer",
}

func TestValuesAreOfTheSchemasKinds(t *testing.T) {
	s := loadSchemas(t)
	checked := 0
	for _, item := range collectDemo(t, newDemo(t)) {
		if unrecorded[item.Type] != "" {
			continue
		}
		kinds := s.of(t, item.Type)
		walk("configuration", item.Configuration, func(path string, v any) {
			kind := kinds[path]
			if other, ok := kindsOfSamples[item.Type+" "+path]; ok {
				kind = other
			}
			if kind == "" {
				return // only the sample has it
			}
			checked++
			if !ofKind(kind, v) {
				t.Errorf("%s: %s is %v (%T), and should be a %s", item.Type, path, v, v, kind)
			}
		})
		walk("supplementaryConfiguration", item.Supplementary, func(path string, v any) {
			if kind := kinds[path]; kind != "" && !ofKind(kind, v) {
				t.Errorf("%s: %s is %v (%T), and should be a %s", item.Type, path, v, v, kind)
			}
		})
	}
	if checked < 500 {
		t.Errorf("only %d values were checked", checked)
	}
}

func walk(path string, v any, leaf func(string, any)) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			walk(path+"."+name, e, leaf)
		}
	case []any:
		for _, e := range v {
			walk(path, e, leaf)
		}
	default:
		leaf(path, v)
	}
}

func ofKind(kind string, v any) bool {
	switch v := v.(type) {
	case bool:
		return kind == "boolean"
	case int64:
		return kind == "integer" || kind == "date" // milliseconds
	case float64:
		return kind == "float"
	case string:
		if kind == "date" {
			_, err := time.Parse("2006-01-02T15:04:05.000Z", v)
			return err == nil
		}
		return kind == "string" || kind == "ip" || kind == "cidr_block"
	}
	return false
}
