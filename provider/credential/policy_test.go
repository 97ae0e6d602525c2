package credential

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/provider/web/webtest"
)

func TestRow140PolicyCountsCharactersAfterNormalising(t *testing.T) {
	p := newPasswords(t)
	for name, c := range map[string]struct {
		password string
		ok       bool
	}{
		"14 characters":               {"kvulzmqrwtpxbn", false},
		"15 characters":               {"kvulzmqrwtpxbnc", true},
		"15 emoji":                    {"🦊🐙🎹🧲🪁🥨🛶🎯🧊🌵🦜🪐🧵🍄🪶", true},
		"14 letters, 15 decomposed":   {"kvulzmqrwtpxbe\u0301", false},
		"28 bytes but 14 characters":  {"äöüßéèêáàâñçøå", false},
		"64":                          {strings.Repeat("kvulzmqrwtpxbnc ", 4), true},
		"128":                         {strings.Repeat("kvulzmqrwtpxbnc ", 8), true},
		"4096 bytes":                  {strings.Repeat("kvulzmqrwtpxbnc ", 256), true},
		"4097 bytes":                  {strings.Repeat("kvulzmqrwtpxbnc ", 256) + "!", false},
		"not UTF-8":                   {"kvulzmqrwtpxbnc\xff", false},
		"NUL is a character":          {"kvulzmqrwtpxb\x00n", true},
		"small letters only are fine": {"otter climbs velvet ladders", true},
	} {
		err := p.Check(c.password)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		var policy *PolicyError
		if err != nil && (!errors.As(err, &policy) || policy.Message == "" || strings.Contains(err.Error(), c.password)) {
			t.Errorf("%s: unfit error %q", name, err)
		}
	}
	short := newPasswords(t, func(o *Options) { o.MinLength = 8 })
	if err := short.Check("kvulzmqr"); err != nil {
		t.Errorf("MinLength 8: %v", err)
	}
}

func TestRow140WhatEverybodyTriesIsRefused(t *testing.T) {
	p := newPasswords(t)
	for _, password := range []string{
		"passwordpassword", "password12345678", "Password1234567!", "P@ssw0rdP@ssw0rd", "p4$$w0rd1234567", "123456789012345", "1234567890123456789",
		"987654321987654321", "qwertyuiopasdfghjkl", "qwertyuiop123456", "1qaz2wsx3edc4rfv", "aaaaaaaaaaaaaaaa", "abababababababab", "xkqxkqxkqxkqxkq",
		"iloveyouiloveyou", "ILoveYouForever1", "letmeinletmein123", "thisismypassword", "maytheforcebewithyou", "adminadminadmin1", "Welcome123456789",
		"administrator1234", "football12345678", "dragon monkey 2024", "abcdefghijklmnop", "ABCDEFGHijklmnop", "gatehousegatehouse", "Gatehouse1234567",
		"G4teh0use!!!!!!!!", "ｐａｓｓｗｏｒｄ１２３４５６７８", "               ", "!!!!!!!!!!!!!!!!", "changemechangeme", "0000000000000000", "asdfghjklasdfghjkl",
	} {
		var policy *PolicyError
		if err := p.Check(password); !errors.As(err, &policy) {
			t.Errorf("%q: accepted", password)
		}
	}
	for _, password := range []string{
		"otter climbs velvet ladders", "my dog eats 7 blue carrots", "Tr9#kdL2!vQz8@mW", "der gelbe Igel trinkt Tee", "пять жёлтых ежей пьют чай", "monkeys rarely file taxes",
		"lh7Qv2 nnb91 xxw04", "春はあけぼのやうやう白くなりゆく山ぎは",
	} {
		if err := p.Check(password, "alice@example.com", "alice"); err != nil {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestRow140OwnWordsAreRefused(t *testing.T) {
	p := newPasswords(t)
	words := []string{"Zacharias.Quillfeather@Brambleworks.example", "zquill", "Zacharias Quillfeather"}
	for _, password := range []string{
		"zacharias.quillfeather@brambleworks.example", "QuillfeatherQuillfeather", "Zacharias1234567", "z4ch4r14s-qu1llf34th3r", "brambleworks2024!", "zquillzquillzquill",
	} {
		if err := p.Check(password, words...); err == nil {
			t.Errorf("%q: accepted", password)
		}
	}
	if err := p.Check("zacharias otter climbs velvet", words...); err != nil {
		t.Errorf("a word of one's own among others: %v", err)
	}
	if err := p.Check("quillfeather brambleworks"); err != nil {
		t.Errorf("somebody else's words: %v", err)
	}
}

func TestPolicyIsQuickOnHostileInput(t *testing.T) {
	p := newPasswords(t)
	_ = p.Check("warm up the word list")
	for _, password := range []string{strings.Repeat("password", 512), strings.Repeat("ﷺ", 1365), strings.Repeat("a\u0301", 1365), strings.Repeat("1qaz", 1024)} {
		webtest.Quick(t, time.Second, func() { _ = p.Check(password, strings.Repeat("x", 4096)) })
	}
}

func TestBlocklistIsWellFormed(t *testing.T) {
	list := blocklist()
	if len(list.words) < 1000 {
		t.Fatalf("%d words", len(list.words))
	}
	for word := range list.words {
		if word != strings.ToLower(word) || len([]rune(word)) < 3 || strings.ContainsAny(word, " .,-_!@") {
			t.Errorf("%q can never match", word)
		}
	}
}

// Row 140: a password that has been found out elsewhere is refused, however little of it is a word, in whatever case and width it is written.
func TestRow140KnownPasswordsAreRefused(t *testing.T) {
	for _, typed := range []string{
		"elephant", "Michigan", "1029384756", "FINALFANTASY", "zxcasdqwe123", "q1w2e3r4t5y6u7i8", "111222333444555", "1qazxsw23edcvfr4", "Mailcreated5240", "ｅｌｅｐｈａｎｔ",
	} {
		p := newPasswords(t, func(o *Options) { o.MinLength = 8 })
		var refused *PolicyError
		if err := p.Check(typed); !errors.As(err, &refused) || refused.Reason != Common {
			t.Errorf("%q: %v", typed, err)
		}
	}
	p := newPasswords(t, func(o *Options) { o.MinLength = 8 })
	for _, typed := range []string{"elephant saddle quarry", "plinth osier quoin", "elephants are grey giants"} {
		if err := p.Check(typed); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

// The list is searched by halves, and holds nothing that would be refused for its length anyway.
func TestKnownPasswordsAreSortedAndLongEnough(t *testing.T) {
	list := knownPasswords()
	if len(list) < 40_000 || !slices.IsSorted(list) || len(slices.Compact(slices.Clone(list))) != len(list) {
		t.Errorf("%d passwords, sorted: %t", len(list), slices.IsSorted(list))
	}
	for _, word := range list {
		if utf8.RuneCountInString(word) < 8 || word != folded(word) {
			t.Errorf("%q can never be met", word)
		}
	}
}
