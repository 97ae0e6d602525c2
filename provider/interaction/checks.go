package interaction

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/storage"
)

// stepUp and factorDue are the names of the checks of which a second factor is all that is missing.
const (
	stepUp    = "acr elsewhere"
	factorDue = "factor"
)

// Checks are the policy, in order: is the user of this interaction still active, is an account to be made first, who is there, was it proven recently enough, is it the right person, was it
// proven well enough, are the terms of this server accepted, and is it allowed. Every check after that of the session may rely on a session.
var Checks = []Check{
	{"user", "", "access_denied", "The user who signed in for this request is no longer active.", pinnedGone},
	{"create", StepSignUp, "interaction_required", "The request asks for a new account.", createPrompted},
	{"session", StepLogin, "login_required", "The user is not signed in.", noSession},
	{"pinned", StepLogin, "login_required", "Another user has signed in since this request began.", pinnedDiffers},
	{"prompt", StepLogin, "login_required", "The request asks for a new sign-in.", loginPrompted},
	{"max_age", StepLogin, "login_required", "The user signed in longer ago than max_age allows.", tooOld},
	{"id_token_hint", StepLogin, "login_required", "Another user is signed in than the one of id_token_hint, or of sub in the claims parameter.", hintDiffers},
	{"id_token_hint answered", "", "login_required", "Another user signed in than the one of id_token_hint, or of sub in the claims parameter.", hintDiffersStill},
	{stepUp, StepLogin, "unmet_authentication_requirements", "The user signed in with less than the essential acr values ask for.", acrElsewhere},
	{"factor nowhere", "", "unmet_authentication_requirements", "The client asks for a second factor, and there is none here.", func(s *State) bool { return s.FactorDue && s.FactorNowhere }},
	{factorDue, StepLogin, "interaction_required", "The client, or the server, asks for a second factor, and the user signed in without one.", func(s *State) bool { return s.FactorDue }},
	{"acr", "", "unmet_authentication_requirements", "None of the essential acr values can be reached here.", acrUnmet},
	{"terms", StepTerms, "interaction_required", "The user has not accepted the terms that are in force here.", func(s *State) bool { return s.TermsDue }},
	{"consent asked", StepConsent, "consent_required", "The user must be asked every time by this request or client.", consentPrompted},
	{"consent offline", StepConsent, "consent_required", "The user has not allowed this client access while they are away.", consentMissingOffline},
	{"consent", StepConsent, "consent_required", "The user has not allowed this request yet.", consentMissing},
}

// pinnedGone ends the request: the login page could only refuse this user again (security row 33).
func pinnedGone(s *State) bool { return s.PinnedGone }

// createPrompted leads to the sign-up page, whoever is signed in (OpenID Connect Prompt Create 1.0 section 4.1), until somebody has signed in for this request, with a new account or with an old one.
func createPrompted(s *State) bool {
	return slices.Contains(s.Prompt, "create") && (s.Session == nil || !s.signedInHere())
}

func noSession(s *State) bool { return s.Session == nil }

func pinnedDiffers(s *State) bool { return s.Pinned != "" && s.Session.Subject != s.Pinned }

// fresh tells whether the session's user signed in during this interaction. It compares stored times, never a flag that a URL could carry.
func (s *State) fresh() bool {
	return !s.Created.IsZero() && !s.Session.AuthTime.Before(s.Created.Truncate(time.Microsecond))
}

// signedInHere tells whether the session's user signed in during this interaction, also if a provider vouched for a sign-in that is older. It was held against max_age there and then.
func (s *State) signedInHere() bool {
	return s.fresh() || s.SignedIn != "" && s.SignedIn == s.Session.Subject
}

func loginPrompted(s *State) bool { return slices.Contains(s.Prompt, "login") && !s.fresh() }

// tooOld holds max_age against the time of the last sign-in; 0 always wants a new one. A sign-in of this interaction is recent enough, however
// long the user then reads the consent page.
func tooOld(s *State) bool {
	if s.MaxAge == nil || s.signedInHere() {
		return false
	}
	return *s.MaxAge <= 0 || s.Now.Sub(s.Session.AuthTime).Seconds() > float64(*s.MaxAge)
}

// Again tells whether a paused request wants a new sign-in of whoever has the session: by its prompt, its max_age or else that of its client, or in order to link an account. Whoever comes to
// the sign-in page for another reason may be somebody else.
func Again(i *storage.Interaction, session *storage.Session, defaultMaxAge *int64, now time.Time) bool {
	s := State{Prompt: strings.Fields(i.Params.Get("prompt")), MaxAge: defaultMaxAge, Session: session, Created: i.Created, SignedIn: i.Proofs[ProofLogin], Now: now}
	if limit, err := strconv.ParseInt(i.Params.Get("max_age"), 10, 64); err == nil {
		s.MaxAge = &limit
	}
	return i.Params.Get(ParamLink) != "" || loginPrompted(&s) || tooOld(&s)
}

func hintDiffers(s *State) bool { return hintMismatch(s) && !s.signedInHere() }

// hintDiffersStill ends a request whose user signed in as somebody else although a hint named the user: asking again would go round in circles.
func hintDiffersStill(s *State) bool { return hintMismatch(s) && s.signedInHere() }

func hintMismatch(s *State) bool {
	return len(s.HintSubjects) > 0 && !slices.Contains(s.HintSubjects, s.Session.Subject)
}

// acrElsewhere asks for more if a second factor, or a sign-in at a provider, may be good enough, until there was a sign-in in this interaction.
func acrElsewhere(s *State) bool {
	return acrUnmet(s) && s.SignedIn == "" && slices.ContainsFunc(s.EssentialACR, func(acr string) bool { return slices.Contains(s.ReachableACR, acr) })
}

// acrUnmet ends the request: signing in again could not help (security row 32).
func acrUnmet(s *State) bool {
	return len(s.EssentialACR) > 0 && !slices.Contains(s.EssentialACR, s.ACR)
}

// consentPrompted comes before the exception for first-party clients only where another program could pose as the client.
func consentPrompted(s *State) bool {
	if s.ConsentProof {
		return false
	}
	return s.AlwaysAsk || slices.Contains(s.Prompt, "consent") && !s.FirstParty
}

func consentMissingOffline(s *State) bool { return s.Offline && consentMissing(s) }

func consentMissing(s *State) bool { return !s.FirstParty && !s.Consented && !s.ConsentProof }
