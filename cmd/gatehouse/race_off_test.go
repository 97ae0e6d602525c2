//go:build !race

package main

import "time"

// promise is how soon a running server follows the command line.
const promise = time.Second
