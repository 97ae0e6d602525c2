package account

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"gatehouse/provider/activity"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/useragent"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// sessions serves the page of signed-in devices, this one first.
func (a *Account) sessions(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	rows, err := a.live(r.Context(), c.User)
	if err != nil {
		return err
	}
	page := templates.AccountSessions{AccountFrame: frame(r, c)}
	if page.Accounts, err = a.accounts(r); err != nil {
		return err
	}
	for _, row := range rows {
		view := a.device(r, row)
		view.Current = row.ID == c.Session.ID
		view.Idle = !view.Current && !row.Remembered && a.Now().Sub(row.LastSeen) >= a.Sessions.Idle
		if view.Current {
			page.Sessions = slices.Insert(page.Sessions, 0, view)
		} else {
			page.Sessions = append(page.Sessions, view)
		}
	}
	return web.Render(w, r, http.StatusOK, page)
}

// live are the sessions of a user that are not over, newest first. An idle one is among them: what apps were given in it goes on.
func (a *Account) live(ctx context.Context, u *storage.User) ([]*storage.Session, error) {
	rows, err := a.Store.SessionsOf(ctx, u.Subject)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return slices.DeleteFunc(rows, func(s *storage.Session) bool { return !a.Now().Before(s.Absolute) || s.Epoch != u.Epoch }), nil
}

func (a *Account) device(r *http.Request, s *storage.Session) templates.DeviceView {
	view := a.from(r, s.IP, s.UserAgent)
	view.ID, view.Since, view.LastSeen, view.Remembered = s.ID, s.AuthTime, s.LastSeen, s.Remembered
	return view
}

// from puts into words of the page where a request came from: what was stored of it.
func (a *Account) from(r *http.Request, address, agent string) templates.DeviceView {
	view := templates.DeviceView{Address: address, Place: templates.PlaceView(a.Places.Near(address, web.Lang(r)))}
	view.Browser, view.System = useragent.Read(agent)
	return view
}

// waysBack are the links that let somebody in, or change what the account is reached by. The one that takes a change back is the owner's defence and stays.
var waysBack = []storage.TicketKind{storage.TicketReset, storage.TicketRecovery, storage.TicketMagic, storage.TicketVerify, storage.TicketEmail}

// closeWays takes from whoever is to be signed out everywhere what would make the way back in easier: trusted devices and pending links.
func (a *Account) closeWays(ctx context.Context, subject string) error {
	if err := a.Store.DeleteDevice(ctx, subject, ""); err != nil {
		return fmt.Errorf("forget devices: %w", err)
	}
	if err := a.Store.RevokeTickets(ctx, subject, waysBack...); err != nil {
		return fmt.Errorf("revoke links: %w", err)
	}
	return nil
}

// endSession signs out one device, all others, or all of them.
func (a *Account) endSession(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	id, scope := r.PostFormValue("session"), r.PostFormValue("scope")
	rows, err := a.live(r.Context(), c.User)
	if err != nil {
		return err
	}
	if scope == "" && !slices.ContainsFunc(rows, func(s *storage.Session) bool { return s.ID == id }) {
		return web.NotFound() // over meanwhile, or somebody else's (security row 166)
	}
	if scope == "all" {
		if err := a.closeWays(r.Context(), c.Session.Subject); err != nil {
			return err
		}
	}
	for _, row := range rows {
		if row.ID == c.Session.ID || scope == "" && row.ID != id {
			continue
		}
		if err := a.Store.EndSession(r.Context(), row.ID); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		a.note(r, c.User, activity.Event{Kind: activity.SessionEnded, SessionHash: web.Hash(row.ID), Detail: row.IP})
	}
	switch {
	case scope == "all" || id == c.Session.ID:
		return a.SignOut(w, r)
	case scope != "":
		return back(w, r, interaction.ReturnSessions, "others")
	}
	return back(w, r, interaction.ReturnSessions, "signed_out")
}
