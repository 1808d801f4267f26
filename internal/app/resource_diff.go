package app

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/inventory"
)

func newResourceDiff(s Streams) *cobra.Command {
	var o resourceOptions
	var from, to string
	cmd := &cobra.Command{
		Use: "diff ID|ARN", Short: "Show what of a resource differs between two times",
		Long: `Shows the members of a resource that differ between two times: as it is, and as it
was before its latest change, unless --from and --to say otherwise. A time is
2026-11-24T08:00:00Z, 2026-11-24, or how long ago it was, as 36h.`,
		Args: takes(cobra.ExactArgs(1), "the id, ARN or name of a resource"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(o.output); err != nil {
				return err
			}
			now := time.Now()
			start, err := moment("--from", from, now)
			if err != nil {
				return err
			}
			end, err := moment("--to", to, now)
			if err != nil {
				return err
			}
			if start != nil && end != nil && end.Before(*start) {
				return knowngood.E(knowngood.Usage, "", "--to %s is before --from %s", to, from)
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
			history, err := store.History(cmd.Context(), found.Item.Key())
			if err != nil {
				return err
			}
			before, after, err := between(history, found.Source, start, end)
			if err != nil {
				return err
			}
			return printDiff(s, o.output, before, after)
		},
	}
	o.register(cmd)
	cmd.Flags().StringVar(&from, "from", "", "time of the earlier state; default: before the latest change")
	cmd.Flags().StringVar(&to, "to", "", "time of the later state; default: now")
	return cmd
}

// moment reads a time that a flag gives; nil: none.
func moment(flag, text string, now time.Time) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		t := now.Add(-d)
		return &t, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return &t, nil
		}
	}
	return nil, knowngood.E(knowngood.Usage, "", "%s %s: expected a time such as 2026-11-24T08:00:00Z, 2026-11-24, or 36h for as long ago", flag, text)
}

// between finds the states of a resource at two times, as the source has them that
// saw it last.
func between(history []knowngood.Observation, source string, from, to *time.Time) (before, after *knowngood.Resource, err error) {
	history = slices.DeleteFunc(history, func(o knowngood.Observation) bool { return o.Source != source })
	at := func(t *time.Time) int { // the newest state that was there by then
		return slices.IndexFunc(history, func(o knowngood.Observation) bool { return !o.Item.CaptureTime.After(*t) })
	}
	oldest := history[len(history)-1].Item.CaptureTime
	late := 0
	if to != nil {
		if late = at(to); late < 0 {
			return nil, nil, knowngood.E(knowngood.Usage, "", "--to is before the resource was first read, at %s", stamp(oldest))
		}
	}
	early := late + 1
	if from != nil {
		if early = at(from); early < 0 {
			return nil, nil, knowngood.E(knowngood.Usage, "", "--from is before the resource was first read, at %s", stamp(oldest))
		}
	}
	if early >= len(history) {
		return nil, nil, knowngood.E(knowngood.Usage, "", "there is no state before that of %s: it is the first that was read", stamp(history[late].Item.CaptureTime))
	}
	return &history[early].Item, &history[late].Item, nil
}

func printDiff(s Streams, form string, before, after *knowngood.Resource) error {
	differences := append([]inventory.Difference{}, inventory.Diff(before, after)...)
	if form == outputJSON {
		return writeJSON(s.Out, map[string]any{"resource": after.Key(), "from": before.CaptureTime, "to": after.CaptureTime, "changedProperties": differences})
	}
	fmt.Fprintf(s.Out, "%s %s, from %s to %s\n", after.Type, after.ID, stamp(before.CaptureTime), stamp(after.CaptureTime))
	if len(differences) == 0 {
		fmt.Fprintln(s.Out, "no difference")
		return nil
	}
	printDifferences(s, "  ", differences)
	return nil
}
