package webtest

import (
	"fmt"
	"net/http"
	"strings"
)

// HeadFaults says what is wrong with the head of an answer of the server, whichever route gave it: a redirect is a 303 (security row 16), no address is told to another site (row 18), and nothing can be
// framed (row 28) but the frame of Session Management, which is made for that.
func HeadFaults(r *http.Response) (faults []string) {
	where := r.Request.Method + " " + r.Request.URL.Path
	if r.StatusCode >= 300 && r.StatusCode < 400 && r.StatusCode != http.StatusSeeOther && r.StatusCode != http.StatusNotModified {
		faults = append(faults, fmt.Sprintf("row 16: %s is answered by a redirect with %d", where, r.StatusCode))
	}
	if got := r.Header.Get("Referrer-Policy"); got != "no-referrer" && got != "same-origin" {
		faults = append(faults, fmt.Sprintf("row 18: %s has the Referrer-Policy %q", where, got))
	}
	policy, frame := r.Header.Get("Content-Security-Policy"), r.Header.Get("X-Frame-Options")
	if !strings.HasSuffix(r.Request.URL.Path, "/oauth2/check_session") && (!strings.Contains(policy, "frame-ancestors 'none'") || frame != "DENY") {
		faults = append(faults, fmt.Sprintf("row 28: %s can be framed: policy %q, X-Frame-Options %q", where, policy, frame))
	}
	return faults
}
