package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
)

// The parts of SARIF that are written. Source: OASIS, Static Analysis Results
// Interchange Format 2.1.0, errata 01.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
		Properties  map[string]any    `json:"properties"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Name       string         `json:"name,omitempty"`
		Short      sarifText      `json:"shortDescription"`
		Full       sarifText      `json:"fullDescription"`
		Help       sarifText      `json:"help"`
		HelpURI    string         `json:"helpUri,omitempty"`
		Default    sarifDefault   `json:"defaultConfiguration"`
		Properties map[string]any `json:"properties"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifDefault struct {
		Level string `json:"level"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifInvocation struct {
		Successful    bool                `json:"executionSuccessful"`
		Start         string              `json:"startTimeUtc"`
		End           string              `json:"endTimeUtc"`
		Notifications []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Time      string          `json:"timeUtc,omitempty"`
		Rule      *sarifRuleRef   `json:"associatedRule,omitempty"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifRuleRef struct {
		ID    string `json:"id"`
		Index int    `json:"index"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Kind         string             `json:"kind"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Partial      map[string]string  `json:"partialFingerprints"`
		Fingerprints map[string]string  `json:"fingerprints"`
		Suppressions []sarifSuppression `json:"suppressions"`
		Properties   map[string]any     `json:"properties"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Full string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification,omitempty"`
	}
)

// sarifLevels, and sarifScores, which order code-scanning alerts: over 9.0 critical, 7.0 to
// 8.9 high, 4.0 to 6.9 medium, below low. Source: GitHub, SARIF support for code
// scanning.
var (
	sarifLevels = map[knowngood.Severity]string{
		knowngood.Critical: "error", knowngood.High: "error", knowngood.Medium: "warning", knowngood.Low: "note", knowngood.Informational: "note",
	}
	sarifScores = map[knowngood.Severity]string{
		knowngood.Critical: "9.5", knowngood.High: "8.0", knowngood.Medium: "5.5", knowngood.Low: "2.0", knowngood.Informational: "0.1",
	}
)

// maxSARIFTags is the limit of tags for a rule. Source: as above.
const maxSARIFTags = 20

