package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/finding"
	"github.com/knowngood/knowngood/internal/inventory"
	"github.com/knowngood/knowngood/internal/planned"
	"github.com/knowngood/knowngood/internal/rule"
	"github.com/knowngood/knowngood/internal/template"
	"github.com/knowngood/knowngood/library"
)

// proactiveOptions are the flags of a scan of what is not deployed yet.
type proactiveOptions struct {
	templates, plans []string
	account          string
}

func (o *proactiveOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.templates, "template", nil, "CloudFormation template to judge before it is deployed, in place of an account")
	cmd.Flags().StringArrayVar(&o.plans, "terraform-plan", nil, "Terraform plan to judge before it is applied, as `terraform show -json` writes it")
	cmd.Flags().StringVar(&o.account, "account", "", "account that templates and plans are meant for; default: "+noAccount)
}

func (o *proactiveOptions) given() bool { return len(o.templates)+len(o.plans) > 0 }

// Where a template is meant for when nobody says so.
const (
	noAccount     = "000000000000"
	defaultRegion = "us-east-1"
)

// planHint says how a plan is written.
const planHint = "terraform plan -out plan && terraform show -json plan > plan.json"

// proactiveFile is a file to judge.
type proactiveFile struct {
	name      string
	data      []byte
	terraform bool
}

// runProactive judges templates and plans. It calls nothing and keeps nothing.
func runProactive(ctx context.Context, s Streams, o scanOptions) error {
	files, err := o.proactiveOptions.files()
	if err != nil {
		return err
	}
	place, err := o.place()
	if err != nil {
		return err
	}
	own, rest, err := splitParameters(files, o.params)
	if err != nil {
		return err
	}
	o.params = rest
	g, err := o.load(place)
	if err != nil {
		return err
	}
	g.printNotes(s.Err)
	judge, err := newProactiveJudge(g, place, knowngood.WallClock{}.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "%s as for account %s, Region %s; nothing is called\n", plural(len(files), "file"), place.Account, place.Region)
	report := &scanReport{Account: place.Account, Region: place.Region, Started: judge.now, Packs: g.packs, Rules: g.rules.Len(), NotEvaluated: append([]string{}, g.notEvaluated...),
		Evaluations: []knowngood.Evaluation{}, Findings: []knowngood.Finding{}, Archived: []knowngood.Finding{}, Unreadable: []knowngood.ReadError{}, Residuals: []knowngood.Residual{}, partition: place.Partition, arns: map[knowngood.ResourceKey]string{}}
	began := time.Now()
	for _, f := range files {
		if ctx.Err() != nil {
			return knowngood.E(knowngood.Interrupted, "scan", "interrupted")
		}
		if err := judge.file(f, own[f.name], report, s.Err); err != nil {
			return err
		}
	}
	finding.Sort(report.Findings)
	report.Seconds = time.Since(began).Seconds()
	if err := o.reportOptions.write(s, report, g); err != nil {
		return err
	}
	return report.verdict(o.failOn)
}

// files reads the templates and plans.
func (o *proactiveOptions) files() ([]proactiveFile, error) {
	var out []proactiveFile
	for i, name := range slices.Concat(o.templates, o.plans) {
		isPlan := i >= len(o.templates)
		limit := int64(template.MaxTemplateBytes)
		if isPlan {
			limit = planned.MaxPlanBytes
		}
		data, err := readAtMost(name, limit)
		if err != nil {
			hint := "--template takes a file; to judge an account leave it out"
			if isPlan {
				hint = planHint
			}
			return nil, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read what is to be deployed", Err: err}).WithHint("%s", hint)
		}
		out = append(out, proactiveFile{name, data, isPlan})
	}
	return out, nil
}

// readAtMost reads a file, of which one byte more than the limit is enough to see
// that it is too long.
func readAtMost(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if closed := f.Close(); err == nil {
		err = closed
	}
	var at *fs.PathError
	if errors.As(err, &at) || err == nil {
		return data, err
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}

// place is where the files are meant for, as far as flags and environment say.
func (o *scanOptions) place() (knowngood.Place, error) {
	place := knowngood.Place{Account: o.account, Region: o.region}
	for _, from := range []string{os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), defaultRegion} {
		if place.Region == "" {
			place.Region = from
		}
	}
	if place.Account == "" {
		place.Account = noAccount
	}
	switch {
	case !regionName.MatchString(place.Region):
		return place, knowngood.E(knowngood.Usage, "find the Region", "%q is no Region's name; expected one such as eu-west-1", place.Region).WithHint("it comes from --region or AWS_REGION")
	case len(place.Account) != 12 || strings.Trim(place.Account, "0123456789") != "":
		return place, knowngood.E(knowngood.Usage, "find the account", "%q is no account's number", place.Account).WithHint("--account takes twelve digits")
	}
	models, err := catalog()
	if err != nil {
		return place, err
	}
	partition, err := models.Partition(place.Region)
	if err != nil {
		return place, err
	}
	place.Partition = partition.ID
	return place, nil
}

