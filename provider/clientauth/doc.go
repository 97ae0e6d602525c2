// Package clientauth authenticates the clients of protocol requests (RFC 6749 section 2.3, RFC 7523) and verifies what clients sign. It comes before every grant.
package clientauth
