package credentialtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// The flags of authenticator data (Web Authentication section 6.1).
const (
	Present  byte = 1 << 0
	Verified byte = 1 << 2
	Eligible byte = 1 << 3 // may be synced
	Backed   byte = 1 << 4 // is synced
	attested byte = 1 << 6
)

// Authenticator holds passkeys. Use it from one goroutine.
type Authenticator struct {
	t *testing.T
	// Origin is the page that the browser believes to be on.
	Origin string
	// Flags are those of every answer.
	Flags byte
	keys  []*Key
}

// Key is one passkey.
type Key struct {
	ID, Handle []byte
	RPID       string
	Counter    uint32
	Private    *ecdsa.PrivateKey
}

// New returns an authenticator that verifies its user, in a browser that is on a page of origin.
func New(t *testing.T, origin string) *Authenticator {
	return &Authenticator{t: t, Origin: origin, Flags: Present | Verified}
}

// Keys are the passkeys that it has made, oldest first.
func (a *Authenticator) Keys() []*Key { return a.keys }

// Answer is what an authenticator and its browser are about to send. A test may change it before it is signed.
type Answer struct {
	Type, Challenge, Origin, TopOrigin string
	CrossOrigin                        bool
	RPID                               string
	Flags                              byte
	Counter                            uint32
	ID, Handle                         []byte
	// PublicKey is the COSE key of a new passkey.
	PublicKey []byte
	// Extensions are what the browser says of the extensions that it was asked for.
	Extensions map[string]any
	// Damage changes the authenticator data after it was signed.
	Damage func([]byte) []byte
}

type options struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	AllowCredentials []struct {
		ID string `json:"id"`
	} `json:"allowCredentials"`
}

func (a *Authenticator) read(raw json.RawMessage) options {
	a.t.Helper()
	var o options
	if err := json.Unmarshal(raw, &o); err != nil {
		a.t.Fatal(err)
	}
	return o
}

// Discoverable has the browser say whether the authenticator finds the new credential without being told its id (Web Authentication section 10.1.3).
func Discoverable(found bool) func(*Answer) {
	return func(a *Answer) { a.Extensions["credProps"] = map[string]any{"rk": found} }
}

// Unverified is an authenticator that asked for no PIN and looked at no finger.
func Unverified(a *Answer) { a.Flags &^= Verified }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *Authenticator) decode(text string) []byte {
	a.t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		a.t.Fatal(err)
	}
	return raw
}

// Create makes a passkey and returns what the browser sends.
func (a *Authenticator) Create(raw json.RawMessage, changes ...func(*Answer)) string {
	a.t.Helper()
	o := a.read(raw)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	id := make([]byte, 32)
	rand.Read(id)
	key := &Key{ID: id, Handle: a.decode(o.User.ID), RPID: o.RP.ID, Private: private}
	answer := &Answer{Type: "webauthn.create", Challenge: o.Challenge, Origin: a.Origin, RPID: o.RP.ID, Flags: a.Flags | attested, ID: id, PublicKey: cose(a.t, &private.PublicKey), Extensions: map[string]any{}}
	for _, change := range changes {
		change(answer)
	}
	key.ID = answer.ID
	a.keys = append(a.keys, key)
	data := answer.data()
	data = append(data, make([]byte, 16)...) // no AAGUID
	data = binary.BigEndian.AppendUint16(data, uint16(len(answer.ID)))
	data = append(append(data, answer.ID...), answer.PublicKey...)
	if answer.Damage != nil {
		data = answer.Damage(data)
	}
	// {"fmt": "none", "attStmt": {}, "authData": data} in CBOR
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), byte(len(data)>>8), byte(len(data)))
	return a.send(answer, map[string]string{"clientDataJSON": encode(answer.clientData(a.t)), "attestationObject": encode(append(object, data...))})
}

// Get answers with one of the passkeys that are asked for, the newest if any will do.
func (a *Authenticator) Get(raw json.RawMessage, changes ...func(*Answer)) string {
	a.t.Helper()
	o := a.read(raw)
	key := a.pick(o)
	key.Counter++
	answer := &Answer{Type: "webauthn.get", Challenge: o.Challenge, Origin: a.Origin, RPID: o.RPID, Flags: a.Flags, Counter: key.Counter, ID: key.ID, Handle: key.Handle, Extensions: map[string]any{}}
	for _, change := range changes {
		change(answer)
	}
	data, client := answer.data(), answer.clientData(a.t)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, key.Private, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	if answer.Damage != nil {
		data = answer.Damage(data)
	}
	return a.send(answer, map[string]string{"clientDataJSON": encode(client), "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(answer.Handle)})
}

func (a *Authenticator) pick(o options) *Key {
	a.t.Helper()
	if len(a.keys) == 0 {
		a.t.Fatal("the authenticator has no passkey")
	}
	for _, allowed := range o.AllowCredentials {
		for _, k := range a.keys {
			if encode(k.ID) == allowed.ID {
				return k
			}
		}
	}
	return a.keys[len(a.keys)-1]
}

func (answer *Answer) data() []byte {
	rp := sha256.Sum256([]byte(answer.RPID))
	return binary.BigEndian.AppendUint32(append(rp[:], answer.Flags), answer.Counter)
}

func (answer *Answer) clientData(t *testing.T) []byte {
	t.Helper()
	client := map[string]any{"type": answer.Type, "challenge": answer.Challenge, "origin": answer.Origin, "crossOrigin": answer.CrossOrigin}
	if answer.TopOrigin != "" {
		client["topOrigin"] = answer.TopOrigin
	}
	text, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (a *Authenticator) send(answer *Answer, response map[string]string) string {
	a.t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": encode(answer.ID), "rawId": encode(answer.ID), "type": "public-key", "authenticatorAttachment": "platform", "clientExtensionResults": answer.Extensions, "response": response,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text)
}

// cose writes an ES256 key as {1: 2, 3: -7, -1: 1, -2: x, -3: y} in CBOR.
func cose(t *testing.T, public *ecdsa.PublicKey) []byte {
	t.Helper()
	point, err := public.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33]...)
	return append(append(key, "\x22\x58\x20"...), point[33:]...)
}
