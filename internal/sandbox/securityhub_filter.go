package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// hubFields are where in a finding GetFindings' filters and sort fields look.
// Those whose names are the members' own are not listed.
var hubFields = map[string]string{
	"Type": "Types", "SeverityProduct": "Severity.Product", "SeverityNormalized": "Severity.Normalized", "SeverityLabel": "Severity.Label",
	"RecommendationText": "Remediation.Recommendation.Text", "ResourceType": "Resources.Type", "ResourceId": "Resources.Id", "ResourcePartition": "Resources.Partition",
	"ResourceRegion": "Resources.Region", "ResourceTags": "Resources.Tags", "ComplianceStatus": "Compliance.Status", "ComplianceSecurityControlId": "Compliance.SecurityControlId",
	"ComplianceAssociatedStandardsId": "Compliance.AssociatedStandards.StandardsId", "WorkflowStatus": "Workflow.Status", "RelatedFindingsProductArn": "RelatedFindings.ProductArn",
	"RelatedFindingsId": "RelatedFindings.Id", "NoteText": "Note.Text", "NoteUpdatedAt": "Note.UpdatedAt", "NoteUpdatedBy": "Note.UpdatedBy",
	"MalwareName": "Malware.Name", "MalwareType": "Malware.Type", "MalwarePath": "Malware.Path", "MalwareState": "Malware.State",
	"NetworkDirection": "Network.Direction", "NetworkProtocol": "Network.Protocol", "NetworkSourcePort": "Network.SourcePort", "NetworkSourceDomain": "Network.SourceDomain",
	"NetworkDestinationPort": "Network.DestinationPort", "NetworkDestinationDomain": "Network.DestinationDomain",
	"ProcessName": "Process.Name", "ProcessPath": "Process.Path", "ProcessPid": "Process.Pid",
	"ResourceAwsEc2InstanceType": "Resources.Details.AwsEc2Instance.Type", "ResourceAwsEc2InstanceImageId": "Resources.Details.AwsEc2Instance.ImageId",
	"ResourceAwsEc2InstanceVpcId": "Resources.Details.AwsEc2Instance.VpcId", "ResourceAwsEc2InstanceSubnetId": "Resources.Details.AwsEc2Instance.SubnetId",
	"ResourceAwsIamAccessKeyUserName": "Resources.Details.AwsIamAccessKey.UserName", "ResourceAwsIamUserUserName": "Resources.Details.AwsIamUser.UserName",
	"FindingProviderFieldsConfidence": "FindingProviderFields.Confidence", "FindingProviderFieldsCriticality": "FindingProviderFields.Criticality",
	"FindingProviderFieldsSeverityLabel": "FindingProviderFields.Severity.Label", "FindingProviderFieldsSeverityOriginal": "FindingProviderFields.Severity.Original",
	"FindingProviderFieldsTypes":      "FindingProviderFields.Types",
	"VulnerabilitiesExploitAvailable": "Vulnerabilities.ExploitAvailable", "VulnerabilitiesFixAvailable": "Vulnerabilities.FixAvailable",
}

// hubOwnFields are filters that are named as the members that they look at.
var hubOwnFields = []string{"AwsAccountId", "AwsAccountName", "CompanyName", "Confidence", "CreatedAt", "Criticality", "Description", "FirstObservedAt", "GeneratorId", "Id", "LastObservedAt",
	"ProductArn", "ProductFields", "ProductName", "RecordState", "Region", "Sample", "SourceUrl", "Title", "UpdatedAt", "UserDefinedFields", "VerificationState", "WorkflowState"}

// hubPath is where a filter looks; false: the sandbox doesn't know it.
func hubPath(name string) (string, bool) {
	if p, ok := hubFields[name]; ok {
		return p, true
	}
	return name, slices.Contains(hubOwnFields, name)
}

const (
	maxHubFilters = 10
	maxHubValues  = 20
)

