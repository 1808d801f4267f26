package sandbox

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"time"
)

// threatFinding is a finding of GuardDuty.
type threatFinding struct {
	Detector  string    `json:"detector"`
	Finding   structure `json:"finding"` // as GetFindings has it
	Created   time.Time `json:"created"`
	Published time.Time `json:"published"`         // when its latest event comes about
	Event     string    `json:"event,omitempty"`   // the id of that event
	Subject   string    `json:"subject,omitempty"` // the resource, by the id that it goes by
}

// threatType is one of GuardDuty's finding types.
type threatType struct {
	severity float64
	resource string // resource type, as findings have it
}

//go:embed guardduty_types.tsv
var threatTable string

// threatTypes are all documented types, by name. A type whose severity varies
// has its default.
var threatTypes = readThreatTypes(threatTable)

func readThreatTypes(table string) map[string]threatType {
	levels := map[string]float64{"Low": 2, "Medium": 5, "High": 8, "Critical": 9}
	out := map[string]threatType{}
	for line := range strings.SplitSeq(table, "\n") {
		if f := strings.Split(line, "\t"); len(f) == 3 {
			out[f[0]] = threatType{levels[strings.TrimSuffix(f[1], "*")], f[2]}
		}
	}
	return out
}

// Threat is a finding of GuardDuty that is to be there, on a resource of the
// sandbox: an EC2 instance's id, a bucket's or Lambda function's name, an access
// key's id or the name of an IAM role.
type Threat struct {
	Type     string  `json:"type"`
	Resource string  `json:"resource"`
	Severity float64 `json:"severity,omitempty"` // default: the type's own
}

// AddThreat lets GuardDuty find something, in the sandbox's own account and
// Region, where a detector must be on. What it found before and nobody archived
// counts once more. It gives the finding's id.
func (s *Sandbox) AddThreat(t Threat) (string, error) {
	s.mu.Lock()
	c := s.own()
	id, err := c.addThreat(t)
	s.settle(c.now)
	s.mu.Unlock()
	s.drain()
	return id, err
}

func (c *call) addThreat(t Threat) (string, error) {
	kind, ok := threatTypes[t.Type]
	if !ok {
		return "", fmt.Errorf("GuardDuty has no finding type %q", t.Type)
	}
	if t.Severity == 0 {
		t.Severity = kind.severity
	}
	for id, d := range c.home().GuardDuty.Detectors.all(c.now) {
		if !d.Enabled {
			return "", fmt.Errorf("the detector %s is suspended", id)
		}
		details, err := c.threatened(kind.resource, t.Resource)
		if err != nil {
			return "", err
		}
		return c.found(id, d, t, kind, details, false), nil
	}
	return "", fmt.Errorf("no GuardDuty detector is on in %s", c.region)
}

// found adds a finding, or an occurrence to one that is there.
func (c *call) found(detectorID string, d detector, t Threat, kind threatType, details object, isSample bool) string {
	state := &c.home().GuardDuty
	for _, id := range sorted(state.Findings) {
		f := state.Findings[id]
		if f.Detector == detectorID && f.Finding["Type"] == t.Type && f.Subject == t.Resource && lookup(f.Finding, "Service.Archived")[0] != true {
			n, _ := asNumber(lookup(f.Finding, "Service.Count")[0])
			set(f.Finding, "Service.Count", int64(n)+1)
			set(f.Finding, "Service.EventLastSeen", stamp(c.now))
			f.Finding["UpdatedAt"] = stamp(c.now)
			c.publishThreat(f, d)
			c.toHub(f)
			return id
		}
	}
	id := c.id("", 32)
	details["ResourceType"] = kind.resource
	finding := object{"AccountId": c.who.Account, "Id": id, "Arn": "arn:aws:guardduty:" + c.region + ":" + c.who.Account + ":detector/" + detectorID + "/finding/" + id, "Partition": "aws", "Region": c.region,
		"SchemaVersion": "2.0", "Type": t.Type, "Severity": t.Severity, "CreatedAt": stamp(c.now), "UpdatedAt": stamp(c.now), "Resource": details,
		"Title": fmt.Sprintf("%s was found for %s.", t.Type, t.Resource), "Description": fmt.Sprintf("%s was found for the %s %s.", t.Type, kind.resource, t.Resource),
		"Service": object{"ServiceName": "guardduty", "DetectorId": detectorID, "Archived": false, "Count": int64(1), "EventFirstSeen": stamp(c.now), "EventLastSeen": stamp(c.now),
			"ResourceRole": "TARGET", "Action": threatAction(t.Type, kind), "AdditionalInfo": object{"Type": "default", "Value": "{}"}}}
	if isSample {
		for _, member := range []string{"Title", "Description"} {
			finding[member] = "[SAMPLE] " + finding[member].(string)
		}
		set(finding, "Service.AdditionalInfo.Value", `{"sample":true}`)
	}
	if strings.HasPrefix(t.Type, "Execution:") && strings.Contains(t.Type, "File") && kind.resource == "Instance" {
		set(finding, "Service.FeatureName", "EbsVolumeScan")
	}
	f := &threatFinding{Detector: detectorID, Finding: finding, Created: c.now, Subject: t.Resource}
	if state.Findings == nil {
		state.Findings = map[string]*threatFinding{}
	}
	state.Findings[id] = f
	c.publishThreat(f, d)
	c.toHub(f)
	return id
}

