// Package replica keeps a state in step with the metalog: it loads the newest snapshot, applies the archive and the
// log behind it, and follows.
//
// # Invariants
//
//	R1 A replica applies each entry once, in order, with its hash chain checked; on a break it starts over from the
//	   snapshot and never goes on with a state that contradicts the log.
//	R2 WaitFor(point) returns nil only while the state is of the point's incarnation and has its entry: what was acked up to the
//	   point is visible, and nothing of an incarnation that was lost is. A loaded state has an incarnation. An etcd that was set
//	   back keeps it: then WaitFor returns nothing from when the replica notices until it has loaded the log anew.
//	R3 Readers never wait for an apply; they read immutable parts of the state (see package state).
//
// # Concurrency
//
// Run is the applying goroutine. With borrows the state between two applies for what only that goroutine may read.
package replica
