package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/knowngood/knowngood"
)

// views are what queries see, by name. docs/inventory.md describes them.
var views = map[string]string{
	"resources": `SELECT account, region, type, id, nullif(name, '') AS name, nullif(arn, '') AS arn, body ->> '$.configurationItem.configurationItemStatus' AS status,
		body ->> '$.configurationItem.availabilityZone' AS availability_zone, body ->> '$.configurationItem.resourceCreationTime' AS created,
		body -> '$.configurationItem.tags' AS tags, body -> '$.configurationItem.configuration' AS configuration,
		body -> '$.configurationItem.supplementaryConfiguration' AS supplementary, source,
		body ->> '$.configurationItem.configurationItemCaptureTime' AS captured, body ->> '$.seen' AS seen,
		unixepoch('now') - seen / 1000000 AS age FROM (` + itemStates + `) AS i WHERE newest AND NOT deleted`,
	"history": `SELECT account, region, type, id, nullif(name, '') AS name, nullif(arn, '') AS arn, body ->> '$.configurationItem.configurationItemStatus' AS status, source,
		body ->> '$.configurationItem.configurationItemCaptureTime' AS captured, body ->> '$.since' AS since, body ->> '$.seen' AS seen,
		body -> '$.configurationItem.tags' AS tags, body -> '$.configurationItem.configuration' AS configuration,
		body -> '$.configurationItem.supplementaryConfiguration' AS supplementary FROM main.items AS i`,
	"relationships": `SELECT i.account, i.region, i.type, i.id, r.value ->> 'relationshipName' AS relationship, r.value ->> 'resourceType' AS related_type,
		r.value ->> 'resourceId' AS related_id, r.value ->> 'resourceName' AS related_name
		FROM (` + itemStates + `) AS i, json_each(i.body, '$.configurationItem.relationships') AS r WHERE newest AND NOT deleted`,
	"calls": `SELECT account, region, type, ref AS resource, body ->> '$.eventTime' AS time, body ->> '$.eventName' AS event_name, body ->> '$.eventSource' AS event_source,
		body ->> '$.arn' AS principal, body ->> '$.sourceIPAddress' AS source_ip, event AS event_id FROM main.trail_calls`,
	"evaluations": `SELECT rule, ` + keyColumns + `, body ->> 'complianceType' AS compliance, body ->> 'annotation' AS annotation, body ->> 'resultRecordedTime' AS time FROM main.evaluations`,
	"findings": `SELECT id, rule, body ->> 'pack' AS pack, body ->> 'severity' AS severity, ` + keyColumnsAs("resource_id") + `, state, body ->> 'title' AS title,
		body ->> 'annotation' AS annotation, body ->> 'reason' AS reason, body ->> 'opened' AS opened, body ->> 'updated' AS updated, body ->> 'closed' AS closed,
		body ->> 'runId' AS run_id FROM (SELECT id, state, body, body ->> 'rule' AS rule FROM main.findings)`,
	"runs": `SELECT id, state, message, ` + keyColumnsAs("resource_id") + `, body ->> 'finding' AS finding, body ->> 'planHash' AS plan_hash, body ->> 'created' AS created FROM main.runs`,
}

var keyColumns = keyColumnsAs("id")

// keyColumnsAs are the columns of a body's resource, its id under another name
// where id is taken.
func keyColumnsAs(id string) string {
	return `body ->> '$.resource.accountId' AS account, body ->> '$.resource.awsRegion' AS region, body ->> '$.resource.resourceType' AS type, body ->> '$.resource.resourceId' AS ` + id
}

// counted are the tables that the views read.
var counted = []string{"items", "trail_calls", "evaluations", "findings", "runs"}

// Bounds of a query.
const (
	maxQueryValue  = 64 << 20 // bytes of one value
	maxQueryLength = 1 << 20  // bytes of the query
)

// Query answers one SELECT over the views that docs/inventory.md describes, with at
// most limit rows. It reads, and nothing else: the database is open for reading
// alone, and SQLite asks before it compiles each access whether it is of a view.
// The error is of kind knowngood.Usage where the query is wrong, and
// knowngood.Refused where it does more than to read the views.
func (s *Store) Query(ctx context.Context, query string, limit int) (knowngood.QueryResult, error) {
	var out knowngood.QueryResult
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: s.path}).EscapedPath()+"?"+url.Values{"mode": {"ro"}, "_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "temp_store(2)", "trusted_schema(0)"}}.Encode())
	if err != nil {
		return out, err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return out, err
	}
	defer conn.Close()
	guard, err := guarded(ctx, conn)
	if err != nil {
		return out, err
	}
	if out, err = answer(ctx, conn, query, limit); err == nil {
		return out, nil
	}
	switch why := guard.refused(); {
	case ctx.Err() != nil:
		return out, ctx.Err()
	case why != "":
		return out, knowngood.E(knowngood.Refused, "", "a query may only read the views %s; this one %s", strings.Join(slices.Sorted(maps.Keys(views)), ", "), why)
	}
	return out, &knowngood.Error{Kind: knowngood.Usage, Err: err}
}