// hubFilter reads GetFindings' Filters: the conditions of each field must hold.
func (c *call) hubFilter() (func(object) bool, error) {
	filters := c.object("Filters")
	if len(filters) > maxHubFilters {
		return nil, hubInvalid("Filters may name at most %d attributes", maxHubFilters)
	}
	var all []func(object) bool
	for _, name := range sorted(filters) {
		list := objects(filters[name])
		if len(list) > maxHubValues {
			return nil, hubInvalid("The filter %s has more than %d values", name, maxHubValues)
		}
		if name == "Keyword" {
			all = append(all, func(f object) bool {
				return slices.ContainsFunc(list, func(o object) bool { return strings.Contains(jsonText(f), textOf(o["Value"])) })
			})
			continue
		}
		path, ok := hubPath(name)
		if !ok {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate the filter %s of Security Hub.", name)
		}
		shape := c.operation.Input.Member("Filters").Shape.Member(name).Shape.Elem.Shape.Name
		test, err := c.hubTest(name, shape, list)
		if err != nil {
			return nil, err
		}
		all = append(all, func(f object) bool { return test(lookup(f, path)) })
	}
	return func(f object) bool {
		for _, test := range all {
			if !test(f) {
				return false
			}
		}
		return true
	}, nil
}

// hubTest makes a test of the values of one field.
func (c *call) hubTest(name, shape string, list []object) (func([]any) bool, error) {
	switch shape {
	case "StringFilter":
		return hubTexts(name, list, func(v any, _ object) []string { return present(textOf(v)) })
	case "MapFilter":
		return hubTexts(name, list, func(v any, o object) []string {
			m, _ := v.(object)
			s, ok := m[textOf(o["Key"])].(string)
			if !ok {
				return nil
			}
			return []string{s}
		})
	case "DateFilter":
		return c.hubDates(name, list)
	case "NumberFilter":
		return hubNumbers(list), nil
	case "BooleanFilter":
		return func(values []any) bool {
			return slices.ContainsFunc(list, func(o object) bool { return slices.Contains(values, o["Value"]) })
		}, nil
	}
	return nil, failure(501, "NotImplemented", "The sandbox does not simulate the filter %s of Security Hub.", name)
}

// comparisonOf is how a filter compares.
func comparisonOf(o object) string {
	if s := textOf(o["Comparison"]); s != "" {
		return s
	}
	return "EQUALS"
}

// hubTexts: what is to be equal or a prefix holds if one does; what is not, only
// if all do.
func hubTexts(name string, list []object, read func(any, object) []string) (func([]any) bool, error) {
	given := map[string]bool{}
	for _, o := range list {
		comparison := comparisonOf(o)
		if !slices.Contains([]string{"EQUALS", "PREFIX", "NOT_EQUALS", "PREFIX_NOT_EQUALS"}, comparison) {
			return nil, hubInvalid("The comparison %s of the filter %s is for automation rules only", comparison, name)
		}
		given[comparison] = true
	}
	if given["EQUALS"] && (given["NOT_EQUALS"] || given["PREFIX_NOT_EQUALS"]) {
		return nil, hubInvalid("The filter %s has both EQUALS and a comparison that denies", name)
	}
	return func(values []any) bool {
		wanted, found := false, false
		for _, o := range list {
			want := textOf(o["Value"])
			has := func(match func(s, want string) bool) bool {
				return slices.ContainsFunc(values, func(v any) bool {
					return slices.ContainsFunc(read(v, o), func(s string) bool { return match(s, want) })
				})
			}
			same := func(s, want string) bool { return s == want }
			switch comparisonOf(o) {
			case "EQUALS":
				wanted, found = true, found || has(same)
			case "PREFIX":
				wanted, found = true, found || has(strings.HasPrefix)
			case "NOT_EQUALS":
				if has(same) {
					return false
				}
			case "PREFIX_NOT_EQUALS":
				if has(strings.HasPrefix) {
					return false
				}
			}
		}
		return !wanted || found
	}, nil
}

