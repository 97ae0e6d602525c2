package storagetest

import (
	"testing"

	"gatehouse/storage"
)

func versions(t *testing.T, f *fixture) map[storage.Topic]int64 {
	t.Helper()
	v, err := f.Changes(bg)
	need(t, err)
	return v
}

func testChanges(t *testing.T, open Opener) {
	t.Run("EmptyStoreHasEveryTopic", func(t *testing.T) {
		v := versions(t, newFixture(t, open))
		for _, topic := range []storage.Topic{storage.TopicClients, storage.TopicKeys, storage.TopicRevocations} {
			if _, ok := v[topic]; !ok {
				t.Errorf("no version of %s in %v", topic, v)
			}
		}
	})
	newFixture(t, open).run(t, []rule{{"EveryWriteGrowsItsTopicOnly", changesGrow}, {"RefusedWritesGrowNothing", changesRefused}})
}

func changesGrow(t *testing.T, f *fixture) {
	h := f.home(t)
	writes := []struct {
		name   string
		write  func() error
		topics []storage.Topic
	}{
		{"CreateClient", func() error { return f.CreateClient(bg, &storage.Client{ID: name("client")}) }, []storage.Topic{storage.TopicClients}},
		{"UpdateClient", func() error {
			_, err := f.UpdateClient(bg, h.client.ID, func(c *storage.Client) error { c.Name = "x"; return nil })
			return err
		}, []storage.Topic{storage.TopicClients}},
		{"ChangeSigningKeys", func() error {
			return f.ChangeSigningKeys(bg, func([]*storage.SigningKey) ([]*storage.SigningKey, error) { return []*storage.SigningKey{f.key()}, nil })
		}, []storage.Topic{storage.TopicKeys}},
		{"RevokeTokens", func() error {
			_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: name("jti")})
			return err
		}, []storage.Topic{storage.TopicRevocations}},
		{"EndSession", func() error { return f.EndSession(bg, name("sid")) }, []storage.Topic{storage.TopicRevocations}},
		{"RevokeConsent", func() error { return f.RevokeConsent(bg, name("user"), name("client")) }, []storage.Topic{storage.TopicRevocations}},
		{"SetPassword", func() error { return f.SetPassword(bg, h.user.Subject, "x") }, []storage.Topic{storage.TopicRevocations}},
		{"DeleteUser", func() error { return f.DeleteUser(bg, h.user.Subject) }, []storage.Topic{storage.TopicRevocations}},
		{"DeleteClient", func() error { return f.DeleteClient(bg, h.client.ID) }, []storage.Topic{storage.TopicClients, storage.TopicRevocations}},
		{"CreateUser", func() error { return f.CreateUser(bg, &storage.User{Subject: name("user")}, "") }, nil},
		{"CreateToken", func() error { return f.CreateToken(bg, f.token(storage.TokenCode)) }, nil},
	}
	for _, w := range writes {
		before := versions(t, f)
		need(t, w.write())
		after := versions(t, f)
		for _, topic := range w.topics {
			if after[topic] <= before[topic] {
				t.Errorf("%s: version of %s stayed %d", w.name, topic, after[topic])
			}
			after[topic] = before[topic]
		}
		same(t, w.name+": the other topics", after, before)
	}
}

func changesRefused(t *testing.T, f *fixture) {
	c := f.client(t)
	before := versions(t, f)
	wantErr(t, "CreateClient", f.CreateClient(bg, &storage.Client{ID: c.ID}), storage.ErrExists)
	wantErr(t, "DeleteClient", f.DeleteClient(bg, name("client")), storage.ErrNotFound)
	wantErr(t, "DeleteUser", f.DeleteUser(bg, name("user")), storage.ErrNotFound)
	wantErr(t, "SetPassword", f.SetPassword(bg, name("user"), "x"), storage.ErrNotFound)
	same(t, "versions", versions(t, f), before)
}

// testVisible: what one handle wrote, the other reads at once.
func testVisible(t *testing.T, a, b *fixture) {
	h := a.home(t)
	same(t, "what the other handle sees", b.has(t, h), a.has(t, h))
	same(t, "versions", versions(t, b), versions(t, a))
	before := versions(t, b)[storage.TopicRevocations]
	need(t, b.EndSession(bg, h.session.ID))
	same(t, "what is left after the other handle ended the session", a.has(t, h), b.has(t, h))
	rows, err := a.Revocations(bg, before)
	need(t, err)
	same(t, "revocations of the other handle", len(rows), 1)
	key, expires := name("jti"), a.clock.Now().Add(1e12)
	need(t, a.Remember(bg, key, expires))
	wantErr(t, "replay at the other handle", b.Remember(bg, key, expires), storage.ErrConsumed)
}
