package templates

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestProvidersAreFormsThatNeedNoScript(t *testing.T) {
	layout := plainLayout()
	layout.Base = "/x"
	list := providers()
	list[1].URL = "/x/elsewhere"
	_, tree := render(t, layout, Login{Password: true, Upstreams: list, Interaction: "i-1"})
	for _, p := range list {
		form := byID(tree, "upstream-"+p.ID)
		if p.Down {
			if form != nil {
				t.Errorf("%s is down and has a form", p.ID)
			}
			continue
		}
		want := "/x/upstream/" + p.ID + "/start"
		if p.URL != "" {
			want = p.URL
		}
		if attr(form, "method") != "post" || attr(form, "action") != want {
			t.Fatalf("%s: form %+v", p.ID, form)
		}
		if got := fields(form); !sameMap(got, map[string]string{"csrf": "csrf-token-value", "interaction": "i-1"}) {
			t.Errorf("%s sends %v", p.ID, got)
		}
		buttons := named(form, "button")
		if len(buttons) != 1 || attr(buttons[0], "type") != "submit" || text(buttons[0]) != "Continue with "+p.Name {
			t.Errorf("%s: %s", p.ID, text(form))
		}
		if marks := named(form, "svg"); len(marks) != 1 || attr(marks[0], "aria-hidden") != "true" {
			t.Errorf("%s has %d marks", p.ID, len(marks))
		}
	}
}

func TestProviderThatIsDownIsShownAndCannotBeUsed(t *testing.T) {
	down := UpstreamButton{ID: "dead", Name: "Old Directory", Down: true}
	for _, p := range []Page{Login{Upstreams: []UpstreamButton{down}}, AccountSecurity{Linkable: []UpstreamButton{down}}, UpstreamProblem{Again: &down}} {
		_, tree := render(t, plainLayout(), p)
		buttons := elements(tree, func(n *html.Node) bool { return n.Data == "button" && strings.Contains(text(n), "Old Directory") })
		if len(buttons) != 1 {
			t.Fatalf("%s: %d buttons", p.Template(), len(buttons))
		}
		if _, disabled := lookup(buttons[0], "disabled"); !disabled {
			t.Errorf("%s: the button can be used", p.Template())
		}
		if why := text(byID(tree, attr(buttons[0], "aria-describedby"))); why != "Old Directory is not available right now." {
			t.Errorf("%s says %q", p.Template(), why)
		}
	}
}

func TestLoginOffersWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		name                    string
		page                    Login
		form, providers, divide bool
		focus                   string
	}{
		{"password alone", Login{Password: true}, true, false, false, "username"},
		{"password alone, named", Login{Password: true, Username: "mira"}, true, false, false, "password"},
		{"both", Login{Password: true, Upstreams: providers()}, true, true, true, ""},
		{"both, hinted", Login{Password: true, Upstreams: providers(), Username: "mira"}, true, true, true, ""},
		{"both, wrong", Login{Password: true, Upstreams: providers(), Username: "mira", Error: Plain("Wrong.")}, true, true, true, "password"},
		{"providers alone", Login{Upstreams: providers(), Error: Plain("That did not work.")}, false, true, false, ""},
		{"locked", Login{Password: true, LockedName: "mira"}, true, false, false, "password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, tree := render(t, plainLayout(), c.page)
			divider := elements(tree, func(n *html.Node) bool { return attr(n, "class") == "divider" })
			if got := byID(tree, "login") != nil; got != c.form {
				t.Errorf("form %v", got)
			}
			if got := byID(tree, "upstream-google") != nil; got != c.providers {
				t.Errorf("providers %v", got)
			}
			if got := len(divider) == 1 && text(divider[0]) == "or"; got != c.divide {
				t.Errorf("divider %v", got)
			}
			var focus []string
			for _, n := range elements(tree, func(n *html.Node) bool { _, ok := lookup(n, "autofocus"); return ok }) {
				focus = append(focus, attr(n, "id"))
			}
			if strings.Join(focus, " ") != c.focus {
				t.Errorf("focus on %v, want %q", focus, c.focus)
			}
		})
	}
}

