// Package credential decides about passwords without knowing HTTP: how they are stored and checked, which ones are too weak to accept, and which typed
// e-mail addresses and user names mean the same account. It is ground: login and the command line call it, storage keeps what it encodes.
package credential
