package login_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/login"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// A sign-in in two steps: the name, then the password.

func inSteps(o *login.Options) { o.IdentifierFirst = true }

// name opens the first step and sends a name.
func (s *server) name(b *webtest.Browser, id, typed string) *webtest.Page {
	s.Helper()
	return b.Submit(s.form(b, id), "login", url.Values{"username": {typed}})
}

// second walks to the step of the password.
func (s *server) second(b *webtest.Browser, id, typed string) *webtest.Page {
	s.Helper()
	p := b.Get(s.name(b, id, typed).Location())
	if p.Status != http.StatusOK || p.Form("login") == nil || p.Form("login").Action != "/login/password" {
		s.Fatalf("%s: no step of the password: %d %s", typed, p.Status, p.Body)
	}
	return p
}

// guess types a name and then a password.
func (s *server) guess(b *webtest.Browser, id, typed, password string) *webtest.Page {
	s.Helper()
	return b.Submit(s.second(b, id, typed), "login", url.Values{"password": {password}})
}

func (s *server) createUserWithoutPassword(name string) {
	key, err := credential.EmailKey(name + "@shop.example")
	s.must(err)
	s.must(s.store.CreateUser(s.Context(), &storage.User{Subject: "sub-" + name, Email: name + "@shop.example", EmailKey: key, Username: name, UsernameKey: name}, ""))
}

func TestSignInInTwoSteps(t *testing.T) {
	s := start(t, inSteps, func(o *login.Options) {
		o.Remember, o.Elsewhere = true, login.Elsewhere{Recovery: true, MailLink: true, SignUp: func(*storage.Client) bool { return true }}
	})
	b := s.browser()
	id := s.begin(b, nil)
	first := s.form(b, id)
	if f := first.Form("login"); f.Action != "/login" || f.Fields.Has("password") || f.Fields.Has("remember") || first.Text("next") == "" || first.Text("to-mail-link") == "" || first.Text("to-signup") == "" || first.Text("to-recovery") != "" {
		t.Errorf("the first step: %+v %s", f, first.Body)
	}
	p := b.Submit(first, "login", url.Values{"username": {"alice"}})
	if p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/login/password?interaction="+id) {
		t.Fatalf("%d to %q", p.Status, p.Location())
	}
	p = b.Get(p.Location())
	if f := p.Form("login"); f.Fields.Get("username") != "alice" || p.Attribute("username", "autocomplete") != "username" || !f.Fields.Has("remember") || p.Text("other") == "" || p.Text("to-recovery") == "" || p.Text("to-mail-link") == "" || p.Text("to-signup") != "" {
		t.Errorf("the second step: %+v %s", f, p.Body)
	}
	wrong := b.Submit(p, "login", url.Values{"password": {"a wrong password"}})
	if wrong.Status != http.StatusUnauthorized || wrong.Form("login").Action != "/login/password" || !strings.Contains(wrong.Body, "The user name or the password is not right.") {
		t.Errorf("a wrong password: %d %s", wrong.Status, wrong.Body)
	}
	back := b.Get(p.Attribute("other", "href"))
	if f := back.Form("login"); back.Status != http.StatusOK || f.Action != "/login" || f.Fields.Get("username") != "alice" {
		t.Errorf("back to the first step: %d %s", back.Status, back.Body)
	}
	p = b.Submit(b.Get(b.Submit(back, "login", url.Values{"username": {"bob@shop.example"}}).Location()), "login", url.Values{"password": {right}})
	if p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/oauth2/authorize?interaction="+id) || !s.signedIn(b) {
		t.Fatalf("%d to %q", p.Status, p.Location())
	}
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if flow.Subject != "sub-bob" || s.flows.Typed(flow) != "" {
		t.Errorf("signed in: %+v", flow)
	}
}

