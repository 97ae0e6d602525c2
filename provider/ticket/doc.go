// Package ticket makes and reads links that work once: those that a mail brings and those that an operator hands out. What a link may do is the feature's that asked for
// it; this package knows its form, its address and how long it lives.
//
// Place in the request path: ground. A feature issues a ticket and puts the link into a mail; the page that the link leads to looks at the ticket without using it up, because
// mail scanners open links, too, and consumes it when the person has pressed the button.
package ticket
