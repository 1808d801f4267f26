package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// inspectorState is what inspector2 has in one account and Region.
type inspectorState struct {
	Findings map[string]*vulnerability `json:"findings,omitempty"` // by ARN
}

func (s inspectorState) check() error {
	for arn, v := range s.Findings {
		if v == nil {
			return fmt.Errorf("sandbox: the snapshot's Inspector finding %s is empty", arn)
		}
	}
	return nil
}

type vulnerability struct {
	Vulnerability
	Found   time.Time `json:"found"`
	Seen    time.Time `json:"seen"`
	Updated time.Time `json:"updated"`
}

// Vulnerability is a package with a known weakness on an EC2 instance of the
// sandbox, as Inspector finds it.
type Vulnerability struct {
	Instance string  `json:"instance"` // id
	ID       string  `json:"id"`       // CVE-2026-1234
	Package  string  `json:"package"`
	Version  string  `json:"version"`
	Fixed    string  `json:"fixed,omitempty"`    // the version without it; "": there is none
	Severity string  `json:"severity,omitempty"` // default HIGH
	Score    float64 `json:"score,omitempty"`    // CVSS; default: the least of the severity
	Exploit  bool    `json:"exploit,omitempty"`  // one is known
	Closed   bool    `json:"closed,omitempty"`   // it was there, and is no longer
}

// vulnerabilityFloors are the least CVSS scores of the severities.
// Source: Amazon Inspector User Guide, "Severity levels for Amazon Inspector
// findings".
var vulnerabilityFloors = map[string]float64{"INFORMATIONAL": 0, "LOW": 0.1, "MEDIUM": 4, "HIGH": 7, "CRITICAL": 9, "UNTRIAGED": 0}

// AddVulnerability lets Inspector find a vulnerability on an instance of the
// sandbox's own account and Region, or changes one of the same instance, id and
// package. It gives the finding's ARN.
func (s *Sandbox) AddVulnerability(v Vulnerability) (string, error) {
	s.mu.Lock()
	defer func() {
		s.mu.Unlock()
		s.drain()
	}()
	c := s.own()
	defer s.settle(c.now)
	if _, i, err := c.liveInstance(v.Instance, c.now); err != nil || i.State == "terminated" {
		return "", fmt.Errorf("there is no instance %s", v.Instance)
	}
	if v.ID == "" || v.Package == "" || v.Version == "" {
		return "", fmt.Errorf("a vulnerability needs an id, a package and its version")
	}
	if v.Severity == "" {
		v.Severity = "HIGH"
	}
	floor, ok := vulnerabilityFloors[v.Severity]
	if !ok {
		return "", fmt.Errorf("%s is no severity; there are %s", v.Severity, strings.Join(sorted(vulnerabilityFloors), ", "))
	}
	if v.Score == 0 {
		v.Score = floor
	}
	state := &c.home().Inspector
	for arn, old := range state.Findings {
		if old.Instance == v.Instance && old.ID == v.ID && old.Package == v.Package {
			old.Vulnerability, old.Updated = v, c.now
			if !v.Closed {
				old.Seen = c.now
			}
			c.vulnerabilityEvent(arn, *old)
			return arn, nil
		}
	}
	arn := c.arnOf("inspector2", "finding/"+c.id("", 32))
	if state.Findings == nil {
		state.Findings = map[string]*vulnerability{}
	}
	f := &vulnerability{v, c.now, c.now, c.now}
	state.Findings[arn] = f
	c.vulnerabilityEvent(arn, *f)
	return arn, nil
}

// Source: Amazon Inspector User Guide, "Amazon EventBridge event schema for
// Amazon Inspector events".
func (c *call) vulnerabilityEvent(arn string, v vulnerability) {
	c.emit(c.now, "aws.inspector2", "Inspector2 Finding", []string{c.arnOf("ec2", "instance/"+v.Instance)}, lowerTimes(c.vulnerabilityOut(arn, v)).(object))
}

