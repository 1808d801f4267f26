package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const volumesXML = `<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId><volumeSet><item><volumeId>vol-1</volumeId></item></volumeSet></DescribeVolumesResponse>`

// scripted is a server that gives one answer after the other, and a client for it
// that writes down how long it slept. requests is how many the server has had.
func scripted(t *testing.T, answers ...http.HandlerFunc) (client *Client, requests func() int, slept *[]time.Duration) {
	t.Helper()
	var seen atomic.Int32
	slept = &[]time.Duration{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n := int(seen.Add(1))
		if n > len(answers) {
			t.Errorf("request %d was not expected", n)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		answers[n-1](w, r)
	}))
	t.Cleanup(server.Close)
	client = testClient(t, nil, func(c *Config) {
		c.HTTPClient = nil
		c.EndpointURL = server.URL
		c.Retry.Sleep = func(_ context.Context, d time.Duration) error {
			*slept = append(*slept, d)
			return nil
		}
	})
	return client, func() int { return int(seen.Load()) }, slept
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ec2Error(status int, code string) http.HandlerFunc {
	return answer(status, "<Response><Errors><Error><Code>"+code+"</Code><Message>m</Message></Error></Errors><RequestID>r</RequestID></Response>")
}

// cut answers with less than it has promised.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(volumesXML)))
	_, _ = io.WriteString(w, volumesXML[:100])
}

// reset closes the connection without an answer.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

func TestFailuresThatPassAreRetried(t *testing.T) {
	html := answer(503, "<html><body><h1>503 Service Unavailable</h1></body></html>")
	for name, first := range map[string]http.HandlerFunc{
		"throttled":          ec2Error(400, "RequestLimitExceeded"),
		"unavailable":        ec2Error(503, "Unavailable"),
		"internal":           ec2Error(500, "InternalError"),
		"HTML":               html,
		"empty":              answer(500, ""),
		"cut":                cut,
		"reset":              reset,
		"cut without notice": answer(200, volumesXML[:len(volumesXML)-9]),
	} {
		t.Run(name, func(t *testing.T) {
			client, requests, slept := scripted(t, first, first, answer(200, volumesXML))
			out, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil)
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := searchPath("Volumes[0].VolumeId", out); v != "vol-1" || requests() != 3 || len(*slept) != 2 {
				t.Errorf("got %v after %d requests, slept %v", out, requests(), *slept)
			}
		})
	}
}

func TestOtherFailuresAreNotRetried(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		code   string
	}{
		"denied":          {ec2Error(403, "UnauthorizedOperation"), "UnauthorizedOperation"},
		"invalid":         {ec2Error(400, "InvalidParameterValue"), "InvalidParameterValue"},
		"HTML 200":        {answer(200, "<html><body>Sign in</body></html>"), CodeInvalidResponse},
		"HTML 5":          {answer(200, "<!DOCTYPE html><html></html>"), CodeInvalidResponse},
		"JSON":            {answer(200, `{"Volumes":[]}`), CodeInvalidResponse},
		"not well-formed": {answer(200, "<DescribeVolumesResponse><volumeSet></DescribeVolumesResponse>"), CodeInvalidResponse},
		"two documents":   {answer(200, volumesXML+volumesXML), CodeInvalidResponse},
		"wrong type":      {answer(200, strings.Replace(volumesXML, "<volumeId>vol-1</volumeId>", "<size>big</size>", 1)), CodeInvalidResponse},
		"too deep":        {answer(200, "<R>"+strings.Repeat("<a>", 1000)+strings.Repeat("</a>", 1000)+"</R>"), CodeInvalidResponse},
		"redirect":        {answer(301, "moved"), "301"},
	} {
		t.Run(name, func(t *testing.T) {
			client, requests, _ := scripted(t, tc.answer)
			out, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil)
			var e *Error
			if !errors.As(err, &e) || e.Code != tc.code || e.Retryable || out != nil || requests() != 1 {
				t.Errorf("got %v, %v (%+v) after %d requests", out, err, e, requests())
			}
		})
	}
}

