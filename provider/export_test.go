package provider

import "reflect"

// PasswordWork is credential.Passwords.Work, for tests that compare what answers cost.
func (p *Provider) PasswordWork() (hashes, rounds int64) { return p.passwords.Work() }

// Route is a path that the server answers on its public listener.
type Route struct {
	Methods []string
	// Page tells that people see the answer: a form goes there, or a redirect comes from there.
	Page bool
}

// Routes are all of them by path, so that a test which must forget none finds the new ones. Those with variables, or for everything below a path, have neither methods nor kind.
func (p *Provider) Routes() map[string]Route {
	mux, found := reflect.ValueOf(p.mux).Elem(), map[string]Route{}
	for paths := mux.FieldByName("patterns").MapRange(); paths.Next(); {
		found[paths.Key().String()] = Route{}
	}
	for rows := mux.FieldByName("exact").MapRange(); rows.Next(); {
		row := rows.Value().Elem()
		var route Route
		for handlers := row.FieldByName("handlers").MapRange(); handlers.Next(); {
			route.Methods = append(route.Methods, handlers.Key().String())
		}
		kind := row.FieldByName("kind").Uint()
		route.Page = kind >= 1 && kind <= 3 // kindPage, kindSelfPage, kindOpenPage
		found[rows.Key().String()] = route
	}
	return found
}
