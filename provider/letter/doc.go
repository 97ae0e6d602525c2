// Package letter sends people links by mail without telling whoever asked whether there is such a person: for an address that nobody has, the same work is done and nothing is sent.
// It also knows in which browser a link was asked for, as some links do more there than elsewhere.
//
// Place in the request path: beside package session, above the kernel and below the features. Sign-up, recovery and the account page write letters; what the link in one does is told by
// the page that it leads to.
package letter
