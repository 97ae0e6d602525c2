-- What sign-in knows of a user beside the password. When a password was set was not kept until now; the user's first day is the best guess.
ALTER TABLE users ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN last_failure BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN password_set BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN locale TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN terms_version TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN terms_accepted BIGINT NOT NULL DEFAULT 0;
UPDATE users SET password_set = created WHERE password <> '';

ALTER TABLE sessions ADD COLUMN remembered BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE factors (
	id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	subject       TEXT COLLATE "C" NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	kind          TEXT COLLATE "C" NOT NULL,
	name          TEXT             NOT NULL,
	credential_id TEXT COLLATE "C" NOT NULL,
	data          BYTEA            NOT NULL,
	counter       BIGINT           NOT NULL,
	created       BIGINT           NOT NULL,
	last_used     BIGINT           NOT NULL
);
CREATE INDEX factors_subject ON factors (subject, created, id);
CREATE UNIQUE INDEX factors_credential ON factors (credential_id) WHERE credential_id <> '';

CREATE TABLE recovery_codes (
	subject TEXT COLLATE "C" NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	hash    TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (subject, hash)
);

-- subject is NULL for people who have no account yet: an empty one would refer to nobody.
CREATE TABLE tickets (
	signature   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind        TEXT COLLATE "C" NOT NULL,
	subject     TEXT COLLATE "C" REFERENCES users (subject) ON DELETE CASCADE,
	email       TEXT             NOT NULL,
	email_key   TEXT COLLATE "C" NOT NULL,
	epoch       BIGINT           NOT NULL,
	data        TEXT             NOT NULL,
	created     BIGINT           NOT NULL,
	expires     BIGINT           NOT NULL,
	consumed_at BIGINT           NOT NULL
);
CREATE INDEX tickets_subject ON tickets (subject, kind, created);
CREATE INDEX tickets_email ON tickets (email_key, kind, created) WHERE subject IS NULL AND email_key <> '';
CREATE INDEX tickets_expires ON tickets (expires);

-- due is what it is in logout_deliveries.
CREATE TABLE mails (
	id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind         TEXT             NOT NULL,
	body         BYTEA            NOT NULL,
	created      BIGINT           NOT NULL,
	next_attempt BIGINT           NOT NULL,
	due          BIGINT           NOT NULL,
	expires      BIGINT           NOT NULL,
	attempts     INTEGER          NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX mails_next_attempt ON mails (next_attempt, id);
CREATE INDEX mails_expires ON mails (expires);

CREATE TABLE activities (
	id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	subject    TEXT COLLATE "C" NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	kind       TEXT COLLATE "C" NOT NULL,
	at         BIGINT           NOT NULL,
	amr        TEXT             NOT NULL,
	client_id  TEXT COLLATE "C" NOT NULL,
	detail     TEXT             NOT NULL,
	ip         TEXT             NOT NULL,
	user_agent TEXT             NOT NULL
);
CREATE INDEX activities_subject ON activities (subject, at, id);

CREATE TABLE devices (
	id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	subject     TEXT COLLATE "C" NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	cookie_hash TEXT COLLATE "C" NOT NULL UNIQUE,
	previous    TEXT COLLATE "C" NOT NULL,
	epoch       BIGINT           NOT NULL,
	user_agent  TEXT             NOT NULL,
	ip          TEXT             NOT NULL,
	created     BIGINT           NOT NULL,
	last_used   BIGINT           NOT NULL,
	expires     BIGINT           NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX devices_subject ON devices (subject, last_used, id);
CREATE INDEX devices_expires ON devices (expires);
