package app

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/store/sqlite"
	"github.com/knowngood/knowngood/library"
)

// awsOptions are the flags of every command that calls AWS.
type awsOptions struct{ profile, region, endpointURL, state string }

func (o *awsOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.profile, "profile", "", "profile of the AWS configuration")
	cmd.Flags().StringVar(&o.region, "region", "", "Region")
	cmd.Flags().StringVar(&o.endpointURL, "endpoint-url", "", "endpoint in place of AWS's own")
	cmd.Flags().StringVar(&o.state, "state", ".knowngood", "folder that holds what knowngood remembers")
}

// session is one account and Region, with the credentials of the standard
// chain, and what knowngood remembers.
type session struct {
	catalog    *awsapi.Catalog
	client     *awsapi.Client
	operations remedy.Operations
	store      *sqlite.Store
	place      knowngood.Place
	principal  string // ARN
	loopback   bool   // the endpoint is on this machine
}

// open finds out who calls where, and opens the store.
func (o awsOptions) open(ctx context.Context) (*session, error) {
	c, err := catalog()
	if err != nil {
		return nil, err
	}
	cfg, err := awsapi.LoadConfig(ctx, awsapi.LoadOptions{Catalog: c, Profile: o.profile, Region: o.region, EndpointURL: o.endpointURL})
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Credentials, Op: "read the AWS configuration", Err: err}
	}
	if cfg.Region == "" {
		return nil, knowngood.E(knowngood.Usage, "find the Region", "none is configured").WithHint("give --region, or set AWS_REGION")
	}
	client, err := awsapi.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &session{catalog: c, client: client, loopback: onLoopback(cfg.EndpointURL)}
	who, err := client.Call(ctx, "sts", "GetCallerIdentity", nil)
	if err != nil {
		return nil, callerError(err)
	}
	partition, err := c.Partition(cfg.Region)
	if err != nil {
		return nil, err
	}
	s.principal, _ = who["Arn"].(string)
	account, _ := who["Account"].(string)
	s.place = knowngood.Place{Partition: partition.ID, Account: account, Region: cfg.Region}
	rows, err := fs.Sub(library.FS, "operations")
	if err != nil {
		return nil, err
	}
	if s.operations, err = remedy.LoadOperations(rows); err != nil {
		return nil, err
	}
	s.store, err = sqlite.Open(ctx, filepath.Join(o.state, "knowngood.db"))
	return s, err
}

// callerError gives an error of the first call its kind.
func callerError(err error) error {
	kind := knowngood.Other
	var e *awsapi.Error
	if errors.As(err, &e) {
		switch e.Code {
		case awsapi.CodeNoCredentials, "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException":
			kind = knowngood.Credentials
		}
	}
	out := &knowngood.Error{Kind: kind, Op: "find out who calls", Err: err}
	if kind == knowngood.Credentials {
		return out.WithHint("sign in with the AWS CLI, or set AWS_PROFILE; `aws sts get-caller-identity` must work")
	}
	return out
}

func onLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// me names this process as the owner of a lease.
func me() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
}

// isDead says whether a lease's owner was a process of this host that is gone.
func isDead(owner string) bool {
	host, pid, ok := strings.Cut(owner, "/")
	mine, _, _ := strings.Cut(me(), "/")
	n, err := strconv.Atoi(pid)
	return ok && host == mine && err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}
