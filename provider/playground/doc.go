// Package playground is the demo application of `serve --dev`: a relying party inside the binary that shows what any application would do, step by
// step. It is mounted on the server's own listener, but it meets the server as everyone does: by discovery and over HTTP, with its own cookie
// and its own small session store in memory. It never runs without --dev.
package playground
