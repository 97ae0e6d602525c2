// Package useragent reads a browser and a system out of a User-Agent header, in words that people know their devices by. It is a leaf: the account page and mails
// show what it says. Nothing is decided by it: anybody can send any header.
package useragent
