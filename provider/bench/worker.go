package bench

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/provider/rp"
)

// worker is one user agent and one client: a connection that is kept alive, a browser's cookies, the tokens of the last sign-in.
type worker struct {
	e         *engine
	transport *http.Transport
	basic     string
	cookies   map[string]string
	subject   string
	access    string
	refresh   string
	tokens    []string // used in turn, or used up
	used      int
	buffer    bytes.Buffer
}

// answer is a response; its body is good until the worker's next request.
type answer struct{ rp.Answer }

// tokenAnswer is a token response (RFC 6749 section 5.1).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
}

const (
	maxAnswer = 1 << 20
	formType  = "application/x-www-form-urlencoded"
)

func newWorker(e *engine) *worker {
	c := e.o.Client
	return &worker{
		e: e, cookies: map[string]string{},
		transport: &http.Transport{
			MaxIdleConnsPerHost: 1, DisableCompression: true, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: 30 * time.Second,
		},
		basic: "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.Secret))),
	}
}

// turn returns the next of the worker's tokens.
func (w *worker) turn() string {
	w.used++
	return w.tokens[w.used%len(w.tokens)]
}

// post sends a form as the client.
func (w *worker) post(ctx context.Context, target string, form url.Values) (answer, error) {
	return w.send(ctx, http.MethodPost, target, form, w.basic)
}

// send makes one request and follows nothing. With authorization it is the client's, without it is the browser's and carries cookies.
func (w *worker) send(ctx context.Context, method, target string, form url.Values, authorization string) (answer, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return answer{}, fmt.Errorf("make request: %w", err)
	}
	if form != nil {
		r.Header["Content-Type"] = []string{formType}
	}
	if authorization != "" {
		r.Header["Authorization"] = []string{authorization}
	} else {
		w.browse(r)
	}
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, r.URL.Path, err)
	}
	defer resp.Body.Close()
	w.buffer.Reset()
	n, err := w.buffer.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && n > maxAnswer {
		err = errors.New("answer is too long")
	}
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, r.URL.Path, err)
	}
	if authorization == "" {
		w.remember(resp.Header)
	}
	return answer{rp.Answer{URL: target, Status: resp.StatusCode, Header: resp.Header, Body: w.buffer.Bytes()}}, nil
}

// browse adds what a browser adds.
func (w *worker) browse(r *http.Request) {
	var line strings.Builder
	for name, value := range w.cookies {
		if line.Len() > 0 {
			line.WriteString("; ")
		}
		line.WriteString(name + "=" + value)
	}
	if line.Len() > 0 {
		r.Header["Cookie"] = []string{line.String()}
	}
	if r.Method == http.MethodPost {
		r.Header["Origin"] = []string{r.URL.Scheme + "://" + r.URL.Host}
		r.Header["Sec-Fetch-Site"] = []string{"same-origin"}
	}
}

func (w *worker) remember(header http.Header) {
	for _, line := range header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		switch {
		case err != nil:
		case c.MaxAge < 0 || c.Value == "":
			delete(w.cookies, c.Name)
		default:
			w.cookies[c.Name] = c.Value
		}
	}
}

// document gets a public document; check looks into every one that differs from the last good one.
func (w *worker) document(ctx context.Context, target string, check func([]byte) error) error {
	a, err := w.send(ctx, http.MethodGet, target, nil, "")
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("get document: %s", a.String())
	}
	return check(a.Body)
}

// token asks the token endpoint and checks what every answer must have.
func (w *worker) token(ctx context.Context, form url.Values) (tokenAnswer, error) {
	var t tokenAnswer
	a, err := w.post(ctx, w.e.party.Metadata().Token, form)
	if err != nil {
		return t, err
	}
	if err := a.json(http.StatusOK, &t); err != nil {
		return t, fmt.Errorf("token request (%s): %w", form.Get("grant_type"), err)
	}
	if !strings.EqualFold(t.TokenType, "Bearer") || t.AccessToken == "" || t.ExpiresIn <= 0 {
		return t, errors.New("token response: token_type, access_token or expires_in is missing or wrong")
	}
	return t, w.e.verifier.accessToken(ctx, t.AccessToken)
}

// json reads the body, if status and type are right.
func (a answer) json(status int, v any) error {
	if a.Status != status {
		return errors.New(a.String())
	}
	if kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the answer is no application/json")
	}
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
