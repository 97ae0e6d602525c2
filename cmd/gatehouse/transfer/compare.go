package transfer

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

// compare says what a line that the store refused means: the user is there already, as the line has it, or something of the line is taken.
func (m *Import) compare(ctx context.Context, i *item, refused error) (same bool, fault *Fault, err error) {
	var exists *storage.ExistsError
	if !errors.As(refused, &exists) {
		return false, faultf("", "cannot be stored: %v", refused), nil
	}
	have, encoded, err := m.find(ctx, i)
	if errors.Is(err, storage.ErrNotFound) {
		return false, faultf(field(exists.Field), "belongs to another user"), nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("find user: %w", err)
	}
	differs, err := m.differs(ctx, i, have, encoded)
	if err != nil || differs == "" {
		return err == nil, nil, err
	}
	return false, faultf(field(exists.Field), "is there already, and that user, %s, has another %s; see: gatehouse user get %s", console.Printable(have.Subject), differs, console.Printable(have.Subject)), nil
}

// field is the member of a line that storage names.
func field(of string) string {
	switch of {
	case "id":
		return "sub"
	case "identity":
		return "identities"
	}
	return of
}

// find returns the user of the store whom the line is about.
func (m *Import) find(ctx context.Context, i *item) (*storage.User, string, error) {
	u := i.user.User
	if i.given {
		have, err := m.Store.User(ctx, u.Subject)
		if !errors.Is(err, storage.ErrNotFound) {
			return m.withPassword(ctx, have, err)
		}
	}
	for _, key := range []string{u.EmailKey, u.UsernameKey} {
		have, encoded, err := m.Store.UserByLogin(ctx, key)
		if !errors.Is(err, storage.ErrNotFound) {
			return have, encoded, err
		}
	}
	for _, id := range i.user.Identities {
		_, have, err := m.Store.Identity(ctx, id.Upstream, id.ExternalID)
		if !errors.Is(err, storage.ErrNotFound) {
			return m.withPassword(ctx, have, err)
		}
	}
	return nil, "", storage.ErrNotFound
}

// withPassword reads the password of a user who was found by something else than a name. A user without names has none.
func (m *Import) withPassword(ctx context.Context, u *storage.User, err error) (*storage.User, string, error) {
	if err != nil {
		return nil, "", err
	}
	for _, key := range []string{u.EmailKey, u.UsernameKey} {
		if key != "" {
			return m.Store.UserByLogin(ctx, key)
		}
	}
	return u, "", nil
}

// differs names the first member in which the user of the store is another than the line's. A password that was encoded anew since, at a sign-in, is the same; what the line does not have is not
// compared where the store makes it up (sub, created) or the user may have added it since (a password, a language, terms, further identities).
func (m *Import) differs(ctx context.Context, i *item, have *storage.User, encoded string) (string, error) {
	want := i.user.User
	for _, member := range []struct {
		name string
		same bool
	}{
		{"sub", !i.given || have.Subject == want.Subject},
		{"email", have.EmailKey == want.EmailKey},
		{"username", have.UsernameKey == want.UsernameKey},
		{"email_verified", have.EmailVerified == want.EmailVerified},
		{"disabled", have.Disabled == want.Disabled},
		{"locale", want.Locale == "" || have.Locale == want.Locale},
		{"terms_version", want.TermsVersion == "" || have.TermsVersion == want.TermsVersion && have.TermsAccepted.Equal(want.TermsAccepted)},
		{"created", i.created.IsZero() || have.Created.Equal(i.created)},
		{"claims", len(have.Claims) == 0 && len(want.Claims) == 0 || reflect.DeepEqual(have.Claims, want.Claims)},
		{"password", i.user.Password == "" || encoded == i.user.Password || credential.Upgraded(encoded, i.user.Password)},
	} {
		if !member.same {
			return member.name, nil
		}
	}
	if len(i.user.Identities) == 0 {
		return "", nil
	}
	ids, err := m.Store.IdentitiesOf(ctx, have.Subject)
	if err != nil {
		return "", fmt.Errorf("read identities: %w", err)
	}
	for _, id := range i.user.Identities {
		if !slices.ContainsFunc(ids, func(h *storage.Identity) bool { return h.Upstream == id.Upstream && h.ExternalID == id.ExternalID }) {
			return "identities", nil
		}
	}
	return "", nil
}
