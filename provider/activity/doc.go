// Package activity notes what happens to an account where those look who ought to know: in the audit log, in the list on the person's account page, and in a mail.
//
// Place in the request path: ground. A feature calls Note after the fact; nothing that goes wrong here fails the request.
package activity
