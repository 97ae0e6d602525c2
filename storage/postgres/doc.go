// Package postgres opens the PostgreSQL store: it adapts the pgx pool to package sqlstore and holds PostgreSQL's migrations. Any number of
// nodes may use one database.
//
// In the request path it runs the statements of sqlstore, prepared, in READ COMMITTED transactions: conditional updates of single rows
// and unique keys decide winners, and what the database undoes for reasons of concurrency is done again.
package postgres
