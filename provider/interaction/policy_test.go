package interaction

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// signedIn is a state that may be granted: alice signed in an hour ago and has consented; no interaction is running.
func signedIn(change ...func(*State)) State {
	s := State{Now: noon, Session: &storage.Session{Subject: "alice", AuthTime: noon.Add(-time.Hour), ACR: "1"}, ACR: "1", Consented: true}
	for _, f := range change {
		f(&s)
	}
	return s
}

func anonymous(s *State) { s.Session, s.ACR, s.Consented = nil, "", false }

func prompt(values ...string) func(*State) { return func(s *State) { s.Prompt = values } }

func maxAge(seconds int64) func(*State) { return func(s *State) { s.MaxAge = &seconds } }

// begun sets when the interaction began, relative to noon; the user signed in at that many seconds after it.
func begun(ago, signedInAfter time.Duration) func(*State) {
	return func(s *State) {
		s.Created = noon.Add(-ago)
		s.Session.AuthTime = s.Created.Add(signedInAfter)
	}
}

func hint(subject string) func(*State)   { return func(s *State) { s.HintSubjects = []string{subject} } }
func pinned(subject string) func(*State) { return func(s *State) { s.Pinned = subject } }
func gone(s *State)                      { s.PinnedGone = true }
func noConsent(s *State)                 { s.Consented = false }
func proof(s *State)                     { s.ConsentProof = true }
func alwaysAsk(s *State)                 { s.AlwaysAsk = true }
func firstParty(s *State)                { s.FirstParty = true }
func termsDue(s *State)                  { s.TermsDue = true }
func offline(s *State)                   { s.Offline = true }
func acr(values ...string) func(*State)  { return func(s *State) { s.EssentialACR = values } }

func signedInNow(s *State)                    { s.Pinned, s.SignedIn = "alice", "alice" }
func reachable(values ...string) func(*State) { return func(s *State) { s.ReachableACR = values } }

