package templates

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"strings"
	texttemplate "text/template"
	"time"
	"unicode"
)

// MailKind says which message a mail is. Its words are in locales/LANGUAGE/mail.toml, under mail.KIND.
type MailKind string

// The kinds of mail.
const (
	MailSignUp           MailKind = "signup"           // proves the address of somebody who signs up
	MailExists           MailKind = "exists"           // somebody tried to sign up with the address of an account
	MailVerify           MailKind = "verify"           // proves the address of a user
	MailReset            MailKind = "reset"            // sets a new password
	MailMagic            MailKind = "magic"            // signs in
	MailInvite           MailKind = "invite"           // lets somebody sign up
	MailEmailChange      MailKind = "email_change"     // to the new address, which it proves
	MailEmailChanged     MailKind = "email_changed"    // to the old address
	MailReverted         MailKind = "reverted"         // to the address that an account has lost by "it was not me"
	MailPasswordChanged  MailKind = "password_changed" // a password was set or changed
	MailSignInNew        MailKind = "signin_new"       // a sign-in from a browser that was not seen before
	MailFactorAdded      MailKind = "factor_added"     // an authenticator app, a passkey or a security key
	MailFactorRemoved    MailKind = "factor_removed"
	MailIdentityLinked   MailKind = "identity_linked" // an account at a provider leads to this one now
	MailIdentityUnlinked MailKind = "identity_unlinked"
	MailRecoveryCodes    MailKind = "recovery_codes" // new recovery codes took the place of the old ones
	MailRecoveryUsed     MailKind = "recovery_used"  // a recovery code took the place of the second factor
	MailRefreshReuse     MailKind = "refresh_reuse"  // an app's access was used twice: perhaps it was copied
	MailDeleted          MailKind = "deleted"        // the account is gone
)

// mailForm is what the layout needs to know of a kind beside its words.
type mailForm struct {
	// action says that the link is what the mail is for: it becomes a button. Otherwise it undoes what the mail tells of.
	action bool
	// greets says that the person is called by name. Mail to addresses that nobody has proven calls nobody by a name, which a stranger may have typed.
	greets bool
	// facts says that when, where and with what something happened is told.
	facts bool
}

var mailForms = map[MailKind]mailForm{
	MailSignUp:           {action: true},
	MailExists:           {action: true, greets: true},
	MailVerify:           {action: true},
	MailReset:            {action: true, greets: true},
	MailMagic:            {action: true, greets: true, facts: true},
	MailInvite:           {action: true},
	MailEmailChange:      {action: true},
	MailEmailChanged:     {greets: true, facts: true},
	MailReverted:         {greets: true, facts: true},
	MailPasswordChanged:  {greets: true, facts: true},
	MailSignInNew:        {greets: true, facts: true},
	MailFactorAdded:      {greets: true, facts: true},
	MailFactorRemoved:    {greets: true, facts: true},
	MailIdentityLinked:   {greets: true, facts: true},
	MailIdentityUnlinked: {greets: true, facts: true},
	MailRecoveryCodes:    {greets: true, facts: true},
	MailRecoveryUsed:     {greets: true, facts: true},
	MailRefreshReuse:     {greets: true, facts: true},
	MailDeleted:          {greets: true, facts: true},
}

// MailKinds returns all kinds.
func MailKinds() []MailKind {
	return []MailKind{MailSignUp, MailExists, MailVerify, MailReset, MailMagic, MailInvite, MailEmailChange, MailEmailChanged, MailReverted, MailPasswordChanged, MailSignInNew,
		MailFactorAdded, MailFactorRemoved, MailIdentityLinked, MailIdentityUnlinked, MailRecoveryCodes, MailRecoveryUsed, MailRefreshReuse, MailDeleted}
}

// NeedsLink tells whether a mail of the kind is of no use without a link that works.
func (k MailKind) NeedsLink() bool { return mailForms[k].action }

// Mail is one message. Kind decides which of the other fields are used; empty ones are left out.
type Mail struct {
	Kind MailKind
	Name string // what the person is called
	Link string // what the button does, or what undoes that which the mail tells of
	// Address is the e-mail address that the mail is about, as it was typed.
	Address string
	// Detail is what the change was about: the name of the factor or the app.
	Detail string
	// Device, Place and When tell of a sign-in or a change in plain words: browser and system, IP address or town, time.
	Device, Place string
	// Near is where Place, an IP address, probably is.
	Near PlaceView
	When time.Time
	// Life is how long the link works.
	Life  time.Duration
	Brand Brand
}

// MailText is a mail in words.
type MailText struct{ Lang, Subject, Text, HTML string }

// mailLayouts are the one layout of mails in HTML and the one in plain text.
type mailLayouts struct {
	html *template.Template
	text *texttemplate.Template
}

func loadMailLayouts(files fs.FS) (mailLayouts, error) {
	html, err := template.ParseFS(files, "mail/layout.html")
	if err != nil {
		return mailLayouts{}, fmt.Errorf("parse HTML mail: %w", err)
	}
	text, err := texttemplate.ParseFS(files, "mail/layout.txt")
	if err != nil {
		return mailLayouts{}, fmt.Errorf("parse text mail: %w", err)
	}
	return mailLayouts{html, text}, nil
}

// mailFact is a line of what happened.
type mailFact struct{ Name, Value string }

// mailView is what the layouts show, all of it in words.
type mailView struct {
	Lang, Dir, Subject, Brand, Heading, Greeting string
	Paragraphs                                   []string
	Facts                                        []mailFact
	// Link is the link, Action the words on it. Button says that it is what the mail is for; Fallback then tells what to do with the bare address.
	Link, Action, Fallback string
	Button                 bool
	Life, After, Footer    string
	Support, SupportLink   string
	Colours                mailColours
}

