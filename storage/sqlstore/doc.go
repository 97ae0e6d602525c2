// Package sqlstore holds every SQL statement of Gatehouse, once, in a text that SQLite and PostgreSQL both understand: $n parameters,
// ON CONFLICT, RETURNING, BIGINT microseconds for time, BOOLEAN. Packages sqlite and postgres open a database, adapt its driver to DB and hand it to New.
//
// In the request path it is the last stop: a feature or the protocol engine calls a storage method, the method runs one to a few
// statements here. A hot statement may have a second text for PostgreSQL, which can consume and insert in one statement.
//
// Times: 0 is "no time". Optional texts are empty, never NULL, so that a partial index can say what it leaves out.
package sqlstore
