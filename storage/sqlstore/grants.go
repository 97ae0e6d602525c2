package sqlstore

import (
	"context"
	"slices"
	"strings"

	"gatehouse/storage"
)

// listGrants reads the live tokens of a user, and one row of each client that has only dead ones: $1 subject, $2 now, $3 how many. The first of each client
// come before the second of any, and those with access before those without, so that the bound hides no client behind another.
//
// A family that rotates leaves a consumed row at each refresh, for days. So its rows are not read: the families are sought one after the other, and of each the newest row, before which no
// refresh token is live. Opaque access tokens, of which several are, have an index of their own. Payloads are read of those rows alone that are returned.
const listGrants = `WITH RECURSIVE families (id) AS (
		SELECT MIN(grant_id) FROM tokens WHERE subject = $1 AND subject <> ''
		UNION ALL
		SELECT (SELECT MIN(t.grant_id) FROM tokens t WHERE t.subject = $1 AND t.subject <> '' AND t.grant_id > families.id) FROM families WHERE families.id IS NOT NULL
	), mine AS (
		SELECT t.client_id, t.signature, t.kind, t.created, t.n, t.kind = 'refresh' AND ` + givesAccess + ` AS live FROM families JOIN tokens t
			ON t.signature = (SELECT x.signature FROM tokens x WHERE x.grant_id = families.id AND x.kind <> 'access' ORDER BY x.n DESC LIMIT 1)
		UNION ALL
		SELECT t.client_id, t.signature, t.kind, t.created, t.n, ` + givesAccess + ` FROM tokens t WHERE t.subject = $1 AND t.subject <> '' AND t.kind = 'access'
	)
	SELECT client_id, kind, (SELECT t.payload FROM tokens t WHERE t.signature = placed.signature AND t.kind = placed.kind) AS payload, live, used FROM (
		SELECT client_id, signature, kind, live, used FROM (
			SELECT client_id, signature, kind, live, MAX(created) OVER (PARTITION BY client_id) AS used,
				ROW_NUMBER() OVER (PARTITION BY client_id ORDER BY live DESC, n DESC) AS place
			FROM mine
		) AS ranked WHERE live OR place = 1 ORDER BY place, live DESC, used DESC, client_id LIMIT $3
	) AS placed`

// givesAccess is what makes a refresh or access token t live at the time $2.
const givesAccess = `(t.consumed_at = 0 AND t.expires > $2 AND t.grant_expires > $2
				AND (t.session_id = '' OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = t.session_id AND s.absolute > $2 LIMIT 1 OFFSET 0))
				AND ` + notRevoked + `)`

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
