package sandbox

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a credential report takes, and how long it is good for. Source of the
// latter: IAM User Guide, "Generate credential reports for your AWS account".
const (
	reportTime = 10 * time.Second
	reportLife = 4 * time.Hour
)

// credentialReport is a report as of when it was asked for.
type credentialReport struct {
	Started time.Time `json:"started"`
	Text    string    `json:"text"`
}

func generateReport(c *call) (map[string]any, error) {
	a := c.accountState()
	if r := a.Report; r != nil && c.now.Sub(r.Started) < reportLife {
		if c.now.Sub(r.Started) < reportTime {
			return object{"State": "INPROGRESS"}, nil
		}
		return object{"State": "COMPLETE"}, nil
	}
	text, err := c.credentialReport()
	if err != nil {
		return nil, failure(500, "ServiceFailure", "%v", err)
	}
	a.Report = &credentialReport{c.now, text}
	return object{"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}, nil
}

func getReport(c *call) (map[string]any, error) {
	r := c.accountState().Report
	switch {
	case r == nil:
		return nil, failure(410, "ReportNotPresent", "No report for this account present in AWS. Consider using GenerateCredentialReport to create a new report")
	case c.now.Sub(r.Started) < reportTime:
		return nil, failure(404, "ReportInProgress", "Report is still being generated")
	case c.now.Sub(r.Started) >= reportLife:
		return nil, failure(410, "ReportExpired", "Report is expired. Consider using GenerateCredentialReport to create a new report")
	}
	return object{"Content": []byte(r.Text), "ReportFormat": "text/csv", "GeneratedTime": r.Started.Add(reportTime)}, nil
}

// Source of the columns and of what stands in them: IAM User Guide, "Understand
// the report format".
var reportColumns = []string{"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"}

func (c *call) credentialReport() (string, error) {
	a := c.accountState()
	root := []string{"<root_account>", c.globalARN("iam", "root"), reportDate(a.Created), "not_supported", "no_information", "not_supported", "not_supported", "false"}
	rows := [][]string{reportColumns, append(root, c.keyColumns(a.RootKeys)...)}
	_, policy, _ := a.Password.live(onlyPolicy, c.now)
	for name, u := range a.Users.all(c.now) {
		row := []string{name, c.userARN(name, u), reportDate(u.Created), strconv.FormatBool(u.Login != nil)}
		next := "N/A"
		if u.Login != nil && policy.MaxAge > 0 {
			next = reportDate(u.Login.Changed.Add(time.Duration(policy.MaxAge) * 24 * time.Hour))
		}
		if u.Login != nil {
			row = append(row, "no_information", reportDate(u.Login.Changed), next)
		} else {
			row = append(row, "N/A", "N/A", next)
		}
		rows = append(rows, append(append(row, strconv.FormatBool(len(u.Devices) > 0)), c.keyColumns(u.Keys)...))
	}
	var out strings.Builder
	w := csv.NewWriter(&out)
	err := w.WriteAll(rows)
	return strings.TrimSuffix(out.String(), "\n"), err
}

func reportDate(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

// keyColumns are those of two access keys and two certificates.
func (c *call) keyColumns(keys []userKey) []string {
	var out []string
	for i := range maxKeys {
		if i >= len(keys) {
			out = append(out, "false", "N/A", "N/A", "N/A", "N/A")
			continue
		}
		k := c.state.Keys[keys[i].ID]
		out = append(out, strconv.FormatBool(!keys[i].Inactive), reportDate(keys[i].Created))
		if k.Used.IsZero() {
			out = append(out, "N/A", "N/A", "N/A")
		} else {
			out = append(out, reportDate(k.Used), k.UsedRegion, k.UsedService)
		}
	}
	return append(out, "false", "N/A", "false", "N/A")
}

// accountSummary counts what an account has, with its quotas. Source: IAM API
// Reference, "GetAccountSummary".
func accountSummary(c *call) (map[string]any, error) {
	a := c.accountState()
	m := object{"AccountMFAEnabled": int64(0), "AccountAccessKeysPresent": int64(min(len(a.RootKeys), 1)), "AccountPasswordPresent": int64(1), "AccountSigningCertificatesPresent": int64(0),
		"AccessKeysPerUserQuota": int64(maxKeys), "AssumeRolePolicySizeQuota": int64(2048), "AttachedPoliciesPerGroupQuota": int64(maxAttached),
		"AttachedPoliciesPerRoleQuota": int64(maxAttached), "AttachedPoliciesPerUserQuota": int64(maxAttached), "GlobalEndpointTokenVersion": int64(1),
		"GroupPolicySizeQuota": int64(groupHolder.maxSize), "GroupsPerUserQuota": int64(maxGroups), "GroupsQuota": int64(300), "InstanceProfilesQuota": int64(1000),
		"PoliciesQuota": int64(1500), "PolicySizeQuota": int64(maxManagedSize), "PolicyVersionsInUseQuota": int64(10000), "Providers": int64(0),
		"RolePolicySizeQuota": int64(roleHolder.maxSize), "RolesQuota": int64(1000), "ServerCertificates": int64(0), "ServerCertificatesQuota": int64(20),
		"SigningCertificatesPerUserQuota": int64(2), "UserPolicySizeQuota": int64(userHolder.maxSize), "UsersQuota": int64(5000), "VersionsPerPolicyQuota": int64(maxVersions)}
	var users, groups, roles, profiles, policies, versions, devices, on int64
	for range a.Users.all(c.view) {
		users++
	}
	for range a.UserGroups.all(c.view) {
		groups++
	}
	for range a.Roles.all(c.view) {
		roles++
	}
	for range a.Profiles.all(c.view) {
		profiles++
	}
	for _, p := range a.Policies.all(c.view) {
		policies++
		versions += int64(len(p.Versions))
	}
	for _, d := range a.Devices.all(c.view) {
		devices++
		if d.User != "" {
			on++
		}
	}
	for name, n := range map[string]int64{"Users": users, "Groups": groups, "Roles": roles, "InstanceProfiles": profiles, "Policies": policies,
		"PolicyVersionsInUse": versions, "MFADevices": devices, "MFADevicesInUse": on} {
		m[name] = n
	}
	return object{"SummaryMap": m}, nil
}

// authorizationDetails answers with all of an account's identities at once.
// Pages go over all lists as one.
func authorizationDetails(c *call) (map[string]any, error) {
	a := c.accountState()
	filter := c.strings("Filter")
	wanted := func(kind string) bool { return len(filter) == 0 || slices.Contains(filter, kind) }
	type item struct {
		list string
		of   object
	}
	var all []any
	if wanted("User") {
		for name, u := range a.Users.all(c.view) {
			o := withTags(c.userOut(name, u), u.Tags)
			o["UserPolicyList"], o["GroupList"], o["AttachedManagedPolicies"] = u.inlineOut(), anys(u.Groups), u.attachedOut("")
			all = append(all, item{"UserDetailList", withBoundary(o, u.policySet)})
		}
	}
	if wanted("Group") {
		for name, g := range a.UserGroups.all(c.view) {
			o := c.groupOut(name, g)
			o["GroupPolicyList"], o["AttachedManagedPolicies"] = g.inlineOut(), g.attachedOut("")
			all = append(all, item{"GroupDetailList", o})
		}
	}
	if wanted("Role") {
		for name, r := range a.Roles.all(c.view) {
			all = append(all, item{"RoleDetailList", c.roleDetail(name, r)})
		}
	}
	if wanted("LocalManagedPolicy") {
		for name, p := range a.Policies.all(c.view) {
			all = append(all, item{"Policies", c.managedDetail(name, c.managedARN(name, p), p)})
		}
	}
	if wanted("AWSManagedPolicy") {
		for _, name := range sorted(awsPolicies) {
			arn := "arn:" + c.partition() + ":iam::aws:policy/" + name
			if attached, boundaries := c.attachments(arn, c.view); attached+boundaries > 0 { // AWS answers with those in use
				all = append(all, item{"Policies", c.managedDetail(last(name), arn, c.awsManaged(name))})
			}
		}
	}
	out, err := c.iamPage("", all)
	if err != nil {
		return nil, err
	}
	page, _ := out[""].([]any)
	delete(out, "")
	for _, list := range []string{"UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"} {
		items := []any{}
		for _, e := range page {
			if i, ok := e.(item); ok && i.list == list {
				items = append(items, i.of)
			}
		}
		out[list] = items
	}
	return out, nil
}

func (p policySet) inlineOut() []any {
	out := []any{}
	for _, name := range sorted(p.Inline) {
		out = append(out, object{"PolicyName": name, "PolicyDocument": percentEncoded(p.Inline[name])})
	}
	return out
}

func (c *call) roleDetail(name string, r role) object {
	out := c.roleOut(name, r)
	delete(out, "MaxSessionDuration") // which this operation leaves out
	delete(out, "Description")
	profiles := []any{}
	for profile, p := range c.accountState().Profiles.all(c.view) {
		if p.Role == name {
			profiles = append(profiles, c.profileOut(profile, p))
		}
	}
	out["RolePolicyList"], out["AttachedManagedPolicies"], out["InstanceProfileList"] = r.inlineOut(), r.attachedOut(""), profiles
	out["Tags"], out["RoleLastUsed"] = r.Tags.list(), c.lastUse(r)
	return withBoundary(out, r.policySet)
}

func (c *call) managedDetail(name, arn string, p managedPolicy) object {
	out := c.managedOut(name, arn, p)
	versions := []any{}
	for _, v := range slices.Backward(p.Versions) {
		o := versionOut(p, v)
		o["Document"] = percentEncoded(v.Document)
		versions = append(versions, o)
	}
	out["PolicyVersionList"] = versions
	return out
}

var iamReportHandlers = map[string]handler{
	"GenerateCredentialReport":       {"iam:GenerateCredentialReport", generateReport},
	"GetAccountAuthorizationDetails": {"iam:GetAccountAuthorizationDetails", authorizationDetails},
	"GetAccountSummary":              {"iam:GetAccountSummary", accountSummary},
	"GetCredentialReport":            {"iam:GetCredentialReport", getReport},
}