func TestAtMostOnceRepeatsOnlyWhatWasRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		first http.HandlerFunc
		want  int
	}{
		"throttled": {ec2Error(400, "RequestLimitExceeded"), 2},
		"too busy":  {ec2Error(503, "RequestLimitExceeded"), 2},
		"internal":  {ec2Error(500, "InternalError"), 1},
		"cut":       {cut, 1},
		"reset":     {reset, 1},
	} {
		t.Run(name, func(t *testing.T) {
			client, requests, _ := scripted(t, tc.first, answer(200, volumesXML))
			_, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil, AtMostOnce())
			var e *Error
			if refused := !errors.As(err, &e) || e.Refused(); requests() != tc.want || refused != (tc.want == 2) {
				t.Errorf("%v after %d requests, want %d", err, requests(), tc.want)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	throttled := ec2Error(503, "RequestLimitExceeded")
	client, requests, slept := scripted(t, throttled, throttled, throttled, throttled)
	_, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != "RequestLimitExceeded" || !e.Retryable || requests() != 3 {
		t.Errorf("got %v after %d requests", err, requests())
	}
	if (*slept)[0] >= time.Second || (*slept)[1] >= 2*time.Second {
		t.Errorf("slept %v", *slept)
	}
	if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil, MaxAttempts(1)); err == nil || requests() != 4 {
		t.Errorf("with one attempt: %v after %d requests", err, requests())
	}
}

func TestRetriesHaveABudgetForEachPlace(t *testing.T) {
	calls := map[string]int{}
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls[r.Host]++
		ec2Error(503, "RequestLimitExceeded")(w, r)
	})), nil)
	for range 200 {
		_, _ = client.Call(t.Context(), "ec2", "DescribeVolumes", nil)
	}
	// 500 in the budget are 100 retries at 5; each call sends its first request.
	if n := calls["ec2.eu-west-1.amazonaws.com"]; n != 300 {
		t.Errorf("%d requests", n)
	}
	_, _ = client.Call(t.Context(), "ec2", "DescribeVolumes", nil, Region("eu-north-1"))
	if n := calls["ec2.eu-north-1.amazonaws.com"]; n != 3 {
		t.Errorf("%d requests in the other Region", n)
	}
}

func TestBudgetsAreByAccountRegionAndService(t *testing.T) {
	var b budgets
	one := b.of("111122223333", "eu-west-1", "ec2")
	if b.of("111122223333", "eu-west-1", "ec2") != one {
		t.Error("one place has two budgets")
	}
	for _, other := range [][3]string{{"444455556666", "eu-west-1", "ec2"}, {"111122223333", "eu-north-1", "ec2"}, {"111122223333", "eu-west-1", "s3"}} {
		if b.of(other[0], other[1], other[2]) == one {
			t.Errorf("%v has the same budget", other)
		}
	}
	role := testClient(t, nil, func(c *Config) { c.Account = "111122223333" }).AssumeRole("arn:aws:iam::444455556666:role/r", RoleSession{Name: "s"})
	if role.cfg.Account != "444455556666" {
		t.Errorf("a role's calls are on the budget of %s", role.cfg.Account)
	}
}

func TestClockSkewIsCorrected(t *testing.T) {
	var times []string
	theirs := testTime.Add(2 * time.Hour)
	skewed := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", theirs.Format(http.TimeFormat))
		times = append(times, r.Header.Get("X-Amz-Date"))
		if len(times) == 1 {
			ec2Error(403, "RequestExpired")(w, r)
			return
		}
		answer(200, volumesXML)(w, r)
	}
	client, _, slept := scripted(t, skewed, skewed, skewed)
	for range 2 {
		if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil); err != nil {
			t.Fatal(err)
		}
	}
	want := theirs.Format("20060102T150405Z")
	if times[1] != want || times[2] != want || len(*slept) != 0 {
		t.Errorf("signed at %v, want %s; slept %v", times, want, *slept)
	}
}

func TestAuthFailureWithTheRightClockIsNotRetried(t *testing.T) {
	client, requests, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", testTime.Format(http.TimeFormat))
		ec2Error(401, "AuthFailure")(w, r)
	})
	if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil); err == nil || requests() != 1 {
		t.Errorf("got %v after %d requests", err, requests())
	}
}

func TestS3RedirectsAreFollowedOnce(t *testing.T) {
	var hosts []string
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts = append(hosts, r.Host+" "+strings.Split(r.Header.Get("Authorization"), "/")[2])
		if len(hosts) == 1 {
			w.Header().Set("X-Amz-Bucket-Region", "eu-north-1")
			answer(301, "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>")(w, r)
			return
		}
		answer(301, "<Error><Code>PermanentRedirect</Code><Message>m</Message><Region>us-west-2</Region></Error>")(w, r)
	})), nil)
	_, err := client.Call(t.Context(), "s3", "ListObjectsV2", map[string]any{"Bucket": "acme-invoices"})
	var e *Error
	if !errors.As(err, &e) || e.Code != "PermanentRedirect" {
		t.Errorf("got %v", err)
	}
	want := "[acme-invoices.s3.eu-west-1.amazonaws.com eu-west-1 acme-invoices.s3.eu-north-1.amazonaws.com eu-north-1]"
	if fmt.Sprint(hosts) != want {
		t.Errorf("went to %v, want %v", hosts, want)
	}
}

