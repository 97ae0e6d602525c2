// Package mailtest lets tests read what people were sent: Outbox takes the place of a Mailer where one feature is tested, and Store reads the queue of a whole server.
package mailtest
