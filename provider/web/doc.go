// Package web is the HTTP kernel: the one place that every request of every feature passes.
//
// Place in the request path: the first. A request gets an id, its peer's address (X-Forwarded-For only from trusted proxies), its security headers and
// its limits; then one table of routes decides, by exact path, what it may do. What a route is, is said where it is mounted:
//
//   - Page, SelfPage: browser routes that act on cookies. POST passes http.CrossOriginProtection and a synchroniser token.
//   - PageNoCSRF: browser routes whose POST changes nothing by itself (the authorization endpoint).
//   - Protocol: what clients call. JSON, no cookies, CORS by the client's own origins.
//   - Public, Root: documents for everyone.
//   - Embedded: a page that other sites show in a frame.
//   - Static, Handle, Health: files, a foreign handler, probes.
//
// Handlers return errors; the kernel renders them once, as HTML or JSON by the kind of route, and writes one log line for the request. Nothing is ever
// derived from the Host header: every URL comes from the issuer.
package web
