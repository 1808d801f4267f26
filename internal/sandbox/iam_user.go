package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// findUser gives the user that the call names, or the caller.
func (c *call) findUser(at time.Time) (*record[user], user, string, error) {
	name := c.str("UserName")
	if name == "" && c.who.Role == "" {
		name = last(c.who.ARN)
	}
	r, u, ok := c.accountState().Users.live(name, at)
	switch {
	case ok:
		return r, u, name, nil
	case name == "":
		return nil, u, "", failure(400, "ValidationError", "Must specify userName when calling with non-User credentials")
	}
	return nil, u, name, failure(404, "NoSuchEntity", "The user with name %s cannot be found.", name)
}

func (c *call) userARN(name string, u user) string { return c.globalARN("iam", "user"+u.Path+name) }

func (c *call) userOut(name string, u user) object {
	return object{"UserName": name, "UserId": u.ID, "Arn": c.userARN(name, u), "Path": u.Path, "CreateDate": u.Created}
}

func createUser(c *call) (map[string]any, error) {
	name, path, err := c.newEntity("UserName")
	if err != nil {
		return nil, err
	}
	if len(name) > 64 {
		return nil, failure(400, "ValidationError", "1 validation error detected: Value '%s' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64", name)
	}
	users := &c.accountState().Users
	for other := range users.all(c.now) { // names differ by more than case
		if strings.EqualFold(other, name) {
			return nil, exists("User", name)
		}
	}
	u := user{Created: c.now, Path: path}
	if u.Tags, err = c.iamTags(); err != nil {
		return nil, err
	}
	if u.Boundary, err = c.newBoundary(); err != nil {
		return nil, err
	}
	u.ID = c.iamID("AIDA")
	users.put(name, c.now, u)
	return object{"User": withBoundary(withTags(c.userOut(name, u), u.Tags), u.policySet)}, nil
}

// getUser answers for the sandbox's operator and for the root user as well, of
// whom there is no record.
func getUser(c *call) (map[string]any, error) {
	if c.str("UserName") == "" && (c.who.Operator || strings.HasSuffix(c.who.ARN, ":root")) {
		out := object{"UserId": c.who.UserID, "Arn": c.who.ARN, "Path": "/", "CreateDate": c.accountState().Created}
		if c.who.Operator {
			out["UserName"] = last(c.who.ARN)
		}
		return object{"User": out}, nil
	}
	_, u, name, err := c.findUser(c.view)
	if err != nil {
		return nil, err
	}
	return object{"User": withBoundary(withTags(c.userOut(name, u), u.Tags), u.policySet)}, nil
}

func listUsers(c *call) (map[string]any, error) {
	out := []any{}
	for name, u := range c.accountState().Users.all(c.view) {
		if strings.HasPrefix(u.Path, c.str("PathPrefix")) {
			out = append(out, c.userOut(name, u))
		}
	}
	return c.iamPage("Users", out)
}

func deleteUser(c *call) (map[string]any, error) {
	rec, u, _, err := c.findUser(c.now)
	if err != nil {
		return nil, err
	}
	switch {
	case len(u.Keys) > 0:
		return nil, inUse("delete access keys")
	case u.Login != nil:
		return nil, inUse("delete login profile")
	case len(u.Devices) > 0:
		return nil, inUse("delete MFA device")
	case len(u.Groups) > 0:
		return nil, inUse("remove users from group")
	}
	if err := u.empty(); err != nil {
		return nil, err
	}
	rec.end(c.now)
	return object{}, nil
}

// changeUser serves a write to one user.
func changeUser(write func(c *call, u *user) error) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		rec, u, _, err := c.findUser(c.now)
		if err != nil {
			return nil, err
		}
		if err := write(c, &u); err != nil {
			return nil, err
		}
		rec.change(c.now, func(now *user) { *now = u })
		return object{}, nil
	}
}

