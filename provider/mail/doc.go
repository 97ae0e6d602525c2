// Package mail sends messages to people: it puts them into words, seals them, queues them in the store and delivers them over SMTP (RFC 5321) in the background.
//
// Place in the request path: ground. A feature calls Send, which writes one row and never talks to a mail server; Run works off the queue on every node. What a queued message
// holds lets people in, so it is sealed with the master key and bound to its row; neither addresses nor links ever reach a log.
package mail
