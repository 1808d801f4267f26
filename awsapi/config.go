package awsapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// LoadOptions say where LoadConfig looks first.
type LoadOptions struct {
	Catalog *Catalog // nil: the embedded one
	Profile string   // "": AWS_PROFILE, or default
	Region  string   // "": AWS_REGION, AWS_DEFAULT_REGION, or the profile's
	// EndpointURL is of the calls; roles are assumed where the environment or the
	// profile says. "": AWS_ENDPOINT_URL, or the profile's.
	EndpointURL string
	// Offline makes everything that credentials would be fetched from an ErrOffline:
	// what is in the environment and in files is found.
	Offline bool
}

// ErrOffline says that a request was not made.
var ErrOffline = errors.New("no request is made")

// LoadConfig gives the configuration that AWS's tools would use: from the
// environment, the shared config and credentials files with profiles, chains of
// roles, web identity, SSO, and the metadata of a container or instance. Endpoints
// come from AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the services section and
// endpoint_url of the profile, in this order, unless
// AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set. Nothing is asked of AWS before the
// first call: missing credentials are the call's error, ErrNoCredentials.
func LoadConfig(ctx context.Context, o LoadOptions) (Config, error) {
	catalog := o.Catalog
	if catalog == nil {
		var err error
		if catalog, err = Embedded(); err != nil {
			return Config{}, err
		}
	}
	// AWS_CA_BUNDLE needs a client whose transport can be changed: a plain
	// http.Client fails here.
	client := awshttp.NewBuildableClient()
	if o.Offline {
		client = client.WithTransportOptions(func(t *http.Transport) {
			t.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, ErrOffline }
		})
	}
	issuers := &issuers{}
	options := append(issuers.options(), config.WithHTTPClient(client), config.WithLogger(logging.Nop{}))
	if o.Offline {
		options = append(options, config.WithRetryMaxAttempts(1))
	}
	if o.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Region != "" {
		options = append(options, config.WithRegion(o.Region))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return Config{}, fmt.Errorf("awsapi: AWS configuration: %w", err)
	}
	cfg := Config{Catalog: catalog, Credentials: loaded.Credentials, Region: loaded.Region}
	var ok bool
	if cfg.transport, ok = loaded.HTTPClient.(*awshttp.BuildableClient); !ok {
		cfg.HTTPClient = loaded.HTTPClient
	}
	if ignore := readSources(&cfg, loaded); !ignore {
		readEndpoints(&cfg, loaded)
	}
	issuers.sts, issuers.sso = cfg.endpointURL("sts"), cfg.endpointURL("sso")
	if o.EndpointURL != "" {
		cfg.EndpointURL, cfg.ServiceEndpoints = o.EndpointURL, nil
	}
	return cfg, nil
}

// defaultTimeout is boto3's, of connections and of reads.
const defaultTimeout = time.Minute

// newHTTPClient has the transport of AWS's SDKs, which keeps more connections to one
// host than net/http does by itself.
func newHTTPClient(cfg Config) *http.Client {
	b := cfg.transport
	if b == nil {
		b = awshttp.NewBuildableClient()
	}
	dialer := b.GetDialer()
	dialer.Timeout = cmp.Or(cfg.ConnectTimeout, defaultTimeout)
	transport := b.GetTransport()
	transport.DialContext = dialer.DialContext
	transport.ResponseHeaderTimeout = cmp.Or(cfg.ResponseTimeout, defaultTimeout)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// readSources takes from the environment and the profile what aws.Config keeps
// only for AWS's own clients. ignore is whether configured endpoints are not to be
// used.
func readSources(cfg *Config, loaded aws.Config) (ignore bool) {
	ignore = strings.EqualFold(os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true")
	for _, source := range loaded.ConfigSources {
		switch s := source.(type) {
		case config.EnvConfig:
			cfg.UseFIPS = cfg.UseFIPS || s.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled
			cfg.UseDualStack = cfg.UseDualStack || s.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled
			setRetry(cfg, s.RetryMaxAttempts)
		case config.SharedConfig:
			if os.Getenv("AWS_USE_FIPS_ENDPOINT") == "" {
				cfg.UseFIPS = cfg.UseFIPS || s.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled
			}
			if os.Getenv("AWS_USE_DUALSTACK_ENDPOINT") == "" {
				cfg.UseDualStack = cfg.UseDualStack || s.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled
			}
			setRetry(cfg, s.RetryMaxAttempts)
			if s.IgnoreConfiguredEndpoints != nil && os.Getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") == "" {
				ignore = ignore || *s.IgnoreConfiguredEndpoints
			}
		}
	}
	return ignore
}

func setRetry(cfg *Config, attempts int) {
	if cfg.Retry.MaxAttempts == 0 {
		cfg.Retry.MaxAttempts = attempts
	}
}

// readEndpoints sets the endpoints that are configured for all services and for
// each.
func readEndpoints(cfg *Config, loaded aws.Config) {
	var profile config.SharedConfig
	for _, source := range loaded.ConfigSources {
		if s, ok := source.(config.SharedConfig); ok {
			profile = s
		}
	}
	env := os.Getenv("AWS_ENDPOINT_URL")
	cfg.EndpointURL = env
	if env == "" {
		cfg.EndpointURL = profile.BaseEndpoint
	}
	cfg.ServiceEndpoints = map[string]string{}
	set := func(service, url string) {
		if url != "" {
			cfg.ServiceEndpoints[serviceKey(service)] = url
		}
	}
	const prefix = "AWS_ENDPOINT_URL_"
	for _, pair := range os.Environ() {
		key, value, _ := strings.Cut(pair, "=")
		if service, ok := strings.CutPrefix(key, prefix); ok {
			set(service, value)
		}
	}
	if env != "" {
		return // for all services, in the environment, comes before a service's in the file
	}
	for service, values := range profile.Services.ServiceValues {
		set(service, values["endpoint_url"])
	}
}

// serviceKey makes one of the forms of a service's name or id: "Elastic Load
// Balancing v2" is ELASTIC_LOAD_BALANCING_V2 in the environment and
// elastic_load_balancing_v2 in the shared config file.
func serviceKey(name string) string { return foldName(strings.ReplaceAll(name, " ", "")) }
