package credential

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/scrypt"
)

// These were made by other programs: the reference implementation of argon2, passlib and Python's hashlib in Django's form.
var foreignHashes = map[string][2]string{
	"argon2 of the reference": {"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"},
	"passlib pbkdf2-sha256":   {"$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk", "toomanysecrets"},
	"django":                  {"pbkdf2_sha256$1$salt$Eg+2z/z4syxD5yJSVsT4N6hlSMkszDVICAWYfLcL4Xs=", "password"},
}

func TestForeignHashesVerifyOnceAndAreReplaced(t *testing.T) {
	p := newPasswords(t)
	ours, err := scrypt.Key([]byte("password"), []byte("somesalt"), 1<<10, 8, 1, 32)
	must(t, err)
	b64 := base64.RawStdEncoding.EncodeToString
	all := maps.Clone(foreignHashes)
	all["scrypt"] = [2]string{"$scrypt$ln=10,r=8,p=1$" + b64([]byte("somesalt")) + "$" + b64(ours), "password"}
	all["argon2"] = [2]string{fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=2$%s$%s", b64([]byte("somesalt")), b64(argon2.IDKey([]byte("password"), []byte("somesalt"), 1, 64, 2, 32))), "password"}
	for name, made := range all {
		t.Run(name, func(t *testing.T) {
			encoded, err := Imported(made[0])
			must(t, err)
			check(t, p, encoded, made[1], true, true)
			check(t, p, encoded, "x"+made[1], false, false)
			check(t, p, encoded, "", false, false)
		})
	}
}

func TestForeignHashesThatTakeTooMuchAreRefused(t *testing.T) {
	salt, hash := "c29tZXNhbHQ", strings.Repeat("A", 43)
	for _, text := range []string{
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + hash, // 4 GiB
		"$argon2id$v=19$m=262144,t=1000,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=65536,t=0,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=65536,t=1,p=0$" + salt + "$" + hash,
		"$argon2id$v=19$m=65536,t=1,p=255$" + salt + "$" + hash,
		"$argon2id$v=19$m=-1,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=16$m=65536,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=65536,t=1,p=1$" + salt + "$AAAA",
		"$argon2i$v=19$m=65536,t=1,p=1$" + salt + "$" + hash,
		"$scrypt$ln=30,r=8,p=1$" + salt + "$" + hash,
		"$scrypt$ln=17,r=64,p=1$" + salt + "$" + hash,
		"$scrypt$ln=17,r=16,p=16$" + salt + "$" + hash,
		"$scrypt$ln=0,r=8,p=1$" + salt + "$" + hash,
		"$pbkdf2-sha256$2000000000$" + salt + "$" + hash,
		"$pbkdf2-md5$29000$" + salt + "$" + hash,
		"pbkdf2_sha256$0$salt$" + hash,
		"$pbkdf2-sha256$29000$" + salt + "$" + strings.Repeat("A", 600),
		"$1$" + salt + "$" + hash, "{SSHA}abc", "plain", "",
	} {
		if encoded, err := Imported(text); err == nil {
			t.Errorf("Imported(%.60q) = %.60q", text, encoded)
		}
		if scheme, _, _ := strings.Cut(strings.TrimPrefix(text, "$"), "$"); scheme == schemeArgon2 || scheme == schemeScrypt {
			p := newPasswords(t)
			if _, _, err := p.Verify(t.Context(), scheme+":"+text, "password"); err == nil {
				t.Errorf("a stored %.60q was computed", text)
			}
		}
	}
}
