package app

import (
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/remedy"
	"github.com/knowngood/knowngood/internal/runbook"
)

// short is the beginning of a hash, which names a plan among people.
func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}

// deliverPlan writes a plan to its file, shows it in a form, and says what comes
// next.
func deliverPlan(s Streams, plan *knowngood.Plan, file, form string) error {
	raw, err := remedy.EncodePlan(plan)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return &knowngood.Error{Kind: knowngood.Usage, Op: "write the plan", Err: err}
	}
	if form == outputJSON {
		if _, err := s.Out.Write(raw); err != nil {
			return err
		}
	} else {
		printPlan(s.Out, plan)
		fmt.Fprintf(s.Out, "\nNothing was changed. The plan is in %s.\n", file)
	}
	if remedy.NeedsApproval(plan) != nil {
		fmt.Fprintf(s.Err, "next: %s, then knowngood apply %s\n", approveCommand(plan, file), file)
		return nil
	}
	fmt.Fprintf(s.Err, "next: knowngood apply %s\n", file)
	return nil
}

// approveCommand is how a plan is approved.
func approveCommand(p *knowngood.Plan, file string) string {
	command := "knowngood approve " + file
	if len(p.Incomplete) > 0 {
		command += " --incomplete"
	}
	return command
}

// printPlan shows a plan whole: each call in order, what it changes, what
// happens where something fails, and what it needs.
func printPlan(w io.Writer, p *knowngood.Plan) {
	fmt.Fprintf(w, "Plan %s: %s for %s\n", short(p.Hash), p.Document.Name, p.Resource.ID)
	fmt.Fprintf(w, "Account %s, %s", p.Place.Account, p.Place.Region)
	if p.Role != "" {
		fmt.Fprintf(w, ", as %s", p.Role)
	}
	fmt.Fprintf(w, "\n\n")
	printCalls(w, p, p.Parts[0].Calls)
	printChange(w, "  ", p)
	for _, part := range p.Parts[1:] {
		fmt.Fprintf(w, "\nOnly if %s: %s\n", conditions(part.When), counts(part.Calls))
		printCalls(w, p, part.Calls)
	}
	for _, why := range p.Incomplete {
		fmt.Fprintf(w, "\nIncomplete: %s\n", why)
	}
	for _, a := range p.Document.Attachments {
		fmt.Fprintf(w, "\nAttachment %s: %d bytes, sha256 %s", a.Name, a.Size, a.SHA256)
	}
	if len(p.Document.Attachments) > 0 {
		fmt.Fprintln(w)
	}
	printSecrets(w, p.Secrets)
	fmt.Fprintln(w)
	wrapped(w, "IAM actions: ", p.Actions)
	if why := remedy.NeedsApproval(p); why != nil {
		fmt.Fprintf(w, "Needs an approval: %s\n", strings.Join(why, "; "))
	}
}

// printChange shows the before and after, and the estimated downtime.
func printChange(w io.Writer, indent string, p *knowngood.Plan) {
	if len(p.Display.Before)+len(p.Display.After) > 0 {
		fmt.Fprintln(w)
	}
	if len(p.Display.Before) > 0 {
		fmt.Fprintf(w, "%sbefore    %s\n", indent, properties(p.Display.Before))
	}
	if len(p.Display.After) > 0 {
		fmt.Fprintf(w, "%safter     %s\n", indent, properties(p.Display.After))
	}
	if d := p.Risk.DowntimeSeconds; d[1] > 0 {
		fmt.Fprintf(w, "%sdowntime  an estimated %s to %s: choose a maintenance window\n", indent, duration(d[0]), duration(d[1]))
	}
}

// pageWidth is how wide text that can be broken gets.
const pageWidth = 110

// wrapped writes a list over as many lines as it needs, after a title; of an
// empty one, nothing.
func wrapped(w io.Writer, title string, list []string) {
	if len(list) == 0 {
		return
	}
	for _, line := range folded(list, pageWidth-len(title)) {
		fmt.Fprintln(w, title+line)
		title = strings.Repeat(" ", len(title))
	}
}

// folded joins a list with commas into lines of at most a width.
func folded(list []string, width int) []string {
	var lines []string
	line := ""
	for i, e := range list {
		if i < len(list)-1 {
			e += ","
		}
		if line != "" && len(line)+1+len(e) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += e
	}
	return append(lines, line)
}

