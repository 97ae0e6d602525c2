DROP INDEX sessions_upstream_sid;
DROP INDEX sessions_upstream;
ALTER TABLE sessions DROP COLUMN upstream_token;
ALTER TABLE sessions DROP COLUMN upstream_sid;
ALTER TABLE sessions DROP COLUMN external_id;
ALTER TABLE sessions DROP COLUMN upstream;
DROP TABLE identities;
