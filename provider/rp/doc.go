// Package rp is a headless relying party: what an application does with an OpenID Provider, without the application. It finds everything by
// discovery and checks everything that a relying party owes to check. It is on the other side of the wire: it shares no code with the server
// and talks to it, or to any other provider, over HTTP only. The playground of --dev, `gatehouse bench`, `gatehouse doctor`
// and tests stand on it.
package rp
