package memory

import (
	"encoding/json"
	"reflect"
	"time"
)

// micro is what every backend makes of a time: UTC, whole microseconds.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// clone returns a deep copy of a record with all its times truncated, so that neither side sees what the other does to its own and a new field cannot be forgotten.
func clone[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	copyInto(out, reflect.ValueOf(&v).Elem())
	return out.Interface().(T)
}

func copyInto(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(src.Type().Elem()))
			copyInto(dst.Elem(), src.Elem())
		}
	case reflect.Slice:
		if !src.IsNil() {
			dst.Set(reflect.MakeSlice(src.Type(), src.Len(), src.Len()))
			copyItems(dst, src)
		}
	case reflect.Map:
		if !src.IsNil() {
			dst.Set(reflect.MakeMapWithSize(src.Type(), src.Len()))
			copyEntries(dst, src)
		}
	case reflect.Interface:
		if !src.IsNil() {
			value := reflect.New(src.Elem().Type()).Elem()
			copyInto(value, src.Elem())
			dst.Set(value)
		}
	case reflect.Struct:
		copyStruct(dst, src)
	default:
		dst.Set(src)
	}
}

// deep tells whether a value of the kind can hold what a copy of it would share, or a time.
func deep(k reflect.Kind) bool {
	return k == reflect.Pointer || k == reflect.Slice || k == reflect.Map || k == reflect.Interface || k == reflect.Struct
}

func copyItems(dst, src reflect.Value) {
	if !deep(src.Type().Elem().Kind()) {
		reflect.Copy(dst, src)
		return
	}
	for i := range src.Len() {
		copyInto(dst.Index(i), src.Index(i))
	}
}

func copyEntries(dst, src reflect.Value) {
	for entry := src.MapRange(); entry.Next(); {
		value := reflect.New(src.Type().Elem()).Elem()
		copyInto(value, entry.Value())
		dst.SetMapIndex(entry.Key(), value)
	}
}

func copyStruct(dst, src reflect.Value) {
	dst.Set(src)
	if at, ok := dst.Addr().Interface().(*time.Time); ok {
		*at = micro(*at)
		return
	}
	for i := range src.NumField() {
		if field := dst.Field(i); deep(field.Kind()) {
			copyInto(field, src.Field(i))
		}
	}
}

// claims brings claims into the types that JSON gives them, as a database does.
func claims(in map[string]any) map[string]any {
	if in == nil {
		return nil
	}
	body, err := json.Marshal(in)
	must(err == nil, "claims that are not JSON: %v", err)
	var out map[string]any
	must(json.Unmarshal(body, &out) == nil, "claims that are not a JSON object")
	return out
}
