package activity

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/mail"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/templates"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

type sent struct {
	to, lang string
	mail     templates.Mail
}

// post notes what is sent.
type post struct {
	mails []sent
	err   error
	off   bool
}

func (p *post) On() bool { return !p.off }

func (p *post) Send(_ context.Context, to, lang string, m templates.Mail) error {
	p.mails = append(p.mails, sent{to, lang, m})
	return p.err
}

type stage struct {
	t     *testing.T
	store *memory.Store
	post  *post
	out   *bytes.Buffer
	log   *Log
	user  *storage.User
}

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, store: memory.New(storage.Options{}), post: &post{}, out: &bytes.Buffer{}}
	logger := slog.New(slog.NewJSONHandler(s.out, nil))
	s.log = New(Options{Store: s.store, Mailer: s.post, Audit: audit.New(logger), Log: logger, Now: func() time.Time { return now }})
	s.user = &storage.User{Subject: "ada", Email: "Ada@example.com", EmailKey: "ada@example.com", EmailVerified: true, Locale: "de", Claims: map[string]any{"name": "Ada Lovelace"}}
	if err := s.store.CreateUser(t.Context(), s.user, "x"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) lines() []*storage.Activity {
	s.t.Helper()
	list, err := s.store.Activities(s.t.Context(), "ada", 100)
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func TestEventIsAuditedShownAndMailed(t *testing.T) {
	s := newStage(t)
	s.log.Note(t.Context(), Where{"192.0.2.7", firefox}, s.user, Event{Kind: FactorEnrolled, Detail: "Blue key", ClientID: "notes", AMR: []string{"pwd", "otp"}})
	if !strings.Contains(s.out.String(), `"event":"factor.enrolled","actor":"ada","client":"notes","result":"ok"`) || strings.Contains(s.out.String(), "Blue key") {
		t.Errorf("log %s", s.out)
	}
	list := s.lines()
	if len(list) != 1 || list[0].Kind != FactorEnrolled || list[0].Detail != "Blue key" || list[0].IP != "192.0.2.7" || list[0].UserAgent != firefox || !list[0].Time.Equal(now) || len(list[0].ID) != 22 ||
		strings.Join(list[0].AMR, " ") != "pwd otp" {
		t.Errorf("shown %+v", list)
	}
	want := templates.Mail{Kind: templates.MailFactorAdded, Name: "Ada Lovelace", Detail: "Blue key", Device: "Firefox, Linux", Place: "192.0.2.7", When: now}
	if len(s.post.mails) != 1 || s.post.mails[0] != (sent{"ada@example.com", "de", want}) {
		t.Errorf("mailed %+v", s.post.mails)
	}
}

func TestEveryKindTellsWhomTheTableSays(t *testing.T) {
	for kind, r := range rules {
		s := newStage(t)
		s.log.Note(t.Context(), Where{}, s.user, Event{Kind: kind, To: "old@example.com"})
		if shown := len(s.lines()) == 1; shown != r.shown || Shown(kind) != r.shown {
			t.Errorf("%s: shown %v", kind, shown)
		}
		if mailed := len(s.post.mails) == 1; mailed != (r.mail != "") {
			t.Errorf("%s: mailed %v", kind, s.post.mails)
		}
	}
}

// Row 182: whoever has a stolen session cannot push the sign-ins out of the bounded history with what can be repeated without end.
func TestRow182WhatCanBeRepeatedWithoutEndIsNotInTheHistory(t *testing.T) {
	s := newStage(t)
	for _, kind := range []string{ProfileChanged, FactorRenamed} {
		s.log.Note(t.Context(), Where{}, s.user, Event{Kind: kind})
		if !strings.Contains(s.out.String(), kind) {
			t.Errorf("%s is not in the audit log", kind)
		}
	}
	if lines := s.lines(); len(lines) != 0 {
		t.Errorf("shown %+v", lines)
	}
}

func TestFailureIsForTheAuditLogAlone(t *testing.T) {
	s := newStage(t)
	for _, e := range []Event{{Kind: "login.failed", Result: "failed"}, {Kind: PasswordChanged, Result: "failed", Reason: "blocklist"}, {Kind: LoginOK, Result: "failed", Mail: &templates.Mail{Kind: templates.MailSignInNew}}} {
		s.log.Note(t.Context(), Where{}, s.user, e)
	}
	s.log.Note(t.Context(), Where{}, nil, Event{Kind: PasswordChanged})
	if len(s.lines()) != 0 || len(s.post.mails) != 0 || strings.Count(s.out.String(), "\n") != 4 {
		t.Errorf("shown %v, mailed %v, log %s", s.lines(), s.post.mails, s.out)
	}
}

func TestSignInSendsMailOnlyIfTheFeatureSaysSo(t *testing.T) {
	s := newStage(t)
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: LoginOK})
	if len(s.post.mails) != 0 {
		t.Fatalf("mailed %v", s.post.mails)
	}
	s.log.Note(t.Context(), Where{IP: "192.0.2.7"}, s.user, Event{Kind: LoginOK, Mail: &templates.Mail{Kind: templates.MailSignInNew, Link: "https://id.example/x", Place: "Berlin", When: now.Add(-time.Hour)}})
	if len(s.post.mails) != 1 {
		t.Fatalf("mailed %v", s.post.mails)
	}
	if m := s.post.mails[0].mail; m.Link == "" || m.Place != "Berlin" || !m.When.Equal(now.Add(-time.Hour)) || m.Name != "Ada Lovelace" {
		t.Errorf("what the feature said is lost: %+v", m)
	}
}

