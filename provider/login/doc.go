// Package login is the sign-in page: the step that proves who sits at the browser. It takes an interaction by its id, checks a password, starts a
// session, pins the user to the interaction and sends the browser back to where the interaction began. It decides nothing about the request that waits.
package login
