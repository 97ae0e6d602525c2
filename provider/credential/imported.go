package credential

// Passwords that other systems hashed. Their strings say by a prefix how; each is replaced by our own encoding at the first successful sign-in. What such a string may make the
// server work is bounded, or one line of an import could take its memory.

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	hashes "hash"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// schemes are how an encoded password begins if another system made it.
const (
	schemeArgon2 = "argon2id"
	schemeScrypt = "scrypt"
	schemePBKDF2 = "pbkdf2"
)

const (
	maxForeignMemory = 256 << 20 // bytes
	maxForeignPasses = 1 << 20   // blocks of 1 KiB that argon2 and scrypt fill in all: about a second
	maxIterations    = 2_000_000 // of PBKDF2
	maxLanes         = 16
	maxForeignHash   = 512 // bytes of the whole string
)

// foreign checks a password against a hash of another system.
type foreign func(password []byte) bool

// Imported encodes a hash that another system made over the raw bytes of the password: bcrypt ($2a$, $2b$, $2y$), argon2id ($argon2id$v=19$m=,t=,p=$salt$hash), scrypt
// ($scrypt$ln=,r=,p=$salt$hash), PBKDF2 ($pbkdf2-sha256$rounds$salt$hash, also sha512 and sha1, and Django's pbkdf2_sha256$rounds$salt$hash). It is replaced at the first
// successful sign-in.
func Imported(hash string) (encoded string, err error) {
	scheme := schemeImported
	_, valid := validBcrypt(hash)
	switch {
	case strings.HasPrefix(hash, "$argon2id$"):
		_, err = parseArgon2(hash)
		scheme = schemeArgon2
	case strings.HasPrefix(hash, "$scrypt$"):
		_, err = parseScrypt(hash)
		scheme = schemeScrypt
	case strings.HasPrefix(hash, "$pbkdf2") || strings.HasPrefix(hash, "pbkdf2_"):
		_, err = parsePBKDF2(hash)
		scheme = schemePBKDF2
	case !valid:
		err = fmt.Errorf("not a hash known here: bcrypt ($2a$, $2b$ or $2y$, cost %d to %d), $argon2id$, $scrypt$, $pbkdf2-sha256$, $pbkdf2-sha512$, $pbkdf2$ or pbkdf2_sha256$", bcrypt.MinCost, maxCost)
	}
	if err != nil {
		return "", err
	}
	return scheme + ":" + hash, nil
}

// parseForeign returns the check of an encoded password of another system, nil if the scheme is none of these.
func parseForeign(scheme, hash string) (foreign, error) {
	var check foreign
	var err error
	switch scheme {
	case schemeArgon2:
		check, err = parseArgon2(hash)
	case schemeScrypt:
		check, err = parseScrypt(hash)
	case schemePBKDF2:
		check, err = parsePBKDF2(hash)
	}
	if err != nil {
		return nil, ErrMalformed
	}
	return check, nil
}

func parseArgon2(text string) (foreign, error) {
	parts, err := fields(text, 6)
	if err != nil {
		return nil, err
	}
	if parts[2] != "v=19" {
		return nil, fmt.Errorf("argon2id of version %q; v=19 is known here", parts[2])
	}
	n, err := numbers(parts[3], "m", "t", "p")
	if err != nil {
		return nil, err
	}
	memory, time, lanes := n[0], n[1], n[2]
	if lanes < 1 || lanes > maxLanes || time < 1 || memory < 8*lanes || memory > maxForeignMemory>>10 || memory*time > maxForeignPasses {
		return nil, fmt.Errorf("argon2id with m=%d,t=%d,p=%d takes more than is allowed here", memory, time, lanes)
	}
	salt, want, err := saltAndHash(parts[4], parts[5])
	if err != nil {
		return nil, err
	}
	return func(password []byte) bool {
		return equal(argon2.IDKey(password, salt, uint32(time), uint32(memory), uint8(lanes), uint32(len(want))), want)
	}, nil
}

