-- Times are microseconds since 1970, 0 for none. Optional texts are empty, not NULL.

CREATE TABLE clients (
	id       TEXT    NOT NULL PRIMARY KEY,
	data     TEXT    NOT NULL,
	disabled BOOLEAN NOT NULL,
	created  BIGINT  NOT NULL,
	updated  BIGINT  NOT NULL
);

CREATE TABLE logos (
	client_id    TEXT   NOT NULL PRIMARY KEY REFERENCES clients (id) ON DELETE CASCADE,
	content_type TEXT   NOT NULL,
	data         BLOB   NOT NULL,
	fetched      BIGINT NOT NULL
);

CREATE TABLE users (
	subject        TEXT    NOT NULL PRIMARY KEY,
	email          TEXT    NOT NULL,
	email_key      TEXT    NOT NULL,
	email_verified BOOLEAN NOT NULL,
	username       TEXT    NOT NULL,
	username_key   TEXT    NOT NULL,
	disabled       BOOLEAN NOT NULL,
	epoch          BIGINT  NOT NULL,
	claims         TEXT    NOT NULL,
	password       TEXT    NOT NULL,
	created        BIGINT  NOT NULL,
	updated        BIGINT  NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email_key) WHERE email_key <> '';
CREATE UNIQUE INDEX users_username ON users (username_key) WHERE username_key <> '';

CREATE TABLE sessions (
	id          TEXT   NOT NULL PRIMARY KEY,
	cookie_hash TEXT   NOT NULL UNIQUE,
	subject     TEXT   NOT NULL,
	epoch       BIGINT NOT NULL,
	auth_time   BIGINT NOT NULL,
	amr         TEXT   NOT NULL,
	acr         TEXT   NOT NULL,
	user_agent  TEXT   NOT NULL,
	ip          TEXT   NOT NULL,
	created     BIGINT NOT NULL,
	last_seen   BIGINT NOT NULL,
	absolute    BIGINT NOT NULL
);
CREATE INDEX sessions_subject ON sessions (subject);
CREATE INDEX sessions_absolute ON sessions (absolute);

CREATE TABLE interactions (
	id          TEXT   NOT NULL PRIMARY KEY,
	kind        TEXT   NOT NULL,
	params      TEXT   NOT NULL,
	return_to   TEXT   NOT NULL,
	binder      TEXT   NOT NULL,
	subject     TEXT   NOT NULL,
	session_id  TEXT   NOT NULL,
	proofs      TEXT   NOT NULL,
	created     BIGINT NOT NULL,
	expires     BIGINT NOT NULL,
	consumed_at BIGINT NOT NULL
);
CREATE INDEX interactions_expires ON interactions (expires);

CREATE TABLE consents (
	subject   TEXT   NOT NULL,
	client_id TEXT   NOT NULL,
	scopes    TEXT   NOT NULL,
	resources TEXT   NOT NULL,
	created   BIGINT NOT NULL,
	updated   BIGINT NOT NULL,
	PRIMARY KEY (subject, client_id)
);
CREATE INDEX consents_client ON consents (client_id);

-- n grows with every insert: a token's is above its parent's. purge_at is when the row is of no more use: its expiry, and for a code the end of the access tokens that it made.
CREATE TABLE tokens (
	n             INTEGER PRIMARY KEY,
	kind          TEXT   NOT NULL,
	signature     TEXT   NOT NULL,
	grant_id      TEXT   NOT NULL,
	client_id     TEXT   NOT NULL,
	subject       TEXT   NOT NULL,
	session_id    TEXT   NOT NULL,
	payload       BLOB   NOT NULL,
	created       BIGINT NOT NULL,
	expires       BIGINT NOT NULL,
	grant_expires BIGINT NOT NULL,
	purge_at      BIGINT NOT NULL,
	consumed_at   BIGINT NOT NULL DEFAULT 0,
	successor     BLOB   NOT NULL DEFAULT x'',
	UNIQUE (signature, kind)
);
CREATE INDEX tokens_grant ON tokens (grant_id);
CREATE INDEX tokens_client ON tokens (client_id, grant_id);
CREATE INDEX tokens_subject ON tokens (subject, grant_id) WHERE subject <> '';
CREATE INDEX tokens_session ON tokens (session_id, grant_id) WHERE session_id <> '';
CREATE INDEX tokens_purge ON tokens (purge_at);

-- below: grants with an id below it are dead.
CREATE TABLE revocations (
	id         TEXT   NOT NULL,
	kind       TEXT   NOT NULL,
	born_until BIGINT NOT NULL,
	below      TEXT   NOT NULL,
	expires    BIGINT NOT NULL,
	version    BIGINT NOT NULL,
	PRIMARY KEY (id, kind)
);
CREATE INDEX revocations_version ON revocations (version);
CREATE INDEX revocations_expires ON revocations (expires);

CREATE TABLE changes (
	topic   TEXT   NOT NULL PRIMARY KEY,
	version BIGINT NOT NULL
);
INSERT INTO changes (topic, version) VALUES ('clients', 0), ('keys', 0), ('revocations', 0);

CREATE TABLE signing_keys (
	kid         TEXT   NOT NULL PRIMARY KEY,
	alg         TEXT   NOT NULL,
	public      BLOB   NOT NULL,
	private     BLOB   NOT NULL,
	created     BIGINT NOT NULL,
	publish_at  BIGINT NOT NULL,
	activate_at BIGINT NOT NULL,
	retire_at   BIGINT NOT NULL,
	remove_at   BIGINT NOT NULL,
	revoked_at  BIGINT NOT NULL
);

CREATE TABLE secrets (
	name   TEXT NOT NULL PRIMARY KEY,
	sealed BLOB NOT NULL
);

CREATE TABLE replays (
	id      TEXT   NOT NULL PRIMARY KEY,
	expires BIGINT NOT NULL
);
CREATE INDEX replays_expires ON replays (expires);

CREATE TABLE rates (
	id  TEXT   NOT NULL PRIMARY KEY,
	tat BIGINT NOT NULL
);
CREATE INDEX rates_tat ON rates (tat);

CREATE TABLE notices (
	id        TEXT   NOT NULL PRIMARY KEY,
	subject   TEXT   NOT NULL,
	kind      TEXT   NOT NULL,
	client_id TEXT   NOT NULL,
	created   BIGINT NOT NULL,
	UNIQUE (subject, kind, client_id)
);

-- One row, written and rolled back to see whether the store takes writes.
CREATE TABLE heartbeat (
	id INTEGER NOT NULL PRIMARY KEY,
	at BIGINT  NOT NULL
);
INSERT INTO heartbeat (id, at) VALUES (1, 0);
