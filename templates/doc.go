// Package templates holds what people see: the HTML pages, their one stylesheet and the brand mark.
//
// Place in the request path: a feature fills one of the page structs of this package and hands it to
// web.Render, which adds the Layout (brand, CSRF token, nonce, issuer path) and calls Set.Render. The
// package does no I/O beyond its embedded files, knows no HTTP and imports only the standard library.
//
// Rules that hold for every page:
//
//   - Everything goes through html/template. No page has an inline style or an event handler; the only
//     script is the one of the form_post page, and it carries the nonce of the Content-Security-Policy.
//   - Links that come from clients are dropped unless they are http or https; images of clients are
//     dropped unless they are paths on this server, so that no page loads anything from elsewhere.
//   - Forms are plain HTML forms with stable ids and field names and work without scripts.
//   - Every form that acts on a cookie carries the hidden field csrf, and interaction where it belongs to one.
package templates