// guarded makes the views on a connection, and from then on lets nothing else be
// read there.
func guarded(ctx context.Context, conn *sql.Conn) (*guard, error) {
	// The authorizer is told the name of the view for which a table is read. A query
	// could call a table expression of its own as a view, but not by a name that it
	// can't know.
	g := &guard{inner: "view " + rand.Text()}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		inner := g.inner + " " + name
		for _, statement := range []string{
			fmt.Sprintf("CREATE TEMP VIEW %q AS %s", inner, views[name]),
			fmt.Sprintf("CREATE TEMP VIEW %q AS SELECT * FROM temp.%q", name, inner),
		} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return nil, err
			}
		}
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = 1"); err != nil {
		return nil, err
	}
	for limit, value := range map[int]int{sqlite3.SQLITE_LIMIT_ATTACHED: 0, sqlite3.SQLITE_LIMIT_LENGTH: maxQueryValue, sqlite3.SQLITE_LIMIT_SQL_LENGTH: maxQueryLength} {
		if _, err := sqlite.Limit(conn, limit, value); err != nil {
			return nil, err
		}
	}
	err := conn.Raw(func(driver any) error {
		r, ok := driver.(sqlite.AuthorizerRegisterer)
		if !ok {
			return errors.New("the SQLite driver has no authorizer")
		}
		return r.RegisterAuthorizer(g.authorize)
	})
	return g, err
}

// guard decides what a query may do.
type guard struct {
	inner string // what the names of the inner views begin with

	mu  sync.Mutex
	why string // what was refused first
}

func (g *guard) refused() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why
}

// verbs say what a statement does that is no read.
var verbs = map[sqlite.AuthorizerActionCode]string{
	sqlite.AuthInsert: "writes", sqlite.AuthUpdate: "writes", sqlite.AuthDelete: "writes", sqlite.AuthAttach: "attaches a database", sqlite.AuthDetach: "detaches a database",
	sqlite.AuthPragma: "has a PRAGMA", sqlite.AuthTransaction: "begins or ends a transaction", sqlite.AuthSavepoint: "begins or ends a transaction",
	sqlite.AuthDropTable: "drops a table", sqlite.AuthDropView: "drops a view", sqlite.AuthDropTempView: "drops a view", sqlite.AuthAlterTable: "alters a table",
}

func (g *guard) authorize(action sqlite.AuthorizerActionCode, arg1, arg2, database, view string) sqlite.AuthorizerReturnCode {
	why := ""
	switch action {
	case sqlite.AuthSelect, sqlite.AuthRecursive:
	case sqlite.AuthFunction:
		if strings.EqualFold(arg2, "load_extension") {
			why = "loads an extension"
		}
	case sqlite.AuthRead:
		_, ours := views[arg1]
		functional := arg1 == "json_each" || arg1 == "json_tree"
		inner := strings.HasPrefix(view, g.inner) && database == "main"
		// Where a view's rows are only counted, SQLite no longer says for which view:
		// no column is read then.
		counted := arg2 == "" && database == "main" && slices.Contains(counted, arg1)
		if !functional && !inner && !counted && !(database == "temp" && (ours || strings.HasPrefix(arg1, g.inner))) {
			why = "reads " + arg1
		}
	default:
		if why = verbs[action]; why == "" {
			why = "changes the database"
		}
	}
	if why == "" {
		return sqlite.AuthorizerOK
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why == "" {
		g.why = why
	}
	return sqlite.AuthorizerDeny
}

// answer reads the rows of a query.
func answer(ctx context.Context, conn *sql.Conn, query string, limit int) (knowngood.QueryResult, error) {
	var out knowngood.QueryResult
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return out, err
	}
	defer rows.Close()
	if out.Columns, err = rows.Columns(); err != nil {
		return out, err
	}
	if len(out.Columns) == 0 {
		return out, errors.New("the query has no columns; expected a SELECT")
	}
	for rows.Next() {
		if len(out.Rows) == limit {
			out.More = true
			return out, nil
		}
		row := make([]any, len(out.Columns))
		targets := make([]any, len(row))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return out, err
		}
		out.Rows = append(out.Rows, row)
	}
	return out, rows.Err()
}
