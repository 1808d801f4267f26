package sandbox

import (
	"cmp"
	"strings"
	"time"
)

const ebsAlias = "alias/aws/ebs"

// defaultRotation is how many days a key's material lasts where its rotation is
// on. Source: KMS API Reference, "EnableKeyRotation".
const defaultRotation = 365

type kmsKey struct {
	Created  time.Time  `json:"created"`
	Manager  string     `json:"manager"` // AWS, CUSTOMER
	State    string     `json:"state"`   // Enabled, Disabled, PendingDeletion
	Text     string     `json:"description"`
	Spec     string     `json:"spec"`
	Usage    string     `json:"usage"`
	Multi    bool       `json:"multiRegion,omitempty"`
	Rotation int64      `json:"rotationDays,omitempty"` // 0: off
	Since    time.Time  `json:"rotatesSince,omitzero"`
	Deletion time.Time  `json:"deletion,omitzero"`
	Policy   string     `json:"policy"`
	Grants   []kmsGrant `json:"grants,omitempty"`
	Tags     tagSet     `json:"tags,omitempty"`
}

// keyRef is a key that was found: where it is and what it is called.
type keyRef struct {
	*record[kmsKey]
	arn
	id string
}

// findKey resolves a key's id, ARN, alias, or alias ARN. An alias of an AWS
// managed key makes the key, as the first use of it does.
func (c *call) findKey(name string, at time.Time) (keyRef, kmsKey, error) {
	a, ok := parseARN(c.keyNamed(name))
	if !ok || a.service != "kms" {
		return keyRef{}, kmsKey{}, failure(400, "NotFoundException", "Invalid arn %s", name)
	}
	if a.region != c.region {
		return keyRef{}, kmsKey{}, failure(400, "NotFoundException", "Invalid arn %s", a.region)
	}
	c.home() // so that the caller's own is there
	home, id := c.homeOf(a.account, a.region), strings.TrimPrefix(a.resource, "key/")
	if strings.HasPrefix(id, "alias/") && home != nil {
		key, ok := home.Aliases[id]
		if service, managed := strings.CutPrefix(id, "alias/aws/"); !ok && managed && a.account == c.who.Account {
			key, ok = c.makeKey(kmsKey{Manager: "AWS", Text: "Default key that protects my data when no other key is defined", Policy: managedKeyPolicy(a, service), Rotation: defaultRotation}), true
			home.Aliases[id] = key
		}
		if !ok {
			a.resource = id
			return keyRef{}, kmsKey{}, failure(400, "NotFoundException", "Alias %s is not found.", a)
		}
		id = key
	}
	a.resource = "key/" + id
	if home != nil {
		if r, k, ok := table[kmsKey](home.Keys).live(id, at); ok {
			return keyRef{r, a, id}, k, nil
		}
	}
	return keyRef{}, kmsKey{}, failure(400, "NotFoundException", "Key '%s' does not exist", a)
}

func (c *call) makeKey(k kmsKey) string {
	id := uuid(c.id("", 32))
	k.Created, k.State = c.now, "Enabled"
	k.Spec, k.Usage = cmp.Or(k.Spec, symmetric), cmp.Or(k.Usage, "ENCRYPT_DECRYPT")
	if k.Rotation > 0 {
		k.Since = c.now
	}
	from := c.now
	if k.Manager == "AWS" {
		from = time.Time{} // no read is too stale for what was just used
	}
	c.home().Keys[id] = newRecord(from, k)
	return id
}

// encryptionKey gives the ARN of the key that EC2 is to encrypt with; the empty
// name is the Region's default.
func (c *call) encryptionKey(name string) (string, error) {
	at, k, err := c.findKey(cmp.Or(name, ebsAlias), c.now)
	if err != nil {
		return "", failure(400, "InvalidParameterValue", "The KMS key '%s' can't be found.", name)
	}
	if err := k.usable(at.arn); err != nil {
		return "", failure(400, "Client.InvalidKMSKey.InvalidState", "The KMS key '%s' can't be used: %v", name, err)
	}
	return at.String(), nil
}

