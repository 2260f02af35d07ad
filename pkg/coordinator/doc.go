// Package coordinator is the one leader of a cluster: sequencer, controller of topics, coordinator of consumer groups,
// host of the links' position.
//
// # Concepts
//
// A [Coordinator] follows the metalog (pkg/metastore/replica) and campaigns. While it leads, one goroutine, the leader
// loop, owns the working state: the replica's state plus what was decided but is not confirmed yet. A command is
// validated against the working state, becomes events, and is applied to it at once; the events of all commands that
// came while one append was under way go into the next entry (group commit).
//
// # Invariants
//
//	C1 release: every answer (success, duplicate, rejection, read) is released only once the log has confirmed the seq
//	   that it was computed at, under a term that still led then.
//	C2 one append in flight; entries are appended in the order of their seq.
//	C3 after an append that failed for good, or whose fate is unknown, the working state is thrown away and every answer
//	   that waits becomes a retriable error.
//	C4 offsets are given out only for objects that are in the bucket, in the order of a session's numbers.
//	C5 a batch of an idempotent producer is accepted once; a retry, however late, gets the first offsets.
//	C6 a fenced region appends nothing.
//	C7 a new leader grants every group member its full session timeout; one that could not work or was not answered by the
//	   log gives the time back (stall.go).
//	C8 a process leads no log that lacks what etcd has confirmed to it (confirmed.go), and founds no cluster over records. Of two
//	   histories of a log one is archived; a leader of the other one ends (A3 of pkg/metastore/archive).
//
// # Crash points
//
// Leader dies before the append: nobody was answered, agents retry the same commit. Between the append and the answers:
// the next leader finds the commit's result in the state (session, number) and gives the same offsets. A leader that is
// paused for hours and comes back: its append fails on the leader key, its answers become errors.
//
// # Non-goals
//
// Moving bytes; deciding what a link copies (pkg/shadow).
package coordinator