// publishThreat sends a finding's event: the first one at once, later ones as
// often as the detector says, with what is known by then.
// Source: Amazon GuardDuty User Guide, "Processing GuardDuty findings with
// Amazon EventBridge".
func (c *call) publishThreat(f *threatFinding, d detector) {
	at := c.now
	switch {
	case f.Published.After(c.now): // one waits; it tells of this too
		c.state.Due = slices.DeleteFunc(c.state.Due, func(d due) bool { return d.Event != nil && d.Event.ID == f.Event })
		at = f.Published
	case !f.Published.IsZero() && f.Published.Add(frequencies[d.Frequency]).After(c.now):
		at = f.Published.Add(frequencies[d.Frequency])
	}
	detail := c.wired(f.Finding)
	f.Published = at
	f.Event = c.send(defaultBus, at, envelope{Source: "aws.guardduty", DetailType: "GuardDuty Finding", Detail: []byte(jsonText(detail))})
}

// wired gives a finding as it is on the wire.
func (c *call) wired(finding object) object {
	op, err := c.catalog.Operation("guardduty", "GetFindings")
	if err != nil {
		return finding
	}
	return wire(op.Output.Member("Findings").Shape.Elem.Shape, finding).(object)
}

// threatAction is what GuardDuty saw, in the form that a type's findings have.
func threatAction(name string, kind threatType) object {
	remote := object{"IpAddressV4": "198.51.100.0", "City": object{"CityName": "GeneratedFindingCityName"}, "Country": object{"CountryName": "GeneratedFindingCountryName"},
		"GeoLocation": object{"Lat": 0.0, "Lon": 0.0}, "Organization": object{"Asn": "-1", "AsnOrg": "GeneratedFindingASNOrg", "Isp": "GeneratedFindingISP", "Org": "GeneratedFindingORG"}}
	_, rest, _ := strings.Cut(name, ":")
	domain, _, _ := strings.Cut(rest, "/")
	switch {
	case domain == "Runtime" || strings.Contains(name, "MaliciousFile") || strings.Contains(name, "SuspiciousFile") || kind.resource == "AttackSequence":
		return object{}
	case strings.HasSuffix(name, "!DNS") || strings.Contains(name, "DomainRequest"):
		return object{"ActionType": "DNS_REQUEST", "DnsRequestAction": object{"Domain": "generatedfinding.example.com", "Protocol": "UDP", "Blocked": false}}
	case strings.Contains(name, "PortProbe"):
		return object{"ActionType": "PORT_PROBE", "PortProbeAction": object{"Blocked": false, "PortProbeDetails": []any{object{"LocalPortDetails": object{"Port": int64(80), "PortName": "HTTP"}, "RemoteIpDetails": remote}}}}
	case kind.resource == "AccessKey" || kind.resource == "S3Bucket":
		return object{"ActionType": "AWS_API_CALL", "AwsApiCallAction": object{"Api": "GeneratedFindingAPIName", "CallerType": "Remote IP", "ServiceName": "GeneratedFindingAPIServiceName", "RemoteIpDetails": remote, "AffectedResources": object{}}}
	case kind.resource == "EKSCluster":
		return object{"ActionType": "KUBERNETES_API_CALL", "KubernetesApiCallAction": object{"RequestUri": "GeneratedFindingRequestURI", "Verb": "create", "SourceIps": []any{"198.51.100.0"}, "RemoteIpDetails": remote, "StatusCode": int64(200)}}
	case kind.resource == "RDSDBInstance":
		return object{"ActionType": "RDS_LOGIN_ATTEMPT", "RdsLoginAttemptAction": object{"RemoteIpDetails": remote, "LoginAttributes": []any{object{"User": "GeneratedFindingUserName", "Application": "GeneratedFindingApplicationName", "FailedLoginAttempts": int64(1), "SuccessfulLoginAttempts": int64(0)}}}}
	}
	return object{"ActionType": "NETWORK_CONNECTION", "NetworkConnectionAction": object{"Blocked": false, "ConnectionDirection": "OUTBOUND", "Protocol": "TCP", "LocalPortDetails": object{"Port": int64(39677), "PortName": "Unknown"},
		"RemotePortDetails": object{"Port": int64(80), "PortName": "HTTP"}, "LocalIpDetails": object{"IpAddressV4": "10.0.0.23"}, "RemoteIpDetails": remote}}
}