// desk makes links.
type desk struct{ made []storage.Ticket }

func (d *desk) Issue(_ context.Context, t storage.Ticket) (string, error) {
	d.made = append(d.made, t)
	return "https://id.example/recovery/not-me?token=x", nil
}

func (*desk) Life(storage.TicketKind) time.Duration { return time.Hour }

func TestLinkThatUndoesIsMadeOnlyForAMailThatIsSent(t *testing.T) {
	s, d := newStage(t), &desk{}
	s.log.o.Tickets = d
	undo := Undo(s.user, now.Add(-time.Minute))
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: LoginOK, Undo: undo})
	s.post.off = true
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged, Undo: undo})
	s.post.off = false
	s.user.EmailVerified = false
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged, Undo: undo})
	s.user.EmailVerified = true
	if len(d.made) != 0 || len(s.post.mails) != 0 {
		t.Fatalf("%d links, %d mails", len(d.made), len(s.post.mails))
	}
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged, Undo: undo})
	if len(d.made) != 1 || len(s.post.mails) != 1 || s.post.mails[0].mail.Link == "" || s.post.mails[0].mail.Life != time.Hour {
		t.Fatalf("%d links, mails %+v", len(d.made), s.post.mails)
	}
	if got := Since(&storage.Ticket{Created: now, Data: d.made[0].Data}); d.made[0].Kind != storage.TicketRevert || !got.Equal(now.Add(-time.Minute)) {
		t.Errorf("a link of kind %s since %v", d.made[0].Kind, got)
	}
	if got := Since(&storage.Ticket{Created: now.Add(-time.Hour), Data: d.made[0].Data}); !got.Equal(now.Add(-time.Hour)) {
		t.Errorf("a link goes back to %v, after it was made", got)
	}
}

func TestAddressThatNobodyProvedGetsNoMail(t *testing.T) {
	s := newStage(t)
	s.user.EmailVerified = false
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged})
	if len(s.post.mails) != 0 {
		t.Errorf("mailed %v", s.post.mails)
	}
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged, To: "proven@example.com"})
	if len(s.post.mails) != 1 || s.post.mails[0].to != "proven@example.com" {
		t.Errorf("mailed %v", s.post.mails)
	}
}

func TestChangeOfAddressIsToldToTheOldOneOrToNobody(t *testing.T) {
	s := newStage(t)
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: EmailChanged, Detail: "new@example.com"})
	if len(s.post.mails) != 0 {
		t.Fatalf("the new address is told: %v", s.post.mails)
	}
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: EmailChanged, Detail: "new@example.com", To: "old@example.com"})
	if len(s.post.mails) != 1 || s.post.mails[0].to != "old@example.com" || s.post.mails[0].mail.Address != "new@example.com" {
		t.Errorf("mailed %+v", s.post.mails)
	}
}

func TestFailingStoreAndMailAreLoggedAndFailNothing(t *testing.T) {
	s := newStage(t)
	s.post.err = errors.New("disk on fire")
	s.store.Fault = func(string) error { return errors.New("disk on fire") }
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged})
	if log := s.out.String(); !strings.Contains(log, "an activity is lost") || !strings.Contains(log, "a mail is lost") || strings.Contains(log, "example.com") {
		t.Errorf("log %s", log)
	}
	s = newStage(t)
	s.post.err = mail.ErrOff
	s.log.Note(t.Context(), Where{}, s.user, Event{Kind: PasswordChanged})
	if strings.Contains(s.out.String(), "lost") {
		t.Errorf("a server without mail complains: %s", s.out)
	}
}

func TestRequestThatEndedStillNotes(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.log.Note(ctx, Where{}, s.user, Event{Kind: LoginOK})
	if len(s.lines()) != 1 {
		t.Error("a browser that hangs up hides its sign-in")
	}
}

func TestRow192HostileBrowserCannotHideItsSignIn(t *testing.T) {
	s := newStage(t)
	s.log.Note(t.Context(), Where{IP: "192.0.2.7", UserAgent: "\xff\xfe\x00Fire\r\nfox\x1b" + strings.Repeat("ä", 10<<10)}, s.user, Event{Kind: LoginOK, Detail: "a\x00\xffb"})
	list := s.lines()
	if len(list) != 1 || !strings.HasPrefix(list[0].UserAgent, "Firefox") || len(list[0].UserAgent) > maxAgent || list[0].Detail != "ab" {
		t.Errorf("shown %+v", list)
	}
}
