package main

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/provider/web/webtest"
)

var gallery = flag.String("gallery", "", "folder to write a picture of every page of the running program to")

// newcomer is the program as a newcomer starts it: a process in an empty folder.
type newcomer struct {
	*testing.T
	url, folder string
	env         []string
	out, log    stream
}

// launch runs `gatehouse serve --dev` in an empty folder until the test ends.
func launch(t *testing.T, more ...string) *newcomer {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &newcomer{T: t, url: "http://localhost:" + port, folder: t.TempDir()}
	p.env = append([]string{"GATEHOUSE_ISSUER=" + p.url, "GATEHOUSE_SERVER_LISTEN=127.0.0.1:" + port, "GATEHOUSE_PASSWORDS_COST=10", "GORACE=" + os.Getenv("GORACE")}, more...)
	c := exec.Command("gatehouse", "serve", "--dev") // the test binary, as in the scripts
	c.Dir, c.Env, c.Stdout, c.Stderr = p.folder, p.env, &p.out, &p.log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // fails if it has ended, which the next line tells
		if err := <-ended; err != nil {
			t.Errorf("serve: %v: %s", err, p.log.String())
		}
	})
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.out.String(), "Client secret"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no greeting: %s %s", p.out.String(), p.log.String())
		}
	}
	return p
}

// printed returns a value of the greeting.
func (p *newcomer) printed(label string) string {
	p.Helper()
	found := regexp.MustCompile(`(?m)^  ` + label + `\s+(\S+)$`).FindStringSubmatch(p.out.String())
	if found == nil {
		p.Fatalf("the greeting has no %s: %s", label, p.out.String())
	}
	return found[1]
}

// run runs another command in the same folder.
func (p *newcomer) run(stdin string, args ...string) {
	p.Helper()
	c := exec.Command("gatehouse", args...)
	c.Dir, c.Env, c.Stdin = p.folder, p.env, strings.NewReader(stdin)
	if text, err := c.CombinedOutput(); err != nil {
		p.Fatalf("%v: %v: %s", args, err, text)
	}
}

// signIn fills in the login page with what was printed.
func (p *newcomer) signIn(b *webtest.Chromium) {
	p.Helper()
	b.Fill("username", p.printed("Sign in as"))
	b.Fill("password", p.printed("Password"))
	b.Click("sign-in")
}

// act clicks a button of the playground and waits for its entry in the history.
func act(b *webtest.Chromium, button, title, outcome string) {
	b.Click(button)
	b.Until(`document.querySelector("#history details summary strong")?.textContent === "` + title + `" && document.querySelector("#history details").innerText.includes("` + outcome + `")`)
}

func TestNewcomerInARealBrowser(t *testing.T) {
	chromium := webtest.StartChromium(t)
	p := launch(t)
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			b := chromium.Window(t)
			b.Scripts(scripts)
			b.Open(p.printed("Playground"))
			b.Click("sign-in")
			b.Await("#login")
			b.Says("Sign in", "Gatehouse playground")
			p.signIn(b)
			b.Await("#consent")
			b.Says("Gatehouse playground wants to use your account", demoEmail)
			b.Click("allow")
			b.Await("#claims")
			if !strings.HasPrefix(b.Location(), p.printed("Playground")) {
				t.Errorf("arrived at %s", b.Location())
			}
			b.Says("Hello, Dana Mercer Moss", "verified", demoEmail)
			act(b, "introspect", "Introspect access token", "The token is active.")
			act(b, "introspect-refresh", "Introspect refresh token", "The token is active.")
			act(b, "refresh", "Refresh", "The refresh token was rotated")
			act(b, "userinfo", "Userinfo", "The access token is accepted.")
			act(b, "revoke", "Revoke access token", "Revoked.")
			act(b, "introspect", "Introspect access token", "The token is not active")
			act(b, "refresh", "Refresh", "New tokens are in use.")
			act(b, "revoke-refresh", "Revoke refresh token", "Revoked")
			act(b, "userinfo", "Userinfo", "invalid_token")
			act(b, "refresh", "Refresh", "invalid_grant")
			b.Click("sign-out")
			b.Await("#signed-out")
			if !strings.HasPrefix(b.Location(), p.printed("Playground")+"?state=") {
				t.Errorf("signing out ends at %s", b.Location())
			}
			b.Says("You are signed out", "Here and at the provider")
			b.SaysNot("Dana", demoEmail)
			b.Open(p.url + "/account")
			b.Await("#login") // the provider's session is over too
			p.signIn(b)
			b.Await("#logout")
			b.Says("Dana Mercer Moss")
			b.Open(p.url + "/account/apps")
			b.Says("Gatehouse playground")
			b.ClickOn("form[action$='/account/disconnect'] button") // the next round is asked for consent again
			b.Until(`document.body.innerText.includes("No app has access to your account.")`)
			b.Open(p.url + "/account")
			b.Click("sign-out")
			b.Until(`document.body.innerText.includes("You are signed out")`)
			b.Open(p.url + "/account")
			b.Await("#login")
			b.Silent()
		})
	}
	for _, secret := range []string{p.printed("Password"), p.printed("Client secret")} {
		if strings.Contains(p.log.String(), secret) {
			t.Error("the log shows a secret")
		}
	}
}

