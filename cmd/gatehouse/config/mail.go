package config

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/provider/mail"
)

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

// checkSignUp checks what needs mail: accounts that people make by themselves, and links that sign in. Recovery needs it, too, and is not offered without. mailed is whether there must be a mail server for that: serve --dev has a mailbox, and commands may run beside it.
func (l *loader) checkSignUp(mailed bool) {
	const fix = "set mail.url and mail.from, or try it with serve --dev, which shows mail at /playground/mail"
	c := l.config
	l.oneOf("signup.mode", c.SignUp.Mode, "off", "open", "invite")
	l.oneOf("signup.name", c.SignUp.Name, "off", "optional", "required")
	noMail, offered := mailed && c.Mail.URL == "", c.SignUp.Mode == "open" || c.SignUp.Mode == "invite"
	if offered && noMail {
		l.fault("signup.mode", "needs mail: an account is made by a link that goes to its address", fix)
	}
	if offered && !c.Login.Password {
		l.fault("signup.mode", "makes accounts with a password, and login.password is false", "write off: people make accounts by signing in with one of the upstreams")
	}
	if c.Login.MagicLink && noMail {
		l.fault("login.magic_link", "needs mail", fix)
	}
	switch version := c.SignUp.TermsVersion; {
	case len(version) > 64 || !printable(version):
		l.fault("signup.terms_version", "is longer than 64 bytes or has signs that do not print", "write for example 2026-01")
	case version != "" && c.Branding.TermsURL == "":
		l.fault("signup.terms_version", "wants people to accept terms that nobody can read", "set branding.terms_url")
	}
}

// printable accepts one line of text.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) || c == utf8.RuneError })
}
