// Package redirect compares the redirect URI of an authorization request with those that a client registered (RFC 9700 section 4.1.3), byte for byte, and explains to a
// developer how a refused one differs. Which URIs may be registered is decided by package client.
package redirect
