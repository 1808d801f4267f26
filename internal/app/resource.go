package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
)

// resourceOptions are the flags of the commands that look at the inventory. They
// call nothing.
type resourceOptions struct {
	storeOptions
	output                string
	account, region, kind string
}

func (o *resourceOptions) register(cmd *cobra.Command) {
	o.storeOptions.register(cmd)
	cmd.Flags().StringVar(&o.account, "account", "", "account of the resource")
	cmd.Flags().StringVar(&o.region, "region", "", "Region of the resource; global: of none")
	cmd.Flags().StringVar(&o.kind, "type", "", "resource type, as AWS::EC2::Volume")
	registerOutput(cmd, &o.output)
}

func newResource(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resource",
		Short: "List the resources that scans have read, and show how they changed",
		Long: `Looks at the inventory that scans have left in --state. It calls nothing: what it
shows is as old as it says.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "there is no command %q", "resource "+args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newResourceList(s), newResourceShow(s), newResourceHistory(s), newResourceDiff(s))
	return cmd
}

// remembered opens what knowngood remembers; kind knowngood.Usage where nothing was
// ever scanned.
func (o storeOptions) remembered(ctx context.Context) (store, error) {
	if o.url == "" {
		if _, err := os.Stat(filepath.Join(o.state, "knowngood.db")); errors.Is(err, fs.ErrNotExist) {
			return nil, knowngood.E(knowngood.Usage, "look into "+o.state, "there is no knowngood.db: nothing was scanned here").
				WithHint("knowngood scan reads an account; --state names the folder of another")
		}
	}
	return o.openStore(ctx)
}

// one finds the one resource that a reference means. It may be deleted.
func (o *resourceOptions) one(ctx context.Context, store inventoryStore, ref string) (knowngood.Observation, error) {
	found, err := store.Items(ctx, knowngood.ItemFilter{Ref: ref, Account: o.account, Region: o.region, Type: o.kind, Deleted: true})
	if err != nil {
		return knowngood.Observation{}, err
	}
	op := "find " + ref
	if len(found) > 1 {
		// A bucket that was deleted and one of the same name elsewhere: that is the one.
		live := slices.DeleteFunc(slices.Clone(found), func(o knowngood.Observation) bool { return o.Item.Status == knowngood.ItemDeleted })
		if len(live) == 1 {
			found = live
		}
	}
	switch len(found) {
	case 0:
		return knowngood.Observation{}, knowngood.E(knowngood.Usage, op, "the inventory has no resource with that id, ARN or name").WithHint("knowngood resource list --deleted")
	case 1:
		return found[0], nil
	}
	choices := make([]error, len(found))
	for i := range found {
		choices[i] = fmt.Errorf("%s is one: --account %s --region %s --type %s", ref, found[i].Item.AccountID, found[i].Item.Region, found[i].Item.Type)
		if found[i].Item.ARN != "" {
			choices[i] = fmt.Errorf("%w, or %s", choices[i], found[i].Item.ARN)
		}
	}
	return knowngood.Observation{}, (&knowngood.Error{Kind: knowngood.Usage, Op: op, Err: errors.Join(choices...)}).WithHint("give an ARN, or the flags of one")
}

func newResourceList(s Streams) *cobra.Command {
	var o resourceOptions
	var tag string
	var deleted bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the resources, with where and when they were read", Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			key, value, ok := strings.Cut(tag, "=")
			if tag != "" && (!ok || key == "") {
				return knowngood.E(knowngood.Usage, "", "--tag %s: expected KEY=VALUE", tag)
			}
			store, err := o.remembered(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			found, err := store.Items(cmd.Context(), knowngood.ItemFilter{Account: o.account, Region: o.region, Type: o.kind, TagKey: key, Tag: value, Deleted: deleted})
			if err != nil {
				return err
			}
			return printResources(s, o.output, found, time.Now())
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&tag, "tag", "", "KEY=VALUE of a tag of the resources")
	cmd.Flags().BoolVar(&deleted, "deleted", false, "list those too that are no longer there")
	return cmd
}

// listed is a resource in a list.
type listed struct {
	knowngood.ResourceKey
	Name     string               `json:"resourceName,omitempty"`
	ARN      string               `json:"arn,omitempty"`
	Status   knowngood.ItemStatus `json:"configurationItemStatus"`
	Captured time.Time            `json:"configurationItemCaptureTime"` // first read so
	Seen     time.Time            `json:"seen"`                         // last read so
	Source   string               `json:"source"`
	Tags     map[string]string    `json:"tags"`
}

func printResources(s Streams, form string, found []knowngood.Observation, now time.Time) error {
	if form == outputJSON {
		out := make([]listed, len(found))
		for i := range found {
			r := &found[i].Item
			out[i] = listed{r.Key(), r.Name, r.ARN, r.Status, r.CaptureTime, found[i].Seen, found[i].Source, r.Tags}
		}
		return writeJSON(s.Out, map[string]any{"resources": out})
	}
	rows := [][]string{{"type", "id", "name", "account", "Region", "source", "age"}}
	for i := range found {
		r := &found[i].Item
		age := ago(now.Sub(found[i].Seen))
		if r.Status == knowngood.ItemDeleted {
			age += ", deleted"
		}
		rows = append(rows, []string{r.Type, r.ID, title(r), r.AccountID, r.Region, found[i].Source, age})
	}
	if len(found) > 0 {
		columns(s.Out, "", rows)
	}
	_, err := fmt.Fprintln(s.Out, plural(len(found), "resource"))
	return err
}

// ago is an age in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func newResourceShow(s Streams) *cobra.Command {
	var o resourceOptions
	cmd := &cobra.Command{
		Use: "show ID|ARN", Short: "Show a resource as AWS Config would record it", Args: takes(cobra.ExactArgs(1), "the id, ARN or name of a resource"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			store, err := o.remembered(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			found, err := o.one(cmd.Context(), store, args[0])
			if err != nil {
				return err
			}
			if o.output == outputJSON {
				return writeJSON(s.Out, found.Item)
			}
			return printResource(s, found, time.Now())
		},
	}
	o.register(cmd)
	return cmd
}

func printResource(s Streams, o knowngood.Observation, now time.Time) error {
	r := &o.Item
	rows := [][]string{{"type", r.Type}, {"id", r.ID}, {"name", r.Name}, {"ARN", r.ARN}, {"account", r.AccountID}, {"Region", r.Region}, {"status", string(r.Status)},
		{"so since", stamp(r.CaptureTime)}, {"last read", fmt.Sprintf("%s, %s ago, by %s", stamp(o.Seen), ago(now.Sub(o.Seen)), o.Source)}}
	for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
		rows = append(rows, []string{"tag", key + "=" + r.Tags[key]})
	}
	for _, rel := range r.Relationships {
		rows = append(rows, []string{"related", strings.TrimSpace(rel.RelationshipName + " " + rel.Type + " " + rel.ID + rel.Name)})
	}
	for _, e := range r.Unread {
		rows = append(rows, []string{"not read", e.Path + ": " + e.Code})
	}
	columns(s.Out, "", slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" }))
	for _, part := range []struct {
		name string
		of   map[string]any
	}{{"configuration", r.Configuration}, {"supplementary configuration", r.Supplementary}} {
		if len(part.of) == 0 {
			continue
		}
		fmt.Fprintln(s.Out, part.name)
		if err := writeJSON(s.Out, part.of); err != nil {
			return err
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// change is what one observation of a resource changed, and who may have done it.
type change struct {
	Captured    time.Time              `json:"configurationItemCaptureTime"`
	Status      knowngood.ItemStatus   `json:"configurationItemStatus"`
	Source      string                 `json:"source"`
	Since       *time.Time             `json:"since,omitempty"`
	Differences []inventory.Difference `json:"changedProperties"`
	Calls       []knowngood.TrailCall  `json:"calls"`
}

// changes are those of a history, the newest first. Each item has in RelatedEvents
// the calls that may have made it.
func changes(history []knowngood.Observation, calls []knowngood.TrailCall) []change {
	out := make([]change, len(history))
	for i := range history {
		o := &history[i]
		c := change{Captured: o.Item.CaptureTime, Status: o.Item.Status, Source: o.Source, Since: o.Since, Differences: []inventory.Difference{}, Calls: inventory.Causes(*o, calls)}
		if i+1 < len(history) && history[i+1].Source == o.Source {
			c.Differences = append(c.Differences, inventory.Diff(&history[i+1].Item, &o.Item)...)
		}
		o.Item.RelatedEvents = []string{}
		for _, call := range c.Calls {
			o.Item.RelatedEvents = append(o.Item.RelatedEvents, call.EventID)
		}
		if c.Calls == nil {
			c.Calls = []knowngood.TrailCall{}
		}
		out[i] = c
	}
	return out
}

func newResourceHistory(s Streams) *cobra.Command {
	var o resourceOptions
	cmd := &cobra.Command{
		Use: "history ID|ARN", Short: "List a resource's changes: when, what, and who",
		Long: `Lists the changes of a resource that scans have seen, the newest first. Who made one
is known from CloudTrail's files (knowngood scan --trail): all calls are listed that
changed the resource between the two scans that saw it differ.`,
		Args: takes(cobra.ExactArgs(1), "the id, ARN or name of a resource"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			store, err := o.remembered(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			history, made, err := o.past(cmd.Context(), store, args[0])
			if err != nil {
				return err
			}
			if o.output == outputJSON {
				items := make([]knowngood.Resource, len(history))
				for i := range history {
					items[i] = history[i].Item
				}
				return writeJSON(s.Out, map[string]any{"configurationItems": items, "changes": made})
			}
			printHistory(s, &history[0].Item, made)
			return nil
		},
	}
	o.register(cmd)
	return cmd
}

// past is a resource's history, with its changes.
func (o *resourceOptions) past(ctx context.Context, store inventoryStore, ref string) ([]knowngood.Observation, []change, error) {
	found, err := o.one(ctx, store, ref)
	if err != nil {
		return nil, nil, err
	}
	history, err := store.History(ctx, found.Item.Key())
	if err != nil {
		return nil, nil, err
	}
	calls, err := store.Calls(ctx, inventory.Calls(&found.Item))
	if err != nil {
		return nil, nil, err
	}
	return history, changes(history, calls), nil
}

func printHistory(s Streams, r *knowngood.Resource, made []change) {
	fmt.Fprintf(s.Out, "%s %s in %s/%s\n", r.Type, r.ID, r.AccountID, r.Region)
	for i, c := range made {
		what := ""
		switch {
		case c.Status == knowngood.ItemDeleted:
			what = "deleted"
		case i+1 == len(made) || made[i+1].Source != c.Source:
			what = "first seen"
		case made[i+1].Status == knowngood.ItemDeleted:
			what = "there again"
		}
		line := stamp(c.Captured)
		if c.Since != nil {
			line += ", after " + stamp(*c.Since)
		}
		if c.Source != knowngood.SourceAPI {
			line += ", by " + c.Source
		}
		fmt.Fprintln(s.Out, "\n"+strings.TrimSpace(line+"  "+what))
		if what == "" {
			printDifferences(s, "  ", c.Differences)
		}
		for _, call := range c.Calls {
			fmt.Fprintf(s.Out, "  who  %s  %s by %s from %s, event %s\n", stamp(call.Time), call.EventName, call.Principal, orNobody(call.SourceIP), call.EventID)
		}
		if len(c.Calls) == 0 && c.Since != nil {
			fmt.Fprintln(s.Out, "  who  not known: no trail that was read has a call that did it")
		}
	}
}

func orNobody(ip string) string {
	if ip == "" {
		return "an unknown address"
	}
	return ip
}

func printDifferences(s Streams, indent string, list []inventory.Difference) {
	rows := make([][]string, len(list))
	for i, d := range list {
		before, after := "-", "-"
		if d.ChangeType != inventory.Create {
			before = brief(d.PreviousValue)
		}
		if d.ChangeType != inventory.Delete {
			after = brief(d.UpdatedValue)
		}
		rows[i] = []string{d.Path, before, "→ " + after}
	}
	columns(s.Out, indent, rows)
}

// brief is a value in at most a line; --output json has it whole.
func brief(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	const most = 60
	if text := []rune(string(raw)); len(text) > most {
		return string(text[:most-1]) + "…"
	}
	return string(raw)
}
