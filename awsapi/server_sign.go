package awsapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// signature is what a request says of how it is signed.
type signature struct {
	algorithm     string
	accessKeyID   string
	date          string // of the scope, YYYYMMDD
	region        string
	service       string
	signedHeaders []string
	signature     string
	time          string // X-Amz-Date
	expires       string // of a presigned URL
	sessionToken  string
	presigned     bool
}

const (
	sigv4  = "AWS4-HMAC-SHA256"
	sigv4a = "AWS4-ECDSA-P256-SHA256"
)

// parseSignature reads a request's signature, from the header or the query. ok
// is false for a request that is not signed.
func parseSignature(r *http.Request) (sig signature, ok bool, err error) {
	query := r.URL.Query()
	var credential, headers string
	if query.Has("X-Amz-Credential") {
		sig = signature{algorithm: query.Get("X-Amz-Algorithm"), signature: query.Get("X-Amz-Signature"), time: query.Get("X-Amz-Date"),
			expires: query.Get("X-Amz-Expires"), sessionToken: query.Get("X-Amz-Security-Token"), presigned: true}
		credential, headers = query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders")
	} else {
		algorithm, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if algorithm == "" || !strings.HasPrefix(algorithm, "AWS") {
			return sig, false, nil
		}
		sig = signature{algorithm: algorithm, time: r.Header.Get("X-Amz-Date"), sessionToken: r.Header.Get("X-Amz-Security-Token")}
		for part := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				headers = value
			case "Signature":
				sig.signature = value
			}
		}
	}
	if sig.algorithm != sigv4 && sig.algorithm != sigv4a {
		return sig, false, fmt.Errorf("the signature's algorithm %q is not supported", clip(sig.algorithm))
	}
	scope := strings.Split(credential, "/")
	n := 5
	if sig.algorithm == sigv4a {
		n = 4 // a scope without a Region
	}
	// An access key id may have slashes, the rest of the scope has none.
	if len(scope) < n || scope[len(scope)-1] != "aws4_request" {
		return sig, false, fmt.Errorf("the credential %q is not KEY/DATE/REGION/SERVICE/aws4_request", clip(credential))
	}
	sig.service, scope = scope[len(scope)-2], scope[:len(scope)-2]
	if n == 5 {
		sig.region, scope = scope[len(scope)-1], scope[:len(scope)-1]
	}
	sig.date = scope[len(scope)-1]
	sig.accessKeyID = strings.Join(scope[:len(scope)-1], "/")
	if sig.accessKeyID == "" || headers == "" || sig.signature == "" {
		return sig, false, errors.New("the signature lacks its access key, signed headers or signature")
	}
	sig.signedHeaders = strings.Split(strings.ToLower(headers), ";")
	return sig, true, nil
}

// maxSkew is how far a request's time may be from the server's, as AWS has it.
const maxSkew = 15 * time.Minute

// VerifySignature computes a request's SigV4 signature afresh and compares. body
// is what the body holds; where the client said UNSIGNED-PAYLOAD, or sends
// signed chunks, it isn't looked at. now is the server's time. The error is an
// *Error with the code and status that AWS would send.
func VerifySignature(r *http.Request, body []byte, secret string, now time.Time) error {
	sig, ok, err := parseSignature(r)
	switch {
	case err != nil:
		return serverError(400, "IncompleteSignature", err.Error())
	case !ok:
		return serverError(403, "MissingAuthenticationToken", "the request is not signed")
	case sig.algorithm != sigv4:
		return serverError(400, "IncompleteSignature", "signatures of the algorithm "+sig.algorithm+" can't be verified")
	case !slices.Contains(sig.signedHeaders, "host"):
		return serverError(403, "SignatureDoesNotMatch", "the header Host is not signed")
	}
	at, err := time.Parse("20060102T150405Z", sig.time)
	if err != nil || !strings.HasPrefix(sig.time, sig.date) {
		return serverError(400, "IncompleteSignature", fmt.Sprintf("X-Amz-Date %q does not fit the scope's date %q", clip(sig.time), clip(sig.date)))
	}
	if err := checkTime(sig, at, now); err != nil {
		return err
	}
	payload, err := payloadHash(r, sig, body)
	if err != nil {
		return err
	}
	canonical := canonicalRequest(r, sig, payload)
	scope := strings.Join([]string{sig.date, sig.region, sig.service, "aws4_request"}, "/")
	text := strings.Join([]string{sigv4, sig.time, scope, sha256Hex([]byte(canonical))}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{sig.date, sig.region, sig.service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(key)), []byte(sig.signature)) != 1 {
		return serverError(403, "SignatureDoesNotMatch", "the signature that was computed is not the one that the request has")
	}
	return nil
}

func checkTime(sig signature, at, now time.Time) error {
	if !sig.presigned {
		if d := now.Sub(at); d > maxSkew || d < -maxSkew {
			return serverError(403, "RequestTimeTooSkewed", "the request's time "+sig.time+" is too far from the server's")
		}
		return nil
	}
	seconds, err := strconv.Atoi(sig.expires)
	if err != nil || seconds < 0 || seconds > 7*24*3600 {
		return serverError(400, "AuthorizationQueryParametersError", "X-Amz-Expires is not a number of seconds up to a week")
	}
	if now.After(at.Add(time.Duration(seconds)*time.Second)) || at.Sub(now) > maxSkew {
		return serverError(403, "AccessDenied", "the request has expired")
	}
	return nil
}

// payloadHash is what stands for the body in the canonical request.
func payloadHash(r *http.Request, sig signature, body []byte) (string, error) {
	said := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case said == "" && sig.presigned && sig.service == "s3":
		return unsignedPayload, nil
	case said == unsignedPayload || strings.HasPrefix(said, "STREAMING-"):
		return said, nil
	}
	sum := sha256Hex(body)
	if said != "" && said != sum {
		return "", serverError(400, "XAmzContentSHA256Mismatch", "the body is not that which X-Amz-Content-Sha256 says")
	}
	return sum, nil
}

// unsignedPayload stands for a body that the signature does not cover.
const unsignedPayload = "UNSIGNED-PAYLOAD"

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// canonicalRequest is the text that is signed, as SigV4 has it.
func canonicalRequest(r *http.Request, sig signature, payload string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if sig.service != "s3" {
		path = escape(path, true) // all but S3 escape the path twice
	}
	var params [][2]string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if pair == "" || key == "X-Amz-Signature" && sig.presigned {
			continue
		}
		params = append(params, [2]string{reescape(key), reescape(value)})
	}
	sort.Slice(params, func(i, j int) bool {
		return params[i][0] < params[j][0] || params[i][0] == params[j][0] && params[i][1] < params[j][1]
	})
	var b strings.Builder
	b.WriteString(r.Method + "\n" + path + "\n")
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p[0] + "=" + p[1])
	}
	b.WriteByte('\n')
	for _, name := range sig.signedHeaders {
		values := r.Header[http.CanonicalHeaderKey(name)]
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			if len(values) == 0 {
				values = []string{strconv.FormatInt(r.ContentLength, 10)}
			}
		}
		b.WriteString(name + ":")
		for i, v := range values {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strings.Join(strings.Fields(v), " "))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + strings.Join(sig.signedHeaders, ";") + "\n" + payload)
	return b.String()
}

// reescape makes the escapes of a query's text those that SigV4 wants.
func reescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		} else if c == '+' {
			c = ' '
		}
		b.WriteByte(c)
	}
	return escape(b.String(), false)
}
