package sandbox

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// documentContent is what the sandbox reads of a document.
type documentContent struct {
	Schema      string
	Description string
	Parameters  []documentParameter // by name
	Steps       []documentStep
	members     map[string]any
}

type documentParameter struct {
	Name, Type, Description, Pattern string
	Default                          any // nil: the parameter is required
	Allowed                          []string
}

type documentStep struct {
	Name, Action string
	inputs       map[string]any
}

// Actions that documents can have, by the kind of document. Source: Systems
// Manager User Guide, "Command document plugin reference" and "Systems Manager
// Automation actions reference".
var (
	commandActions = []string{"aws:applications", "aws:cloudWatch", "aws:configureDocker", "aws:configurePackage", "aws:domainJoin", "aws:downloadContent", "aws:psModule",
		"aws:refreshAssociation", "aws:runDockerAction", "aws:runDocument", "aws:runPowerShellScript", "aws:runShellScript", "aws:softwareInventory", "aws:updateAgent", "aws:updateSsmAgent"}
	automationActions = []string{"aws:approve", "aws:assertAwsResourceProperty", "aws:branch", "aws:changeInstanceState", "aws:copyImage", "aws:createImage", "aws:createStack",
		"aws:createTags", "aws:deleteImage", "aws:deleteStack", "aws:executeAutomation", "aws:executeAwsApi", "aws:executeScript", "aws:executeStateMachine", "aws:invokeLambdaFunction",
		"aws:invokeWebhook", "aws:loop", "aws:pause", "aws:runCommand", "aws:runInstances", "aws:sleep", "aws:updateVariable", "aws:waitForAwsResourceProperty"}
)

// documentKinds are the types of document that the sandbox knows, with their
// schema versions, the members that they may have, and the actions of their
// steps.
var documentKinds = map[string]struct{ schemas, members, actions []string }{
	"Command":    {[]string{"1.2", "2.0", "2.2"}, []string{"schemaVersion", "description", "parameters", "mainSteps", "runtimeConfig", "files"}, commandActions},
	"Policy":     {[]string{"2.0"}, []string{"schemaVersion", "description", "parameters", "mainSteps"}, commandActions},
	"Automation": {[]string{"0.3"}, []string{"schemaVersion", "description", "assumeRole", "parameters", "variables", "mainSteps", "outputs", "files"}, automationActions},
	"Session":    {[]string{"1.0"}, []string{"schemaVersion", "description", "sessionType", "inputs", "parameters", "properties"}, nil},
}

// parseContent reads a version's content.
func parseContent(v documentVersion) (documentContent, error) {
	var members map[string]any
	var err error
	switch v.Format {
	case "JSON":
		err = json.Unmarshal([]byte(v.Content), &members)
	case "YAML":
		err = yaml.Unmarshal([]byte(v.Content), &members)
	default:
		err = fmt.Errorf("the sandbox knows documents in JSON and YAML only")
	}
	if err != nil {
		return documentContent{}, fmt.Errorf("%s not well-formed: %w", v.Format, err)
	}
	d := documentContent{members: members}
	d.Schema, _ = members["schemaVersion"].(string)
	d.Description, _ = members["description"].(string)
	parameters, _ := members["parameters"].(map[string]any)
	for _, name := range sorted(parameters) {
		o, _ := parameters[name].(map[string]any)
		p := documentParameter{Name: name, Default: o["default"]}
		p.Type, _ = o["type"].(string)
		p.Description, _ = o["description"].(string)
		p.Pattern, _ = o["allowedPattern"].(string)
		allowed, _ := o["allowedValues"].([]any)
		for _, a := range allowed {
			p.Allowed = append(p.Allowed, fmt.Sprint(a))
		}
		d.Parameters = append(d.Parameters, p)
	}
	steps, _ := members["mainSteps"].([]any)
	for _, s := range steps {
		o, _ := s.(map[string]any)
		step := documentStep{}
		step.Name, _ = o["name"].(string)
		step.Action, _ = o["action"].(string)
		step.inputs, _ = o["inputs"].(map[string]any)
		d.Steps = append(d.Steps, step)
	}
	plugins, _ := members["runtimeConfig"].(map[string]any) // of schema 1.2
	for _, action := range sorted(plugins) {
		d.Steps = append(d.Steps, documentStep{Name: action, Action: action})
	}
	return d, nil
}

var (
	stepName        = patternOf(`^[a-zA-Z0-9_-]+$`)
	parameterOfType = patternOf(`^(String|StringList|Boolean|Integer|MapList|StringMap|(List<)?AWS::[A-Za-z0-9:]+>?)$`)
	parameterUse    = patternOf(`\{\{\s*([A-Za-z0-9_]+)\s*\}\}`)
)

