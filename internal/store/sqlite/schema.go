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
`, `
-- due is when somebody should look at a run next, whoever that is: when its wake
-- comes, when the lease of whoever works on it runs out, 0 for at once. Of a run
-- that has ended or needs a person it is NULL. poked: something happened while
-- somebody had the lease, who may have looked before that.
ALTER TABLE runs ADD COLUMN plan TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN due INTEGER;
ALTER TABLE runs ADD COLUMN poked INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET plan = json_extract(body, '$.planHash'), last = (SELECT coalesce(max(seq), 0) FROM run_log WHERE run = id),
	due = CASE WHEN state IN ('Pending', 'InProgress') THEN expires WHEN state = 'Waiting' THEN wake END;
CREATE INDEX runs_due ON runs (due) WHERE due IS NOT NULL;
CREATE INDEX runs_plan ON runs (plan);
CREATE INDEX runs_created ON runs (created);
`, `
-- What items held before was written by nobody.
DROP TABLE items;

CREATE TABLE items (
	account  TEXT NOT NULL,
	region   TEXT NOT NULL,
	type     TEXT NOT NULL,
	id       TEXT NOT NULL,
	source   TEXT NOT NULL,
	captured INTEGER NOT NULL,
	seen     INTEGER NOT NULL,
	deleted  INTEGER NOT NULL,
	name     TEXT NOT NULL,
	arn      TEXT NOT NULL,
	body     TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX items_resource ON items (account, region, type, id, source, captured);
CREATE INDEX items_id ON items (id);
CREATE INDEX items_name ON items (name);
CREATE INDEX items_arn ON items (arn);

-- When a scope was last read whole.
CREATE TABLE item_reads (
	account TEXT NOT NULL,
	region  TEXT NOT NULL,
	type    TEXT NOT NULL,
	source  TEXT NOT NULL,
	time    INTEGER NOT NULL,
	PRIMARY KEY (account, region, type, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE trail_calls (
	account TEXT NOT NULL,
	type    TEXT NOT NULL,
	ref     TEXT NOT NULL,
	time    INTEGER NOT NULL,
	event   TEXT NOT NULL,
	region  TEXT NOT NULL,
	body    TEXT NOT NULL,
	PRIMARY KEY (account, type, ref, time, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX trail_calls_time ON trail_calls (time);
`, `
-- What an evaluation rests on, so that it need not be made again.
ALTER TABLE evaluations ADD COLUMN basis TEXT NOT NULL DEFAULT '';

-- What the latest scan read of each type in each Region. The items are there while
-- the scan that read them has not come to its end.
CREATE TABLE collections (
	account TEXT NOT NULL,
	region  TEXT NOT NULL,
	type    TEXT NOT NULL,
	body    TEXT NOT NULL,
	items   TEXT,
	PRIMARY KEY (account, region, type)
) STRICT, WITHOUT ROWID;
`, `
-- The files of documents, and which plans need them: those of a run that is
-- forgotten are forgotten.
CREATE TABLE attachments (
	sha256  TEXT PRIMARY KEY,
	content BLOB NOT NULL
) STRICT;

CREATE TABLE plan_attachments (
	plan   TEXT NOT NULL,
	sha256 TEXT NOT NULL,
	made   INTEGER NOT NULL,
	PRIMARY KEY (plan, sha256)
) STRICT, WITHOUT ROWID;
`, `
-- Keys that are made once and stay.
CREATE TABLE keys (
	name  TEXT PRIMARY KEY,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
`, `
-- Who works on runs that are due.
CREATE TABLE workers (
	owner TEXT PRIMARY KEY,
	until INTEGER NOT NULL,
	body  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`, `
-- The run that started a run.
ALTER TABLE runs ADD COLUMN parent TEXT NOT NULL DEFAULT '';
CREATE INDEX runs_parent ON runs (parent) WHERE parent <> '';
`}