func properties(list []knowngood.Property) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.Name + " " + p.Value
	}
	return strings.Join(out, "   ")
}

// duration is a time for people: minutes below two hours, else hours.
func duration(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	if d < 2*time.Hour {
		return fmt.Sprintf("%d min", int64(d.Round(time.Minute)/time.Minute))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// conditions names the first ways into a part.
func conditions(when []string) string {
	if len(when) <= 2 {
		return strings.Join(when, ", or ")
	}
	return fmt.Sprintf("%s, or %d other steps on the way fail", when[0], len(when)-1)
}

// counts says how many calls there are, and how many of them write.
func counts(calls []knowngood.Call) string {
	writes := 0
	for _, c := range calls {
		if c.Class == knowngood.Write {
			writes++
		}
	}
	return fmt.Sprintf("%s, %s", plural(len(calls), "call"), plural(writes, "write"))
}

// plural is a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// callTable shows the calls of a plan, numbered, in lines of their own.
type callTable struct {
	rows   [][]string
	number map[string]string // of the main part's calls and those below them, by id
}

func newCallTable(p *knowngood.Plan) *callTable {
	t := &callTable{rows: [][]string{{"", "", "call", "on", "effect", "taken back by"}}, number: map[string]string{}}
	t.count(p, "")
	return t
}

// count numbers the calls of a plan's main part, and below each that starts another
// automation those of that.
func (t *callTable) count(p *knowngood.Plan, above string) {
	for i, c := range p.Parts[0].Calls {
		t.number[c.ID] = above + fmt.Sprint(i+1)
		if child := childPlan(p, c); child != nil {
			t.count(child, t.number[c.ID]+".")
		}
	}
}

// childPlan is the plan of the automation that a call starts; nil: it starts none.
func childPlan(p *knowngood.Plan, c knowngood.Call) *knowngood.Plan {
	i := slices.IndexFunc(p.Children, func(child knowngood.Plan) bool { return c.Child != "" && child.RunID == c.Child })
	if i < 0 {
		return nil
	}
	return &p.Children[i]
}

// add adds a call.
func (t *callTable) add(number string, c knowngood.Call) {
	row := []string{numbered(number), class(c.Class), indented(number) + c.Service + ":" + c.Operation, t.summary(c.Input), "", ""}
	if c.Service == runbook.WebhookAction {
		row[2], row[3] = indented(number)+c.Service, t.webhook(c.Input)
	}
	if c.Class == knowngood.Write {
		row[4] = string(c.Effect)
		if c.Effect != knowngood.Irreversible {
			row[5] = c.Inverse
		}
	}
	t.rows = append(t.rows, row)
}

func printCalls(w io.Writer, p *knowngood.Plan, calls []knowngood.Call) {
	t := newCallTable(p)
	t.addAll(p, "", calls)
	columns(w, "  ", t.rows)
}

// addAll adds calls, and below one that starts another automation those of that.
func (t *callTable) addAll(p *knowngood.Plan, above string, calls []knowngood.Call) {
	for i, c := range calls {
		number := above + fmt.Sprint(i+1)
		child := childPlan(p, c)
		if child == nil {
			t.add(number, c)
			continue
		}
		t.start(number, c.Step, string(c.Effect), child)
		t.addChild(number+".", child)
	}
}

// start adds the line of an automation that is started.
func (t *callTable) start(number, step, effect string, p *knowngood.Plan) {
	t.rows = append(t.rows, []string{numbered(number), "run", indented(number) + p.Document.Name, startedOn(step, p), effect, ""})
}

func numbered(number string) string { return fmt.Sprintf("%3s", number) }

// indented is the space before a call of an automation that another starts.
func indented(number string) string { return strings.Repeat("  ", strings.Count(number, ".")) }

// startedOn says what an automation that is started is for.
func startedOn(step string, p *knowngood.Plan) string {
	if g := p.Group; g != nil {
		what := "target"
		if p.Children[0].MultiAccount && p.Children[0].Display.Summary == "" {
			what = "location"
		}
		return fmt.Sprintf("%s: %s, %s at once, stops after more than %s failed", step, plural(len(p.Children), what), g.MaxConcurrency, g.MaxErrors)
	}
	return step
}

// addChild adds what another automation does: its expected path, and a line for
// what else it may do.
func (t *callTable) addChild(above string, p *knowngood.Plan) {
	for i := range p.Children {
		if p.Group == nil {
			break
		}
		member := &p.Children[i]
		if i == shownMembers {
			t.rows = append(t.rows, []string{"", "", indented(above) + fmt.Sprintf("and %d more", len(p.Children)-i)})
			break
		}
		number := above + fmt.Sprint(i+1)
		t.start(number, memberName(p, member), string(member.Risk.Effect), member)
		t.addChild(number+".", member)
	}
	t.addAll(p, above, p.Parts[0].Calls)
	for _, part := range p.Parts[1:] {
		t.rows = append(t.rows, []string{"", "", indented(above) + "only if " + conditions(part.When) + ": " + counts(part.Calls)})
	}
}

// memberName tells one of many automations from the others: by its account and
// Region, or by the parameters in which it differs.
func memberName(group, p *knowngood.Plan) string {
	if p.Place == group.Place && p.Display.Summary != "" {
		return p.Display.Summary
	}
	return p.Place.Account + " " + p.Place.Region
}

// shownMembers is how many of many automations are shown; the plan's file has all.
const shownMembers = 10

// columns writes rows so that their cells stand under each other. The last cell
// of a row may be of any length.
func columns(w io.Writer, indent string, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		line := indent
		for i, cell := range row {
			line += cell
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-len([]rune(cell))+2)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func class(c knowngood.CallClass) string {
	if c == knowngood.SensitiveRead {
		return "read*"
	}
	return string(c)
}

// summaryWidth bounds what is shown of a call's input; the plan's file has all.
const summaryWidth = 56

// summary shows the most telling members of a call's input: ids first, for what
// is acted on matters most.
func (t *callTable) summary(input any) string {
	in, _ := input.(map[string]any)
	keys := slices.SortedFunc(maps.Keys(in), func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	out := ""
	for _, k := range keys {
		v := t.shown(in[k])
		if v == "" || k == "ClientToken" {
			continue
		}
		next := k + " " + v
		if selfSpeaking.MatchString(v) {
			next = v
		}
		switch {
		case out == "" && len([]rune(next)) > summaryWidth:
			return string([]rune(next)[:summaryWidth-1]) + "…"
		case out == "":
			out = next
		case len([]rune(out+", "+next)) <= summaryWidth:
			out += ", " + next
		}
	}
	return out
}

// webhook says which webhook is invoked, and with what.
func (t *callTable) webhook(input any) string {
	in, _ := input.(map[string]any)
	out := "the webhook " + t.shown(in["IntegrationName"]) + " is invoked"
	if body := t.shown(in["Body"]); body != "" {
		out += ": " + body
	}
	if r := []rune(out); len(r) > summaryWidth {
		out = string(r[:summaryWidth-1]) + "…"
	}
	return out
}

// selfSpeaking values need no name before them: vol-0f3a…, and what is new.
var selfSpeaking = regexp.MustCompile(`^[a-z]{1,6}-[0-9a-f]{8,17}$|^\(new [A-Za-z]+( of [\d.]+)?\)$`)

func rank(member string) int {
	switch {
	case strings.HasSuffix(member, "Id"), strings.HasSuffix(member, "Ids"), member == "Bucket", strings.HasSuffix(member, "Name"):
		return 0
	case member == "Device", member == "Encrypted", member == "Attribute":
		return 1
	case member == "Description", strings.HasPrefix(member, "Tag"), strings.HasPrefix(member, "Source"):
		return 3
	}
	return 2
}

// shown is a planned value for people; "" for what is not worth a line.
func (t *callTable) shown(v any) string {
	switch v := v.(type) {
	case map[string]any:
		if texts, ok := v["$text"].([]any); ok {
			out := ""
			for _, part := range texts {
				out += t.shown(part)
			}
			return out
		}
		if ref, ok := v["$ref"].(map[string]any); ok {
			path, _ := ref["path"].(string)
			from, _ := ref["from"].(string)
			made := "new " + strings.TrimSuffix(path[strings.LastIndex(path, ".")+1:], "Id")
			if n := t.number[from]; n != "" {
				made += " of " + n
			}
			return "(" + made + ")"
		}
		return ""
	case []any:
		var parts []string
		for _, e := range v {
			if s := t.shown(e); s != "" {
				parts = append(parts, s)
			}
		}
		return strings.Join(parts, " ")
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}
