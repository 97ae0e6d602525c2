// Package keys holds the signing keys of the issuer: it plans their lives (next, active, retired, revoked), signs tokens, verifies them by kid and
// publishes the JWKS (RFC 7517). It is ground: package oauth signs and verifies through a Set, the jwks endpoint serves its prepared bytes, and a
// job calls Ensure. Rows live in storage with the private half sealed; a node works on an immutable snapshot of them, and the clock alone decides
// which key of the snapshot signs, so that all nodes change over at the same moment without a message.
package keys
