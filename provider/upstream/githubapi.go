package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	githubPage = 100 // the most that the API has in one page
	// githubPages bounds what is read of one person's lists.
	githubPages = 10
)

// githubCall is the use of one access token.
type githubCall struct {
	*gitHub
	token string
}

// githubUser is what is used of GET /user. Its email is left out: it is what the person wrote into the public profile, which nobody verified.
type githubUser struct {
	ID     int64  `json:"id"`
	Login  string `json:"login"`
	Name   string `json:"name"`
	Avatar string `json:"avatar_url"`
	Page   string `json:"html_url"`
}

// read asks the API. A status among absent is no error, and found is false.
func (c *githubCall) read(ctx context.Context, path string, v any, absent ...int) (found bool, err error) {
	plain, _, _ := strings.Cut(path, "?")
	answer, err := c.remote.get(ctx, "its API at "+said(plain), c.api+path, http.Header{
		"Authorization": {"Bearer " + c.token}, "Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"},
	})
	if err != nil {
		return false, err
	}
	if answer.status == http.StatusForbidden && (answer.header.Get("Retry-After") != "" || answer.header.Get("X-Ratelimit-Remaining") == "0") {
		return false, &Refusal{Reason: Unavailable, Detail: answer.what + " was asked too often"}
	}
	if slices.Contains(absent, answer.status) {
		return false, nil
	}
	return true, answer.decode(v)
}

// Probe implements Prober. GitHub publishes nothing that could be wrong: it is there or not.
func (g *gitHub) Probe(ctx context.Context) error {
	ctx, cancel := g.remote.bounded(ctx)
	defer cancel()
	_, err := g.alive.get(ctx, 0)
	return err
}

// look asks the API, at most once a minute while it answers, for what does not count against the limit of this server's address: 60 questions an hour. Whatever it answers it is
// there, but for failures of the server.
func (g *gitHub) look(ctx context.Context) (*struct{}, time.Duration, error) {
	answer, err := g.remote.get(ctx, "its API", g.api+"/rate_limit", http.Header{"Accept": {"application/vnd.github+json"}})
	if err != nil {
		return nil, 0, err
	}
	if answer.status >= http.StatusInternalServerError {
		return nil, 0, answer.refused()
	}
	return &struct{}{}, time.Minute, nil
}

func (c *githubCall) user(ctx context.Context) (*githubUser, error) {
	u := &githubUser{}
	if _, err := c.read(ctx, "/user", u); err != nil {
		return nil, err
	}
	if u.ID <= 0 || !githubLogin.MatchString(u.Login) {
		return nil, broken("its API told of a user without id or login", nil)
	}
	return u, nil
}

// primaryEmail is the person's primary address if it is verified, else empty. A token without the scope user:email is answered 404, an app without the permission 403: then no
// address is known.
func (c *githubCall) primaryEmail(ctx context.Context) (string, error) {
	type email struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	var primary string
	err := pages(ctx, c, "/user/emails?", []int{http.StatusForbidden, http.StatusNotFound}, func(e email) bool {
		if e.Primary && e.Verified {
			primary = e.Email
		}
		return e.Primary
	})
	return primary, err
}

// memberships returns those of the configured organizations ("org") and teams ("org/team") that the person is an active member of; an invitation (state pending) does not count.
func (c *githubCall) memberships(ctx context.Context, login string) ([]any, error) {
	groups := []any{}
	if len(c.Organizations) > 0 {
		type membership struct {
			State        string `json:"state"`
			Organization struct {
				Login string `json:"login"`
			} `json:"organization"`
		}
		err := pages(ctx, c, "/user/memberships/orgs?state=active&", []int{http.StatusForbidden}, func(m membership) bool {
			if i := slices.IndexFunc(c.Organizations, func(org string) bool { return strings.EqualFold(org, m.Organization.Login) }); i >= 0 && m.State == "active" {
				groups = append(groups, c.Organizations[i])
			}
			return false
		})
		if err != nil {
			return nil, err
		}
	}
	for _, team := range c.Teams {
		org, slug, _ := strings.Cut(team, "/")
		var m struct {
			State string `json:"state"`
		}
		path := fmt.Sprintf("/orgs/%s/teams/%s/memberships/%s", url.PathEscape(org), url.PathEscape(slug), url.PathEscape(login))
		found, err := c.read(ctx, path, &m, http.StatusForbidden, http.StatusNotFound)
		if err != nil {
			return nil, err
		}
		if found && m.State == "active" {
			groups = append(groups, team)
		}
	}
	return groups, nil
}

// pages hands over a list item by item until done is true, the list is at its end or it is too long.
func pages[T any](ctx context.Context, c *githubCall, path string, absent []int, done func(T) bool) error {
	for page := 1; page <= githubPages; page++ {
		var items []T
		if _, err := c.read(ctx, fmt.Sprintf("%sper_page=%d&page=%d", path, githubPage, page), &items, absent...); err != nil {
			return err
		}
		if slices.ContainsFunc(items, done) || len(items) < githubPage {
			return nil
		}
	}
	return nil
}
