package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse/storage"
)

const (
	// importBatch is how many users one statement imports.
	importBatch = 50

	importIdentity = insertIdentity + ` ON CONFLICT (upstream, external_id) DO NOTHING`
	selectTaken    = `SELECT CASE WHEN EXISTS (SELECT 1 FROM users WHERE subject = $1) THEN 'id'
		WHEN EXISTS (SELECT 1 FROM users WHERE email_key = $2 AND email_key <> '') THEN 'email'
		WHEN EXISTS (SELECT 1 FROM users WHERE username_key = $3 AND username_key <> '') THEN 'username' ELSE '' END`
	exportUsers      = `SELECT ` + userColumns + `, password FROM users WHERE subject > $1 ORDER BY subject LIMIT $2`
	exportIdentities = `SELECT upstream, external_id, subject, label, created, last_used FROM identities WHERE subject > $1 AND subject <= $2
		ORDER BY subject, upstream, external_id`
)

// newUserValues is how many values a new user has.
const newUserValues = 15

var importOne, importMany = importText(1), importText(importBatch)

// importText is an INSERT of so many users that leaves out whoever holds a key that is taken.
func importText(rows int) string {
	return `INSERT INTO users (` + newUserColumns + `) VALUES ` + repeat(rows, `, `, func(row int) string {
		return `(` + repeat(newUserValues, `, `, func(i int) string { return fmt.Sprintf("$%d", row*newUserValues+i+1) }) + `, 0)`
	}) + ` ON CONFLICT DO NOTHING RETURNING subject`
}

// entry is a user on the way in.
type entry struct {
	place      int // among those who were given
	user       *storage.User
	values     []any
	identities []*storage.Identity
}

// importing is one call of ImportUsers.
type importing struct {
	q       Query
	refused []error
	batch   []*entry
}

// ImportUsers implements storage.ImportStore. Users without identities go in many at a time, in their order. Two imports at the same time would take keys in two
// orders, and wait in a circle: one comes after the other.
func (s *Store) ImportUsers(ctx context.Context, users []storage.ImportedUser) ([]error, error) {
	prepared := make([]error, len(users))
	var entries []*entry
	for i, in := range users {
		e, err := s.entry(i, in)
		if prepared[i] = err; err == nil {
			entries = append(entries, e)
		}
	}
	var refused []error
	err := s.tx(ctx, func(q Query) error {
		im := &importing{q: q, refused: slices.Clone(prepared)}
		refused = im.refused
		if s.dialect.Queue != "" {
			if _, err := q.Exec(ctx, s.dialect.Queue); err != nil {
				return err
			}
		}
		for _, e := range entries {
			if err := im.add(ctx, e); err != nil {
				return err
			}
		}
		return im.flush(ctx)
	})
	if err != nil {
		return nil, err
	}
	return refused, nil
}

// entry stamps a user, who keeps the times that came along. A text that a database cannot hold is refused here: it would end the transaction of all.
func (s *Store) entry(place int, in storage.ImportedUser) (*entry, error) {
	u, now := in.User, s.now()
	texts := []string{u.Subject, u.Email, u.EmailKey, u.Username, u.UsernameKey, u.Locale, u.TermsVersion, in.Password}
	for _, i := range in.Identities {
		texts = append(texts, i.Upstream, i.ExternalID)
	}
	if slices.ContainsFunc(texts, func(text string) bool { return !storable(text) }) {
		return nil, unavailable("import user", ErrUnstorable)
	}
	u.Created, u.Updated = kept(u.Created, now), now
	if in.Password == "" {
		u.PasswordSet = time.Time{}
	} else {
		u.PasswordSet = kept(u.PasswordSet, now)
	}
	for _, i := range in.Identities {
		i.Subject, i.Created = u.Subject, kept(i.Created, now)
		i.LastUsed = kept(i.LastUsed, i.Created)
	}
	values, err := userValues(u, in.Password)
	return &entry{place, u, values, in.Identities}, err
}

