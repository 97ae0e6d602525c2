DROP INDEX tokens_access;
