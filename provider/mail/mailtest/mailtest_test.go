package mailtest

import (
	"testing"
	"time"

	"gatehouse/provider/mail"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/templates"
)

func TestStoreShowsWhatWasSentAndNothingThatWasFeigned(t *testing.T) {
	key, err := seal.ParseKey(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	words, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	store := Watch(memory.New(storage.Options{}), ring)
	mailer, err := mail.New(mail.Options{Store: store, Seal: ring, Words: words, Carrier: mail.NewBox(1), Issuer: "https://id.example.com", From: "no-reply@id.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	link := "https://id.example.com/verify?token=x"
	m := templates.Mail{Kind: templates.MailVerify, Link: link, Address: "ada@reader.example", Life: time.Hour}
	if err := mailer.Send(t.Context(), "ada@reader.example", "de", m); err != nil {
		t.Fatal(err)
	}
	if err := mailer.Feign(t.Context(), "de", m); err != nil {
		t.Fatal(err)
	}
	got := store.Last(t, "ada@reader.example", "verify")
	if Link(t, got) != link || got.Lang != "de" || len(store.Mails("")) != 1 || len(store.Mails("eve@reader.example")) != 0 {
		t.Errorf("%+v", got)
	}
}
