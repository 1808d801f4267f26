package sandbox

import (
	"cmp"
	"strconv"
	"strings"
)

// What Systems Manager's operations are on. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for AWS Systems Manager".
const (
	onBaseline  = "patchbaseline/{BaselineId}"
	onExecution = "automation-execution/{AutomationExecutionId}"
	onWindow    = "maintenancewindow/{WindowId}"
	onSetting   = "servicesetting{SettingId}"
)

var ssmAccess = serviceAccess{
	arn: "arn:{Partition}:ssm:{Region}:{Account}:",
	on: map[string]string{
		"CreatePatchBaseline": "patchbaseline/*", "CreateMaintenanceWindow": "maintenancewindow/*",
		"DeletePatchBaseline": onBaseline, "GetPatchBaseline": onBaseline, "UpdatePatchBaseline": onBaseline, "RegisterDefaultPatchBaseline": onBaseline,
		"RegisterPatchBaselineForPatchGroup": onBaseline, "DeregisterPatchBaselineForPatchGroup": onBaseline,
		"GetAutomationExecution": onExecution, "StopAutomationExecution": onExecution, "SendAutomationSignal": onExecution, "DescribeAutomationStepExecutions": onExecution,
		"DeleteMaintenanceWindow": onWindow, "GetMaintenanceWindow": onWindow, "UpdateMaintenanceWindow": onWindow, "RegisterTargetWithMaintenanceWindow": onWindow,
		"RegisterTaskWithMaintenanceWindow": onWindow, "DescribeMaintenanceWindowTargets": onWindow, "DescribeMaintenanceWindowTasks": onWindow,
		"GetServiceSetting": onSetting, "ResetServiceSetting": onSetting, "UpdateServiceSetting": onSetting,
		"PutComplianceItems": "arn:{Partition}:ec2:{Region}:{Account}:instance/{ResourceId}",
	},
	needs: map[string]func(*call, []need) []need{
		"CreateDocument": onDocument, "DeleteDocument": onDocument, "DescribeDocumentPermission": onDocument, "ModifyDocumentPermission": onDocument, "DescribeDocument": onDocument, "GetDocument": onDocument, "UpdateDocument": onDocument,
		"UpdateDocumentDefaultVersion": onDocument, "ListDocumentVersions": onDocument,
		"AddTagsToResource": onTagged, "RemoveTagsFromResource": onTagged, "ListTagsForResource": onTagged,
		"GetParameter": onParameters, "GetParameters": onParameters, "GetParameterHistory": onParameters, "DeleteParameter": onParameters, "DeleteParameters": onParameters,
		"LabelParameterVersion": onParameters, "GetParametersByPath": onParameters, "PutParameter": onParameters,
		"SendCommand":              commandNeeds,
		"StartAutomationExecution": automationNeeds,
		"RegisterTaskWithMaintenanceWindow": func(c *call, own []need) []need {
			return append(own, c.passRole(c.str("ServiceRoleArn"), "ssm.amazonaws.com")...)
		},
	},
	keys: ssmKeys,
	look: lookAtSSM,
}

func ssmKeys(c *call, _ *need, set func(string, ...string)) {
	if c.operation.Name == "PutParameter" {
		set("ssm:Overwrite", strconv.FormatBool(c.bool("Overwrite")))
	}
	if c.operation.Name == "GetParametersByPath" {
		set("ssm:Recursive", strconv.FormatBool(c.bool("Recursive")))
	}
}

// documentARN has no account for AWS's own documents.
func (c *call) documentARN(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	if _, _, ok := c.home().SSM.Documents.live(name, c.now); !ok {
		if _, amazon := c.amazonDocument(name); amazon {
			return "arn:" + c.partition() + ":ssm:" + c.region + "::document/" + name
		}
	}
	return c.ssmARN("document/" + name)
}

func onDocument(c *call, own []need) []need {
	own[0].resource = c.documentARN(c.str("Name"))
	return own
}

// onTagged is for an operation that names a resource by type and id.
func onTagged(c *call, own []need) []need {
	id := c.str("ResourceId")
	switch c.str("ResourceType") {
	case "Document":
		own[0].resource = c.documentARN(id)
	case "Parameter":
		own[0].resource = c.parameterARN(id)
	case "PatchBaseline":
		own[0].resource = c.ssmARN("patchbaseline/" + last(id))
	case "MaintenanceWindow":
		own[0].resource = c.ssmARN("maintenancewindow/" + id)
	case "Automation":
		own[0].resource = c.ssmARN("automation-execution/" + id)
	case "ManagedInstance":
		own[0].resource = c.ssmARN("managed-instance/" + id)
	}
	return own
}

