package awsapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// differences are the cases in which this package and botocore differ: kind, service
// and operation, in which a star stands for anything, what the difference is about,
// and its reason.
var differences = []struct{ cases, about, reason string }{
	{"requests*: ec2 RunInstances", "UserData", userData},
	{"requests*: autoscaling CreateLaunchConfiguration", "UserData", userData},
	{"requests: s3 ListObject*", "encoding-type", escapedKeys},
	{"requests received: s3 ListObject*", "EncodingType", escapedKeys},
	{"requests received: s3control CreateBucket", "s3 PutObject", "S3 on Outposts signs as s3-outposts, which is not served"},
	{"responses*: s3 GetBucketNotification", "Event", "two of its members have one name on the wire; botocore hands out its parser's nodes"},
	{"errors sent: s3 Head*", "404", noBody},
	{"errors sent: mediastore-data DescribeObject", "message", noBody},
}

const (
	userData    = "botocore's callers give plain text, which it encodes; here it is base64, as on the wire and in SSM's documents"
	escapedKeys = "botocore asks for escaped keys, since its parser of XML does not take every character; ours does"
	noBody      = "an answer to HEAD has no body for the error"
)

// The kinds of cases. All are about one operation.
const (
	kindRequest   = "requests"          // both clients make the same request of an input
	kindValid     = "validation"        // what botocore takes, Validate takes
	kindReceived  = "requests received" // the server reads an input in botocore's request
	kindResponse  = "responses"         // both clients read the same in a response
	kindSent      = "responses sent"    // botocore reads in the server's response what was written
	kindError     = "errors"            // both clients read the same in an error
	kindErrorSent = "errors sent"       // botocore reads in the server's error what was written
)

// sampled is which part of the operations the test looks at: each Nth. All are
// looked at with KNOWNGOOD_DIFFERENTIAL=1.
const sampled = 20

// leastAgreed is how many of the 36,756 requests, two of each operation, must agree.
const leastAgreed = 36_740

// TestDifferential compares this package with the installed botocore, whose cases
// testdata/differential.py makes.
//
// Of a request, what both clients would send is compared but for signature, user
// agent and transport: the endpoint that the rules give, method, path, query,
// headers, and the body as a value, with checksums that must be those of their own
// body. Two headers are not botocore's but Smithy's; see smithys. Our server reads
// botocore's request as well. Responses and errors go both ways: both clients read
// what the script writes, and botocore reads what our server writes. Services of
// several protocols are looked at once more in each that clients don't choose.
func TestDifferential(t *testing.T) {
	every := sampled
	if n, err := strconv.Atoi(os.Getenv("KNOWNGOOD_DIFFERENTIAL")); err == nil && n > 0 {
		every = n
	}
	d := &differential{t: t, catalog: ownCatalog(t), tallies: map[string]map[string]*tally{}, met: map[int]int{}, spared: map[string]int{}}
	d.client = testClient(t, nil, func(c *Config) { c.Catalog, c.Rand = d.catalog, zeros{} })
	d.run(every)
	d.report(every)
}

// ownCatalog is a catalog that no other test sees.
func ownCatalog(t *testing.T) *Catalog {
	c, err := OpenPack(embedded)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// zeros is a source of idempotency tokens that are all the same.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type differential struct {
	t       *testing.T
	catalog *Catalog
	client  *Client
	op      *Operation
	extra   bool                         // its protocol is one that clients don't choose
	tallies map[string]map[string]*tally // by kind and protocol
	streams int                          // operations whose input is an event stream
	met     map[int]int                  // cases by the difference that names them
	spared  map[string]int               // requests by the header of Smithy's
	shown   int
}

type tally struct{ agreed, total int }

// operationCases is a line of the script's.
type operationCases struct {
	Service, Operation string
	Protocol           Protocol
	Extra              bool // the protocol is one that clients don't choose
	Requests           []requestCase
	Outputs            []outputCase
	Errors             []outputCase
}

// refusal is why botocore has no result.
type refusal struct{ Error string }

type requestCase struct {
	Input   json.RawMessage
	Method  string
	URL     string
	Headers map[string]string
	Body    []byte
	refusal
}

// message is a response.
type message struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

