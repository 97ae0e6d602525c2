// Package memory is the reference implementation of the storage contract: one mutex, deep copies in and out, no persistence. It exists for tests.
//
// Place in the request path: where a database would be, in tests of the packages above storage. It is stricter than a database: a record that breaks
// a rule of the contract which no caller may break (a token without a family, a successor of another family) panics, so that the test that
// wrote it fails where it went wrong. Fault lets a test make any operation fail.
package memory
