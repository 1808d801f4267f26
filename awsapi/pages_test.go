package awsapi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// callerFunc is a Caller.
type callerFunc func(service, operation string, in map[string]any) (map[string]any, error)

func (f callerFunc) Call(_ context.Context, service, operation string, in map[string]any, _ ...CallOption) (map[string]any, error) {
	return f(service, operation, in)
}

func TestPages(t *testing.T) {
	for _, tc := range []struct {
		name, service, operation string
		in                       map[string]any
		outs                     []map[string]any
		ins                      string
	}{
		{"one token", "ec2", "DescribeVolumes", map[string]any{"MaxResults": int64(5)},
			[]map[string]any{{"NextToken": "a"}, {"NextToken": "b"}, {"NextToken": ""}},
			"[map[MaxResults:5] map[MaxResults:5 NextToken:a] map[MaxResults:5 NextToken:b]]"},
		{"no token", "ec2", "DescribeVolumes", nil, []map[string]any{{}}, "[map[]]"},
		{"more results", "iam", "ListRoles", nil,
			[]map[string]any{{"IsTruncated": true, "Marker": "m"}, {"IsTruncated": false, "Marker": "n"}},
			"[map[] map[Marker:m]]"},
		{"several tokens", "route53", "ListResourceRecordSets", map[string]any{"HostedZoneId": "z"},
			[]map[string]any{{"IsTruncated": true, "NextRecordName": "n", "NextRecordType": "A", "NextRecordIdentifier": "i"}, {"IsTruncated": true, "NextRecordName": "n", "NextRecordType": "MX"}, {"IsTruncated": false}},
			"[map[HostedZoneId:z] map[HostedZoneId:z StartRecordIdentifier:i StartRecordName:n StartRecordType:A] map[HostedZoneId:z StartRecordName:n StartRecordType:MX]]"},
		{"an expression", "s3", "ListObjects", map[string]any{"Bucket": "b"},
			[]map[string]any{{"IsTruncated": true, "Contents": []any{map[string]any{"Key": "k1"}, map[string]any{"Key": "k2"}}}, {"IsTruncated": false}},
			"[map[Bucket:b] map[Bucket:b Marker:k2]]"},
		{"not paged", "sts", "GetCallerIdentity", nil, []map[string]any{{"Account": "1"}}, "[map[]]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ins []string
			caller := callerFunc(func(_, _ string, in map[string]any) (map[string]any, error) {
				ins = append(ins, fmt.Sprint(in))
				return tc.outs[len(ins)-1], nil
			})
			var got []map[string]any
			for page, err := range Pages(t.Context(), caller, testCatalog(t), tc.service, tc.operation, tc.in) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page)
			}
			if fmt.Sprint(ins) != tc.ins {
				t.Errorf("asked  %v\nwanted %v", ins, tc.ins)
			}
			if !reflect.DeepEqual(got, tc.outs) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPagesEndWithAnError(t *testing.T) {
	denied := &Error{Code: "AccessDenied"}
	n := 0
	for name, tc := range map[string]struct {
		caller callerFunc
		want   string
	}{
		"the same token": {func(_, _ string, _ map[string]any) (map[string]any, error) {
			return map[string]any{"NextToken": "a"}, nil
		}, "the same token twice"},
		"a failure": {func(_, _ string, _ map[string]any) (map[string]any, error) {
			if n++; n > 1 {
				return nil, denied
			}
			return map[string]any{"NextToken": "a"}, nil
		}, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			pages := 0
			var last error
			for page, err := range Pages(t.Context(), tc.caller, testCatalog(t), "ec2", "DescribeVolumes", nil) {
				if last = err; page != nil {
					pages++
				}
			}
			if last == nil || !strings.Contains(last.Error(), tc.want) || pages > 2 {
				t.Errorf("got %d pages and %v", pages, last)
			}
		})
	}
}

