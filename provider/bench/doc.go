// Package bench is the engine of `gatehouse bench`: it drives an OpenID Provider from outside, by discovery, with a fixed number of workers on
// kept-alive connections, verifies every answer, and measures rate, latency and, given process ids, the CPU time that an operation costs the
// server and its database. Costs are also told as ratios to a bare net/http handler and to one RSA-2048 signature, measured in the same run on
// the same machine, because milliseconds alone say more about the machine than about the server.
package bench
