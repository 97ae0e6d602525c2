package playground

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/rp"
)

// page is what the template shows; the nil parts are left out.
type page struct {
	Title     string
	Base      string // path of the playground
	Issuer    string
	ClientID  string
	CSRF      string
	SignedOut bool
	Farewell  *parting
	Mailbox   *mailbox
	Refusal   *problem
	Choice    *choice
	Request   *request
	Result    *result
}

// choice is the form that starts a sign-in.
type choice struct{ Scopes []scopeChoice }

type scopeChoice struct {
	Name, Meaning  string
	Checked, Fixed bool
}

// request is an authorization request taken apart.
type request struct {
	URL      string
	Endpoint string
	Params   []explained
}

// parting is a logout at the provider, taken apart.
type parting struct {
	Request  request
	Response []explained
}

// result is everything that came of a sign-in.
type result struct {
	Request   request
	Response  []explained
	Problem   *problem
	SignedIn  *person
	Discovery []exchange
	Token     []exchange
	UserInfo  []exchange
	ID        *jwt
	Access    *jwt
	Opaque    string // the access token, if it is no JWT
	Refresh   string
	History   []pastAction
}

// person is the verified answer to the question who signed in.
type person struct {
	Name, Initial, Email string
	Claims               []explained
}

type pastAction struct {
	action
	Exchanges []exchange
}

// exchange is one HTTP request with its answer.
type exchange struct {
	message
	StatusText string
	Good       bool
	Text       []span
}

// jwt is a token taken apart.
type jwt struct {
	Header, Payload, Signature string
	HeaderText, PayloadText    []span
	Claims                     []explained
	Verified                   string
	Problem                    string
}

func (p *Playground) view(v page) page {
	v.Base, v.Issuer = p.base+root, p.o.Issuer
	p.mu.Lock()
	defer p.mu.Unlock()
	v.ClientID = p.clientID
	return v
}

// show renders what the visit has come to: nothing yet, a request that was made but not sent, or a result.
func (p *Playground) show(w http.ResponseWriter, r *http.Request, v *visit, party *rp.Party) {
	data := p.view(page{Title: "Sign-in step by step", CSRF: v.csrf})
	switch {
	case v.run != nil:
		data.Result = p.result(r, v.run, party)
	case v.attempt != nil:
		taken := takeApart(v.attempt.URL)
		data.Request = &taken
	default:
		data.Choice = &choice{}
		for _, name := range offered(party) {
			data.Choice.Scopes = append(data.Choice.Scopes, scopeChoice{
				Name: name, Meaning: scopeMeaning[name], Checked: name != "address" && name != "phone", Fixed: name == "openid",
			})
		}
	}
	p.pages.render(w, http.StatusOK, data)
}

func (p *Playground) showFarewell(w http.ResponseWriter, r *http.Request, v *visit) {
	parting := &parting{Request: takeApart(v.farewell.url), Response: explainAll(pairs(r.URL.Query()), responseMeaning)}
	p.pages.render(w, http.StatusOK, p.view(page{Title: "Signed out", Farewell: parting}))
}

func takeApart(target string) request {
	u, err := url.Parse(target)
	if err != nil {
		return request{URL: target}
	}
	endpoint, _, _ := strings.Cut(target, "?")
	return request{URL: target, Endpoint: endpoint, Params: explainAll(pairs(u.Query()), requestMeaning)}
}

func (p *Playground) result(r *http.Request, run *run, party *rp.Party) *result {
	meta := party.Metadata()
	p.mu.Lock()
	discovery := p.discovery
	p.mu.Unlock()
	v := &result{
		Request: takeApart(run.attempt.URL), Response: explainAll(pairs(run.response), responseMeaning), Problem: run.problem,
		Discovery: exchanges(discovery, ""), Token: exchanges(run.messages, meta.Token), UserInfo: exchanges(run.messages, meta.UserInfo),
	}
	for _, a := range run.history {
		v.History = append(v.History, pastAction{a, exchanges(a.messages, "")})
	}
	if run.tokens == nil {
		return v
	}
	v.Refresh = run.tokens.RefreshToken
	v.ID = openJWT(run.tokens.RawIDToken)
	v.ID.Verified = "Signature (by the key that kid names in the JWKS), issuer, audience, expiry, nonce and at_hash have been checked."
	if v.Access = openJWT(run.tokens.AccessToken); v.Access == nil {
		v.Opaque = run.tokens.AccessToken
	} else if _, err := party.VerifyAccessToken(r.Context(), run.tokens.AccessToken, meta.Issuer); err != nil {
		v.Access.Problem = err.Error()
	} else {
		v.Access.Verified = "Checked as a resource server would (RFC 9068): type, signature, issuer, audience and expiry, without asking the provider."
	}
	if run.problem == nil {
		v.SignedIn = who(run)
	}
	return v
}

// exchanges are the messages to one endpoint, or all of them.
func exchanges(messages []message, endpoint string) []exchange {
	var list []exchange
	for _, m := range messages {
		if endpoint != "" && m.URL != endpoint {
			continue
		}
		list = append(list, exchange{m, http.StatusText(m.Status), m.Status < 300, highlight(m.Body)})
	}
	return list
}

func openJWT(raw string) *jwt {
	d, ok := rp.Decode(raw)
	if !ok {
		return nil
	}
	return &jwt{
		Header: d.Parts[0], Payload: d.Parts[1], Signature: d.Parts[2], HeaderText: highlight(d.Header), PayloadText: highlight(d.Payload),
		Claims: explainClaims(d.Payload),
	}
}

// who joins the claims of the ID token about the user with those of userinfo.
func who(run *run) *person {
	claims := map[string]any{}
	for name, value := range run.tokens.ID.Claims {
		if !slices.Contains(protocolClaims, name) {
			claims[name] = value
		}
	}
	for name, value := range run.userinfo {
		if !slices.Contains(protocolClaims, name) {
			claims[name] = value
		}
	}
	v := &person{Name: run.tokens.ID.Subject, Claims: explainMap(claims)}
	for _, name := range []string{"name", "preferred_username", "email"} {
		if text, ok := claims[name].(string); ok && text != "" {
			v.Name = text
			break
		}
	}
	v.Email, _ = claims["email"].(string)
	for _, letter := range strings.ToUpper(v.Name) {
		v.Initial = string(letter)
		break
	}
	return v
}