// logo is the picture of an imaginary application: a compass needle.
func logo() []byte {
	const size, fine = 256, 4
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	shade := func(x, y int) (r, g, b int) { // in quarters of a pixel from the middle; the needle points to the north-east
		u, v := x-y, x+y
		switch {
		case max(u, -u)*5+max(v, -v)*14 > 5*fine*size*7/10:
			return 17, 94, 89
		case u > 0:
			return 253, 186, 116
		}
		return 240, 253, 250
	}
	for y := range size {
		for x := range size {
			var r, g, b int
			for i := range fine * fine {
				dr, dg, db := shade((x-size/2)*fine+i%fine, (y-size/2)*fine+i/fine)
				r, g, b = r+dr, g+dg, b+db
			}
			img.SetNRGBA(x, y, color.NRGBA{R: uint8(r / fine / fine), G: uint8(g / fine / fine), B: uint8(b / fine / fine), A: 255})
		}
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a buffer takes everything
	return b.Bytes()
}

// shop registers a client with a name, a logo and links.
func (p *newcomer) shop() (authorize string) {
	p.Helper()
	logos := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(logo()) }))
	defer logos.Close()
	p.run(`{"client_id":"northwind","client_name":"Northwind Journal","redirect_uris":["https://journal.example/callback"],"scope":"openid profile email offline_access",
		"grant_types":["authorization_code","refresh_token"],"logo_uri":"`+logos.URL+`/logo.png","client_uri":"https://journal.example","policy_uri":"https://journal.example/privacy",
		"tos_uri":"https://journal.example/terms"}`, "client", "create", "-f", "-")
	return p.url + "/oauth2/authorize?client_id=northwind&redirect_uri=https%3A%2F%2Fjournal.example%2Fcallback&response_type=code&state=1&scope=openid+profile+email+offline_access" +
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
}

// TestEveryPageOfTheProgramFits walks through all pages of the program, on a phone and on a desk, in both schemes.
func TestEveryPageOfTheProgramFits(t *testing.T) {
	chromium := webtest.StartChromium(t)
	p := launch(t, "GATEHOUSE_OUTBOUND_ALLOW=127.0.0.1", "GATEHOUSE_REGISTRATION_MODE=open")
	authorize, others := p.shop(), p.serveApps(t)
	for name, size := range map[string][2]int64{"1280": {1280, 800}, "390": {390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			if *gallery == "" && (name == "390") != (scheme == "dark") {
				continue // the other two have the same layout
			}
			t.Run(name+" "+scheme, func(t *testing.T) {
				b := chromium.Window(t)
				b.Look(size[0], size[1], scheme)
				look := func(page string) {
					t.Helper()
					b.Fits()
					if *gallery != "" {
						b.Picture(filepath.Join(*gallery, page+"-"+name+"-"+scheme+".png"), true)
					}
				}
				p.walk(t, b, authorize, look)
				others.leave(t, b, look)
			})
		}
	}
}

func (p *newcomer) walk(t *testing.T, b *webtest.Chromium, authorize string, look func(string)) {
	t.Helper()
	b.Open(authorize)
	b.Await("#login")
	b.Says("Northwind Journal", "journal.example")
	if !b.True(`document.querySelector("img.tile")?.naturalWidth === 256`) {
		t.Error("the login page shows no logo")
	}
	look("login")
	b.Fill("username", "nobody@example.com")
	b.Fill("password", "wrong")
	b.Click("sign-in")
	b.Await("#login-error")
	look("login-error")
	p.signIn(b)
	b.Await("#consent")
	look("consent")
	b.Open(p.printed("Playground"))
	b.Await("#start")
	look("playground")
	b.Click("show")
	b.Await("#continue")
	look("playground-request")
	b.Click("continue")
	b.Await("#claims, #consent")
	if b.True(`!!document.querySelector("#consent")`) {
		look("playground-consent")
		b.Click("allow")
	}
	b.Await("#claims")
	look("playground-result")
	act(b, "introspect", "Introspect access token", "The token is active.")
	look("playground-history")
	b.Click("sign-out")
	b.Await("#signed-out")
	look("playground-signed-out")
	b.Open(p.url + "/account")
	p.signIn(b)
	b.Await("#logout")
	look("account")
	b.Open(strings.Replace(authorize, "journal.example%2Fcallback", "Journal.example%3A8443%2Fcallback%2F", 1))
	b.Says("This sign-in link does not work", "https://Journal.example:8443/callback/")
	look("mismatch")
	b.Open(strings.Replace(authorize, "northwind", "southwind", 1))
	b.Says("This sign-in link does not work")
	look("error")
	b.Open(p.url + "/nothing-here")
	look("not-found")
	b.Open(p.url + "/account")
	b.Click("sign-out")
	b.Until(`document.body.innerText.includes("You are signed out")`)
	look("signed-out")
}
