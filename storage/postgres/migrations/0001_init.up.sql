-- Times are microseconds since 1970, 0 for none. Optional texts are empty, not NULL. Columns that are compared have COLLATE "C": the order of their
-- bytes, whatever the database's own order is, and cheaper.

CREATE TABLE clients (
	id       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	data     TEXT             NOT NULL,
	disabled BOOLEAN          NOT NULL,
	created  BIGINT           NOT NULL,
	updated  BIGINT           NOT NULL
);

CREATE TABLE logos (
	client_id    TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
	content_type TEXT             NOT NULL,
	data         BYTEA            NOT NULL,
	fetched      BIGINT           NOT NULL
);

CREATE TABLE users (
	subject        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	email          TEXT             NOT NULL,
	email_key      TEXT COLLATE "C" NOT NULL,
	email_verified BOOLEAN          NOT NULL,
	username       TEXT             NOT NULL,
	username_key   TEXT COLLATE "C" NOT NULL,
	disabled       BOOLEAN          NOT NULL,
	epoch          BIGINT           NOT NULL,
	claims         TEXT             NOT NULL,
	password       TEXT             NOT NULL,
	created        BIGINT           NOT NULL,
	updated        BIGINT           NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email_key) WHERE email_key <> '';
CREATE UNIQUE INDEX users_username ON users (username_key) WHERE username_key <> '';

CREATE TABLE sessions (
	id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	cookie_hash TEXT COLLATE "C" NOT NULL UNIQUE,
	subject     TEXT COLLATE "C" NOT NULL,
	epoch       BIGINT           NOT NULL,
	auth_time   BIGINT           NOT NULL,
	amr         TEXT             NOT NULL,
	acr         TEXT             NOT NULL,
	user_agent  TEXT             NOT NULL,
	ip          TEXT             NOT NULL,
	created     BIGINT           NOT NULL,
	last_seen   BIGINT           NOT NULL,
	absolute    BIGINT           NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_subject ON sessions (subject);
CREATE INDEX sessions_absolute ON sessions (absolute);

CREATE TABLE interactions (
	id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind        TEXT COLLATE "C" NOT NULL,
	params      TEXT             NOT NULL,
	return_to   TEXT             NOT NULL,
	binder      TEXT             NOT NULL,
	subject     TEXT COLLATE "C" NOT NULL,
	session_id  TEXT COLLATE "C" NOT NULL,
	proofs      TEXT             NOT NULL,
	created     BIGINT           NOT NULL,
	expires     BIGINT           NOT NULL,
	consumed_at BIGINT           NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX interactions_expires ON interactions (expires);

CREATE TABLE consents (
	subject   TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	scopes    TEXT             NOT NULL,
	resources TEXT             NOT NULL,
	created   BIGINT           NOT NULL,
	updated   BIGINT           NOT NULL,
	PRIMARY KEY (subject, client_id)
);
CREATE INDEX consents_client ON consents (client_id);

-- n grows with every insert: a token's is above its parent's. purge_at is when the row is of no more use: its expiry, and for a code the end of
-- the access tokens that it made. Pages keep room for the update that consumes a row.
CREATE TABLE tokens (
	n             BIGINT GENERATED ALWAYS AS IDENTITY,
	kind          TEXT COLLATE "C" NOT NULL,
	signature     TEXT COLLATE "C" NOT NULL,
	grant_id      TEXT COLLATE "C" NOT NULL,
	client_id     TEXT COLLATE "C" NOT NULL,
	subject       TEXT COLLATE "C" NOT NULL,
	session_id    TEXT COLLATE "C" NOT NULL,
	payload       BYTEA            NOT NULL,
	created       BIGINT           NOT NULL,
	expires       BIGINT           NOT NULL,
	grant_expires BIGINT           NOT NULL,
	purge_at      BIGINT           NOT NULL,
	consumed_at   BIGINT           NOT NULL DEFAULT 0,
	successor     BYTEA            NOT NULL DEFAULT '',
	PRIMARY KEY (signature, kind)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_client ON tokens (client_id, grant_id);
CREATE INDEX tokens_subject ON tokens (subject, grant_id) WHERE subject <> '';
CREATE INDEX tokens_session ON tokens (session_id, grant_id) WHERE session_id <> '';
CREATE INDEX tokens_purge ON tokens (purge_at);

-- below: grants with an id below it are dead.
CREATE TABLE revocations (
	id         TEXT COLLATE "C" NOT NULL,
	kind       TEXT COLLATE "C" NOT NULL,
	born_until BIGINT           NOT NULL,
	below      TEXT COLLATE "C" NOT NULL,
	expires    BIGINT           NOT NULL,
	version    BIGINT           NOT NULL,
	PRIMARY KEY (id, kind)
);
CREATE INDEX revocations_version ON revocations (version);
CREATE INDEX revocations_expires ON revocations (expires);

CREATE TABLE changes (
	topic   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	version BIGINT           NOT NULL
) WITH (fillfactor = 10);
INSERT INTO changes (topic, version) VALUES ('clients', 0), ('keys', 0), ('revocations', 0);

CREATE TABLE signing_keys (
	kid         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	alg         TEXT             NOT NULL,
	public      BYTEA            NOT NULL,
	private     BYTEA            NOT NULL,
	created     BIGINT           NOT NULL,
	publish_at  BIGINT           NOT NULL,
	activate_at BIGINT           NOT NULL,
	retire_at   BIGINT           NOT NULL,
	remove_at   BIGINT           NOT NULL,
	revoked_at  BIGINT           NOT NULL
);

CREATE TABLE secrets (
	name   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	sealed BYTEA            NOT NULL
);

CREATE TABLE replays (
	id      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	expires BIGINT           NOT NULL
);
CREATE INDEX replays_expires ON replays (expires);

CREATE TABLE rates (
	id  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	tat BIGINT           NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX rates_tat ON rates (tat);

CREATE TABLE notices (
	id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	subject   TEXT COLLATE "C" NOT NULL,
	kind      TEXT COLLATE "C" NOT NULL,
	client_id TEXT COLLATE "C" NOT NULL,
	created   BIGINT           NOT NULL,
	UNIQUE (subject, kind, client_id)
);

-- One row, written and rolled back to see whether the store takes writes.
CREATE TABLE heartbeat (
	id INTEGER NOT NULL PRIMARY KEY,
	at BIGINT  NOT NULL
);
INSERT INTO heartbeat (id, at) VALUES (1, 0);
