// Command gatehouse is the server and everything an operator does beside it. The program is a value: main only hands it arguments,
// environment and streams, so that tests boot it as it is. Each file is one noun of the command line; wire.go is the one place where concrete
// types meet, and serve.go the one that listens.
//
// The exit code is 0 if the work is done, 1 if it could not be done, and 2 if the command line or the configuration is wrong.
package main