func TestRow136StepOfTheNameIsTheSameForEverybody(t *testing.T) {
	type answer struct {
		Status int
		Body   string
		Header []string
		Work   []string
	}
	s := start(t, inSteps)
	s.createUserWithoutPassword("dave")
	look := func(p *webtest.Page, name, id string) answer {
		return answer{p.Status, strings.ReplaceAll(plain(p, name)+p.Location(), id, ""), sorted(p.Header), s.work.take()}
	}
	walk := func(name string) (steps [3]answer) {
		b := s.browser()
		id := s.begin(b, nil)
		form := s.form(b, id)
		s.work.take()
		p := b.Submit(form, "login", url.Values{"username": {name}})
		steps[0] = look(p, name, id)
		p = b.Get(p.Location())
		steps[1] = look(p, name, id)
		p = b.Submit(p, "login", url.Values{"password": {"a wrong password of some length"}})
		steps[2] = look(p, name, id)
		if s.signedIn(b) {
			t.Errorf("%s was signed in", name)
		}
		return steps
	}
	want := walk("alice")
	if want[0].Status != http.StatusSeeOther || want[1].Status != http.StatusOK || want[2].Status != http.StatusUnauthorized || len(want[0].Work)+len(want[1].Work) != 0 {
		t.Fatalf("alice: %+v", want)
	}
	if len(want[2].Work) != 12 { // that of one form; see TestRuling27UnknownWrongAndDisabledAreAlike
		t.Errorf("counted work: %q", want[2].Work)
	}
	for _, name := range []string{"nobody", "nobody@shop.example", "carol", "carol@shop.example", "dave", "dave@shop.example", "BOB@shop.example"} {
		if got := walk(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s differs from alice:\n%+v\n%+v", name, got, want)
		}
	}
}

func TestRow137BothStepsShareOneCounter(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	for i, name := range []string{"alice", "ALICE", "alice@shop.example", " Alice@SHOP.example ", "ａｌｉｃｅ＠shop.example"} {
		if p := s.guess(b, s.begin(b, nil), name, "a wrong password"); p.Status != http.StatusUnauthorized {
			t.Fatalf("try %d (%s): %d", i, name, p.Status)
		}
	}
	id := s.begin(b, nil)
	s.work.take()
	p := s.guess(b, id, "alice", right)
	if p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "1" || p.Form("login").Action != "/login/password" {
		t.Fatalf("after five failures: %d, Retry-After %q", p.Status, p.Header.Get("Retry-After"))
	}
	if s.work.count("hash") != 0 || s.signedIn(b) {
		t.Error("a throttled try was still made")
	}
	other := s.browser()
	if s.guess(other, s.begin(other, nil), "bob", right); !s.signedIn(other) {
		t.Error("another account is blocked too")
	}
	s.clock.advance(time.Second)
	if s.guess(b, id, "alice@shop.example", right); !s.signedIn(b) {
		t.Error("the account is still blocked after Retry-After")
	}
}

func TestRow145PasswordWithoutANameLeadsToTheFirstStep(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	id := s.begin(b, nil)
	csrf := s.form(b, id).Form("login").Fields.Get("csrf")
	before, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	for name, fields := range map[string]url.Values{
		"the password alone":      {"password": {right}},
		"with a name in the form": credentials("alice", right),
		"nothing":                 {},
	} {
		fields.Set("interaction", id)
		fields.Set("csrf", csrf)
		s.work.take()
		p := b.Post("/login/password", fields)
		if p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/login?interaction="+id) || s.signedIn(b) || len(s.work.take()) != 0 {
			t.Errorf("%s: %d to %q", name, p.Status, p.Location())
		}
	}
	if p := b.Get("/login/password?interaction=" + id); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/login?interaction="+id) {
		t.Errorf("the address of the second step: %d to %q", p.Status, p.Location())
	}
	after, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if !reflect.DeepEqual(after, before) {
		t.Errorf("the interaction changed: %+v", after)
	}
}

