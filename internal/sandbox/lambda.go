package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"
)

// lambdaState is what lambda has in one account and Region.
type lambdaState struct {
	Functions table[function]  `json:"functions,omitempty"` // by name
	Answers   []FunctionAnswer `json:"answers,omitempty"`
	Runs      map[string]int64 `json:"runs,omitempty"` // how often each was run, by name
}

type function struct {
	Text         string            `json:"description"`
	Runtime      string            `json:"runtime,omitempty"`
	Role         string            `json:"role"`
	Handler      string            `json:"handler,omitempty"`
	Package      string            `json:"packageType"`
	Architecture string            `json:"architecture"`
	Size         int64             `json:"codeSize"`
	Digest       string            `json:"codeSha256"`
	Timeout      int64             `json:"timeout"` // seconds
	Memory       int64             `json:"memory"`  // MB
	Storage      int64             `json:"ephemeralStorage"`
	Environment  map[string]string `json:"environment,omitempty"`
	KeyARN       string            `json:"kmsKeyArn,omitempty"`
	DeadLetters  string            `json:"deadLetterTarget,omitempty"`
	Tracing      string            `json:"tracing"`
	Subnets      []string          `json:"subnets,omitempty"`
	Groups       []string          `json:"securityGroups,omitempty"`
	Layers       []string          `json:"layers,omitempty"`
	State        string            `json:"state"`        // Pending, Active
	Update       string            `json:"updateStatus"` // InProgress, Successful
	Modified     time.Time         `json:"modified"`
	Revision     string            `json:"revision"`
	Reserved     *int64            `json:"reservedConcurrency,omitempty"`
	Policy       []object          `json:"policy,omitempty"` // its statements
	Tags         tagSet            `json:"tags,omitempty"`
}

// functionChange is how long Lambda takes to make or change a function.
const functionChange = 3 * time.Second

var (
	functionName = patternOf(`^[a-zA-Z0-9-_]{1,64}$`)
	functionRole = patternOf(`^arn:aws:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+$`)
)

func lambdaInvalid(format string, args ...any) error {
	return failure(400, "InvalidParameterValueException", format, args...)
}

func (c *call) functionARN(name string) string {
	return "arn:aws:lambda:" + c.region + ":" + c.who.Account + ":function:" + name
}

// function finds the function that a call is about, by its name, its ARN, or the
// end of it.
func (c *call) function(at time.Time) (name string, r *record[function], f function, err error) {
	name = c.functionNamed(c.str("FunctionName"))
	if r, f, ok := c.home().Lambda.Functions.live(name, at); ok {
		return name, r, f, nil
	}
	return "", nil, function{}, failure(404, "ResourceNotFoundException", "Function not found: %s", c.functionARN(name))
}

func (c *call) functionNamed(text string) string {
	text = strings.TrimPrefix(text, c.functionARN(""))
	text = strings.TrimPrefix(text, c.who.Account+":function:")
	text = strings.TrimPrefix(text, c.who.Account+":")
	return strings.TrimSuffix(text, ":$LATEST")
}

