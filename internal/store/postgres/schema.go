package postgres

// migrations bring our tables from one version to the next. They only go forward,
// and one that has landed is never changed. River's tables have their own.
//
// Times are microseconds since 1970, and texts are ordered by their bytes, as in
// the other store. json keeps a text as it was written, whose hash counts.
var migrations = []string{`
CREATE TABLE documents (
	sha256  text COLLATE "C" PRIMARY KEY,
	content text NOT NULL
);

CREATE TABLE plans (
	hash text COLLATE "C" PRIMARY KEY,
	run  text NOT NULL UNIQUE,
	body json NOT NULL
);

CREATE TABLE approvals (
	plan_hash text NOT NULL,
	by        text COLLATE "C" NOT NULL,
	time      bigint NOT NULL,
	body      json NOT NULL,
	PRIMARY KEY (plan_hash, by)
);

-- last is the number of the log's last entry. due is when somebody should look at
-- a run next, whoever that is: when its wake comes, when the lease of whoever works
-- on it runs out, 0 for at once. Of a run that has ended or needs a person it is
-- NULL. poked: something happened while somebody had the lease, who may have looked
-- before that.
CREATE TABLE runs (
	id       text COLLATE "C" PRIMARY KEY,
	state    text NOT NULL,
	message  text NOT NULL,
	resource text NOT NULL,
	plan     text NOT NULL,
	created  bigint NOT NULL,
	updated  bigint NOT NULL,
	wake     bigint,
	body     json NOT NULL,
	last     bigint NOT NULL DEFAULT 0,
	epoch    bigint NOT NULL DEFAULT 0,
	owner    text NOT NULL DEFAULT '',
	expires  bigint NOT NULL DEFAULT 0,
	due      bigint,
	poked    boolean NOT NULL DEFAULT false
);
CREATE INDEX runs_due ON runs (due) WHERE due IS NOT NULL;
CREATE INDEX runs_plan ON runs (plan);
CREATE INDEX runs_created ON runs (created);

-- One run at a time may act on a resource.
CREATE TABLE locks (
	resource text COLLATE "C" PRIMARY KEY,
	run      text NOT NULL REFERENCES runs(id) DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE run_log (
	run  text COLLATE "C" NOT NULL REFERENCES runs(id),
	seq  bigint NOT NULL,
	body json NOT NULL,
	PRIMARY KEY (run, seq)
);

CREATE TABLE findings (
	id       text COLLATE "C" PRIMARY KEY,
	state    text NOT NULL,
	resource text NOT NULL,
	body     json NOT NULL
);

CREATE TABLE evaluations (
	rule     text COLLATE "C" NOT NULL,
	resource text COLLATE "C" NOT NULL,
	body     json NOT NULL,
	PRIMARY KEY (rule, resource)
);

CREATE TABLE items (
	resource text COLLATE "C" NOT NULL,
	captured bigint NOT NULL,
	hash     text NOT NULL,
	body     json NOT NULL,
	PRIMARY KEY (resource, captured)
);

CREATE TABLE residuals (
	resource text COLLATE "C" PRIMARY KEY,
	body     json NOT NULL
);

CREATE TABLE exceptions (
	rule     text COLLATE "C" NOT NULL,
	resource text COLLATE "C" NOT NULL,
	body     json NOT NULL,
	PRIMARY KEY (rule, resource)
);
`, `
-- What items held before was written by nobody.
DROP TABLE items;

CREATE TABLE items (
	account  text COLLATE "C" NOT NULL,
	region   text COLLATE "C" NOT NULL,
	type     text COLLATE "C" NOT NULL,
	id       text COLLATE "C" NOT NULL,
	source   text COLLATE "C" NOT NULL,
	captured bigint NOT NULL,
	seen     bigint NOT NULL,
	deleted  boolean NOT NULL,
	name     text NOT NULL,
	arn      text NOT NULL,
	body     json NOT NULL,
	PRIMARY KEY (account, region, type, id, source, captured)
);
CREATE INDEX items_id ON items (id);
CREATE INDEX items_name ON items (name);
CREATE INDEX items_arn ON items (arn);

-- When a scope was last read whole.
CREATE TABLE item_reads (
	account text NOT NULL,
	region  text NOT NULL,
	type    text NOT NULL,
	source  text NOT NULL,
	time    bigint NOT NULL,
	PRIMARY KEY (account, region, type, source)
);

CREATE TABLE trail_calls (
	account text NOT NULL,
	type    text NOT NULL,
	ref     text NOT NULL,
	time    bigint NOT NULL,
	event   text COLLATE "C" NOT NULL,
	region  text NOT NULL,
	body    json NOT NULL,
	PRIMARY KEY (account, type, ref, time, event)
);
CREATE INDEX trail_calls_time ON trail_calls (time);
`, `
-- What an evaluation rests on, so that it need not be made again.
ALTER TABLE evaluations ADD COLUMN basis text NOT NULL DEFAULT '';
CREATE INDEX evaluations_resource ON evaluations (resource);

-- What the latest scan read of each type in each Region. The items are there while
-- the scan that read them has not come to its end.
CREATE TABLE collections (
	account text NOT NULL,
	region  text COLLATE "C" NOT NULL,
	type    text COLLATE "C" NOT NULL,
	body    json NOT NULL,
	items   json,
	PRIMARY KEY (account, region, type)
);
`, `
-- The files of documents, and which plans need them: those of a run that is
-- forgotten are forgotten.
CREATE TABLE attachments (
	sha256  text COLLATE "C" PRIMARY KEY,
	content bytea NOT NULL
);

CREATE TABLE plan_attachments (
	plan   text COLLATE "C" NOT NULL,
	sha256 text COLLATE "C" NOT NULL,
	made   bigint NOT NULL,
	PRIMARY KEY (plan, sha256)
);
CREATE INDEX plan_attachments_sha256 ON plan_attachments (sha256);
`, `
-- Keys that are made once and stay.
CREATE TABLE keys (
	name  text PRIMARY KEY,
	value bytea NOT NULL
);
`, `
-- Who works on runs that are due.
CREATE TABLE workers (
	owner text COLLATE "C" PRIMARY KEY,
	until bigint NOT NULL,
	body  json NOT NULL
);
`, `
-- The run that started a run.
ALTER TABLE runs ADD COLUMN parent text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX runs_parent ON runs (parent) WHERE parent <> '';
`}
