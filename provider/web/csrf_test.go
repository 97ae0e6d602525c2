package web

import (
	"net/http"
	"strings"
	"testing"
)

// acting mounts a form whose POST counts.
func acting(t *testing.T, change func(*Options)) (*kernel, *int) {
	k, acted := newKernel(t, change), new(int)
	k.Page("/act", showForm, func(w http.ResponseWriter, r *http.Request) error {
		*acted++
		return Redirect(w, r, "/")
	})
	return k, acted
}

// visit opens the page and returns cookies and token.
func visit(t *testing.T, k *kernel, cookies string) (flowCookie, token string) {
	t.Helper()
	resp := k.send("GET", "/act", "Cookie: "+cookies)
	flowCookie = "__Host-gth_flow=" + cookieOf(resp, "__Host-gth_flow").Value
	return flowCookie, tokenOf(t, resp)
}

func TestRow181OwnFormIsAccepted(t *testing.T) {
	k, acted := acting(t, nil)
	flow, token := visit(t, k, "__Host-gth_sid=s1")
	for _, header := range []string{"Sec-Fetch-Site: same-origin", "Origin: " + issuer, "X-No: browser", "Sec-Fetch-Site: none"} {
		before := *acted
		resp := k.send("POST", "/act", form("csrf", token), "Cookie: "+flow+"; __Host-gth_sid=s1", header)
		if resp.StatusCode != http.StatusSeeOther || *acted != before+1 {
			t.Errorf("%s: status %d", header, resp.StatusCode)
		}
	}
}

func TestRow181ForeignPostsChangeNothing(t *testing.T) {
	k, acted := acting(t, nil)
	flow, token := visit(t, k, "__Host-gth_sid=s1")
	mine := "Cookie: " + flow + "; __Host-gth_sid=s1"
	otherFlow, otherToken := visit(t, k, "__Host-gth_sid=s2")
	_, oldToken := visit(t, k, flow+"; __Host-gth_sid=s0")
	good := form("csrf", token)
	for name, c := range map[string]struct {
		method string
		parts  []string
	}{
		"cross-site":                    {"POST", []string{good, mine, "Sec-Fetch-Site: cross-site"}},
		"sub-domain":                    {"POST", []string{good, mine, "Sec-Fetch-Site: same-site", "Origin: https://sub.op.test"}},
		"Origin of another site":        {"POST", []string{good, mine, "Origin: https://evil.test"}},
		"Origin null":                   {"POST", []string{good, mine, "Origin: null"}},
		"Origin equal to a forged Host": {"POST", []string{good, mine, "Origin: https://example.com"}}, // httptest's Host
		"http Origin":                   {"POST", []string{good, mine, "Origin: http://op.test"}},
		"no token":                      {"POST", []string{form("a", "b"), mine, "Sec-Fetch-Site: same-origin"}},
		"empty token":                   {"POST", []string{form("csrf", ""), mine}},
		"broken token":                  {"POST", []string{form("csrf", token[:len(token)-2]), mine}},
		"no body":                       {"POST", []string{mine}},
		"token in the query":            {"POST", []string{form("a", "b"), mine}},
		"token of another browser":      {"POST", []string{form("csrf", otherToken), mine}},
		"flow cookie of another":        {"POST", []string{good, "Cookie: " + otherFlow + "; __Host-gth_sid=s1"}},
		"token of another session":      {"POST", []string{form("csrf", oldToken), mine}},
		"session cookie of another":     {"POST", []string{good, "Cookie: " + flow + "; __Host-gth_sid=s2"}},
		"no cookies":                    {"POST", []string{good}},
		"text/plain":                    {"POST", []string{good, mine, "Content-Type: text/plain"}},
		"JSON":                          {"POST", []string{`{"csrf":"` + token + `"}`, mine, "Content-Type: application/json"}},
		"multipart":                     {"POST", []string{good, mine, "Content-Type: multipart/form-data; boundary=x"}},
		"two types":                     {"POST", []string{good, mine, "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain"}},
		"token sent twice":              {"POST", []string{good + "&" + good, mine}},
		"HEAD":                          {"HEAD", []string{mine}},
		"PUT":                           {"PUT", []string{good, mine}},
		"method override":               {"GET", []string{mine, "X-Http-Method-Override: POST"}},
	} {
		resp := k.send(c.method, "/act", c.parts...)
		if c.method != "GET" && (resp.StatusCode < 400 || resp.StatusCode >= 500) {
			t.Errorf("%s: status %d", name, resp.StatusCode)
		}
		if resp.Header.Get("Location") != "" {
			t.Errorf("%s: was redirected", name)
		}
	}
	if *acted != 0 {
		t.Errorf("the handler ran %d times", *acted)
	}
}

func TestPageOfTheTimeBeforeSignInStillWorks(t *testing.T) {
	k, acted := acting(t, nil)
	flow, token := visit(t, k, "") // first tab
	resp := k.send("POST", "/act", form("csrf", token), "Cookie: "+flow+"; __Host-gth_sid=s1")
	if wantStatus(t, resp, http.StatusSeeOther); *acted != 1 {
		t.Error("the second tab signed in and the first one's form is dead")
	}
}

func TestPageOfASessionDiesWithIt(t *testing.T) {
	k, acted := acting(t, nil)
	flow, token := visit(t, k, "__Host-gth_sid=s1")
	resp := k.send("POST", "/act", form("csrf", token), "Cookie: "+flow)
	if wantStatus(t, resp, http.StatusForbidden); *acted != 0 || !strings.Contains(text(t, resp), "out of date") {
		t.Error("a page of a session acts without it")
	}
}

func TestTokensOfARetiredKeyAreAccepted(t *testing.T) {
	old, _ := acting(t, nil)
	flow, token := visit(t, old, "")
	k, acted := acting(t, func(o *Options) { o.CSRFKeys = [][]byte{[]byte("key two"), []byte("key one")} })
	wantStatus(t, k.send("POST", "/act", form("csrf", token), "Cookie: "+flow), http.StatusSeeOther)
	k, acted2 := acting(t, func(o *Options) { o.CSRFKeys = [][]byte{[]byte("key two")} })
	wantStatus(t, k.send("POST", "/act", form("csrf", token), "Cookie: "+flow), http.StatusForbidden)
	if *acted != 1 || *acted2 != 0 {
		t.Errorf("acted %d and %d times", *acted, *acted2)
	}
}

func TestA1AuthorizeTakesPostsFromOtherSites(t *testing.T) {
	k := newKernel(t, nil).standard()
	resp := k.send("POST", "/oauth2/authorize", form("client_id", "x"), "Sec-Fetch-Site: cross-site", "Origin: https://rp.test")
	if wantStatus(t, resp, 200); len(resp.Cookies()) != 0 {
		t.Errorf("a cross-site POST set cookies: %v", resp.Cookies())
	}
}
