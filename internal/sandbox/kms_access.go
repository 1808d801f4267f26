package sandbox

import "strings"

// What KMS's operations are on. Source: KMS Developer Guide, "AWS KMS
// permissions".
var kmsAccess = serviceAccess{
	arn: "arn:{Partition}:kms:{Region}:{Account}:key/",
	on: map[string]string{
		"CancelKeyDeletion":               "{KeyId}",
		"CreateGrant":                     "{KeyId}",
		"DescribeKey":                     "{KeyId}",
		"DisableKey":                      "{KeyId}",
		"DisableKeyRotation":              "{KeyId}",
		"EnableKey":                       "{KeyId}",
		"EnableKeyRotation":               "{KeyId}",
		"Encrypt":                         "{KeyId}",
		"GenerateDataKey":                 "{KeyId}",
		"GenerateDataKeyWithoutPlaintext": "{KeyId}",
		"GetKeyPolicy":                    "{KeyId}",
		"GetKeyRotationStatus":            "{KeyId}",
		"ListGrants":                      "{KeyId}",
		"ListKeyPolicies":                 "{KeyId}",
		"ListResourceTags":                "{KeyId}",
		"PutKeyPolicy":                    "{KeyId}",
		"RevokeGrant":                     "{KeyId}",
		"ScheduleKeyDeletion":             "{KeyId}",
		"TagResource":                     "{KeyId}",
		"UntagResource":                   "{KeyId}",
		"UpdateKeyDescription":            "{KeyId}",
	},
	needs: map[string]func(*call, []need) []need{"CreateAlias": onAlias, "DeleteAlias": onAlias, "Decrypt": onCiphertext("KeyId"), "ReEncrypt": onBothKeys},
	keys:  kmsKeys,
	look:  lookAtKey,
}

// onAlias is for an operation on an alias, which is one on its key as well.
func onAlias(c *call, own []need) []need {
	alias := own[0]
	alias.resource = c.arnOf("kms", c.str("AliasName"))
	own[0].resource = c.keyNamed(c.str("AliasName"))
	if target := c.str("TargetKeyId"); target != "" {
		own[0].resource = c.keyNamed(target)
	}
	return []need{alias, own[0]}
}

// Source: KMS Developer Guide, "AWS KMS condition keys".
func kmsKeys(c *call, n *need, set func(string, ...string)) {
	set("kms:CallerAccount", c.who.Account)
	if n.via != "" {
		a, _ := parseARN(n.resource)
		set("kms:ViaService", n.via+"."+a.region+".amazonaws.com")
	}
	if name := c.str("KeyId"); strings.Contains(name, "alias/") && c.operation.Service.Name == "kms" {
		a, _ := parseARN(name)
		if a.resource == "" {
			a.resource = name
		}
		set("kms:RequestAlias", a.resource)
	}
	if context := c.cryptContext(n.action); len(context) > 0 {
		for k, v := range context {
			text, _ := v.(string)
			set("kms:EncryptionContext:"+k, text)
		}
		set("kms:EncryptionContextKeys", sorted(context)...)
	}
	if c.operation.Name == "CreateGrant" {
		set("kms:GrantOperations", c.strings("Operations")...)
		set("kms:GranteePrincipal", c.str("GranteePrincipal"))
	}
	if v, ok := c.in["BypassPolicyLockoutSafetyCheck"].(bool); ok && v {
		set("kms:BypassPolicyLockoutSafetyCheck", "true")
	}
}

// keyNamed is the ARN of a key by any of its names: id, alias, or the ARN of
// either. An alias stays in it for lookAtKey to resolve.
func (c *call) keyNamed(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return c.arnOf("kms", "key/"+name)
}

// lookAtKey gives a key's policy, without which nobody may use it. What is of an
// alias alone no key decides.
func lookAtKey(c *call, n *need) resource {
	a, ok := parseARN(n.resource)
	if !ok || strings.HasPrefix(a.resource, "alias/") && strings.HasSuffix(n.action, "Alias") {
		return resource{}
	}
	id := strings.TrimPrefix(a.resource, "key/")
	c.home() // so that the caller's own is there
	home := c.homeOf(a.account, a.region)
	if home == nil {
		return resource{mustAllow: true}
	}
	if strings.HasPrefix(id, "alias/") {
		key, ok := home.Aliases[id]
		if !ok && strings.HasPrefix(id, "alias/aws/") { // it comes with its first use
			return resource{policy: managedKeyPolicy(a, strings.TrimPrefix(id, "alias/aws/")), mustAllow: true}
		}
		id = key
	}
	_, k, ok := table[kmsKey](home.Keys).live(id, c.now)
	if !ok {
		return resource{} // the operation will say that there is none
	}
	a.resource = "key/" + id
	return resource{arn: a.String(), tags: k.Tags, policy: k.Policy, mustAllow: true}
}
