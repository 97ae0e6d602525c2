package outbound

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// postTimeout is for one delivery, from the wait for the host's gate to the answer's header.
const postTimeout = 3 * time.Second

// Post sends a form to a URL, as back-channel logout does (OpenID Connect Back-Channel Logout 1.0 section 2.5). Only an answer of 2xx is no error. Status is what the host
// answered, 0 if it did not, so that the caller can decide whether to try again; the answer's body is not read. Every error is an *Error. A failure is told when
// it happens: call Post from where no outsider waits for the result.
func (c *Client) Post(ctx context.Context, to string, form url.Values) (status int, err error) {
	target, err := c.parse(to)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	leave, err := c.gates.enter(ctx, hostOf(target))
	if err != nil {
		return 0, &Error{err}
	}
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, &Error{err}
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("User-Agent", userAgent)
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, &Error{err}
	}
	_ = answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return answer.StatusCode, &Error{fmt.Errorf("status %d", answer.StatusCode)}
	}
	return answer.StatusCode, nil
}