func TestLockedNameCannotBeChanged(t *testing.T) {
	_, tree := render(t, plainLayout(), Login{Password: true, Username: "other", LockedName: "mira@northwind.example"})
	name := byID(tree, "username")
	if _, fixed := lookup(name, "readonly"); !fixed || attr(name, "value") != "mira@northwind.example" {
		t.Errorf("%v", name.Attr)
	}
	_, tree = render(t, plainLayout(), Login{Password: true, Username: "other"})
	if _, fixed := lookup(byID(tree, "username"), "readonly"); fixed {
		t.Error("the name is fixed for everybody")
	}
}

func TestProvidersComeBeforeThePasswordInTheOrderOfTheKeyboard(t *testing.T) {
	_, tree := render(t, plainLayout(), Login{Password: true, Upstreams: providers()[:2]})
	var order []string
	for _, n := range elements(tree, func(n *html.Node) bool { return n.Data == "button" || n.Data == "input" && attr(n, "type") != "hidden" }) {
		if _, moved := lookup(n, "tabindex"); moved {
			t.Errorf("%s leaves the order of the page", text(n))
		}
		order = append(order, text(n)+attr(n, "name"))
	}
	if want := []string{"Continue with Google", "Continue with GitHub", "username", "password", "Sign in"}; !slices.Equal(order, want) {
		t.Errorf("%q", order)
	}
}

func TestUpstreamProblemShowsTheWaysOn(t *testing.T) {
	layout := plainLayout()
	layout.Base = "/x"
	_, tree := render(t, layout, UpstreamProblem{Heading: Plain("You cancelled"), Message: Plain("Nothing has changed."), Again: &providers()[0], Interaction: "i-1", Other: "/x/login?interaction=i-1", RequestID: "r-1"})
	for id, want := range map[string]string{"error-heading": "You cancelled", "error-message": "Nothing has changed.", "request-id": "r-1"} {
		if got := text(byID(tree, id)); got != want {
			t.Errorf("#%s says %q, want %q", id, got, want)
		}
	}
	if got := attr(byID(tree, "other-ways"), "href"); got != "/x/login?interaction=i-1" {
		t.Errorf("other ways lead to %q", got)
	}
	if form := byID(tree, "upstream-google"); attr(form, "action") != "/x/upstream/google/start" || fields(form)["interaction"] != "i-1" {
		t.Errorf("try again: %+v", form)
	}
	_, tree = render(t, layout, UpstreamProblem{Message: Plain("m"), Other: "https://evil.example/"})
	if byID(tree, "other-ways") != nil || len(named(tree, "form")) != 0 || text(byID(tree, "error-heading")) != "You are not signed in" {
		t.Error("a bare page has links, forms or no heading")
	}
}

func TestAccountLinksAndUnlinks(t *testing.T) {
	layout := plainLayout()
	layout.Base = "/x"
	page := providerAccount()
	page.Identities[1].Removable = false
	_, tree := render(t, layout, page)
	sent := map[string][]map[string]string{}
	for _, form := range named(tree, "form") {
		sent[attr(form, "action")] = append(sent[attr(form, "action")], fields(form))
	}
	unlink, link := sent["/x/account/unlink"], sent["/x/account/link"]
	if len(unlink) != 1 || !sameMap(unlink[0], map[string]string{"csrf": "csrf-token-value", "upstream": "google", "external_id": "10769150350006150715113082367"}) {
		t.Errorf("unlink sends %v", unlink)
	}
	if len(link) != 1 || !sameMap(link[0], map[string]string{"csrf": "csrf-token-value", "upstream": "gitlab"}) || byID(tree, "link-gitlab") == nil {
		t.Errorf("link sends %v", link)
	}
	rows := named(byID(tree, "identities"), "li")
	if len(rows) != 2 || !strings.Contains(text(rows[1]), "This is the only way into your account") || strings.Contains(text(rows[0]), "only way") {
		t.Errorf("rows: %s", text(byID(tree, "identities")))
	}
	for _, want := range []string{"Google", "mira.lindqvist@gmail.example", "Since 23 November 2025 · last used 30 November 2025"} {
		if !strings.Contains(text(rows[0]), want) {
			t.Errorf("%q is not in %s", want, text(rows[0]))
		}
	}
	if _, tree = render(t, layout, accountSecurity()); byID(tree, "providers-heading") != nil {
		t.Error("without providers there is a section of them")
	}
}