var (
	errMailKind = errors.New("no such kind of mail")
	errMailLink = errors.New("a mail of this kind needs a link")
)

// RenderMail puts a mail into words of a language (BCP 47), in English if there are no words in that language. Whatever comes from people is plain text on one line; it is
// never a link.
func (s *Set) RenderMail(lang string, m Mail) (MailText, error) {
	form, ok := mailForms[m.Kind]
	if !ok {
		return MailText{}, fmt.Errorf("render mail %q: %w", m.Kind, errMailKind)
	}
	v, err := s.in(s.Match(lang)).mail(form, m)
	if err != nil {
		return MailText{}, fmt.Errorf("render mail %q: %w", m.Kind, err)
	}
	var html, text bytes.Buffer
	if err := s.mails.html.Execute(&html, v); err != nil {
		return MailText{}, fmt.Errorf("render mail %q in HTML: %w", m.Kind, err)
	}
	if err := s.mails.text.Execute(&text, v); err != nil {
		return MailText{}, fmt.Errorf("render mail %q in text: %w", m.Kind, err)
	}
	return MailText{Lang: v.Lang, Subject: v.Subject, Text: text.String(), HTML: html.String()}, nil
}

// speaker says texts about one mail, and remembers the first failure.
type speaker struct {
	l    *language
	data map[string]any
	err  error
}

func (s *speaker) the(id string) string {
	words, err := s.l.look(id, s.data)
	s.err = cmp.Or(s.err, err)
	return words
}

func (l *language) mail(form mailForm, m Mail) (*mailView, error) {
	brand, name := cmp.Or(mailWord(m.Brand.Name), "Gatehouse"), plainWord(m.Name)
	life, err := l.duration(m.Life)
	if err != nil {
		return nil, err
	}
	say := &speaker{l: l, data: map[string]any{"Brand": brand, "Name": name, "Address": mailWord(m.Address), "Detail": plainWord(m.Detail), "Life": life}}
	id := "mail." + string(m.Kind) + "."
	v := &mailView{
		Lang: l.tag, Dir: l.dir, Brand: brand, Subject: say.the(id + "subject"), Heading: say.the(id + "heading"), Greeting: say.the("mail.greeting"),
		Paragraphs: strings.Split(say.the(id+"text"), "\n\n"), Link: mailLink(m.Link), Button: form.action, Footer: say.the("mail.footer"),
		Colours: m.Brand.Theme.mail(),
	}
	if form.greets && name != "" {
		v.Greeting = say.the("mail.greeting_name")
	}
	if form.facts {
		v.Facts = say.facts(m)
	}
	switch {
	case v.Link == "" && form.action:
		return nil, errMailLink
	case v.Link == "":
		v.After = say.the(id + "after_nolink")
	case form.action:
		v.Action, v.Fallback, v.Life, v.After = say.the(id+"button"), say.the("mail.fallback"), say.the("mail.life"), say.the(id+"after")
	default:
		v.Action, v.Life, v.After = say.the("mail.not_me"), say.the("mail.life_not_me"), say.the(id+"after")
	}
	if m.Life <= 0 {
		v.Life = ""
	}
	if link := helpLink(m.Brand.SupportURL); link != "" && !strings.HasPrefix(link, "/") {
		v.SupportLink, v.Support = link, say.the("mail.support")
	}
	return v, say.err
}

// facts tells when, where and with what.
func (s *speaker) facts(m Mail) []mailFact {
	var out []mailFact
	add := func(id, value string) {
		if value != "" {
			out = append(out, mailFact{s.the(id), value})
		}
	}
	if !m.When.IsZero() {
		when, err := s.l.moment(m.When)
		s.err = cmp.Or(s.err, err)
		add("mail.fact_when", when)
	}
	add("mail.fact_device", plainWord(m.Device))
	add("mail.fact_place", s.place(m))
	return out
}

// place is an address, and in words where it probably is.
func (s *speaker) place(m Mail) string {
	address, near := mailWord(m.Place), PlaceView{plainWord(m.Near.City), plainWord(m.Near.Country)}.Text()
	if address == "" || near.Empty() {
		return address
	}
	words, err := s.l.say(Say("mail.place_near", "Address", address, "Near", near))
	s.err = cmp.Or(s.err, err)
	return words
}

// mailLink returns a link if it may stand in a mail: http or https, and nothing that could break a line.
func mailLink(raw string) string {
	link := webLink(raw)
	if strings.HasPrefix(link, "/") || strings.ContainsFunc(link, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.C) }) {
		return ""
	}
	return link
}

// The longest that people's words may be in a mail, in characters.
const maxMailWord = 100

// mailWord makes foreign text fit for a line of a mail: one line, short, without characters that steer a terminal or turn the direction of what follows.
func mailWord(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	var b strings.Builder
	count, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Cc):
			space = b.Len() > 0
			continue
		case unicode.In(r, unicode.C):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if count++; count > maxMailWord {
			b.WriteRune('…')
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plainWord is mailWord for what a stranger may have chosen. Mail programs turn into links whatever looks like one, so such text is left out: nobody sends advertisements
// in our name by calling himself so.
func plainWord(s string) string {
	s = mailWord(s)
	if strings.ContainsAny(s, "/@\\:") {
		return ""
	}
	for i, r := range s {
		if r == '.' && i+1 < len(s) && s[i+1] != ' ' {
			return ""
		}
	}
	return s
}