func (c *call) hubDates(name string, list []object) (func([]any) bool, error) {
	for _, o := range list {
		days, ok := asNumber(lookupOne(o, "DateRange.Value"))
		switch {
		case o["DateRange"] != nil && (!ok || days < 1 || o["Start"] != nil || o["End"] != nil):
			return nil, hubInvalid("The filter %s must have either a DateRange of 1 day or more, or Start and End", name)
		case o["DateRange"] == nil && (o["Start"] == nil || o["End"] == nil):
			return nil, hubInvalid("The filter %s must have both Start and End", name)
		case o["DateRange"] == nil && (instant(o["Start"]).IsZero() || instant(o["End"]).IsZero()):
			return nil, hubInvalid("The filter %s has a time that is none", name)
		}
	}
	return func(values []any) bool {
		return slices.ContainsFunc(list, func(o object) bool {
			from, to := instant(o["Start"]), instant(o["End"])
			if o["DateRange"] != nil {
				days, _ := asNumber(lookupOne(o, "DateRange.Value"))
				from, to = c.view.Add(-time.Duration(days)*24*time.Hour), c.view
			}
			return slices.ContainsFunc(values, func(v any) bool {
				t := instant(v)
				return !t.IsZero() && !t.Before(from) && !t.After(to)
			})
		})
	}, nil
}

func hubNumbers(list []object) func([]any) bool {
	return func(values []any) bool {
		return slices.ContainsFunc(list, func(o object) bool {
			return slices.ContainsFunc(values, func(v any) bool {
				n, ok := asNumber(v)
				for operator, limit := range o {
					want, _ := asNumber(limit)
					switch operator {
					case "Eq":
						ok = ok && n == want
					case "Gte":
						ok = ok && n >= want
					case "Lte":
						ok = ok && n <= want
					case "Gt":
						ok = ok && n > want
					case "Lt":
						ok = ok && n < want
					}
				}
				return ok
			})
		})
	}
}

func getHubFindings(c *call) (map[string]any, error) {
	if _, _, err := c.hub(c.view); err != nil {
		return nil, err
	}
	pass, err := c.hubFilter()
	if err != nil {
		return nil, err
	}
	limit, ok := c.int("MaxResults")
	if !ok {
		limit = maxHubFindings
	}
	if limit < 1 || limit > maxHubFindings {
		return nil, hubInvalid("Invalid parameter 'MaxResults'. data should be from 1 to %d", maxHubFindings)
	}
	var found []object
	for _, key := range sorted(c.home().SecurityHub.Findings) {
		if f := c.home().SecurityHub.Findings[key]; !f.Imported.After(c.view) && pass(f.Finding) {
			found = append(found, f.Finding)
		}
	}
	if err := c.sortHub(found); err != nil {
		return nil, err
	}
	list := []any{}
	for _, f := range found {
		list = append(list, copied(f))
	}
	page, next, ok := slicePage(list, c.str("NextToken"), limit)
	if !ok {
		return nil, hubInvalid("Invalid parameter 'NextToken'.")
	}
	return withToken(object{"Findings": page}, next), nil
}

// sortHub sorts findings by SortCriteria, the first counting most.
func (c *call) sortHub(list []object) error {
	criteria := c.objects("SortCriteria")
	for _, s := range criteria {
		if _, ok := hubPath(textOf(s["Field"])); !ok {
			return hubInvalid("Findings can't be sorted by %s", textOf(s["Field"]))
		}
	}
	slices.SortStableFunc(list, func(a, b object) int {
		for _, s := range criteria {
			path, _ := hubPath(textOf(s["Field"]))
			x, y := lookupOne(a, path), lookupOne(b, path)
			n := strings.Compare(textOf(x), textOf(y))
			if f, ok := asNumber(x); ok {
				g, _ := asNumber(y)
				n = cmp.Compare(f, g)
			}
			if n == 0 {
				continue
			}
			if s["SortOrder"] == "desc" {
				return -n
			}
			return n
		}
		return 0
	})
	return nil
}
