package sandbox

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// maxKeys is how many access keys a user has at most. Source: IAM User Guide,
// "IAM and AWS STS quotas".
const maxKeys = 2

// keyHolder is who has access keys: a user, or the account's root user.
type keyHolder struct {
	name, arn, id string
	keys          []userKey
	set           func([]userKey)
}

// keysOf finds whose access keys the call is about: the user's that it names, or
// the caller's.
func (c *call) keysOf(at time.Time) (keyHolder, error) {
	a := c.accountState()
	if c.str("UserName") == "" && strings.HasSuffix(c.who.ARN, ":root") {
		return keyHolder{arn: c.who.ARN, id: c.who.Account, keys: a.RootKeys, set: func(keys []userKey) { a.RootKeys = keys }}, nil
	}
	rec, u, name, err := c.findUser(at)
	if err != nil {
		return keyHolder{}, err
	}
	return keyHolder{name, c.userARN(name, u), u.ID, u.Keys, func(keys []userKey) { rec.change(c.now, func(u *user) { u.Keys = keys }) }}, nil
}

// newAccessKey makes a key that calls can be signed with.
func (c *call) newAccessKey(h keyHolder) (id, secret string) {
	id, secret = strings.ToUpper(c.id("AKIA", 16)), c.id("", 40)
	c.state.Keys[id] = accessKey{Secret: secret, ARN: h.arn, UserID: h.id, Account: c.who.Account}
	h.set(append(slices.Clone(h.keys), userKey{ID: id, Created: c.now}))
	return id, secret
}

func createAccessKey(c *call) (map[string]any, error) {
	h, err := c.keysOf(c.now)
	if err != nil {
		return nil, err
	}
	if len(h.keys) >= maxKeys {
		return nil, limited("AccessKeysPerUser", maxKeys)
	}
	id, secret := c.newAccessKey(h)
	return object{"AccessKey": object{"UserName": h.name, "AccessKeyId": id, "SecretAccessKey": secret, "Status": "Active", "CreateDate": c.now}}, nil
}

func listAccessKeys(c *call) (map[string]any, error) {
	out := []any{}
	h, err := c.keysOf(c.view)
	if err != nil && (c.str("UserName") != "" || !c.who.Operator) {
		return nil, err
	}
	for _, k := range h.keys {
		out = append(out, object{"UserName": h.name, "AccessKeyId": k.ID, "Status": k.status(), "CreateDate": k.Created})
	}
	return c.iamPage("AccessKeyMetadata", out)
}

func (k userKey) status() string {
	if k.Inactive {
		return "Inactive"
	}
	return "Active"
}

// changeAccessKey serves a write to one access key; a nil key is deleted.
func changeAccessKey(write func(c *call, k userKey) (*userKey, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		h, err := c.keysOf(c.now)
		if err != nil {
			return nil, err
		}
		id := c.str("AccessKeyId")
		i := slices.IndexFunc(h.keys, func(k userKey) bool { return k.ID == id })
		if i < 0 {
			return nil, failure(404, "NoSuchEntity", "The Access Key with id %s cannot be found.", id)
		}
		k, err := write(c, h.keys[i])
		if err != nil {
			return nil, err
		}
		keys := slices.Clone(h.keys)
		if k == nil {
			delete(c.state.Keys, id)
			h.set(slices.Delete(keys, i, i+1))
			return object{}, nil
		}
		keys[i] = *k
		signing := c.state.Keys[id]
		signing.Inactive = k.Inactive
		c.state.Keys[id] = signing
		h.set(keys)
		return object{}, nil
	}
}

func updateAccessKey(c *call, k userKey) (*userKey, error) {
	switch s := c.str("Status"); s {
	case "Active", "Inactive":
		k.Inactive = s == "Inactive"
	default:
		return nil, failure(400, "ValidationError", "1 validation error detected: Value '%s' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]", s)
	}
	return &k, nil
}

func accessKeyLastUsed(c *call) (map[string]any, error) {
	k, ok := c.state.Keys[c.str("AccessKeyId")]
	if !ok || k.Account != c.who.Account || k.Token != "" {
		return nil, failure(403, "AccessDenied", "User: %s is not authorized to perform: iam:GetAccessKeyLastUsed on resource: access key %s", c.who.ARN, c.str("AccessKeyId"))
	}
	use := object{"ServiceName": "N/A", "Region": "N/A"}
	if !k.Used.IsZero() {
		use = object{"LastUsedDate": k.Used, "ServiceName": k.UsedService, "Region": k.UsedRegion}
	}
	out := object{"AccessKeyLastUsed": use}
	if a, _ := parseARN(k.ARN); a.resource != "root" {
		out["UserName"] = last(k.ARN)
	}
	return out, nil
}

// use notes that a key was used. IAM is that exact only to the quarter of an
// hour. Source: IAM User Guide, "Get credential reports".
func (c *call) use(id string) {
	k := c.who
	if k.Operator || c.now.Sub(k.Used) < 15*time.Minute {
		return
	}
	k.Used, k.UsedRegion, k.UsedService = c.now, c.requestedRegion(), c.operation.Service.SigningName
	c.state.Keys[id] = k
}

