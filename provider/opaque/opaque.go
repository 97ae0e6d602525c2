package opaque

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash/crc32"
	"math/big"
	"strings"
)

// Prefixes of the tokens that this server makes. A prefix tells a reader, a secret scanner and the server what a string is before anything is
// looked up, and keeps the kinds apart: a code is refused as a refresh token without asking the store.
const (
	Code         = "gth_ac_"  // authorization code
	Refresh      = "gth_rt_"  // refresh token
	Access       = "gth_at_"  // opaque access token
	Secret       = "gth_cs_"  // client secret
	Registration = "gth_rat_" // registration access token (RFC 7592)
	Initial      = "gth_iat_" // initial access token (RFC 7591)
	Pushed       = "gth_par_" // pushed authorization request (RFC 9126)
	Link         = "gth_lk_"  // link that works once, sent by mail or handed out
)

const (
	base62     = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // the digits of big.Int.Text(62)
	bodyDigits = 43                                                               // 62^43 > 2^256
	sumDigits  = 6                                                                // 62^6 > 2^32
)

// Mint makes a token of 256 random bits: prefix, 43 base62 digits, and 6 base62 digits of the CRC-32 (IEEE) of all before them. The signature is
// what may be stored of it.
func Mint(prefix string) (token, signature string) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program if the system has no randomness
	token = prefix + digits(new(big.Int).SetBytes(random[:]), bodyDigits)
	token += checksum(token)
	return token, Signature(token)
}

// Parse returns the signature of a token that has this prefix, the right length and a right checksum. Anything else is not one of ours, so
// junk and tokens of another kind cost no read of the store.
func Parse(prefix, token string) (signature string, ok bool) {
	if len(token) != len(prefix)+bodyDigits+sumDigits || !strings.HasPrefix(token, prefix) {
		return "", false
	}
	body, sum := token[:len(token)-sumDigits], token[len(token)-sumDigits:]
	for i := len(prefix); i < len(body); i++ {
		if strings.IndexByte(base62, body[i]) < 0 {
			return "", false
		}
	}
	if checksum(body) != sum {
		return "", false
	}
	return Signature(token), true
}

// Signature is the stored form of a token: the base64url SHA-256 of it, 43 characters. Tokens carry 256 random bits, so no key is needed.
func Signature(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func checksum(s string) string {
	return digits(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(s)))), sumDigits)
}

// digits writes n in base 62, filled with zeros on the left to the given width.
func digits(n *big.Int, width int) string {
	text := n.Text(62)
	return strings.Repeat("0", width-len(text)) + text
}

// ID makes an identifier of 128 random bits in base62, which needs no encoding anywhere: 22 characters.
func ID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, see Mint
	return digits(new(big.Int).SetBytes(random[:]), 22)
}