// writeSARIF writes the open findings as results. What passed is none, for readers such
// as code scanning show each result as an alert; what could not be evaluated is a
// notification of the invocation, which then was not successful.
func writeSARIF(w io.Writer, r *Report) error {
	run := sarifRun{
		Tool:       sarifTool{Driver: sarifDriver{Name: "knowngood", Version: r.Version, InformationURI: home, Rules: []sarifRule{}}},
		Automation: sarifAutomation{ID: "knowngood/" + pathOf(accountsOf(r)...) + "/"},
		Results:    []sarifResult{}, ColumnKind: "unicodeCodePoints",
		Properties: map[string]any{"principal": r.Principal, "posture": r.Posture()},
	}
	index := map[string]int{}
	rule := func(of *Rule) int {
		i, ok := index[of.Name]
		if !ok {
			i = len(run.Tool.Driver.Rules)
			index[of.Name] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(of))
		}
		return i
	}
	for i := range r.Rules {
		rule(&r.Rules[i])
	}
	invocation := sarifInvocation{Successful: r.Whole(), Start: stamp(r.Began), End: stamp(r.Began.Add(r.Took)), Notifications: []sarifNotification{}}
	for i := range r.Results {
		res := &r.Results[i]
		at := rule(res.Rule)
		switch res.Status {
		case Failed:
			run.Results = append(run.Results, sarifResultOf(res, at))
		case NotEvaluated:
			invocation.Notifications = append(invocation.Notifications, sarifNotification{
				Level: "error", Message: sarifText{Text: "not evaluated: " + cmp.Or(res.Annotation, "no reason was given")}, Time: stamp(res.Time),
				Rule: &sarifRuleRef{ID: res.Rule.Name, Index: at}, Locations: []sarifLocation{sarifLocationOf(res.Resource, res.Name())},
			})
		}
	}
	for _, e := range r.Unreadable {
		k := keyOf(e)
		invocation.Notifications = append(invocation.Notifications, sarifNotification{
			Level: "error", Message: sarifText{Text: "unreadable: " + e.Error()}, Locations: []sarifLocation{sarifLocationOf(k, cmp.Or(r.ARNs[k], k.String()))},
		})
	}
	run.Invocations = []sarifInvocation{invocation}
	return writeIndented(w, sarifLog{
		Schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifRuleOf(r *Rule) sarifRule {
	severity := cmp.Or(r.Severity, knowngood.Informational)
	title, full := cmp.Or(r.Title, r.Name), cmp.Or(r.Description, r.Missing, r.Title, r.Name)
	tags := append([]string{"security", "aws"}, r.Controls...)
	out := sarifRule{
		ID: r.Name, Name: r.Identifier, Short: sarifText{Text: title}, Full: sarifText{Text: full}, HelpURI: r.page(),
		Default:    sarifDefault{Level: sarifLevels[severity]},
		Properties: map[string]any{"tags": tags[:min(len(tags), maxSARIFTags)], "security-severity": sarifScores[severity], "pack": r.Pack},
	}
	help := full
	if len(r.Controls) > 0 {
		help += "\n\nControls: " + strings.Join(r.Controls, ", ") + "."
	}
	out.Help.Text = help
	if page := r.page(); page != "" {
		out.Help.Text += "\n\nThe rule: " + page
		out.Help.Markdown = help + "\n\n[The rule](" + page + ")"
	}
	return out
}

func sarifResultOf(res *Result, rule int) sarifResult {
	message := res.Title()
	if res.Annotation != "" {
		message += ": " + res.Annotation
	}
	out := sarifResult{
		RuleID: res.Rule.Name, RuleIndex: rule, Kind: "fail", Level: sarifLevels[res.Severity()],
		Message: sarifText{Text: message}, Locations: []sarifLocation{sarifLocationOf(res.Resource, res.Name())},
		// Code scanning takes the first one's name for the fingerprint of a line, of
		// which there is none; without it, it looks for a file.
		Partial:      map[string]string{"primaryLocationLineHash": res.ID() + ":1"},
		Fingerprints: map[string]string{"knowngood/v1": res.ID()},
		Suppressions: []sarifSuppression{},
		Properties: map[string]any{
			"accountId": res.Resource.Account, "awsRegion": res.Resource.Region, "resourceType": res.Resource.Type, "resourceId": res.Resource.ID, "severity": res.Severity(),
		},
	}
	if f := res.Finding; f != nil {
		out.Properties["findingState"] = f.State
	}
	if f := res.Finding; f != nil && f.Declared != nil && len(out.Locations) > 0 {
		out.Locations[0].Physical = sarifPhysical{Artifact: sarifArtifact{URI: pathOf(strings.Split(f.Declared.File, "/")...)}, Region: sarifRegion{StartLine: max(f.Declared.Line, 1)}}
	}
	if res.Suppressed() {
		out.Suppressions = []sarifSuppression{{Kind: "external", Status: "accepted", Justification: res.Finding.Reason}}
	}
	return out
}

// sarifLocationOf is a resource as a logical location. The physical one, which
// code scanning demands, is a path made of its key.
func sarifLocationOf(k knowngood.ResourceKey, name string) sarifLocation {
	return sarifLocation{
		Physical: sarifPhysical{Artifact: sarifArtifact{URI: pathOf("aws", k.Account, k.Region, strings.ReplaceAll(k.Type, "::", "-"), k.ID)}, Region: sarifRegion{StartLine: 1}},
		Logical:  []sarifLogical{{Name: k.ID, Full: name, Kind: "resource"}},
	}
}

// pathOf makes a relative path of names, each escaped.
func pathOf(names ...string) string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if n = url.PathEscape(n); n != "" {
			out = append(out, strings.ReplaceAll(n, ":", "%3A"))
		}
	}
	return strings.Join(out, "/")
}

// accountsOf are the accounts that were looked at, sorted.
func accountsOf(r *Report) []string {
	var out []string
	for _, p := range r.Places {
		out = append(out, p.Account)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
