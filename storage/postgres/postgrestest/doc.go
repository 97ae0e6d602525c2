// Package postgrestest starts throw-away PostgreSQL clusters for tests and benchmarks. It is in no request path.
package postgrestest
