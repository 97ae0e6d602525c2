// Package logout ends browser sessions and tells those who took part in them: RP-Initiated Logout 1.0, Front-Channel Logout 1.0, Back-Channel Logout 1.0 and the
// frame of Session Management 1.0.
//
// Place in the request path: a feature. A relying party sends the browser here, or the account page hands its sign-out over; the session ends in the store, which
// queues a delivery for each client with a back-channel URI in the same transaction. The browser then sees one page of ours, with a frame for each client that
// wants to be told there, and goes on. Deliver works off the queue in the background; no browser ever waits for it.
package logout
