// Package appender is an agent's write path: it batches the produce requests of all partitions into segment objects,
// uploads them in parallel, and has them committed in order.
//
// # Concepts
//
// A request is what one Append brought. Requests gather in the buffer; a flush takes the whole buffer, gets the next
// number of the writer session, and becomes one object. PUTs of several flushes run at a time; commits are sent in the
// order of the numbers, without waiting for the answer to the one before. A request is answered when its flush's commit
// is.
//
// # Invariants
//
//	P1 no request is answered with success before its object is in the bucket and its commit is confirmed.
//	P2 done is called exactly once for each Append.
//	P3 commits of a session are sent in the order of their numbers; a number that will never be committed is named as
//	   abandoned by the next commit.
//	P4 nothing is acked over a hole: when a flush fails, the later flushes that share a partition with it fail too, with a
//	   retriable error, and so do later batches of the failed producers until they come again from the failed sequence on.
//	P5 a commit whose fate is unknown is sent again, unchanged, until it is known, or until the session is ended by
//	   opening another, after which it cannot take effect any more.
//	P6 at most Config.BufferBytes of requests are held; Append blocks beyond.
//
// # Crash points and races
//
// (1) The agent dies before the PUT: nothing happened; the client sends again elsewhere. (2) Between PUT and commit: the
// object is named by no event; its session is fenced when the agent comes back. (3) Commit sent, answer lost: the same
// request again gets the same offsets, from the session's stored results. (4) The agent is paused for an hour between
// PUT and commit: the commit is accepted if the session still stands; the client has long sent the batch again, and
// whichever came second is found to be a duplicate. (5) The coordinator's leader changes: commits n and n+1 are under
// way; n fails, n+1 reaches the new leader, which refuses it because n is missing; both are sent again, in order.
package appender
