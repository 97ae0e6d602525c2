package signin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// The browser cookie remembers which users have signed in here, completely, without telling who they are: for each of them it holds a random name and a MAC over that, the user, the user's epoch and
// whether a second factor was shown. It grants nothing. It gives the browser counters of its own, with the same limits, so that nobody who guesses elsewhere blocks the owner (security rows 138 and
// 155), and spares the owner mail about a browser that is known. A changed password makes it worthless.
const (
	browserCookie = "gth_dev"
	// KnownLife is how long a browser stays known after a sign-in.
	KnownLife = 180 * 24 * time.Hour
	// maxKnown is how many users one browser remembers; the first to come goes first.
	maxKnown = 5
	nameSize = 16 // characters
	markSize = nameSize + 22
)

// Known is what a browser tells of a user.
type Known struct {
	// Name is a part for the key of a counter, empty if the user has not signed in here.
	Name string
	// Strong says that a second factor was shown.
	Strong bool
}

// Known tells what the request's browser knows of a user; nil is nobody.
func (s *SignIn) Known(r *http.Request, user *storage.User) Known {
	if user == nil {
		return Known{}
	}
	known, _ := s.recognise(marks(r), user)
	return known
}

// marks are the parts of the request's cookie, newest first.
func marks(r *http.Request) (out []string) {
	value, ok := web.Cookie(r, browserCookie)
	if !ok || len(value) > maxKnown*(markSize+1) {
		return nil
	}
	for part := range strings.SplitSeq(value, ".") {
		if len(part) == markSize {
			out = append(out, part)
		}
	}
	return out
}

// recognise finds the mark of a user and returns the others.
func (s *SignIn) recognise(all []string, user *storage.User) (known Known, others []string) {
	for _, mark := range all {
		if k := s.read(mark, user); k.Name == "" {
			others = append(others, mark)
		} else {
			known = Known{k.Name, known.Strong || k.Strong}
		}
	}
	return known, others
}

// read tells what one mark says of a user, nothing if it is not the user's.
func (s *SignIn) read(mark string, user *storage.User) Known {
	name, mac := mark[:nameSize], []byte(mark[nameSize:])
	for _, key := range s.BrowserKeys {
		for _, strong := range []bool{true, false} {
			if hmac.Equal(mac, browserMAC(key, name, user, strong)) {
				return Known{"\n" + name, strong}
			}
		}
	}
	return Known{}
}

// newPerDay bounds the browsers of one user that become known: whoever has the password and drops the cookie each time must not get counters without end.
var newPerDay = ratelimit.Limit{Burst: 20, Every: 24 * time.Hour / 20}

// remember makes the browser one that the user has signed in with, unless there have been too many new ones.
func (s *SignIn) remember(w http.ResponseWriter, r *http.Request, user *storage.User, strong bool) error {
	if len(s.BrowserKeys) == 0 {
		return nil
	}
	known, others := s.recognise(marks(r), user)
	name := strings.TrimPrefix(known.Name, "\n") // kept: a name for each sign-in would be a counter for each
	if name == "" {
		if s.Browsers != nil {
			allowed, _, err := s.Browsers.Take(r.Context(), "browser\nnew\n"+user.Subject, newPerDay)
			if err != nil {
				return fmt.Errorf("limit new browsers: %w", err)
			}
			if !allowed {
				return nil
			}
		}
		var random [nameSize / 4 * 3]byte
		rand.Read(random[:]) // never fails
		name = base64.RawURLEncoding.EncodeToString(random[:])
	}
	all := append([]string{name + string(browserMAC(s.BrowserKeys[0], name, user, strong || known.Strong))}, others...)
	web.SetCookie(w, r, browserCookie, strings.Join(all[:min(len(all), maxKnown)], "."), KnownLife, true)
	return nil
}

// young is how long the owner of a new account is at it: there is no news in that.
const young = time.Hour

// perDay bounds the mails to one user about new browsers: somebody who has the password and drops the cookie each time must not fill the mailbox.
var perDay = ratelimit.Limit{Burst: 5, Every: 24 * time.Hour / 5}

// news tells whether the user should hear of a sign-in, because this browser is new.
func (s *SignIn) news(r *http.Request, p Proof) (bool, error) {
	if s.Limiter == nil || p.StepUp || s.Known(r, p.User).Name != "" || s.now().Sub(p.User.Created) < young {
		return false, nil
	}
	allowed, _, err := s.Limiter.Take(r.Context(), "mail\nnew browser\n"+p.User.Subject, perDay)
	if err != nil {
		return false, fmt.Errorf("limit mail about new browsers: %w", err)
	}
	return allowed, nil
}

func browserMAC(key []byte, name string, user *storage.User, strong bool) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name + "\n" + user.Subject + "\n" + strconv.FormatInt(user.Epoch, 10) + "\n" + strconv.FormatBool(strong)))
	return base64.RawURLEncoding.AppendEncode(nil, mac.Sum(nil)[:16])
}
