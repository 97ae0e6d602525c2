package config

import "gatehouse/provider/mail"

// checkMail checks how messages are sent. With --dev they go to a mailbox in memory, so nothing is needed.
func (l *loader) checkMail() {
	const form = "write an address, such as no-reply@example.com or Example <no-reply@example.com>"
	m := l.config.Mail
	if m.URL != "" {
		if _, err := mail.ParseURL(m.URL); err != nil {
			l.fault("mail.url", err.Error(), "write smtp://USER:PASSWORD@HOST:587, or smtps://... for TLS from the start; signs in user and password are percent-encoded")
		}
	}
	switch {
	case m.From == "" && m.URL != "":
		l.fault("mail.from", "is missing although mail.url is set", form)
	case m.From != "" && mail.CheckSender(m.From) != nil:
		l.fault("mail.from", "is no usable address", form)
	}
	if m.ReplyTo != "" && mail.CheckSender(m.ReplyTo) != nil {
		l.fault("mail.reply_to", "is no usable address", form)
	}
}
