package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// discoveryLife is how long a discovery document is fresh.
const discoveryLife = time.Hour

// metadata is what is used of a discovery document (OpenID Connect Discovery 1.0 section 3, RFC 9207 section 3).
type metadata struct {
	Issuer         string   `json:"issuer"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	JWKS           string   `json:"jwks_uri"`
	UserInfo       string   `json:"userinfo_endpoint"`
	EndSession     string   `json:"end_session_endpoint"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	ResponseIssuer bool     `json:"authorization_response_iss_parameter_supported"`
}

// discover fetches the discovery document and judges it.
func (p *openID) discover(ctx context.Context) (*metadata, time.Duration, error) {
	const what = "its discovery document"
	answer, err := p.remote.get(ctx, what, strings.TrimSuffix(p.issuer, "/")+"/.well-known/openid-configuration", http.Header{"Accept": {"application/json"}})
	if err != nil {
		return nil, 0, err
	}
	m := &metadata{}
	if err := answer.decode(m); err != nil {
		return nil, 0, err
	}
	if p.special.found != nil && !p.special.found(m.Issuer) || p.special.found == nil && m.Issuer != p.issuer {
		return nil, 0, broken(what+" is that of another", &Mismatch{Configured: p.issuer, Found: m.Issuer})
	}
	if err := p.checkEndpoints(m); err != nil {
		return nil, 0, broken(what+" cannot be used", err)
	}
	return m, discoveryLife, nil
}

// checkEndpoints wants https everywhere, or http where the issuer itself was allowed it, and a way for the client to say who it is.
func (p *openID) checkEndpoints(m *metadata) error {
	plain := strings.HasPrefix(p.issuer, "http://")
	for _, e := range []struct {
		name, address string
		needed        bool
	}{
		{"authorization_endpoint", m.Authorization, true}, {"token_endpoint", m.Token, true}, {"jwks_uri", m.JWKS, true},
		{"userinfo_endpoint", m.UserInfo, false}, {"end_session_endpoint", m.EndSession, false},
	} {
		if e.address == "" && !e.needed {
			continue
		}
		u, err := url.Parse(e.address)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !plain) {
			return errors.New(e.name + " is missing or is no https URL")
		}
	}
	if m.AuthMethods != nil && !slices.Contains(m.AuthMethods, "client_secret_basic") && !slices.Contains(m.AuthMethods, "client_secret_post") {
		return errors.New("token_endpoint_auth_methods_supported has neither client_secret_basic nor client_secret_post")
	}
	return nil
}

// Probe implements Prober. It reads anew what is older than a minute, for it is asked in order to know.
func (p *openID) Probe(ctx context.Context) error {
	ctx, cancel := p.remote.bounded(ctx)
	defer cancel()
	_, err := p.discovery.get(ctx, time.Minute)
	return err
}

// EndSessionURL implements Ender.
func (p *openID) EndSessionURL(ctx context.Context, idTokenHint, postLogoutRedirectURI, state string) (string, error) {
	ctx, cancel := p.remote.bounded(ctx)
	defer cancel()
	m, err := p.discovery.usable(ctx)
	if err != nil || m.EndSession == "" {
		return "", err
	}
	q := url.Values{"client_id": {p.ClientID}}
	for name, value := range map[string]string{"id_token_hint": idTokenHint, "post_logout_redirect_uri": postLogoutRedirectURI, "state": state} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return withQuery(m.EndSession, q), nil
}

// withQuery adds parameters to an address, in place of those of the same name.
func withQuery(address string, q url.Values) string {
	u, err := url.Parse(address)
	if err != nil {
		return "" // the caller has parsed it before
	}
	all := u.Query()
	for name, values := range q {
		all[name] = values
	}
	u.RawQuery = all.Encode()
	return u.String()
}
