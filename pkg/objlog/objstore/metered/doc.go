// Package metered wraps a store and tells Prometheus of its calls: how many there are and how they end, how long they take, how
// many bytes they move, and what the store's owner is billed for them, by a price table.
//
// What holds:
//
//	O1. The wrapper changes nothing: arguments, results and errors are the inner store's.
//	O2. Every series is there from the start, so that a rate is 0 before the first call, not missing. There are at most 2 buckets x
//	    6 operations x 7 outcomes of them.
//	O3. A call allocates nothing here and takes no lock.
//	O4. The cost is an estimate. A call is one of the interface: what a backend repeats by itself is billed and not seen here. A call that
//	    fails counts as billed, one that was given up too (the loser of a hedge has reached the store), but for unavailable.
//
// Package counting counts for golden tests, without Prometheus.
package metered
