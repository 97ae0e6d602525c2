package webtest

import (
	"context"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// Authenticator gives the window an authenticator that keeps passkeys and verifies its user at once, as a phone or laptop does whose owner agrees.
func (c *Chromium) Authenticator() {
	c.t.Helper()
	c.plug(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true, IsUserVerified: true})
}

// SecurityKey gives the window a key that knows nobody and keeps no passkeys: it answers a touch, if it is told which credential is meant.
func (c *Chromium) SecurityKey() {
	c.t.Helper()
	c.plug(webauthn.VirtualAuthenticatorOptions{Transport: webauthn.AuthenticatorTransportUsb})
}

// plug gives the window an authenticator that is touched at once.
func (c *Chromium) plug(o webauthn.VirtualAuthenticatorOptions) {
	c.t.Helper()
	o.Protocol, o.AutomaticPresenceSimulation = webauthn.AuthenticatorProtocolCtap2, true
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return err
		}
		added, err := cdp.Call(ctx, target, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &o})
		c.authenticator = added.AuthenticatorID
		return err
	}))
}

// Presence tells whether the owner of the authenticator is there to agree.
func (c *Chromium) Presence(there bool) {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: c.authenticator, Enabled: there})
		return err
	}))
}

// ForgetCookies makes the browser a stranger to every server.
func (c *Chromium) ForgetCookies() {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.ClearBrowserCookies, cdp.Empty{})
		return err
	}))
}

// Quit closes the browser as far as servers can tell, and opens it again: what they did not mean to last is forgotten.
func (c *Chromium) Quit() {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		kept, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{})
		if err != nil {
			return err
		}
		for _, cookie := range kept.Cookies {
			if !cookie.Session {
				continue
			}
			if _, err := cdp.Call(ctx, target, network.DeleteCookies, network.DeleteCookiesParams{Name: cookie.Name, Domain: cookie.Domain, Path: cookie.Path}); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Look sets the size of the window and the colour scheme, light or dark.
func (c *Chromium) Look(width, height int64, scheme string) {
	c.t.Helper()
	c.Do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Print shows pages as they come out of a printer, or on the screen again.
func (c *Chromium) Print(on bool) {
	c.t.Helper()
	media := ""
	if on {
		media = "print"
	}
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media})
		return err
	}))
}

// Downloads lets pages save files, in a folder that the test owns.
func (c *Chromium) Downloads() (folder string) {
	c.t.Helper()
	folder = c.t.TempDir()
	here := chromedp.FromContext(c.ctx)
	c.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := cdp.Call(ctx, here.Browser, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: here.BrowserContextID, DownloadPath: folder,
		})
		return err
	}))
	return folder
}

// Zone puts the browser's clock into a time zone such as Asia/Tokyo.
func (c *Chromium) Zone(name string) {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
		return err
	}))
}

// NoForeignCookies keeps cookies from frames of other sites than the page's, as private windows of the whole browser do, from the next page on.
func (c *Chromium) NoForeignCookies() {
	c.t.Helper()
	c.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, network.SetCookieControls, network.SetCookieControlsParams{EnableThirdPartyCookieRestriction: true})
		return err
	}))
}
