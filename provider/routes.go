package provider

import (
	"net/http"

	"gatehouse/provider/account"
	"gatehouse/provider/client"
	"gatehouse/provider/consent"
	"gatehouse/provider/endpoint"
	"gatehouse/provider/letter"
	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/provider/signup"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// features is the table of contents of the server.
func (p *Provider) features() []web.Feature {
	o := p.options
	inProcess := ratelimit.New(ratelimit.Options{Store: ratelimit.NewMemory(maxLimitKeys), Now: o.Now})
	shared := ratelimit.New(ratelimit.Options{Store: p.store, Now: o.Now})
	post := letter.New(letter.Options{Tickets: p.tickets, Mailer: p.mail, Limiter: shared, PerAddress: o.Limits.ResetAddress, PerIP: o.Limits.MailIP})
	features := []web.Feature{
		endpoint.New(endpoint.Options{
			Engine: p.engine, Keys: p.keys, Sessions: p.sessions, Flows: p.flows, Store: p.store, Limiter: inProcess, Limits: o.Limits.endpoint(),
			Audit: p.audit, Log: o.Log, Now: o.Now, Registration: p.registration(), Uses: p.uses, ShowRegistered: o.Playground != nil, SessionManagement: o.SessionManagement,
			ACRValues: p.acrValues(), StepUp: p.signIn.Policy.Enabled(), FactorDue: p.signIn.Due,
			SignUp: p.signUpOffered() && o.SignUp.Mode == client.SignUpOpen, TermsVersion: o.SignUp.TermsVersion,
		}),
		p.logout,
		p.upstreams,
		login.New(login.Options{
			Store: p.store, Passwords: p.passwords, Sessions: p.sessions, Flows: p.flows, Clients: p.engine, Limiter: shared, InProcess: inProcess,
			Limits: login.Limits{
				AccountFailures: o.Limits.LoginAccount, MaxFailures: o.Limits.LoginFailures, IPFailures: o.Limits.LoginIP, NetFailures: o.Limits.LoginNet, Names: o.Limits.Interactions,
			},
			Audit: p.audit, Now: o.Now,
			Upstreams: p.upstreams, NoPassword: o.NoPassword, SignIn: p.signIn, Factors: p.factors, Remember: o.Remember > 0,
			IdentifierFirst: o.IdentifierFirst && !o.NoPassword,
			Elsewhere:       login.Elsewhere{SignUp: p.signUpOpen(), Recovery: p.mail.On() && !o.NoPassword, MailLink: p.mail.On() && o.MagicLink},
		}),
		signup.NewTerms(signup.TermsOptions{
			Version: o.SignUp.TermsVersion, NoDelete: o.Account.NoDelete, Users: p.store, Sessions: p.sessions, Flows: p.flows, Clients: p.engine, Activity: p.activity, Audit: p.audit, Now: o.Now,
		}),
		consent.New(consent.Options{Flows: p.flows, Sessions: p.sessions, Clients: p.engine, Consents: p.store, Describe: templates.DescribeScope, Audit: p.audit}),
		p.account(inProcess, shared, post),
	}
	features = append(features, p.correspondence(shared, post)...)
	if o.Playground != nil {
		features = append(features, o.Playground)
	}
	return features
}

// account is the account page.
func (p *Provider) account(inProcess, shared *ratelimit.Limiter, post *letter.Post) web.Feature {
	o := p.options
	a := account.Options{
		Issuer: o.Issuer, Brand: o.Brand, Store: p.store, Sessions: p.sessions, Flows: p.flows, Clients: p.engine, Tickets: p.tickets, Identities: p.identities(), Offered: p.upstreams.Offered(),
		Factors:   account.Factors{TOTP: p.factors.TOTP, Passkeys: p.factors.Passkeys, Recovery: p.factors.Recovery, Required: p.signIn.Policy.Required == signin.Everyone, Tries: o.Limits.FactorUser},
		Languages: p.languages, Editable: o.Account.Editable, NoDelete: o.Account.NoDelete, Limiter: inProcess, Shared: shared, Starts: o.Limits.Interactions,
		SignOut: p.logout.SignOut, Activity: p.activity, Places: o.Places, Now: o.Now,
	}
	if !o.NoPassword {
		a.Passwords = p.passwords
	}
	if p.mail.On() {
		a.Post = post
	}
	return account.New(a)
}

// identities lists the accounts of a user at providers, nil if there are no providers.
func (p *Provider) identities() func(*http.Request, *storage.User) ([]templates.IdentityView, []templates.UpstreamButton, error) {
	if len(p.options.Upstreams) == 0 {
		return nil
	}
	return p.upstreams.Linked
}

// registration is how clients register themselves, nil if they may not.
func (p *Provider) registration() *endpoint.Registration {
	o := p.options
	if o.Registration.Mode != "open" && o.Registration.Mode != "token" {
		return nil
	}
	return &endpoint.Registration{
		Open: o.Registration.Mode == "open", Store: p.store, Fetcher: o.Outbound, Logos: p.logos, Seal: o.Seal, ExpireUnused: o.Registration.ExpireUnused, Limit: o.Limits.Registration,
		Rules: client.Rules{
			Profile: o.Registration.Profile, Resources: o.Resources, Algorithms: o.Keys.Algorithms, ResponseTypes: o.ResponseTypes,
			UnsignedRequestObjects: o.UnsignedRequestObjects, UnsignedIDTokens: o.UnsignedIDTokens, CheckURL: o.Outbound.CheckURL,
		},
	}
}
