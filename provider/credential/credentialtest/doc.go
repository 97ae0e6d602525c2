// Package credentialtest is an authenticator for tests: it makes and answers passkeys as a security key or a phone would, and lets a test lie about any part of the answer.
package credentialtest
