package awsapi

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// isolate keeps the machine's own AWS configuration out of a test.
func isolate(t *testing.T, configFile string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(configFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL",
		"AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

const sharedConfig = `[default]
region = eu-west-3
endpoint_url = http://127.0.0.1:1111
services = local
aws_access_key_id = AKIDFILE
aws_secret_access_key = s

[services local]
s3 =
  endpoint_url = http://127.0.0.1:2222
elastic_load_balancing_v2 =
  endpoint_url = http://127.0.0.1:3333

[profile other]
region = ap-south-1
use_fips_endpoint = true
max_attempts = 7
`

func TestLoadConfig(t *testing.T) {
	catalog := testCatalog(t)
	for _, tc := range []struct {
		name    string
		options LoadOptions
		env     map[string]string
		region  string
		urls    map[string]string // by service
	}{
		{"profile", LoadOptions{}, nil, "eu-west-3", map[string]string{"ec2": "http://127.0.0.1:1111", "s3": "http://127.0.0.1:2222", "elbv2": "http://127.0.0.1:3333"}},
		{"environment", LoadOptions{}, map[string]string{"AWS_REGION": "us-west-2", "AWS_ENDPOINT_URL": "http://127.0.0.1:4444", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:5555"},
			"us-west-2", map[string]string{"ec2": "http://127.0.0.1:4444", "s3": "http://127.0.0.1:5555", "elbv2": "http://127.0.0.1:4444"}},
		{"options", LoadOptions{Region: "sa-east-1", EndpointURL: "http://127.0.0.1:6666"}, map[string]string{"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:5555"},
			"sa-east-1", map[string]string{"ec2": "http://127.0.0.1:6666", "s3": "http://127.0.0.1:6666"}},
		{"ignored", LoadOptions{}, map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "eu-west-3", map[string]string{"ec2": "", "s3": ""}},
		{"another profile", LoadOptions{Profile: "other"}, nil, "ap-south-1", map[string]string{"ec2": "", "s3": ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			isolate(t, sharedConfig)
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			cfg, err := LoadConfig(t.Context(), tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Region != tc.region || cfg.Catalog != catalog {
				t.Errorf("the Region is %q, want %q", cfg.Region, tc.region)
			}
			if other := tc.options.Profile == "other"; cfg.UseFIPS != other || (cfg.Retry.MaxAttempts == 7) != other {
				t.Errorf("FIPS %v, %d attempts", cfg.UseFIPS, cfg.Retry.MaxAttempts)
			}
			client, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range tc.urls {
				s, err := catalog.Service(name)
				if err != nil {
					t.Fatal(err)
				}
				if got := client.cfg.endpointURL(s.Name, s.ServiceID); got != want {
					t.Errorf("%s goes to %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestLoadConfigWithoutCredentials(t *testing.T) {
	isolate(t, "[default]\nregion = eu-west-1\n")
	cfg, err := LoadConfig(t.Context(), LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Call(t.Context(), "sts", "GetCallerIdentity", nil); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("got %v", err)
	}
}

// TestLoadConfigTrustsTheCABundle is about AWS_CA_BUNDLE, with which a plain
// http.Client can't be used.
func TestLoadConfigTrustsTheCABundle(t *testing.T) {
	isolate(t, sharedConfig)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(200, volumesXML)(w, r) }))
	defer server.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	call := func() error {
		cfg, err := LoadConfig(t.Context(), LoadOptions{EndpointURL: server.URL})
		if err != nil {
			return err
		}
		client, err := New(cfg)
		if err != nil {
			return err
		}
		_, err = client.Call(t.Context(), "ec2", "DescribeVolumes", nil, MaxAttempts(1))
		return err
	}
	if err := call(); codeOf(err) != CodeNoResponse {
		t.Errorf("without the bundle: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	if err := call(); err != nil {
		t.Error(err)
	}
}
