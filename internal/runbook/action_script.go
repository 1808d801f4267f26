package runbook

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

const scriptAction = "aws:executeScript"

// maxScriptTime is AWS's limit.
const maxScriptTime = 600 * time.Second

// executeScript is aws:executeScript: a script in Python or PowerShell, run by
// what Effects has for it.
type executeScript struct{}

// runtimes are those that AWS's page of the action has had. A Python of another
// version runs the script too; what matters is the language.
var runtimes = regexp.MustCompile(`^(python3\.[0-9]{1,2}|PowerShell( Core)? [67](\.[0-9]{1,2})?|dotnetcore[23]\.1)$`)

func isPython(runtime string) bool { return strings.HasPrefix(runtime, "python") }

func (executeScript) timeout() (standard, most time.Duration) { return maxScriptTime, maxScriptTime }

func (executeScript) outputs(*Step) []Output {
	return []Output{{Name: "Payload", Type: StringMap}}
}

func (executeScript) check(c *checker, s *Step) {
	c.members(s, []string{"Runtime"}, []string{"Handler", "InputPayload", "Script", "Attachment"})
	runtime := s.inputs.get("Runtime")
	if runtime != nil && runtime.text == nil && !runtimes.MatchString(text(runtime.plain())) {
		c.add(runtime.pos, "python3.11, PowerShell 7.4 or another version of these", "step %s: Runtime is %s", s.Name, excerpt(text(runtime.plain())))
		return
	}
	handler := s.inputs.get("Handler")
	if runtime != nil && runtime.text == nil {
		switch python := isPython(text(runtime.plain())); {
		case python && handler == nil:
			c.add(s.Position, "Handler: the name of the function", "step %s: the input Handler is missing", s.Name)
		case !python && handler != nil:
			c.warn(handler.pos, "", "step %s: PowerShell has no Handler", s.Name)
		}
	}
	script, attachment := s.inputs.get("Script"), s.inputs.get("Attachment")
	if script == nil && attachment == nil {
		c.add(s.Position, "Script or Attachment", "step %s: the script has neither Script nor Attachment", s.Name)
	}
	if attachment != nil && attachment.text == nil {
		name := text(attachment.plain())
		var names []string
		for _, a := range c.doc.files {
			names = append(names, a.Name)
		}
		switch {
		case slices.Contains(names, name):
		case len(names) == 0: // AWS makes files of what CreateDocument is given
			c.warn(attachment.pos, "files: with its checksum", "step %s: the document has no files, so that the Attachment %s can't be checked and is not run", s.Name, excerpt(name))
		default:
			c.add(attachment.pos, "a name under files", "step %s: the Attachment %s is not among the document's files%s", s.Name, excerpt(name), near(name, names))
		}
	}
	if script != nil && script.kind != scalarNode {
		c.add(script.pos, "text", "step %s: Script is %s", s.Name, script.what())
	}
}

// ScriptSource is a script as a document has it. What the document only refers to is
// "".
type ScriptSource struct {
	Step     string
	Position knowngood.Position // of the runtime, or of the step
	Runtime  string
	Script   string
}

// Scripts are the scripts of the document's steps, in their order.
func (d *Document) Scripts() []ScriptSource {
	var out []ScriptSource
	for _, s := range d.steps {
		if s.Action != scriptAction || s.inputs == nil {
			continue
		}
		source := ScriptSource{Step: s.Name, Position: s.Position}
		if n := s.inputs.get("Runtime"); n != nil {
			source.Position = n.pos
			source.Runtime, _ = n.scalar.(string)
		}
		if n := s.inputs.get("Script"); n != nil {
			source.Script, _ = n.scalar.(string)
		}
		out = append(out, source)
	}
	return out
}

// shown keeps the script's text, which the document has, out of the log.
func (executeScript) shown(inputs map[string]any) map[string]any {
	if script, ok := inputs["Script"].(string); ok {
		inputs["Script"] = "sha256:" + hash([]byte(script))
	}
	return inputs
}

func (e executeScript) next(t *turn) move {
	if o := t.last(); o != nil {
		if o.Error != nil {
			return move{fail: &Failure{Code: o.Error.Code, Message: scriptFailure(o.Error)}}
		}
		return done()
	}
	runtime := text(t.inputs["Runtime"])
	if !runtimes.MatchString(runtime) {
		return failf("Runtime is %s", excerpt(runtime))
	}
	payload := t.inputs["InputPayload"]
	if payload == nil || payload == "" {
		payload = map[string]any{}
	}
	r := &ScriptRequest{
		Runtime: runtime, Handler: text(t.inputs["Handler"]), Script: text(t.inputs["Script"]), Attachment: text(t.inputs["Attachment"]),
		Payload: payload, Context: t.scope.context(), TimeLimit: min(maxScriptTime, t.due.Sub(t.started)), Time: t.scope.start.DateTime, Seed: t.scope.start.Seed,
		Place: t.scope.start.Place, Role: t.scope.start.Role,
	}
	input := map[string]any{"runtime": r.Runtime, "payload": payload}
	if r.Handler != "" {
		input["handler"] = r.Handler
	}
	if r.Script != "" {
		input["script"] = "sha256:" + hash([]byte(r.Script))
	}
	if r.Attachment != "" {
		input["attachment"] = r.Attachment
	}
	return move{effect: &EffectRequest{Action: scriptAction, Operation: EffectRun, Input: input, Script: r}}
}

// scriptFailure is why a script failed: an exception's class and text, unless it
// was not the script that failed.
func scriptFailure(e *CallError) string {
	switch e.Code {
	case CodeUnavailable, CodeCancelled, CodeInvalidOutput:
		return e.Message
	case CodeTimedOut:
		return "timed out: " + e.Message
	}
	return e.Error()
}

// project selects from {Payload: what the script returned}.
func (executeScript) project(s *Step, r map[string]any) (map[string]any, any, error) {
	outputs, err := s.implicit(map[string]any{"Payload": r["Payload"]}, nil)
	return outputs, nil, err
}
