// Package fetcher reads spans out of the bucket, through a cache.
//
// # Concepts
//
// A block is the batches of one span: read by one ranged GET, checked, and patched with the offsets and the leader epoch
// that they have in their partition. Blocks are cached under (object, position), the least recently used going first.
//
// # Invariants
//
//	F1 a block's bytes are written before it is shared and never again: what Read returns may be kept and sent, not changed.
//	F2 no batch is returned whose CRC was not checked when its block was made.
//	F3 at most CacheBytes are held, by blocks in the table, blocks that readers hold (leases) though they are there no more, and loads under
//	   way; a block above that is returned but not kept. When readers hold it all, who holds nothing waits, and others get ErrNoRoom.
//	F4 of readers that miss one block at one time, one asks the store; its end of patience is not the others'.
//	F5 a block counts for the base offset, epoch and length that it was made for. Asked for others, it is read anew.
//	F6 what is loaded ahead of its readers gives no error and takes no room that readers hold, and at most half of the cache until it
//	   is asked for, besides the buffers of GETs of several spans while they are filled: a load that fails is given up, and who needs
//	   the span asks the store.
//	F7 what this process writes is kept for its first reader, if that is asked for, in at most a quarter of the cache. A copy is checked and
//	   patched as what comes from the bucket is, by what the metalog says of the span; if it does not fit, the bucket is asked.
//
// # Concurrency
//
// All methods may be called concurrently, but none after Close. The first reader that misses loads for those that wait for it; only
// loads ahead have goroutines, which end with Close. The race of a loader that gives up, as a walk:
//
//  1. A misses and loads; B misses and waits for A.
//  2. A's ctx ends, and its GET with it. A takes its load off the table, marks it as given up, and wakes B.
//  3. B looks again: no block, no load. B loads by itself. Had C come in between, B would wait for C.
//
// # Failure
//
// base.ErrNotFound (the object was merged away: look the span up again), base.ErrUnavailable and ctx's end pass through.
// Bytes that are not what the metalog says are base.ErrCorrupt, with object and position. Errors are not cached.
//
// # Non-goals
//
// Hedging, a pool of its own for cold reads.
package fetcher
