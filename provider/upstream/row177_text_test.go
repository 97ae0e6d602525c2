package upstream_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestRow177TheProvidersTextIsQuoted(t *testing.T) {
	const script = "<script>alert(1)</script>\r\n\x1b[31m\u2028"
	u, op := openID(t)
	hub, double := gitHubAt(t)
	for _, c := range []struct {
		u  upstream.Upstream
		at signer
		to func(url.Values)
	}{
		{u, op, func(answer url.Values) {
			op.Break(upstreamtest.Faults{Answer: func(q url.Values) { replace(q, answer) }})
		}},
		{hub, double, func(answer url.Values) {
			double.Break(nil, func(q url.Values) { replace(q, answer) })
		}},
	} {
		for _, code := range []string{"access_denied", "invalid_scope", script} {
			c.to(url.Values{"error": {code}, "error_description": {script}})
			_, err := walkTo(t, c.u, c.at, newAttempt())
			quoted(t, err)
		}
		c.to(url.Values{"iss": {script}, "code": {"x"}})
		_, err := walkTo(t, c.u, c.at, newAttempt())
		quoted(t, err)
	}
	op.Break(at("/token", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"<script>\u2028\u001b"}`)
	}))
	_, err := walkTo(t, u, op, newAttempt())
	quoted(t, err)
	for _, claim := range []string{"iss", "aud"} {
		op.Break(set(claim, script))
		_, err := walkTo(t, u, op, newAttempt())
		wantRefusal(t, claim, err, upstream.Broken)
		if claim == "iss" {
			quoted(t, err)
		}
	}
}

func replace(q, by url.Values) {
	q.Del("code")
	for name, values := range by {
		q[name] = values
	}
}

// quoted wants the provider's text in quotes, with nothing in it that a terminal or a log takes for its own.
func quoted(t *testing.T, err error) {
	t.Helper()
	var refusal *upstream.Refusal
	if !errors.As(err, &refusal) {
		t.Errorf("%v", err)
		return
	}
	if before, _, found := strings.Cut(refusal.Detail, "<script>"); !found || strings.Count(before, `"`)%2 != 1 || strings.ContainsAny(refusal.Detail, "\r\n\x1b\u2028") {
		t.Errorf("%q", refusal.Detail)
	}
}

// A description that repeats what was sent would bring the code or the secret into the log.
func TestRow177SecretsThatTheProviderRepeatsAreLeftOut(t *testing.T) {
	u, op := openID(t)
	for _, field := range []string{"code", "code_verifier", "secret"} {
		op.Break(at("/token", func(w http.ResponseWriter, r *http.Request) {
			value := r.FormValue(field)
			if field == "secret" {
				value = upstreamtest.ClientSecret
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"no %s"}`, value)
		}))
		a := newAttempt()
		to, err := u.AuthURL(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		answer := op.SignIn(to)
		_, err = u.Exchange(t.Context(), a, answer)
		wantRefusal(t, field, err, upstream.Broken, "left out")
		for _, secret := range []string{answer.Get("code"), a.Verifier, upstreamtest.ClientSecret} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
}
