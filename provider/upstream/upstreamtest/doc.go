// Package upstreamtest holds doubles of foreign providers for tests: an OpenID Provider and a GitHub, on loopback, honest by default and dishonest where a test asks for it. They
// share no code with the drivers.
package upstreamtest
