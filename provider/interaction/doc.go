// Package interaction holds what an authorization request waits for. Decide is the policy: a pure table of checks that says which step is
// missing, or which error prompt=none gets. Flows keeps a paused request in storage, bound to the browser that began it, while login and consent prove
// what is missing and send the browser back. It stands below the features, which meet only through the id of an interaction.
package interaction
