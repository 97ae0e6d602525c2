package upstream

import (
	"context"
	"maps"
	"mime"
	"net/http"
	"strings"
)

// withUserInfo returns the claims of the ID token together with those of the userinfo endpoint (OpenID Connect Core section 5.3), if there is one. The ID token, which is
// signed, has the last word. If the endpoint fails it depends on what the ID token tells by itself: with an address or a name in it the person is known well enough to
// go on, without them every sign-in would silently lose what the endpoint is there for. An answer about somebody else, or with a wrong signature, is an attack and always refused.
func (p *openID) withUserInfo(ctx context.Context, m *metadata, accessToken string, token claimSet) (claimSet, error) {
	claims := maps.Clone(token)
	if m.UserInfo == "" {
		return claims, nil
	}
	const what = "its userinfo endpoint"
	answer, err := p.remote.get(ctx, what, m.UserInfo, http.Header{"Authorization": {"Bearer " + accessToken}, "Accept": {"application/json, application/jwt"}})
	if err == nil && answer.status != http.StatusOK {
		err = answer.refused()
	}
	var told claimSet
	if err == nil {
		media, _, _ := mime.ParseMediaType(answer.header.Get("Content-Type"))
		if media == "application/jwt" {
			if told, _, err = p.statement(ctx, m, what, strings.TrimSpace(string(answer.body)), notTyped, &p.keys.given); err != nil {
				return nil, err
			}
		} else if read, ok := readClaims(answer.body); ok {
			told = read
		} else {
			err = broken(what+" was answered with no JSON object", nil)
		}
	}
	switch {
	case err == nil && told.text("sub") != token.text("sub"):
		return nil, broken(what+" tells of another sub than the ID token", nil)
	case err == nil:
		merge(claims, told)
	case token.text("email") == "" && token.text("name") == "":
		return nil, err
	}
	return claims, nil
}

// merge adds to claims what told has more. Whether an address or a number is verified is taken only from where the address itself comes from.
func merge(claims, told claimSet) {
	for value, verified := range map[string]string{"email": "email_verified", "phone_number": "phone_number_verified"} {
		first, has := claims[value].(string)
		second, also := told[value].(string)
		switch {
		case has && (!also || first != second):
			told = without(told, verified)
		case !has:
			delete(claims, verified)
			delete(claims, value)
		}
	}
	for name, value := range told {
		if _, has := claims[name]; !has {
			claims[name] = value
		}
	}
}

func without(c claimSet, name string) claimSet {
	c = maps.Clone(c)
	delete(c, name)
	return c
}
