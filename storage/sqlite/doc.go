// Package sqlite opens the embedded SQLite store: it adapts the driver to package sqlstore and holds SQLite's migrations.
//
// In the request path it runs the statements of sqlstore: reads on a small pool, writes on one connection, one after the other. The file is in
// WAL mode, so that readers never wait for the writer, and synchronous=FULL, so that what was answered survives a crash. Another
// process, such as the command line beside a running server, may use the same file.
package sqlite
