-- What apps have of a user is found without reading the rows that refreshes leave. The rowid is in every index, so that the newest row of a grant is at the end of tokens_grant.
CREATE INDEX tokens_access ON tokens (subject) WHERE kind = 'access' AND subject <> '';
