// Package session keeps browser sessions: a random cookie, whose hash finds a row in the store.
//
// Place in the request path: features ask Current who is signed in; login starts a session, account ends it. Everything that must hold on every route (idle
// and absolute limits, disabled users, one cookie only) is decided in Current, so no feature can forget it.
package session
