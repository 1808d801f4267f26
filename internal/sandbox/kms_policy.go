package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/iampolicy"
)

// kmsGrant lets a principal use a key without a word in its policy.
type kmsGrant struct {
	ID         string   `json:"id"`
	Name       string   `json:"name,omitempty"`
	Grantee    string   `json:"grantee"`
	Retiring   string   `json:"retiring,omitempty"`
	Operations []string `json:"operations"`
	// The encryption context that it asks for: all of Equals, or at least Subset.
	Equals structure `json:"equals,omitempty"`
	Subset structure `json:"subset,omitempty"`
}

// defaultKeyPolicy leaves a key to the policies of its account. Source: KMS
// Developer Guide, "Default key policy".
func (c *call) defaultKeyPolicy() string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Id":"key-default-1","Statement":[{"Sid":"Enable IAM User Permissions","Effect":"Allow",`+
		`"Principal":{"AWS":"arn:%s:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`, c.partition(), c.who.Account)
}

// kmsServices are the names by which KMS knows the services of its managed keys,
// where it isn't that of the alias.
var kmsServices = map[string]string{"ebs": "ec2"}

// managedKeyPolicy is that of a key that AWS manages: everybody in the account
// may use it through its service, and nobody may change it. Source: KMS Developer
// Guide, "AWS managed keys" and "kms:ViaService".
func managedKeyPolicy(a arn, service string) string {
	name := service
	if s, ok := kmsServices[service]; ok {
		name = s
	}
	return fmt.Sprintf(`{"Version":"2012-10-17","Id":"auto-%s-1","Statement":[{"Sid":"ThroughTheService","Effect":"Allow","Principal":{"AWS":"*"},`+
		`"Action":["kms:Encrypt","kms:Decrypt","kms:ReEncrypt*","kms:GenerateDataKey*","kms:CreateGrant","kms:DescribeKey"],"Resource":"*",`+
		`"Condition":{"StringEquals":{"kms:CallerAccount":"%s","kms:ViaService":"%s.%s.amazonaws.com"}}},{"Sid":"Metadata","Effect":"Allow",`+
		`"Principal":{"AWS":"arn:%s:iam::%s:root"},"Action":["kms:Describe*","kms:Get*","kms:List*","kms:RevokeGrant"],"Resource":"*"}]}`,
		service, a.account, name, a.region, a.partition, a.account)
}

