package sandbox

import (
	"slices"
	"strings"
)

// serviceSettings are those of an account in a Region, with what they are unless it
// chose otherwise. Source: AWS Systems Manager API Reference, GetServiceSetting and
// UpdateServiceSetting.
var serviceSettings = map[string]string{
	"/ssm/automation/customer-script-log-destination":            "None",
	"/ssm/automation/customer-script-log-group-name":             "/aws/ssm/automation/executeScript",
	"/ssm/documents/console/public-sharing-permission":           "Enable",
	"/ssm/managed-instance/activation-tier":                      "standard",
	"/ssm/managed-instance/default-ec2-instance-management-role": "$None",
	"/ssm/opsinsights/opscenter":                                 "Disabled",
	"/ssm/parameter-store/default-parameter-tier":                "Standard",
	"/ssm/parameter-store/high-throughput-enabled":               "false",
}

// chosenSettings are those that the account chose.
var chosenSettings = keptKind{"service setting", func(id string) error {
	return failure(400, "ServiceSettingNotFound", "Setting %s not found.", id)
}}

// setting is a service setting's id, from its ARN if need be, and its default.
func (c *call) setting() (id, standard string, err error) {
	id = c.str("SettingId")
	if a, ok := parseARN(id); ok {
		id = strings.TrimPrefix(a.resource, "servicesetting")
	}
	standard, ok := serviceSettings[id]
	if !ok {
		return "", "", chosenSettings.missing(id)
	}
	return id, standard, nil
}

func (c *call) settingOut(id, standard string) object {
	out := structure{"SettingId": id, "SettingValue": standard, "Status": "Default", "LastModifiedUser": "System", "ARN": c.arnOf("ssm", "servicesetting"+id)}
	_, chosen, _ := chosenSettings.live(c, id, c.view)
	return object(out.with(chosen))
}

func getServiceSetting(c *call) (map[string]any, error) {
	id, standard, err := c.setting()
	if err != nil {
		return nil, err
	}
	return object{"ServiceSetting": c.settingOut(id, standard)}, nil
}

func updateServiceSetting(c *call) (map[string]any, error) {
	id, _, err := c.setting()
	if err != nil {
		return nil, err
	}
	chosenSettings.put(c, id, structure{"SettingValue": c.str("SettingValue"), "Status": "Customized", "LastModifiedDate": c.now, "LastModifiedUser": c.who.ARN})
	return object{}, nil
}

func resetServiceSetting(c *call) (map[string]any, error) {
	id, standard, err := c.setting()
	if err != nil {
		return nil, err
	}
	if r, _, err := chosenSettings.live(c, id, c.now); err == nil {
		r.end(c.now)
	}
	return object{"ServiceSetting": c.settingOut(id, standard)}, nil
}

// maxShared is with how many accounts a document can be shared. Source: AWS General
// Reference, "AWS Systems Manager endpoints and quotas".
const maxShared = 1000

func modifyDocumentPermission(c *call) (map[string]any, error) {
	name := c.str("Name")
	r, d, ok := c.home().SSM.Documents.live(name, c.now)
	switch {
	case !ok:
		return nil, failure(400, "InvalidDocument", "Document with name %s does not exist.", name)
	case c.str("PermissionType") != "Share":
		return nil, failure(400, "InvalidPermissionType", "The permission type %s is not supported. Share is the only supported permission type.", c.str("PermissionType"))
	}
	shared := slices.DeleteFunc(slices.Clone(d.Shared), func(a string) bool { return slices.Contains(c.strings("AccountIdsToRemove"), a) })
	for _, a := range c.strings("AccountIdsToAdd") {
		if !slices.Contains(shared, a) {
			shared = append(shared, a)
		}
	}
	if len(shared) > maxShared {
		return nil, failure(400, "DocumentPermissionLimit", "The document can't be shared with more than %d accounts.", maxShared)
	}
	slices.Sort(shared)
	r.change(c.now, func(d *document) { d.Shared = shared })
	return object{}, nil
}

func describeDocumentPermission(c *call) (map[string]any, error) {
	name := c.str("Name")
	_, d, ok := c.home().SSM.Documents.live(name, c.view)
	if !ok {
		return nil, failure(400, "InvalidDocument", "Document with name %s does not exist.", name)
	}
	infos := []any{}
	for _, a := range d.Shared {
		infos = append(infos, object{"AccountId": a, "SharedDocumentVersion": "$DEFAULT"})
	}
	return object{"AccountIds": anys(d.Shared), "AccountSharingInfoList": infos}, nil
}

var ssmSettingHandlers = map[string]handler{
	"DescribeDocumentPermission": {"ssm:DescribeDocumentPermission", checked(describeDocumentPermission)},
	"GetServiceSetting":          {"ssm:GetServiceSetting", checked(getServiceSetting)},
	"ModifyDocumentPermission":   {"ssm:ModifyDocumentPermission", checked(modifyDocumentPermission)},
	"ResetServiceSetting":        {"ssm:ResetServiceSetting", checked(resetServiceSetting)},
	"UpdateServiceSetting":       {"ssm:UpdateServiceSetting", checked(updateServiceSetting)},
}
