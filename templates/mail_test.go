package templates

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var mailGallery = flag.String("mails", "", "folder to write every mail to")

// fullMail has every field of a mail.
func fullMail(kind MailKind) Mail {
	return Mail{
		Kind: kind, Name: "Mira Lindqvist", Link: "https://id.northwind.example/x?token=gth_lk_1&a=b", Address: "mira.new@northwind.example", Detail: "Blue key", Device: "Firefox, Linux",
		Place: "192.0.2.7", Near: PlaceView{"Kassel", "Deutschland"}, When: since, Life: 3 * 24 * time.Hour, Brand: plainLayout().Brand,
	}
}

func renderMail(t *testing.T, s *Set, lang string, m Mail) (MailText, *html.Node) {
	t.Helper()
	out, err := s.RenderMail(lang, m)
	if err != nil {
		t.Fatalf("%s in %s: %v", m.Kind, lang, err)
	}
	tree, err := html.Parse(strings.NewReader(out.HTML))
	if err != nil {
		t.Fatal(err)
	}
	return out, tree
}

func TestEveryMailIsCompleteInTextAndHTML(t *testing.T) {
	s := load(t)
	if len(MailKinds()) != len(mailForms) {
		t.Errorf("%d kinds, %d forms", len(MailKinds()), len(mailForms))
	}
	for _, lang := range s.Languages() {
		for _, kind := range MailKinds() {
			out, tree := renderMail(t, s, lang, fullMail(kind))
			if *mailGallery != "" {
				base := filepath.Join(*mailGallery, lang+"-"+string(kind))
				for name, body := range map[string]string{base + ".html": out.HTML, base + ".txt": out.Subject + "\n\n" + out.Text} {
					if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			if out.Lang != lang || attr(named(tree, "html")[0], "lang") != lang || !strings.Contains(out.Subject, "Northwind Identity") || strings.ContainsAny(out.Subject, "\r\n") {
				t.Errorf("%s in %s: language %s, subject %q", kind, lang, out.Lang, out.Subject)
			}
			seen := strings.Join(strings.Fields(text(named(tree, "body")[0])), " ")
			for _, line := range strings.Split(out.Text, "\n") {
				line = strings.Join(strings.Fields(strings.TrimSuffix(line, ":")), " ")
				if line == "" || line == "--" || strings.Contains(line, ": ") || strings.HasPrefix(line, "https://") {
					continue
				}
				if !strings.Contains(seen, line) {
					t.Errorf("%s in %s: only the text says %q", kind, lang, line)
				}
			}
			if !strings.Contains(out.Text, fullMail(kind).Link) {
				t.Errorf("%s in %s: the text has no link", kind, lang)
			}
			links := 0
			for _, a := range named(tree, "a") {
				if attr(a, "href") == fullMail(kind).Link {
					links++
				}
			}
			if links != 1 {
				t.Errorf("%s in %s: %d links", kind, lang, links)
			}
			if strings.Contains(out.Text+out.HTML, "<no value>") || strings.Contains(out.HTML, "ZgotmplZ") || strings.Contains(out.Text, "\n\n\n") {
				t.Errorf("%s in %s: %s", kind, lang, out.Text)
			}
		}
	}
}

func TestMailLoadsAndRunsNothing(t *testing.T) {
	s := load(t)
	for _, kind := range MailKinds() {
		m := fullMail(kind)
		m.Brand.LogoURL = "https://northwind.example/logo.svg"
		out, tree := renderMail(t, s, "en", m)
		for n := range tree.Descendants() {
			switch n.Data {
			case "img", "script", "link", "iframe", "object", "form", "video", "base":
				t.Errorf("%s has a %s", kind, n.Data)
			}
			for _, a := range n.Attr {
				if a.Key == "src" || a.Key == "background" || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: %s=%q", kind, a.Key, a.Val)
				}
			}
		}
		for _, bad := range []string{"url(", "@import", "expression("} {
			if strings.Contains(out.HTML, bad) {
				t.Errorf("%s has %s", kind, bad)
			}
		}
	}
}

func TestNoticeWithoutLinkTellsAnotherWay(t *testing.T) {
	s := load(t)
	for _, lang := range s.Languages() {
		for _, kind := range MailKinds() {
			m := fullMail(kind)
			m.Link = ""
			out, err := s.RenderMail(lang, m)
			if kind.NeedsLink() {
				if err == nil {
					t.Errorf("%s is written without its link", kind)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s in %s: %v", kind, lang, err)
			}
			if strings.Contains(out.HTML, "<a class") || strings.Contains(out.Text, "https://") {
				t.Errorf("%s in %s has a link: %s", kind, lang, out.Text)
			}
		}
	}
}

func TestMailOfAnUnknownKindIsAnError(t *testing.T) {
	if _, err := load(t).RenderMail("en", Mail{Kind: "spam", Link: "https://id.example/x"}); err == nil {
		t.Error("no error")
	}
}

func TestMailFallsBackToEnglish(t *testing.T) {
	s := load(t)
	for lang, want := range map[string]string{"": "en", "tlh": "en", "de-AT": "de", "de": "de", "en-GB": "en", "not a tag": "en", "de\r\nx": "en"} {
		out, err := s.RenderMail(lang, fullMail(MailReset))
		if err != nil || out.Lang != want {
			t.Errorf("%q gives %s, %v", lang, out.Lang, err)
		}
	}
}

func TestRow191HostileWordsStayTextInMails(t *testing.T) {
	s := load(t)
	hostile := append([]string{"Ada\r\nBcc: x@evil.example", "a\u2028b\u2029c\u202ed", "\x1b[31m\x00", strings.Repeat("<b>x", 10<<10)}, vectors...)
	for _, value := range hostile {
		for _, kind := range MailKinds() {
			m := fullMail(kind)
			m.Name, m.Address, m.Detail, m.Device, m.Place = value, value, value, value, value
			m.Near = PlaceView{value, value}
			m.Brand = Brand{Name: value, SupportURL: value}
			out, tree := renderMail(t, s, "en", m)
			for n := range tree.Descendants() {
				switch n.Data {
				case "script", "svg", "img", "b", "textarea":
					t.Errorf("%s: %q becomes <%s>", kind, value[:min(len(value), 60)], n.Data)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "href" && !strings.HasPrefix(a.Val, "https://") {
						t.Errorf("%s: %s=%q", kind, a.Key, a.Val)
					}
				}
			}
			if strings.ContainsAny(out.Subject, "\r\n\u2028\u2029\u202e\x1b\x00") || strings.ContainsAny(out.Text, "\r\u2028\u2029\u202e\x1b\x00") || len(out.Subject) > 1000 || len(out.HTML) > 20<<10 {
				t.Errorf("%s: subject %q, %d bytes", kind, out.Subject, len(out.HTML))
			}
		}
	}
}

func TestRow191NameThatLooksLikeALinkIsLeftOut(t *testing.T) {
	s := load(t)
	for _, name := range []string{"You won! https://evil.example", "evil.example", "www.evil.example/x", "call me@evil.example", "//evil", `\\evil`} {
		m := fullMail(MailPasswordChanged)
		m.Name, m.Detail, m.Device = name, name, name
		if out, _ := renderMail(t, s, "en", m); strings.Contains(out.Text+out.HTML, "evil") {
			t.Errorf("%q is in the mail: %s", name, out.Text)
		}
	}
	for _, name := range []string{"Dr. Ada Lovelace", "J. R. R. Tolkien", "O'Neil", "李雷", "Martin Luther King Jr."} {
		m := fullMail(MailPasswordChanged)
		m.Name = name
		if out, _ := renderMail(t, s, "en", m); !strings.Contains(out.Text, "Hello "+name+",") {
			t.Errorf("%q is not greeted: %s", name, out.Text)
		}
	}
}

func TestMailToAnAddressThatNobodyProvedCallsNobodyByName(t *testing.T) {
	s := load(t)
	for _, kind := range []MailKind{MailSignUp, MailVerify, MailInvite, MailEmailChange} {
		if out, _ := renderMail(t, s, "en", fullMail(kind)); strings.Contains(out.Text+out.HTML, "Mira L") {
			t.Errorf("%s: %s", kind, out.Text)
		}
	}
}

func TestRow143LinkOfAMailIsHTTP(t *testing.T) {
	s := load(t)
	for _, link := range []string{"javascript:alert(1)", "data:text/html,x", "/local", "//evil.example", "https://a.example/\r\nBcc: x", "https://a.example/ x"} {
		m := fullMail(MailReset)
		m.Link = link
		if _, err := s.RenderMail("en", m); err == nil {
			t.Errorf("%q is taken for a link", link)
		}
	}
}

// The button and the links of a mail have the colours of the brand, as those of the pages have, and text on them that can be read.
func TestMailsHaveTheColoursOfTheBrand(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{"#1d5c50", "#86cdb9", "#0d211c"}
	for _, test := range []struct {
		theme      Theme
		want, lack []string
	}{
		{Theme{}, ours, nil},
		{Theme{Accent: "#8A1C5B"}, []string{"background: #8a1c5b; color: #ffffff", "color: #8a1c5b"}, ours},
		{Theme{Accent: "#8a1c5b", Dark: "#f0b6d5"}, []string{"background: #8a1c5b; color: #ffffff", "background: #f0b6d5 !important; color: #000000 !important"}, ours},
		{Theme{Accent: "red; } body { display: none"}, ours, []string{"display: none"}},
	} {
		m, err := set.RenderMail("en", Mail{Kind: MailReset, Link: "https://id.example.com/x", Life: time.Hour, Brand: Brand{Name: "Shop", Theme: test.theme}})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range test.want {
			if !strings.Contains(m.HTML, text) {
				t.Errorf("%+v: no %q in %s", test.theme, text, m.HTML)
			}
		}
		for _, text := range test.lack {
			if strings.Contains(m.HTML, text) {
				t.Errorf("%+v: %q in %s", test.theme, text, m.HTML)
			}
		}
	}
}
