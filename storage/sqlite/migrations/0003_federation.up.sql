-- Accounts at upstream providers, each of one user.
CREATE TABLE identities (
	upstream    TEXT   NOT NULL,
	external_id TEXT   NOT NULL,
	subject     TEXT   NOT NULL REFERENCES users (subject) ON DELETE CASCADE,
	label       TEXT   NOT NULL,
	tokens      BLOB   NOT NULL,
	created     BIGINT NOT NULL,
	last_used   BIGINT NOT NULL,
	PRIMARY KEY (upstream, external_id)
);
CREATE INDEX identities_subject ON identities (subject);

-- The identity that a sign-in came by; empty for a local one, as all have been until now.
ALTER TABLE sessions ADD COLUMN upstream TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN external_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN upstream_sid TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN upstream_token BLOB NOT NULL DEFAULT x'';
CREATE INDEX sessions_upstream ON sessions (upstream, external_id) WHERE upstream <> '';
CREATE INDEX sessions_upstream_sid ON sessions (upstream, upstream_sid) WHERE upstream <> '';
