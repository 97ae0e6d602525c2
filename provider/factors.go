package provider

import (
	"context"
	"errors"

	"gatehouse/provider/credential"
	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
)

// prepareFactors opens the keys of second factors and sets up what makes sessions of sign-ins. Passkeys need an issuer with a domain; without one they are off.
func (p *Provider) prepareFactors(ctx context.Context) error {
	o := p.options
	policy := o.Factors
	policy.Passkeys = policy.Passkeys && credential.PasskeysWork(o.Issuer)
	if policy.Required == signin.Everyone && !policy.Enabled() {
		return errors.New("everybody needs a second factor and there is none: passkeys need an issuer with a domain, and authenticator apps are off")
	}
	p.signIn = signin.New(signin.Options{
		Store: p.store, Sessions: p.sessions, Flows: p.flows, Clients: p.engine, Policy: policy, BrowserKeys: o.Seal.Derive("known-browser", 32),
		Browsers: ratelimit.New(ratelimit.Options{Store: ratelimit.NewMemory(maxLimitKeys), Now: o.Now}), Audit: p.audit, Activity: p.activity, Now: o.Now,
	})
	if p.mail.On() {
		p.signIn.Limiter = ratelimit.New(ratelimit.Options{Store: p.store, Now: o.Now})
	}
	if !policy.Enabled() {
		return nil
	}
	name := o.Brand.Name
	if name == "" {
		name = "Gatehouse"
	}
	p.factors = login.Factors{Users: p.store, Tries: o.Limits.FactorChallenge, PerUser: o.Limits.FactorUser, PerIP: o.Limits.FactorIP}
	var err error
	if p.factors.Recovery, err = credential.NewRecoveryCodes(ctx, p.store, p.store, o.Seal); err != nil {
		return err
	}
	if policy.TOTP {
		p.factors.TOTP = credential.NewTOTP(credential.TOTPOptions{Store: p.store, Seal: o.Seal, Issuer: name, Now: o.Now})
	}
	if policy.Passkeys {
		p.factors.Passkeys, err = credential.NewPasskeys(ctx, credential.PasskeyOptions{Store: p.store, Seal: o.Seal, Issuer: o.Issuer, Name: name, Now: o.Now})
	}
	return err
}

// acrValues are the strengths that sign-ins may have beyond "1".
func (p *Provider) acrValues() []string {
	values := p.upstreams.ACRValues()
	if !p.signIn.Policy.Enabled() {
		return values
	}
	for i, v := range values {
		if v == "2" {
			return values
		}
		if v > "2" {
			return append(values[:i:i], append([]string{"2"}, values[i:]...)...)
		}
	}
	return append(values, "2")
}
