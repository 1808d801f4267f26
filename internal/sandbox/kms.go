package sandbox

import (
	"strings"
	"time"
)

const ebsAlias = "alias/aws/ebs"

type kmsKey struct {
	Created  time.Time `json:"created"`
	Manager  string    `json:"manager"` // AWS, CUSTOMER
	State    string    `json:"state"`   // Enabled, Disabled, PendingDeletion
	Text     string    `json:"description"`
	Rotation bool      `json:"rotation,omitempty"`
	// Denied are the ARNs of principals that the key's policy keeps from using
	// it. Whole key policies come with IAM evaluation.
	Denied []string `json:"denied,omitempty"`
}

func (c *call) keyARN(id string) string {
	return "arn:aws:kms:" + c.region + ":" + c.who.Account + ":key/" + id
}

// findKey resolves a key's id, ARN, alias, or alias ARN. An alias of an AWS
// managed key makes the key, as the first use of it does.
func (c *call) findKey(name string) (id string, k kmsKey, err error) {
	short := name
	if prefix := "arn:aws:kms:" + c.region + ":" + c.who.Account + ":"; strings.HasPrefix(name, prefix) {
		short = strings.TrimPrefix(strings.TrimPrefix(name, prefix), "key/")
	}
	home := c.home()
	if strings.HasPrefix(short, "alias/") {
		id, ok := home.Aliases[short]
		if !ok && strings.HasPrefix(short, "alias/aws/") {
			id, ok = c.makeKey(kmsKey{Manager: "AWS", Text: "Default key that protects my data when no other key is defined"}), true
			home.Aliases[short] = id
		}
		if !ok {
			return "", kmsKey{}, failure(400, "NotFoundException", "Alias %s is not found.", c.keyARN(short))
		}
		short = id
	}
	if r, ok := home.Keys[short]; ok {
		if k, ok := r.as(c.now); ok {
			return short, k, nil
		}
	}
	return "", kmsKey{}, failure(400, "NotFoundException", "Key '%s' does not exist", c.keyARN(short))
}

func (c *call) makeKey(k kmsKey) string {
	id := uuid(c.id("", 32))
	k.Created, k.State = c.now, "Enabled"
	c.home().Keys[id] = newRecord(c.now, k)
	return id
}

// encryptionKey gives the ARN of the key that EC2 is to encrypt with; the empty
// name is the Region's default.
func (c *call) encryptionKey(name string) (string, error) {
	if name == "" {
		name = ebsAlias
	}
	id, k, err := c.findKey(name)
	if err != nil {
		return "", failure(400, "InvalidParameterValue", "The KMS key '%s' can't be found.", name)
	}
	if err := c.mayUse(id, k); err != nil {
		return "", failure(400, "Client.InvalidKMSKey.InvalidState", "The KMS key '%s' can't be used: %v", name, err)
	}
	return c.keyARN(id), nil
}

// mayUse says whether the caller may encrypt with a key.
func (c *call) mayUse(id string, k kmsKey) error {
	if k.State != "Enabled" {
		return failure(400, "DisabledException", "%s is %s.", c.keyARN(id), strings.ToLower(k.State))
	}
	for _, arn := range k.Denied {
		if arn == c.who.ARN || arn == c.who.Role {
			return failure(400, "AccessDeniedException", "User: %s is not authorized to perform: kms:GenerateDataKey on resource: %s with an explicit deny in a resource-based policy", c.who.ARN, c.keyARN(id))
		}
	}
	return nil
}

func (c *call) keyOut(id string, k kmsKey) object {
	return object{"AWSAccountId": c.who.Account, "KeyId": id, "Arn": c.keyARN(id), "CreationDate": k.Created, "Enabled": k.State == "Enabled", "Description": k.Text,
		"KeyUsage": "ENCRYPT_DECRYPT", "KeyState": k.State, "Origin": "AWS_KMS", "KeyManager": k.Manager, "KeySpec": "SYMMETRIC_DEFAULT", "MultiRegion": false}
}

