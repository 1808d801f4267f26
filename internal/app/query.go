package app

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
)

type queryOptions struct {
	storeOptions
	output  string
	limit   int
	timeout time.Duration
}

func newQuery(s Streams) *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query SQL",
		Short: "Ask the inventory in SQL: resources, history, relationships, evaluations, findings, calls, runs",
		Long: `Answers a SELECT, in SQLite's dialect, over what scans have left in --state. The views
are resources, history, relationships, evaluations, findings, calls and runs;
docs/inventory.md describes their columns. It reads nothing else, and writes nothing.

  knowngood query "SELECT id, configuration ->> 'size' AS gib FROM resources
                   WHERE type = 'AWS::EC2::Volume' ORDER BY gib DESC"`,
		Args: takes(cobra.ExactArgs(1), "one query, in quotes"),
		RunE: func(cmd *cobra.Command, args []string) error { return runQuery(cmd.Context(), s, o, args[0]) },
	}
	o.storeOptions.register(cmd)
	cmd.Flags().StringVar(&o.output, "output", outputTable, "table, json or csv")
	cmd.Flags().IntVar(&o.limit, "limit", 10000, "most rows of the answer")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "longest time that the query may take")
	return cmd
}

const outputCSV = "csv"

// queryStore is a store that answers queries, and lets them do nothing else.
type queryStore interface {
	Query(ctx context.Context, query string, limit int) (knowngood.QueryResult, error)
}

func runQuery(ctx context.Context, s Streams, o queryOptions, query string) error {
	switch {
	case o.output != outputCSV && checkOutput(o.output) != nil:
		return knowngood.E(knowngood.Usage, "", "--output %s: expected table, json or csv", o.output)
	case o.limit < 1:
		return knowngood.E(knowngood.Usage, "", "--limit %d: expected at least 1", o.limit)
	case o.timeout <= 0:
		return knowngood.E(knowngood.Usage, "", "--timeout %s: expected more than 0s", o.timeout)
	}
	store, err := o.remembered(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	asked, ok := store.(queryStore)
	if !ok {
		return knowngood.E(knowngood.Usage, "query", "a store on PostgreSQL answers no queries of knowngood's").WithHint("ask it with psql, as a role that may only read")
	}
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	answer, err := asked.Query(limited, query, o.limit)
	switch {
	case ctx.Err() != nil:
		return knowngood.E(knowngood.Interrupted, "query", "interrupted")
	case limited.Err() != nil:
		return knowngood.E(knowngood.Other, "query", "it took longer than %s", o.timeout).WithHint("--timeout gives it more time")
	case err != nil:
		var e *knowngood.Error
		kind := knowngood.KindOf(err)
		if errors.As(err, &e) && kind != knowngood.Other {
			err = e.Err
		}
		return (&knowngood.Error{Kind: kind, Op: "query", Err: err}).WithHint("knowngood query --help; docs/inventory.md has the views and examples")
	}
	if err := printAnswer(s.Out, o.output, answer); err != nil {
		return err
	}
	if answer.More {
		fmt.Fprintf(s.Err, "only the first %d rows; --limit gives more\n", o.limit)
	}
	return nil
}

func printAnswer(w io.Writer, form string, a knowngood.QueryResult) error {
	switch form {
	case outputJSON:
		rows := make([]map[string]any, len(a.Rows))
		for i, row := range a.Rows {
			rows[i] = map[string]any{}
			for j, name := range a.Columns {
				if _, twice := rows[i][name]; twice {
					return knowngood.E(knowngood.Usage, "query", "two columns are called %s", name).WithHint("give one another name with AS")
				}
				rows[i][name] = row[j]
			}
		}
		return writeJSON(w, map[string]any{"columns": a.Columns, "rows": rows, "more": a.More})
	case outputCSV:
		out := csv.NewWriter(w)
		if err := out.Write(a.Columns); err != nil {
			return err
		}
		for _, row := range a.Rows {
			if err := out.Write(cells(row)); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}
	rows := [][]string{a.Columns}
	for _, row := range a.Rows {
		rows = append(rows, cells(row))
	}
	columns(w, "", rows)
	_, err := fmt.Fprintln(w, plural(len(a.Rows), "row"))
	return err
}

// cells are a row's values as text.
func cells(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		switch v := v.(type) {
		case nil:
		case []byte:
			out[i] = base64.StdEncoding.EncodeToString(v)
		case float64:
			out[i] = strconv.FormatFloat(v, 'g', -1, 64)
		default:
			out[i] = fmt.Sprint(v)
		}
	}
	return out
}
