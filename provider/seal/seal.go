package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

// A sealed value is: format (1 byte), key id (4), wrap nonce (12), wrapped data key (32+16), ciphertext (len(plain)+16).
// The data key is used for this one value, so its own nonce is zero; a master key only ever wraps data keys, so that its 96-bit random
// nonces stay far below the limit of SP 800-38D section 8.3.
const (
	format    = 1
	idSize    = 4
	nonceSize = 12
	tagSize   = 16
	wrapStart = 1 + idSize + nonceSize
	bodyStart = wrapStart + KeySize + tagSize
	overhead  = bodyStart + tagSize
)

var (
	// ErrUnknownKey says that a value was sealed under a master key that is not on the ring; the text of the error names the id of that key.
	ErrUnknownKey = errors.New("sealed under a master key that is not configured")
	// ErrBroken says that a value is not what was sealed for this place: cut, altered or moved to another row.
	ErrBroken = errors.New("sealed value is damaged or belongs to another row")
)

// Ring holds master keys. The first one seals, all of them open. It is immutable and safe for concurrent use.
type Ring struct {
	keys []master
}

type master struct {
	id     string
	secret []byte
	wrap   cipher.AEAD
}

// New makes a ring of 32-byte keys, the active one first. Keys of another length, repeated keys and keys of one repeated byte (samples that somebody
// forgot to replace) are refused.
func New(keys [][]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("no master key")
	}
	r := &Ring{}
	seen := map[string]bool{}
	for i, key := range keys {
		m, err := newMaster(key)
		if err != nil {
			return nil, fmt.Errorf("master key %d: %w", i+1, err)
		}
		if seen[m.id] {
			return nil, fmt.Errorf("master key %d: key %s is listed twice", i+1, m.id)
		}
		seen[m.id] = true
		r.keys = append(r.keys, m)
	}
	return r, nil
}

func newMaster(key []byte) (master, error) {
	if len(key) != KeySize {
		return master{}, fmt.Errorf("has %d bytes, want %d", len(key), KeySize)
	}
	same := true
	for _, b := range key {
		same = same && b == key[0]
	}
	if same {
		return master{}, errors.New("is one repeated byte, not a random key")
	}
	secret := append([]byte(nil), key...)
	wrap, err := newAEAD(derive(secret, "seal", KeySize))
	if err != nil {
		return master{}, err
	}
	sum := sha256.Sum256(secret)
	return master{id: hex.EncodeToString(sum[:idSize]), secret: secret, wrap: wrap}, nil
}

// ID returns the id of the active key: the first 8 hex digits of its SHA-256.
func (r *Ring) ID() string { return r.keys[0].id }

// Seal encrypts plain for the place that aad names (see AAD) with AES-256-GCM under a fresh data key, which the active master key wraps.
func (r *Ring) Seal(plain, aad []byte) []byte {
	m := r.keys[0]
	out := make([]byte, bodyStart, overhead+len(plain))
	out[0] = format
	id, _ := hex.DecodeString(m.id) // made by EncodeToString
	copy(out[1:], id)
	nonce := out[1+idSize : wrapStart]
	random(nonce)
	dataKey := make([]byte, KeySize)
	random(dataKey)
	m.wrap.Seal(out[wrapStart:wrapStart], nonce, dataKey, aad)
	body, err := newAEAD(dataKey)
	if err != nil {
		panic("seal: " + err.Error()) // a 32-byte key is always valid
	}
	return body.Seal(out, make([]byte, nonceSize), plain, aad)
}

// Open decrypts what Seal made for the same aad, under whichever listed key it was sealed. ErrUnknownKey, ErrBroken.
func (r *Ring) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != format {
		return nil, ErrBroken
	}
	m, err := r.find(hex.EncodeToString(sealed[1 : 1+idSize]))
	if err != nil {
		return nil, err
	}
	dataKey, err := m.wrap.Open(nil, sealed[1+idSize:wrapStart], sealed[wrapStart:bodyStart], aad)
	if err != nil {
		return nil, ErrBroken
	}
	body, err := newAEAD(dataKey)
	if err != nil {
		return nil, ErrBroken
	}
	plain, err := body.Open(nil, make([]byte, nonceSize), sealed[bodyStart:], aad)
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

func (r *Ring) find(id string) (master, error) {
	for _, m := range r.keys {
		if m.id == id {
			return m, nil
		}
	}
	return master{}, fmt.Errorf("%w: key %s is needed", ErrUnknownKey, id)
}

// Derive returns size bytes for a purpose under each listed key (HKDF-SHA256, RFC 5869), the active one first: make with the first, accept any.
func (r *Ring) Derive(purpose string, size int) [][]byte {
	out := make([][]byte, len(r.keys))
	for i, m := range r.keys {
		out[i] = derive(m.secret, "derive "+purpose, size)
	}
	return out
}

// AAD names the place of a sealed value, so that it cannot be moved to another one unnoticed. No two places have the same AAD.
func AAD(table, row, column string, version int) []byte {
	var out []byte
	for _, part := range []string{table, row, column, strconv.Itoa(version)} {
		out = binary.AppendUvarint(out, uint64(len(part)))
		out = append(out, part...)
	}
	return out
}

func derive(secret []byte, info string, size int) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "gatehouse "+info, size)
	if err != nil {
		panic("seal: " + err.Error()) // only for more than 8,160 bytes: a programming error
	}
	return key
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func random(b []byte) {
	_, _ = rand.Read(b) // never fails (Go 1.24): the program ends instead
}
