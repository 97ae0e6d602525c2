// Package outbound is the one HTTP client with which the server fetches what others name: a client's jwks_uri, its logo. It is a leaf; package oauth uses it. Whoever
// chooses a URL is an attacker: the client reaches public addresses only, follows nothing, reads little, waits little, and tells nothing about what it met.
package outbound
