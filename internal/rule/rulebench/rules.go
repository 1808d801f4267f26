package rulebench

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/rule"
)

// Now is the time of the evaluations.
var Now = time.Date(2026, 1, 11, 12, 0, 0, 0, time.UTC)

// spec is a rule in both languages. Each type of item has ten that look at it.
type spec struct {
	name       string
	types      []string // nil: all
	applies    string
	compliant  string
	annotation string
	// rego are the bodies of which one must hold, with $name for parameters.
	rego []string
	// params are the parameters of a variant, from 0.
	params func(variant int) map[string]any
}

func csv(list ...string) []string { return list }

var specs = []spec{
	{"tag", nil, "", `params.key in resource.tags && (size(params.values) == 0 || resource.tags[params.key] in params.values)`, `'no tag ' + params.key + ' with a value that is allowed'`,
		[]string{`input.tags[$key] in $values`}, func(i int) map[string]any {
			key := []string{"env", "team", "backup", "cost-center"}[i%4]
			return map[string]any{"key": key, "values": csv("prod", "test", "payments", "search", "daily", "1001", "1002", "v"+strconv.Itoa(i))}
		}},
	{"region", nil, "", `resource.awsRegion in params.regions`, `'it is in ' + resource.awsRegion`,
		[]string{`input.awsRegion in $regions`}, func(i int) map[string]any {
			return map[string]any{"regions": csv("eu-west-1", "eu-central-1", "eu-north-"+strconv.Itoa(i))}
		}},
	{"owner", nil, "", `has(resource.tags.owner) && resource.tags.owner.endsWith(params.domain) && size(resource.tags.owner) > size(params.domain)`, "",
		[]string{`endswith(input.tags.owner, $domain); count(input.tags.owner) > count($domain)`}, func(i int) map[string]any {
			return map[string]any{"domain": []string{"@acme.example", "@acme.example", "@other.example"}[i%3]}
		}},
	{"account", nil, "", `resource.accountId in params.accounts && !(resource.resourceId in params.refused)`, "",
		[]string{`input.accountId in $accounts; not input.resourceId in $refused`}, func(i int) map[string]any {
			return map[string]any{"accounts": csv("111122223333", "444455556666"), "refused": csv("i-1", "vol-1", "r"+strconv.Itoa(i))}
		}},

	{"imdsv2", Types[:1], `resource.configuration.state.name != 'terminated'`, `resource.configuration.metadataOptions.httpTokens == 'required' || resource.configuration.metadataOptions.httpEndpoint == params.off`, `'httpTokens is ' + resource.configuration.metadataOptions.httpTokens`,
		[]string{`input.configuration.metadataOptions.httpTokens == "required"`, `input.configuration.metadataOptions.httpEndpoint == $off`}, func(i int) map[string]any {
			return map[string]any{"off": []string{"disabled", "none"}[i%2]}
		}},
	{"public-ip", Types[:1], "", `!has(resource.configuration.publicIpAddress) || resource.configuration.subnetId in params.subnets`, "",
		[]string{`not input.configuration.publicIpAddress`, `input.configuration.subnetId in $subnets`}, func(i int) map[string]any {
			return map[string]any{"subnets": csv("subnet-public"+strconv.Itoa(i), "subnet-public9")}
		}},
	{"image", Types[:1], "", `resource.configuration.imageId in params.images`, `'the image is ' + resource.configuration.imageId`,
		[]string{`input.configuration.imageId in $images`}, func(i int) map[string]any {
			return map[string]any{"images": csv("ami-0a1", "ami-0a2", "ami-0a3", "ami-0b"+strconv.Itoa(i))}
		}},
	{"instance-type", Types[:1], "", `resource.configuration.instanceType in params.sizes`, "",
		[]string{`input.configuration.instanceType in $sizes`}, func(i int) map[string]any {
			return map[string]any{"sizes": csv("t3.micro", "m6i.large", "m7i."+strconv.Itoa(i))}
		}},
	{"monitoring", Types[:1], "", `resource.configuration.monitoring.state == 'enabled' || resource.configuration.instanceType == params.small`, "",
		[]string{`input.configuration.monitoring.state == "enabled"`, `input.configuration.instanceType == $small`}, func(i int) map[string]any {
			return map[string]any{"small": []string{"t3.micro", "t3.nano"}[i%2]}
		}},
	{"devices", Types[:1], "", `resource.configuration.blockDeviceMappings.all(d, d.ebs.deleteOnTermination || d.deviceName == params.kept)`, "",
		[]string{`every d in input.configuration.blockDeviceMappings { any_true([d.ebs.deleteOnTermination, d.deviceName == $kept]) }`}, func(i int) map[string]any {
			return map[string]any{"kept": fmt.Sprintf("/dev/sd%c", 'd'+i)}
		}},

	{"encrypted", Types[1:2], "", `resource.configuration.encrypted && (params.key == '' || has(resource.configuration.kmsKeyId) && resource.configuration.kmsKeyId.endsWith(params.key))`, `resource.configuration.encrypted ? 'encrypted with another key' : 'not encrypted'`,
		[]string{`input.configuration.encrypted; endswith(input.configuration.kmsKeyId, $key)`}, func(i int) map[string]any {
			return map[string]any{"key": []string{"1234abcd", "ffff0000", ""}[i%3]}
		}},
	{"in-use", Types[1:2], "", `size(resource.configuration.attachments) > params.least`, "",
		[]string{`count(input.configuration.attachments) > $least`}, func(i int) map[string]any { return map[string]any{"least": int64(i % 2)} }},
	{"volume-type", Types[1:2], "", `resource.configuration.volumeType in params.kinds`, `'of type ' + resource.configuration.volumeType`,
		[]string{`input.configuration.volumeType in $kinds`}, func(i int) map[string]any {
			return map[string]any{"kinds": csv("gp3", "io2", "x"+strconv.Itoa(i))}
		}},
	{"volume-size", Types[1:2], "", `resource.configuration.size <= params.most`, `string(resource.configuration.size) + ' GiB'`,
		[]string{`input.configuration.size <= $most`}, func(i int) map[string]any { return map[string]any{"most": int64(100 + 100*i)} }},
	{"iops", Types[1:2], "", `resource.configuration.iops >= params.least || resource.configuration.volumeType == 'gp3'`, "",
		[]string{`input.configuration.iops >= $least`, `input.configuration.volumeType == "gp3"`}, func(i int) map[string]any { return map[string]any{"least": int64(500 * i)} }},
	{"delete-on-termination", Types[1:2], `size(resource.configuration.attachments) > 0`, `resource.configuration.attachments.all(a, a.deleteOnTermination || a.device == params.kept)`, "",
		[]string{`count(input.configuration.attachments) > 0; every a in input.configuration.attachments { any_true([a.deleteOnTermination, a.device == $kept]) }`}, func(i int) map[string]any {
			return map[string]any{"kept": fmt.Sprintf("/dev/sd%c", 'd'+i)}
		}},

	{"open-port", Types[2:3], "", `!resource.configuration.ipPermissions.exists(p, (p.ipProtocol == '-1' || p.ipProtocol == 'tcp' && p.fromPort <= params.port && params.port <= p.toPort) && p.ipv4Ranges.exists(r, r.cidrIp == '0.0.0.0/0'))`, `'port ' + string(params.port) + ' is open to everyone'`,
		[]string{`count([1 | some p in input.configuration.ipPermissions; p.fromPort <= $port; $port <= p.toPort; some r in p.ipv4Ranges; r.cidrIp == "0.0.0.0/0"]) == 0`}, func(i int) map[string]any {
			return map[string]any{"port": []int64{22, 3389, 3306, 5432, 80, 443, 8080, 21, 23, 25}[i]}
		}},
	{"authorized-ports", Types[2:3], "", `resource.configuration.ipPermissions.all(p, !p.ipv4Ranges.exists(r, r.cidrIp == '0.0.0.0/0') || string(p.fromPort) in params.ports)`, "",
		[]string{`every p in input.configuration.ipPermissions { any_true([count([1 | some r in p.ipv4Ranges; r.cidrIp == "0.0.0.0/0"]) == 0, format_int(p.fromPort, 10) in $ports]) }`}, func(i int) map[string]any {
			return map[string]any{"ports": csv("443", "80", strconv.Itoa(8000+i))}
		}},
	{"default-group", Types[2:3], "", `resource.configuration.groupName != params.name || size(resource.configuration.ipPermissions) == 0`, "",
		[]string{`input.configuration.groupName != $name`, `count(input.configuration.ipPermissions) == 0`}, func(i int) map[string]any {
			return map[string]any{"name": []string{"default", "launch-wizard"}[i%2]}
		}},
	{"described", Types[2:3], "", `resource.configuration.ipPermissions.all(p, p.fromPort == params.port || p.ipv4Ranges.all(r, has(r.description)))`, "",
		[]string{`every p in input.configuration.ipPermissions { any_true([p.fromPort == $port, count([1 | some r in p.ipv4Ranges; r.description]) == count(p.ipv4Ranges)]) }`}, func(i int) map[string]any {
			return map[string]any{"port": int64(440 + i)}
		}},
	{"egress", Types[2:3], "", `!resource.configuration.ipPermissionsEgress.exists(p, p.ipProtocol == params.protocol && p.ipv4Ranges.exists(r, r.cidrIp == '0.0.0.0/0'))`, "",
		[]string{`count([1 | some p in input.configuration.ipPermissionsEgress; p.ipProtocol == $protocol; some r in p.ipv4Ranges; r.cidrIp == "0.0.0.0/0"]) == 0`}, func(i int) map[string]any {
			return map[string]any{"protocol": []string{"-1", "tcp"}[i%2]}
		}},
	{"vpc", Types[2:3], "", `resource.configuration.vpcId in params.vpcs`, `'in ' + resource.configuration.vpcId`,
		[]string{`input.configuration.vpcId in $vpcs`}, func(i int) map[string]any {
			return map[string]any{"vpcs": csv("vpc-0123456789abcdef0", "vpc-"+strconv.Itoa(i))}
		}},

	{"public-access", Types[3:4], `!(resource.resourceId in params.excluded)`, `has(resource.supplementaryConfiguration.PublicAccessBlockConfiguration) &&
		resource.supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicAcls && resource.supplementaryConfiguration.PublicAccessBlockConfiguration.ignorePublicAcls &&
		resource.supplementaryConfiguration.PublicAccessBlockConfiguration.blockPublicPolicy && resource.supplementaryConfiguration.PublicAccessBlockConfiguration.restrictPublicBuckets`, "",
		[]string{`not input.resourceId in $excluded; b := input.supplementaryConfiguration.PublicAccessBlockConfiguration; b.blockPublicAcls; b.ignorePublicAcls; b.blockPublicPolicy; b.restrictPublicBuckets`}, func(i int) map[string]any {
			return map[string]any{"excluded": csv("site", "site-"+strconv.Itoa(i))}
		}},
	{"versioning", Types[3:4], "", `resource.supplementaryConfiguration.BucketVersioningConfiguration.status == params.status`, "",
		[]string{`input.supplementaryConfiguration.BucketVersioningConfiguration.status == $status`}, func(i int) map[string]any {
			return map[string]any{"status": []string{"Enabled", "Off"}[i%2]}
		}},
	{"logging", Types[3:4], "", `has(resource.supplementaryConfiguration.BucketLoggingConfiguration.destinationBucketName) && resource.supplementaryConfiguration.BucketLoggingConfiguration.destinationBucketName in params.targets`, `'logs to ' + resource.supplementaryConfiguration.BucketLoggingConfiguration.destinationBucketName`,
		[]string{`input.supplementaryConfiguration.BucketLoggingConfiguration.destinationBucketName in $targets`}, func(i int) map[string]any {
			return map[string]any{"targets": csv("acme-logs", "logs-"+strconv.Itoa(i))}
		}},
	{"sse", Types[3:4], "", `resource.supplementaryConfiguration.ServerSideEncryptionConfiguration.rules.exists(r, r.applyServerSideEncryptionByDefault.sseAlgorithm in params.algorithms)`, "",
		[]string{`some r in input.supplementaryConfiguration.ServerSideEncryptionConfiguration.rules; r.applyServerSideEncryptionByDefault.sseAlgorithm in $algorithms`}, func(i int) map[string]any {
			return map[string]any{"algorithms": csv("aws:kms", "aws:kms:"+strconv.Itoa(i))}
		}},
	{"lifecycle", Types[3:4], "", `resource.supplementaryConfiguration.BucketLifecycleConfiguration.rules.exists(r, r.status == 'Enabled' && r.expirationInDays <= params.days)`, "",
		[]string{`some r in input.supplementaryConfiguration.BucketLifecycleConfiguration.rules; r.status == "Enabled"; r.expirationInDays <= $days`}, func(i int) map[string]any {
			return map[string]any{"days": int64(10 * (i + 1))}
		}},
	{"named", Types[3:4], "", `resource.resourceName.startsWith(params.prefix)`, `'the name is ' + resource.resourceName`,
		[]string{`startswith(input.resourceName, $prefix)`}, func(i int) map[string]any {
			return map[string]any{"prefix": []string{"acme-", "acme-payments-", "legacy-"}[i%3]}
		}},

	{"managed-policies", Types[4:5], "", `!resource.configuration.attachedManagedPolicies.exists(p, p.policyArn in params.blocked)`, `'a policy is attached that is blocked'`,
		[]string{`count([1 | some p in input.configuration.attachedManagedPolicies; p.policyArn in $blocked]) == 0`}, func(i int) map[string]any {
			return map[string]any{"blocked": csv("arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::111122223333:policy/policy-"+strconv.Itoa(i))}
		}},
	{"inline-policies", Types[4:5], "", `size(resource.configuration.rolePolicyList) <= params.most`, "",
		[]string{`count(input.configuration.rolePolicyList) <= $most`}, func(i int) map[string]any { return map[string]any{"most": int64(i % 2)} }},
	{"path", Types[4:5], "", `resource.configuration.path.startsWith(params.prefix)`, `'the path is ' + resource.configuration.path`,
		[]string{`startswith(input.configuration.path, $prefix)`}, func(i int) map[string]any {
			return map[string]any{"prefix": []string{"/service/", "/"}[i%2]}
		}},
	{"boundary", Types[4:5], "", `has(resource.configuration.permissionsBoundary) && resource.configuration.permissionsBoundary.permissionsBoundaryArn.endsWith(params.name)`, "",
		[]string{`endswith(input.configuration.permissionsBoundary.permissionsBoundaryArn, $name)`}, func(i int) map[string]any {
			return map[string]any{"name": []string{"/boundary", "/other"}[i%2]}
		}},
	{"last-used", Types[4:5], "", `ageDays(resource.configuration.roleLastUsed.lastUsedDate) <= params.days`, `'not used for ' + string(ageDays(resource.configuration.roleLastUsed.lastUsedDate)) + ' days'`,
		[]string{`($now - time.parse_rfc3339_ns(input.configuration.roleLastUsed.lastUsedDate)) / 86400000000000 < $days + 1`}, func(i int) map[string]any {
			return map[string]any{"days": int64(90 * (i + 1))}
		}},
	{"session", Types[4:5], "", `resource.configuration.maxSessionDuration <= params.most`, "",
		[]string{`input.configuration.maxSessionDuration <= $most`}, func(i int) map[string]any { return map[string]any{"most": int64(3600 * (i + 3))} }},
}

