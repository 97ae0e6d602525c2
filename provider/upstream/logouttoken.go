package upstream

import (
	"context"
	"time"
)

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// logoutLife is how old a logout token may be.
	logoutLife = 5 * time.Minute
)

// VerifyLogoutToken implements LogoutVerifier (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6). That the token was not there before is for the caller to see, until
// Expires, when it is refused anyway.
func (p *openID) VerifyLogoutToken(ctx context.Context, raw string) (*LogoutToken, error) {
	ctx, cancel := p.remote.bounded(ctx)
	defer cancel()
	m, err := p.discovery.usable(ctx)
	if err != nil {
		return nil, err
	}
	const what = "the logout token"
	plain := func(typ string) bool { return typ == "logout+jwt" || typ == "jwt" || typ == "" }
	claims, _, err := p.statement(ctx, m, what, raw, plain, &p.keys.posted)
	if err != nil {
		return nil, err
	}
	now := p.Now()
	issued := claims.instant("iat")
	end := issued.Add(logoutLife)
	if _, told := claims["exp"]; told {
		if expires := claims.instant("exp").Add(leeway); expires.Before(end) {
			end = expires
		}
	}
	events, _ := claims["events"].(map[string]any)
	_, event := events[logoutEvent].(map[string]any)
	_, nonce := claims["nonce"]
	id, sid, sub := claims.text("jti"), claims.text("sid"), claims.text("sub")
	switch {
	case issued.IsZero() || issued.After(now.Add(leeway)):
		return nil, broken(what+" lacks iat, or was issued in the future", nil)
	case !now.Before(end):
		return nil, broken(what+" is older than five minutes or has expired", nil)
	case !event:
		return nil, broken(what+" has no events with "+logoutEvent, nil)
	case nonce:
		return nil, broken(what+" has a nonce, so it may be an ID token", nil)
	case id == "" || len(id) > 255:
		return nil, broken(what+" has no jti of 1 to 255 bytes", nil)
	case sub == "" && sid == "", sub != "" && !identifier(sub), sid != "" && !identifier(sid):
		return nil, broken(what+" has neither sub nor sid, or one that cannot be", nil)
	}
	t := &LogoutToken{ID: id, SID: sid, Expires: end}
	if sub != "" {
		t.ExternalID = p.id(claims)
	}
	return t, nil
}
