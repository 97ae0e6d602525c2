// Package opaque makes and reads the random strings of this server: codes, refresh tokens, opaque access tokens, secrets. What is stored of them is
// their signature.
package opaque