func (c *call) functionOut(name string, f function) object {
	out := object{
		"FunctionName": name, "FunctionArn": c.functionARN(name), "Role": f.Role, "CodeSize": f.Size, "CodeSha256": f.Digest, "Description": f.Text,
		"Timeout": f.Timeout, "MemorySize": f.Memory, "LastModified": f.Modified.UTC().Format("2006-01-02T15:04:05.000-0700"), "Version": "$LATEST",
		"TracingConfig": object{"Mode": f.Tracing}, "RevisionId": f.Revision, "State": f.State, "LastUpdateStatus": f.Update, "PackageType": f.Package,
		"Architectures": []any{f.Architecture}, "EphemeralStorage": object{"Size": f.Storage}, "SnapStart": object{"ApplyOn": "None", "OptimizationStatus": "Off"},
		"LoggingConfig": object{"LogFormat": "Text", "LogGroup": "/aws/lambda/" + name},
	}
	if f.State == "Pending" {
		out["StateReason"], out["StateReasonCode"] = "The function is being created.", "Creating"
	}
	if f.Package == "Zip" {
		out["Runtime"], out["Handler"] = f.Runtime, f.Handler
	}
	if len(f.Environment) > 0 {
		variables := object{}
		for k, v := range f.Environment {
			variables[k] = v
		}
		out["Environment"] = object{"Variables": variables}
	}
	if f.KeyARN != "" {
		out["KMSKeyArn"] = f.KeyARN
	}
	if f.DeadLetters != "" {
		out["DeadLetterConfig"] = object{"TargetArn": f.DeadLetters}
	}
	if len(f.Subnets) > 0 {
		vpc := ""
		if r, ok := c.home().Subnets[f.Subnets[0]]; ok {
			s, _ := r.as(c.now)
			vpc = s.VPC
		}
		out["VpcConfig"] = object{"SubnetIds": anys(f.Subnets), "SecurityGroupIds": anys(f.Groups), "VpcId": vpc}
	}
	if len(f.Layers) > 0 {
		layers := []any{}
		for _, l := range f.Layers {
			layers = append(layers, object{"Arn": l, "CodeSize": int64(0)})
		}
		out["Layers"] = layers
	}
	return out
}

func createFunction(c *call) (map[string]any, error) {
	name := c.functionNamed(c.str("FunctionName"))
	if !functionName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'functionName' failed to satisfy constraint", name)
	}
	if _, _, ok := c.home().Lambda.Functions.live(name, c.now); ok {
		return nil, failure(409, "ResourceConflictException", "Function already exist: %s", name)
	}
	f := function{Package: "Zip", Architecture: "x86_64", Timeout: 3, Memory: 128, Storage: 512, Tracing: "PassThrough", State: "Pending", Update: "Successful"}
	if p := c.str("PackageType"); p != "" {
		f.Package = p
	}
	if a := c.strings("Architectures"); len(a) > 0 {
		f.Architecture = a[0]
	}
	if err := c.configure(&f); err != nil {
		return nil, err
	}
	if f.Package == "Zip" && (f.Runtime == "" || f.Handler == "") {
		return nil, lambdaInvalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	f.Tags = textMap(c.in["Tags"])
	f.code(c.object("Code"))
	r := c.home().Lambda.Functions.put(name, c.now, f)
	r.change(c.now.Add(functionChange), func(f *function) { f.State = "Active" })
	return c.functionOut(name, f), nil
}

// code takes over a function's code, of which only size and digest are kept.
// There may be none: what a function does, a Go function says.
func (f *function) code(from object) {
	zip, _ := from["ZipFile"].([]byte)
	if len(zip) == 0 {
		for _, k := range []string{"S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri"} {
			s, _ := from[k].(string)
			zip = append(zip, s...)
		}
	}
	sum := sha256.Sum256(zip)
	f.Size, f.Digest = int64(len(zip)), base64.StdEncoding.EncodeToString(sum[:])
}

// configure takes over what a call says of a function's configuration.
func (c *call) configure(f *function) error {
	for member, into := range map[string]*string{"Description": &f.Text, "Runtime": &f.Runtime, "Role": &f.Role, "Handler": &f.Handler, "KMSKeyArn": &f.KeyARN} {
		if s, ok := c.in[member].(string); ok {
			*into = s
		}
	}
	for _, n := range []struct {
		member    string
		low, high int64
		given     any
		into      *int64
	}{
		{"Timeout", 1, 900, c.in["Timeout"], &f.Timeout},
		{"MemorySize", 128, 10240, c.in["MemorySize"], &f.Memory},
		{"EphemeralStorage", 512, 10240, c.object("EphemeralStorage")["Size"], &f.Storage},
	} {
		v, ok := n.given.(int64)
		if ok && (v < n.low || v > n.high) {
			return invalid("1 validation error detected: Value '%d' at '%s' failed to satisfy constraint: Member must have value from %d to %d", v, lowerFirst(n.member), n.low, n.high)
		}
		if ok {
			*n.into = v
		}
	}
	if runtimes := c.operation.Input.Member("Runtime"); f.Runtime != "" && runtimes != nil && !slices.Contains(runtimes.Shape.Enum, f.Runtime) {
		return lambdaInvalid("Value %s at 'runtime' failed to satisfy constraint: Member must satisfy enum value set", f.Runtime)
	}
	if e, ok := c.in["Environment"].(object); ok {
		f.Environment = textMap(e["Variables"])
	}
	if d, ok := c.in["DeadLetterConfig"].(object); ok {
		f.DeadLetters, _ = d["TargetArn"].(string)
	}
	if t, ok := c.object("TracingConfig")["Mode"].(string); ok {
		f.Tracing = t
	}
	if v, ok := c.in["VpcConfig"].(object); ok {
		f.Subnets, f.Groups = texts(v["SubnetIds"]), texts(v["SecurityGroupIds"])
		for _, s := range f.Subnets {
			if c.home().Subnets[s] == nil {
				return lambdaInvalid("Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. EC2 Error Message: The subnet ID '%s' does not exist", s)
			}
		}
	}
	if _, ok := c.in["Layers"]; ok {
		f.Layers = c.strings("Layers")
	}
	f.Modified, f.Revision = c.now, c.occurrence()
	return c.mayBeAssumed(f.Role)
}

