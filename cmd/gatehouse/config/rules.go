package config

import (
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func hostOrPrefix(text string) bool {
	if _, ok := prefix(text); ok {
		return true
	}
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return false
		}
		host = h
	}
	return host != "" && !strings.ContainsAny(host, "/ @*?#%")
}

// absoluteURI is what RFC 8707 section 2 asks of a resource.
func absoluteURI(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") && !strings.Contains(text, "#") && u.User == nil
}

func (l *loader) between(key string, d, low, high time.Duration) {
	if (d < low || d > high) && !l.broken(key) {
		l.fault(key, "is not between "+FormatDuration(low)+" and "+FormatDuration(high), "choose a time within these bounds")
	}
}

func (l *loader) notAbove(key string, d time.Duration, limitKey string, limit time.Duration) {
	if d > limit && !l.broken(key) && !l.broken(limitKey) {
		l.fault(key, "is longer than "+limitKey+" ("+FormatDuration(limit)+")", "shorten it, or lengthen the other")
	}
}

func (l *loader) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) && !l.broken(key) {
		l.fault(key, "is not one of the values known here", "write "+strings.Join(allowed, ", "))
	}
}

// text is a value as an operator writes it.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return FormatDuration(x)
	case []string:
		return strings.Join(x, ",")
	default:
		if listOfItems(v.Type()) {
			return ""
		}
		return scalar(x)
	}
}

func (l *loader) checkLimits() {
	c := l.config
	if n := c.Limits.LoginFailures; n < 0 || n > 900 || n > 0 && n <= c.Limits.LoginAccount.Count {
		l.fault("limits.login_failures", "is not between 0 and 900, or not above the count of limits.login_account", "write 100, or 0 for no limit")
	}
	if n := c.Limits.FactorChallenge; n < 1 || n > 20 {
		l.fault("limits.factor_challenge", "is not between 1 and 20", "5 is enough for people who mistype a code")
	}
	if n := c.Limits.HashPool; n < 0 || n > 256 {
		l.fault("limits.hash_pool", "is not between 0 and 256", "write 0 for one hash per core")
	}
	if n := c.Limits.HashQueue; n < 1 || n > 100 {
		l.fault("limits.hash_queue", "is not between 1 and 100", "write 8; a longer queue only makes people wait longer before they are told")
	}
}
