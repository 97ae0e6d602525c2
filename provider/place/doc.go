// Package place tells where an address probably is, out of a file in the MaxMind DB format that the operator brings (GeoLite2, GeoIP2, DB-IP). The account page and mails show what it says beside the
// address; nothing is decided by it. A look-up reads memory only: no address leaves the server, and none costs a statement.
//
// Place in the request path: a leaf, beside useragent.
package place
