// Package ratelimit decides how often something may happen: a pure function (GCRA) over one stored time for each key. It is a leaf; login and the
// protocol endpoints ask it before they work, and the store behind it is the shared database or, for what need not be shared, the memory of one node.
package ratelimit
