package runbook

import "slices"

// inputTypes are the types of inputs that are the actions' own, as AWS's pages
// give them; those of calls are the models'. An input that is not here takes
// anything.
var inputTypes = map[string]map[string]Type{
	"aws:approve":             {"Approvers": StringList, "NotificationArn": String, "Message": String, "MinRequiredApprovals": Integer},
	"aws:changeInstanceState": {"InstanceIds": StringList, "DesiredState": String, "CheckStateOnly": Boolean, "Force": Boolean, "AdditionalInfo": String, "FailOnUnexpectedStopped": Boolean},
	"aws:copyImage": {
		"SourceImageId": String, "SourceRegion": String, "ImageName": String, "ImageDescription": String, "Encrypted": Boolean, "KmsKeyId": String, "ClientToken": String,
	},
	"aws:createImage": {"InstanceId": String, "ImageName": String, "ImageDescription": String, "NoReboot": Boolean, "BlockDeviceMappings": MapList},
	"aws:createTags":  {"ResourceIds": StringList, "ResourceType": String, "Tags": MapList},
	"aws:deleteImage": {"ImageId": String},
	"aws:executeAutomation": {
		"DocumentName": String, "DocumentVersion": String, "MaxConcurrency": String, "MaxErrors": String, "RuntimeParameters": StringMap, "Tags": MapList,
		"TargetLocations": MapList, "TargetMaps": MapList, "TargetParameterName": String, "Targets": MapList,
	},
	scriptAction:              {"Runtime": String, "Handler": String, "Attachment": String, "InputPayload": StringMap},
	"aws:executeStateMachine": {"stateMachineArn": String, "name": String},
	"aws:invokeLambdaFunction": {
		"FunctionName": String, "Qualifier": String, "InvocationType": String, "LogType": String, "InputPayload": StringMap,
	},
	WebhookAction: {"IntegrationName": String},
	"aws:loop":    {"Iterators": StringList, "IteratorDataType": String, "MaxIterations": Integer},
	"aws:runInstances": {
		"ImageId": String, "InstanceType": String, "MinInstanceCount": Integer, "MaxInstanceCount": Integer, "IamInstanceProfileArn": String,
		"IamInstanceProfileName": String, "KeyName": String, "SubnetId": String, "UserData": String, "PrivateIpAddress": String, "ClientToken": String,
		"SecurityGroupIds": StringList, "SecurityGroups": StringList, "BlockDeviceMappings": MapList, "NetworkInterfaces": MapList,
		"TagSpecifications": MapList, "Placement": StringMap, "MetadataOptions": StringMap, "Monitoring": Boolean,
	},
	"aws:sleep": {"Duration": String, "Timestamp": String},
}

// types reports references whose type an input of the action can't take.
func (v *validator) types(s *Step) {
	if s.inputs == nil {
		return
	}
	for _, f := range s.inputs.fields {
		want, known := inputTypes[s.Action][f.name]
		if !known || f.value.text == nil {
			continue
		}
		is := String
		if ref := f.value.text.whole(); ref != nil {
			src, ok := v.doc.Source(ref.String())
			if !ok || src.Type == "" {
				continue
			}
			is, _ = src.Type.base()
		}
		if !takes(want, is) {
			v.add(f.value.pos, "a "+string(want), "step %s: %s is a %s", s.Name, f.name, is)
		}
	}
}

// takes says whether an input of a type takes a value of another: text, numbers
// and booleans stand for each other, text may be a list of one or spell a map. A
// list may have one element, which then stands for it: AWS-UpdateLinuxAmi makes an
// image of {{ launchInstance.InstanceIds }}.
func takes(want, is Type) bool {
	switch want {
	case StringList:
		return is != StringMap
	case MapList:
		return is == MapList || is == String
	case StringMap:
		return is == StringMap || is == String
	}
	return is != MapList && is != StringMap
}

// single gives inputs that take one value the element of a list of one.
func single(action string, inputs map[string]any) {
	for name, want := range inputTypes[action] {
		if list, ok := inputs[name].([]any); ok && len(list) == 1 && slices.Contains([]Type{String, Integer, Boolean}, want) {
			inputs[name] = list[0]
		}
	}
}
