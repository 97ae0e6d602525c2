package provider

import (
	"context"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/client"
	"gatehouse/provider/letter"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/recovery"
	"gatehouse/provider/signup"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// signUpOffered tells whether people can make accounts by themselves at all. Clients say who may, so this does not look at the configured mode.
func (p *Provider) signUpOffered() bool {
	return p.options.Mail.Carrier != nil && !p.options.NoPassword
}

// signUpOpen tells of a client whether everybody may make an account on the way there, nil if nobody can anywhere.
func (p *Provider) signUpOpen() func(*storage.Client) bool {
	if !p.signUpOffered() {
		return nil
	}
	return func(c *storage.Client) bool { return client.SignUp(c, p.options.SignUp.Mode) == client.SignUpOpen }
}

// reused tells a person that an app's refresh token was used twice. The request comes from whoever holds the token, so its address says nothing about the person.
func (p *Provider) reused(ctx context.Context, subject, clientID string) {
	user, err := p.store.User(ctx, subject)
	if err != nil {
		p.options.Log.ErrorContext(ctx, "nobody is told of a refresh token that was used twice", "subject", subject, "cause", err.Error())
		return
	}
	name := clientID
	if c, err := p.engine.Client(ctx, clientID); err == nil && c.Name != "" {
		name = c.Name
	}
	p.activity.Note(ctx, activity.Where{}, user, activity.Event{
		Kind: activity.TokenReused, ClientID: clientID, Mail: &templates.Mail{Detail: name}, Undo: activity.Undo(user, time.Time{}),
	})
}

// correspondence are the features of links in mails.
func (p *Provider) correspondence(shared *ratelimit.Limiter, post *letter.Post) []web.Feature {
	o := p.options
	features := []web.Feature{recovery.New(recovery.Options{
		Store: p.store, Passwords: p.passwords, Tickets: p.tickets, Post: post, Sessions: p.sessions, Flows: p.flows, SignIn: p.signIn, NoPassword: o.NoPassword, NoMail: !p.mail.On(),
		MagicLink: o.MagicLink, Activity: p.activity,
	})}
	if p.signUpOffered() {
		features = append(features, signup.New(signup.Options{
			Issuer: o.Issuer, Mode: o.SignUp.Mode, Name: o.SignUp.Name, TermsVersion: o.SignUp.TermsVersion, Store: p.store, Passwords: p.passwords, Tickets: p.tickets, Post: post, Flows: p.flows,
			Clients: p.engine, SignIn: p.signIn, Limiter: shared, PerIP: o.Limits.SignupIP, Activity: p.activity, Now: o.Now,
		}))
	}
	return features
}
