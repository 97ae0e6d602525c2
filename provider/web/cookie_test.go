package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/templates"
)

// probe mounts a page that answers with what Cookie and BinderOf find.
func probe(k *kernel) *kernel {
	k.PageNoCSRF("/probe", func(w http.ResponseWriter, r *http.Request) error {
		value, ok := Cookie(r, SessionCookie)
		if !ok {
			value = "none"
		}
		if _, ok := BinderOf(r); ok {
			value += "+flow"
		}
		return plain(w, value)
	}, nil)
	return k
}

func TestRow180OnlyTheExactCookieIsRead(t *testing.T) {
	k := probe(newKernel(t, nil))
	for sent, want := range map[string]string{
		"__Host-gth_sid=good":                            "good",
		"a=b; __Host-gth_sid=good; c=d":                  "good",
		"__Host-gth_sid=good;":                           "good",
		"gth_sid=evil":                                   "none",
		"__host-gth_sid=evil":                            "none",
		"__HOST-gth_sid=evil":                            "none",
		"__Host-gth_sid =evil":                           "none",
		"\u00a0__Host-gth_sid=evil":                      "none",
		"\u2000__Host-gth_sid=evil":                      "none",
		"__Secure-gth_sid=evil":                          "none",
		"__Host-gth_sid=":                                "none",
		"__Host-gth_sid":                                 "none",
		"__Host-gth_sid=a; __Host-gth_sid=b":             "none",
		"__Host-gth_sid=a; __Host-gth_sid=a":             "none",
		"__Host-gth_sid=good; gth_sid=x":                 "good",
		"__Host-gth_sid=good; __host-gth_sid=x":          "good",
		"__Host-gth_sid=good; \u2000__Host-gth_sid=evil": "good",
		`$Version=1; __Host-gth_sid=good; $Path=/x`:      "good",
		`x="a; __Host-gth_sid=evil`:                      "evil", // quotes do not hide a semicolon, as in browsers
		`__Host-gth_sid="quoted"`:                        `"quoted"`,
		"a=b, __Host-gth_sid=evil":                       "none",
	} {
		if got := text(t, k.send("GET", "/probe", "Cookie: "+sent)); got != want {
			t.Errorf("%q: read %q, want %q", sent, got, want)
		}
	}
	if got := text(t, k.send("GET", "/probe", "Cookie: __Host-gth_sid=a", "Cookie: __Host-gth_sid=b")); got != "none" {
		t.Errorf("two headers: read %q", got)
	}
	if got := text(t, k.send("GET", "/probe", "Cookie: __Host-gth_flow=short")); got != "none" {
		t.Errorf("a flow cookie that cannot be ours was read: %q", got)
	}
}

func TestLoopbackIssuerReadsPlainNames(t *testing.T) {
	k := probe(newKernel(t, func(o *Options) { o.Issuer = "http://127.0.0.1:8080" }))
	if got := text(t, k.send("GET", "/probe", "Cookie: gth_sid=good; __Host-gth_sid=other")); got != "good" {
		t.Errorf("read %q", got)
	}
}

func setter(k *kernel) *kernel {
	k.PageNoCSRF("/set", func(w http.ResponseWriter, r *http.Request) error {
		ClearCookie(w, r, SessionCookie)
		if _, ok := Cookie(r, SessionCookie); ok {
			return BadRequest(templates.Plain("the cleared cookie is still read"))
		}
		SetCookie(w, r, SessionCookie, "new", 0, true)
		SetCookie(w, r, "gth_dev", "d", time.Hour, true)
		value, _ := Cookie(r, SessionCookie)
		return plain(w, value)
	}, nil)
	return k
}

func TestCookiesAreHostOnlySecureAndHttpOnly(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://op.test":       {"__Host-gth_sid=new; Path=/; HttpOnly; Secure; SameSite=None", "__Host-gth_dev=d; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		"http://localhost:8080": {"gth_sid=new; Path=/; HttpOnly; SameSite=Lax", "gth_dev=d; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"},
	} {
		k := setter(newKernel(t, func(o *Options) { o.Issuer, o.SameSite = issuer, http.SameSiteNoneMode }))
		resp := k.send("GET", "/set", "Cookie: __Host-gth_sid=old; gth_sid=old")
		if got := resp.Header["Set-Cookie"]; strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q", issuer, got)
		}
		if body := text(t, resp); body != "new" {
			t.Errorf("%s: after setting it the cookie reads %q", issuer, body)
		}
	}
}

// Two issuers may share a host, each below a path of its own. A cookie of a host is one for all paths, so only its name keeps theirs apart.
func TestIssuersOnOneHostHaveCookiesOfTheirOwn(t *testing.T) {
	names := map[string]string{}
	for _, issuer := range []string{"https://op.test", "https://op.test/a", "https://op.test/b", "https://op.test/a/b"} {
		k := setter(newKernel(t, func(o *Options) { o.Issuer = issuer }))
		path := strings.TrimPrefix(issuer, "https://op.test")
		for _, line := range k.send("GET", path+"/set").Header["Set-Cookie"] {
			name, rest, _ := strings.Cut(line, "=")
			if !strings.HasPrefix(name, "__Host-gth_") || !strings.Contains(rest, "; Path=/;") || strings.Contains(rest, "Domain") {
				t.Errorf("%s: a browser refuses or widens %q", issuer, line)
			}
			if other := names[name]; other != "" {
				t.Errorf("%s and %s both keep the cookie %s", other, issuer, name)
			}
			names[name] = issuer
			if got := text(t, probe(newKernel(t, func(o *Options) { o.Issuer = issuer })).send("GET", path+"/probe", "Cookie: "+name+"=good")); strings.HasPrefix(name, "__Host-gth_sid") && got != "good" {
				t.Errorf("%s: its own cookie reads %q", issuer, got)
			}
		}
	}
}

func TestBinderIsOneValuePerBrowser(t *testing.T) {
	k := newKernel(t, nil)
	k.PageNoCSRF("/bind", func(w http.ResponseWriter, r *http.Request) error {
		first := Binder(w, r)
		if second := Binder(w, r); second != first {
			return BadRequest(templates.Plain("two binders in one request"))
		}
		if of, ok := BinderOf(r); !ok || of != first {
			return BadRequest(templates.Plain("BinderOf disagrees"))
		}
		return plain(w, first)
	}, nil)
	resp := k.send("GET", "/bind")
	set := cookieOf(resp, "__Host-gth_flow")
	if set == nil || set.MaxAge != 9000 || !set.HttpOnly || !set.Secure || len(set.Value) != 43 || len(resp.Header["Set-Cookie"]) != 1 {
		t.Fatalf("Set-Cookie %q", resp.Header["Set-Cookie"])
	}
	binder := text(t, resp)
	if binder != Hash(set.Value) {
		t.Errorf("binder %q is not the hash of the cookie", binder)
	}
	again := k.send("GET", "/bind", "Cookie: __Host-gth_flow="+set.Value)
	if text(t, again) != binder || cookieOf(again, "__Host-gth_flow").MaxAge != 9000 {
		t.Error("the same browser got another binder, or no new half hour")
	}
	if text(t, k.send("GET", "/bind")) == binder {
		t.Error("another browser got the same binder")
	}
}
