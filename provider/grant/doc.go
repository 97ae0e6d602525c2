// Package grant turns one token request into one award of tokens. Every grant type is one row of Table and one file; a row only says how to redeem
// what the client sent, and the pipeline does the rest the same way for all, so that none can skip a check: client authentication (done by
// fosite before), the client's right to the grant, Redeem, the subject's and session's state, minting and signing of everything, and last the one atomic
// exchange in storage. Nothing that can fail comes after that.
package grant