// parsed is what botocore reads in a response.
type parsed struct {
	Output        json.RawMessage
	Code, Message string
	Fields        json.RawMessage
	refusal
}

type outputCase struct {
	Name, Message string // of an error
	Value         json.RawMessage
	Sent          message
	Read          parsed
}

// run starts the script and looks at its cases.
func (d *differential) run(every int) {
	t := d.t
	if err := exec.Command("python3", "-c", "import botocore").Run(); err != nil {
		t.Skip("botocore is not installed")
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-B", "testdata/differential.py", "--every", strconv.Itoa(every))
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := json.NewDecoder(bufio.NewReaderSize(stdout, 1<<20))
	read := func(v any) bool {
		err := lines.Decode(v)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return err == nil
	}
	var head struct{ Botocore string }
	if read(&head); head.Botocore != d.catalog.Manifest().Botocore {
		t.Skipf("botocore %s is installed; the models are those of %s", head.Botocore, d.catalog.Manifest().Botocore)
	}
	for {
		var cases operationCases
		if !read(&cases) {
			break
		}
		if err := json.NewEncoder(stdin).Encode(d.operation(cases)); err != nil {
			t.Fatal(err)
		}
		var answers []parsed
		read(&answers)
		d.sent(cases, answers)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// operation looks at an operation's cases. It gives the outputs and errors as our
// server writes them.
func (d *differential) operation(cases operationCases) []message {
	op, err := d.catalog.Operation(cases.Service, cases.Operation)
	if err != nil {
		d.t.Fatal(err)
	}
	if cases.Extra {
		op.Service.Protocol = cases.Protocol // the catalog is this test's own
	} else if op.Service.Protocol != cases.Protocol {
		d.t.Fatalf("%s speaks %s, with botocore %s", cases.Service, op.Service.Protocol, cases.Protocol)
	}
	d.op = op
	d.extra = cases.Extra
	if len(cases.Requests) == 0 {
		d.streams++
	}
	for _, c := range cases.Requests {
		in := untagged(d.t, c.Input).(map[string]any)
		d.count(kindRequest, d.request(in, c))
		d.count(kindValid, problem(op.Validate(in)))
		if !op.EventStream() {
			d.count(kindReceived, d.received(in, c))
		}
	}
	answers := []message{}
	for _, c := range cases.Outputs {
		d.count(kindResponse, d.response(c))
		w := httptest.NewRecorder()
		if err := op.EncodeResponse(w, untagged(d.t, c.Value).(map[string]any), "req-1"); err != nil {
			d.count(kindSent, err.Error())
			w = nil
		}
		answers = append(answers, recorded(w))
	}
	for _, c := range cases.Errors {
		d.count(kindError, d.failure(c))
		w := httptest.NewRecorder()
		e := &Error{Code: c.Name, Message: c.Message, Fields: untagged(d.t, c.Value).(map[string]any)}
		if err := op.EncodeError(w, e, "req-1"); err != nil {
			d.count(kindErrorSent, err.Error())
			w = nil
		}
		answers = append(answers, recorded(w))
	}
	return answers
}

func problem(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// recorded is a response that was written; of none it is empty.
func recorded(w *httptest.ResponseRecorder) message {
	if w == nil {
		return message{Status: 200, Headers: map[string]string{}, Body: []byte{}}
	}
	m := message{Status: w.Code, Headers: map[string]string{}, Body: append([]byte{}, w.Body.Bytes()...)}
	for name, values := range w.Header() {
		m.Headers[name] = strings.Join(values, ",")
	}
	return m
}

// request says how our request differs from botocore's.
func (d *differential) request(in map[string]any, c requestCase) string {
	req, err := d.encode(in)
	switch {
	case c.Error != "":
		return "botocore refuses it: " + c.Error
	case err != nil:
		return err.Error()
	}
	return differentRequests(d.op, req, c, func(header string) { d.spared[header]++ })
}

// encode makes a request as Client does. That refuses operations whose output is an
// event stream, since it can't read that; their requests are like others.
func (d *differential) encode(in map[string]any) (*Request, error) {
	region := d.client.cfg.Region
	in, err := d.client.complete(d.t.Context(), d.op, in, region)
	if err != nil {
		return nil, err
	}
	ep, err := d.client.endpoint(d.op, in, region)
	if err != nil {
		return nil, err
	}
	return d.op.encodeRequest(in, ep)
}

// received says how what our server reads in botocore's request differs from the
// input.
func (d *differential) received(in map[string]any, c requestCase) string {
	if c.Error != "" {
		return ""
	}
	r, err := http.NewRequest(c.Method, c.URL, bytes.NewReader(c.Body))
	if err != nil {
		return err.Error()
	}
	for name, text := range c.Headers {
		r.Header.Set(name, text)
	}
	r.Header.Set("Authorization", sigv4+" Credential=AKIDEXAMPLE/20260203/us-east-1/"+d.op.Service.SigningName+"/aws4_request, SignedHeaders=host, Signature=00")
	sr, err := d.catalog.DecodeRequest(r)
	if err != nil {
		return err.Error()
	}
	if sr.Operation != d.op && (twins[d.op.Service.Name] != sr.Service.Name || sr.Operation.Name != d.op.Name) && twins["s3 "+d.op.Name] != sr.Operation.Name {
		return fmt.Sprintf("it was taken for %s %s (%s %s)", sr.Service.Name, sr.Operation.Name, c.Method, c.URL)
	}
	if sr.Operation != d.op {
		return "" // a twin, whose input has another shape
	}
	if in, err = d.client.withTokens(d.op, in); err != nil {
		return err.Error()
	}
	want := maps.Clone(d.op.adjusted(in))
	if source := in["CopySource"]; source != nil {
		want["CopySource"] = source // the server reads what the client has written
	}
	dropAdded(d.op, sr.Input, want)
	for _, name := range []string{"PresignedUrl", "PreSignedUrl", "DestinationRegion"} {
		delete(sr.Input, name) // of a copy between Regions, added likewise
		delete(want, name)
	}
	dropOwn(d.op.Input, sr.Input, want)
	return differentValues(prune(sr.Input), prune(want))
}

// dropOwn takes the transport's own headers out of what was read: the body's type
// and length, where they were not given, and in maps of all headers what there
// always is.
func dropOwn(s *Shape, got, want map[string]any) {
	dropHeaders(s, got, "authorization", "content-length", "content-type", "user-agent", "x-amzn-requestid")
	if s == nil {
		return
	}
	for i := range s.Members {
		if m := &s.Members[i]; m.Location == InHeader && (m.WireName() == "Content-Type" || m.WireName() == "Content-Length") && want[m.Name] == nil {
			delete(got, m.Name)
		}
	}
}

// response says how the two clients differ about a response.
func (d *differential) response(c outputCase) string {
	out, err := d.op.DecodeResponse(c.Sent.Status, c.Sent.header(), bytes.NewReader(c.Sent.Body))
	switch {
	case c.Read.Error != "":
		return "botocore can't read it: " + c.Read.Error
	case err != nil:
		return err.Error()
	}
	drain(d.t, d.op, out)
	return differentValues(out, untagged(d.t, c.Read.Output))
}

// failure says how the two clients differ about an error.
func (d *differential) failure(c outputCase) string {
	out, err := d.op.DecodeResponse(c.Sent.Status, c.Sent.header(), bytes.NewReader(c.Sent.Body))
	var e *Error
	if !errors.As(err, &e) || out != nil {
		return fmt.Sprintf("got %v and the error %v", out, err)
	}
	if c.Read.Error != "" {
		return "botocore can't read it: " + c.Read.Error
	}
	if e.Code != c.Read.Code || e.Message != c.Read.Message {
		return fmt.Sprintf("code %q, message %q, want %q, %q", e.Code, e.Message, c.Read.Code, c.Read.Message)
	}
	return differentValues(prune(e.Fields), prune(untagged(d.t, c.Read.Fields)))
}

func (m message) header() http.Header {
	h := http.Header{}
	for name, text := range m.Headers {
		h.Set(name, text)
	}
	return h
}

// sent looks at what botocore read in what our server wrote.
func (d *differential) sent(cases operationCases, read []parsed) {
	for i, c := range cases.Outputs {
		p := read[i]
		if p.Error != "" {
			d.count(kindSent, p.Error)
			continue
		}
		got, want := untagged(d.t, p.Output).(map[string]any), untagged(d.t, c.Value).(map[string]any)
		dropOwn(d.op.Output, got, want)
		d.count(kindSent, differentValues(prune(got), prune(want)))
	}
	for i, c := range cases.Errors {
		p := read[len(cases.Outputs)+i]
		switch {
		case p.Error != "":
			d.count(kindErrorSent, p.Error)
		case p.Code != c.Name || p.Message != c.Message:
			d.count(kindErrorSent, fmt.Sprintf("code %q, message %q, want %q, %q", p.Code, p.Message, c.Name, c.Message))
		default:
			d.count(kindErrorSent, differentValues(prune(untagged(d.t, p.Fields)), prune(d.expected(c))))
		}
	}
}

// expected is what botocore shall read in an error that our server wrote: its
// members, of which the message is one if the model has it. In XML code and message
// are in elements of their own, and it is their names that count.
func (d *differential) expected(c outputCase) any {
	fields := untagged(d.t, c.Value).(map[string]any)
	shape := d.op.errorShape(c.Name)
	own := map[string]any{"message": c.Message, "Message": c.Message}
	switch d.op.Service.Protocol {
	case EC2, Query, RESTXML:
		own = map[string]any{"Message": c.Message, "Code": c.Name}
		delete(fields, "message")
	}
	for name, text := range own {
		if shape.Member(name) != nil {
			fields[name] = text
		}
	}
	return fields
}

// count counts a case, in which there is a difference unless it is "".
func (d *differential) count(kind, difference string) {
	protocol := string(d.op.Service.Protocol)
	if d.extra {
		protocol += " besides"
	}
	if d.tallies[kind] == nil {
		d.tallies[kind] = map[string]*tally{}
	}
	n := d.tallies[kind][protocol]
	if n == nil {
		n = &tally{}
		d.tallies[kind][protocol] = n
	}
	n.total++
	if difference == "" {
		n.agreed++
		return
	}
	name := kind + ": " + d.op.Service.Name + " " + d.op.Name
	for i, known := range differences {
		if ok, err := path.Match(known.cases, name); ok && err == nil && strings.Contains(difference, known.about) {
			d.met[i]++
			return
		}
	}
	if d.shown++; d.shown <= 40 {
		d.t.Errorf("%s (%s): %s", name, protocol, difference)
	}
}

// report says how many cases there were, and of a run of all whether enough agree.
func (d *differential) report(every int) {
	for _, kind := range slices.Sorted(maps.Keys(d.tallies)) {
		var parts []string
		var all tally
		for _, protocol := range slices.Sorted(maps.Keys(d.tallies[kind])) {
			n := d.tallies[kind][protocol]
			parts = append(parts, fmt.Sprintf("%s %d of %d", protocol, n.agreed, n.total))
			if !strings.HasSuffix(protocol, " besides") {
				all.agreed += n.agreed
				all.total += n.total
			}
		}
		d.t.Logf("%s: %d of %d agree (%s)", kind, all.agreed, all.total, strings.Join(parts, ", "))
		if kind == kindRequest && every == 1 {
			if want := 2 * (d.catalog.Manifest().Operations - d.streams); all.total != want || all.agreed < leastAgreed {
				d.t.Errorf("%d of %d requests agree, want at least %d of %d", all.agreed, all.total, leastAgreed, want)
			}
		}
	}
	d.t.Logf("apart: %d operations whose input is an event stream", d.streams)
	for _, header := range slices.Sorted(maps.Keys(d.spared)) {
		d.t.Logf("%d requests have the header %s as Smithy demands, which botocore leaves out", d.spared[header], header)
	}
	for i, known := range differences {
		if d.met[i] > 0 {
			d.t.Logf("%s: %d cases differ in %s: %s", known.cases, d.met[i], known.about, known.reason)
		} else if every == 1 {
			d.t.Errorf("%s: no case differs in %s, though it is named: %s", known.cases, known.about, known.reason)
		}
	}
	if d.shown > 40 {
		d.t.Errorf("%d differences in all", d.shown)
	}
}
