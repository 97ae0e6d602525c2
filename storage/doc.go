// Package storage holds Gatehouse's records and the contract that every backend keeps: small interfaces, a few sentinel errors, and the
// rules for missing, expired, duplicate and concurrent use. It imports only the standard library and is imported by everything.
//
// Times are UTC with microsecond precision; a backend truncates on the way in, so what is read equals what was written in every backend.
// Secrets never reach this package in clear: tokens are signatures (base64url SHA-256), cookies are hashes, passwords are encoded hashes,
// private keys are sealed.
package storage
