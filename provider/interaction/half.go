package interaction

import (
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// What a sign-in keeps in an interaction: the part that is proven while the second factor is not, and how strong the request wants it to be.

const (
	proofHalf   = "half"
	proofDemand = "acr"
)

// Half is a sign-in of which the first factor is proven. It is no session and opens nothing (security row 156).
type Half struct {
	Subject string `json:"sub"`
	// Epoch is the user's when the first factor was proven: once it is another, the half is worth nothing.
	Epoch int64    `json:"epoch"`
	AMR   []string `json:"amr"`
	ACR   string   `json:"acr"`
	// AuthTime is when the person was last asked, zero for now.
	AuthTime time.Time `json:"auth_time,omitzero"`
	// Upstream, ExternalID, UpstreamSID and UpstreamToken are those of storage.Session.
	Upstream      string `json:"upstream,omitempty"`
	ExternalID    string `json:"external_id,omitempty"`
	UpstreamSID   string `json:"upstream_sid,omitempty"`
	UpstreamToken []byte `json:"upstream_token,omitempty"`
	Remember      bool   `json:"remember,omitempty"`
	// Enrol tells that the person has no second factor yet and must get one first.
	Enrol bool `json:"enrol,omitempty"`
	// StepUp tells that the first factor is that of the session.
	StepUp bool `json:"step_up,omitempty"`
	// Tries counts the codes that were tried.
	Tries int `json:"tries,omitempty"`
}

// SetHalf keeps a half sign-in in place of an earlier one, nil none.
func SetHalf(i *storage.Interaction, h *Half) {
	if h == nil {
		delete(i.Proofs, proofHalf)
		return
	}
	setJSON(i, proofHalf, h)
}

// HalfOf returns the half sign-in, nil if there is none.
func HalfOf(i *storage.Interaction) *Half { return getJSON[Half](i, proofHalf) }

// Demand notes that the request is only content with one of the acr values (OpenID Connect Core section 5.5.1.1). It belongs to the request, whoever signs in.
func Demand(i *storage.Interaction, values []string) {
	if len(values) > 0 {
		Prove(i, proofDemand, strings.Join(values, " "))
	}
}

// Demanded returns the acr values of Demand.
func Demanded(i *storage.Interaction) []string { return strings.Fields(i.Proofs[proofDemand]) }

// Content tells whether a sign-in with acr is strong enough for the request.
func Content(i *storage.Interaction, acr string) bool {
	values := Demanded(i)
	return len(values) == 0 || slices.Contains(values, acr)
}