// checkKeyPolicy says whether a policy can be a key's: it reads, and whoever puts
// it there can put another after it, unless the call waives that.
func (c *call) checkKeyPolicy(key, text string) error {
	p, err := iampolicy.Parse(text, iampolicy.Resource)
	if err != nil {
		return failure(400, "MalformedPolicyDocumentException", "%v", err)
	}
	if name := c.unknownPrincipal(p); name != "" {
		return failure(400, "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals: %s", name)
	}
	if c.bool("BypassPolicyLockoutSafetyCheck") {
		return nil
	}
	me := c.identity()
	n := need{action: "kms:PutKeyPolicy", resource: c.arnOf("kms", key)}
	request := iampolicy.Request{Principal: me.principal, Action: n.action, Resource: n.resource, Context: c.context(&n, &resource{})}
	policies := me.policies
	policies.Resource, policies.ResourceMustAllow = &iampolicy.Attached{Policy: p}, true
	if !iampolicy.Evaluate(&request, &policies).Allowed {
		return failure(400, "MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

func getKeyPolicy(c *call, _ keyRef, k kmsKey) (map[string]any, error) {
	if name := c.str("PolicyName"); name != "" && name != "default" {
		return nil, failure(400, "NotFoundException", "No such policy exists")
	}
	return object{"Policy": k.Policy, "PolicyName": "default"}, nil
}

func listKeyPolicies(*call, keyRef, kmsKey) (map[string]any, error) {
	return object{"PolicyNames": []any{"default"}, "Truncated": false}, nil
}

func putKeyPolicy(c *call, at keyRef, k *kmsKey) (map[string]any, error) {
	if name := c.str("PolicyName"); name != "" && name != "default" {
		return nil, failure(400, "NotFoundException", "No such policy exists")
	}
	if err := c.checkKeyPolicy(at.resource, c.str("Policy")); err != nil {
		return nil, err
	}
	k.Policy = c.str("Policy")
	return object{}, nil
}

func createGrant(c *call, _ keyRef, k *kmsKey) (map[string]any, error) {
	g := kmsGrant{Name: c.str("Name"), Grantee: c.str("GranteePrincipal"), Retiring: c.str("RetiringPrincipal"), Operations: c.strings("Operations")}
	constraints := structure(c.object("Constraints"))
	g.Equals, _ = constraints["EncryptionContextEquals"].(object)
	g.Subset, _ = constraints["EncryptionContextSubset"].(object)
	if _, ok := parseARN(g.Grantee); !ok && !strings.HasSuffix(g.Grantee, ".amazonaws.com") {
		return nil, failure(400, "InvalidArnException", "%s is no principal.", g.Grantee)
	}
	for _, old := range k.Grants { // the same grant once more is the same grant
		if g.Name != "" && old.Name == g.Name && old.Grantee == g.Grantee && slices.Equal(old.Operations, g.Operations) && maps.Equal(old.Equals, g.Equals) && maps.Equal(old.Subset, g.Subset) {
			return object{"GrantId": old.ID, "GrantToken": old.ID}, nil
		}
	}
	g.ID = c.id("", 64)
	k.Grants = append(slices.Clone(k.Grants), g)
	return object{"GrantId": g.ID, "GrantToken": g.ID}, nil
}

func listGrants(c *call, at keyRef, k kmsKey) (map[string]any, error) {
	out := []any{}
	for _, g := range k.Grants {
		if id := c.str("GrantId"); id != "" && id != g.ID {
			continue
		}
		if p := c.str("GranteePrincipal"); p != "" && p != g.Grantee {
			continue
		}
		o := object{"KeyId": at.String(), "GrantId": g.ID, "Name": g.Name, "GranteePrincipal": g.Grantee, "Operations": anys(g.Operations)}
		if g.Retiring != "" {
			o["RetiringPrincipal"] = g.Retiring
		}
		constraints := object{}
		if len(g.Equals) > 0 {
			constraints["EncryptionContextEquals"] = object(g.Equals)
		}
		if len(g.Subset) > 0 {
			constraints["EncryptionContextSubset"] = object(g.Subset)
		}
		if len(constraints) > 0 {
			o["Constraints"] = constraints
		}
		out = append(out, o)
	}
	return c.kmsPage("Grants", out)
}

func revokeGrant(c *call, _ keyRef, k *kmsKey) (map[string]any, error) {
	id := c.str("GrantId")
	i := slices.IndexFunc(k.Grants, func(g kmsGrant) bool { return g.ID == id })
	if i < 0 {
		return nil, failure(400, "NotFoundException", "Grant ID %s not found", id)
	}
	k.Grants = slices.Delete(slices.Clone(k.Grants), i, i+1)
	return object{}, nil
}

// granted says whether a grant lets the caller do something with a key. No grant
// helps against a statement that denies. Source: KMS Developer Guide, "Grants in
// AWS KMS".
func (c *call) granted(n *need) bool {
	operation, isKey := strings.CutPrefix(n.action, "kms:")
	a, _ := parseARN(n.resource)
	home := c.homeOf(a.account, a.region)
	if !isKey || home == nil {
		return false
	}
	_, k, _ := table[kmsKey](home.Keys).live(last(a.resource), c.now)
	return slices.ContainsFunc(k.Grants, func(g kmsGrant) bool {
		return (g.Grantee == c.who.ARN || g.Grantee == c.who.Role && c.who.Role != "") && slices.Contains(g.Operations, operation) && g.fits(c.cryptContext(n.action))
	})
}

// fits says whether an encryption context is one that the grant is for.
func (g kmsGrant) fits(context object) bool {
	for k, v := range g.Subset {
		if context[k] != v {
			return false
		}
	}
	return len(g.Equals) == 0 || maps.Equal(context, object(g.Equals))
}
