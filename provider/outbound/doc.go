// Package outbound is the one HTTP client with which the server reaches what others name: a client's jwks_uri, request_uri, sector_identifier_uri and logo, and the URI that
// is told of a logout. It is a leaf. Whoever chooses a URL is an attacker: the client reaches public addresses only, follows nothing, reads little, waits little, and
// tells nothing about what it met.
package outbound
