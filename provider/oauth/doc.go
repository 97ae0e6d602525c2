// Package oauth is the protocol engine: it stands between the endpoints and fosite, storage and keys. It validates authorization requests, authenticates
// clients, signs and verifies tokens, holds the process's copies of clients, keys and revocations, and maps every error to what the RFCs allow on
// the wire. It knows nothing of HTML and cookies.
package oauth
