-- Accounts at upstream providers, each of one user.
CREATE TABLE identities (
	upstream    TEXT COLLATE "C" NOT NULL,
	external_id TEXT COLLATE "C" NOT NULL,
	subject     TEXT COLLATE "C" NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	label       TEXT             NOT NULL,
	tokens      BYTEA            NOT NULL,
	created     BIGINT           NOT NULL,
	last_used   BIGINT           NOT NULL,
	PRIMARY KEY (upstream, external_id)
);
CREATE INDEX identities_subject ON identities (subject);

-- The identity that a sign-in came by; empty for a local one, as all have been until now.
ALTER TABLE sessions ADD COLUMN upstream TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN external_id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN upstream_sid TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN upstream_token BYTEA NOT NULL DEFAULT '';
CREATE INDEX sessions_upstream ON sessions (upstream, external_id) WHERE upstream <> '';
CREATE INDEX sessions_upstream_sid ON sessions (upstream, upstream_sid) WHERE upstream <> '';