// onParameters is for an operation on parameters by name, or on a path. A
// SecureString asks for its key as well, which Parameter Store uses for the
// caller. Source: Systems Manager User Guide, "How AWS Systems Manager Parameter
// Store uses AWS KMS".
func onParameters(c *call, own []need) []need {
	names := append(c.strings("Names"), cmp.Or(c.str("Name"), c.str("Path")))
	base := own[0]
	own = nil
	for _, name := range names {
		name = parameterFrom(name)
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			name = name[:i]
		}
		if name == "" {
			continue
		}
		n := base
		n.resource = c.parameterARN(name)
		own = append(own, n)
	}
	if c.operation.Name == "PutParameter" {
		return append(own, c.sealNeeds()...)
	}
	if !c.bool("WithDecryption") {
		return own
	}
	seen := map[string]bool{}
	for name, p := range c.home().SSM.Parameters.all(c.view) {
		asked := c.str("Path") != "" && below(name, c.str("Path"), c.bool("Recursive"))
		for _, n := range own {
			asked = asked || n.resource == c.parameterARN(name)
		}
		for _, v := range p.Versions {
			if key := c.keyNamed(v.KeyID); asked && v.KeyID != "" && !seen[key] {
				seen[key] = true
				own = append(own, need{action: "kms:Decrypt", resource: key, via: "ssm"})
			}
		}
	}
	return own
}

// sealNeeds are what a SecureString's key must allow: a standard parameter is
// encrypted by the key itself, an advanced one by a data key.
func (c *call) sealNeeds() []need {
	_, p, exists := c.home().SSM.Parameters.live(parameterFrom(c.str("Name")), c.now)
	key := c.str("KeyId")
	if exists {
		key = cmp.Or(key, p.latest().KeyID)
	}
	if cmp.Or(p.Type, c.str("Type")) != "SecureString" {
		return nil
	}
	tier := cmp.Or(c.str("Tier"), p.Tier)
	action := "kms:Encrypt"
	if tier == "Advanced" || tier == "Intelligent-Tiering" && len(c.str("Value")) > maxStandardValue {
		action = "kms:GenerateDataKey"
	}
	return []need{{action: action, resource: c.keyNamed(cmp.Or(key, ssmAlias)), via: "ssm"}}
}

// commandNeeds are the document and each node, or any node where tags find them.
func commandNeeds(c *call, own []need) []need {
	base := own[0]
	base.resource = c.documentARN(c.str("DocumentName"))
	own = []need{base}
	ids := c.strings("InstanceIds")
	for _, t := range c.objects("Targets") {
		if t["Key"] == "InstanceIds" {
			ids = append(ids, texts(t["Values"])...)
		} else if nodes, err := c.targetNodes(); err == nil {
			ids = append(ids, nodes...)
		}
	}
	for _, id := range ids {
		base.resource = c.ec2ARN("instance", id)
		own = append(own, base)
	}
	return append(own, c.passRole(c.str("ServiceRoleArn"), "ssm.amazonaws.com")...)
}

func automationNeeds(c *call, own []need) []need {
	own[0].resource = c.ssmARN("automation-definition/" + last(c.str("DocumentName")) + ":" + cmp.Or(c.str("DocumentVersion"), "$DEFAULT"))
	for _, role := range textLists(c.in["Parameters"])["AutomationAssumeRole"] {
		own = append(own, c.passRole(role, "ssm.amazonaws.com")...)
	}
	return own
}

// lookAtSSM gives the tags of a resource, which conditions can test as
// ssm:resourceTag too.
func lookAtSSM(c *call, n *need) resource {
	a, ok := parseARN(n.resource)
	if !ok {
		return resource{}
	}
	if a.account == amazonAccount {
		return resource{owner: c.who.Account} // everybody may use AWS's own
	}
	kind, id, _ := strings.Cut(a.resource, "/")
	home := c.homeOf(cmp.Or(a.account, c.who.Account), a.region)
	if home == nil {
		return resource{}
	}
	state := &home.SSM
	switch kind {
	case "instance":
		_, i, _ := table[instance](home.Instances).live(id, c.now)
		return resource{tags: i.Tags}
	case "managed-instance":
		_, t, _ := state.NodeTags.live(id, c.now)
		return resource{tags: t}
	case "document":
		_, d, _ := state.Documents.live(id, c.now)
		return resource{tags: d.Tags}
	case "parameter":
		_, p, ok := state.Parameters.live("/"+id, c.now)
		if !ok {
			_, p, _ = state.Parameters.live(id, c.now)
		}
		return resource{tags: p.Tags}
	case "patchbaseline":
		_, b, _ := state.Baselines.live(id, c.now)
		return resource{tags: b.Tags}
	case "maintenancewindow":
		_, w, _ := state.Windows.live(id, c.now)
		return resource{tags: w.Tags}
	case "automation-execution":
		_, e, _ := state.Executions.live(id, c.now)
		return resource{tags: e.Tags}
	}
	return resource{}
}
