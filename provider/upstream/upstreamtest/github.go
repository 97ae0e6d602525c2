package upstreamtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// GitHub is a double of a GitHub Enterprise Server: exactly the endpoints that signing in and probing use, with answers of the shapes in GitHub's documentation. Its authorization
// endpoint signs the user in at once.
type GitHub struct {
	URL string

	t      testing.TB
	server *httptest.Server
	mu     sync.Mutex
	user   GitHubUser
	before func(http.ResponseWriter, *http.Request) bool
	answer func(url.Values)
	codes  map[string]url.Values
	tokens map[string]string // access token -> scopes
	paths  []string
}

// GitHubUser is the person who signs in.
type GitHubUser struct {
	ID          int64
	Login, Name string
	// PublicEmail is what the profile shows: anything that the person wrote.
	PublicEmail string
	Emails      []GitHubEmail
	// Orgs and Teams ("org/team") map to the state of the membership: active or pending.
	Orgs, Teams map[string]string
}

// GitHubEmail is one item of /user/emails.
type GitHubEmail struct {
	Email      string  `json:"email"`
	Primary    bool    `json:"primary"`
	Verified   bool    `json:"verified"`
	Visibility *string `json:"visibility"`
}

// NewGitHub starts a double that ends with the test, where octocat (583231) has the verified address octocat@example.com.
func NewGitHub(t testing.TB) *GitHub {
	t.Helper()
	g := &GitHub{t: t, codes: map[string]url.Values{}, tokens: map[string]string{}}
	g.server = httptest.NewServer(g)
	t.Cleanup(g.server.Close)
	g.URL = g.server.URL
	g.SetUser(GitHubUser{ID: 583231, Login: "octocat", Name: "The Octocat", Emails: []GitHubEmail{{Email: "octocat@example.com", Primary: true, Verified: true}}})
	return g
}

// SetUser says who signs in from now on.
func (g *GitHub) SetUser(u GitHubUser) { g.set(func() { g.user = u }) }

// Break has before called first for every request, true meaning that it has answered, and answer for the parameters that go back by the browser. Either may be nil.
func (g *GitHub) Break(before func(http.ResponseWriter, *http.Request) bool, answer func(url.Values)) {
	g.set(func() { g.before, g.answer = before, answer })
}

// Asked are the paths that were asked for, in order.
func (g *GitHub) Asked() (paths []string) {
	g.set(func() { paths = slices.Clone(g.paths) })
	return paths
}

// Close stops it for good.
func (g *GitHub) Close() { g.server.CloseClientConnections(); g.server.Close() }

func (g *GitHub) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
}

// SignIn walks to an authorization URL as a browser would, and returns the parameters of the answer.
func (g *GitHub) SignIn(authURL string) url.Values {
	g.t.Helper()
	u, err := url.Parse(authURL)
	if err != nil || !strings.HasPrefix(authURL, g.URL+"/login/oauth/authorize?") {
		g.t.Fatalf("authorization URL %q: %v", authURL, err)
	}
	return g.authorize(u.Query())
}

func (g *GitHub) authorize(q url.Values) url.Values {
	answer := url.Values{"code": {strings.ToLower(rand.Text()[:20])}, "state": {q.Get("state")}}
	var change func(url.Values)
	g.set(func() { g.codes[answer.Get("code")] = q; change = g.answer })
	if change != nil {
		change(answer)
	}
	return answer
}

// ServeHTTP implements http.Handler.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var before func(http.ResponseWriter, *http.Request) bool
	var user GitHubUser
	g.set(func() { g.paths = append(g.paths, r.URL.Path); before, user = g.before, g.user })
	if before != nil && before(w, r) {
		return
	}
	switch r.URL.Path {
	case "/login/oauth/authorize":
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+g.authorize(q).Encode(), http.StatusFound)
		return
	case "/login/oauth/access_token":
		g.token(w, r)
		return
	}
	path, api := strings.CutPrefix(r.URL.Path, "/api/v3")
	var scopes string
	var known bool
	g.set(func() { scopes, known = g.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] })
	switch {
	case !api:
		http.NotFound(w, r)
	case path == "/rate_limit":
		core := map[string]any{"limit": 60, "used": 0, "remaining": 60, "reset": 1372700873, "resource": "core"}
		writeJSON(w, http.StatusOK, map[string]any{"resources": map[string]any{"core": core}, "rate": core})
	case !known:
		writeJSON(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"})
	default:
		g.serveAPI(w, r, user, path, strings.Split(scopes, ","))
	}
}