func parseScrypt(text string) (foreign, error) {
	parts, err := fields(text, 5)
	if err != nil {
		return nil, err
	}
	n, err := numbers(parts[2], "ln", "r", "p")
	if err != nil {
		return nil, err
	}
	ln, r, p := n[0], n[1], n[2]
	if ln < 1 || ln > 20 || r < 1 || r > 64 || p < 1 || p > maxLanes || 128*r<<ln > maxForeignMemory || (r*p<<ln)>>3 > maxForeignPasses {
		return nil, fmt.Errorf("scrypt with ln=%d,r=%d,p=%d takes more than is allowed here", ln, r, p)
	}
	salt, want, err := saltAndHash(parts[3], parts[4])
	if err != nil {
		return nil, err
	}
	return func(password []byte) bool {
		got, err := scrypt.Key(password, salt, 1<<ln, r, p, len(want))
		return err == nil && equal(got, want)
	}, nil
}

// parsePBKDF2 reads the form of passlib ($pbkdf2-sha256$rounds$salt$hash) and that of Django (pbkdf2_sha256$rounds$salt$hash, whose salt is text).
func parsePBKDF2(text string) (foreign, error) {
	django := !strings.HasPrefix(text, "$")
	if django {
		text = "$" + text
	}
	parts, err := fields(text, 5)
	if err != nil {
		return nil, err
	}
	digests := map[string]func() hashes.Hash{"pbkdf2": sha1.New, "pbkdf2-sha1": sha1.New, "pbkdf2-sha256": sha256.New, "pbkdf2-sha512": sha512.New}
	digest := digests[strings.Replace(parts[1], "_", "-", 1)]
	rounds, err := strconv.Atoi(parts[2])
	if digest == nil || err != nil || rounds < 1 || rounds > maxIterations {
		return nil, fmt.Errorf("%s with %q rounds is not known here; up to %d rounds of sha1, sha256 or sha512 are", parts[1], parts[2], maxIterations)
	}
	salt, want, err := saltAndHash(parts[3], parts[4])
	if django {
		salt = []byte(parts[3])
		_, want, err = saltAndHash("c2FsdHNhbHQ", parts[4])
	}
	if err != nil {
		return nil, err
	}
	return func(password []byte) bool {
		got, err := pbkdf2.Key(digest, string(password), salt, rounds, len(want))
		return err == nil && equal(got, want)
	}, nil
}

// fields splits $a$b$c; the first is empty.
func fields(text string, n int) ([]string, error) {
	parts := strings.Split(text, "$")
	if len(text) > maxForeignHash || len(parts) != n || parts[0] != "" {
		return nil, fmt.Errorf("a hash of this kind has %d parts, each after a $", n-1)
	}
	return parts, nil
}

// numbers reads a=1,b=2 in the order of names.
func numbers(text string, names ...string) ([]int, error) {
	parts := strings.Split(text, ",")
	values := make([]int, len(names))
	for i, name := range names {
		at := slices.IndexFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+"=") })
		if at < 0 || len(parts) != len(names) {
			return nil, fmt.Errorf("the parameters must be %s", strings.Join(names, ", "))
		}
		n, err := strconv.ParseUint(parts[at][len(name)+1:], 10, 24)
		if err != nil {
			return nil, fmt.Errorf("the parameter %s is not a number of at most 24 bits", name)
		}
		values[i] = int(n)
	}
	return values, nil
}

// saltAndHash reads both in base64 as other systems write it: with or without padding, or with a dot for the plus (passlib).
func saltAndHash(salt, hash string) (saltBytes, hashBytes []byte, err error) {
	for i, text := range []string{salt, hash} {
		raw, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(strings.TrimRight(text, "="), ".", "+"))
		if err != nil {
			return nil, nil, fmt.Errorf("salt and hash must be base64: %w", err)
		}
		if i == 0 {
			saltBytes = raw
		} else {
			hashBytes = raw
		}
	}
	if len(saltBytes) > 64 || len(hashBytes) < 16 || len(hashBytes) > 64 {
		return nil, nil, fmt.Errorf("a salt of %d and a hash of %d bytes; up to 64, and 16 to 64, are known here", len(saltBytes), len(hashBytes))
	}
	return saltBytes, hashBytes, nil
}

func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
