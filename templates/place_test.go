package templates

import (
	"strings"
	"testing"
)

func TestPlaceIsSaidAsFarAsItIsKnown(t *testing.T) {
	s := load(t)
	for _, test := range []struct {
		place          PlaceView
		english, mails string
	}{
		{PlaceView{"Kassel", "Germany"}, "near Kassel, Germany", "192.0.2.7 (near Kassel, Germany)"},
		{PlaceView{"Kassel", ""}, "near Kassel", "192.0.2.7 (near Kassel)"},
		{PlaceView{"", "Germany"}, "Germany", "192.0.2.7 (Germany)"},
		{PlaceView{}, "", "192.0.2.7"},
		{PlaceView{"St. Louis", "United States"}, "near St. Louis, United States", "192.0.2.7 (near St. Louis, United States)"},
		{PlaceView{"www.evil.example", "Germany"}, "near www.evil.example, Germany", "192.0.2.7 (Germany)"}, // row 191: a mail program makes a link of it
		{PlaceView{"x@evil.example", "//evil"}, "near x@evil.example, //evil", "192.0.2.7"},
	} {
		if words, err := s.Say("en", test.place.Text()); err != nil || words != test.english {
			t.Errorf("%+v: %q, %v", test.place, words, err)
		}
		m := fullMail(MailSignInNew)
		m.Near = test.place
		out, tree := renderMail(t, s, "en", m)
		if !strings.Contains(out.Text, "Where: "+test.mails+"\n") || text(named(tree, "td")[2]) != test.mails {
			t.Errorf("%+v: %s", test.place, out.Text)
		}
	}
	m := fullMail(MailSignInNew)
	m.Place = ""
	if out, _ := renderMail(t, s, "en", m); strings.Contains(out.Text, "Kassel") {
		t.Errorf("a place without an address: %s", out.Text)
	}
}

// A name in another script keeps its direction, and the address before it, too.
func TestPlaceFallsNotToPiecesFromRightToLeft(t *testing.T) {
	s := arabic(t)
	m := fullMail(MailSignInNew)
	out, err := s.RenderMail("ar", m)
	if want := openIsolate + "192.0.2.7" + closeIsolate; err != nil || !strings.Contains(out.Text, want) || !strings.Contains(out.Text, openIsolate+"Kassel, Deutschland"+closeIsolate) {
		t.Errorf("%s, %v", out.Text, err)
	}
	_, tree := render(t, Layout{Lang: "de"}, accountSessions())
	if names := named(tree, "bdi"); len(names) != 3 || text(names[0]) != "bei Vaduz, Liechtenstein" {
		t.Errorf("%d names of places", len(names))
	}
}