func listUserTags(c *call) (map[string]any, error) {
	_, u, _, err := c.findUser(c.view)
	if err != nil {
		return nil, err
	}
	return c.iamPage("Tags", u.Tags.list())
}

func loginOut(name string, l *loginProfile) object {
	return object{"LoginProfile": object{"UserName": name, "CreateDate": l.Created, "PasswordResetRequired": l.Reset}}
}

func createLogin(c *call) (map[string]any, error) {
	rec, u, name, err := c.findUser(c.now)
	if err != nil {
		return nil, err
	}
	if u.Login != nil {
		return nil, failure(409, "EntityAlreadyExists", "Login Profile for user %s already exists.", name)
	}
	if err := c.checkPassword(); err != nil {
		return nil, err
	}
	l := &loginProfile{Created: c.now, Changed: c.now, Reset: c.bool("PasswordResetRequired")}
	rec.change(c.now, func(u *user) { u.Login = l })
	return loginOut(name, l), nil
}

func getLogin(c *call) (map[string]any, error) {
	_, u, name, err := c.findUser(c.view)
	if err != nil {
		return nil, err
	}
	if u.Login == nil {
		return nil, failure(404, "NoSuchEntity", "Login Profile for User %s cannot be found.", name)
	}
	return loginOut(name, u.Login), nil
}

func updateLogin(c *call, u *user) error {
	if u.Login == nil {
		return failure(404, "NoSuchEntity", "Login Profile for User %s cannot be found.", c.str("UserName"))
	}
	l := *u.Login // versions of the user don't share it
	if c.str("Password") != "" {
		if err := c.checkPassword(); err != nil {
			return err
		}
		l.Changed = c.now
	}
	if reset, given := c.in["PasswordResetRequired"].(bool); given {
		l.Reset = reset
	}
	u.Login = &l
	return nil
}

func deleteLogin(c *call, u *user) error {
	if u.Login == nil {
		return failure(404, "NoSuchEntity", "Login Profile for User %s cannot be found.", c.str("UserName"))
	}
	u.Login = nil
	return nil
}

// virtualMFA is a virtual MFA device, by its serial number, which is an ARN.
type virtualMFA struct {
	Made time.Time `json:"made"`
	User string    `json:"user,omitempty"`
	On   time.Time `json:"enabled,omitzero"`
}

func createDevice(c *call) (map[string]any, error) {
	serial := c.globalARN("iam", "mfa"+cmp.Or(c.str("Path"), "/")+c.str("VirtualMFADeviceName"))
	devices := &c.accountState().Devices
	if _, _, ok := devices.live(serial, c.now); ok {
		return nil, failure(409, "EntityAlreadyExists", "MFADevice entity at the same path and name already exists.")
	}
	devices.put(serial, c.now, virtualMFA{Made: c.now})
	return object{"VirtualMFADevice": object{"SerialNumber": serial, "Base32StringSeed": []byte(strings.ToUpper(c.id("", 32)))}}, nil
}

var mfaCode = patternOf(`^[0-9]{6}$`)

func enableDevice(c *call) (map[string]any, error) {
	rec, _, name, err := c.findUser(c.now)
	if err != nil {
		return nil, err
	}
	serial := c.str("SerialNumber")
	device, d, ok := c.accountState().Devices.live(serial, c.now)
	if !ok {
		return nil, failure(404, "NoSuchEntity", "VirtualMFADevice with serial number %s does not exist.", serial)
	}
	if d.User != "" {
		return nil, failure(409, "EntityAlreadyExists", "MFADevice with serial number %s is already in use.", serial)
	}
	one, two := c.str("AuthenticationCode1"), c.str("AuthenticationCode2")
	if !mfaCode.MatchString(one) || !mfaCode.MatchString(two) || one == two {
		return nil, failure(403, "InvalidAuthenticationCode", "Authentication code for device is not valid")
	}
	device.change(c.now, func(d *virtualMFA) { d.User, d.On = name, c.now })
	rec.change(c.now, func(u *user) { u.Devices = append(slices.Clone(u.Devices), mfaDevice{serial, c.now}) })
	return object{}, nil
}