func TestRow145StepsCannotBeMixed(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	id := s.begin(b, nil)
	if p := b.Submit(s.form(b, id), "login", credentials("alice", right)); p.Status != http.StatusSeeOther || s.signedIn(b) {
		t.Errorf("a password in the first step: %d", p.Status)
	}
	old := s.second(b, id, "alice")
	s.name(b, id, "bob")
	if p := b.Submit(old, "login", credentials("alice", "a guess")); p.Status != http.StatusUnauthorized || p.Form("login").Fields.Get("username") != "bob" {
		t.Errorf("an old second step: %d for %q", p.Status, p.Form("login").Fields.Get("username"))
	}
	foreign := s.browser()
	s.begin(foreign, nil)
	form := s.form(foreign, s.accountFlow(foreign).ID).Form("login")
	form.Fields.Set("interaction", id)
	for _, action := range []string{"/login", "/login/password"} {
		form.Action = action
		if p := foreign.SubmitForm(form, credentials("alice", right)); p.Status != http.StatusForbidden || s.signedIn(foreign) {
			t.Errorf("another browser at %s: %d", action, p.Status)
		}
	}
	for _, path := range []string{"/login/name", "/login/password"} {
		if p := foreign.Get(path + "?interaction=" + id); p.Status != http.StatusForbidden || strings.Contains(p.Body, `"bob"`) || strings.Contains(p.Body, ">bob") {
			t.Errorf("another browser at %s: %d", path, p.Status)
		}
	}
	s.must(s.flows.Consume(t.Context(), id))
	if p := b.Submit(old, "login", credentials("bob", right)); !strings.Contains(p.Body, "Already finished") || s.signedIn(b) {
		t.Errorf("after the end: %d", p.Status)
	}
}

// What is typed may be a password in the wrong field.
func TestRow192TypedNameIsSealed(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	id := s.begin(b, nil)
	const typed = "hunter2hunter2"
	p := s.name(b, id, typed)
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if s.flows.Typed(flow) != typed {
		t.Fatalf("kept %q", s.flows.Typed(flow))
	}
	for place, value := range flow.Proofs {
		if strings.Contains(value, typed) {
			t.Errorf("the store holds the name as %s", place)
		}
	}
	if strings.Contains(p.Location(), typed) || strings.Contains(s.log.String(), typed) {
		t.Error("the address or the log holds the name")
	}
	other := s.begin(b, nil)
	moved, err := s.store.Interaction(t.Context(), other)
	s.must(err)
	moved.Proofs = flow.Proofs
	if got := s.flows.Typed(moved); got != "" {
		t.Errorf("another interaction opens the name: %q", got)
	}
}

// Every seal differs, so a name that was written again would not be the same text.
func TestRow168SameNameIsWrittenOnce(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	id := s.begin(b, nil)
	kept := func(typed string) *storage.Interaction {
		if p := s.name(b, id, typed); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/login/password?interaction="+id) {
			t.Errorf("%s: %d to %q", typed, p.Status, p.Location())
		}
		flow, err := s.store.Interaction(t.Context(), id)
		s.must(err)
		if got := s.flows.Typed(flow); got != typed {
			t.Errorf("kept %q of %q", got, typed)
		}
		return flow
	}
	first := kept("alice")
	if again := kept("alice"); !reflect.DeepEqual(again, first) {
		t.Errorf("written again: %v, then %v", first.Proofs, again.Proofs)
	}
	kept("bob")
	kept("alice")
}

func TestNameThatNobodyCanHaveIsToldAtOnce(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	id := s.begin(b, nil)
	for _, name := range []string{"", "no such@name@at all", "a name", strings.Repeat("x", 300)} {
		p := s.name(b, id, name)
		if f := p.Form("login"); p.Status != http.StatusBadRequest || f == nil || f.Action != "/login" || !strings.Contains(p.Body, "neither an e-mail address nor a user name") {
			t.Errorf("%.20q: %d", name, p.Status)
		}
	}
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if len(flow.Proofs) != 0 {
		t.Errorf("kept %v", flow.Proofs)
	}
}