// Rule is a rule as a benchmark has it.
type Rule struct {
	Name       string
	Types      []string
	Applies    string
	Compliant  string
	Annotation string
	Params     map[string]any
	rego       []string
}

// Rules are rules such that n look at each type: 10, or 100 of which each ten are
// one rule with other parameters, as the packs of an organisation have it.
func Rules(n int) []Rule {
	var list []Rule
	for i := range n / 10 {
		for _, s := range specs {
			types := s.types
			if types == nil {
				types = Types
			}
			list = append(list, Rule{Name: fmt.Sprintf("%s-%d", s.name, i), Types: types, Applies: s.applies, Compliant: s.compliant, Annotation: s.annotation, Params: s.params(i), rego: s.rego})
		}
	}
	return list
}

// Set puts rules in force.
func Set(rules []Rule) (*rule.Set, error) {
	var active []rule.Active
	for _, r := range rules {
		d, params, err := r.definition()
		if err != nil {
			return nil, err
		}
		bound, err := rule.Compile(d, params)
		if err != nil {
			return nil, err
		}
		active = append(active, rule.Active{Name: r.Name, Pack: "bench", Severity: d.Severity, Rule: bound})
	}
	return rule.NewSet(active)
}

// definition makes the rule's file and reads it.
func (r Rule) definition() (*rule.Definition, map[string]string, error) {
	file := map[string]any{
		"identifier": strings.ToUpper(strings.ReplaceAll(r.Name, "-", "_")), "name": r.Name, "title": "It is not as it should be: " + r.Name, "description": "A rule of the benchmarks.",
		"severity": knowngood.Medium, "trigger": rule.OnChange, "resourceTypes": r.Types, "applies": r.Applies, "compliant": r.Compliant, "annotation": r.Annotation,
	}
	texts := map[string]string{}
	var parameters []map[string]any
	for name, v := range r.Params {
		kind := rule.String
		texts[name] = fmt.Sprint(v)
		switch v := v.(type) {
		case int64:
			kind = rule.Int
		case []string:
			kind, texts[name] = rule.CSV, strings.Join(v, ",")
		}
		parameters = append(parameters, map[string]any{"name": name, "type": kind})
	}
	file["parameters"] = parameters
	raw, err := json.Marshal(file) // which YAML reads
	if err != nil {
		return nil, nil, err
	}
	d, err := rule.Parse(r.Name+".yaml", raw)
	return d, texts, err
}

// Rego is a policy whose set compliant has the names of the rules that an item
// complies with.
func Rego(rules []Rule) string {
	var b strings.Builder
	b.WriteString("package bench\n\nimport rego.v1\n\nany_true(list) if true in list\n")
	for _, r := range rules {
		for _, body := range r.rego {
			for name, v := range r.Params {
				text, _ := json.Marshal(v) // of a text, a number or texts
				body = strings.ReplaceAll(body, "$"+name, string(text))
			}
			body = strings.ReplaceAll(body, "$now", strconv.FormatInt(Now.UnixNano(), 10))
			for _, t := range r.Types {
				fmt.Fprintf(&b, "\ncompliant contains %q if {\n\tinput.resourceType == %q\n\t%s\n}\n", r.Name, t, strings.Join(slices.Collect(strings.SplitSeq(body, "; ")), "\n\t"))
			}
		}
	}
	return b.String()
}