// mayBeAssumed says whether Lambda may assume a role of the account.
func (c *call) mayBeAssumed(role string) error {
	if !functionRole.MatchString(role) {
		return invalid("1 validation error detected: Value '%s' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+", role)
	}
	name := last(role)
	if _, r, ok := c.accountState().Roles.live(name, c.now); ok && role == c.roleARN(name, r) {
		if (access{service: "lambda.amazonaws.com", action: "sts:AssumeRole", resource: role}).grants(c.policy(r.Trust)) {
			return nil
		}
	}
	return lambdaInvalid("The role defined for the function cannot be assumed by Lambda.")
}

func getFunction(c *call) (map[string]any, error) {
	name, _, f, err := c.function(c.view)
	if err != nil {
		return nil, err
	}
	out := object{"Configuration": c.functionOut(name, f), "Code": object{"RepositoryType": "S3", "Location": "https://awslambda-" + c.region + "-tasks.s3." + c.region + ".amazonaws.com/snapshots/" + c.who.Account + "/" + name}}
	if len(f.Tags) > 0 {
		out["Tags"] = textObject(f.Tags)
	}
	if f.Reserved != nil {
		out["Concurrency"] = object{"ReservedConcurrentExecutions": *f.Reserved}
	}
	return out, nil
}

func textObject(m map[string]string) object {
	out := object{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func getFunctionConfiguration(c *call) (map[string]any, error) {
	name, _, f, err := c.function(c.view)
	if err != nil {
		return nil, err
	}
	return c.functionOut(name, f), nil
}

func listFunctions(c *call) (map[string]any, error) {
	list := []any{}
	for name, f := range c.home().Lambda.Functions.all(c.view) {
		list = append(list, c.functionOut(name, f))
	}
	sub := *c
	sub.in = object{"NextToken": c.in["Marker"], "MaxResults": int64(50)}
	if n, ok := c.int("MaxItems"); ok {
		sub.in["MaxResults"] = min(n, 50)
	}
	out, err := sub.page("Functions", list)
	if err != nil {
		return nil, lambdaInvalid("Invalid pagination token")
	}
	if next, ok := out["NextToken"]; ok {
		out["NextMarker"] = next
		delete(out, "NextToken")
	}
	return out, nil
}

// changeFunction serves a change of a function, which takes its time and bars
// other changes meanwhile.
func changeFunction(change func(*call, *function) error) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		name, r, f, err := c.function(c.now)
		if err != nil {
			return nil, err
		}
		if f.State == "Pending" || f.Update == "InProgress" {
			return nil, failure(409, "ResourceConflictException", "The operation cannot be performed at this time. An update is in progress for resource: %s", c.functionARN(name))
		}
		if revision := c.str("RevisionId"); revision != "" && revision != f.Revision {
			return nil, failure(412, "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id")
		}
		if err := change(c, &f); err != nil {
			return nil, err
		}
		f.Update = "InProgress"
		r.change(c.now, func(now *function) { *now = f })
		r.change(c.now.Add(functionChange), func(now *function) { now.Update = "Successful" })
		return c.functionOut(name, f), nil
	}
}

