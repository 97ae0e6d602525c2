package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider/web/webtest"
)

// parse runs Params behind a route of other sites' posts and returns what it says.
func parse(t *testing.T, method, query, body string, more ...string) (values url.Values, repeated []string, status int, err error) {
	t.Helper()
	k := newKernel(t, nil)
	handler := func(w http.ResponseWriter, r *http.Request) error {
		values, repeated, err = Params(r)
		again, _, errAgain := Params(r)
		if len(again) != len(values) || errAgain != err {
			t.Error("the second call says something else")
		}
		return err
	}
	k.PageNoCSRF("/p", handler, handler)
	parts := more
	if method == "POST" {
		parts = append(slices.Clone(more), body)
	}
	resp := k.send(method, "/p"+query, parts...)
	return values, repeated, resp.StatusCode, err
}

func TestParamsComeBackExactly(t *testing.T) {
	state := "a+b c%d\"e'f é\u2028;=&?#/\\\r\n"
	for _, method := range []string{"GET", "POST"} {
		query, body := "?"+form("state", state, "empty", ""), ""
		if method == "POST" {
			query, body = "", form("state", state, "empty", "")
		}
		values, repeated, _, err := parse(t, method, query, body)
		if err != nil || repeated != nil || values.Get("state") != state || !values.Has("empty") {
			t.Errorf("%s: %q %v %v", method, values, repeated, err)
		}
	}
	values, _, _, err := parse(t, "GET", "?state=a;b&&x", "")
	if err != nil || values.Get("state") != "a;b" || !values.Has("x") {
		t.Errorf("%q %v", values, err)
	}
}

func TestRow9RepeatedParametersAreListed(t *testing.T) {
	for _, name := range []string{"redirect_uri", "client_id", "response_type", "scope", "state", "code_challenge", "request_uri", "made_up"} {
		twice := form(name, "a", name, "b")
		for where, c := range map[string][3]string{
			"query": {"GET", "?" + twice, ""}, "body": {"POST", "", twice}, "one in each": {"POST", "?" + form(name, "a"), form(name, "b")},
			"same value": {"GET", "?" + form(name, "a", name, "a", name, "a"), ""}, "encoded name": {"GET", "?" + name + "=a&%" + fmt.Sprintf("%02X", name[0]) + name[1:] + "=b", ""},
			"empty first": {"GET", "?" + name + "=&" + name + "=b", ""},
		} {
			_, repeated, _, err := parse(t, c[0], c[1], c[2])
			if err != nil || !slices.Equal(repeated, []string{name}) {
				t.Errorf("%s in %s: repeated %v, %v", name, where, repeated, err)
			}
		}
	}
	values, repeated, _, err := parse(t, "GET", "?"+form("resource", "a", "resource", "b", "audience", "c", "audience", "d"), "")
	if err != nil || repeated != nil || len(values["resource"]) != 2 {
		t.Errorf("resource and audience: %v %v %v", values, repeated, err)
	}
}

func TestParameterErrorsNameTheField(t *testing.T) {
	many := make([]string, 0, 202)
	for i := range 101 {
		many = append(many, fmt.Sprint("p", i), "x")
	}
	for name, c := range map[string]struct{ raw, says string }{
		"NUL":              {"state=a%00b", "state holds a NUL"},
		"UTF-8":            {"login_hint=%ff", "login_hint is not valid UTF-8"},
		"overlong UTF-8":   {"state=%c0%80", "state is not valid UTF-8"},
		"encoding":         {"nonce=%zz", "nonce is not properly encoded"},
		"cut encoding":     {"nonce=%4", "nonce is not properly encoded"},
		"name":             {"a%00b=1", "name of a parameter"},
		"name UTF-8":       {"a%ff=1", "name of a parameter"},
		"long name":        {strings.Repeat("n", 300) + "=1", "name of a parameter"},
		"value":            {"code=" + strings.Repeat("x", 4097), "code is longer than 4 KiB"},
		"state":            {"state=" + strings.Repeat("x", 4097), "state is longer than 4 KiB"},
		"scope size":       {"scope=" + strings.Repeat("x", 2049), "scope is longer than 2 KiB"},
		"scope items":      {"scope=" + strings.Repeat("x+", 50) + "x", "scope has more than 50"},
		"request":          {"request=" + strings.Repeat("x", 16385), "request is longer than 16 KiB"},
		"response":         {"response=" + strings.Repeat("x", 16385), "response is longer than 16 KiB"},
		"client_assertion": {"client_assertion=" + strings.Repeat("x", 16385), "client_assertion is longer than 16 KiB"},
		"count":            {form(many...), "more than 100 parameters"},
		"empty pairs":      {strings.Repeat("&", 200), "more than 100 parameters"},
	} {
		_, _, status, err := parse(t, "POST", "", c.raw)
		var e *Error
		if !errors.As(err, &e) || e.Status != 400 || status != 400 || !strings.Contains(words(t, e), c.says) || printable(words(t, e)) != words(t, e) {
			t.Errorf("%s: %v (%d)", name, err, status)
		}
	}
}

