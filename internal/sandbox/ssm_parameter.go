package sandbox

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parameter is a parameter of Parameter Store with the versions that are kept.
type parameter struct {
	Type     string             `json:"type"` // String, StringList, SecureString
	DataType string             `json:"dataType"`
	Tier     string             `json:"tier"` // Standard, Advanced
	Versions []parameterVersion `json:"versions"`
	Tags     tagSet             `json:"tags,omitempty"`
}

// parameterVersion is one version: also what describes a parameter is kept by
// version. A SecureString's value is not encrypted here: whoever holds a snapshot
// holds the sandbox's secrets.
type parameterVersion struct {
	Number   int64     `json:"number"`
	Value    string    `json:"value"`
	KeyID    string    `json:"keyId,omitempty"`
	Text     string    `json:"description,omitempty"`
	Pattern  string    `json:"allowedPattern,omitempty"`
	Modified time.Time `json:"modified"`
	User     string    `json:"user"`
	Labels   []string  `json:"labels,omitempty"`
}

// Limits of Parameter Store. Source: AWS General Reference, "AWS Systems Manager
// endpoints and quotas", and Systems Manager API Reference, "PutParameter".
const (
	maxParameterVersions = 100
	maxHierarchy         = 15
	maxParameterName     = 1011 // characters of the ARN
	maxStandardValue     = 4096
	maxAdvancedValue     = 8192
	maxStandard          = 10000
	maxLabels            = 10
)

var (
	parameterName  = patternOf(`^[a-zA-Z0-9_.\-/]+$`)
	parameterLabel = patternOf(`^[a-zA-Z0-9_.\-]{1,100}$`)
)

func (p parameter) latest() parameterVersion { return p.Versions[len(p.Versions)-1] }

func (c *call) parameterARN(name string) string {
	return c.ssmARN("parameter/" + strings.TrimPrefix(name, "/"))
}

// checkParameterName says what is wrong with the name of a new parameter.
func (c *call) checkParameterName(name string) error {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.ToLower(name), "/"), "/")
	switch {
	case !parameterName.MatchString(name):
		return invalid("Parameter name: can't contain other characters than letters, numbers and .-_/")
	case strings.Contains(name, "/") && !strings.HasPrefix(name, "/"):
		return invalid("Parameter name must be a fully qualified name.")
	case strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return invalid("Parameter name has a level without a name.")
	case strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm"):
		return invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case strings.Count(strings.TrimPrefix(name, "/"), "/")+1 > maxHierarchy:
		return failure(400, "HierarchyLevelLimitExceededException", "A parameter name has at most %d levels. For more information, see Requirements and constraints for parameter names.", maxHierarchy)
	case len(c.parameterARN(name)) > maxParameterName:
		return invalid("Parameter name is too long: the ARN of a parameter has at most %d characters.", maxParameterName)
	}
	return nil
}

// ssmAlias is the key of SecureStrings for which no other is named.
const ssmAlias = "alias/aws/ssm"

// parameterKey says whether a SecureString's key can be used. That the caller
// may use it is settled.
func (c *call) parameterKey(name string) error {
	at, k, err := c.findKey(name, c.now)
	if err == nil {
		err = k.usable(at.arn)
	}
	if err != nil {
		return failure(400, "InvalidKeyId", "%v", err)
	}
	return nil
}

