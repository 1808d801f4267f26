package app

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// withAccount answers Account Management's ListRegions, which the sandbox does not
// have, in two pages.
type withAccount struct {
	awsapi.Doer
	denied bool
}

func (d withAccount) Do(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Host, "account.") {
		return d.Doer.Do(r)
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	status, body := http.StatusOK, `{"Regions":[{"RegionName":"us-east-1","RegionOptStatus":"ENABLED_BY_DEFAULT"}],"NextToken":"more"}`
	switch {
	case d.denied:
		status, body = http.StatusForbidden, `{"__type":"AccessDeniedException","message":"no"}`
	case strings.Contains(string(raw), "more"):
		body = `{"Regions":[{"RegionName":"ap-south-2","RegionOptStatus":"ENABLED"}]}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// The Regions are those that EC2 names, else those that Account Management does, else
// the configured one, which is said.
func TestWhereAScanReads(t *testing.T) {
	for _, c := range []struct {
		name             string
		asked            []string
		ec2, account     bool // denied
		want             string
		partial, unknown bool
	}{
		{"EC2's", nil, false, false, "eu-west-1 us-east-1", false, false},
		{"asked for", []string{"ap-south-1"}, true, true, "ap-south-1", true, false},
		{"Account Management's", nil, true, false, "ap-south-2 us-east-1", false, false},
		{"neither", nil, true, true, "eu-west-1", true, true},
	} {
		l := newLoop(t, governanceOptions{})
		id, secret := l.box.Credentials()
		client, err := awsapi.New(awsapi.Config{Catalog: l.catalog, Region: l.place.Region, HTTPClient: withAccount{awsapi.HandlerDoer(l.box), c.account}, Credentials: awsapi.StaticCredentials(id, secret, "")})
		if err != nil {
			t.Fatal(err)
		}
		l.client = client
		if c.ec2 {
			l.box.Inject(sandbox.Fault{Service: "ec2", Operation: "DescribeRegions", Error: &awsapi.Error{Status: 403, Code: "UnauthorizedOperation", Message: "no"}})
		}
		before := len(l.box.Calls())
		at, err := l.estate(t.Context(), c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(at.regions, " "); got != c.want || at.partial != c.partial || (len(at.unread) > 0) != c.unknown {
			t.Errorf("%s: %s, partial %v, unread %v", c.name, got, at.partial, at.unread)
		}
		if c.unknown && (at.unread[0].Operation != "DescribeRegions" || at.unread[0].Code != "UnauthorizedOperation" || at.unread[0].Message != "no") {
			t.Errorf("%+v", at.unread[0])
		}
		if calls := len(l.box.Calls()) - before; c.asked != nil && calls != 0 {
			t.Errorf("%s: %d calls", c.name, calls)
		}
	}
}

// Calls to AWS keep to its rates; those that stay on this machine need not.
func TestOnlyCallsThatLeaveThisMachineArePaced(t *testing.T) {
	l := newLoop(t, governanceOptions{})
	if l.collector(nil).Rates != nil {
		t.Error("a sandbox in this process is paced")
	}
	id, secret := l.box.Credentials()
	for endpoint, paced := range map[string]bool{"": true, "http://127.0.0.1:4566": false, "http://10.0.0.1:4566": true} {
		cfg := awsapi.Config{Catalog: l.catalog, Region: "eu-west-1", EndpointURL: endpoint, HTTPClient: awsapi.HandlerDoer(l.box), Credentials: awsapi.StaticCredentials(id, secret, "")}
		ses, err := newSession(t.Context(), cfg, knowngood.WallClock{}, storeOptions{state: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		ses.store.Close()
		if c := ses.collector(nil); (c.Rates != nil) != paced {
			t.Errorf("%q: paced %v", endpoint, c.Rates != nil)
		}
	}
}

// What is global is done where the partition has it.
func TestTheGlobalRegion(t *testing.T) {
	l := newLoop(t, governanceOptions{})
	for region, want := range map[string]string{"eu-west-1": "us-east-1", "us-gov-east-1": "us-gov-west-1", "cn-north-1": "cn-northwest-1"} {
		if got := l.in(region).in("global").place.Region; got != want {
			t.Errorf("from %s it is %s, want %s", region, got, want)
		}
	}
	if l.in("us-east-1").place.Region != "us-east-1" || l.place.Region != "eu-west-1" {
		t.Error("a session in another Region has changed the first")
	}
	for _, c := range []struct {
		regions []string
		want    string
	}{{[]string{"a"}, "Region a"}, {[]string{"a", "b"}, "2 Regions: a, b"}} {
		if got := (estate{regions: c.regions}).String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