func describeKey(c *call) (map[string]any, error) {
	id, k, err := c.findKey(c.str("KeyId"))
	if err != nil {
		return nil, err
	}
	return object{"KeyMetadata": c.keyOut(id, k)}, nil
}

func createKey(c *call) (map[string]any, error) {
	id := c.makeKey(kmsKey{Manager: "CUSTOMER", Text: c.str("Description")})
	k, _ := c.home().Keys[id].as(c.now)
	return object{"KeyMetadata": c.keyOut(id, k)}, nil
}

func listKeys(c *call) (map[string]any, error) {
	out := []any{}
	for _, id := range sorted(c.home().Keys) {
		out = append(out, object{"KeyId": id, "KeyArn": c.keyARN(id)})
	}
	return object{"Keys": out, "Truncated": false}, nil
}

func listAliases(c *call) (map[string]any, error) {
	out := []any{}
	for _, name := range sorted(c.home().Aliases) {
		out = append(out, object{"AliasName": name, "AliasArn": c.keyARN(name), "TargetKeyId": c.home().Aliases[name]})
	}
	return object{"Aliases": out, "Truncated": false}, nil
}

func createAlias(c *call) (map[string]any, error) {
	name := c.str("AliasName")
	if !strings.HasPrefix(name, "alias/") || strings.HasPrefix(name, "alias/aws/") {
		return nil, failure(400, "InvalidAliasNameException", "Alias must start with the prefix \"alias/\", and not with \"alias/aws/\".")
	}
	if _, ok := c.home().Aliases[name]; ok {
		return nil, failure(400, "AlreadyExistsException", "An alias with the name %s already exists", name)
	}
	id, _, err := c.findKey(c.str("TargetKeyId"))
	if err != nil {
		return nil, err
	}
	c.home().Aliases[name] = id
	return object{}, nil
}

func setKeyState(state string) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		id, k, err := c.findKey(c.str("KeyId"))
		if err != nil {
			return nil, err
		}
		if k.Manager == "AWS" {
			return nil, failure(400, "AccessDeniedException", "%s is an AWS managed key.", c.keyARN(id))
		}
		c.home().Keys[id].change(c.now, func(k *kmsKey) { k.State = state })
		return object{}, nil
	}
}

// generateDataKey answers as KMS does, without a key: the sandbox keeps no
// secrets. An AWS managed key's policy has the condition kms:ViaService, so a
// direct use of it is denied.
func generateDataKey(c *call) (map[string]any, error) {
	id, k, err := c.findKey(c.str("KeyId"))
	if err != nil {
		return nil, err
	}
	if k.Manager == "AWS" {
		return nil, failure(400, "AccessDeniedException", "User: %s is not authorized to perform: kms:GenerateDataKeyWithoutPlaintext on resource: %s because no resource-based policy allows it", c.who.ARN, c.keyARN(id))
	}
	if err := c.mayUse(id, k); err != nil {
		return nil, err
	}
	return object{"CiphertextBlob": []byte("a data key of the sandbox"), "KeyId": c.keyARN(id)}, nil
}

func getRotation(c *call) (map[string]any, error) {
	id, k, err := c.findKey(c.str("KeyId"))
	if err != nil {
		return nil, err
	}
	return object{"KeyId": c.keyARN(id), "KeyRotationEnabled": k.Rotation || k.Manager == "AWS"}, nil
}

var kmsHandlers = map[string]handler{
	"CreateAlias":                     {"kms:CreateAlias", createAlias},
	"CreateKey":                       {"kms:CreateKey", createKey},
	"DescribeKey":                     {"kms:DescribeKey", describeKey},
	"DisableKey":                      {"kms:DisableKey", setKeyState("Disabled")},
	"EnableKey":                       {"kms:EnableKey", setKeyState("Enabled")},
	"GenerateDataKeyWithoutPlaintext": {"kms:GenerateDataKeyWithoutPlaintext", generateDataKey},
	"GetKeyRotationStatus":            {"kms:GetKeyRotationStatus", getRotation},
	"ListAliases":                     {"kms:ListAliases", listAliases},
	"ListKeys":                        {"kms:ListKeys", listKeys},
}
