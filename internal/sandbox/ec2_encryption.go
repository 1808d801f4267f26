package sandbox

// ebsKey gives the ARN of the key that EBS is to encrypt with; the empty name is
// the Region's default.
func (c *call) ebsKey(name string) (string, error) {
	if name == "" {
		name = c.home().EC2.DefaultKey
	}
	return c.encryptionKey(name)
}

func getEncryption(c *call) (map[string]any, error) {
	return object{"EbsEncryptionByDefault": c.home().Encrypt}, nil
}

// setEncryption serves Enable- and DisableEbsEncryptionByDefault. What exists
// stays as it is.
func setEncryption(on bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		c.home().Encrypt = on
		return object{"EbsEncryptionByDefault": on}, nil
	}
}

func getDefaultKey(c *call) (map[string]any, error) {
	if arn := c.home().EC2.DefaultKey; arn != "" {
		return object{"KmsKeyId": arn}, nil
	}
	return object{"KmsKeyId": ebsAlias}, nil
}

func modifyDefaultKey(c *call) (map[string]any, error) {
	arn, err := c.encryptionKey(c.str("KmsKeyId"))
	if err != nil {
		return nil, err
	}
	c.home().EC2.DefaultKey = arn
	return object{"KmsKeyId": arn}, nil
}

func resetDefaultKey(c *call) (map[string]any, error) {
	c.home().EC2.DefaultKey = ""
	return getDefaultKey(c)
}

// The states of the snapshots' block of public access.
const (
	blockAll   = "block-all-sharing"
	blockNew   = "block-new-sharing"
	blockNever = "unblocked"
)

func getBlockPublic(c *call) (map[string]any, error) {
	if s := c.home().EC2.BlockPublic; s != "" {
		return object{"State": s, "ManagedBy": "account"}, nil
	}
	return object{"State": blockNever, "ManagedBy": "account"}, nil
}

func enableBlockPublic(c *call) (map[string]any, error) {
	s := c.str("State")
	if s != blockAll && s != blockNew {
		return nil, failure(400, "InvalidParameterValue", "Value (%s) for parameter state is invalid. Valid values: %s, %s", s, blockAll, blockNew)
	}
	c.home().EC2.BlockPublic = s
	return object{"State": s}, nil
}

func disableBlockPublic(c *call) (map[string]any, error) {
	c.home().EC2.BlockPublic = ""
	return object{"State": blockNever}, nil
}
