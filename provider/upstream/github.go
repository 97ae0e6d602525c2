package upstream

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	githubServer = "https://github.com"
	githubAPI    = "https://api.github.com"
)

var (
	githubLogin = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`) // of a person or an organization
	githubTeam  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}/[a-z0-9][a-z0-9._-]{0,254}$`)
)

// github is github.com or a GitHub Enterprise Server: OAuth 2.0 and an API, without ID tokens. Organizations and Teams say who may come; a member of any one of them may. They
// are names, which GitHub gives to the next who wants them when an organization gives its name up.
var github = Kind{
	Type: "github", Name: "GitHub",
	Check: func(c *Config, fault func(field, problem, fix string)) {
		checkSettings(c, fault, []string{"client_id", "client_secret"}, []string{"url", "organizations", "teams"})
		checkAddress("url", c.URL, fault)
		for _, org := range c.Organizations {
			if !githubLogin.MatchString(org) {
				fault("organizations", "hold "+said(org)+", which is no name of an organization", "write it as in https://github.com/NAME")
			}
		}
		for _, team := range c.Teams {
			if !githubTeam.MatchString(team) {
				fault("teams", "hold "+said(team)+", which is no team", "write ORGANIZATION/TEAM as in https://github.com/orgs/ORGANIZATION/teams/TEAM")
			}
		}
		if scopes := c.Scopes; len(scopes) > 0 && len(c.Organizations)+len(c.Teams) > 0 && !readsOrganizations(scopes) {
			fault("scopes", "lack read:org, without which memberships cannot be read", "add read:org, or leave scopes out")
		}
	},
	New: func(o Options) (Upstream, error) {
		g := &gitHub{Options: o, server: baseURL(o.URL, githubServer)}
		if g.Now == nil {
			g.Now = time.Now
		}
		g.remote, g.api = newRemote(g.HTTP), githubAPI
		if g.server != githubServer {
			g.api = g.server + "/api/v3"
		}
		g.alive.now, g.alive.limit, g.alive.fetch = g.Now, g.remote.limit, g.look
		return g, nil
	},
}

func readsOrganizations(scopes []string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return s == "read:org" || s == "write:org" || s == "admin:org" })
}

// gitHub is one GitHub. It tells no time of sign-in, so that nobody can see how old one is, and knows neither max_age nor prompt=login: the nearest to a new sign-in is to be asked
// which account.
type gitHub struct {
	Options
	server, api string
	remote      *remote
	alive       kept[struct{}]
}

func (g *gitHub) scopes() string {
	if len(g.Scopes) > 0 {
		return strings.Join(g.Scopes, " ")
	}
	if len(g.Organizations)+len(g.Teams) > 0 {
		return "read:user user:email read:org"
	}
	return "read:user user:email"
}

// AuthURL implements Upstream.
func (g *gitHub) AuthURL(_ context.Context, a *Attempt) (string, error) {
	q := url.Values{
		"response_type": {"code"}, "client_id": {g.ClientID}, "redirect_uri": {a.RedirectURI}, "scope": {g.scopes()}, "state": {a.State},
		"code_challenge": {challenge(a.Verifier)}, "code_challenge_method": {"S256"},
	}
	if a.LoginHint != "" {
		q.Set("login", a.LoginHint)
	}
	if a.Fresh || a.SelectAccount {
		q.Set("prompt", "select_account")
	}
	return withQuery(g.server+"/login/oauth/authorize", q), nil
}

// Exchange implements Upstream. GitHub's issuer is the address below which it authorizes; it sends iss only in some answers.
func (g *gitHub) Exchange(ctx context.Context, a *Attempt, answer url.Values) (*External, error) {
	ctx, cancel := g.remote.bounded(ctx)
	defer cancel()
	if iss := answer.Get("iss"); iss != "" && iss != g.server+"/login/oauth" {
		return nil, broken("its answer has the iss "+said(iss)+", so it is that of another provider", nil)
	}
	if err := answerError(answer); err != nil {
		return nil, err
	}
	form := url.Values{
		"client_id": {g.ClientID}, "client_secret": {g.ClientSecret}, "code": {answer.Get("code")}, "redirect_uri": {a.RedirectURI}, "code_verifier": {a.Verifier},
	}
	redeemed, err := g.remote.post(ctx, "its token endpoint", g.server+"/login/oauth/access_token", form, nil)
	if err != nil {
		return nil, err
	}
	t, err := redeemed.tokens(form.Get("code"), a.Verifier, g.ClientSecret)
	if err != nil {
		return nil, err
	}
	return g.external(ctx, t)
}

func (g *gitHub) external(ctx context.Context, t *tokens) (*External, error) {
	call := &githubCall{gitHub: g, token: t.Access}
	u, err := call.user(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := call.memberships(ctx, u.Login)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 && len(g.Organizations)+len(g.Teams) > 0 {
		return nil, &Refusal{Reason: NotAllowed, Detail: "the account " + said(u.Login) + " is in none of organizations and teams, or these do not let the application see it"}
	}
	email, err := call.primaryEmail(ctx)
	if err != nil {
		return nil, err
	}
	e := &External{ID: strconv.FormatInt(u.ID, 10), Tokens: t.raw}
	claims := claimSet{"sub": e.ID, "preferred_username": u.Login, "email_verified": email != "", "groups": groups}
	for name, value := range map[string]string{"name": u.Name, "picture": u.Avatar, "profile": u.Page, "email": email} {
		if value != "" {
			claims[name] = value
		}
	}
	e.Email, e.Claims = claims.address(), claims
	e.EmailVerified = e.Email != ""
	e.Label = claims.label(e.Email, e.ID)
	return e, nil
}
