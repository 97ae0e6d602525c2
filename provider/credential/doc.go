// Package credential decides about what people prove themselves with, without knowing HTTP: how passwords are stored and checked and which ones are too weak to accept, codes of
// authenticator apps, passkeys and security keys, recovery codes, and which typed e-mail addresses and user names mean the same account. It is ground: login, the account page and the command line
// call it, storage keeps what it encodes.
package credential
