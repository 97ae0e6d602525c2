// Package transfer carries users from one system to another as lines of JSON: `gatehouse user import` reads them and `gatehouse user export` writes them. No request passes through it; it
// stands beside a running server on the same store.
package transfer