// splitParameters gives each template the parameters that it declares, and what is
// left to the governance.
func splitParameters(files []proactiveFile, params []string) (own map[string]map[string]string, rest []string, err error) {
	given, _, err := parseParams(params)
	if err != nil {
		return nil, nil, err
	}
	own, taken := map[string]map[string]string{}, map[string]bool{}
	for _, f := range files {
		own[f.name] = map[string]string{}
		if f.terraform {
			continue
		}
		names, err := template.Declared(f.name, f.data)
		if err != nil {
			return nil, nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the template", Err: err}
		}
		for _, name := range names {
			if v, ok := given[name]; ok {
				own[f.name][name], _ = v.(string)
				taken[name] = true
			}
		}
	}
	for _, p := range params {
		if name, _, _ := strings.Cut(p, "="); !taken[name] {
			rest = append(rest, p)
		}
	}
	return own, rest, nil
}

// proactiveJudge judges files by the rules of a governance.
type proactiveJudge struct {
	g     *governance
	forms *inventory.Forms
	table *inventory.Table
	place knowngood.Place
	now   time.Time
}

func newProactiveJudge(g *governance, place knowngood.Place, now time.Time) (*proactiveJudge, error) {
	models, err := catalog()
	if err != nil {
		return nil, err
	}
	j := &proactiveJudge{g: g, place: place, now: now}
	if j.forms, err = inventory.LoadForms(library.FS); err != nil {
		return nil, err
	}
	j.table, err = inventory.LoadTypes(library.FS, models)
	return j, err
}

// read reads what a file would make.
func (j *proactiveJudge) read(f proactiveFile, parameters map[string]string) (*planned.Plan, error) {
	var plan *planned.Plan
	var err error
	hint := "`aws cloudformation validate-template` says more of a template"
	if f.terraform {
		hint = planHint
		plan, err = planned.Terraform(f.name, f.data, j.place, j.forms.References(true))
	} else {
		in := template.Inputs{Parameters: parameters, Account: j.place.Account, Region: j.place.Region, Partition: j.place.Partition}
		plan, err = template.Planned(f.name, f.data, in, j.forms.References(false))
	}
	if err != nil {
		return nil, (&knowngood.Error{Kind: knowngood.Invalid, Op: "read what is to be deployed", Err: err}).WithHint("%s", hint)
	}
	return plan, nil
}

// file judges one file and adds to the report. Messages go to w.
func (j *proactiveJudge) file(f proactiveFile, parameters map[string]string, report *scanReport, w io.Writer) error {
	plan, err := j.read(f, parameters)
	if err != nil {
		return err
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(w, "note: %s: %s\n", n.Position, n.Text)
	}
	for _, n := range plan.NotEvaluated {
		report.Unreadable = append(report.Unreadable, knowngood.ReadError{Place: j.place, ID: n.Position.String(), Service: "plan", Operation: "Resources", Code: "NotEvaluated", Message: n.Text})
		fmt.Fprintf(w, "not evaluated: %s: %s\n", n.Position, n.Text)
	}
	items := j.forms.Items(plan, j.place, j.table, j.g.rules.Reads(), j.now)
	report.Resources += len(plan.Resources)
	j.unmapped(plan, report, w)

	all := make([]knowngood.Resource, len(items))
	for i := range items {
		all[i] = items[i].Item
	}
	types := j.forms.Types(f.terraform)
	others, sweep := rule.Among(types, all, doubtful(plan, items, types)), j.g.rules.Sweep(j.now)
	for i := range items {
		j.unscoped(&items[i], report)
		for _, e := range sweep.Resource(&items[i].Item, others) {
			e.Resource.ID = items[i].From.Address
			if e.Compliance == knowngood.InsufficientData {
				j.notEvaluated(report, e.Rule, e.Resource.Type, items[i].From, reason(e.Annotation, items[i].Item.Unread))
				continue
			}
			report.Evaluations = append(report.Evaluations, e)
			if e.Compliance == knowngood.NonCompliant {
				report.Findings = append(report.Findings, j.found(e, items[i]))
			}
		}
	}
	return nil
}