func putParameter(c *call) (map[string]any, error) {
	name, value := parameterFrom(c.str("Name")), c.str("Value")
	r, p, exists := c.home().SSM.Parameters.live(name, c.now)
	v := parameterVersion{Number: 1, Value: value, Modified: c.now, User: c.who.ARN}
	if exists {
		if !c.bool("Overwrite") {
			return nil, failure(400, "ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		}
		if len(c.objects("Tags")) > 0 {
			return nil, invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
		}
		if t := c.str("Type"); t != "" && t != p.Type {
			return nil, failure(400, "HierarchyTypeMismatchException", "Parameter Store doesn't support changing a parameter's type from %s to %s. Create a new parameter.", p.Type, t)
		}
		last := p.latest()
		v.Number, v.KeyID, v.Pattern, v.Text = last.Number+1, last.KeyID, last.Pattern, last.Text
	} else {
		if err := c.checkParameterName(name); err != nil {
			return nil, err
		}
		p = parameter{Type: c.str("Type"), DataType: "text"}
		if p.Type == "" {
			return nil, invalid("A parameter type is required when you create a parameter.")
		}
	}
	if err := c.configureParameter(&p, &v, exists); err != nil {
		return nil, err
	}
	var err error
	if !exists {
		if p.Tags, err = ssmTags(c.in["Tags"]); err != nil {
			return nil, err
		}
	}
	if p.Versions, err = keptVersions(p.Versions); err != nil {
		return nil, err
	}
	p.Versions = append(p.Versions, v)
	operation := "Create"
	if exists {
		operation = "Update"
		r.change(c.now, func(now *parameter) { *now = p })
	} else {
		c.home().SSM.Parameters.put(name, c.now, p)
	}
	c.tellParameter(name, p, operation)
	return object{"Version": v.Number, "Tier": p.Tier}, nil
}

// keptVersions makes room for one more. The oldest goes, but not one with a
// label.
func keptVersions(l []parameterVersion) ([]parameterVersion, error) {
	l = slices.Clone(l)
	if len(l) < maxParameterVersions {
		return l, nil
	}
	if len(l[0].Labels) > 0 {
		return nil, failure(400, "ParameterMaxVersionLimitExceeded", "You attempted to create a new version of a parameter that has %d. Version %d, the oldest version, can't be deleted because it has a label associated with it.", maxParameterVersions, l[0].Number)
	}
	return l[1:], nil
}

// configureParameter takes over what a call says of a parameter's new version.
func (c *call) configureParameter(p *parameter, v *parameterVersion, exists bool) error {
	if s, ok := c.in["Description"].(string); ok {
		v.Text = s
	}
	if s, ok := c.in["AllowedPattern"].(string); ok {
		v.Pattern = s
	}
	if t := c.str("DataType"); t != "" {
		if !slices.Contains([]string{"text", "aws:ec2:image", "aws:ssm:integration"}, t) {
			return invalid("The following data type is not supported: %s (Data type names are all lowercase.)", t)
		}
		p.DataType = t
	}
	if c.str("Policies") != "" && c.str("Policies") != "[]" {
		return failure(501, "NotImplemented", "The sandbox does not simulate policies of parameters.")
	}
	if v.Value == "" {
		return invalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	}
	if v.Pattern != "" {
		re, err := regexp.Compile("^(?:" + v.Pattern + ")$")
		if err != nil {
			return failure(400, "InvalidAllowedPatternException", "The request doesn't meet the regular expression requirement: %v", err)
		}
		if !re.MatchString(v.Value) {
			return failure(400, "ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: %s", v.Pattern)
		}
	}
	if err := c.tier(p, v.Value, exists); err != nil {
		return err
	}
	switch key := c.str("KeyId"); {
	case p.Type != "SecureString" && key != "":
		return invalid("KeyId is required for SecureString type parameter only.")
	case p.Type == "SecureString":
		v.KeyID = cmp.Or(key, v.KeyID, ssmAlias)
		return c.parameterKey(v.KeyID)
	}
	return nil
}

// tier decides a parameter's tier; from Advanced there is no way back.
func (c *call) tier(p *parameter, value string, exists bool) error {
	want := cmp.Or(c.str("Tier"), p.Tier, "Standard")
	if want == "Intelligent-Tiering" {
		want = cmp.Or(p.Tier, "Standard")
		if len(value) > maxStandardValue {
			want = "Advanced"
		}
	}
	if p.Tier == "Advanced" && want == "Standard" {
		return invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
	}
	p.Tier = want
	switch {
	case want == "Standard" && len(value) > maxStandardValue:
		return invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.", maxStandardValue)
	case len(value) > maxAdvancedValue:
		return invalid("Advanced tier parameters support a maximum parameter value of %d characters.", maxAdvancedValue)
	}
	count := 0
	for range c.home().SSM.Parameters.all(c.now) {
		count++
	}
	if !exists && count >= maxStandard {
		return failure(400, "ParameterLimitExceeded", "You have exceeded the number of parameters for this AWS account. Delete one or more parameters and try again.")
	}
	return nil
}

// tellParameter sends the event of a change.
// Source: Systems Manager User Guide, "Setting up notifications or triggering
// actions based on Parameter Store events".
func (c *call) tellParameter(name string, p parameter, operation string) {
	detail := object{"operation": operation, "name": name, "type": p.Type}
	if text := p.latest().Text; text != "" {
		detail["description"] = text
	}
	c.emit(c.now, "aws.ssm", "Parameter Store Change", []string{c.parameterARN(name)}, detail)
}

// parameterFrom is a parameter's name, of which calls may also give the ARN.
func parameterFrom(s string) string {
	_, rest, ok := strings.Cut(s, ":parameter/")
	if !ok || !strings.HasPrefix(s, "arn:") {
		return s
	}
	if strings.Contains(rest, "/") {
		return "/" + rest
	}
	return rest
}

// selected finds a parameter by its name, or name:version, or name:label.
func (c *call) selected(text string) (object, error) {
	full, selector := parameterFrom(text), ""
	if i := strings.LastIndexByte(full, ':'); i >= 0 {
		full, selector = full[:i], full[i:]
	}
	_, p, ok := c.home().SSM.Parameters.live(full, c.view)
	if !ok {
		if _, again, found := c.home().SSM.Parameters.live("/"+full, c.view); found && strings.HasPrefix(text, "arn:") {
			full, p, ok = "/"+full, again, true
		}
	}
	if !ok {
		return nil, failure(400, "ParameterNotFound", "Parameter %s not found.", text)
	}
	v := p.latest()
	if selector != "" {
		i := slices.IndexFunc(p.Versions, func(v parameterVersion) bool {
			return strconv.FormatInt(v.Number, 10) == selector[1:] || slices.Contains(v.Labels, selector[1:])
		})
		if i < 0 {
			return nil, failure(400, "ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector[1:], full)
		}
		v = p.Versions[i]
	}
	out, err := c.parameterOut(full, p, v)
	if err != nil {
		return nil, err
	}
	return withTexts(out, map[string]string{"Selector": selector}), nil
}

func (c *call) parameterOut(name string, p parameter, v parameterVersion) (object, error) {
	value, err := c.parameterValue(name, p, v)
	if err != nil {
		return nil, err
	}
	return object{"Name": name, "Type": p.Type, "Value": value, "Version": v.Number, "LastModifiedDate": v.Modified, "ARN": c.parameterARN(name), "DataType": p.DataType}, nil
}

// parameterValue is a value as the call may see it. What stands for the
// ciphertext follows from name and version, and tells nothing of the value.
func (c *call) parameterValue(name string, p parameter, v parameterVersion) (string, error) {
	switch {
	case p.Type != "SecureString":
		return v.Value, nil
	case c.bool("WithDecryption"):
		return v.Value, c.parameterKey(v.KeyID)
	}
	raw, err := hex.DecodeString(derived(c.state.Seed, "parameter "+name, uint64(v.Number)))
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

func getParameter(c *call) (map[string]any, error) {
	p, err := c.selected(c.str("Name"))
	if err != nil {
		return nil, err
	}
	return object{"Parameter": p}, nil
}

func getParameters(c *call) (map[string]any, error) {
	found, wrong := []any{}, []any{}
	names := c.strings("Names")
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return nil, invalid("Parameter names must not be duplicated: %s.", name)
		}
		p, err := c.selected(name)
		switch codeOf(err) {
		case "":
			found = append(found, p)
		case "ParameterNotFound", "ParameterVersionNotFound":
			wrong = append(wrong, name)
		default:
			return nil, err
		}
	}
	return object{"Parameters": found, "InvalidParameters": wrong}, nil
}

func deleteParameter(c *call) (map[string]any, error) {
	if !c.dropParameter(c.str("Name")) {
		return nil, failure(400, "ParameterNotFound", "Parameter %s not found.", c.str("Name"))
	}
	return object{}, nil
}

func (c *call) dropParameter(name string) bool {
	r, p, ok := c.home().SSM.Parameters.live(parameterFrom(name), c.now)
	if ok {
		r.end(c.now)
		c.tellParameter(parameterFrom(name), p, "Delete")
	}
	return ok
}

func deleteParameters(c *call) (map[string]any, error) {
	gone, wrong := []any{}, []any{}
	for _, name := range c.strings("Names") {
		if c.dropParameter(name) {
			gone = append(gone, name)
		} else {
			wrong = append(wrong, name)
		}
	}
	return object{"DeletedParameters": gone, "InvalidParameters": wrong}, nil
}

// labelParameterVersion moves labels to a version, the latest if none is named.
func labelParameterVersion(c *call) (map[string]any, error) {
	name := parameterFrom(c.str("Name"))
	r, p, ok := c.home().SSM.Parameters.live(name, c.now)
	if !ok {
		return nil, failure(400, "ParameterNotFound", "Parameter %s not found.", name)
	}
	number := p.latest().Number
	if n, ok := c.int("ParameterVersion"); ok {
		number = n
	}
	at := slices.IndexFunc(p.Versions, func(v parameterVersion) bool { return v.Number == number })
	if at < 0 {
		return nil, failure(400, "ParameterVersionNotFound", "Systems Manager could not find version %d of %s. Verify the version and try again.", number, name)
	}
	wrong, good := []any{}, []string{}
	for _, l := range c.strings("Labels") {
		low := strings.ToLower(l)
		if !parameterLabel.MatchString(l) || l[0] >= '0' && l[0] <= '9' || strings.HasPrefix(low, "aws") || strings.HasPrefix(low, "ssm") {
			wrong = append(wrong, l)
			continue
		}
		good = append(good, l)
	}
	p.Versions = slices.Clone(p.Versions)
	for i := range p.Versions {
		v := &p.Versions[i]
		v.Labels = slices.DeleteFunc(slices.Clone(v.Labels), func(l string) bool { return slices.Contains(good, l) })
	}
	v := &p.Versions[at]
	if len(v.Labels)+len(good) > maxLabels {
		return nil, failure(400, "ParameterVersionLabelLimitExceeded", "A parameter version can have a maximum of ten labels.")
	}
	v.Labels = append(v.Labels, good...)
	r.change(c.now, func(now *parameter) { now.Versions = p.Versions })
	c.tellParameter(name, p, "LabelParameterVersion")
	return object{"InvalidLabels": wrong, "ParameterVersion": number}, nil
}

var parameterHandlers = map[string]handler{
	"DeleteParameter":       {"ssm:DeleteParameter", checked(deleteParameter)},
	"DeleteParameters":      {"ssm:DeleteParameters", checked(deleteParameters)},
	"DescribeParameters":    {"ssm:DescribeParameters", checked(describeParameters)},
	"GetParameter":          {"ssm:GetParameter", checked(getParameter)},
	"GetParameterHistory":   {"ssm:GetParameterHistory", checked(getParameterHistory)},
	"GetParameters":         {"ssm:GetParameters", checked(getParameters)},
	"GetParametersByPath":   {"ssm:GetParametersByPath", checked(getParametersByPath)},
	"LabelParameterVersion": {"ssm:LabelParameterVersion", checked(labelParameterVersion)},
	"PutParameter":          {"ssm:PutParameter", checked(putParameter)},
}