func notFound(w http.ResponseWriter) {
	writeJSON(w, http.StatusNotFound, map[string]any{"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})
}

func (g *GitHub) serveAPI(w http.ResponseWriter, r *http.Request, u GitHubUser, path string, scopes []string) {
	org, team := "", ""
	if parts := strings.Split(path, "/"); len(parts) == 7 && parts[1] == "orgs" && parts[3] == "teams" && parts[5] == "memberships" && parts[6] == u.Login {
		org, team = parts[2], parts[4]
	}
	switch {
	case path == "/user":
		writeJSON(w, http.StatusOK, map[string]any{
			"login": u.Login, "id": u.ID, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "avatar_url": "https://avatars.githubusercontent.com/u/" + strconv.FormatInt(u.ID, 10) + "?v=4",
			"html_url": g.URL + "/" + u.Login, "type": "User", "site_admin": false, "name": orNull(u.Name), "company": nil, "email": orNull(u.PublicEmail),
			"two_factor_authentication": true,
		})
	case path == "/user/emails" && slices.Contains(scopes, "user:email"):
		writePage(w, r, u.Emails)
	case path == "/user/memberships/orgs" && slices.Contains(scopes, "read:org"):
		var list []map[string]any
		for name, state := range u.Orgs {
			if want := r.URL.Query().Get("state"); want == "" || want == state {
				organization, user := map[string]any{"login": name, "id": len(name)}, map[string]any{"login": u.Login, "id": u.ID}
				list = append(list, map[string]any{"state": state, "role": "member", "organization": organization, "user": user})
			}
		}
		slices.SortFunc(list, func(a, b map[string]any) int {
			return strings.Compare(a["organization"].(map[string]any)["login"].(string), b["organization"].(map[string]any)["login"].(string))
		})
		writePage(w, r, list)
	case team != "" && u.Teams[org+"/"+team] != "" && slices.Contains(scopes, "read:org"):
		writeJSON(w, http.StatusOK, map[string]any{"url": g.URL + r.URL.Path, "role": "member", "state": u.Teams[org+"/"+team]})
	default:
		notFound(w)
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func writePage[T any](w http.ResponseWriter, r *http.Request, list []T) {
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	if size < 1 || size > 100 {
		size = 30
	}
	from := min(max(page-1, 0)*size, len(list))
	writeJSON(w, http.StatusOK, append([]T{}, list[from:min(from+size, len(list))]...))
}

// token answers errors with status 200, as GitHub does.
func (g *GitHub) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	var asked url.Values
	g.set(func() { asked = g.codes[r.PostForm.Get("code")]; delete(g.codes, r.PostForm.Get("code")) })
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	refuse := func(code, description string) {
		const help = "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors/#"
		writeJSON(w, http.StatusOK, map[string]any{"error": code, "error_description": description, "error_uri": help + strings.ReplaceAll(code, "_", "-")})
	}
	switch {
	case r.Header.Get("Accept") != "application/json":
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		_, _ = w.Write([]byte("error=not_acceptable"))
	case r.PostForm.Get("client_id") != ClientID || r.PostForm.Get("client_secret") != ClientSecret:
		refuse("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
	case asked == nil || base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge"):
		refuse("bad_verification_code", "The code passed is incorrect or expired.")
	case asked.Get("redirect_uri") != r.PostForm.Get("redirect_uri"):
		refuse("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL for this application.")
	default:
		access, scopes := "gho_"+rand.Text(), strings.Join(strings.Fields(asked.Get("scope")), ",")
		g.set(func() { g.tokens[access] = scopes })
		writeJSON(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "bearer", "scope": scopes})
	}
}