func TestDecide(t *testing.T) {
	granted := Outcome{}
	login, consent := Outcome{Step: StepLogin}, Outcome{Step: StepConsent}
	failed := func(code string) Outcome { return Outcome{Error: code} }
	const later, before = time.Second, -time.Second
	for name, tc := range map[string]struct {
		state State
		want  Outcome
	}{
		"nothing missing": {signedIn(), granted},
		"no session":      {signedIn(anonymous), login},

		"acr that a provider can give":               {signedIn(acr("mfa"), reachable("mfa")), login},
		"acr that a provider can give, consented":    {signedIn(acr("mfa"), reachable("mfa"), pinned("alice")), login},
		"max_age, only consented":                    {signedIn(maxAge(60), pinned("alice")), login},
		"max_age, a sign-in that was vouched for":    {signedIn(maxAge(60), signedInNow), granted},
		"acr that a provider can give, asked before": {signedIn(acr("mfa"), reachable("mfa"), signedInNow), failed("unmet_authentication_requirements")},
		"acr that a provider can give, silent":       {signedIn(acr("mfa"), reachable("mfa"), prompt("none")), failed("unmet_authentication_requirements")},
		"acr that nobody can give":                   {signedIn(acr("mfa"), reachable("other")), failed("unmet_authentication_requirements")},

		"A13 Row19 none without session":             {signedIn(anonymous, prompt("none")), failed("login_required")},
		"A13 none with session and consent":          {signedIn(prompt("none")), granted},
		"A13 Row19 none without consent":             {signedIn(prompt("none"), noConsent), failed("consent_required")},
		"Row19 none without session and consent":     {signedIn(anonymous, prompt("none"), acr("2")), failed("login_required")},
		"Row19 none when step-up is due":             {signedIn(prompt("none"), acr("2")), failed("unmet_authentication_requirements")},
		"Row19 none with a session that is too old":  {signedIn(prompt("none"), maxAge(60)), failed("login_required")},
		"Row19 none with max_age 0":                  {signedIn(prompt("none"), maxAge(0)), failed("login_required")},
		"R29 none for a client that is always asked": {signedIn(prompt("none"), alwaysAsk), failed("consent_required")},

		"A15 login at the first pass":                {signedIn(prompt("login")), login},
		"A15 login without session":                  {signedIn(anonymous, prompt("login")), login},
		"A15 Row22 login with the old session":       {signedIn(prompt("login"), begun(time.Minute, before)), login},
		"create without session":                     {signedIn(anonymous, prompt("create")), Outcome{Step: StepSignUp}},
		"create with an old session":                 {signedIn(prompt("create"), begun(time.Minute, before)), Outcome{Step: StepSignUp}},
		"create done":                                {signedIn(prompt("create"), begun(time.Minute, later)), granted},
		"A15 login done":                             {signedIn(prompt("login"), begun(time.Minute, later)), granted},
		"A15 login in the very microsecond":          {signedIn(prompt("login"), begun(time.Minute, 0)), granted},
		"login and consent at the first pass":        {signedIn(prompt("login", "consent")), login},
		"login and consent after the login":          {signedIn(prompt("login", "consent"), begun(time.Minute, later)), consent},
		"login and consent after both":               {signedIn(prompt("login", "consent"), begun(time.Minute, later), proof), granted},
		"Row22 login and consent, old login, proven": {signedIn(prompt("login", "consent"), begun(time.Minute, before), proof), login},

		"A17 consent although remembered":         {signedIn(prompt("consent"), offline), consent},
		"A17 consent proven":                      {signedIn(prompt("consent"), offline, begun(time.Minute, before), proof), granted},
		"A18 remembered":                          {signedIn(offline), granted},
		"not remembered":                          {signedIn(noConsent), consent},
		"offline_access without stored consent":   {signedIn(noConsent, offline), consent},
		"allowed in this interaction":             {signedIn(noConsent, proof), granted},
		"allowed in this interaction, offline":    {signedIn(noConsent, offline, proof), granted},
		"select_account alone":                    {signedIn(prompt("select_account")), granted},
		"first-party client":                      {signedIn(noConsent, firstParty), granted},
		"first-party client and offline_access":   {signedIn(noConsent, firstParty, offline), granted},
		"first-party client and prompt=consent":   {signedIn(noConsent, firstParty, prompt("consent")), granted},
		"first-party client must still sign in":   {signedIn(anonymous, firstParty), login},
		"R29 always ask although remembered":      {signedIn(alwaysAsk), consent},
		"R29 always ask, allowed now":             {signedIn(alwaysAsk, proof), granted},
		"RFC 8252 8.6 always ask and first-party": {signedIn(alwaysAsk, firstParty), consent},

		"terms before consent":                   {signedIn(termsDue, noConsent), Outcome{Step: StepTerms}},
		"terms although remembered":              {signedIn(termsDue), Outcome{Step: StepTerms}},
		"terms although allowed now":             {signedIn(termsDue, noConsent, proof), Outcome{Step: StepTerms}},
		"terms of a client that always asks":     {signedIn(termsDue, alwaysAsk), Outcome{Step: StepTerms}},
		"terms of a first-party client":          {signedIn(termsDue, firstParty), Outcome{Step: StepTerms}},
		"terms, none":                            {signedIn(termsDue, prompt("none")), failed("interaction_required")},
		"terms before consent, none":             {signedIn(termsDue, noConsent, prompt("none")), failed("interaction_required")},
		"sign in before the terms":               {signedIn(anonymous, termsDue), login},
		"sign in anew before the terms":          {signedIn(termsDue, prompt("login")), login},
		"a second factor before the terms":       {signedIn(termsDue, func(s *State) { s.FactorDue = true }), login},
		"essential acr unmet, terms due":         {signedIn(termsDue, acr("2")), failed("unmet_authentication_requirements")},
		"terms due, the pinned subject is other": {signedIn(termsDue, begun(time.Minute, later), pinned("bob")), login},

		"A16 max_age not reached":              {signedIn(maxAge(3601)), granted},
		"A16 max_age reached, not exceeded":    {signedIn(maxAge(3600)), granted},
		"A16 max_age exceeded":                 {signedIn(maxAge(3599)), login},
		"A16 Row21 max_age 0":                  {signedIn(maxAge(0)), login},
		"Row21 max_age 0 with the old session": {signedIn(maxAge(0), begun(time.Minute, before)), login},
		"Row21 max_age 0 after the login":      {signedIn(maxAge(0), begun(time.Minute, later)), granted},
		"max_age passes while consent is read": {signedIn(maxAge(1), begun(time.Minute, later)), granted},
		"max_age beyond any duration":          {signedIn(maxAge(1 << 62)), granted},
		"Row21 max_age 0 right after a login":  {signedIn(maxAge(0), func(s *State) { s.Session.AuthTime = s.Now }), login},
		"negative max_age":                     {signedIn(maxAge(-1)), login},

		"A14 hint matches":                         {signedIn(hint("alice"), prompt("none")), granted},
		"A14 Row23 hint of another user, none":     {signedIn(hint("bob"), prompt("none")), failed("login_required")},
		"Row23 hint of another user":               {signedIn(hint("bob")), login},
		"Row23 hint, signed in as somebody else":   {signedIn(hint("bob"), begun(time.Minute, later), pinned("alice")), failed("login_required")},
		"Row23 hint, the session is older":         {signedIn(hint("bob"), begun(time.Minute, before)), login},
		"pinned subject is the session's":          {signedIn(begun(time.Minute, later), pinned("alice")), granted},
		"pinned subject differs":                   {signedIn(begun(time.Minute, later), pinned("bob")), login},
		"pinned subject differs, consent proven":   {signedIn(begun(time.Minute, later), pinned("bob"), proof), login},
		"pinned subject differs, first-party":      {signedIn(begun(time.Minute, later), pinned("bob"), firstParty), login},
		"pinned subject, signed out in between":    {signedIn(begun(time.Minute, later), pinned("alice"), anonymous), login},
		"Row33 pinned subject is gone":             {signedIn(begun(time.Minute, later), pinned("alice"), anonymous, gone), failed("access_denied")},
		"Row33 gone, and another user signed in":   {signedIn(begun(time.Minute, later), pinned("bob"), gone), failed("access_denied")},
		"essential acr met":                        {signedIn(acr("2", "1")), granted},
		"Row32 essential acr unmet":                {signedIn(acr("2")), failed("unmet_authentication_requirements")},
		"Row32 essential acr unmet after login":    {signedIn(acr("2"), begun(time.Minute, later)), failed("unmet_authentication_requirements")},
		"Row32 essential acr unmet, asks consent":  {signedIn(acr("2"), noConsent), failed("unmet_authentication_requirements")},
		"sign in before an acr can be judged":      {signedIn(anonymous, acr("2")), login},
		"sign in before consent":                   {signedIn(anonymous, noConsent), login},
		"an interaction without a later login":     {signedIn(begun(time.Minute, before)), granted},
		"hint and first pass without a session":    {signedIn(anonymous, hint("bob")), login},
		"consent proof does not stand for a login": {signedIn(anonymous, proof), login},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(tc.state)
			if got.Step != tc.want.Step || got.Error != tc.want.Error {
				t.Errorf("Decide = %+v, want %+v", got, tc.want)
			}
			if (got == Outcome{}) != (tc.want == Outcome{}) {
				t.Errorf("Decide = %+v: a missing step needs a reason", got)
			}
		})
	}
}

func TestChecksAreNamedAndExplained(t *testing.T) {
	allowed := []string{"login_required", "consent_required", "interaction_required", "account_selection_required", "unmet_authentication_requirements", "access_denied"}
	seen := map[string]bool{}
	for _, c := range Checks {
		if c.Name == "" || seen[c.Name] || c.Needed == nil {
			t.Errorf("check %+v", c)
		}
		seen[c.Name] = true
		if !slices.Contains(allowed, c.Error) {
			t.Errorf("%s: %q is not an error of OpenID Connect Core section 3.1.2.6", c.Name, c.Error)
		}
		if c.Reason == "" || strings.ContainsFunc(c.Reason, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
			t.Errorf("A9 %s: the reason %q cannot be an error_description", c.Name, c.Reason)
		}
	}
}

func TestDecideChangesNothing(t *testing.T) {
	s := signedIn(prompt("login", "consent"), hint("bob"), begun(time.Minute, time.Second))
	session := *s.Session
	first := Decide(s)
	if second := Decide(s); first != second || s.Session.Subject != session.Subject || !s.Session.AuthTime.Equal(session.AuthTime) {
		t.Errorf("first %+v, then %+v", first, second)
	}
}