// check says what is wrong with a document of a type, as far as Systems Manager
// checks it when a document is made: schema version, type, members, steps.
func (d documentContent) check(kind string) error {
	rules, ok := documentKinds[kind]
	if !ok {
		return failure(501, "NotImplemented", "The sandbox does not simulate documents of type %s.", kind)
	}
	wrong := func(format string, args ...any) error {
		return failure(400, "InvalidDocumentContent", format, args...)
	}
	if d.members == nil {
		return wrong("The document is no map of members.")
	}
	if !slices.Contains(rules.schemas, d.Schema) {
		return failure(400, "InvalidDocumentSchemaVersion", "Document schema version, %v, is not supported by a document of type %s.", d.members["schemaVersion"], kind)
	}
	for _, m := range sorted(d.members) {
		if !slices.Contains(rules.members, m) {
			return wrong("The document has the member %s, which documents of type %s don't have.", m, kind)
		}
	}
	if err := d.checkParameters(); err != nil {
		return err
	}
	if kind == "Session" {
		if d.members["sessionType"] == nil {
			return wrong("The document has no sessionType.")
		}
		return nil
	}
	section := "mainSteps"
	if d.Schema == "1.2" {
		section = "runtimeConfig"
	}
	if len(d.Steps) == 0 || d.members[section] == nil {
		return wrong("The document has no %s.", section)
	}
	seen := map[string]bool{}
	for i, s := range d.Steps {
		switch {
		case !slices.Contains(rules.actions, s.Action):
			return wrong("Step %d has the action %q, which documents of type %s don't have.", i+1, s.Action, kind)
		case section == "mainSteps" && !stepName.MatchString(s.Name):
			return wrong("Step %d has no valid name.", i+1)
		case seen[s.Name]:
			return wrong("Two steps have the name %s.", s.Name)
		}
		seen[s.Name] = true
	}
	if kind == "Automation" {
		return nil // its references may be outputs and variables, of which the sandbox knows nothing
	}
	return d.checkReferences(section)
}

func (d documentContent) checkParameters() error {
	if p, ok := d.members["parameters"]; ok && p != nil {
		if _, ok := p.(map[string]any); !ok {
			return failure(400, "InvalidDocumentContent", "The document's parameters are no map.")
		}
	}
	for _, p := range d.Parameters {
		if !parameterOfType.MatchString(p.Type) {
			return failure(400, "InvalidDocumentContent", "The parameter %s has the type %q, which Systems Manager doesn't have.", p.Name, p.Type)
		}
		if p.Pattern != "" {
			if _, err := regexp.Compile(p.Pattern); err != nil && !strings.Contains(p.Pattern, "(?") {
				return failure(400, "InvalidDocumentContent", "The allowedPattern of the parameter %s is no regular expression.", p.Name)
			}
		}
	}
	return nil
}

// checkReferences says which parameter a Command document uses without having
// it.
func (d documentContent) checkReferences(section string) error {
	raw, err := json.Marshal(d.members[section])
	if err != nil {
		return failure(400, "InvalidDocumentContent", "%v", err)
	}
	for _, m := range parameterUse().FindAllSubmatch(raw, -1) {
		name := string(m[1])
		if !slices.ContainsFunc(d.Parameters, func(p documentParameter) bool { return p.Name == name }) {
			return failure(400, "InvalidDocumentContent", "Parameter %s is used and not defined.", name)
		}
	}
	return nil
}

// platforms are those that a document's steps run on.
func (d documentContent) platforms() []string {
	linux, windows := false, false
	for _, s := range d.Steps {
		linux = linux || s.Action != "aws:runPowerShellScript" && s.Action != "aws:applications" && s.Action != "aws:psModule" && s.Action != "aws:domainJoin"
		windows = windows || s.Action != "aws:runShellScript"
	}
	var out []string
	if windows {
		out = append(out, "Windows")
	}
	if linux {
		out = append(out, "Linux", "MacOS")
	}
	return out
}

func (p documentParameter) out() object {
	o := object{"Name": p.Name, "Type": p.Type}
	switch v := p.Default.(type) {
	case nil:
	case string:
		o["DefaultValue"] = v
	default:
		o["DefaultValue"] = jsonText(v)
	}
	return withTexts(o, map[string]string{"Description": p.Description})
}

// defaults are a parameter's values where a call gives none.
func (p documentParameter) defaults() []string {
	if l, ok := p.Default.([]any); ok {
		return mapped(l, func(v any) string { return fmt.Sprint(v) })
	}
	return []string{fmt.Sprint(p.Default)}
}

func mapped[T, U any](l []T, fn func(T) U) []U {
	out := make([]U, len(l))
	for i, v := range l {
		out[i] = fn(v)
	}
	return out
}

