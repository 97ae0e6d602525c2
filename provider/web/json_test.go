package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// jsonKernel answers with the body that JSON read.
func jsonKernel(t testing.TB) *kernel {
	k := newKernel(t, nil)
	echo := func(w http.ResponseWriter, r *http.Request) error {
		body, err := JSON(r)
		if err != nil {
			return err
		}
		return plain(w, string(body))
	}
	k.ProtocolJSON("/oauth2/register", map[string]Handler{"POST": echo})
	k.ProtocolJSON("/oauth2/register/{client_id}", map[string]Handler{"GET": func(w http.ResponseWriter, r *http.Request) error { return plain(w, Var(r, "client_id")) }, "PUT": echo})
	return k
}

func (k *kernel) sendJSON(method, path, contentType, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, issuer+path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

func TestJSONRouteTakesOneUnambiguousObject(t *testing.T) {
	k := jsonKernel(t)
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for name, tc := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"an object":              {`{"redirect_uris":["https://a.example/cb"],"jwks":{"keys":[{}]},"x":null}`, 200, ""},
		"space around it":        {" {}\n", 200, ""},
		"32 levels":              {deep(32), 200, ""},
		"33 levels":              {deep(33), 400, "32 levels"},
		"100000 levels":          {`{"a":` + strings.Repeat("[", 60000), 400, "32 levels"},
		"nothing":                {"", 400, "empty"},
		"space":                  {" ", 400, "not a JSON object"},
		"an array":               {"[]", 400, "not a JSON object"},
		"a string":               {`"x"`, 400, "not a JSON object"},
		"null":                   {"null", 400, "not a JSON object"},
		"half":                   {`{"a":1`, 400, "not JSON"},
		"a trailing comma":       {`{"a":1,}`, 400, "not JSON"},
		"two objects":            {`{}{}`, 400, "follows"},
		"trailing text":          {`{} x`, 400, "follows"},
		"a member twice":         {`{"scope":"a","scope":"b"}`, 400, "scope comes twice"},
		"a member twice, quoted": {`{"scope":"a","\u0073cope":"b"}`, 400, "scope comes twice"},
		"an inner member twice":  {`{"jwks":{"keys":[],"keys":[]}}`, 400, "keys comes twice"},
		"null in an array":       {`{"redirect_uris":["https://a.example",null]}`, 400, "redirect_uris holds null"},
		"not UTF-8":              {"{\"a\":\"\xff\"}", 400, "UTF-8"},
		"64 KiB and more":        {`{"a":"` + strings.Repeat("a", 64<<10) + `"}`, 413, "64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			w := k.sendJSON("POST", "/oauth2/register", "application/json", tc.body)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, tc.status, tc.says)
			}
			if tc.status == 200 && w.Body.String() != tc.body {
				t.Errorf("the handler read %q", w.Body)
			}
		})
	}
}

func TestJSONRouteTakesJSONOnly(t *testing.T) {
	k := jsonKernel(t)
	for contentType, want := range map[string]int{
		"application/json": 200, "application/json; charset=UTF-8": 200, "application/json; charset=latin1": 415, "application/x-www-form-urlencoded": 415, "text/plain": 415, "": 415,
	} {
		for method, path := range map[string]string{"POST": "/oauth2/register", "PUT": "/oauth2/register/a"} {
			if w := k.sendJSON(method, path, contentType, "{}"); w.Code != want {
				t.Errorf("%s as %q: %d %s", method, contentType, w.Code, w.Body)
			}
		}
	}
	if w := k.sendJSON("GET", "/oauth2/register/a", "text/plain", ""); w.Code != 200 || w.Body.String() != "a" {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
	if w := k.sendJSON("DELETE", "/oauth2/register/a", "", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, PUT" {
		t.Errorf("DELETE: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestRuling31EveryOriginReadsAJSONRoute(t *testing.T) {
	k := jsonKernel(t)
	for _, body := range []string{"{}", "["} {
		if w := k.sendJSON("POST", "/oauth2/register", "application/json", body, "Origin", "https://spa.example"); w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", body, w.Code, w.Header())
		}
	}
	for origin, want := range map[string]int{"https://spa.example": 204, "null": 403} {
		w := k.sendJSON("OPTIONS", "/oauth2/register/a", "", "", "Origin", origin, "Access-Control-Request-Method", "PUT")
		if w.Code != want || want == 204 && w.Header().Get("Access-Control-Allow-Methods") != "GET, PUT" {
			t.Errorf("preflight of %s: %d %v", origin, w.Code, w.Header())
		}
	}
}

func FuzzJSONNeverPanics(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[{"b":null}],"a":1}`, `[`, `{"a":[[[null]]]}`, "{\"\\ud800\":1}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if problem := checkJSON(body); problem != "" && fmt.Sprint(printable(problem)) != problem {
			t.Errorf("%q cannot be an error_description", problem)
		}
	})
}
