package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"time"

	"gatehouse/provider/credential"
	"gatehouse/storage"
)

// Exporter is what an export needs of storage.
type Exporter interface {
	ExportUsers(ctx context.Context, after string, limit int) ([]storage.ImportedUser, error)
}

// Export writes every user as a line that an import takes, in order of sub, and tells after every page how many there were. It keeps one page in memory.
func Export(ctx context.Context, store Exporter, to io.Writer, hashes bool, progress func(users int)) (int, error) {
	w := bufio.NewWriterSize(to, 64<<10)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	count, after := 0, ""
	for {
		page, err := store.ExportUsers(ctx, after, batchSize)
		if err != nil {
			return count, fmt.Errorf("read users: %w", err)
		}
		for _, u := range page {
			if err := lines.Encode(lineOf(u, hashes)); err != nil {
				return count, fmt.Errorf("write user %s: %w", u.User.Subject, err)
			}
			after = u.User.Subject
			count++
		}
		progress(count)
		if len(page) < batchSize {
			return count, w.Flush()
		}
	}
}

// fromUpstreams are the claims that a provider's sign-in brings and takes away. An import does not take them from anybody else.
var fromUpstreams = []string{"groups", "roles"}

func lineOf(i storage.ImportedUser, hashes bool) Line {
	u := i.User
	l := Line{
		Sub: u.Subject, Email: u.Email, EmailVerified: u.EmailVerified, Username: u.Username, Claims: maps.Clone(u.Claims), Disabled: u.Disabled, Locale: u.Locale,
		TermsVersion: u.TermsVersion, TermsAccepted: when(u.TermsAccepted), Created: when(u.Created),
	}
	for _, name := range fromUpstreams {
		delete(l.Claims, name)
	}
	if hashes && i.Password != "" {
		l.PasswordHash = credential.Exported(i.Password)
	}
	for _, id := range i.Identities {
		l.Identities = append(l.Identities, Identity{id.Upstream, id.ExternalID, id.Label})
	}
	return l
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