func deactivateDevice(c *call, u *user) error {
	serial := c.str("SerialNumber")
	i := slices.IndexFunc(u.Devices, func(d mfaDevice) bool { return d.Serial == serial })
	if i < 0 {
		return failure(404, "NoSuchEntity", "MFA Device invalid for user.")
	}
	u.Devices = slices.Delete(slices.Clone(u.Devices), i, i+1)
	if device, _, ok := c.accountState().Devices.live(serial, c.now); ok {
		device.change(c.now, func(d *virtualMFA) { d.User, d.On = "", time.Time{} })
	}
	return nil
}

func deleteDevice(c *call) (map[string]any, error) {
	device, d, ok := c.accountState().Devices.live(c.str("SerialNumber"), c.now)
	if !ok {
		return nil, failure(404, "NoSuchEntity", "VirtualMFADevice with serial number %s doesn't exist.", c.str("SerialNumber"))
	}
	if d.User != "" {
		return nil, inUse("deactivate MFA device")
	}
	device.end(c.now)
	return object{}, nil
}

func listDevices(c *call) (map[string]any, error) {
	out := []any{}
	_, u, name, err := c.findUser(c.view)
	if err != nil && (c.str("UserName") != "" || c.who.Role != "") {
		return nil, err
	}
	for _, d := range u.Devices {
		out = append(out, object{"UserName": name, "SerialNumber": d.Serial, "EnableDate": d.Enabled})
	}
	return c.iamPage("MFADevices", out)
}

func listVirtualDevices(c *call) (map[string]any, error) {
	out := []any{}
	for serial, d := range c.accountState().Devices.all(c.view) {
		switch c.str("AssignmentStatus") {
		case "Assigned":
			if d.User == "" {
				continue
			}
		case "Unassigned":
			if d.User != "" {
				continue
			}
		}
		o := object{"SerialNumber": serial}
		if _, u, ok := c.accountState().Users.live(d.User, c.view); ok {
			o["User"], o["EnableDate"] = c.userOut(d.User, u), d.On
		}
		out = append(out, o)
	}
	return c.iamPage("VirtualMFADevices", out)
}

var iamUserHandlers = map[string]handler{
	"CreateUser":             {"iam:CreateUser", createUser},
	"DeleteUser":             {"iam:DeleteUser", deleteUser},
	"GetUser":                {"iam:GetUser", getUser},
	"ListUsers":              {"iam:ListUsers", listUsers},
	"ListUserTags":           {"iam:ListUserTags", listUserTags},
	"CreateLoginProfile":     {"iam:CreateLoginProfile", createLogin},
	"GetLoginProfile":        {"iam:GetLoginProfile", getLogin},
	"UpdateLoginProfile":     {"iam:UpdateLoginProfile", changeUser(updateLogin)},
	"DeleteLoginProfile":     {"iam:DeleteLoginProfile", changeUser(deleteLogin)},
	"CreateVirtualMFADevice": {"iam:CreateVirtualMFADevice", createDevice},
	"DeactivateMFADevice":    {"iam:DeactivateMFADevice", changeUser(deactivateDevice)},
	"DeleteVirtualMFADevice": {"iam:DeleteVirtualMFADevice", deleteDevice},
	"EnableMFADevice":        {"iam:EnableMFADevice", enableDevice},
	"ListMFADevices":         {"iam:ListMFADevices", listDevices},
	"ListVirtualMFADevices":  {"iam:ListVirtualMFADevices", listVirtualDevices},
	"TagUser": {"iam:TagUser", changeUser(func(c *call, u *user) error {
		tags, err := c.iamTags()
		u.Tags = u.Tags.with(tags)
		return err
	})},
	"UntagUser": {"iam:UntagUser", changeUser(func(c *call, u *user) error {
		u.Tags = u.Tags.without(c.strings("TagKeys"))
		return nil
	})},
}
