// Package conformance holds one test for each line of the checklist of what an OpenID Provider owes: D (discovery), A (authorization endpoint), T (token
// endpoint), U (userinfo), R (registration), L (logout) and K (keys and outbound calls). Everything goes over TLS, through a browser that keeps cookies as
// browsers do, with a relying party on another site than the server and again with one on the same site, on SQLite and on PostgreSQL. The server has every
// option switched on, so that what strict clients see here is what they see on the most permissive server.
package conformance

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/sqlite"
)

// suite is one cell of the matrix for one test: a server, a relying party, a user of its own.
type suite struct {
	*testing.T
	*server
	rp        *party
	otherSite bool
	person    *person
}

// world is what all tests of the run share: starting servers costs more than any test.
type world struct {
	mu      sync.Mutex
	servers map[string]*server
	parties map[string]*party
	cluster *postgrestest.Cluster
	closers []func()
	dir     string
}

var shared = &world{servers: map[string]*server{}, parties: map[string]*party{}}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gatehouse-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.dir = dir
	code := m.Run()
	for i := len(shared.closers) - 1; i >= 0; i-- {
		shared.closers[i]()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// everywhere runs a test in all four cells. Tests of a backend run one after the other, because the clock of a server is one; the backends run side by side.
func everywhere(t *testing.T, test func(s *suite)) {
	t.Helper()
	onEach(t, func(t *testing.T, backend string) {
		for _, site := range []string{"other", "same"} {
			t.Run(site+"-site", func(t *testing.T) { test(newSuite(t, backend, site)) })
		}
	})
}

// onBackends is everywhere for what no browser and no site has a part in.
func onBackends(t *testing.T, test func(s *suite)) {
	t.Helper()
	onEach(t, func(t *testing.T, backend string) { test(newSuite(t, backend, "other")) })
}

func onEach(t *testing.T, test func(t *testing.T, backend string)) {
	t.Helper()
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			test(t, backend)
		})
	}
}

func newSuite(t *testing.T, backend, site string) *suite {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	p := shared.party(t, site)
	s := &suite{T: t, server: shared.server(t, backend), rp: p, otherSite: site == "other"}
	s.Clock.Advance(tick) // what was revoked by the test before is older than what this one begins
	s.person = s.newPerson()
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("GATEHOUSE_TEST_LOG") != "" {
			t.Log(s.Logged.String())
		}
	})
	return s
}

func (w *world) server(t *testing.T, backend string) *server {
	t.Helper()
	if s, ok := w.servers[backend]; ok {
		return s
	}
	s := &server{Logged: &webtest.Log{}, Clock: &webtest.Clock{}}
	var err error
	if s.Store, err = w.open(t, backend, s.Clock); err == nil {
		err = s.boot(w.dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.closers = append(w.closers, func() { s.stop(); s.Store.Close() })
	w.servers[backend] = s
	return s
}

func (w *world) open(t *testing.T, backend string, c *webtest.Clock) (storage.Store, error) {
	options := storage.Options{Now: c.Now, RevocationTTL: revocationTTL}
	ctx := context.Background()
	if backend == "sqlite" {
		return sqlite.Open(ctx, sqlite.Options{Path: w.dir + "/gatehouse.db", Options: options, AutoMigrate: true})
	}
	if w.cluster == nil {
		cluster, err := postgrestest.New(postgrestest.Options{})
		if err != nil {
			return nil, err
		}
		w.cluster = cluster
		w.closers = append(w.closers, func() { cluster.Stop() })
	}
	url, _, err := w.cluster.Database(ctx) // goes with the cluster
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, postgres.Options{URL: url, Options: options, AutoMigrate: true})
}

// party returns the relying party of a site: all are on this machine, and only the host names tell them apart.
func (w *world) party(t *testing.T, site string) *party {
	t.Helper()
	if p, ok := w.parties[site]; ok {
		return p
	}
	host := "127.0.0.1"
	if site == "same" {
		host = "localhost"
	}
	p, err := newParty(host)
	if err != nil {
		t.Fatal(err)
	}
	w.closers = append(w.closers, p.http.Close)
	w.parties[site] = p
	return p
}
