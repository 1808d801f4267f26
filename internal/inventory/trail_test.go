package inventory

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/knowngood/knowngood"
)

// leastEventTypes is how many types say which calls change them. A type may come
// without, and its changes have nobody who made them.
const leastEventTypes = 100

func TestTypesSayWhatChangesThem(t *testing.T) {
	table, with := libraryTable(t), 0
	for _, name := range table.Types() {
		if typ, _ := table.Type(name); len(typ.Events) > 0 {
			with++
		} else {
			t.Logf("%s has no events", name)
		}
	}
	if with < leastEventTypes {
		t.Errorf("%d types have events, want at least %d", with, leastEventTypes)
	}
}

func TestEventsAreHeldAgainstTheModels(t *testing.T) {
	head := "resourceType: AWS::EC2::Volume\nservice: ec2\nlist: {operation: DescribeVolumes, items: Volumes}\nresourceId: '{VolumeId}'\nconfiguration: {size: Size}\n"
	for body, want := range map[string]string{
		"events: [{names: [ModifyVolum], resource: '{requestParameters.volumeId}'}]":                                          "there is none for ModifyVolum",
		"events: [{names: [DescribeVolumes], resource: '{requestParameters.volumeId}'}]":                                      "DescribeVolumes reads",
		"events: [{names: [ModifyVolume], resource: '{request.volumeId}'}]":                                                   "request.volumeId is of neither",
		"events: [{names: [ModifyVolume]}]":                                                                                   "something is missing",
		"events: [{names: [ModifyVolume], resource: x, when: now}]":                                                           "when",
		"volatile: [configuration.sizes]":                                                                                     "no configuration.sizes",
		"events: [{names: [ModifyVolume], resource: '{requestParameters.volumeId}'}]\nvolatile: [configuration.size]":         "",
		"events: [{names: [CreateTags], each: requestParameters.resourcesSet.items, resource: '{resourceId}', with: 'vol-'}]": "",
	} {
		_, err := LoadTypes(fstest.MapFS{"resources/ec2-volume.yaml": {Data: []byte(head + body)}}, models(t))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	other := "resourceType: AWS::DynamoDB::Table\nservice: dynamodb\nlist: {operation: ListTables, items: TableNames, id: '{.}'}\nread: {operation: DescribeTable, input: {TableName: '{id}'}, items: Table}\n" +
		"resourceId: '{TableName}'\nconfiguration: {status: TableStatus}\nevents: [{names: [UpdateTable], resource: '{requestParameters.table}'}]\n"
	_, err := LoadTypes(fstest.MapFS{"resources/dynamodb-table.yaml": {Data: []byte(other)}}, models(t))
	if err == nil || !strings.Contains(err.Error(), "UpdateTable has no requestParameters.table") {
		t.Errorf("%v", err)
	}
}

const modify = `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/ops/ann","accountId":"111122223333"},
	"eventTime":"2026-11-24T08:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"ModifyVolume","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1",
	"requestParameters":{"volumeId":"vol-1"},"responseElements":null,"eventID":"e1","readOnly":false,"recipientAccountId":"111122223333"}`

func changedEvent(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(modify) }

func readTrail(t *testing.T, path string) ([]knowngood.TrailCall, TrailStats, error) {
	t.Helper()
	var out []knowngood.TrailCall
	stats, err := libraryTable(t).Trail(models(t)).Read(path, func(calls []knowngood.TrailCall) error {
		out = append(out, calls...)
		return nil
	})
	return out, stats, err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTrailFiles(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "AWSLogs", "111122223333", "CloudTrail", "eu-west-1", "2026", "11", "24")
	write(t, filepath.Join(deep, "a.json.gz"), zipped(t, `{"Records":[`+modify+","+changedEvent(`"e1"`, `"e2"`, "ModifyVolume", "DescribeVolumes")+","+
		changedEvent(`"e1"`, `"e3"`, `"readOnly":false`, `"errorCode":"Client.UnauthorizedOperation"`)+","+
		changedEvent(`"e1"`, `"e4"`, "ModifyVolume", "CreateTags", `{"volumeId":"vol-1"}`, `{"resourcesSet":{"items":[{"resourceId":"vol-1"},{"resourceId":"i-1"},{"resourceId":"ami-1"}]}}`)+`]}`))
	write(t, filepath.Join(deep, "b.json"), `{"Records":[`+changedEvent(`"e1"`, `"e5"`, `"ec2.amazonaws.com"`, `"iam.amazonaws.com"`, "ModifyVolume", "PutRolePolicy", `"volumeId":"vol-1"`, `"roleName":"ops"`,
		`"arn":"arn:aws:sts::111122223333:assumed-role/ops/ann",`, `"invokedBy":"cloudformation.amazonaws.com",`)+","+
		changedEvent(`"e1"`, `"e6"`, `"ec2.amazonaws.com"`, `"lambda.amazonaws.com"`, "ModifyVolume", "UpdateFunctionCode20150331v2", `"volumeId"`, `"functionName"`)+","+
		changedEvent(`"e1"`, `"e7"`, `"ec2.amazonaws.com"`, `"apigateway.amazonaws.com"`, "ModifyVolume", "UpdateStage", `"volumeId":"vol-1"`, `"restApiId":"abc","stageName":"prod"`)+`]}`)
	write(t, filepath.Join(dir, "AWSLogs", "111122223333", "CloudTrail-Digest", "d.json"), `{"digestS3Bucket":"x"}`)
	write(t, filepath.Join(dir, "notes.txt"), "notes")
	calls, stats, err := readTrail(t, dir)
	if err != nil || stats != (TrailStats{Files: 2, Records: 7, Calls: 6}) {
		t.Errorf("%+v, %v", stats, err)
	}
	var got []string
	for _, c := range calls {
		got = append(got, strings.Join([]string{c.EventID, c.EventName, c.Type, c.Ref, c.Principal}, " "))
	}
	const ann = " arn:aws:sts::111122223333:assumed-role/ops/ann"
	want := []string{
		"e1 ModifyVolume AWS::EC2::Volume vol-1" + ann, "e4 CreateTags AWS::EC2::Instance i-1" + ann, "e4 CreateTags AWS::EC2::Volume vol-1" + ann,
		"e5 PutRolePolicy AWS::IAM::Role ops cloudformation.amazonaws.com", "e6 UpdateFunctionCode20150331v2 AWS::Lambda::Function vol-1" + ann,
		"e7 UpdateStage AWS::ApiGateway::Stage arn:aws:apigateway:eu-west-1::/restapis/abc/stages/prod" + ann,
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if i := slices.IndexFunc(calls, func(c knowngood.TrailCall) bool { return c.EventID == "e1" }); !calls[i].Time.Equal(began) || calls[i].SourceIP != "192.0.2.1" || calls[i].Account != "111122223333" || calls[i].Region != "eu-west-1" {
		t.Errorf("%+v", calls[i])
	}
}

func TestFilesThatAreNoTrail(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty.json": "", "text.json": "these are notes", "list.json": "[]", "other.json": `{"a":1}`, "cut.json": `{"Records":[` + modify[:100], "unzipped.json.gz": "\x1f\x8bnot really",
		"cut.json.gz": zipped(t, `{"Records":[`+modify+`]}`)[:60], "kind.json": `{"Records":{}}`, "after.json": `{"Records":[]`, "time.json": `{"Records":[` + changedEvent("2026-11-24T08:00:00Z", "yesterday") + `]}`,
	} {
		file := filepath.Join(dir, name)
		write(t, file, text)
		if _, _, err := readTrail(t, file); knowngood.KindOf(err) != knowngood.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := t.TempDir()
	for _, path := range []string{empty, filepath.Join(empty, "none")} {
		if _, _, err := readTrail(t, path); knowngood.KindOf(err) != knowngood.Invalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// What LookupEvents answers is taken too.
func TestLookedUpEvents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.json")
	write(t, file, `{"Events":[{"EventId":"e1","CloudTrailEvent":"`+strings.NewReplacer(`"`, `\"`, "\n", "", "\t", "").Replace(modify)+`"},{"EventId":"e2","CloudTrailEvent":"?"}]}`)
	calls, _, err := readTrail(t, file)
	if err != nil || len(calls) != 1 || calls[0].Ref != "vol-1" {
		t.Errorf("%+v, %v", calls, err)
	}
}

func FuzzTrail(f *testing.F) {
	f.Add([]byte(`{"Records":[` + modify + `]}`))
	f.Add([]byte(`{"Events":[{"CloudTrailEvent":"{}"}]}`))
	table := libraryTable(f)
	trail := table.Trail(models(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = records(bytes.NewReader(raw), func(r *record) {
			for _, c := range trail.calls(r) {
				if c.Ref == "" || c.Type == "" || c.EventID == "" {
					t.Errorf("%+v", c)
				}
			}
		})
	})
}
