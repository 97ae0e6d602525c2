// Package request reads authorization requests (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1) and refuses everything that cannot be answered, before any page
// is shown.
package request
