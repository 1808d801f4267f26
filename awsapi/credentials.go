package awsapi

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// issuers are the services that hand out credentials, at the endpoints that are
// configured for them. The SDK makes its clients for them before it has read
// AWS_ENDPOINT_URL and the profile's endpoint_url, and so would ask AWS itself for
// a role in whatever else is to be called; botocore does not.
type issuers struct {
	sts, sso string // "": AWS's own
}

// options have the SDK's providers ask the issuers. They may be set later, before
// credentials are first asked for.
func (i *issuers) options() []func(*config.LoadOptions) error {
	return []func(*config.LoadOptions) error{
		config.WithAssumeRoleCredentialOptions(func(o *stscreds.AssumeRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok {
				o.Client = stsAt{client, i}
			}
		}),
		config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
			if client, ok := o.Client.(*sts.Client); ok {
				o.Client = stsAt{client, i}
			}
		}),
		config.WithSSOProviderOptions(func(o *ssocreds.Options) {
			if client, ok := o.Client.(*sso.Client); ok {
				o.Client = ssoAt{client, i}
			}
		}),
	}
}

// stsAt is a client whose calls go to the issuers' STS.
type stsAt struct {
	client  *sts.Client
	issuers *issuers
}

func (s stsAt) endpoint(o *sts.Options) {
	if s.issuers.sts != "" {
		o.BaseEndpoint = &s.issuers.sts
	}
}

// AssumeRole implements stscreds.AssumeRoleAPIClient.
func (s stsAt) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, opts ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	return s.client.AssumeRole(ctx, in, append(opts, s.endpoint)...)
}

// AssumeRoleWithWebIdentity implements stscreds.AssumeRoleWithWebIdentityAPIClient.
func (s stsAt) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, opts ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return s.client.AssumeRoleWithWebIdentity(ctx, in, append(opts, s.endpoint)...)
}

// ssoAt is a client whose calls go to the issuers' SSO.
type ssoAt struct {
	client  *sso.Client
	issuers *issuers
}

// GetRoleCredentials implements ssocreds.GetRoleCredentialsAPIClient.
func (s ssoAt) GetRoleCredentials(ctx context.Context, in *sso.GetRoleCredentialsInput, opts ...func(*sso.Options)) (*sso.GetRoleCredentialsOutput, error) {
	return s.client.GetRoleCredentials(ctx, in, append(opts, func(o *sso.Options) {
		if s.issuers.sso != "" {
			o.BaseEndpoint = &s.issuers.sso
		}
	})...)
}

// StaticCredentials are credentials that never change; session is empty for
// those of a user.
func StaticCredentials(accessKeyID, secret, session string) aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(accessKeyID, secret, session)
}

// RoleSession is how a role is assumed.
type RoleSession struct {
	Name       string // 2 to 64 characters; shows in CloudTrail
	ExternalID string // "": none
	// Policy, a document of at most 2,048 characters, and PolicyARNs, of at most 10
	// managed policies, narrow the session: it may do what the role may and one of
	// these allows as well. Without any it may all that the role may.
	Policy     string
	PolicyARNs []string
}

// AssumeRole is a client with the credentials of a role, which this client
// assumes when they are first needed and again before they expire. The retries of
// the new client are budgeted for the role's account.
func (c *Client) AssumeRole(arn string, s RoleSession) *Client {
	role := c.WithCredentials(aws.NewCredentialsCache(roleProvider{c, arn, s}, func(o *aws.CredentialsCacheOptions) {
		o.ExpiryWindow = 5 * time.Minute
	}))
	if parts := strings.Split(arn, ":"); len(parts) > 4 {
		role.cfg.Account = parts[4]
	}
	return role
}

// roleProvider gets a role's credentials.
type roleProvider struct {
	client  *Client
	arn     string
	session RoleSession
}

// Retrieve implements aws.CredentialsProvider.
func (p roleProvider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	in := map[string]any{"RoleArn": p.arn, "RoleSessionName": p.session.Name}
	if p.session.ExternalID != "" {
		in["ExternalId"] = p.session.ExternalID
	}
	if p.session.Policy != "" {
		in["Policy"] = p.session.Policy
	}
	if len(p.session.PolicyARNs) > 0 {
		arns := make([]any, len(p.session.PolicyARNs))
		for i, arn := range p.session.PolicyARNs {
			arns[i] = map[string]any{"arn": arn}
		}
		in["PolicyArns"] = arns
	}
	out, err := p.client.Call(ctx, "sts", "AssumeRole", in)
	if err != nil {
		return aws.Credentials{}, err
	}
	got, _ := out["Credentials"].(map[string]any)
	creds := aws.Credentials{Source: "AssumeRole", CanExpire: true}
	creds.AccessKeyID, _ = got["AccessKeyId"].(string)
	creds.SecretAccessKey, _ = got["SecretAccessKey"].(string)
	creds.SessionToken, _ = got["SessionToken"].(string)
	creds.Expires, _ = got["Expiration"].(time.Time)
	if !creds.HasKeys() {
		return aws.Credentials{}, errors.New("the answer to AssumeRole has no credentials")
	}
	return creds, nil
}