// usable says whether a key is in a state in which it can be used.
func (k kmsKey) usable(at arn) error {
	switch k.State {
	case "Enabled":
		return nil
	case "Disabled":
		return failure(400, "DisabledException", "%s is disabled.", at)
	}
	return failure(400, "KMSInvalidStateException", "%s is pending deletion.", at)
}

func (r keyRef) out(k kmsKey) object {
	out := object{"AWSAccountId": r.account, "KeyId": r.id, "Arn": r.String(), "CreationDate": k.Created, "Enabled": k.State == "Enabled", "Description": k.Text,
		"KeyUsage": k.Usage, "KeyState": k.State, "Origin": "AWS_KMS", "KeyManager": k.Manager, "KeySpec": k.Spec, "CustomerMasterKeySpec": k.Spec, "MultiRegion": k.Multi}
	if k.Spec == symmetric {
		out["EncryptionAlgorithms"] = []any{k.Spec}
	}
	if k.State == "PendingDeletion" {
		out["DeletionDate"] = k.Deletion
	}
	return out
}

// readKey serves a read of one key.
func readKey(read func(c *call, at keyRef, k kmsKey) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		at, k, err := c.findKey(c.str("KeyId"), c.view)
		if err != nil {
			return nil, err
		}
		return read(c, at, k)
	}
}

// changeKey serves a write to one customer managed key, which must be in one of
// the states.
func changeKey(states string, write func(c *call, at keyRef, k *kmsKey) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		at, k, err := c.findKey(c.str("KeyId"), c.now)
		if err != nil {
			return nil, err
		}
		if at.account != c.who.Account && c.operation.Name != "CreateGrant" && c.operation.Name != "RevokeGrant" {
			return nil, failure(400, "NotFoundException", "%s is in another account, from which %s can't be called.", at, c.operation.Name)
		}
		if k.Manager == "AWS" {
			return nil, c.denied("User: " + c.who.ARN + " is not authorized to perform: kms:" + c.operation.Name + " on resource: " + at.String() + ", which AWS manages")
		}
		if !strings.Contains(states, k.State) {
			if k.State == "Disabled" && states == "Enabled" {
				return nil, k.usable(at.arn)
			}
			return nil, failure(400, "KMSInvalidStateException", "%s is in the state %s, in which %s can't be called.", at, k.State, c.operation.Name)
		}
		before := k
		out, err := write(c, at, &k)
		if err != nil {
			return nil, err
		}
		if before.Deletion.IsZero() != k.Deletion.IsZero() {
			at.forget(c.now)
		}
		at.change(c.now, func(now *kmsKey) { *now = k })
		if !k.Deletion.IsZero() && before.Deletion.IsZero() {
			at.Versions = append(at.Versions, version[kmsKey]{At: k.Deletion, Value: k, Gone: true})
		}
		return out, nil
	}
}

func createKey(c *call) (map[string]any, error) {
	k := kmsKey{Manager: "CUSTOMER", Text: c.str("Description"), Spec: cmp.Or(c.str("KeySpec"), c.str("CustomerMasterKeySpec"), symmetric),
		Usage: c.str("KeyUsage"), Multi: c.bool("MultiRegion"), Policy: c.str("Policy")}
	if k.Spec != symmetric && k.Usage == "" {
		return nil, failure(400, "ValidationException", "You must specify a KeyUsage value for an asymmetric or HMAC KMS key.")
	}
	if o := c.str("Origin"); o != "" && o != "AWS_KMS" {
		return nil, failure(501, "NotImplemented", "The sandbox makes no keys of origin %s.", o)
	}
	if k.Policy == "" {
		k.Policy = c.defaultKeyPolicy()
	} else if err := c.checkKeyPolicy("key/*", k.Policy); err != nil {
		return nil, err
	}
	tags, err := kmsTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	k.Tags = tags
	at, k, err := c.findKey(c.makeKey(k), c.now)
	if err != nil {
		return nil, err
	}
	return object{"KeyMetadata": at.out(k)}, nil
}

// kmsPage cuts a list by KMS's Limit and Marker.
func (c *call) kmsPage(key string, items []any) (map[string]any, error) {
	return c.marked(key, items, markers{"Limit", "NextMarker", "Truncated", "InvalidMarkerException", "ValidationException"})
}

