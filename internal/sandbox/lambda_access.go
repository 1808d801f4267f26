package sandbox

import "strings"

// What Lambda's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Lambda".
const onFunction = "function:{FunctionName}"

var lambdaAccess = serviceAccess{
	arn: "arn:{Partition}:lambda:{Region}:{Account}:",
	on: map[string]string{
		"AddPermission":               onFunction,
		"CreateFunction":              onFunction,
		"DeleteFunction":              onFunction,
		"DeleteFunctionConcurrency":   onFunction,
		"GetFunction":                 onFunction,
		"GetFunctionConcurrency":      onFunction,
		"GetFunctionConfiguration":    onFunction,
		"GetPolicy":                   onFunction,
		"Invoke":                      onFunction,
		"ListTags":                    "{Resource}",
		"ListVersionsByFunction":      onFunction,
		"PutFunctionConcurrency":      onFunction,
		"RemovePermission":            onFunction,
		"TagResource":                 "{Resource}",
		"UntagResource":               "{Resource}",
		"UpdateFunctionCode":          onFunction,
		"UpdateFunctionConfiguration": onFunction,
	},
	needs: map[string]func(*call, []need) []need{
		"CreateFunction":              passFunctionRole,
		"UpdateFunctionConfiguration": passFunctionRole,
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		if p := c.str("Principal"); p != "" {
			set("lambda:Principal", p)
		}
		if s := c.object("VpcConfig"); s != nil {
			set("lambda:SubnetIds", texts(s["SubnetIds"])...)
			set("lambda:SecurityGroupIds", texts(s["SecurityGroupIds"])...)
		}
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.homeOf(a.account, a.region)
		if home == nil {
			return resource{}
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(a.resource, "function:"), ":")
		_, f, _ := home.Lambda.Functions.live(name, c.now)
		return resource{tags: f.Tags, policy: f.policyText()}
	},
	guests: true,
}

func passFunctionRole(c *call, own []need) []need {
	return append(own, c.passRole(c.str("Role"), "lambda.amazonaws.com")...)
}