// threatened tells of a resource of the sandbox as findings do.
func (c *call) threatened(kind, id string) (object, error) {
	switch kind {
	case "Instance":
		if _, i, err := c.liveInstance(id, c.now); err == nil {
			return object{"InstanceDetails": instanceDetails(c.instanceOut(id, i, c.now, nil))}, nil
		}
	case "S3Bucket":
		if r, ok := c.state.Buckets[id]; ok {
			if b, ok := r.as(c.now); ok && !b.Deleted {
				return object{"S3BucketDetails": []any{object{"Arn": "arn:aws:s3:::" + id, "Name": id, "Type": "Destination", "CreatedAt": b.Created, "Owner": object{"Id": b.Owner}, "Tags": b.Tags.list()}}}, nil
			}
		}
	case "AccessKey":
		if key, ok := c.state.Keys[id]; ok {
			name, userType := last(key.ARN), "IAMUser"
			if key.Role != "" {
				name, userType = last(key.Role), "AssumedRole"
			}
			return object{"AccessKeyDetails": object{"AccessKeyId": id, "PrincipalId": key.UserID, "UserName": name, "UserType": userType}}, nil
		}
		if r, ok := c.accountState().Roles[id]; ok {
			if v, ok := r.as(c.now); ok {
				return object{"AccessKeyDetails": object{"PrincipalId": v.ID, "UserName": id, "UserType": "Role"}}, nil
			}
		}
	case "Lambda":
		if _, f, ok := c.home().Lambda.Functions.live(id, c.now); ok {
			return object{"LambdaDetails": object{"FunctionName": id, "FunctionArn": c.functionARN(id), "Role": f.Role, "FunctionVersion": "$LATEST", "LastModifiedAt": f.Modified}}, nil
		}
	default:
		return nil, fmt.Errorf("the sandbox can't add a finding of a %s; CreateSampleFindings can", kind)
	}
	return nil, fmt.Errorf("there is no %s %s to find something for", kind, id)
}

// instanceDetails are those of an instance as EC2 describes it.
func instanceDetails(out object) object {
	interfaces := []any{}
	for _, nic := range objects(out["NetworkInterfaces"]) {
		groups := []any{}
		for _, g := range objects(nic["Groups"]) {
			groups = append(groups, object{"GroupId": g["GroupId"], "GroupName": g["GroupName"]})
		}
		one := object{"NetworkInterfaceId": nic["NetworkInterfaceId"], "PrivateIpAddress": nic["PrivateIpAddress"], "SecurityGroups": groups, "Ipv6Addresses": []any{}, "PrivateIpAddresses": []any{object{"PrivateIpAddress": nic["PrivateIpAddress"]}}}
		for _, member := range []string{"SubnetId", "VpcId"} {
			if v, ok := nic[member]; ok {
				one[member] = v
			}
		}
		if ip := lookupText(nic, "Association.PublicIp"); ip != "" {
			one["PublicIp"] = ip
		}
		interfaces = append(interfaces, one)
	}
	tags, _ := out["Tags"].([]any)
	launched, _ := out["LaunchTime"].(time.Time)
	return object{"InstanceId": out["InstanceId"], "InstanceType": out["InstanceType"], "ImageId": out["ImageId"], "InstanceState": lookupText(out, "State.Name"), "LaunchTime": stamp(launched),
		"AvailabilityZone": lookupText(out, "Placement.AvailabilityZone"), "NetworkInterfaces": interfaces, "Tags": append([]any{}, tags...)}
}

