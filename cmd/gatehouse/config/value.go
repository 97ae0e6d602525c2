package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
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

// itemFault is what is wrong with a field of an item of a list, counted from 0.
type itemFault struct {
	item         int
	id           string // of the item, if it has one
	field        string
	problem, fix string
}

// itemFaults are all of a list.
type itemFaults []itemFault

func (fs itemFaults) Error() string { return strconv.Itoa(len(fs)) + " faults in items" }

// listOfItems tells a list of structs, whose keys the tree does not hold.
func listOfItems(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// assignStructs takes a YAML list of maps, or the same as JSON text from the environment. What is good of the items is stored even if there are faults.
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
	var faults itemFaults
	for i, item := range list {
		fields, ok := item.(map[string]any)
		if !ok {
			return fmt.Errorf("must be a list of maps; item %d is none", i+1)
		}
		faults = append(faults, assignFields(i, out.Index(i), fields)...)
	}
	v.Set(out)
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// withDefaults is an item whose fields are not all empty unless they are set.
type withDefaults interface{ setDefaults() }

// assignFields fills item i of a list.
func assignFields(i int, v reflect.Value, fields map[string]any) itemFaults {
	if d, ok := v.Addr().Interface().(withDefaults); ok {
		d.setDefaults()
	}
	known := leaves("", v)
	id, _ := fields["id"].(string)
	var faults itemFaults
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		k := indexKey(known, name)
		if k < 0 {
			fault := itemFault{i, id, name, "is no key here", "known are " + keyNames(known)}
			if best := nearest(name, known, func(l leaf) string { return l.key }); best != "" {
				fault.fix = "did you mean " + best + "?"
			}
			faults = append(faults, fault)
			continue
		}
		if err := assignField(known[k].value, fields[name]); err != nil {
			problem := err.Error()
			if !known[k].secret && isScalar(fields[name]) {
				problem = strconv.Quote(scalar(fields[name])) + " " + problem
			}
			faults = append(faults, itemFault{i, id, name, problem, ""})
		}
	}
	return faults
}

// assignField stores a value of an item. Text must be written as text there: a secret or an id of digits alone would arrive as another number.
func assignField(v reflect.Value, raw any) error {
	_, text := raw.(string)
	switch {
	case raw == nil:
		return nil
	case v.Kind() == reflect.String && !text && isScalar(raw):
		return errNoText
	case v.Kind() == reflect.Map:
		return assignMap(v, raw)
	}
	return assign(v, raw)
}

var errNoText = errors.New("must be text; put it into quotes")

// assignMap takes a map of text, or of lists of text.
func assignMap(v reflect.Value, raw any) error {
	members, ok := raw.(map[string]any)
	if !ok {
		return errors.New("must be a map whose keys are text")
	}
	out := reflect.MakeMap(v.Type())
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := assignMember(value, members[name]); err != nil {
			return fmt.Errorf("holds %q, which %w", name, err)
		}
		out.SetMapIndex(reflect.ValueOf(name), value)
	}
	v.Set(out)
	return nil
}

func assignMember(v reflect.Value, raw any) error {
	if v.Kind() == reflect.String {
		text, ok := raw.(string)
		if !ok {
			return errNoText
		}
		v.SetString(text)
		return nil
	}
	list, ok := raw.([]any) // text is not split here: the names of groups may hold commas
	if !ok {
		return errors.New("must be a list, such as [a, b]")
	}
	for _, item := range list {
		if _, ok := item.(string); !ok {
			return errors.New("must be a list of text; put its values into quotes")
		}
	}
	return assignStrings(v, raw)
}

func isScalar(raw any) bool {
	switch raw.(type) {
	case []any, map[string]any, map[any]any:
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
