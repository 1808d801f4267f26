package sandbox

import (
	"fmt"
	"time"
)

var twelveDigits = patternOf(`^[0-9]{12}$`)

// AccountOptions describes one more account of a sandbox.
type AccountOptions struct {
	ID        string // twelve digits
	Partition string // default: that of the sandbox's Region
}

type account struct {
	Created      time.Time              `json:"created"`
	Partition    string                 `json:"partition,omitempty"`
	RootKeys     []userKey              `json:"rootKeys,omitempty"`
	Password     table[passwordPolicy]  `json:"passwordPolicy,omitempty"`
	Devices      table[virtualMFA]      `json:"mfaDevices,omitempty"`
	Report       *credentialReport      `json:"credentialReport,omitempty"`
	Organization string                 `json:"organization,omitempty"`
	Users        table[user]            `json:"users,omitempty"`
	UserGroups   table[userGroup]       `json:"groups,omitempty"`
	Roles        table[role]            `json:"roles"`
	Policies     table[managedPolicy]   `json:"policies,omitempty"`
	Profiles     table[instanceProfile] `json:"instanceProfiles,omitempty"`
	Regions      map[string]*region     `json:"regions"`
	PublicBlock  table[object]          `json:"publicAccessBlock,omitempty"` // S3's, under accountBlock
}

// addAccount makes an account with its operator's key.
func (s *Sandbox) addAccount(id, partition string) error {
	if !twelveDigits.MatchString(id) {
		return fmt.Errorf("sandbox: the account %q has not twelve digits", id)
	}
	if _, ok := s.state.Accounts[id]; ok {
		return fmt.Errorf("sandbox: the account %s is there already", id)
	}
	if partition == "" {
		partition = s.partitionOf(s.region)
	}
	s.state.Accounts[id] = &account{Created: s.clock.Now(), Partition: partition, Roles: table[role]{}, Regions: map[string]*region{}}
	s.state.Keys[s.operatorKey(id)] = accessKey{Secret: operatorSecret, ARN: "arn:" + partition + ":iam::" + id + ":user/operator", UserID: "AIDAOPERATOR", Account: id, Operator: true}
	return nil
}

// operatorKey is the id of the access key of an account's operator.
func (s *Sandbox) operatorKey(account string) string {
	if account == s.account {
		return OperatorKey
	}
	return "AKIA" + account + "OPER"
}

// OperatorOf gives the access key and secret of the operator of any account that
// the sandbox has, Organizations' new ones too; false: it has no such account.
func (s *Sandbox) OperatorOf(account string) (accessKeyID, secret string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.operatorKey(account)
	key, ok := s.state.Keys[id]
	return id, key.Secret, ok
}

// RootCredentials makes an access key of an account's root user, which no API
// does: the user signs in to the console for it.
func (s *Sandbox) RootCredentials(account string) (accessKeyID, secret string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.state.Accounts[account]
	switch {
	case !ok:
		return "", "", fmt.Errorf("sandbox: there is no account %s", account)
	case len(a.RootKeys) >= maxKeys:
		return "", "", fmt.Errorf("sandbox: the root user of %s has %d access keys already", account, maxKeys)
	}
	c := &call{Sandbox: s, now: s.clock.Now(), region: s.region, who: accessKey{ARN: "arn:" + a.Partition + ":iam::" + account + ":root", Account: account}}
	h, err := c.keysOf(c.now)
	if err != nil {
		return "", "", err
	}
	id, secret := c.newAccessKey(h)
	return id, secret, nil
}

// accountState is the caller's account.
func (c *call) accountState() *account { return c.state.Accounts[c.who.Account] }

// homeOf is an account in a Region, such as that of an ARN; nil: nothing was ever
// called there.
func (c *call) homeOf(account, name string) *region {
	a, ok := c.state.Accounts[account]
	if !ok {
		return nil
	}
	return a.Regions[name]
}

// home is the account and Region of a call.
func (c *call) home() *region {
	a := c.accountState()
	r, ok := a.Regions[c.region]
	if !ok {
		r = &region{}
		r.fill()
		c.furnish(r)
		a.Regions[c.region] = r
	}
	return r
}

// partition is that of the caller's account.
func (c *call) partition() string { return c.accountState().Partition }

// globalRegions are where the global services of each partition are.
// Source: AWS General Reference, "Service endpoints and quotas".
var globalRegions = map[string]string{
	"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1", "aws-eusc": "eusc-de-east-1",
	"aws-iso": "us-iso-east-1", "aws-iso-b": "us-isob-east-1", "aws-iso-e": "eu-isoe-west-1", "aws-iso-f": "us-isof-south-1",
}

// globalRegion is the Region in which global services are.
func (c *call) globalRegion() string { return globalRegions[c.partition()] }

// partitionOf is the partition of a Region.
func (s *Sandbox) partitionOf(region string) string {
	if id, ok := s.partitions[region]; ok {
		return id
	}
	p, err := s.catalog.Partition(region)
	if err != nil {
		return "aws"
	}
	s.partitions[region] = p.ID
	return p.ID
}
