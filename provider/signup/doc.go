// Package signup is the page on which people make accounts. What they fill in waits in a link that goes to the address they gave; only who opens it and presses the button there has
// an account, so nobody takes an address that is not theirs, and the page answers the same whether an address has an account or not.
//
// It also is the page that asks people who have an account for the terms, when those have changed since or were never asked.
//
// Place in the request path: a step of an interaction, like login: it takes an interaction by its id and hands whoever has made an account to the sign-in.
package signup
