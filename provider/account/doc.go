// Package account is the signed-in home of an end user: who is signed in, since when, which apps have access, and what the user should know. It ends the
// session and takes consents back. It is where a sign-in without any client begins.
package account
