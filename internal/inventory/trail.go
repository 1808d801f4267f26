package inventory

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Event is a kind of call that changes resources of a type.
// library/resources/README.md says what each key means.
type Event struct {
	Source   string   `yaml:"source"`
	Names    []string `yaml:"names"`
	Each     string   `yaml:"each"`
	Resource string   `yaml:"resource"`
	With     string   `yaml:"with"`
}

// of says whether a resource that a call names is of the type.
func (e *Event) of(ref string) bool {
	if strings.HasPrefix(e.With, ":") {
		return strings.Contains(ref, e.With)
	}
	return strings.HasPrefix(ref, e.With)
}

// record is what is read of a CloudTrail record.
// Source: CloudTrail User Guide, "CloudTrail record contents".
type record struct {
	EventID, EventName, EventSource, AWSRegion string
	EventTime                                  time.Time
	SourceIPAddress, RecipientAccountID        string
	ErrorCode                                  string
	ReadOnly                                   bool
	UserIdentity                               struct{ ARN, PrincipalID, InvokedBy, AccountID string }
	RequestParameters, ResponseElements        map[string]any
}

// Trail finds in CloudTrail's records the calls that changed resources.
type Trail struct {
	types map[eventKey][]typeEvent
	parts *awsapi.Catalog
}

type eventKey struct{ source, name string }

type typeEvent struct {
	*Type
	*Event
}

// Trail makes a reader of records from what the table says of each type.
func (t *Table) Trail(catalog *awsapi.Catalog) *Trail {
	out := &Trail{types: map[eventKey][]typeEvent{}, parts: catalog}
	for _, typ := range t.types {
		for i := range typ.Events {
			e := &typ.Events[i]
			for _, name := range e.Names {
				key := eventKey{cmp.Or(e.Source, eventSource(catalog, typ.Service)), name}
				out.types[key] = append(out.types[key], typeEvent{typ, e})
			}
		}
	}
	return out
}

// eventSource is how CloudTrail calls a service; empty for one that is not in the
// models.
func eventSource(catalog *awsapi.Catalog, service string) string {
	s, err := catalog.Service(service)
	if err != nil {
		return ""
	}
	return cmp.Or(s.SigningName, s.EndpointPrefix) + ".amazonaws.com"
}

// calls are what a record says of resources: one for each that its call changed.
// A call that failed changed none.
func (t *Trail) calls(r *record) []knowngood.TrailCall {
	if r.ErrorCode != "" || r.ReadOnly || r.EventID == "" || r.EventTime.IsZero() {
		return nil
	}
	account := cmp.Or(r.RecipientAccountID, r.UserIdentity.AccountID)
	partition, _ := t.parts.Partition(r.AWSRegion) // a Region that is newer than the models is of the first
	vars := map[string]string{"partition": cmp.Or(partition.ID, "aws"), "account": account, "region": r.AWSRegion}
	event := map[string]any{"requestParameters": r.RequestParameters, "responseElements": r.ResponseElements}
	var out []knowngood.TrailCall
	for _, e := range t.types[eventKey{r.EventSource, r.EventName}] {
		for _, element := range elements(event, e.Each) {
			ref, ok := fill(e.Resource, vars, element)
			if !ok || ref == "" || !e.of(ref) {
				continue
			}
			out = append(out, knowngood.TrailCall{
				EventID: r.EventID, EventName: r.EventName, EventSource: r.EventSource, Time: r.EventTime.UTC(),
				Principal: cmp.Or(r.UserIdentity.ARN, r.UserIdentity.InvokedBy, r.UserIdentity.PrincipalID), SourceIP: r.SourceIPAddress,
				Account: account, Region: r.AWSRegion, Type: e.Name, Ref: ref,
			})
		}
	}
	return out
}

// TrailStats counts what was read of a trail.
type TrailStats struct {
	Files   int `json:"files"`
	Records int `json:"records"`
	Calls   int `json:"calls"` // that changed a resource of the table
}

// Read reads a CloudTrail log file, or all in a folder, and yields the calls that
// changed resources, some at a time. Files are .json or .json.gz, as CloudTrail
// delivers them to S3; digest files are passed over. The error is of kind
// knowngood.Invalid where a file is not CloudTrail's or the folder has none.
func (t *Trail) Read(path string, yield func([]knowngood.TrailCall) error) (TrailStats, error) {
	var stats TrailStats
	info, err := os.Stat(path)
	if err != nil {
		return stats, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the trail " + path, Err: err}
	}
	if !info.IsDir() {
		return stats, t.file(path, &stats, yield)
	}
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "CloudTrail-Digest" || d.Name() == "CloudTrail-Insight"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(strings.TrimSuffix(file, ".gz"), ".json"):
			return nil
		}
		return t.file(file, &stats, yield)
	})
	if err == nil && stats.Files == 0 {
		err = knowngood.E(knowngood.Invalid, "read the trail "+path, "the folder has no file that ends in .json or .json.gz")
	}
	return stats, err
}

func (t *Trail) file(path string, stats *TrailStats, yield func([]knowngood.TrailCall) error) error {
	f, err := os.Open(path)
	if err != nil {
		return &knowngood.Error{Kind: knowngood.Invalid, Op: "read the trail", Err: err}
	}
	defer f.Close()
	stats.Files++
	var calls []knowngood.TrailCall
	err = records(f, func(r *record) {
		stats.Records++
		calls = append(calls, t.calls(r)...)
	})
	if err != nil {
		return knowngood.E(knowngood.Invalid, "read the trail "+path, "it is no CloudTrail log file: %w", err)
	}
	stats.Calls += len(calls)
	return yield(calls)
}

// maxTrailBytes bounds a log file when it is unpacked, and so a bomb. CloudTrail's
// own have some ten MB.
const maxTrailBytes = 1 << 30

// records reads the records of a log file one by one. It takes what
// LookupEvents answers too.
func records(from io.Reader, each func(*record)) error {
	in := bufio.NewReader(from)
	from = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		defer z.Close()
		from = z
	}
	limited := &io.LimitedReader{R: from, N: maxTrailBytes}
	d := json.NewDecoder(limited)
	err := members(d, each)
	if limited.N == 0 {
		return fmt.Errorf("it has more than %d bytes", maxTrailBytes)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

var errNoRecords = errors.New("it has no list Records")

// members reads the object that a log file is.
func members(d *json.Decoder, each func(*record)) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return cmp.Or(err, errNoRecords)
	}
	found := false
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "Records":
			err = list(d, each)
		case "Events":
			err = list(d, func(e *struct{ CloudTrailEvent string }) {
				var r record
				if json.Unmarshal([]byte(e.CloudTrailEvent), &r) == nil {
					each(&r)
				}
			})
		default:
			var other json.RawMessage
			err = d.Decode(&other)
		}
		if err != nil {
			return err
		}
		found = found || key == "Records" || key == "Events"
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	if !found {
		return errNoRecords
	}
	return nil
}

// list reads a list's elements one by one.
func list[T any](d *json.Decoder, each func(*T)) error {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return cmp.Or(err, errNoRecords)
	}
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		each(&v)
	}
	_, err := d.Token()
	return err
}
