// Package federation signs people in with their accounts at other providers (package upstream). A request meets it between two pages: a paused authorization request goes out by
// /upstream/{id}/start (walk.go), comes back by /upstream/{id}/callback with a session (signin.go, strength.go, mapping.go), or is asked for proof first (link.go), and goes on where
// it began. logout.go is signing out in both directions, try.go the dry run of the command line. The package knows neither the login page nor the account page; they meet through an
// interaction.
package federation
