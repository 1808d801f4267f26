package runbook

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// mutations are slips of an author, each of which lint has to tell.
var mutations = []struct {
	name string
	at   *regexp.Regexp
	by   string
}{
	{"a step's name in a reference", regexp.MustCompile(`\{\{ (\w+)\.(\w+) \}\}`), "{{ ${1}x.$2 }}"},
	{"an output's name in a reference", regexp.MustCompile(`\{\{ (\w+)\.(\w+) \}\}`), "{{ $1.${2}x }}"},
	{"a parameter's name", regexp.MustCompile(`\{\{ ([A-Z]\w*) \}\}`), "{{ ${1}x }}"},
	{"an operation", regexp.MustCompile(`Api: (\w+)`), "Api: ${1}x"},
	{"a service", regexp.MustCompile(`Service: (\w+)`), "Service: ${1}x"},
	{"an action", regexp.MustCompile(`action: '?aws:(\w+)'?`), "action: aws:${1}x"},
	{"a jump", regexp.MustCompile(`step:(\w+)`), "step:${1}x"},
	{"a choice", regexp.MustCompile(`NextStep: (\w+)`), "NextStep: ${1}x"},
	{"an operator", regexp.MustCompile(`(StringEquals|NumericEquals|Contains|NumericGreater): `), "${1}x: "},
	{"an input", regexp.MustCompile(`(ImageId|InstanceIds|VolumeIds|StackName|FunctionName|DocumentName|DesiredState|Runtime|stateMachineArn): `), "${1}x: "},
	{"a duration", regexp.MustCompile(`Duration: P`), "Duration: x"},
	{"a selector", regexp.MustCompile(`Selector: '?\$\.`), "Selector: $.["},
}

// Each slip in the golden runbooks is told.
func TestLintTellsSlips(t *testing.T) {
	files, err := filepath.Glob("testdata/run/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	cat := catalog(t)
	made := map[string]int{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(archive.Files[0].Data)
		for _, m := range mutations {
			for _, at := range m.at.FindAllStringSubmatchIndex(text, -1) {
				if line := text[strings.LastIndexByte(text[:at[0]], '\n')+1:]; strings.HasPrefix(strings.TrimSpace(line), "return ") {
					continue // a script's own braces
				}
				mutant := text[:at[0]] + string(m.at.ExpandString(nil, m.by, text, at)) + text[at[1]:]
				made[m.name]++
				d, err := Parse("x", []byte(mutant))
				if err == nil && len(d.Validate(cat)) == 0 {
					t.Errorf("%s: %s is not told: %s", file, m.name, mutant[at[0]:min(len(mutant), at[1]+10)])
				}
			}
		}
	}
	for _, m := range mutations {
		if made[m.name] == 0 {
			t.Errorf("no runbook has %s", m.name)
		}
	}
	t.Logf("slips: %v", made)
}