// bind puts the values of a call into a document's parameters. The error says
// what is wrong with them.
func (d documentContent) bind(given map[string][]string) (map[string][]string, error) {
	out := map[string][]string{}
	for _, name := range sorted(given) {
		if !slices.ContainsFunc(d.Parameters, func(p documentParameter) bool { return p.Name == name }) {
			return nil, fmt.Errorf("the document has no parameter %s", name)
		}
	}
	for _, p := range d.Parameters {
		values, ok := given[p.Name]
		if !ok {
			if p.Default == nil {
				return nil, fmt.Errorf("the parameter %s is required", p.Name)
			}
			out[p.Name] = p.defaults()
			continue
		}
		list := strings.HasPrefix(p.Type, "List<") || slices.Contains([]string{"StringList", "MapList", "StringMap"}, p.Type)
		if !list && len(values) != 1 {
			return nil, fmt.Errorf("the parameter %s takes one value and has %d", p.Name, len(values))
		}
		for _, v := range values {
			if len(p.Allowed) > 0 && !slices.Contains(p.Allowed, v) {
				return nil, fmt.Errorf("the value %q of the parameter %s is none of %s", v, p.Name, strings.Join(p.Allowed, ", "))
			}
			// A pattern that only Java reads lets all pass.
			if re, err := regexp.Compile("^(?:" + p.Pattern + ")$"); p.Pattern != "" && err == nil && !re.MatchString(v) {
				return nil, fmt.Errorf("the value %q of the parameter %s doesn't match %s", v, p.Name, p.Pattern)
			}
			if p.Type == "Boolean" && !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
				return nil, fmt.Errorf("the value %q of the parameter %s is no Boolean", v, p.Name)
			}
		}
		out[p.Name] = values
	}
	return out, nil
}

// textLists reads a map of lists of text: the parameters of a call.
func textLists(v any) map[string][]string {
	o, _ := v.(object)
	out := map[string][]string{}
	for k, e := range o {
		out[k] = texts(e)
	}
	return out
}

func listsOut(m map[string][]string) object {
	out := object{}
	for k, v := range m {
		out[k] = anys(v)
	}
	return out
}

// amazonCommands are AWS's own Command documents that the sandbox's nodes know
// how to run. Names, schemas, parameters and steps are AWS's, texts are not.
var amazonCommands = map[string]string{
	"AWS-RunShellScript":      scriptDocument("aws:runShellScript", "Runs commands in a Unix shell."),
	"AWS-RunPowerShellScript": scriptDocument("aws:runPowerShellScript", "Runs commands in PowerShell."),
	"AWS-UpdateSSMAgent": `schemaVersion: '1.2'
description: Brings the SSM Agent up to a version.
parameters:
  version: {type: String, default: '', description: The version to install; none is the latest.}
  allowDowngrade: {type: String, default: 'false', allowedValues: ['true', 'false'], description: Whether an older version may be installed.}
runtimeConfig:
  aws:updateSsmAgent:
    properties: {agentName: amazon-ssm-agent, targetVersion: '{{ version }}', allowDowngrade: '{{ allowDowngrade }}'}
`,
	"AWS-InstallMissingWindowsUpdates": `schemaVersion: '1.2'
description: Installs updates of Windows that are missing.
parameters:
  UpdateLevel: {type: String, default: Important, allowedValues: [None, All, Important, Optional], description: Which of the missing updates are installed.}
  ExcludeKbArticleIds: {type: String, default: '', allowedPattern: '(^$)|^((KB){0,1}[0-9]{1,7})(,((KB){0,1}[0-9]{1,7}))*$'}
runtimeConfig:
  aws:runPowerShellScript:
    properties: [{runCommand: ['{{ UpdateLevel }}'], timeoutSeconds: 14400}]
`,
	patchDocument: `schemaVersion: '2.2'
description: Scans nodes for patches or installs them, by the patch baseline that is theirs.
parameters:
  Operation: {type: String, allowedValues: [Scan, Install], description: Whether missing patches are only reported or installed.}
  AssociationId: {type: String, default: ''}
  SnapshotId: {type: String, default: '', allowedPattern: '^$|^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$'}
  InstallOverrideList: {type: String, default: ''}
  BaselineOverride: {type: String, default: ''}
  RebootOption: {type: String, default: RebootIfNeeded, allowedValues: [RebootIfNeeded, NoReboot], description: Whether a node restarts where a patch asks for it.}
mainSteps:
  - {action: 'aws:runPowerShellScript', name: PatchWindows, precondition: {StringEquals: [platformType, Windows]}, inputs: {runCommand: ['{{ Operation }}']}}
  - {action: 'aws:runShellScript', name: PatchMacOS, precondition: {StringEquals: [platformType, MacOS]}, inputs: {runCommand: ['{{ Operation }}']}}
  - {action: 'aws:runShellScript', name: PatchLinux, precondition: {StringEquals: [platformType, Linux]}, inputs: {runCommand: ['{{ Operation }}']}}
`,
}

// patchDocument is the document that patches nodes.
const patchDocument = "AWS-RunPatchBaseline"

func scriptDocument(action, text string) string {
	return `schemaVersion: '1.2'
description: ` + text + `
parameters:
  commands: {type: StringList, description: The commands to run.}
  workingDirectory: {type: String, default: '', description: Where they run.}
  executionTimeout: {type: String, default: '3600', allowedPattern: '([1-9][0-9]{0,4})|(1[0-6][0-9]{4})|(17[0-1][0-9]{3})|(172[0-7][0-9]{2})|(172800)', description: How many seconds they may take.}
runtimeConfig:
  ` + action + `:
    properties: [{runCommand: '{{ commands }}', workingDirectory: '{{ workingDirectory }}', timeoutSeconds: '{{ executionTimeout }}'}]
`
}
