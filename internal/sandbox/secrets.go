package sandbox

import (
	"strings"
	"time"
)

// secretsState is what Secrets Manager has in one account and Region.
type secretsState struct {
	Secrets table[secret] `json:"secrets,omitempty"` // by name
}

type secret struct {
	Suffix   string    `json:"suffix"` // of its ARN
	Text     string    `json:"description,omitempty"`
	Key      string    `json:"kmsKeyId,omitempty"`
	Value    structure `json:"value,omitempty"` // SecretString or SecretBinary
	Version  string    `json:"versionId"`
	Created  time.Time `json:"created"`
	Changed  time.Time `json:"changed"`
	Accessed time.Time `json:"accessed,omitzero"` // the day
	Rotator  string    `json:"rotationLambdaARN,omitempty"`
	Rules    structure `json:"rotationRules,omitempty"`
	Rotates  bool      `json:"rotationEnabled,omitempty"`
	Rotated  time.Time `json:"rotated,omitzero"`
	Deleted  time.Time `json:"deleted,omitzero"` // when it was marked; it goes after its window
	Window   int64     `json:"recoveryWindow,omitempty"`
	Tags     tagSet    `json:"tags,omitempty"`
}

var secretName = patternOf(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

const day = 24 * time.Hour

func (c *call) secretARN(name string, s secret) string {
	return c.arnOf("secretsmanager", "secret:"+name+"-"+s.Suffix)
}

// secret finds the secret that a call names by its name or ARN, as of a time.
func (c *call) secret(at time.Time) (string, *record[secret], secret, error) {
	id := c.str("SecretId")
	for name, s := range c.home().Secrets.Secrets.all(at) {
		if arn := c.secretARN(name, s); id == name || id == arn || id == strings.TrimSuffix(arn, "-"+s.Suffix) {
			return name, c.home().Secrets.Secrets[name], s, nil
		}
	}
	return "", nil, secret{}, failure(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func secretsInvalid(format string, args ...any) error {
	return failure(400, "InvalidRequestException", format, args...)
}

// usable is secret, of one that is not marked for deletion.
func (c *call) usable() (string, *record[secret], secret, error) {
	name, r, s, err := c.secret(c.now)
	if err == nil && !s.Deleted.IsZero() {
		err = secretsInvalid("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return name, r, s, err
}

func createSecret(c *call) (map[string]any, error) {
	name := c.str("Name")
	if !secretName.MatchString(name) {
		return nil, failure(400, "ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if id, err := c.onceByRequest(); err != nil || id != "" {
		return object{"Name": name, "ARN": id}, err
	}
	if _, s, ok := c.home().Secrets.Secrets.live(name, c.now); ok {
		if !s.Deleted.IsZero() {
			return nil, secretsInvalid("You can't create this secret because a secret with this name is already scheduled for deletion.")
		}
		return nil, failure(400, "ResourceExistsException", "The operation failed because the secret %s already exists.", name)
	}
	tags, err := parseTags(c.in["Tags"])
	if err != nil {
		return nil, err
	}
	s := secret{Suffix: c.id("", 6), Text: c.str("Description"), Key: c.str("KmsKeyId"), Value: described(c.operation.Input, c.given("SecretString", "SecretBinary")), Version: uuid(c.id("", 32)),
		Created: c.now, Changed: c.now, Tags: tags}
	c.home().Secrets.Secrets.put(name, c.now, s)
	out := object{"Name": name, "ARN": c.secretARN(name, s)}
	c.rememberRequest(c.secretARN(name, s))
	if len(s.Value) > 0 {
		out["VersionId"] = s.Version
	}
	return out, nil
}

// onceByRequest is once, by the token that Secrets Manager has.
func (c *call) onceByRequest() (string, error) {
	at := *c
	at.in = object{}
	for k, v := range c.in {
		at.in[k] = v
	}
	at.in["ClientToken"] = c.in["ClientRequestToken"]
	return at.once()
}

func (c *call) rememberRequest(id string) {
	at := *c
	at.in = object{}
	for k, v := range c.in {
		at.in[k] = v
	}
	at.in["ClientToken"] = c.in["ClientRequestToken"]
	at.remember(id)
}

// given are members of the input, if they are there.
func (c *call) given(names ...string) object {
	out := object{}
	for _, name := range names {
		if v, ok := c.in[name]; ok {
			out[name] = v
		}
	}
	return out
}

func describeSecret(c *call) (map[string]any, error) {
	name, _, s, err := c.secret(c.view)
	if err != nil {
		return nil, err
	}
	return c.secretOut(name, s), nil
}

func (c *call) secretOut(name string, s secret) object {
	out := object{"Name": name, "ARN": c.secretARN(name, s), "CreatedDate": s.Created, "LastChangedDate": s.Changed, "Tags": s.Tags.list(), "VersionIdsToStages": object{s.Version: []any{"AWSCURRENT"}}}
	withTexts(out, map[string]string{"Description": s.Text, "KmsKeyId": s.Key, "RotationLambdaARN": s.Rotator})
	if s.Rotator != "" || s.Rotates {
		out["RotationEnabled"] = s.Rotates
	}
	if s.Rules != nil {
		out["RotationRules"] = object(s.Rules)
		if days := s.Rules.int("AutomaticallyAfterDays"); days > 0 && s.Rotates {
			from := s.Rotated
			if from.IsZero() {
				from = s.Changed
			}
			out["NextRotationDate"] = from.Truncate(day).Add(time.Duration(days+1)*day - time.Second)
		}
	}
	for name, at := range map[string]time.Time{"LastAccessedDate": s.Accessed, "LastRotatedDate": s.Rotated, "DeletedDate": s.Deleted} {
		if !at.IsZero() {
			out[name] = at
		}
	}
	return out
}

func listSecrets(c *call) (map[string]any, error) {
	out := []any{}
	for name, s := range c.home().Secrets.Secrets.all(c.view) {
		if s.Deleted.IsZero() || c.bool("IncludePlannedDeletion") {
			o := c.secretOut(name, s)
			o["SecretVersionsToStages"] = o["VersionIdsToStages"]
			delete(o, "VersionIdsToStages")
			out = append(out, o)
		}
	}
	return c.pageOf("SecretList", out, 100)
}

func getSecretValue(c *call) (map[string]any, error) {
	name, r, s, err := c.usable()
	if err != nil {
		return nil, err
	}
	if len(s.Value) == 0 {
		return nil, failure(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
	}
	r.change(c.now, func(s *secret) { s.Accessed = c.now.Truncate(day) })
	out := object{"Name": name, "ARN": c.secretARN(name, s), "VersionId": s.Version, "VersionStages": []any{"AWSCURRENT"}, "CreatedDate": s.Created}
	for k, v := range s.Value {
		out[k] = v
	}
	return out, nil
}

// rotateSecret sets how a secret is rotated. The function that does it is not run:
// of a rotation at once only the date shows.
func rotateSecret(c *call) (map[string]any, error) {
	name, r, s, err := c.usable()
	if err != nil {
		return nil, err
	}
	rotator := c.str("RotationLambdaARN")
	if rotator == "" {
		rotator = s.Rotator
	}
	if rotator == "" {
		return nil, secretsInvalid("No Lambda rotation function ARN is associated with this secret.")
	}
	rules := s.Rules
	if given := c.object("RotationRules"); given != nil {
		rules = structure(given)
	}
	if days := rules.int("AutomaticallyAfterDays"); days != 0 && (days < 1 || days > 1000) {
		return nil, failure(400, "InvalidParameterException", "AutomaticallyAfterDays must be from 1 to 1000.")
	}
	if rules == nil {
		return nil, failure(400, "InvalidParameterException", "Rotation rules are required to turn on rotation.")
	}
	now, given := c.in["RotateImmediately"].(bool)
	r.change(c.now, func(s *secret) {
		s.Rotator, s.Rules, s.Rotates, s.Changed = rotator, rules, true, c.now
		if now || !given {
			s.Rotated = c.now
		}
	})
	return object{"Name": name, "ARN": c.secretARN(name, s), "VersionId": s.Version}, nil
}

func cancelRotation(c *call) (map[string]any, error) {
	name, r, s, err := c.usable()
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(s *secret) { s.Rotates = false })
	return object{"Name": name, "ARN": c.secretARN(name, s)}, nil
}

func deleteSecret(c *call) (map[string]any, error) {
	name, r, s, err := c.usable()
	if err != nil {
		return nil, err
	}
	window, given := c.int("RecoveryWindowInDays")
	switch force := c.bool("ForceDeleteWithoutRecovery"); {
	case force && given:
		return nil, failure(400, "InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case force:
		r.end(c.now)
		return object{"Name": name, "ARN": c.secretARN(name, s), "DeletionDate": c.now}, nil
	case !given:
		window = 30
	case window < 7 || window > 30:
		return nil, failure(400, "InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	r.change(c.now, func(s *secret) { s.Deleted, s.Window, s.Rotates = c.now, window, false })
	gone := c.now.Add(time.Duration(window) * day)
	r.end(gone)
	return object{"Name": name, "ARN": c.secretARN(name, s), "DeletionDate": gone}, nil
}

func restoreSecret(c *call) (map[string]any, error) {
	name, r, s, err := c.secret(c.now)
	if err != nil {
		return nil, err
	}
	r.forget(c.now)
	r.change(c.now, func(s *secret) { s.Deleted, s.Window = time.Time{}, 0 })
	return object{"Name": name, "ARN": c.secretARN(name, s)}, nil
}

var secretsHandlers = map[string]handler{
	"CancelRotateSecret": {"secretsmanager:CancelRotateSecret", cancelRotation},
	"CreateSecret":       {"secretsmanager:CreateSecret", createSecret},
	"DeleteSecret":       {"secretsmanager:DeleteSecret", deleteSecret},
	"DescribeSecret":     {"secretsmanager:DescribeSecret", describeSecret},
	"GetSecretValue":     {"secretsmanager:GetSecretValue", getSecretValue},
	"ListSecrets":        {"secretsmanager:ListSecrets", listSecrets},
	"RestoreSecret":      {"secretsmanager:RestoreSecret", restoreSecret},
	"RotateSecret":       {"secretsmanager:RotateSecret", rotateSecret},
}

// What Secrets Manager's operations are on. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for AWS Secrets Manager".
const onSecret = "secret:{SecretId}"

var secretsAccess = serviceAccess{
	arn: "arn:{Partition}:secretsmanager:{Region}:{Account}:",
	on: map[string]string{
		"CancelRotateSecret": onSecret, "CreateSecret": "secret:{Name}", "DeleteSecret": onSecret, "DescribeSecret": onSecret, "GetSecretValue": onSecret,
		"RestoreSecret": onSecret, "RotateSecret": onSecret,
	},
}