func listKeys(c *call) (map[string]any, error) {
	out := []any{}
	for id := range table[kmsKey](c.home().Keys).all(c.view) {
		out = append(out, object{"KeyId": id, "KeyArn": c.arnOf("kms", "key/"+id)})
	}
	return c.kmsPage("Keys", out)
}

func listAliases(c *call) (map[string]any, error) {
	want := ""
	if name := c.str("KeyId"); name != "" {
		at, _, err := c.findKey(name, c.view)
		if err != nil {
			return nil, err
		}
		want = at.id
	}
	out := []any{}
	for _, name := range sorted(c.home().Aliases) {
		if id := c.home().Aliases[name]; want == "" || want == id {
			out = append(out, object{"AliasName": name, "AliasArn": c.arnOf("kms", name), "TargetKeyId": id})
		}
	}
	return c.kmsPage("Aliases", out)
}

func createAlias(c *call) (map[string]any, error) {
	name := c.str("AliasName")
	if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") {
		return nil, failure(400, "InvalidAliasNameException", "Alias must start with the prefix \"alias/\", and not with \"alias/aws/\".")
	}
	if _, ok := c.home().Aliases[name]; ok {
		return nil, failure(400, "AlreadyExistsException", "An alias with the name %s already exists", c.arnOf("kms", name))
	}
	at, k, err := c.findKey(c.str("TargetKeyId"), c.now)
	if err != nil {
		return nil, err
	}
	if k.State == "PendingDeletion" {
		return nil, k.usable(at.arn)
	}
	c.home().Aliases[name] = at.id
	return object{}, nil
}

func deleteAlias(c *call) (map[string]any, error) {
	name := c.str("AliasName")
	if _, ok := c.home().Aliases[name]; !ok || strings.HasPrefix(name, "alias/aws/") {
		return nil, failure(400, "NotFoundException", "Alias %s is not found.", c.arnOf("kms", name))
	}
	delete(c.home().Aliases, name)
	return object{}, nil
}

func setKeyState(state string) func(*call, keyRef, *kmsKey) (map[string]any, error) {
	return func(_ *call, _ keyRef, k *kmsKey) (map[string]any, error) {
		k.State = state
		return object{}, nil
	}
}

func scheduleDeletion(c *call, at keyRef, k *kmsKey) (map[string]any, error) {
	days, given := c.int("PendingWindowInDays")
	if !given {
		days = 30
	}
	if days < 7 || days > 30 {
		return nil, failure(400, "ValidationException", "1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: between 7 and 30", days)
	}
	k.State, k.Deletion = "PendingDeletion", c.now.Add(time.Duration(days)*24*time.Hour)
	return object{"KeyId": at.String(), "DeletionDate": k.Deletion, "KeyState": k.State, "PendingWindowInDays": days}, nil
}

func cancelDeletion(_ *call, at keyRef, k *kmsKey) (map[string]any, error) {
	k.State, k.Deletion = "Disabled", time.Time{}
	return object{"KeyId": at.String()}, nil
}

func getRotation(_ *call, at keyRef, k kmsKey) (map[string]any, error) {
	out := object{"KeyId": at.String(), "KeyRotationEnabled": k.Rotation > 0}
	if k.Rotation > 0 {
		out["RotationPeriodInDays"] = k.Rotation
		out["NextRotationDate"] = k.Since.Add(time.Duration(k.Rotation) * 24 * time.Hour)
	}
	return out, nil
}

func setRotation(on bool) func(*call, keyRef, *kmsKey) (map[string]any, error) {
	return func(c *call, at keyRef, k *kmsKey) (map[string]any, error) {
		if k.Spec != symmetric {
			return nil, failure(400, "UnsupportedOperationException", "%s is not a symmetric encryption key, and can't be rotated.", at)
		}
		days, given := c.int("RotationPeriodInDays")
		switch {
		case !on:
			k.Rotation, k.Since = 0, time.Time{}
			return object{}, nil
		case given && (days < 90 || days > 2560):
			return nil, failure(400, "ValidationException", "1 validation error detected: Value '%d' at 'rotationPeriodInDays' failed to satisfy constraint: between 90 and 2560", days)
		case !given:
			days = cmp.Or(k.Rotation, defaultRotation)
		}
		if k.Since.IsZero() {
			k.Since = c.now
		}
		k.Rotation = days
		return object{}, nil
	}
}

