package provider

import (
	"gatehouse/provider/account"
	"gatehouse/provider/consent"
	"gatehouse/provider/endpoint"
	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
	"gatehouse/templates"
)

// features is the table of contents of the server.
func (p *Provider) features() []web.Feature {
	o := p.options
	inProcess := ratelimit.New(ratelimit.Options{Store: ratelimit.NewMemory(maxLimitKeys), Now: o.Now})
	shared := ratelimit.New(ratelimit.Options{Store: p.store, Now: o.Now})
	features := []web.Feature{
		endpoint.New(endpoint.Options{
			Engine: p.engine, Keys: p.keys, Sessions: p.sessions, Flows: p.flows, Store: p.store, Limiter: inProcess, Limits: o.Limits.endpoint(),
			Audit: p.audit, Log: o.Log, Now: o.Now, ShowRegistered: o.Playground != nil,
		}),
		login.New(login.Options{
			Store: p.store, Passwords: p.passwords, Sessions: p.sessions, Flows: p.flows, Clients: p.engine, Limiter: shared,
			Limits:     login.Limits{AccountFailures: o.Limits.LoginAccount, IPFailures: o.Limits.LoginIP, NetFailures: o.Limits.LoginNet},
			DeviceKeys: o.Seal.Derive("known-device", 32), Audit: p.audit, Now: o.Now,
		}),
		consent.New(consent.Options{Flows: p.flows, Sessions: p.sessions, Clients: p.engine, Consents: p.store, Describe: templates.DescribeScope, Audit: p.audit}),
		account.New(account.Options{
			Sessions: p.sessions, Flows: p.flows, Consents: p.store, Clients: p.engine, Notices: p.store, Limiter: inProcess, Starts: o.Limits.Interactions, Audit: p.audit,
		}),
	}
	if o.Playground != nil {
		features = append(features, o.Playground)
	}
	return features
}
