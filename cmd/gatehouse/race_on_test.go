//go:build race

package main

import "time"

// promise is a second on a machine that is not slowed down by the race detector.
const promise = 3 * time.Second
