package sqlstore

import (
	"context"
	"slices"
	"strings"

	"gatehouse/storage"
)

// listGrants reads the live tokens of a user, and one row of each client that has only dead ones: $1 subject, $2 now, $3 how many. The first of each client
// come before the second of any, and those with access before those without, so that the bound hides no client behind another.
const listGrants = `SELECT client_id, kind, payload, live, used FROM (
		SELECT client_id, kind, payload, live, MAX(created) OVER (PARTITION BY client_id) AS used,
			ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY live DESC, n DESC) AS place
		FROM (
			SELECT t.client_id, t.kind, t.payload, t.created, t.n,
				t.kind IN ('refresh', 'access') AND t.consumed_at = 0 AND t.expires > $2 AND t.grant_expires > $2
				AND (t.session_id = '' OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = t.session_id AND s.absolute > $2 LIMIT 1 OFFSET 0))
				AND ` + notRevoked + ` AS live
			FROM tokens t WHERE t.subject = $1 AND t.subject <> ''
		) AS mine
	) AS placed WHERE live OR place = 1 ORDER BY place, live DESC, used DESC, client_id LIMIT $3`

// grantRow is one row of listGrants.
type grantRow struct {
	clientID string
	token    storage.LiveToken
	live     bool
	used     int64
}

func readGrant(scan Scan) (r grantRow, err error) {
	var kind string
	err = scan(&r.clientID, &kind, &r.token.Payload, &r.live, &r.used)
	r.token.Kind, r.token.Payload = storage.TokenKind(kind), readBlob(r.token.Payload)
	return r, err
}

// GrantsOf implements storage.GrantStore.
func (s *Store) GrantsOf(ctx context.Context, subject string) ([]*storage.ClientGrants, error) {
	rows, err := list(ctx, s.db, readGrant, listGrants, subject, micros(s.now()), storage.MaxGrants)
	if err != nil {
		return nil, err
	}
	var all []*storage.ClientGrants
	known := map[string]*storage.ClientGrants{}
	for _, row := range rows {
		of := known[row.clientID]
		if of == nil {
			of = &storage.ClientGrants{ClientID: row.clientID, LastUsed: readTime(row.used)}
			known[row.clientID], all = of, append(all, of)
		}
		if row.live {
			of.Live = append(of.Live, row.token)
		}
	}
	slices.SortFunc(all, func(a, b *storage.ClientGrants) int { return strings.Compare(a.ClientID, b.ClientID) })
	return all, nil
}
