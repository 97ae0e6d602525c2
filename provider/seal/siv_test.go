package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newSIV(t testing.TB, key []byte) *SIV {
	t.Helper()
	s, err := NewSIV(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counting is the key 00 01 02 ...
func counting(n int) []byte {
	key := make([]byte, n)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestRFC5297AppendixA(t *testing.T) {
	for name, v := range map[string]struct {
		key, plain, want string
		ad               []string
	}{
		"A.1": {
			key:   "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
			ad:    []string{"101112131415161718191a1b1c1d1e1f2021222324252627"},
			plain: "112233445566778899aabbccddee",
			want:  "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
		},
		"A.2": {
			key: "7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f",
			ad: []string{
				"00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100",
				"102030405060708090a0",
				"09f911029d74e35bd84156c5635688c0",
			},
			plain: "7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553",
			want:  "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d",
		},
	} {
		s := newSIV(t, unhex(t, v.key))
		var ad [][]byte
		for _, part := range v.ad {
			ad = append(ad, unhex(t, part))
		}
		sealed := s.Seal(unhex(t, v.plain), ad...)
		if got := hex.EncodeToString(sealed); got != v.want {
			t.Errorf("%s: %s, want %s", name, got, v.want)
		}
		if plain, err := s.Open(sealed, ad...); err != nil || hex.EncodeToString(plain) != v.plain {
			t.Errorf("%s: opened as %x, %v", name, plain, err)
		}
	}
}

// The RFC has vectors for AES-128 only; these were made with OpenSSL 3, around the border where S2V changes its way of taking in the plaintext.
func TestSIVAgreesWithOpenSSLForLongerKeys(t *testing.T) {
	const sector, fifteen = "sector.example", "0123456789abcde"
	for _, v := range []struct {
		size  int
		ad    []string
		plain string
		want  string
	}{
		{48, nil, "", "9e44df35c90f1138e1788e367d580588"},
		{48, []string{""}, "", "e84dda18e98cc8139cbdfd2271d8bae0"},
		{48, []string{sector}, fifteen, "38d2f49d2c5cfe0775919b0ba6e01a002be7fd18f2ea1e95308cdd31d86a69"},
		{48, []string{sector}, fifteen + "f", "f666ad53ebcefb1694f0acd577417bbe137335aedfa567dfb717913dfde13231"},
		{64, nil, "", "d4fc53b9c44c2aeea87bfb8c983b136c"},
		{64, []string{""}, "", "6ff5b8ef53fc365606cd3ea047374885"},
		{64, []string{sector}, fifteen, "2863b27948e47ca230acaaa31f16cd6e2a1ec112099c04abfcdc86de8ab87b"},
		{64, []string{sector}, fifteen + "f", "35feffc88271b6d2334f9b71ba1b9c1636c597e5afd8d8c768ccacef345b853c"},
		{64, []string{sector, strings.Repeat("x", 33)}, fifteen + "f0", "ca3a067dbaf93de04e6264ef02738cac47b0af74139a241a6188e924d17fd1aae3"},
		{64, nil, string(counting(48)), "f7c109ff5e95aa9a17ff45a35a9251a3fbe072636357a7b1a072320a43b783ea99e4fba4e12100d640fb58228e4960249dccb89d5e65b6eb73d0b9881912d308"},
	} {
		var ad [][]byte
		for _, part := range v.ad {
			ad = append(ad, []byte(part))
		}
		if got := hex.EncodeToString(newSIV(t, counting(v.size)).Seal([]byte(v.plain), ad...)); got != v.want {
			t.Errorf("%d %q %q: %s, want %s", v.size, v.ad, v.plain, got, v.want)
		}
	}
}

func TestSIVDetectsEveryChange(t *testing.T) {
	s := newSIV(t, counting(64))
	for _, size := range []int{0, 1, 15, 16, 17, 40} {
		plain, ad := counting(size), []byte("sector.example")
		sealed := s.Seal(plain, ad)
		if !bytes.Equal(sealed, s.Seal(plain, ad)) {
			t.Fatal("the same is sealed differently")
		}
		for i := range sealed {
			for bit := range 8 {
				bad := bytes.Clone(sealed)
				bad[i] ^= 1 << bit
				if opened, err := s.Open(bad, ad); !errors.Is(err, ErrBroken) || opened != nil {
					t.Errorf("%d bytes: bit %d of byte %d may change unnoticed", size, bit, i)
				}
			}
			if _, err := s.Open(sealed[:i], ad); !errors.Is(err, ErrBroken) {
				t.Errorf("%d bytes: cut to %d: %v", size, i, err)
			}
		}
		if _, err := s.Open(append(sealed, 0), ad); !errors.Is(err, ErrBroken) {
			t.Errorf("%d bytes: a longer one opens", size)
		}
		if _, err := newSIV(t, append(counting(63), 0)).Open(sealed, ad); size > 0 && !errors.Is(err, ErrBroken) {
			t.Errorf("%d bytes: another key opens it", size)
		}
	}
}

func TestSIVKeepsTheBordersOfAssociatedData(t *testing.T) {
	s := newSIV(t, counting(64))
	lists := [][][]byte{
		nil, {nil}, {nil, nil}, {[]byte("ab"), []byte("c")}, {[]byte("a"), []byte("bc")}, {[]byte("c"), []byte("ab")}, {[]byte("abc")}, {[]byte("abc"), nil}, {nil, []byte("abc")},
	}
	for i, made := range lists {
		sealed := s.Seal([]byte("subject"), made...)
		for j, used := range lists {
			if _, err := s.Open(sealed, used...); (err == nil) != (i == j) {
				t.Errorf("sealed for %q, opened for %q: %v", made, used, err)
			}
		}
	}
	most := make([][]byte, maxAD)
	if _, err := s.Open(s.Seal(nil, most...), most...); err != nil {
		t.Errorf("126 strings: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("127 strings are taken, for which S2V is not defined")
		}
	}()
	s.Seal(nil, append(most, nil)...)
}

func TestSIVRefusesKeysOfAnotherSize(t *testing.T) {
	for size := range 130 {
		_, err := NewSIV(make([]byte, size))
		if want := size == 32 || size == 48 || size == 64; (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func FuzzSIV(f *testing.F) {
	f.Add([]byte("0190a7c2-8d3b-7f1e-9a34-5b6c7d8e9f00"), []byte("sector.example"), []byte("x"), uint16(3))
	f.Add([]byte{}, []byte{}, []byte{}, uint16(0))
	s := newSIV(f, counting(64))
	f.Fuzz(func(t *testing.T, plain, ad, other []byte, at uint16) {
		before := bytes.Clone(plain)
		sealed := s.Seal(plain, ad)
		if !bytes.Equal(plain, before) {
			t.Fatal("Seal changed its input")
		}
		opened, err := s.Open(sealed, ad)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("%x opens as %x, %v", plain, opened, err)
		}
		if _, err := s.Open(other, ad); err == nil && !bytes.Equal(other, sealed) {
			t.Fatalf("a forged value opens: %x", other)
		}
		if _, err := s.Open(sealed, other); (err == nil) != bytes.Equal(ad, other) {
			t.Fatalf("sealed for %x, opened for %x: %v", ad, other, err)
		}
		sealed[int(at)%len(sealed)] ^= 1
		if _, err := s.Open(sealed, ad); err == nil {
			t.Fatal("a changed value opens")
		}
	})
}

// A pairwise subject: a UUID under a host name.
func BenchmarkSIV(b *testing.B) {
	s := newSIV(b, counting(64))
	plain, ad := []byte("0190a7c2-8d3b-7f1e-9a34-5b6c7d8e9f00"), []byte("login.client.example")
	sealed := s.Seal(plain, ad)
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Seal(plain, ad)
		}
	})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Open(sealed, ad); err != nil {
				b.Fatal(err)
			}
		}
	})
}
