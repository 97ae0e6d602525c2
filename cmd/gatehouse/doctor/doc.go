// Package doctor looks at a running server as its clients and users do: over the network, at its public address. It compares what it sees with the
// configuration, and signs in with a client and a user that exist only for the visit. No request to the server passes through it.
package doctor