// TestFirstQuestionOfTwoSteps: whoever must sign in again is asked for the password at once; everybody else, and whoever wants to be somebody else, for the name.
func TestFirstQuestionOfTwoSteps(t *testing.T) {
	hour, minute := int64(3600), int64(60)
	for name, test := range map[string]struct {
		signedOut bool
		params    url.Values
		prepare   func(s *server, id string)
		named     string
		atOnce    bool
	}{
		"a new request":              {named: "alice"},
		"signed out":                 {signedOut: true},
		"signed out, with a hint":    {signedOut: true, params: url.Values{"login_hint": {"bob@shop.example"}, "prompt": {"login"}}, named: "bob@shop.example"},
		"prompt=login":               {params: url.Values{"prompt": {"login"}}, named: "alice", atOnce: true},
		"prompt=login, own hint":     {params: url.Values{"prompt": {"login"}, "login_hint": {"Alice@shop.example"}}, named: "alice", atOnce: true},
		"prompt=login, other hint":   {params: url.Values{"prompt": {"login"}, "login_hint": {"bob"}}, named: "bob"},
		"prompt=login, no such hint": {params: url.Values{"prompt": {"login"}, "login_hint": {"a b@c@d"}}, named: "a b@c@d"},
		"a sign-in that is too old":  {params: url.Values{"max_age": {"60"}}, named: "alice", atOnce: true},
		"a sign-in that is young":    {params: url.Values{"max_age": {"3600"}}, named: "alice"},
		"too old for the client":     {prepare: func(s *server, _ string) { s.defaultMaxAge(&minute) }, named: "alice", atOnce: true},
		"young for the client":       {prepare: func(s *server, _ string) { s.defaultMaxAge(&hour) }, named: "alice"},
		"to link another account":    {params: url.Values{interaction.ParamLink: {"corp"}}, named: "alice", atOnce: true},
		"somebody else beside":       {params: url.Values{"prompt": {"login"}}, prepare: proven(interaction.ProofAnother, "1"), named: "alice"},
		"signed in for it already":   {params: url.Values{"max_age": {"60"}}, prepare: proven(interaction.ProofLogin, "sub-alice"), named: "alice"},
		"another name was typed":     {params: url.Values{"prompt": {"login"}}, prepare: func(s *server, id string) { s.types(id, "bob") }, named: "bob"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, inSteps)
			b := s.browser()
			s.guess(b, s.begin(b, nil), "alice", right)
			if test.signedOut {
				delete(b.Cookies, "gth_sid")
			}
			s.clock.advance(10 * time.Minute)
			id := s.begin(b, test.params)
			if test.prepare != nil {
				test.prepare(s, id)
			}
			f := s.form(b, id).Form("login")
			if got := f.Action == "/login/password"; got != test.atOnce || f.Fields.Get("username") != test.named || f.Fields.Has("password") != test.atOnce {
				t.Errorf("asked by %+v", f)
			}
		})
	}
}

func (s *server) defaultMaxAge(seconds *int64) {
	_, err := s.store.UpdateClient(s.Context(), "shop", func(c *storage.Client) error { c.DefaultMaxAge = seconds; return nil })
	s.must(err)
}

func proven(name, value string) func(s *server, id string) {
	return func(s *server, id string) {
		s.must(s.flows.Update(s.Context(), id, func(i *storage.Interaction) error { interaction.Prove(i, name, value); return nil }))
	}
}

func (s *server) types(id, name string) {
	_, err := s.flows.Type(s.Context(), id, name)
	s.must(err)
}

func TestWhoeverMustSignInAgainCanBeSomebodyElse(t *testing.T) {
	s := start(t, inSteps)
	b := s.browser()
	s.guess(b, s.begin(b, nil), "alice", right)
	s.clock.advance(time.Minute)
	id := s.begin(b, url.Values{"prompt": {"login"}})
	p := b.Submit(s.form(b, id), "login", url.Values{"password": {"a wrong password"}})
	if f := p.Form("login"); p.Status != http.StatusUnauthorized || f.Action != "/login/password" || f.Fields.Get("username") != "alice" {
		t.Fatalf("a wrong password: %d %+v", p.Status, p.Form("login"))
	}
	first := b.Get(p.Attribute("other", "href"))
	p = b.Submit(b.Get(b.Submit(first, "login", url.Values{"username": {"bob"}}).Location()), "login", url.Values{"password": {right}})
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if p.Status != http.StatusSeeOther || flow.Subject != "sub-bob" {
		t.Errorf("%d, signed in %q", p.Status, flow.Subject)
	}
	s.clock.advance(time.Minute)
	again := s.begin(b, url.Values{"prompt": {"login"}})
	form := s.form(b, again)
	s.must(s.store.EndSession(t.Context(), flow.SessionID)) // before the password comes
	if p := b.Submit(form, "login", url.Values{"password": {right}}); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/login?interaction="+again) || s.signedIn(b) {
		t.Errorf("without the session: %d to %q", p.Status, p.Location())
	}
}

func TestStepsAreThereOnlyIfAskedFor(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	s.types(id, "alice")
	for _, path := range []string{"/login/name", "/login/password"} {
		if p := b.Get(path + "?interaction=" + id); p.Status != http.StatusNotFound {
			t.Errorf("%s: %d", path, p.Status)
		}
	}
}