// sampleDetails are what sample findings name: resources of nobody.
var sampleDetails = map[string]object{
	"Instance": {"InstanceDetails": object{"InstanceId": "i-99999999", "InstanceType": "m3.xlarge", "ImageId": "ami-99999999", "InstanceState": "running", "AvailabilityZone": "GeneratedFindingInstanceAvailabilityZone",
		"LaunchTime": "2016-08-02T02:05:06.000Z", "Tags": []any{object{"Key": "GeneratedFindingInstaceTag1", "Value": "GeneratedFindingInstaceValue1"}}, "NetworkInterfaces": []any{object{"NetworkInterfaceId": "eni-bfcffe88",
			"PrivateIpAddress": "10.0.0.1", "PublicIp": "198.51.100.0", "SubnetId": "GeneratedFindingSubnetId", "VpcId": "GeneratedFindingVPCId", "SecurityGroups": []any{object{"GroupId": "GeneratedFindingSecurityId", "GroupName": "GeneratedFindingSecurityGroupName"}}}}}},
	"AccessKey":        {"AccessKeyDetails": object{"AccessKeyId": "GeneratedFindingAccessKeyId", "PrincipalId": "GeneratedFindingPrincipalId", "UserName": "GeneratedFindingUserName", "UserType": "IAMUser"}},
	"S3Bucket":         {"S3BucketDetails": []any{object{"Arn": "arn:aws:s3:::bucketName", "Name": "bucketName", "Type": "Destination"}}},
	"S3Object":         {"S3BucketDetails": []any{object{"Arn": "arn:aws:s3:::bucketName", "Name": "bucketName", "Type": "Destination", "S3ObjectDetails": []any{object{"ObjectArn": "arn:aws:s3:::bucketName/key", "Key": "key"}}}}},
	"Lambda":           {"LambdaDetails": object{"FunctionName": "GeneratedFindingFunctionName", "FunctionVersion": "GeneratedFindingFunctionVersion", "FunctionArn": "GeneratedFindingFunctionArn"}},
	"RDSDBInstance":    {"RdsDbInstanceDetails": object{"DbInstanceIdentifier": "GeneratedFindingDBInstanceId", "Engine": "GeneratedFindingEngine", "DbInstanceArn": "GeneratedFindingDBInstanceARN"}},
	"EKSCluster":       {"EksClusterDetails": object{"Name": "GeneratedFindingEKSClusterName", "Arn": "GeneratedFindingEKSClusterArn", "Status": "ACTIVE"}, "KubernetesDetails": object{"KubernetesUserDetails": object{"Username": "GeneratedFindingUserName", "Uid": "GeneratedFindingUID"}}},
	"ECSCluster":       {"EcsClusterDetails": object{"Name": "GeneratedFindingECSClusterName", "Arn": "GeneratedFindingECSClusterArn", "Status": "ACTIVE"}},
	"Container":        {"ContainerDetails": object{"Id": "GeneratedFindingContainerId", "Name": "GeneratedFindingContainerName", "Image": "GeneratedFindingContainerImage"}},
	"EBSSnapshot":      {"EbsSnapshotDetails": object{"SnapshotArn": "GeneratedFindingSnapshotArn"}},
	"EC2Image":         {"Ec2ImageDetails": object{"ImageArn": "GeneratedFindingImageArn"}},
	"EBSRecoveryPoint": {"RecoveryPointDetails": object{"RecoveryPointArn": "GeneratedFindingRecoveryPointArn", "BackupVaultName": "GeneratedFindingBackupVaultName"}},
	"S3RecoveryPoint":  {"RecoveryPointDetails": object{"RecoveryPointArn": "GeneratedFindingRecoveryPointArn", "BackupVaultName": "GeneratedFindingBackupVaultName"}},
	"AttackSequence":   {},
}

// createSamples makes a sample of each type that is named, or of all.
func createSamples(c *call) (map[string]any, error) {
	_, d, err := c.detector(c.now)
	if err != nil {
		return nil, err
	}
	types := c.strings("FindingTypes")
	if len(types) > 50 {
		return nil, guarddutyBad("the parameter findingTypes has more than 50 members.")
	}
	for _, t := range types {
		if _, ok := threatTypes[t]; !ok {
			return nil, guarddutyBad("an invalid or out-of-range value is specified as an input parameter.")
		}
	}
	if len(types) == 0 {
		types = sorted(threatTypes)
	}
	for _, t := range types {
		kind := threatTypes[t]
		c.found(c.str("DetectorId"), d, Threat{Type: t, Resource: "GeneratedFinding" + kind.resource, Severity: kind.severity}, kind, copied(sampleDetails[kind.resource]).(object), true)
	}
	return object{}, nil
}