// TestS3RedirectsTellTheRegion has the ways in which S3 says where a bucket is.
func TestS3RedirectsTellTheRegion(t *testing.T) {
	header := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(bucketRegionHeader, "eu-north-1")
			if code != "" {
				code = "<Error><Code>" + code + "</Code><Message>m</Message></Error>"
			}
			answer(status, code)(w, r)
		}
	}
	body := func(status int, code string) http.HandlerFunc {
		return answer(status, "<Error><Code>"+code+"</Code><Message>m</Message><Region>eu-north-1</Region></Error>")
	}
	for name, tc := range map[string]struct {
		operation string
		first     http.HandlerFunc
		requests  int
	}{
		"by header":               {"ListObjectsV2", header(301, "PermanentRedirect"), 2},
		"by body":                 {"ListObjectsV2", body(301, "PermanentRedirect"), 2},
		"for a while":             {"ListObjectsV2", header(307, "TemporaryRedirect"), 2},
		"the signature's Region":  {"ListObjectsV2", body(400, "AuthorizationHeaderMalformed"), 2},
		"HEAD 301":                {"HeadBucket", header(301, ""), 2},
		"HEAD 400":                {"HeadBucket", header(400, ""), 2},
		"refused":                 {"ListObjectsV2", header(403, "AccessDenied"), 1},
		"without saying where to": {"ListObjectsV2", answer(301, "<Error><Code>PermanentRedirect</Code></Error>"), 1},
	} {
		var hosts []string
		client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if hosts = append(hosts, r.Host); len(hosts) == 1 {
				tc.first(w, r)
				return
			}
			answer(200, "<ListBucketResult/>")(w, r)
		})), nil)
		_, err := client.Call(t.Context(), "s3", tc.operation, map[string]any{"Bucket": "bbb"})
		if ok := err == nil; ok != (tc.requests == 2) || len(hosts) != tc.requests || ok && hosts[1] != "bbb.s3.eu-north-1.amazonaws.com" {
			t.Errorf("%s: went to %v: %v", name, hosts, err)
		}
	}
}

func TestS3ErrorInASuccess(t *testing.T) {
	type m = map[string]any
	failure := "<?xml version=\"1.0\"?>" + strings.Repeat("\n ", 5000) + "<Error><Code>InternalError</Code><Message>m</Message></Error>"
	for _, tc := range []struct {
		operation   string
		in          m
		first, then string
	}{
		{"CopyObject", m{"Key": "k", "CopySource": "a/b"}, failure, "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"},
		{"CopyObject", m{"Key": "k", "CopySource": "a/b"}, "\n \n", "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>"},
		{"UploadPartCopy", m{"Key": "k", "CopySource": "a/b", "UploadId": "u", "PartNumber": int64(1)}, failure, "<CopyPartResult><ETag>e</ETag></CopyPartResult>"},
		{"CompleteMultipartUpload", m{"Key": "k", "UploadId": "u"}, failure, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"},
		{"CompleteMultipartUpload", m{"Key": "k", "UploadId": "u"}, "", "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"},
		{"DeleteObject", m{"Key": "k"}, failure, ""},
	} {
		n := 0
		client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n++; n == 1 {
				answer(200, tc.first)(w, r)
				return
			}
			answer(200, tc.then)(w, r)
		})), nil)
		tc.in["Bucket"] = "bbb"
		if out, err := client.Call(t.Context(), "s3", tc.operation, tc.in); err != nil || n != 2 {
			t.Errorf("%s after %q: got %v, %v after %d requests", tc.operation, clip(tc.first), out, err, n)
		}
		n = 0
		out, err := client.Call(t.Context(), "s3", tc.operation, tc.in, MaxAttempts(1))
		var e *Error
		if !errors.As(err, &e) || out != nil || !e.Retryable {
			t.Errorf("%s after %q, once: got %v, %v", tc.operation, clip(tc.first), out, err)
		}
	}
}

func TestCancelEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := testClient(t, HandlerDoer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		ec2Error(503, "Unavailable")(w, r)
	})), nil)
	_, err := client.Call(ctx, "ec2", "DescribeVolumes", nil)
	var e *Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Retryable {
		t.Errorf("got %v", err)
	}
}

// A service that takes a request and never answers is a lost connection; one whose
// answer has begun may take its time.
func TestAServiceThatNeverAnswersIsALostConnection(t *testing.T) {
	const patience = 300 * time.Millisecond
	done := make(chan struct{})
	silent := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}
	slow := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, volumesXML[:100])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * patience)
		_, _ = io.WriteString(w, volumesXML[100:])
	}
	client, requests, _ := scripted(t, silent, slow, silent)
	defer close(done)
	cfg := client.cfg
	cfg.HTTPClient, cfg.ResponseTimeout = nil, patience
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call(t.Context(), "ec2", "DescribeVolumes", nil); err != nil || requests() != 2 {
		t.Errorf("%v after %d requests", err, requests())
	}
	_, err = client.Call(t.Context(), "ec2", "CreateVolume", map[string]any{"AvailabilityZone": "eu-west-1a", "Size": 1}, AtMostOnce())
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeNoResponse || requests() != 3 {
		t.Errorf("%v after %d requests", err, requests())
	}
}
