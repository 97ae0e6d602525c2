package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

const (
	blockSize = aes.BlockSize
	// maxAD is the most strings beside the plaintext that S2V is defined for (RFC 5297 section 2.6).
	maxAD = 8*blockSize - 2
)

// SIV is deterministic authenticated encryption: AES-SIV (RFC 5297). The same plaintext under the same key and associated data is the same sealed value, on every
// node and for ever, so that it can serve as an identifier, and whoever has the key can open it again. What it shows is only that two values are equal.
// It is immutable and safe for concurrent use.
type SIV struct {
	mac, ctr       cipher.Block
	whole, partial [blockSize]byte // the subkeys of CMAC (RFC 4493 section 2.3), for a last block that is full and one that is not
	first          [blockSize]byte // CMAC of the zero block, with which every S2V begins
}

// NewSIV takes a key of 64 (AES-256), 48 (AES-192) or 32 (AES-128) bytes, of which one half authenticates and the other encrypts.
func NewSIV(key []byte) (*SIV, error) {
	mac, err := aes.NewCipher(key[:len(key)/2])
	if err != nil || len(key)%2 != 0 {
		return nil, fmt.Errorf("AES-SIV key has %d bytes, want 64, 48 or 32", len(key))
	}
	ctr, err := aes.NewCipher(key[len(key)/2:])
	if err != nil {
		return nil, err
	}
	s := &SIV{mac: mac, ctr: ctr}
	mac.Encrypt(s.whole[:], s.whole[:])
	double(&s.whole)
	s.partial = s.whole
	double(&s.partial)
	s.first = s.cmac(make([]byte, blockSize))
	return s, nil
}

// Seal encrypts plain for the associated data, a list of at most 126 strings whose borders count: ("ab", "c") is not ("a", "bc"). The result is 16 bytes longer than plain.
func (s *SIV) Seal(plain []byte, ad ...[]byte) []byte {
	tag := s.s2v(plain, ad)
	out := make([]byte, blockSize+len(plain))
	copy(out, tag[:])
	s.crypt(out[blockSize:], plain, tag)
	return out
}

// Open decrypts what Seal made for the same associated data. ErrBroken.
func (s *SIV) Open(sealed []byte, ad ...[]byte) ([]byte, error) {
	if len(sealed) < blockSize {
		return nil, ErrBroken
	}
	tag := [blockSize]byte(sealed)
	plain := make([]byte, len(sealed)-blockSize)
	s.crypt(plain, sealed[blockSize:], tag)
	want := s.s2v(plain, ad)
	if subtle.ConstantTimeCompare(want[:], tag[:]) != 1 {
		return nil, ErrBroken
	}
	return plain, nil
}

// crypt encrypts or decrypts in counter mode. Two bits of the counter are cleared, so that 32-bit additions never carry (RFC 5297 section 2.5).
func (s *SIV) crypt(dst, src []byte, counter [blockSize]byte) {
	counter[8] &= 0x7f
	counter[12] &= 0x7f
	cipher.NewCTR(s.ctr, counter[:]).XORKeyStream(dst, src)
}

// s2v makes one block of a list of strings, of which the plaintext is the last (RFC 5297 section 2.4).
func (s *SIV) s2v(plain []byte, ad [][]byte) [blockSize]byte {
	if len(ad) > maxAD {
		panic("seal: more associated data than AES-SIV is defined for")
	}
	d := s.first
	for _, part := range ad {
		double(&d)
		sum := s.cmac(part)
		subtle.XORBytes(d[:], d[:], sum[:])
	}
	if len(plain) >= blockSize {
		last := bytes.Clone(plain)
		end := last[len(last)-blockSize:]
		subtle.XORBytes(end, end, d[:])
		return s.cmac(last)
	}
	double(&d)
	subtle.XORBytes(d[:], d[:], plain)
	d[len(plain)] ^= 0x80
	return s.cmac(d[:])
}

// cmac is AES-CMAC (RFC 4493).
func (s *SIV) cmac(message []byte) (sum [blockSize]byte) {
	for len(message) > blockSize {
		subtle.XORBytes(sum[:], sum[:], message)
		s.mac.Encrypt(sum[:], sum[:])
		message = message[blockSize:]
	}
	subtle.XORBytes(sum[:], sum[:], message)
	subkey := &s.whole
	if len(message) < blockSize {
		sum[len(message)] ^= 0x80
		subkey = &s.partial
	}
	subtle.XORBytes(sum[:], sum[:], subkey[:])
	s.mac.Encrypt(sum[:], sum[:])
	return sum
}

// double multiplies by x in GF(2^128), in constant time (RFC 5297 section 2.3).
func double(b *[blockSize]byte) {
	high, low := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	carry := high >> 63
	binary.BigEndian.PutUint64(b[:8], high<<1|low>>63)
	binary.BigEndian.PutUint64(b[8:], low<<1^0x87*carry)
}
