package config

import (
	"strings"
	"testing"
)

func TestMailSettingsThatAreRefused(t *testing.T) {
	for _, test := range []struct{ key, yaml string }{
		{"mail.from", "mail: {url: 'smtp://u:hunter2@mail.example.com'}"},
		{"mail.url", "mail: {url: 'http://u:hunter2@mail.example.com', from: a@b.example}"},
		{"mail.url", "mail: {url: 'smtp://u:hunter2@mail.example.com?tls=never', from: a@b.example}"},
		{"mail.url", "mail: {url: 'mail.example.com:587', from: a@b.example}"},
		{"mail.from", "mail: {from: nobody}"},
		{"mail.from", "mail: {from: 'a@b.example, c@d.example'}"},
		{"mail.from", "mail: {from: \"a@b.example\\r\\nBcc: c@d.example\"}"},
		{"mail.reply_to", "mail: {from: a@b.example, reply_to: '@b.example'}"},
	} {
		faults := refused(t, Source{Dir: t.TempDir(), File: write(t, "c.yaml", test.yaml, 0o600), Serve: true})
		if len(faults) != 1 || faults[0].Key != test.key {
			t.Errorf("%s: %v", test.yaml, faults)
		}
		if strings.Contains(faults.Error(), "hunter2") {
			t.Errorf("the password is in %s", faults.Error())
		}
	}
}

func TestMailSettingsThatAreTaken(t *testing.T) {
	for _, yaml := range []string{
		"mail: {url: '', from: ''}",
		"mail: {url: 'smtp://u:p%40@mail.example.com:2525', from: no-reply@b.example}",
		"mail: {url: 'smtps://mail.example.com', from: 'Example <no-reply@b.example>', reply_to: help@b.example}",
		"mail: {url: 'smtp://127.0.0.1:25', from: no-reply@b.example}",
	} {
		if _, err := Load(Source{Dir: t.TempDir(), File: write(t, "c.yaml", yaml, 0o600), Serve: true}); err != nil {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

// What serve --dev shows at its mailbox needs no mail server, and commands beside it are given the same configuration.
func TestMailIsAskedForOnlyByAServer(t *testing.T) {
	file := write(t, "c.yaml", "signup: {mode: open}\nlogin: {magic_link: true}\n", 0o600)
	if _, err := Load(Source{File: file}); err != nil {
		t.Errorf("a command beside serve --dev: %v", err)
	}
	if _, err := Load(Source{File: file, Serve: true, Dev: true}); err != nil {
		t.Errorf("serve --dev: %v", err)
	}
	if faults := refused(t, Source{File: file, Serve: true}); len(faults) != 2 || faults[0].Key != "login.magic_link" || faults[1].Key != "signup.mode" {
		t.Errorf("serve: %v", faults)
	}
}