func TestParametersAtTheirLimitPass(t *testing.T) {
	for _, raw := range []string{
		"state=" + strings.Repeat("x", 4096), "request=" + strings.Repeat("x", 16384), "claims=" + strings.Repeat("x", 16384), "response=" + strings.Repeat("x", 16384), "scope=" + strings.Repeat("x+", 49) + "x",
		strings.TrimSuffix(strings.Repeat("a=&", 100), "&"),
	} {
		if _, _, _, err := parse(t, "POST", "", raw); err != nil {
			t.Errorf("%.20s: %v", raw, err)
		}
	}
}

func TestParamsFillTheForms(t *testing.T) {
	k := newKernel(t, nil)
	k.PageNoCSRF("/p", nil, func(w http.ResponseWriter, r *http.Request) error {
		if _, _, err := Params(r); err != nil {
			return err
		}
		return plain(w, r.FormValue("a")+r.PostFormValue("a"))
	})
	if got := text(t, k.send("POST", "/p", "a=1")); got != "11" {
		t.Errorf("forms hold %q", got)
	}
}

func TestPagesRefuseRepeatedFieldsAndBadValues(t *testing.T) {
	k := newKernel(t, nil).standard()
	for _, query := range []string{"?a=1&a=2", "?interaction=%00", "?interaction=%ff"} {
		wantStatus(t, k.send("GET", "/login"+query), 400)
	}
}

func TestRow61OnlyFormsArePosted(t *testing.T) {
	k := newKernel(t, nil).standard()
	for contentType, want := range map[string]int{
		"application/x-www-form-urlencoded": 200, "application/x-www-form-urlencoded; charset=UTF-8": 200, "application/x-www-form-urlencoded;charset=utf-8": 200, "Application/X-WWW-Form-Urlencoded": 200,
		"application/x-www-form-urlencoded; charset=utf-16": 415, "multipart/form-data; boundary=x": 415, "application/json": 415, "text/plain": 415, "": 415, "x": 415, "a/b;;;": 415,
		"application/x-www-form-urlencodedx": 415,
	} {
		resp := k.send("POST", "/oauth2/token", "grant_type=x", "Content-Type: "+contentType)
		if resp.StatusCode != want {
			t.Errorf("%q: status %d, want %d", contentType, resp.StatusCode, want)
		}
		if want == 415 && !strings.Contains(text(t, resp), `"error":"invalid_request"`) {
			t.Errorf("%q: no OAuth error", contentType)
		}
	}
	wantStatus(t, k.send("POST", "/oauth2/userinfo", "Authorization: Bearer x"), 200) // no body, no type
	wantStatus(t, k.send("GET", "/oauth2/token?grant_type=x"), 405)
}

// endless is a body without announced length.
type endless struct{ left atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), int(e.left.Load()))
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		p[i] = 'x'
	}
	e.left.Add(int64(-n))
	return n, nil
}

func TestRow197BigRequestsAreRefusedCheaply(t *testing.T) {
	k := newKernel(t, nil)
	read := func(w http.ResponseWriter, r *http.Request) error {
		_, _, err := Params(r)
		return err
	}
	k.Protocol("/token", []string{"POST"}, read)
	k.Page("/login", read, read)
	k.PageNoCSRF("/authorize", read, read)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/token", "/authorize", "/login"} {
		for name, c := range map[string]struct {
			want  int
			parts []string
		}{
			"2 MB form":         {413, []string{"a=" + strings.Repeat("x", 2<<20)}},
			"1M parameters":     {413, []string{strings.Repeat("a=b&", 1<<20)}},
			"100k cookies":      {431, []string{"a=b", "Cookie: " + strings.Repeat("a=b; ", 100_000)}},
			"51 cookies":        {431, []string{"a=b", "Cookie: " + strings.Repeat("a=b; ", 50) + "a=b"}},
			"101 parameters":    {400, []string{strings.Repeat("a=b&", 101)}},
			"64 KB e-mail":      {400, []string{"username=" + strings.Repeat("x", 60<<10)}},
			"invalid UTF-8":     {400, []string{"username=%ff%fe"}},
			"10k-tag languages": {0, []string{"a=b", "Accept-Language: " + strings.Repeat("de,", 10_000)}},
		} {
			webtest.Quick(t, 500*time.Millisecond, func() { // the row says 20 ms of CPU; this is wall time on a busy machine
				resp := k.send("POST", path, append(c.parts, "Sec-Fetch-Site: same-origin")...)
				if c.want != 0 && resp.StatusCode != c.want {
					t.Errorf("%s %s: status %d, want %d", path, name, resp.StatusCode, c.want)
				}
			})
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

func TestRow197UnannouncedBodyIsCut(t *testing.T) {
	k := newKernel(t, nil)
	k.Protocol("/token", []string{"POST"}, func(w http.ResponseWriter, r *http.Request) error {
		_, _, err := Params(r)
		return err
	})
	body := &endless{}
	body.left.Store(10 << 20)
	address, stop := serve(t, k, unlimited)
	resp, err := http.Post("http://"+address+"/token", formType, body)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != 413 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	stop()
	if body.left.Load() == 0 {
		t.Error("ten megabytes were read")
	}
	if line := k.lastLine(t); line["status"] != 413.0 {
		t.Errorf("log %v", line)
	}
}

// words is what a program is told of an error.
func words(t *testing.T, e *Error) string {
	t.Helper()
	return newKernel(t, nil).english(e, "id")
}
