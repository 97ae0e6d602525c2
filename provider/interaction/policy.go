package interaction

import (
	"slices"
	"time"

	"gatehouse/storage"
)

// State is everything that the policy looks at.
type State struct {
	Now time.Time
	// Created is when the interaction began; zero for a request that has none yet. What was proven from then on counts as proven for this request.
	Created time.Time
	// Prompt, MaxAge (seconds, nil if absent) and HintSubjects (those who may answer; empty means anybody) come from the request (OpenID Connect Core sections 3.1.2.1
	// and 5.5.1).
	Prompt       []string
	MaxAge       *int64
	HintSubjects []string
	// Session is the browser's session, nil if there is none.
	Session *storage.Session
	// Pinned is the subject whose login this interaction has seen, empty before. PinnedGone tells that this user is disabled or deleted by now.
	Pinned     string
	PinnedGone bool
	// SignedIn is the subject who signed in for this interaction, empty before (ProofLogin).
	SignedIn string
	// Consented tells that the stored consent covers the request; ConsentProof that the session's user allowed it in this interaction.
	Consented    bool
	ConsentProof bool
	// AlwaysAsk is true for clients that another program could impersonate (RFC 8252 section 8.6).
	AlwaysAsk bool
	// FirstParty clients belong to the operator: their users are not asked.
	FirstParty bool
	// ACR is what the session has, EssentialACR the values of which the request needs one; empty means none is needed.
	ACR          string
	EssentialACR []string
	// FactorDue tells that policy wants a second factor of this user for this client, and the session was begun without.
	FactorDue bool
	// FactorNowhere tells that there is no kind of second factor, so that one which is due cannot be shown.
	FactorNowhere bool
	// TermsDue tells that the session's user has not accepted the terms that are in force here.
	TermsDue bool
	// ReachableACR are the values that a sign-in elsewhere may give, beyond that of the sign-in page itself.
	ReachableACR []string
	// Offline tells that offline_access is asked for.
	Offline bool
}

// Step is a page that proves one thing.
type Step string

// The steps.
const (
	StepLogin   Step = "login"
	StepConsent Step = "consent"
	StepSignUp  Step = "signup"
	StepTerms   Step = "terms"
)

// Outcome is what happens next. With neither Step nor Error the request may be granted.
type Outcome struct {
	Step Step
	// Error is the OAuth error that ends the request: with prompt=none instead of a step, else only where no step can help.
	Error string
	// Reason explains Step or Error to a developer, in printable ASCII.
	Reason string
	// StepUp tells that nothing is missing but strength: a second factor beside the session is enough.
	StepUp bool
}

// Check is one reason why a request cannot be granted yet. Needed is pure. A check without Step ends the request.
type Check struct {
	Name   string
	Step   Step
	Error  string
	Reason string
	Needed func(*State) bool
}

// Decide returns the first missing step in the order of Checks.
func Decide(s State) Outcome {
	silent := slices.Contains(s.Prompt, "none")
	for _, check := range Checks {
		if !check.Needed(&s) {
			continue
		}
		if silent || check.Step == "" {
			return Outcome{Error: check.Error, Reason: check.Reason}
		}
		return Outcome{Step: check.Step, Reason: check.Reason, StepUp: check.Name == stepUp || check.Name == factorDue}
	}
	return Outcome{}
}
