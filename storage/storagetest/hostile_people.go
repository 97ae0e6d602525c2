package storagetest

import (
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

// hostilePeople are the trips of what belongs to a person.
func (f *fixture) hostilePeople(t *testing.T, s string) []hostileTrip {
	return []hostileTrip{f.hostileFactor(t, s), f.hostileTicket(t, s), f.hostileMail(t, s), f.hostileActivity(t, s), f.hostileDevice(t, s), f.hostileCode(t, s),
		f.hostileImport(s)}
}

func (f *fixture) hostileFactor(t *testing.T, s string) hostileTrip {
	n := f.unsavedFactor(f.user(t).Subject, storage.FactorPasskey)
	n.ID, n.Name, n.CredentialID, n.Data = name("f")+s, s, name("k")+s, []byte(s)
	return hostileTrip{"factor", func() error { return f.CreateFactor(bg, n, 0) }, func() ([]string, error) {
		got, _, err := f.FactorByCredential(bg, n.CredentialID)
		if err != nil {
			return nil, err
		}
		return []string{got.ID, got.Name, got.CredentialID, string(got.Data)}, nil
	}, []string{n.ID, s, n.CredentialID, s}}
}

func (f *fixture) hostileTicket(t *testing.T, s string) hostileTrip {
	n := f.unsavedTicket(storage.TicketEmail, f.user(t))
	n.Signature, n.Email, n.EmailKey, n.Data = name("t")+s, s, s, map[string]string{s: s}
	return hostileTrip{"ticket", func() error { return f.CreateTicket(bg, n) }, func() ([]string, error) {
		got, err := f.Ticket(bg, n.Kind, n.Signature)
		if err != nil {
			return nil, err
		}
		return []string{got.Signature, got.Email, got.EmailKey, got.Data[s]}, nil
	}, []string{n.Signature, s, s, s}}
}

func (f *fixture) hostileMail(t *testing.T, s string) hostileTrip {
	f.drainMails(t)
	m := f.unsavedMail(0)
	m.ID, m.Kind, m.Body = name("m")+s, s, []byte(s)
	return hostileTrip{"mail", func() error { return f.QueueMail(bg, m) }, func() ([]string, error) {
		got, err := f.ClaimMails(bg, f.clock.Now(), time.Minute, 10)
		if err != nil || len(got) == 0 {
			return nil, err
		}
		return []string{got[0].ID, got[0].Kind, string(got[0].Body)}, nil
	}, []string{m.ID, s, s}}
}

func (f *fixture) hostileActivity(t *testing.T, s string) hostileTrip {
	shown := strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "") // anything else may be replaced; see activityAnyAgent
	a := f.unsavedActivity(f.user(t).Subject)
	a.ID, a.Kind, a.AMR, a.ClientID, a.Detail, a.IP, a.UserAgent = name("a")+s, s, []string{s}, s, shown, shown, shown
	return hostileTrip{"activity", func() error { return f.AddActivity(bg, a) }, func() ([]string, error) {
		got, err := f.Activities(bg, a.Subject, 10)
		if err != nil || len(got) == 0 {
			return nil, err
		}
		return append(got[0].AMR, got[0].ID, got[0].Kind, got[0].ClientID, got[0].Detail, got[0].IP, got[0].UserAgent), nil
	}, []string{s, a.ID, s, s, shown, shown, shown}}
}

func (f *fixture) hostileDevice(t *testing.T, s string) hostileTrip {
	shown := strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	d := f.unsavedDevice(f.user(t).Subject)
	d.ID, d.CookieHash, d.Previous, d.UserAgent, d.IP = name("d")+s, name("k")+s, s, shown, shown
	return hostileTrip{"device", func() error { return f.CreateDevice(bg, d) }, func() ([]string, error) {
		got, err := f.DevicesOf(bg, d.Subject)
		if err != nil || len(got) == 0 {
			return nil, err
		}
		return []string{got[0].ID, got[0].CookieHash, got[0].Previous, got[0].UserAgent, got[0].IP}, nil
	}, []string{d.ID, d.CookieHash, s, shown, shown}}
}

func (f *fixture) hostileCode(t *testing.T, s string) hostileTrip {
	u := f.user(t)
	return hostileTrip{"recovery code", func() error { return f.SetRecoveryCodes(bg, u.Subject, []string{s}, 0) }, func() ([]string, error) {
		if _, err := f.UseRecoveryCode(bg, u.Subject, s); err != nil {
			return nil, err
		}
		return []string{s}, nil
	}, []string{s}}
}

func (f *fixture) hostileImport(s string) hostileTrip {
	in := newcomer()
	in.User.Subject, in.User.EmailKey, in.User.Locale, in.User.TermsVersion, in.Password = name("u")+oneLine(s), name("e")+s, s, s, s
	in.Identities = []*storage.Identity{account("")}
	in.Identities[0].Upstream = s
	return hostileTrip{"imported user", func() error {
		refused, err := f.ImportUsers(bg, []storage.ImportedUser{in})
		if err == nil {
			err = refused[0]
		}
		return err
	}, func() ([]string, error) {
		got, password, err := f.UserByLogin(bg, in.User.EmailKey)
		if err != nil {
			return nil, err
		}
		i, _, err := f.Identity(bg, s, in.Identities[0].ExternalID)
		if err != nil {
			return nil, err
		}
		return []string{got.Subject, got.EmailKey, got.Locale, got.TermsVersion, password, i.Upstream, i.Subject}, nil
	}, []string{in.User.Subject, in.User.EmailKey, s, s, s, s, in.User.Subject}}
}
