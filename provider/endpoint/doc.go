// Package endpoint holds the protocol endpoints, one file each. A handler reads and checks parameters, asks the engine (package oauth), and writes what the
// RFC says; every error is returned and written in one place (protocol.go for JSON, respond.go for authorization responses).
package endpoint
