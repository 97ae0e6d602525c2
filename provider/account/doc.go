// Package account is the signed-in home of an end user, in pages of its own for each concern: who is signed in and what needs attention, the profile, what the account is entered by, signed-in
// devices, the history, connected apps, and the person's data. It is where a sign-in without any client begins.
//
// Place in the request path: a feature. Every page asks package session who is there; what changes the ways into the account also asks how fresh and how strong that sign-in is, and sends whoever
// must sign in again through an interaction that comes back to the page. Links that it mails lead to package recovery.
package account
