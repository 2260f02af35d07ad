// Package state is the cluster's state as a pure function of the metalog: state' = Apply(state, event).
//
// # Concepts
//
// A [State] holds topics with their partitions and spans, writer sessions, producers, consumer groups and shadow links.
// A link holds a complete image of its source's state: another State, moved on by the source's own entries. Where the
// image's bytes lie in this region is private to the region: a [Span] names the local object when its bytes are here
// ([Local]), the source's object when they are not ([Remote]).
//
// # Invariants
//
//	S1 purity: Apply reads no clock, no random source, does no I/O and depends on no map order. Replicas that applied the
//	   same entries encode to the same bytes.
//	S2 density: a span's base offset is the partition's end before it; offsets have no holes.
//	S3 chain: a partition's chain head is that of the last event that touched it; equal heads prove equal history.
//	S4 one cut: a link's image is the source's state after exactly its applied seq, but for where bytes lie.
//	S5 sessions: a session's floor rises only; a number at or below it is never committed a second time.
//	S6 order: an entry is applied only if its seq is the next and its previous hash is the hash of the entry before.
//	S7 flip: RegionFlipped changes every visible topic at one instant; nothing of the image is decoded or rewritten.
//
// # Concurrency
//
// One goroutine applies. Any number may read topics, partitions, links and the region at the same time without waiting:
// what they see is an immutable value that is replaced, never changed. Groups, sessions and producers are for the
// applying goroutine alone.
//
// # Failure
//
// Apply fails only on input that no correct leader writes (base.ErrCorrupt) or that a newer one wrote
// (base.ErrVersion). The State is then unusable: halt, do not guess.
//
// # Non-goals
//
// Deciding what may be written: the sequencer (pkg/coordinator) does that. Reading objects.
package state
