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
//	P4 nothing is acked over a hole: when a flush fails, so do the batches of its partitions in later flushes, whose other
//	   partitions stand, and the buffered requests that have such a batch; and so do, for some seconds, later batches of
//	   the failed producers until they come again from the failed sequence on. All that with retriable errors.
//	P5 a commit whose fate is unknown is sent again, unchanged, until it is known, or until the session is ended by
//	   opening another, after which it cannot take effect any more.
//	P6 at most Config.BufferBytes of requests are held; Append blocks beyond.
//	P7 a batch's bytes are read by nobody once done was called: who fails while its upload runs is answered after that.
//
// # Concurrency
//
// All state belongs to one goroutine, the loop. Uploads and the opening of a session run beside it, joined by Run, and
// report through a mailbox, as the committer's answers do. done is called by the loop (or by Append, when it refuses).
//
// # Crash points and races
//
//  1. The agent dies before the PUT: nothing happened; the client sends again, here or elsewhere.
//
//  2. It dies between PUT and commit: no event names the object; its session is fenced when the agent comes back, and
//     the object is garbage.
//
//  3. The commit was sent and its answer is lost: the same request again gets the same offsets, from the session's stored
//     results. They are kept, as ResolvedBelow is at most the number of the oldest flush not answered.
//
//  4. The agent is paused between PUT and commit, or between the commit and its answer, for longer than ProduceTimeout:
//     when it goes on, the commit is sent as if nothing had been, and accepted if the session still stands. The client has sent the batch again meanwhile; whichever came second is found to be a duplicate, if it has a producer id.
//
//  5. The coordinator's leader changes while commits n and n+1 are under way: n fails, and n+1 reaches the new leader,
//     which refuses it because n is missing. Only the first unanswered commit's word on the session counts: n+1
//     waits, and when all answers are in, both are sent again, in order, unchanged.
//
//  6. n took effect, its answer was lost, and n+1 succeeded: n+1 is answered, n is sent again and gets its stored result.
//
//  7. PUT n fails while PUTs n+1 and n+2, of the same partition, run or are done: neither was sent for commit, as none
//     passes n. Their extents of that partition are committed without batches; if none is left, their numbers are
//     abandoned. An answer to a PUT that was given up may be wrong: the object appears later under an abandoned number,
//     which is below the floor, so that it is garbage, and no number is used twice.
//
//  8. A producer has five batches in flight and the second fails: the third is in a flush (7), the fourth in the buffer and
//     fails with it, the fifth is still in the client's connection. Its sequence is held back until the second has come
//     again: see poison.
//
//  9. Commit n is not answered for ProduceTimeout: its requests fail, though it may have taken effect, or may still do so.
//     The next session is opened before anything else is committed and fences this one. From then on n took effect or
//     never will, and the client's second attempt is judged after that.
//
//  10. A topic is shadowed here and about to be flipped; a producer is here already, with batches k and k+1 in flight. k is
//     judged before the flip and refused. Were k+1 judged after it, it would be taken as the one batch that may leave a
//     gap, and k lost to its client as out of order. So: a flip fences all sessions, which fails what was sent to the
//     sequencer before it, and what was to be sent under the same session; a refusal fails what is buffered behind it; and
//     it is noted, here and for what was refused before it came here (Refuse), so that what is still in the connection
//     waits for k.
//
//  11. PUT n takes unusually long, and Config.Hedge is set: its flush has number n+1 too, and the same batches are put under it. Were the next flush's
//     number taken instead, commits would not be in the order of the flushes any more. The first PUT that succeeds gives the object, and ends the
//     other one, whose number is abandoned: below it, by this commit, above it, by the next. What is stored under that number, now or later, is
//     garbage. If the commit's answer is lost, the same number is committed again.
//
// # Failure
//
// Whatever may pass by itself is retried until ProduceTimeout after a request came. The appender never dies: without a
// bucket or a coordinator, requests fail one after the other.
//
// # Non-goals
//
// Waiting for the last flushes when Run's ctx ends (they fail and are sent again); order between the
// connections of a producer without a producer id.
package appender
