package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"gatehouse/provider/client"
	"gatehouse/provider/outbound"
	"gatehouse/storage"
)

// Fetcher gets what others host; *outbound.Client is one.
type Fetcher interface {
	Get(ctx context.Context, url, accept string) (*outbound.Response, error)
}

// CheckSector asks the client's sector_identifier_uri, if there is one, whether it lists every redirect URI (OpenID Connect Dynamic Client Registration section 5): else
// anybody could join a sector and learn its subjects. The error is a *client.MetadataError.
func CheckSector(ctx context.Context, f Fetcher, c *storage.Client) error {
	if c.SectorIdentifierURI == "" {
		return nil
	}
	refuse := func(format string, values ...any) error {
		return &client.MetadataError{Code: client.InvalidClientMetadata, Field: "sector_identifier_uri", Message: fmt.Sprintf(format, values...)}
	}
	answer, err := f.Get(ctx, c.SectorIdentifierURI, "application/json")
	if err != nil {
		return refuse("it could not be fetched; serve it with status 200, without a redirect, within 5 seconds")
	}
	var listed []*string // null is no string
	if err := json.Unmarshal(answer.Body, &listed); err != nil || slices.Contains(listed, nil) {
		return refuse("what it serves is not a JSON array of strings")
	}
	for i, uri := range c.RedirectURIs {
		if !slices.ContainsFunc(listed, func(s *string) bool { return *s == uri }) {
			return refuse("what it serves does not list number %d of redirect_uris, letter by letter", i+1)
		}
	}
	return nil
}

// SectorChecked tells whether c needs no new CheckSector after before passed it.
func SectorChecked(before, c *storage.Client) bool {
	return before.SectorIdentifierURI == c.SectorIdentifierURI && slices.Equal(before.RedirectURIs, c.RedirectURIs)
}
