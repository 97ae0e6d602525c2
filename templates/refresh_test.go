package templates

import (
	"bytes"
	"html/template"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestSigningOutGoesOnWithoutScripts waits in a browser without scripts for the page to send it on.
func TestSigningOutGoesOnWithoutScripts(t *testing.T) {
	ctx := browser(t, func(string) {})
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	var page bytes.Buffer
	if err := load(t).Render(&page, plainLayout(), SigningOut{Next: template.URL(server.URL + "/bye?state=s")}); err != nil {
		t.Fatal(err)
	}
	mux.HandleFunc("/bye", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<!doctype html><p id=arrived>ok"))
	})
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(page.Bytes())
	})
	if err := chromedp.Do(ctx, scripts(false), chromedp.Navigate(server.URL), chromedp.WaitReady(chromedp.ID("arrived"))); err != nil {
		t.Error(err)
	}
}
