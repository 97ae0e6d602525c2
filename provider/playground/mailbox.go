package playground

import (
	"net/http"
	"strings"

	"gatehouse/provider/mail"
)

const mailPath = root + "/mail"

// Mailbox holds what would have been sent to people, newest first.
type Mailbox interface{ Messages() []*mail.Message }

// mailbox is the list of messages and the one that is shown.
type mailbox struct {
	Messages []*mail.Message
	Shown    *mail.Message
	Text     []textLine
}

// textLine is a line of a message; Link is set if it is nothing but a link to this server.
type textLine struct{ Text, Link string }

// mail lists the messages and shows one of them.
func (p *Playground) mail(w http.ResponseWriter, r *http.Request, _ *visit) {
	box := &mailbox{}
	if p.o.Mailbox != nil {
		box.Messages = p.o.Mailbox.Messages()
	}
	id := r.URL.Query().Get("id")
	for _, m := range box.Messages {
		if m.ID == id {
			box.Shown = m
		}
	}
	switch {
	case id != "" && box.Shown == nil:
		p.refuse(w, http.StatusNotFound, "There is no such message", "The mailbox keeps the newest messages, and only as long as the server runs.")
		return
	case box.Shown != nil && r.URL.Query().Get("part") == "html":
		p.mailHTML(w, box.Shown)
		return
	case box.Shown != nil:
		box.Text = p.lines(box.Shown.Text)
	}
	w.Header().Set("Content-Security-Policy", policy+"; frame-src 'self'")
	p.pages.render(w, http.StatusOK, p.view(page{Title: "Mailbox", Mailbox: box}))
}

// mailHTML answers with a message as a mail program would show it. It runs nothing, loads nothing, and stands in a frame of this server alone.
func (p *Playground) mailHTML(w http.ResponseWriter, m *mail.Message) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox")
	h.Del("X-Frame-Options") // frame-ancestors says it better
	h.Set("Content-Type", "text/html; charset=utf-8")
	// Links open beside the mailbox, as they do in a mail program.
	_, _ = w.Write([]byte(strings.Replace(m.HTML, "<head>", `<head><base target="_blank">`, 1))) // the browser has gone if this fails
}

// lines finds the links of a text.
func (p *Playground) lines(text string) []textLine {
	var out []textLine
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		shown := textLine{Text: line}
		if strings.HasPrefix(line, p.o.Issuer+"/") {
			shown.Link = line
		}
		out = append(out, shown)
	}
	return out
}