// kmsTags reads tags in KMS's words.
func kmsTags(v any) (tagSet, error) {
	list := []any{}
	for _, o := range objects(v) {
		list = append(list, object{"Key": o["TagKey"], "Value": o["TagValue"]})
	}
	tags, err := parseTags(list)
	if err != nil {
		return nil, failure(400, "TagException", "%s", wording(err))
	}
	return tags, nil
}

func describeKey(_ *call, at keyRef, k kmsKey) (map[string]any, error) {
	return object{"KeyMetadata": at.out(k)}, nil
}

func listKeyTags(c *call, _ keyRef, k kmsKey) (map[string]any, error) {
	out := []any{}
	for _, key := range sorted(k.Tags) {
		out = append(out, object{"TagKey": key, "TagValue": k.Tags[key]})
	}
	return c.kmsPage("Tags", out)
}

func tagKey(c *call, _ keyRef, k *kmsKey) (map[string]any, error) {
	tags, err := kmsTags(c.in["Tags"])
	k.Tags = k.Tags.with(tags)
	return object{}, err
}

func untagKey(c *call, _ keyRef, k *kmsKey) (map[string]any, error) {
	k.Tags = k.Tags.without(c.strings("TagKeys"))
	return object{}, nil
}

// Which states let which operations. Source: KMS Developer Guide, "Key states of
// AWS KMS keys".
var kmsHandlers = map[string]handler{
	"CancelKeyDeletion":               {"kms:CancelKeyDeletion", changeKey("PendingDeletion", cancelDeletion)},
	"CreateAlias":                     {"kms:CreateAlias", createAlias},
	"CreateGrant":                     {"kms:CreateGrant", changeKey("Enabled", createGrant)},
	"CreateKey":                       {"kms:CreateKey", createKey},
	"Decrypt":                         {"kms:Decrypt", decrypt},
	"DeleteAlias":                     {"kms:DeleteAlias", deleteAlias},
	"DescribeKey":                     {"kms:DescribeKey", readKey(describeKey)},
	"DisableKey":                      {"kms:DisableKey", changeKey("Enabled Disabled", setKeyState("Disabled"))},
	"DisableKeyRotation":              {"kms:DisableKeyRotation", changeKey("Enabled", setRotation(false))},
	"EnableKey":                       {"kms:EnableKey", changeKey("Enabled Disabled", setKeyState("Enabled"))},
	"EnableKeyRotation":               {"kms:EnableKeyRotation", changeKey("Enabled", setRotation(true))},
	"Encrypt":                         {"kms:Encrypt", encrypt},
	"GenerateDataKey":                 {"kms:GenerateDataKey", generateDataKey},
	"GenerateDataKeyWithoutPlaintext": {"kms:GenerateDataKeyWithoutPlaintext", generateDataKey},
	"GetKeyPolicy":                    {"kms:GetKeyPolicy", readKey(getKeyPolicy)},
	"GetKeyRotationStatus":            {"kms:GetKeyRotationStatus", readKey(getRotation)},
	"ListAliases":                     {"kms:ListAliases", listAliases},
	"ListGrants":                      {"kms:ListGrants", readKey(listGrants)},
	"ListKeyPolicies":                 {"kms:ListKeyPolicies", readKey(listKeyPolicies)},
	"ListKeys":                        {"kms:ListKeys", listKeys},
	"ListResourceTags":                {"kms:ListResourceTags", readKey(listKeyTags)},
	"PutKeyPolicy":                    {"kms:PutKeyPolicy", changeKey("Enabled Disabled PendingDeletion", putKeyPolicy)},
	"ReEncrypt":                       {"kms:ReEncryptFrom", reEncrypt},
	"RevokeGrant":                     {"kms:RevokeGrant", changeKey("Enabled Disabled PendingDeletion", revokeGrant)},
	"ScheduleKeyDeletion":             {"kms:ScheduleKeyDeletion", changeKey("Enabled Disabled", scheduleDeletion)},
	"TagResource":                     {"kms:TagResource", changeKey("Enabled Disabled", tagKey)},
	"UntagResource":                   {"kms:UntagResource", changeKey("Enabled Disabled", untagKey)},
}
