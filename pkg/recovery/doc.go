// Package recovery is about a region whose etcd, or bucket, is not what it was: it restores a lost metalog from the bucket's archive,
// finds what that leaves in quarantine, and checks the index against the objects.
//
// # Concepts
//
// The archive in the bucket is the log, but for its last second. [Load] replays it into a state. [Restore] puts one entry behind its
// end, IncarnationBegun, into an etcd that has lost its data, or was set back: a new incarnation, whose hash chain goes on from the
// archive's. So whoever has read no more than what was archived goes on; whoever has read more finds a break, and starts over or
// FAULTs. What was acked behind the archive's end is in segment objects that no event names. It has no order any more, and is
// quarantined: see state.Classify.
//
// # Invariants
//
//	Y1 nothing is written that the archive does not prove: hash chain, CRC and SHA-256 of all that is read are checked.
//	Y2 all or nothing: etcd changes in one transaction, which is the last step but for the archive of its own entry. A restore that
//	   breaks off before leaves objects that no one looks at; it is run again.
//	Y3 no id, epoch or session that the lost part may have handed out is handed out again.
//	Y4 a region that was taken over comes back fenced, whichever of etcd, bucket and peers says so.
//	Y5 a quarantined object is never garbage before its release, whether a report lists it or not.
//	Y6 a metalog that goes on elsewhere, or that is ahead of the archive, is not replaced.
//	Y7 fsck calls nothing wrong that it has not found wrong again in a later state.
//
// # Crash points of a restore
//
// (1) Before the lineage: nothing happened. (2) Lineage and report written, etcd not: the incarnation has no entry, so nobody takes it
// for one (archive.Lineage); its epoch counts as handed out. (3) etcd written, its entry not archived: the first leader archives it. The
// answer of (2)→(3) lost: the head tells. Two restores at once: both write (2), one gets (3), the other finds that etcd has changed.
//
// # Non-goals
//
// Merging quarantined records back into their topics: they have no place in the order. Repairing what fsck finds.
package recovery