// unscoped says which rules may have a resource in scope by tags that are not known.
func (j *proactiveJudge) unscoped(item *inventory.PlannedItem, report *scanReport) {
	at := slices.IndexFunc(item.Item.Unread, func(u knowngood.ReadError) bool { return u.Path == "tags" || u.Path == "" })
	if at < 0 {
		return
	}
	for _, a := range j.g.rules.On(item.Item.Type) {
		if a.Scope.TagKey != "" && !a.Scope.Covers(&item.Item) {
			j.notEvaluated(report, a.Name, item.Item.Type, item.From, "whether it is in scope is not known: "+item.Item.Unread[at].Message)
		}
	}
}

// notEvaluated adds that a rule can't be evaluated on a resource, and why.
func (j *proactiveJudge) notEvaluated(report *scanReport, name, resourceType string, r *planned.Resource, why string) {
	key := knowngood.ResourceKey{Account: j.place.Account, Region: j.place.Region, Type: resourceType, ID: r.Address}
	if r.Region != "" {
		key.Region = r.Region
	}
	why = r.Position.String() + ": " + why
	report.Evaluations = append(report.Evaluations, knowngood.Evaluation{Rule: name, Resource: key, Compliance: knowngood.InsufficientData, Annotation: why, Time: j.now.UTC()})
	report.NotEvaluated = append(report.NotEvaluated, fmt.Sprintf("%s on %s: %s", name, r.Address, why))
}

// found is a finding about a resource that is not there yet.
func (j *proactiveJudge) found(e knowngood.Evaluation, item inventory.PlannedItem) knowngood.Finding {
	a, _ := j.g.rules.Rule(e.Rule)
	at, key := item.From.Position, e.Resource
	key.ID = at.File + "/" + key.ID // the logical ids of two files may be the same
	return knowngood.Finding{
		ID: finding.ID(e.Rule, key, 0), Rule: e.Rule, Pack: a.Pack, Severity: a.Severity, Resource: e.Resource, Title: at.String(), Annotation: e.Annotation,
		State: knowngood.FindingOpen, Opened: e.Time, Updated: e.Time, Declared: &at,
	}
}

// unmapped says of the resources that no mapping reads which rules would look at
// them.
func (j *proactiveJudge) unmapped(plan *planned.Plan, report *scanReport, w io.Writer) {
	looked := j.g.rules.Types()
	unread := map[string]int{}
	for i := range plan.Resources {
		r := &plan.Resources[i]
		if _, ok := j.forms.Maps(r.Type); ok || j.forms.Says(r.Type) {
			continue
		}
		if t := j.forms.ItemType(r.Type); slices.Contains(looked, t) {
			for _, a := range j.g.rules.On(t) {
				j.notEvaluated(report, a.Name, t, r, "there is no mapping from the properties of "+r.Type)
			}
			continue
		}
		unread[r.Type]++
	}
	var list []string
	for _, t := range slices.Sorted(maps.Keys(unread)) {
		list = append(list, fmt.Sprintf("%s (%d)", t, unread[t]))
	}
	if len(list) > 0 {
		fmt.Fprintf(w, "note: %s: of types that are not judged: %s\n", plan.File, strings.Join(list, ", "))
	}
}

// doubtful says of which types a look-up may miss a resource, or find one that
// will not be made.
func doubtful(plan *planned.Plan, items []inventory.PlannedItem, types []string) []knowngood.ReadError {
	var out []knowngood.ReadError
	for i := range items {
		if why := items[i].From.Maybe; why != "" {
			out = append(out, knowngood.ReadError{Type: items[i].Item.Type, Service: "plan", Operation: "Resources", Code: inventory.CodeUnknown, Message: why})
		}
	}
	if len(plan.NotEvaluated) > 0 {
		for _, t := range types {
			out = append(out, knowngood.ReadError{Type: t, Service: "plan", Operation: "Resources", Code: inventory.CodeUnknown, Message: plan.NotEvaluated[0].Text})
		}
	}
	return out
}

// reason is an annotation with why a member is not known in place of the call that
// would have read it.
func reason(annotation string, unread []knowngood.ReadError) string {
	what, _, ok := strings.Cut(annotation, " could not be read: ")
	if !ok {
		return annotation
	}
	for _, u := range unread {
		if u.Path == what || u.Path == "" && what == "the resource" {
			return what + " is not known: " + u.Message
		}
	}
	return annotation
}
