package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

func open(t *testing.T) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "a?b #", "knowngood.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	item := knowngood.Resource{AccountID: "111122223333", Region: "eu-west-1", Type: "AWS::EC2::Volume", ID: "vol-1", Status: knowngood.ItemOK, CaptureTime: time.Now().Add(-time.Hour),
		Tags: map[string]string{"Env": "prod"}, Configuration: map[string]any{"size": 500}, Relationships: []knowngood.Relationship{{Type: "AWS::EC2::Instance", ID: "i-1", RelationshipName: "Is attached to Instance"}}}
	err = s.UpdateItems(t.Context(), knowngood.ItemScope{Account: item.AccountID, Region: item.Region, Type: item.Type, Source: knowngood.SourceAPI}, func(b knowngood.ItemBatch) (knowngood.ItemBatch, error) {
		b.Latest = []knowngood.Observation{{Item: item, Source: knowngood.SourceAPI, Seen: item.CaptureTime}}
		return b, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutEvaluation(t.Context(), knowngood.Evaluation{Rule: "encrypted-volumes", Resource: item.Key(), Compliance: knowngood.NonCompliant, Time: item.CaptureTime}); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateFinding(t.Context(), "f-1", func(f knowngood.Finding) (knowngood.Finding, error) {
		return knowngood.Finding{Rule: "encrypted-volumes", Severity: knowngood.High, Resource: item.Key(), State: knowngood.FindingOpen}, nil
	}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestQueriesReadTheViews(t *testing.T) {
	s := open(t)
	for query, want := range map[string]any{
		"SELECT configuration ->> 'size' FROM resources WHERE tags ->> 'Env' = 'prod'":                           int64(500),
		"SELECT age BETWEEN 3599 AND 3700 FROM resources":                                                        int64(1),
		"SELECT count(*) FROM history":                                                                           int64(1),
		"SELECT related_id FROM relationships":                                                                   "i-1",
		"SELECT r.id FROM resources r JOIN evaluations e USING (account, region, type, id)":                      "vol-1",
		"SELECT severity FROM findings WHERE resource_id = 'vol-1'":                                              "HIGH",
		"SELECT count(*) FROM runs":                                                                              int64(0),
		"SELECT count(*) FROM calls":                                                                             int64(0),
		"SELECT t.key FROM resources, json_each(tags) AS t":                                                      "Env",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 7) SELECT max(i) FROM n":       int64(7),
		"WITH x AS (SELECT * FROM resources) SELECT upper(id) FROM x ORDER BY 1":                                 "VOL-1",
		"SELECT row_number() OVER (ORDER BY id) FROM (SELECT id FROM resources UNION SELECT rule FROM findings)": int64(1),
	} {
		got, err := s.Query(t.Context(), query, 10)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if len(got.Rows) == 0 || got.Rows[0][0] != want {
			t.Errorf("%s: %v, want %v", query, got.Rows, want)
		}
	}
}

// TestQueriesDoNothingElse tries what a query must not do, by what SQLite offers.
func TestQueriesDoNothingElse(t *testing.T) {
	s := open(t)
	for query, why := range map[string]string{
		"INSERT INTO findings VALUES ('x')":                                      "",
		"INSERT INTO main.findings (id, state, resource, body) VALUES (1,1,1,1)": "writes",
		"DELETE FROM main.items":                                                 "writes",
		"UPDATE main.items SET body = ''":                                        "writes",
		"DROP TABLE main.items":                                                  "",
		"CREATE TABLE x (y)":                                                     "",
		"CREATE TEMP VIEW mine AS SELECT * FROM main.plans":                      "",
		"DROP VIEW resources":                                                    "",
		"ATTACH 'x.db' AS x":                                                     "attaches a database",
		"PRAGMA query_only = 0":                                                  "has a PRAGMA",
		"PRAGMA table_list":                                                      "has a PRAGMA",
		"VACUUM INTO 'copy.db'":                                                  "",
		"BEGIN":                                                                  "transaction",
		"SELECT load_extension('x')":                                             "",
		"SELECT * FROM items":                                                    "reads items",
		"SELECT count(*) FROM main.plans":                                        "reads plans",
		"SELECT * FROM main.findings":                                            "reads findings",
		"SELECT * FROM sqlite_schema":                                            "reads sqlite_",
		"SELECT * FROM temp.sqlite_schema":                                       "reads sqlite_",
		"SELECT * FROM pragma_table_list":                                        "",
		"SELECT * FROM dbstat":                                                   "",
		"WITH resources AS (SELECT * FROM main.plans) SELECT * FROM resources": "reads plans",
		"SELECT * FROM (SELECT body FROM main.approvals) AS resources":         "reads approvals",
		"WITH \"view \" AS (SELECT * FROM main.plans) SELECT * FROM \"view \"": "reads plans",
		"SELECT (SELECT body FROM main.plans) FROM resources":                  "reads plans",
		"SELECT 1 WHERE EXISTS (SELECT 1 FROM run_log)":                        "reads run_log",
		"SELECT 1; DELETE FROM main.items":                                     "writes",
		"EXPLAIN SELECT * FROM main.plans":                                     "reads plans",
		"":                                                                     "",
		"-- nothing":                                                           "",
		"SELECT nothing FROM resources":                                        "",
		"SELECT hex(zeroblob(100000000))":                                      "",
	} {
		got, err := s.Query(t.Context(), query, 10)
		if kind := knowngood.KindOf(err); err == nil || kind != knowngood.Refused && kind != knowngood.Usage || !strings.Contains(err.Error(), why) || why != "" && kind != knowngood.Refused {
			t.Errorf("%s: %v, %v (kind %d), want %q", query, got, err, knowngood.KindOf(err), why)
		}
	}
	if got, err := s.Query(t.Context(), "SELECT count(*) FROM resources", 1); err != nil || got.Rows[0][0] != int64(1) {
		t.Errorf("%v, %v: something was written", got, err)
	}
}

func TestQueriesAreBounded(t *testing.T) {
	s := open(t)
	endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
	got, err := s.Query(t.Context(), endless, 5)
	if err != nil || len(got.Rows) != 5 || !got.More {
		t.Errorf("%d rows, more %v, %v", len(got.Rows), got.More, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Query(ctx, strings.Replace(endless, "SELECT i FROM n", "SELECT max(i) FROM n", 1), 5); err == nil || ctx.Err() == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("an endless query gave %v", err)
	}
}

// TestTheExamplesRun runs the queries that docs/inventory.md shows.
func TestTheExamplesRun(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "inventory.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), "```sql\n")
	examples, _, _ := strings.Cut(after, "```")
	s, ran := open(t), 0
	for example := range strings.SplitSeq(examples, ";\n") {
		if strings.TrimSpace(example) == "" {
			continue
		}
		ran++
		if _, err := s.Query(t.Context(), example, 10); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
	if ran != 5 {
		t.Errorf("%d examples", ran)
	}
}

// TestTheViewsAreDescribed holds docs/inventory.md's table against the views.
func TestTheViewsAreDescribed(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "inventory.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t)
	for _, view := range []string{"resources", "history", "relationships", "calls", "evaluations", "findings", "runs"} {
		_, after, found := strings.Cut(string(raw), "| `"+view+"` |")
		row, _, _ := strings.Cut(after, "\n")
		if view == "history" {
			row += "`account`, `region`, `type`, `id`, `name`, `arn`, `source`, `captured`, `seen`, `tags`, `configuration`, `supplementary`" // as resources
		}
		got, err := s.Query(t.Context(), "SELECT * FROM "+view, 1)
		if err != nil || !found {
			t.Errorf("%s: described %v, %v", view, found, err)
		}
		for _, column := range got.Columns {
			if !strings.Contains(row, "`"+column+"`") {
				t.Errorf("%s has a column %s that is not described", view, column)
			}
		}
	}
}
