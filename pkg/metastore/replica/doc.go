// Package replica keeps a state in step with the metalog: it loads the newest snapshot, applies the archive and the
// log behind it, and follows.
//
// # Invariants
//
//	R1 A replica applies each entry once, in order, with its hash chain checked; on a break it starts over from the
//	   snapshot and never goes on with a state that contradicts the log.
//	R2 WaitFor(seq) returns nil only once the entry is applied, of the log that there is: what was acked below seq is visible.
//	R3 Readers never wait for an apply; they read immutable parts of the state (see package state).
//
// # Concurrency
//
// Run is the applying goroutine. With borrows the state between two applies for what only that goroutine may read.
package replica
