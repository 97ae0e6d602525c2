DROP INDEX tokens_access;
DROP INDEX tokens_grant;
CREATE INDEX tokens_grant ON tokens (grant_id);
