package awsapi

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// credentialSources is a server that is everything which hands out credentials, and
// writes down what it was asked for. A key that it gives says whence it is.
type credentialSources struct {
	t    *testing.T
	seen []string
}

func (c *credentialSources) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	expires := time.Now().Add(time.Hour).UTC()
	keys := func(id string) string {
		return fmt.Sprintf(`{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":"s","Token":"t","Expiration":%q}`, id, expires.Format(time.RFC3339))
	}
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, "token")
	case strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token":
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
		_, _ = io.WriteString(w, "instance-role")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/instance-role":
		_, _ = io.WriteString(w, keys("ASIAINSTANCE"))
	case r.URL.Path == "/container":
		_, _ = io.WriteString(w, keys("ASIACONTAINER"))
	case r.URL.Path == "/federation/credentials":
		c.note("SSO %s %s", r.URL.Query().Get("role_name"), r.Header.Get("X-Amz-Sso_bearer_token"))
		_, _ = fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"s","sessionToken":"t","expiration":%d}}`, expires.UnixMilli())
	default:
		c.sts(w, r, expires)
	}
}

func (c *credentialSources) note(format string, args ...any) {
	c.seen = append(c.seen, fmt.Sprintf(format, args...))
}

// sts assumes roles: the key of role/x is ASIA-x.
func (c *credentialSources) sts(w http.ResponseWriter, r *http.Request, expires time.Time) {
	if r.Header.Get("Authorization") == "" {
		r.Host = "sts.us-east-1.amazonaws.com" // AssumeRoleWithWebIdentity is not signed
	}
	sr, err := testCatalog(c.t).DecodeRequest(r)
	if err != nil {
		c.t.Error(err)
		return
	}
	out := map[string]any{}
	role, _ := sr.Input["RoleArn"].(string)
	switch sr.Operation.Name {
	case "AssumeRole":
		c.note("AssumeRole %s by %s", role, sr.AccessKeyID)
	case "AssumeRoleWithWebIdentity":
		c.note("AssumeRoleWithWebIdentity %s with %s", role, sr.Input["WebIdentityToken"])
	default:
		c.note("%s by %s", sr.Operation.Name, sr.AccessKeyID)
	}
	if role != "" {
		key := "ASIA-" + role[strings.LastIndexByte(role, '/')+1:]
		out["Credentials"] = map[string]any{"AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires}
	}
	if err := sr.WriteResponse(w, out, "r"); err != nil {
		c.t.Error(err)
	}
}

func TestCredentialsComeFromWhereAWSsToolsTakeThem(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/"
	for _, tc := range []struct {
		name, config, profile string
		env                   map[string]string // URL stands for the server's address, DIR for a folder
		files                 map[string]string // in that folder
		want                  []string
	}{
		{name: "a chain of roles", profile: "end", config: `[profile end]
role_arn = ` + role + `end
source_profile = middle
external_id = x
[profile middle]
role_arn = ` + role + `middle
source_profile = start
[profile start]
aws_access_key_id = AKIASTART
aws_secret_access_key = s
`, want: []string{"AssumeRole " + role + "middle by AKIASTART", "AssumeRole " + role + "end by ASIA-middle", "GetCallerIdentity by ASIA-end"}},
		{name: "web identity", env: map[string]string{"AWS_ROLE_ARN": role + "web", "AWS_WEB_IDENTITY_TOKEN_FILE": "DIR/token"}, files: map[string]string{"token": "jwt"},
			want: []string{"AssumeRoleWithWebIdentity " + role + "web with jwt", "GetCallerIdentity by ASIA-web"}},
		{name: "SSO", config: `[default]
sso_session = work
sso_account_id = 111122223333
sso_role_name = auditor
[sso-session work]
sso_region = eu-west-1
sso_start_url = https://example.awsapps.com/start
`, files: map[string]string{".aws/sso/cache/" + sha1Hex("work") + ".json": `{"accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z"}`},
			want: []string{"SSO auditor sso-token", "GetCallerIdentity by ASIASSO"}},
		{name: "an instance's metadata", env: map[string]string{"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "URL"}, want: []string{"GetCallerIdentity by ASIAINSTANCE"}},
		{name: "a container's", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "URL/container"}, want: []string{"GetCallerIdentity by ASIACONTAINER"}},
		{name: "the environment", env: map[string]string{"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "s"}, want: []string{"GetCallerIdentity by AKIAENV"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			isolate(t, tc.config)
			sources := &credentialSources{t: t}
			server := httptest.NewServer(sources)
			defer server.Close()
			dir := t.TempDir()
			t.Setenv("HOME", dir)
			t.Setenv("AWS_REGION", "eu-west-1")
			t.Setenv("AWS_ENDPOINT_URL", server.URL)
			for k, v := range tc.env {
				t.Setenv(k, strings.NewReplacer("URL", server.URL, "DIR", dir).Replace(v))
			}
			for name, text := range tc.files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := LoadConfig(t.Context(), LoadOptions{Profile: tc.profile})
			if err != nil {
				t.Fatal(err)
			}
			client, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time out of the cache
				if _, err := client.Call(t.Context(), "sts", "GetCallerIdentity", nil); err != nil {
					t.Fatal(err)
				}
			}
			want := append(tc.want, tc.want[len(tc.want)-1])
			if fmt.Sprint(sources.seen) != fmt.Sprint(want) {
				t.Errorf("asked\n%s\nwant\n%s", strings.Join(sources.seen, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func sha1Hex(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// TestRolesThatAssumeRoles goes from one account into the next: each role is assumed
// by the one before.
func TestRolesThatAssumeRoles(t *testing.T) {
	sources := &credentialSources{t: t}
	hub := testClient(t, HandlerDoer(sources), nil)
	spoke := hub.AssumeRole("arn:aws:iam::111122223333:role/hub", RoleSession{Name: "s"}).AssumeRole("arn:aws:iam::444455556666:role/spoke", RoleSession{Name: "s"})
	if _, err := spoke.Call(t.Context(), "sts", "GetCallerIdentity", nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"AssumeRole arn:aws:iam::111122223333:role/hub by AKIDEXAMPLE", "AssumeRole arn:aws:iam::444455556666:role/spoke by ASIA-hub", "GetCallerIdentity by ASIA-spoke"}
	if fmt.Sprint(sources.seen) != fmt.Sprint(want) {
		t.Errorf("asked %q, want %q", sources.seen, want)
	}
}
