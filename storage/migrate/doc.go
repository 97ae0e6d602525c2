// Package migrate runs embedded, numbered SQL migrations: pairs NNNN_name.up.sql and NNNN_name.down.sql, applied in order, each once, under a
// lock, and remembered with a checksum in table schema_migrations. Packages sqlite and postgres embed the files and adapt a connection.
//
// It is in no request path: it runs at start (storage.auto_migrate) and in "gatehouse migrate".
package migrate
