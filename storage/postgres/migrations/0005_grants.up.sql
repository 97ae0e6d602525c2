-- What apps have of a user is found without reading the rows that refreshes leave.
DROP INDEX tokens_grant;
CREATE INDEX tokens_grant ON tokens (grant_id, n);
CREATE INDEX tokens_access ON tokens (subject) WHERE kind = 'access' AND subject <> '';
