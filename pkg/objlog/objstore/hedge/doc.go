// Package hedge sends a request a second time when the first takes unusually long, and takes the answer that comes first.
// Stores answer most requests within milliseconds and some within a second, for reasons of their own that a second request
// rarely meets (Dean and Barroso, "The Tail at Scale", CACM 2013).
//
// # Concepts
//
// A [Policy] knows how long requests of one kind took lately, and so from when on one is slow: twice the 95th percentile, but 50 ms
// at least. It has a budget too: one second request for twenty first ones, five saved up at most. So a store where everything became
// slow, or that asks to slow down, is not asked for more.
//
// [Reads] wraps a store whose ranged reads are hedged. Writes are hedged by who names the objects, since a second copy needs a name of
// its own: a store may hold up the second PUT of a key until it is done with the first (MinIO locks the key). See appender.
//
// # Invariants
//
//  1. Do returns only when neither request runs any more: what they read and write is the caller's again.
//  2. At most one request in twenty is sent twice, over time.
//  3. Do is done without an error if one of the requests is.
//
// # Concurrency
//
// All methods may be called concurrently. A policy's lock is held for no request. There is no goroutine but that of a second request.
package hedge
