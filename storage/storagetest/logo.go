package storagetest

import (
	"bytes"
	"testing"
	"time"

	"gatehouse/storage"
)

func testLogos(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{{"PutReplaces", logoReplaced}, {"NeedsItsClient", logoNeedsClient}})
}

func logoReplaced(t *testing.T, f *fixture) {
	c := f.client(t)
	_, err := f.Logo(bg, c.ID)
	wantErr(t, "Logo", err, storage.ErrNotFound)
	for _, l := range []*storage.Logo{
		{ClientID: c.ID, ContentType: "image/png", Data: []byte("\x89PNG\x00"), Fetched: f.clock.Now()},
		{ClientID: c.ID, ContentType: "image/webp", Data: bytes.Repeat([]byte{0xff}, 64<<10), Fetched: f.clock.Now().Add(time.Hour)},
	} {
		need(t, f.PutLogo(bg, l))
		got, err := f.Logo(bg, c.ID)
		need(t, err)
		l.Fetched = micro(l.Fetched)
		same(t, "logo", got, l)
	}
}

func logoNeedsClient(t *testing.T, f *fixture) {
	id := name("nobody")
	err := f.PutLogo(bg, &storage.Logo{ClientID: id, ContentType: "image/png", Data: []byte{1}, Fetched: f.clock.Now()})
	wantErr(t, "PutLogo", err, storage.ErrNotFound)
	_, err = f.Logo(bg, id)
	wantErr(t, "Logo", err, storage.ErrNotFound)
}
