// Package shadow keeps a second region's image of a source in step, and flips roles.
//
// # Concepts
//
// A link is an object in the shadow's metalog. Its [Machine] (pure) takes the source's entries in order, says which
// objects must be copied, and hands out, again in order, the events that move the image on. A [Runner] does the I/O
// around it: it streams the source's log, copies objects, appends, and carries out verify and failover.
//
// # Invariants
//
//	L1 one cut: events are applied in the source's order, each only once the wanted bytes of all its objects are here.
//	L2 bytes: a copy is placed only after every batch digest was recomputed from the bytes and the digests gave the
//	   chain head that the source's event names. No record is decoded.
//	L3 once: position and events are one append; a runner that lost its place starts again from the image's position.
//	L4 a faulted topic stops no other: its bytes stay remote, its metadata goes on.
//	L5 fence first: a failover tries to freeze the source's log before it decides where to cut.
//	L6 a flip is one append, after which the link applies nothing any more.
//
// # Crash points of a failover
//
// (1) Before the fence: nothing happened. (2) Fence written, no flip yet: A is frozen and refuses writes; running
// failover again writes the same fence and goes on. (3) Flip appended, answer lost: running it again reports the flip
// that is in the state. (4) Fence object not written: the peer check finds the flip; a later start of A asks B.
//
// # Concurrency
//
// One Runner a link, on the coordinator leader. A new leader starts a new runner under a new writer session; the old
// session is fenced by that event, so a late append of the old runner fails.
//
// # Non-goals of this version
//
// Switchover, fail-back, drill, holds, foreign sources.
package shadow