func updateCode(c *call, f *function) error {
	f.code(c.in)
	f.Modified, f.Revision = c.now, c.occurrence()
	return nil
}

func deleteFunction(c *call) (map[string]any, error) {
	_, r, _, err := c.function(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{}, nil
}

// setFunction serves a change of a function that is there at once.
func setFunction(change func(*call, *function) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		_, r, f, err := c.function(c.now)
		if err != nil {
			return nil, err
		}
		out, err := change(c, &f)
		if err != nil {
			return nil, err
		}
		r.change(c.now, func(now *function) {
			now.Reserved, now.Policy, now.Tags, now.Revision = f.Reserved, f.Policy, f.Tags, f.Revision
		})
		return out, nil
	}
}

func putConcurrency(c *call, f *function) (map[string]any, error) {
	n, _ := c.int("ReservedConcurrentExecutions")
	f.Reserved = &n
	return object{"ReservedConcurrentExecutions": n}, nil
}

func deleteConcurrency(_ *call, f *function) (map[string]any, error) {
	f.Reserved = nil
	return object{}, nil
}

func getConcurrency(c *call) (map[string]any, error) {
	_, _, f, err := c.function(c.view)
	if err != nil || f.Reserved == nil {
		return object{}, err
	}
	return object{"ReservedConcurrentExecutions": *f.Reserved}, nil
}

func listVersions(c *call) (map[string]any, error) {
	name, _, f, err := c.function(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Versions": []any{c.functionOut(name, f)}}, nil
}

// ofResource makes an operation that names a function by Resource one that names
// it by FunctionName.
func ofResource(run func(*call) (map[string]any, error)) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		sub := *c
		sub.in = maps.Clone(c.in)
		sub.in["FunctionName"] = c.in["Resource"]
		return run(&sub)
	}
}

func tagFunction(c *call, f *function) (map[string]any, error) {
	f.Tags = f.Tags.with(textMap(c.in["Tags"]))
	return object{}, nil
}

func untagFunction(c *call, f *function) (map[string]any, error) {
	f.Tags = f.Tags.with(nil)
	for _, k := range c.strings("TagKeys") {
		delete(f.Tags, k)
	}
	return object{}, nil
}

func listFunctionTags(c *call) (map[string]any, error) {
	_, _, f, err := c.function(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Tags": textObject(f.Tags)}, nil
}

var lambdaHandlers = map[string]handler{
	"AddPermission":               {"lambda:AddPermission", setFunction(addPermission)},
	"CreateFunction":              {"lambda:CreateFunction", createFunction},
	"DeleteFunction":              {"lambda:DeleteFunction", deleteFunction},
	"DeleteFunctionConcurrency":   {"lambda:DeleteFunctionConcurrency", setFunction(deleteConcurrency)},
	"GetFunction":                 {"lambda:GetFunction", getFunction},
	"GetFunctionConcurrency":      {"lambda:GetFunctionConcurrency", getConcurrency},
	"GetFunctionConfiguration":    {"lambda:GetFunctionConfiguration", getFunctionConfiguration},
	"GetPolicy":                   {"lambda:GetPolicy", getFunctionPolicy},
	"Invoke":                      {"lambda:InvokeFunction", invokeFunction},
	"ListFunctions":               {"lambda:ListFunctions", listFunctions},
	"ListTags":                    {"lambda:ListTags", ofResource(listFunctionTags)},
	"ListVersionsByFunction":      {"lambda:ListVersionsByFunction", listVersions},
	"PutFunctionConcurrency":      {"lambda:PutFunctionConcurrency", setFunction(putConcurrency)},
	"RemovePermission":            {"lambda:RemovePermission", setFunction(removePermission)},
	"TagResource":                 {"lambda:TagResource", ofResource(setFunction(tagFunction))},
	"UntagResource":               {"lambda:UntagResource", ofResource(setFunction(untagFunction))},
	"UpdateFunctionCode":          {"lambda:UpdateFunctionCode", changeFunction(updateCode)},
	"UpdateFunctionConfiguration": {"lambda:UpdateFunctionConfiguration", changeFunction((*call).configure)},
}