func (c *call) vulnerabilityOut(arn string, v vulnerability) object {
	status, updated := "ACTIVE", v.Updated
	r, i, there := table[instance](c.home().Instances).live(v.Instance, c.view)
	switch {
	case v.Closed:
		status = "CLOSED"
	case !there || i.State == "terminated": // and with it what was found on it
		status = "CLOSED"
		if r != nil {
			updated = r.Versions[r.index(c.view)-1].At
		}
	}
	fixable, exploit := "NO", "NO"
	pkg := object{"name": v.Package, "version": v.Version, "arch": "X86_64", "packageManager": "OS"}
	text := "There is no fixed version yet."
	if v.Fixed != "" {
		fixable, pkg["fixedInVersion"] = "YES", v.Fixed
		text = "Update " + v.Package + " to " + v.Fixed + "."
	}
	if v.Exploit {
		exploit = "YES"
	}
	details := object{"type": i.Type, "imageId": i.Image, "ipV4Addresses": anys(append(present(i.PrivateIP), present(i.PublicIP)...)), "ipV6Addresses": []any{}, "launchedAt": i.Launched, "platform": "AMAZON_LINUX_2023"}
	if i.VPC != "" {
		details["vpcId"], details["subnetId"] = i.VPC, i.Subnet
	}
	return object{"findingArn": arn, "awsAccountId": c.who.Account, "type": "PACKAGE_VULNERABILITY", "title": v.ID + " - " + v.Package, "description": v.ID + " is in " + v.Package + " " + v.Version + ".",
		"remediation": object{"recommendation": object{"text": text}}, "severity": v.Severity, "firstObservedAt": v.Found, "lastObservedAt": v.Seen, "updatedAt": updated, "status": status,
		"inspectorScore": v.Score, "fixAvailable": fixable, "exploitAvailable": exploit,
		"resources": []any{object{"type": "AWS_EC2_INSTANCE", "id": v.Instance, "partition": c.partition(), "region": c.region, "tags": textObject(i.Tags), "details": object{"awsEc2Instance": details}}},
		"packageVulnerabilityDetails": object{"vulnerabilityId": v.ID, "source": "NVD", "sourceUrl": "https://nvd.nist.gov/vuln/detail/" + v.ID, "vulnerablePackages": []any{pkg},
			"cvss": []any{object{"baseScore": v.Score, "scoringVector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "version": "3.1", "source": "NVD"}}, "relatedVulnerabilities": []any{}, "referenceUrls": []any{}}}
}

// vulnerabilityFields are where ListFindings' filters look.
var vulnerabilityFields = map[string]string{
	"findingArn": "findingArn", "awsAccountId": "awsAccountId", "findingType": "type", "severity": "severity", "firstObservedAt": "firstObservedAt", "lastObservedAt": "lastObservedAt",
	"updatedAt": "updatedAt", "findingStatus": "status", "title": "title", "inspectorScore": "inspectorScore", "resourceType": "resources.type", "resourceId": "resources.id",
	"resourceTags": "resources.tags", "ec2InstanceImageId": "resources.details.awsEc2Instance.imageId", "ec2InstanceVpcId": "resources.details.awsEc2Instance.vpcId",
	"ec2InstanceSubnetId": "resources.details.awsEc2Instance.subnetId", "vulnerabilityId": "packageVulnerabilityDetails.vulnerabilityId",
	"vulnerabilitySource": "packageVulnerabilityDetails.source", "fixAvailable": "fixAvailable", "exploitAvailable": "exploitAvailable",
	"vulnerablePackages": "packageVulnerabilityDetails.vulnerablePackages",
}

// coverageFields are where ListCoverage's filters look.
var coverageFields = map[string]string{
	"scanStatusCode": "scanStatus.statusCode", "scanStatusReason": "scanStatus.reason", "accountId": "accountId", "resourceId": "resourceId", "resourceType": "resourceType", "scanType": "scanType",
	"ec2InstanceTags": "resourceMetadata.ec2.tags", "lambdaFunctionName": "resourceMetadata.lambdaFunction.functionName", "lambdaFunctionTags": "resourceMetadata.lambdaFunction.functionTags",
	"lambdaFunctionRuntime": "resourceMetadata.lambdaFunction.runtime", "lastScannedAt": "lastScannedAt", "scanMode": "scanMode",
}

// inspected reads filterCriteria over fields: the conditions of each must hold.
func (c *call) inspected(fields map[string]string) (func(object) bool, error) {
	criteria := c.object("filterCriteria")
	for name := range criteria {
		if fields[name] == "" {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate the filter %s of Inspector.", name)
		}
	}
	return func(f object) bool {
		for name, list := range criteria {
			values := lookup(f, fields[name])
			wanted, found := false, false
			for _, o := range objects(list) {
				ok := slices.ContainsFunc(values, func(v any) bool { return inspectorMatch(v, o) })
				if o["comparison"] == "NOT_EQUALS" {
					if ok {
						return false
					}
					continue
				}
				wanted, found = true, found || ok
			}
			if wanted && !found {
				return false
			}
		}
		return true
	}, nil
}

// inspectorMatch says whether a value is what one filter names. For NOT_EQUALS
// that is the value that is not wanted.
func inspectorMatch(v any, o object) bool {
	if m, ok := v.(object); ok {
		if key := textOf(o["key"]); key != "" {
			tag, has := m[key]
			return has && (o["value"] == nil || tag == o["value"])
		}
		for name, filter := range o { // of a package: all that is named
			f, _ := filter.(object)
			if _, has := m[name]; !has || !inspectorMatch(m[name], f) {
				return false
			}
		}
		return true
	}
	if t, ok := v.(time.Time); ok {
		from, _ := o["startInclusive"].(time.Time)
		to, given := o["endInclusive"].(time.Time)
		return !t.Before(from) && (!given || !t.After(to))
	}
	if n, ok := asNumber(v); ok {
		low, hasLow := asNumber(o["lowerInclusive"])
		high, hasHigh := asNumber(o["upperInclusive"])
		return (!hasLow || n >= low) && (!hasHigh || n <= high)
	}
	want := textOf(o["value"])
	if o["comparison"] == "PREFIX" {
		return strings.HasPrefix(textOf(v), want)
	}
	return textOf(v) == want
}

// inspectorPage cuts a list by maxResults and nextToken.
func (c *call) inspectorPage(key string, list []any, most int64) (map[string]any, error) {
	limit, ok := c.int("maxResults")
	if !ok {
		limit = most
	}
	if limit < 1 || limit > most {
		return nil, invalid("maxResults must be from 1 to %d", most)
	}
	page, next, ok := slicePage(list, c.str("nextToken"), limit)
	if !ok {
		return nil, invalid("nextToken is not valid")
	}
	out := object{key: page}
	if next != "" {
		out["nextToken"] = next
	}
	return out, nil
}

// inspectorOrder are by what findings are sorted.
var inspectorOrder = map[string]string{"AWS_ACCOUNT_ID": "awsAccountId", "FINDING_TYPE": "type", "FIRST_OBSERVED_AT": "firstObservedAt", "LAST_OBSERVED_AT": "lastObservedAt", "FINDING_STATUS": "status",
	"RESOURCE_TYPE": "resources.type", "VULNERABILITY_ID": "packageVulnerabilityDetails.vulnerabilityId", "VULNERABILITY_SOURCE": "packageVulnerabilityDetails.source",
	"INSPECTOR_SCORE": "inspectorScore", "VENDOR_SEVERITY": "packageVulnerabilityDetails.vendorSeverity", "SEVERITY": "severity"}

func listVulnerabilities(c *call) (map[string]any, error) {
	pass, err := c.inspected(vulnerabilityFields)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, arn := range sorted(c.home().Inspector.Findings) {
		v := c.home().Inspector.Findings[arn]
		if out := c.vulnerabilityOut(arn, *v); !v.Found.After(c.view) && pass(out) {
			list = append(list, out)
		}
	}
	if by := c.object("sortCriteria"); by != nil {
		path := inspectorOrder[textOf(by["field"])]
		if path == "" {
			return nil, failure(501, "NotImplemented", "The sandbox does not sort findings of Inspector by %s.", textOf(by["field"]))
		}
		rank := func(v any) (float64, string) {
			x := lookupOne(v, path)
			if path == "severity" {
				return float64(slices.Index([]string{"UNTRIAGED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL"}, textOf(x))), ""
			}
			if t, ok := x.(time.Time); ok {
				return float64(t.UnixMilli()), ""
			}
			n, _ := asNumber(x)
			return n, textOf(x)
		}
		slices.SortStableFunc(list, func(a, b any) int {
			x, s := rank(a)
			y, t := rank(b)
			n := cmp.Or(cmp.Compare(x, y), strings.Compare(s, t))
			if by["sortOrder"] == "DESC" {
				return -n
			}
			return n
		})
	}
	return c.inspectorPage("findings", list, 100)
}

// listCoverage tells of every instance and function; those that run are scanned.
func listCoverage(c *call) (map[string]any, error) {
	pass, err := c.inspected(coverageFields)
	if err != nil {
		return nil, err
	}
	list := []any{}
	add := func(o object) {
		if pass(o) {
			list = append(list, o)
		}
	}
	for id, i := range table[instance](c.home().Instances).all(c.view) {
		if i.State == "terminated" {
			continue
		}
		status := object{"statusCode": "ACTIVE", "reason": "SUCCESSFUL"}
		switch i.State {
		case "pending":
			status = object{"statusCode": "ACTIVE", "reason": "PENDING_INITIAL_SCAN"}
		case "stopping", "stopped", "shutting-down":
			status = object{"statusCode": "INACTIVE", "reason": "EC2_INSTANCE_STOPPED"}
		}
		o := object{"resourceType": "AWS_EC2_INSTANCE", "resourceId": id, "accountId": c.who.Account, "scanType": "PACKAGE", "scanStatus": status, "scanMode": "EC2_SSM_AGENT_BASED",
			"resourceMetadata": object{"ec2": object{"tags": textObject(i.Tags), "amiId": i.Image, "platform": "LINUX"}}}
		if status["reason"] == "SUCCESSFUL" {
			o["lastScannedAt"] = i.Launched.Add(c.view.Sub(i.Launched).Truncate(24 * time.Hour)) // once a day
		}
		add(o)
	}
	for name, f := range c.home().Lambda.Functions.all(c.view) {
		runtime := strings.ToUpper(strings.NewReplacer(".", "_").Replace(f.Runtime))
		if k := strings.IndexAny(runtime, "0123456789"); k > 0 && !strings.HasSuffix(runtime[:k], "_") {
			runtime = runtime[:k] + "_" + runtime[k:]
		}
		if enum := c.operation.Output.Member("coveredResources").Shape.Elem.Shape.Member("resourceMetadata").Shape.Member("lambdaFunction").Shape.Member("runtime").Shape.Enum; !slices.Contains(enum, runtime) {
			runtime = "UNSUPPORTED"
		}
		add(object{"resourceType": "AWS_LAMBDA_FUNCTION", "resourceId": c.functionARN(name), "accountId": c.who.Account, "scanType": "PACKAGE", "scanStatus": object{"statusCode": "ACTIVE", "reason": "SUCCESSFUL"},
			"lastScannedAt": f.Modified, "resourceMetadata": object{"lambdaFunction": object{"functionName": name, "runtime": runtime, "functionTags": textObject(f.Tags), "layers": anys(f.Layers)}}})
	}
	return c.inspectorPage("coveredResources", list, 200)
}

var inspectorHandlers = map[string]handler{
	"ListCoverage": {"inspector2:ListCoverage", listCoverage},
	"ListFindings": {"inspector2:ListFindings", listVulnerabilities},
}