// kept is the time that came along, or else the one of now.
func kept(given, now time.Time) time.Time {
	if given.IsZero() {
		return now
	}
	return trim(given)
}

// add takes one more user. With identities it may have to be taken out again, and nobody after it may have seen it.
func (im *importing) add(ctx context.Context, e *entry) error {
	again := slices.ContainsFunc(im.batch, func(o *entry) bool { return o.user.Subject == e.user.Subject })
	if again || len(e.identities) > 0 {
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	if len(e.identities) > 0 {
		return im.whole(ctx, e)
	}
	im.batch = append(im.batch, e)
	if len(im.batch) == importBatch {
		return im.flush(ctx)
	}
	return nil
}

// flush writes the users who have gathered: with the text of a whole batch, or one by one.
func (im *importing) flush(ctx context.Context) error {
	batch, size := im.batch, 1
	im.batch = nil
	if len(batch) == importBatch {
		size = importBatch
	}
	for part := range slices.Chunk(batch, size) {
		if err := im.insert(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// insert writes users with one statement and finds out about those who are not in.
func (im *importing) insert(ctx context.Context, part []*entry) error {
	text, values := importOne, part[0].values
	if len(part) > 1 {
		text, values = importMany, make([]any, 0, len(part)*newUserValues)
		for _, e := range part {
			values = append(values, e.values...)
		}
	}
	in, err := list(ctx, im.q, readText, text, values...)
	if err != nil || len(in) == len(part) {
		return err
	}
	for _, e := range part {
		if !slices.Contains(in, e.user.Subject) {
			if err := im.refuse(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse notes which key of a user is taken.
func (im *importing) refuse(ctx context.Context, e *entry) error {
	var field string
	if err := im.q.One(ctx, selectTaken, []any{e.user.Subject, e.user.EmailKey, e.user.UsernameKey}, &field); err != nil {
		return err
	}
	im.refused[e.place] = &storage.ExistsError{Field: field}
	if field == "" {
		im.refused[e.place] = unavailable("import user", fmt.Errorf("who held a key of %q has just gone", e.user.Subject))
	}
	return nil
}

// whole writes a user with identities, or nothing of it.
func (im *importing) whole(ctx context.Context, e *entry) error {
	if err := im.insert(ctx, []*entry{e}); err != nil || im.refused[e.place] != nil {
		return err
	}
	for _, i := range e.identities {
		n, err := im.q.Exec(ctx, importIdentity, i.Upstream, i.ExternalID, i.Subject, plain(i.Label), blob(i.Tokens), micros(i.Created), micros(i.LastUsed))
		if err != nil {
			return err
		}
		if n == 0 {
			im.refused[e.place] = &storage.ExistsError{Field: "identity"}
			_, err := im.q.Exec(ctx, deleteUser, e.user.Subject)
			return err
		}
	}
	return nil
}

// ExportUsers implements storage.ImportStore with one read of users and one of identities.
func (s *Store) ExportUsers(ctx context.Context, after string, limit int) ([]storage.ImportedUser, error) {
	out, err := list(ctx, s.db, readExported, exportUsers, after, limit)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	identities, err := list(ctx, s.db, readIdentity, exportIdentities, after, out[len(out)-1].User.Subject)
	if err != nil {
		return nil, err
	}
	places := make(map[string]int, len(out))
	for place, u := range out {
		places[u.User.Subject] = place
	}
	for _, i := range identities {
		if place, there := places[i.Subject]; there { // not somebody who came between the two reads
			out[place].Identities = append(out[place].Identities, i)
		}
	}
	return out, nil
}

func readExported(scan Scan) (storage.ImportedUser, error) {
	var (
		r        userRow
		password string
	)
	if err := scan(append(r.dest(), &password)...); err != nil {
		return storage.ImportedUser{}, err
	}
	u, err := r.user()
	return storage.ImportedUser{User: u, Password: password}, err
}