// passwordPolicy is an account's, with the defaults for what UpdateAccountPasswordPolicy
// was not given. Source: IAM API Reference, "UpdateAccountPasswordPolicy".
type passwordPolicy struct {
	Length     int64 `json:"length"`
	Symbols    bool  `json:"symbols,omitempty"`
	Numbers    bool  `json:"numbers,omitempty"`
	Upper      bool  `json:"upper,omitempty"`
	Lower      bool  `json:"lower,omitempty"`
	Change     bool  `json:"change,omitempty"` // users may change theirs
	MaxAge     int64 `json:"maxAge,omitempty"` // days
	Reuse      int64 `json:"reuse,omitempty"`
	HardExpiry bool  `json:"hardExpiry,omitempty"`
}

const onlyPolicy = "policy" // the key of an account's only password policy

func updatePasswordPolicy(c *call) (map[string]any, error) {
	p := passwordPolicy{Length: 6, Symbols: c.bool("RequireSymbols"), Numbers: c.bool("RequireNumbers"), Upper: c.bool("RequireUppercaseCharacters"),
		Lower: c.bool("RequireLowercaseCharacters"), Change: c.bool("AllowUsersToChangePassword"), HardExpiry: c.bool("HardExpiry")}
	for _, m := range []struct {
		name      string
		into      *int64
		low, high int64
	}{{"MinimumPasswordLength", &p.Length, 6, 128}, {"MaxPasswordAge", &p.MaxAge, 1, 1095}, {"PasswordReusePrevention", &p.Reuse, 1, 24}} {
		n, given := c.int(m.name)
		if !given {
			continue
		}
		if n < m.low || n > m.high {
			return nil, failure(400, "ValidationError", "1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: between %d and %d",
				n, strings.ToLower(m.name[:1])+m.name[1:], m.low, m.high)
		}
		*m.into = n
	}
	c.accountState().Password.put(onlyPolicy, c.now, p)
	return object{}, nil
}

func getPasswordPolicy(c *call) (map[string]any, error) {
	_, p, ok := c.accountState().Password.live(onlyPolicy, c.view)
	if !ok {
		return nil, failure(404, "NoSuchEntity", "The Password Policy with domain name %s cannot be found.", c.who.Account)
	}
	out := object{"MinimumPasswordLength": p.Length, "RequireSymbols": p.Symbols, "RequireNumbers": p.Numbers, "RequireUppercaseCharacters": p.Upper,
		"RequireLowercaseCharacters": p.Lower, "AllowUsersToChangePassword": p.Change, "ExpirePasswords": p.MaxAge > 0}
	if p.MaxAge > 0 {
		out["MaxPasswordAge"], out["HardExpiry"] = p.MaxAge, p.HardExpiry
	}
	if p.Reuse > 0 {
		out["PasswordReusePrevention"] = p.Reuse
	}
	return object{"PasswordPolicy": out}, nil
}

func deletePasswordPolicy(c *call) (map[string]any, error) {
	r, _, ok := c.accountState().Password.live(onlyPolicy, c.now)
	if !ok {
		return nil, failure(404, "NoSuchEntity", "The account policy with name PasswordPolicy cannot be found.")
	}
	r.end(c.now)
	return object{}, nil
}

// checkPassword holds a call's password to the account's policy, or to AWS's
// default: 8 characters, of 3 of the 4 kinds. Source: IAM User Guide, "Set an
// account password policy for IAM users".
func (c *call) checkPassword() error {
	var upper, lower, digit, symbol bool
	text := c.str("Password")
	for _, r := range text {
		upper, lower, digit = upper || unicode.IsUpper(r), lower || unicode.IsLower(r), digit || unicode.IsDigit(r)
		symbol = symbol || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	_, p, ok := c.accountState().Password.live(onlyPolicy, c.now)
	if !ok {
		kinds := 0
		for _, has := range []bool{upper, lower, digit, symbol} {
			if has {
				kinds++
			}
		}
		if len(text) < 8 || kinds < 3 {
			return failure(400, "PasswordPolicyViolation", "Password does not conform to the account password policy.")
		}
		return nil
	}
	if int64(len(text)) < p.Length || p.Upper && !upper || p.Lower && !lower || p.Numbers && !digit || p.Symbols && !symbol {
		return failure(400, "PasswordPolicyViolation", "Password does not conform to the account password policy.")
	}
	return nil
}

var iamKeyHandlers = map[string]handler{
	"CreateAccessKey":      {"iam:CreateAccessKey", createAccessKey},
	"DeleteAccessKey":      {"iam:DeleteAccessKey", changeAccessKey(func(*call, userKey) (*userKey, error) { return nil, nil })},
	"GetAccessKeyLastUsed": {"iam:GetAccessKeyLastUsed", accessKeyLastUsed},
	"ListAccessKeys":       {"iam:ListAccessKeys", listAccessKeys},
	"UpdateAccessKey":      {"iam:UpdateAccessKey", changeAccessKey(updateAccessKey)},

	"DeleteAccountPasswordPolicy": {"iam:DeleteAccountPasswordPolicy", deletePasswordPolicy},
	"GetAccountPasswordPolicy":    {"iam:GetAccountPasswordPolicy", getPasswordPolicy},
	"UpdateAccountPasswordPolicy": {"iam:UpdateAccountPasswordPolicy", updatePasswordPolicy},
}
