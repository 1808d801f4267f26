package sqlite

// migrations bring a database from one version to the next. They only go
// forward, and one that has landed is never changed.
var migrations = []string{`
CREATE TABLE documents (
	sha256  TEXT PRIMARY KEY,
	content TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
	hash TEXT PRIMARY KEY,
	run  TEXT NOT NULL UNIQUE,
	body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE approvals (
	plan_hash TEXT NOT NULL,
	by        TEXT NOT NULL,
	time      INTEGER NOT NULL,
	body      TEXT NOT NULL,
	PRIMARY KEY (plan_hash, by)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
	id       TEXT PRIMARY KEY,
	state    TEXT NOT NULL,
	message  TEXT NOT NULL,
	resource TEXT NOT NULL,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	wake     INTEGER,
	body     TEXT NOT NULL,
	epoch    INTEGER NOT NULL DEFAULT 0,
	owner    TEXT NOT NULL DEFAULT '',
	expires  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- One run at a time may act on a resource.
CREATE TABLE locks (
	resource TEXT PRIMARY KEY,
	run      TEXT NOT NULL REFERENCES runs(id)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_log (
	run  TEXT NOT NULL REFERENCES runs(id),
	seq  INTEGER NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE findings (
	id       TEXT PRIMARY KEY,
	state    TEXT NOT NULL,
	resource TEXT NOT NULL,
	body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluations (
	rule     TEXT NOT NULL,
	resource TEXT NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (rule, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE items (
	resource TEXT NOT NULL,
	captured INTEGER NOT NULL,
	hash     TEXT NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (resource, captured)
) STRICT, WITHOUT ROWID;

CREATE TABLE residuals (
	resource TEXT PRIMARY KEY,
	body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE exceptions (
	rule     TEXT NOT NULL,
	resource TEXT NOT NULL,
	body     TEXT NOT NULL,
	PRIMARY KEY (rule, resource)
) STRICT, WITHOUT ROWID;
`}
