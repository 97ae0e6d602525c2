// Package signin is the one place where a proof becomes a session. Features that prove who sits at the browser (login, federation, sign-up, recovery) hand their proof to Proven, which asks whether a
// second factor is due: then the proof waits in the interaction, and the browser goes to the page that takes the factor; else the session starts and the browser goes back to the request that waits.
// Factor and enrolment pages (package login) end in Complete.
package signin
