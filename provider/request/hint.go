package request

// The parameter id_token_hint: OpenID Connect Core section 3.1.2.1.

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gatehouse/provider/grant"
)

// Hint is what an id_token_hint says. Subject and SessionID are as the clients of Audience know them.
type Hint struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  grant.Audience `json:"aud"`
	SessionID string         `json:"sid"`
	IssuedAt  *float64       `json:"iat"`
	Expires   *float64       `json:"exp"`
	// GrantID is in access tokens only.
	GrantID string `json:"gid"`
}

var errNoHint = errors.New("not an ID token of this issuer")

// ReadHint reads an ID token of this issuer, expired or not, also of a retired key. Other things that this issuer signs are not taken for one: access tokens
// name a grant, and signed userinfo neither expires nor says when it was issued.
func ReadHint(keys HintKeys, issuer, token string) (*Hint, error) {
	payload, err := keys.VerifyHint(token)
	if err != nil {
		return nil, fmt.Errorf("verify hint: %w", err)
	}
	var h Hint
	if err := json.Unmarshal(payload, &h); err != nil {
		return nil, fmt.Errorf("decode hint: %w", err)
	}
	if h.Issuer != issuer || h.Subject == "" || len(h.Audience) == 0 || h.GrantID != "" || h.IssuedAt == nil || h.Expires == nil {
		return nil, errNoHint
	}
	return &h, nil
}

// HintKeys verifies ID tokens of this issuer, also those of retired keys.
type HintKeys interface {
	VerifyHint(token string) (payload []byte, err error)
}

// checkHint finds whom an id_token_hint means. It must be one that this client was given: another's may name the user in a way that only that one knows.
func (p *Parser) checkHint(req *Authorize) error {
	sent := req.Params.Get("id_token_hint")
	if sent == "" {
		return nil
	}
	hint, err := ReadHint(p.Keys, p.Issuer, sent)
	if err != nil {
		return grant.Refuse("invalid_request", "The id_token_hint is not an ID token of this issuer.").WithWrap(err)
	}
	subject, known := p.Subject(req.Client, hint.Subject)
	if !known || !slices.Contains(hint.Audience, req.Client.ID) {
		return grant.Refuse("invalid_request", "The id_token_hint was not issued to this client. Send an ID token that it got itself.")
	}
	return req.expect([]string{subject})
}

// checkSubjects finds whom the values of sub in the parameter claims mean.
func (p *Parser) checkSubjects(req *Authorize) error {
	for _, names := range req.subs {
		var subjects []string
		for _, name := range names {
			subject, known := name, true
			if req.Client.SubjectType == "pairwise" {
				subject, known = p.Subject(req.Client, name)
			} // else only the name that the client has now: one of its sector would tell it whom a name of others means
			if known {
				subjects = append(subjects, subject)
			}
		}
		if len(subjects) == 0 {
			return grant.Refuse("login_required", "The sub of the claims parameter names no user that this client knows.")
		}
		if err := req.expect(subjects); err != nil {
			return err
		}
	}
	return nil
}

// expect narrows the users whom the request may be answered for.
func (r *Authorize) expect(subjects []string) error {
	if len(r.HintSubjects) > 0 {
		subjects = slices.DeleteFunc(subjects, func(s string) bool { return !slices.Contains(r.HintSubjects, s) })
	}
	if len(subjects) == 0 {
		return grant.Refuse("invalid_request", "The id_token_hint and the sub of the claims parameter name different users.")
	}
	r.HintSubjects = subjects
	return nil
}
