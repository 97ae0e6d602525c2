// Package keystest makes the signing keys of servers under test: an RSA key takes longer than all else that a server does at its start.
package keystest

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
)

// bits is the size of the keys on the shelf, keys.Options.RSABits of a server that does not say otherwise.
const bits = 2048

var shelf struct {
	sync.Mutex
	keys [16]*rsa.PrivateKey // made when first taken
	next int                 // where the next store begins
}

// RSA returns a keys.Options.RSAKey for the nodes of one store. Its first keys come from a shelf of the whole process, each once; the keys after those, and of
// another size, are new. Two stores that follow each other begin with different keys.
func RSA() func(size int) (*rsa.PrivateKey, error) {
	shelf.Lock()
	defer shelf.Unlock()
	start, taken := shelf.next, 0
	shelf.next += 3 // an active key, the next one, one to spare
	return func(size int) (*rsa.PrivateKey, error) {
		shelf.Lock()
		defer shelf.Unlock()
		if size != bits || taken == len(shelf.keys) {
			return rsa.GenerateKey(rand.Reader, size)
		}
		place := &shelf.keys[(start+taken)%len(shelf.keys)]
		if *place == nil {
			key, err := rsa.GenerateKey(rand.Reader, size)
			if err != nil {
				return nil, err
			}
			*place = key
		}
		taken++
		return *place, nil
	}
}
