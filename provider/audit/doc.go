// Package audit says who did what: one structured line of the log for each event. It is a leaf; features record, the log carries. What must be
// provable after a crash is provable from its own row (the grant, the revocation, the consent), not from here.
package audit
