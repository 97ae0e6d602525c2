package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/rp"
)

// A sign-in that needs more requests than this goes round in circles.
const maxHops = 16

// signIn is a whole sign-in of a fresh browser: authorize, login page, consent page if there is one, code, tokens.
func signIn(ctx context.Context, w *worker) error {
	clear(w.cookies)
	user := rp.User{Name: w.e.o.User.ID, Password: w.e.o.User.Secret}
	attempt := w.e.party.Begin(nil)
	a, err := w.send(ctx, http.MethodGet, attempt.URL, nil, "")
	for range maxHops {
		if err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
		if callback, ok := a.Arrived(w.e.o.RedirectURI); ok {
			return w.redeem(ctx, attempt, callback)
		}
		target, form, wrong := user.Next(a.Answer)
		if wrong != nil {
			return fmt.Errorf("sign in: %w", wrong)
		}
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		a, err = w.send(ctx, method, target, form, "")
	}
	return errors.New("sign in: the provider sends the browser round in circles")
}
