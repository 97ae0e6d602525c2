package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // names of members are exact, and none may be there twice

	"gatehouse/provider/outbound"
)

// callLimit is how long one call of an Upstream may take, however many requests it makes.
const callLimit = 5 * time.Second

// remote asks one provider.
type remote struct {
	http  *http.Client
	limit time.Duration
}

func newRemote(client *http.Client) *remote {
	r := &remote{http: client, limit: callLimit}
	if client.Timeout > 0 && client.Timeout < r.limit {
		r.limit = client.Timeout
	}
	return r
}

// bounded is a context for one call.
func (r *remote) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.limit)
}

// reply is an answer of any status, read whole.
type reply struct {
	what   string
	status int
	header http.Header
	body   []byte
}

// get asks for what, in words that follow "it answered": "its discovery document".
func (r *remote) get(ctx context.Context, what, address string, header http.Header) (*reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, broken(what+" has an address that is none", err)
	}
	request.Header = header
	return r.do(what, request)
}

// post sends a form. basic is nil, or the name and password of the client.
func (r *remote) post(ctx context.Context, what, address string, form url.Values, basic *url.Userinfo) (*reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, broken(what+" has an address that is none", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if basic != nil {
		password, _ := basic.Password()
		request.SetBasicAuth(url.QueryEscape(basic.Username()), url.QueryEscape(password)) // RFC 6749 section 2.3.1
	}
	return r.do(what, request)
}

func (r *remote) do(what string, request *http.Request) (*reply, error) {
	answer, err := r.http.Do(request)
	if err != nil {
		return nil, unanswered(what, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, unanswered(what, err)
	}
	return &reply{what: what, status: answer.StatusCode, header: answer.Header, body: body}, nil
}

// unanswered tells a provider that cannot be reached from one that answers what it may not.
func unanswered(what string, err error) *Refusal {
	if errors.Is(err, outbound.ErrAnswer) {
		return broken(what+" was answered with what is not accepted", err)
	}
	return &Refusal{Reason: Unavailable, Detail: what + " could not be reached", Cause: err}
}

func broken(detail string, cause error) *Refusal {
	return &Refusal{Reason: Broken, Detail: detail, Cause: cause}
}

// refused is the refusal for a status that is no success.
func (r *reply) refused() *Refusal {
	reason := Broken
	if r.status >= 500 || r.status == http.StatusTooManyRequests {
		reason = Unavailable
	}
	return &Refusal{Reason: reason, Detail: fmt.Sprintf("%s was answered with status %d", r.what, r.status)}
}

// decode reads the body of a success into v.
func (r *reply) decode(v any) error {
	if r.status != http.StatusOK {
		return r.refused()
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return broken(r.what+" was answered with no JSON of the right form", err)
	}
	return nil
}

// said quotes a provider's text for the log. A text that repeats one of the secrets of the request is left out.
func said(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			return "(left out, it repeats a secret)"
		}
	}
	return fmt.Sprintf("%.200q", text)
}
