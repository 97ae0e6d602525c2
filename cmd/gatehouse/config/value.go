package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Limit is a rate: Count at once, and again Count spread over each Per. The zero Limit is off. It is written "30/10m"; "0" is off.
type Limit struct {
	Count int
	Per   time.Duration
}

func (l Limit) String() string {
	if l.Count == 0 {
		return "0"
	}
	return strconv.Itoa(l.Count) + "/" + FormatDuration(l.Per)
}

// ParseLimit reads the form of Limit.
func ParseLimit(text string) (Limit, error) {
	if text == "0" {
		return Limit{}, nil
	}
	count, per, found := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if !found || err != nil || n < 1 || n > 1_000_000 {
		return Limit{}, errors.New("is no rate; write COUNT/TIME such as 30/10m, or 0 for no limit")
	}
	d, err := ParseDuration(per)
	if err != nil || d < time.Second || d > day {
		return Limit{}, errors.New("is no rate; the time must be between 1s and 1d, as in 30/10m")
	}
	return Limit{n, d}, nil
}

// ParseDuration reads a Go duration with d for days in front, such as 90d, 1d12h, 10m or 0.
func ParseDuration(text string) (time.Duration, error) {
	bad := errors.New("is no duration; write a number with a unit, such as 30s, 10m, 12h or 90d")
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, bad
		}
		return d, nil
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, bad
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 {
		return 0, bad
	}
	return d + more, nil
}

// FormatDuration writes what ParseDuration reads, in the largest units: 90d, 12h, 1h30m.
func FormatDuration(d time.Duration) string {
	if d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	limitType    = reflect.TypeFor[Limit]()
)

// assign stores raw, as YAML or the environment gave it, in the field v. The error reads as the second half of a sentence about the value.
func assign(v reflect.Value, raw any) error {
	switch {
	case raw == nil: // "key:" with nothing behind it keeps the default
		return nil
	case v.Type() == durationType:
		d, err := ParseDuration(scalar(raw))
		v.SetInt(int64(d))
		return err
	case v.Type() == limitType:
		l, err := ParseLimit(scalar(raw))
		v.Set(reflect.ValueOf(l))
		return err
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		return assignStructs(v, raw)
	case v.Kind() == reflect.Slice:
		return assignStrings(v, raw)
	}
	text := scalar(raw)
	switch v.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("is neither true nor false")
		}
		v.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is no whole number")
		}
		v.SetInt(int64(n))
	default:
		if !isScalar(raw) {
			return errors.New("must be a single value, not a list or a map")
		}
		v.SetString(text)
	}
	return nil
}

// assignStrings takes a YAML list, or text with commas or line ends between the values.
func assignStrings(v reflect.Value, raw any) error {
	var out []string
	switch raw := raw.(type) {
	case []any:
		for _, item := range raw {
			if !isScalar(item) {
				return errors.New("must be a list of single values")
			}
			out = append(out, scalar(item))
		}
	case string:
		for _, item := range strings.FieldsFunc(raw, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
	default:
		return errors.New("must be a list, such as [a, b]")
	}
	v.Set(reflect.ValueOf(out))
	return nil
}

// assignStructs takes a YAML list of maps, or the same as JSON text from the environment.
func assignStructs(v reflect.Value, raw any) error {
	if text, ok := raw.(string); ok {
		var list []any
		if json.Unmarshal([]byte(text), &list) != nil {
			return errors.New("must be a JSON list of objects")
		}
		raw = list
	}
	list, ok := raw.([]any)
	if !ok {
		return errors.New("must be a list of maps")
	}
	if len(list) == 0 {
		v.SetZero()
		return nil
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("must be a list of maps; item %d is none", i+1)
		}
		if err := assignFields(out.Index(i), fields); err != nil {
			return fmt.Errorf("has a fault in item %d: %w", i+1, err)
		}
	}
	v.Set(out)
	return nil
}

func assignFields(v reflect.Value, fields map[string]any) error {
	known := leaves("", v)
	var errs []error
	for name, raw := range fields {
		i := indexKey(known, name)
		if i < 0 {
			errs = append(errs, fmt.Errorf("%s is no key here; known are %s", name, keyNames(known)))
			continue
		}
		if err := assign(known[i].value, raw); err != nil {
			errs = append(errs, fmt.Errorf("%s %q %w", name, scalar(raw), err))
		}
	}
	return errors.Join(errs...)
}

func isScalar(raw any) bool {
	switch raw.(type) {
	case []any, map[string]any:
		return false
	}
	return true
}

// scalar is the text of a value. YAML reads 8080 and true as other types than "8080"; both are fine.
func scalar(raw any) string {
	if text, ok := raw.(string); ok {
		return text
	}
	return fmt.Sprint(raw)
}
