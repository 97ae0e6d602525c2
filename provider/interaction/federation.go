package interaction

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// What federation keeps in an interaction: the walk to a provider that is under way, and an account there that waits for proof of the account here.

// ReturnLink is the page that asks whether to link an account of a provider. An interaction of kind account whose parameter ParamLink names the provider returns there.
const (
	ReturnLink = "/account/link"
	ParamLink  = "link"
	// ParamUndone tells that a form was sent and only led to a sign-in: the page says afterwards that nothing was done.
	ParamUndone = "undone"
)

const (
	proofWalk = "walk"
	proofLink = "link"
	// proofSent tells to which providers the browser has been sent: their ids, separated by spaces.
	proofSent = "sent"
)

// Walk is a browser on its way to a provider and back (RFC 6749 section 4.1). An interaction has one at most: whoever begins another has given up the first.
type Walk struct {
	Upstream string `json:"upstream"`
	// StateHash is the base64url SHA-256 of state.
	StateHash string    `json:"state"`
	Nonce     string    `json:"nonce"`
	Verifier  string    `json:"verifier"`
	Started   time.Time `json:"started"`
	// Fresh and MaxAge (seconds) are what the provider was asked for.
	Fresh  bool   `json:"fresh,omitempty"`
	MaxAge *int64 `json:"max_age,omitempty"`
}

// SetWalk notes a walk in place of an earlier one.
func SetWalk(i *storage.Interaction, w *Walk) { setJSON(i, proofWalk, w) }

// TakeWalk returns the walk under way and removes it: an answer of a provider is looked at once. It is nil if there is none.
func TakeWalk(i *storage.Interaction) *Walk {
	w := getJSON[Walk](i, proofWalk)
	delete(i.Proofs, proofWalk)
	return w
}

// Sent are the ids of the providers for which MarkSent was called, each once.
func Sent(i *storage.Interaction) []string { return strings.Fields(i.Proofs[proofSent]) }

// MarkSent notes that the browser has been sent to a provider. It is not sent there again without being asked, or a provider that sends it back would keep it in a circle; nor to one
// after the other and back, so all of them are kept.
func MarkSent(i *storage.Interaction, upstream string) {
	if sent := Sent(i); !slices.Contains(sent, upstream) {
		Prove(i, proofSent, strings.Join(append(sent, upstream), " "))
	}
}

// PendingLink is an account at a provider whose address is that of a user here, and which waits for that user to sign in (security rows 172 and 174). It is worth nothing to
// anybody else.
type PendingLink struct {
	Subject    string `json:"subject"`
	Upstream   string `json:"upstream"`
	ExternalID string `json:"external_id"`
	Label      string `json:"label"`
	// Email is the address that both have.
	Email  string         `json:"email"`
	Claims map[string]any `json:"claims,omitempty"`
	// Gone are the claims that the provider decides about and told none of.
	Gone   []string `json:"gone,omitempty"`
	Tokens []byte   `json:"tokens,omitempty"`
	// At is when the provider vouched for the account: the proof must be younger.
	At time.Time `json:"at"`
}

// Pending returns the account that waits, nil if none does.
func Pending(i *storage.Interaction) *PendingLink { return getJSON[PendingLink](i, proofLink) }

// SetPending lets an account wait, nil none any more.
func SetPending(i *storage.Interaction, p *PendingLink) {
	if p == nil {
		delete(i.Proofs, proofLink)
		return
	}
	setJSON(i, proofLink, p)
}

// Next is where the browser goes on once a sign-in is done: a local path and its query.
func Next(i *storage.Interaction) (path string, query url.Values) {
	if p := Pending(i); p != nil && p.Subject == i.Subject {
		return "/upstream/" + url.PathEscape(p.Upstream) + "/finish", url.Values{"interaction": {i.ID}}
	}
	if i.Kind == storage.InteractionAccount { // the account page needs nothing of the interaction, which a sign-in has done with
		if id := i.Params.Get(ParamLink); id != "" {
			return ReturnLink, url.Values{"upstream": {id}}
		}
		if i.Params.Get(ParamUndone) != "" {
			return i.ReturnTo, url.Values{"done": {"nothing"}}
		}
		return i.ReturnTo, nil
	}
	return i.ReturnTo, url.Values{"interaction": {i.ID}}
}

func setJSON(i *storage.Interaction, name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic("interaction: " + err.Error()) // a program fault: the types are ours, and claims came from JSON
	}
	Prove(i, name, string(text))
}

func getJSON[T any](i *storage.Interaction, name string) *T {
	text := i.Proofs[name]
	if text == "" {
		return nil
	}
	v := new(T)
	if json.Unmarshal([]byte(text), v) != nil {
		return nil
	}
	return v
}
