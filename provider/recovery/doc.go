// Package recovery is what links in mails do for people who have an account: choose a new password, sign in, prove an address, and lock others out ("it was not me").
//
// Place in the request path: beside login. Whoever asks for a link gets the same answer, whether there is such an account or not. A link does nothing when it is opened: its page has a
// button. What signs in does so only in the browser that asked for it; and whatever is proven here is the first factor only, package signin asks for the second.
package recovery
