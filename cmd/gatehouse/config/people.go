package config

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/provider/claims"
	"gatehouse/provider/place"
)

func (l *loader) checkAccount(s Source) {
	for _, claim := range l.config.Account.EditableClaims {
		if !slices.Contains(claims.Own, claim) {
			l.fault("account.editable_claims", strconv.Quote(claim)+" is no claim that people can change themselves", "name some of "+strings.Join(claims.Own, ", "))
		}
	}
	if file := l.config.Account.Places; file != "" && s.Serve {
		if _, err := place.Open(place.Options{File: file}); err != nil {
			l.fault("account.places", "cannot be used: "+err.Error(), "name a database of cities or countries in the MaxMind DB format, such as GeoLite2-City.mmdb, or leave it empty")
		}
	}
}

func (l *loader) checkFactors() {
	f, remember := l.config.Factors, l.config.Sessions.Remember
	l.oneOf("factors.required", f.Required, "optional", "everyone")
	if f.Required == "everyone" && !f.TOTP && !f.Passkeys {
		l.fault("factors.required", "asks everybody for a second factor, and there is none", "set factors.totp or factors.passkeys, or write optional")
	}
	if f.TrustDevice != 0 {
		l.between("factors.trust_device", f.TrustDevice, time.Hour, 90*day)
	}
	if remember != 0 {
		l.between("sessions.remember", remember, time.Hour, 90*day)
	}
}
