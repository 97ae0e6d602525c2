// Package storagetest is the storage contract as a suite: every rule of the interface comments in package storage is a subtest, so that a backend is
// right if and only if it passes. A backend's own test is ten lines that call Run, and RunShared where two processes can share a database.
//
// Place in the request path: none; it is linked into tests only.
//
// Where an interface comment leaves two readings open, the suite accepts both, except for these, which it pins for all backends:
//   - CreateClient and CreateUser stamp the caller's record as well as the row;
//   - the Created of a row never changes, and Updated is the backend's business;
//   - whatever has an end is over at that very microsecond, for readers as for Purge;
//   - a session's UserAgent may be anything; the parameters of an interaction come back byte for byte;
//   - ids are ordered by their bytes, whatever the collation of the database;
//   - a key that a backend cannot hold (NUL in PostgreSQL) is a key that no row has: lookups answer ErrNotFound, not ErrUnavailable;
//   - an identity that may not be tied to its user is ErrNotFound before it is ErrExists, and a taken key of the user's comes before a taken account;
//   - TouchIdentity stores label and tokens whatever at is, and a label may be anything, as a UserAgent may;
//   - DeleteIdentity ends sessions of its subject only, and EndUpstreamSessions counts sessions past Absolute that are not purged yet;
//   - a token that was stored after its grant was revoked can no longer be exchanged;
//   - ExchangeToken whose next token has a taken signature answers ErrExists and consumes nothing;
//   - revoking the same thing again never takes back what the first revocation killed.
package storagetest
