// Package consent is the page that asks whether a client may have what it wants: the step between a sign-in and the answer to an authorization request. It
// reads the request from the interaction, stores what was allowed, notes the decision as a proof and sends the browser back; the authorization endpoint acts on
// it.
package consent
