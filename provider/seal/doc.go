// Package seal is the master keyring: it wraps what must not lie in clear in the database (private signing keys, the password pepper, the key of pairwise subjects, the
// canary) and derives the few keys that may change with the master key (CSRF and page tokens). SIV seals what must always be sealed to the same value. It is a leaf; keys,
// credential, the engine and the program's start use it, and a request meets it only through what they keep open in memory.
package seal
