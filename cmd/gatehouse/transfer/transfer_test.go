package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/credential"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/sqlite"
)

const bcryptHash = "$2b$12$GlEfUf.VEs.zApI4yaBJQux7iw8BP17bKy9qERZJ/LO5zXJoRvfpW"

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// foreign reads hashes of other systems only.
type foreign struct{}

func (foreign) Restore(hash string) (string, error) { return credential.Imported(hash) }

// run is one import and what it refused.
func run(t testing.TB, store Store, r io.Reader, changes ...func(*Import)) (Counts, []string, error) {
	t.Helper()
	made := 0
	var refused []string
	m := &Import{
		Store: store, Hashes: foreign{}, Now: func() time.Time { return now },
		NewSubject: func() string { made++; return fmt.Sprintf("made-%p-%d", &made, made) },
		Refuse:     func(r Refusal) error { refused = append(refused, fmt.Sprintf("%d %v", r.Line, r.Fault)); return nil },
		Progress:   func(Counts, int64) {},
	}
	for _, change := range changes {
		change(m)
	}
	c, err := m.Run(t.Context(), r)
	return c, refused, err
}

func TestHostileLinesAreRefusedAndEndNothing(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	deep := strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000)
	for line, want := range map[string]string{
		`{"email":"` + long + `@example.com"}`:                         "is longer than 256 KiB",
		"{\"email\":\"a\xff@example.com\"}":                            "is not valid UTF-8",
		"\ufeff" + `{"email":"a@example.com"}`:                         "begins with a byte order mark",
		`{"email":"a@example.com"}{"email":"b@example.com"}`:           "holds more than one object",
		`["a@example.com"]`:                                            "is no JSON object",
		`{"email":"a@example.com"`:                                     "is no JSON object",
		`{"email":"a@example.com","claims":{"name":` + deep + `}}`:     "too deep",
		`{"email":"a@example.com","Email":"b@example.com"}`:            "Email: is no member known here",
		`{"email":"a@example.com","password_hash":"","password":"x"}`:  "holds a password in clear",
		`{"email":"a@example.com","username":null}`:                    "username: is null",
		`{"email":["a@example.com"]}`:                                  "email: must be of the JSON type string",
		`{"email":"a@example.com","sub":"a b"}`:                        "sub: is not up to 255 visible ASCII characters",
		`{"email":"a@example.com","sub":"a\u0000b"}`:                   "sub: is not up to 255 visible ASCII characters",
		`{"email":"a\u0000@example.com"}`:                              "email: not a usable e-mail address",
		`{"username":"a\u001b[31mb"}`:                                  "username: not a usable user name",
		`{"email":"a@example.com","created":"2026-07-02T12:00:00Z"}`:   "created: is before 1970 or in the future",
		`{"email":"a@example.com","created":1700000000}`:               "created: must be a time such as",
		`{"email":"a@example.com","locale":"deutsch!"}`:                "locale: is no language tag",
		`{"email":"a@example.com","terms_version":"2"}`:                "terms_version: and terms_accepted belong together",
		`{"email":"a@example.com","claims":{"email":"b@example.com"}}`: "claims.email: belongs outside of claims",
		`{"email":"a@example.com","claims":{"groups":["admin"]}}`:      "groups belongs to the protocol",
		`{"email":"a@example.com","claims":null}`:                      "claims: must be an object",
		`{"claims":{}}`:                          "email: is missing",
		`{"username":"a","email_verified":true}`: "email_verified: is true without an email",
		`{"email":"a@example.com","identities":[{"upstream":"g","external_id":"1","role":"x"}]}`:                                                `identities: holds "role", which is no member known here`,
		`{"email":"a@example.com","identities":[{"upstream":"g","external_id":"1\n"}]}`:                                                         "identities.external_id: holds a character",
		`{"email":"a@example.com","password_hash":"$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE"}`: "password_hash: ",
		`{"email":"a@example.com","password_hash":"$2b$31$GlEfUf.VEs.zApI4yaBJQux7iw8BP17bKy9qERZJ/LO5zXJoRvfpW"}`:                              "password_hash: ",
	} {
		store := memory.New(storage.Options{Now: func() time.Time { return now }})
		c, refused, err := run(t, store, strings.NewReader("\n"+line+"\r\n  \n{\"email\":\"good@example.com\"}"))
		if err != nil || c.Refused != 1 || c.Imported != 1 || len(refused) != 1 || !strings.HasPrefix(refused[0], "2 ") || !strings.Contains(refused[0], want) {
			t.Errorf("%.80q: %+v %.200q %v; want %q", line, c, refused, err, want)
		}
		for _, secret := range []string{"c2FsdHNhbHQ", "GlEfUf"} {
			if strings.Contains(strings.Join(refused, ""), secret) {
				t.Errorf("the report holds a hash: %q", refused)
			}
		}
	}
}

