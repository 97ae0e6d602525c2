// Package client is the one validation of client metadata (RFC 7591 section 2), for registration and the command line alike, and the client secrets that follow from it
// and how they are kept.
package client
