package credential

import "strings"

// Exported writes an encoded password as Restore reads it: the hash of another system as that system wrote it, our own encoding as it is.
func Exported(encoded string) string {
	if strings.HasPrefix(encoded, schemePeppered+":") {
		return encoded
	}
	_, hash, _ := strings.Cut(encoded, ":")
	return hash
}

// Restore is Imported, and also takes our own encoding if its pepper is that of this database.
func (p *Passwords) Restore(hash string) (encoded string, err error) {
	if !strings.HasPrefix(hash, schemePeppered+":") {
		return Imported(hash)
	}
	pep := p.pepper.Load()
	if pep == nil {
		return "", errNotLoaded
	}
	if _, err := p.parse(hash, "", pep); err != nil {
		return "", err
	}
	return hash, nil
}

// Upgraded tells whether a stored password has been encoded anew since it came as encoded from another system: its user has signed in.
func Upgraded(stored, encoded string) bool {
	return strings.HasPrefix(stored, schemePeppered+":") && !strings.HasPrefix(encoded, schemePeppered+":")
}