// people writes n lines, and fails at the byte where it is cut.
func people(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"email":"user%d@example.com","email_verified":true,"username":"user%d","password_hash":%q,"claims":{"given_name":"User","family_name":"Number %d"}}`+"\n", i, i, bcryptHash, i)
	}
	return b.String()
}

var errCut = errors.New("connection lost")

func TestAnImportThatIsCutGoesOnWhenItIsRunAgain(t *testing.T) {
	const users = 3 * batchSize
	text := people(users)
	store := memory.New(storage.Options{Now: func() time.Time { return now }})
	cut := io.MultiReader(strings.NewReader(text[:len(text)/2]), failing{})
	first, _, err := run(t, store, cut)
	if !errors.Is(err, errCut) || first.Imported < batchSize || first.Imported >= users {
		t.Fatalf("cut: %+v, %v", first, err)
	}
	second, refused, err := run(t, store, strings.NewReader(text))
	if err != nil || second.Unchanged != first.Imported || second.Imported != users-first.Imported || len(refused) > 0 {
		t.Errorf("after %+v: %+v %v %v", first, second, refused, err)
	}
	third, _, err := run(t, store, strings.NewReader(text))
	if err != nil || third.Unchanged != users {
		t.Errorf("once more: %+v %v", third, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func TestAStoppedImportTellsWhatItDid(t *testing.T) {
	store := memory.New(storage.Options{Now: func() time.Time { return now }})
	ctx, stop := context.WithCancel(t.Context())
	m := &Import{Store: store, Hashes: foreign{}, Now: time.Now, Refuse: func(Refusal) error { return nil }, Progress: func(Counts, int64) { stop() }}
	made := 0
	m.NewSubject = func() string { made++; return fmt.Sprint("sub-", made) }
	c, err := m.Run(ctx, strings.NewReader(people(4*batchSize)))
	if !errors.Is(err, context.Canceled) || c.Imported < batchSize || c.Imported == 4*batchSize {
		t.Errorf("%+v %v", c, err)
	}
}

// What changed since an import, by the user's own sign-in, is no fault of the line; what differs otherwise is told.
func TestWhatIsThereIsComparedMemberByMember(t *testing.T) {
	line := `{"sub":"s","email":"ada@example.com","password_hash":"` + bcryptHash + `","claims":{"name":"Ada"},"identities":[{"upstream":"g","external_id":"1"}]}`
	for name, c := range map[string]struct {
		change func(*memory.Store) error
		again  string
		want   string
	}{
		"signed in since": {func(s *memory.Store) error {
			old, err := credential.Imported(bcryptHash)
			return errors.Join(err, s.RehashPassword(t.Context(), "s", old, "bcrypt-hmac-sha256:12:00000000:"+bcryptHash))
		}, line, ""},
		"another password":   {func(s *memory.Store) error { return s.SetPassword(t.Context(), "s", "bcrypt:$2b$12$x") }, line, "another password"},
		"another name":       {nil, strings.Replace(line, `"Ada"`, `"Augusta"`, 1), "another claims"},
		"another sub":        {nil, strings.Replace(line, `"s"`, `"z"`, 1), "email: is there already, and that user, s, has another sub"},
		"no sub":             {nil, strings.Replace(line, `"sub":"s",`, ``, 1), ""},
		"disabled":           {nil, strings.Replace(line, `"sub"`, `"disabled":true,"sub"`, 1), "another disabled"},
		"another account":    {nil, strings.Replace(line, `"external_id":"1"`, `"external_id":"2"`, 1), "another identities"},
		"fewer accounts":     {nil, strings.Replace(line, `,"identities":[{"upstream":"g","external_id":"1"}]`, ``, 1), ""},
		"account of another": {nil, `{"email":"eve@example.com","identities":[{"upstream":"g","external_id":"1"}]}`, "identities: is there already, and that user, s, has another email"},
	} {
		for _, dry := range []bool{false, true} {
			store := memory.New(storage.Options{Now: func() time.Time { return now }})
			if first, refused, err := run(t, store, strings.NewReader(line)); err != nil || first.Imported != 1 {
				t.Fatal(first, refused, err)
			}
			if c.change != nil {
				if err := c.change(store); err != nil {
					t.Fatal(err)
				}
			}
			got, refused, err := run(t, store, strings.NewReader(c.again), func(m *Import) { m.Dry = dry })
			if err != nil || (c.want == "") != (got.Unchanged == 1) || c.want != "" && !strings.Contains(strings.Join(refused, ""), c.want) {
				t.Errorf("%s (dry %t): %+v %q %v", name, dry, got, refused, err)
			}
		}
	}
}

func TestExportIsWhatAnImportTakes(t *testing.T) {
	from, to := memory.New(storage.Options{Now: func() time.Time { return now }}), memory.New(storage.Options{Now: func() time.Time { return now.Add(time.Hour) }})
	text := people(2*batchSize+3) + `{"sub":"linked","identities":[{"upstream":"g","external_id":"1","label":"a < b & \"c\""},{"upstream":"h","external_id":"1"}],"disabled":true,"locale":"de"}
{"sub":"old","email":"old@example.com","created":"2001-02-03T04:05:06.789012Z","terms_version":"1","terms_accepted":"2002-02-03T04:05:06Z","password_hash":"pbkdf2_sha256$1000$salt$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}`
	if c, refused, err := run(t, from, strings.NewReader(text)); err != nil || len(refused) > 0 {
		t.Fatal(c, refused, err)
	}
	export := func(store Exporter, hashes bool) string {
		var out bytes.Buffer
		if n, err := Export(t.Context(), store, &out, hashes, func(int) {}); err != nil || n != 2*batchSize+5 {
			t.Fatalf("%d users, %v", n, err)
		}
		return out.String()
	}
	first := export(from, true)
	if c, refused, err := run(t, to, strings.NewReader(first)); err != nil || c.Imported != 2*batchSize+5 {
		t.Fatal(c, refused, err)
	}
	if second := export(to, true); second != first {
		t.Error("an export of what was imported differs from the export it came from")
	}
	if strings.Contains(export(from, false), "MDEyMzQ1") || strings.Contains(export(from, false), "$2b$") {
		t.Error("an export without hashes has hashes")
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range append(strings.Split(strings.TrimSpace(people(1)), "\n"), `{"sub":"s","identities":[{"upstream":"g","external_id":"1"}],"created":"2001-02-03T04:05:06Z"}`, `{"a":1,"a":2}`, "\ufeff{}", `{"claims":{"address":{"locality":"x"}}}`) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		u, fault := Parse(line, foreign{}, now)
		if fault == nil && u.User.EmailKey == "" && u.User.UsernameKey == "" && len(u.Identities) == 0 {
			t.Errorf("%q is a user whom nobody can find", line)
		}
	})
}

// BenchmarkImport imports users with bcrypt hashes into a file of SQLite, and reports how many a second.
func BenchmarkImport(b *testing.B) {
	const users = 10_000
	text := people(users)
	for _, again := range []bool{false, true} {
		b.Run(fmt.Sprintf("again=%t", again), func(b *testing.B) {
			var took time.Duration
			for i := range b.N {
				store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(b.TempDir(), fmt.Sprint(i, ".db")), Options: storage.Options{RevocationTTL: time.Hour}, AutoMigrate: true})
				if err != nil {
					b.Fatal(err)
				}
				if again {
					if _, _, err := run(b, store, strings.NewReader(text)); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				begin := time.Now()
				c, refused, err := run(b, store, strings.NewReader(text))
				took += time.Since(begin)
				if err != nil || len(refused) > 0 || c.Lines != users {
					b.Fatal(c, refused, err)
				}
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(users)*float64(b.N)/took.Seconds(), "users/s")
		})
	}
}