func TestResultsOfAPage(t *testing.T) {
	s, err := testCatalog(t).Service("s3")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := s.Paginator("ListObjectsV2")
	got, err := p.Results(map[string]any{"Contents": []any{"a", "b"}, "CommonPrefixes": []any{"c"}})
	if err != nil || !reflect.DeepEqual(got, []any{"a", "b", "c"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestWait(t *testing.T) {
	states := func(states ...string) map[string]any {
		var list []any
		for _, s := range states {
			list = append(list, map[string]any{"State": s})
		}
		return map[string]any{"Snapshots": list, "Volumes": list}
	}
	type answer struct {
		out map[string]any
		err error
	}
	for _, tc := range []struct {
		name, service, waiter string
		answers               []answer // the last goes on for ever
		calls                 int
		want                  error // nil: success
		code                  string
	}{
		{"pathAll", "ec2", "SnapshotCompleted", []answer{{out: states("pending")}, {out: states("completed", "pending")}, {out: states("completed", "completed")}}, 3, nil, ""},
		{"pathAll of none", "ec2", "SnapshotCompleted", []answer{{out: states()}}, 40, ErrWaitTimeout, ""},
		{"pathAny failure", "ec2", "SnapshotCompleted", []answer{{out: states("pending")}, {out: states("completed", "error")}}, 2, ErrWaitFailed, ""},
		{"error retried", "ec2", "InstanceExists", []answer{{err: &Error{Code: "InvalidInstanceID.NotFound", Status: 400}}, {out: map[string]any{"Reservations": []any{map[string]any{}}}}}, 2, nil, ""},
		{"error is success", "ec2", "VolumeDeleted", []answer{{out: states("deleting")}, {err: &Error{Code: "InvalidVolume.NotFound", Status: 400}}}, 2, nil, ""},
		{"other error", "ec2", "VolumeDeleted", []answer{{err: &Error{Code: "UnauthorizedOperation", Status: 403}}}, 1, nil, "UnauthorizedOperation"},
		{"status", "s3", "BucketExists", []answer{{err: &Error{Code: "404", Status: 404}}, {out: map[string]any{}}}, 2, nil, ""},
		{"path", "dynamodb", "TableExists", []answer{{err: &Error{Code: "ResourceNotFoundException", Status: 400}}, {out: map[string]any{"Table": map[string]any{"TableStatus": "ACTIVE"}}}}, 2, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			var slept time.Duration
			caller := callerFunc(func(string, string, map[string]any) (map[string]any, error) {
				a := tc.answers[min(n, len(tc.answers)-1)]
				n++
				return a.out, a.err
			})
			err := Wait(t.Context(), caller, testCatalog(t), func(_ context.Context, d time.Duration) error { slept += d; return nil }, tc.service, tc.waiter, nil)
			var e *Error
			switch {
			case tc.code != "":
				if !errors.As(err, &e) || e.Code != tc.code {
					t.Errorf("got %v, want %s", err, tc.code)
				}
			case !errors.Is(err, tc.want):
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if n != tc.calls || n > 1 && slept == 0 {
				t.Errorf("%d calls, want %d; slept %v", n, tc.calls, slept)
			}
		})
	}
}

func TestWaitersOfAllServicesCompile(t *testing.T) {
	c := testCatalog(t)
	paths := 0
	for _, name := range c.Services() {
		s, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range s.waiters {
			if _, err := s.Operation(w.Operation); err != nil {
				t.Error(err)
			}
			for _, a := range w.Acceptors {
				if _, err := a.matches(map[string]any{}, nil); err != nil {
					t.Errorf("%s %s: %v", name, w.Name, err)
				}
				paths++
			}
		}
		for _, p := range s.paginators {
			if _, err := p.next(map[string]any{}); err != nil {
				t.Errorf("%s %s: %v", name, p.Operation, err)
			}
			if _, err := p.Results(map[string]any{}); err != nil {
				t.Errorf("%s %s: %v", name, p.Operation, err)
			}
		}
	}
	if paths < 1000 {
		t.Errorf("only %d acceptors", paths)
	}
}
