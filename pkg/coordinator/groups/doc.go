// Package groups is Kafka's classic consumer group protocol as a pure state machine: no goroutine, no clock, no I/O. The
// coordinator's loop calls it with the time and a request; it returns what to write to the metalog and what to answer.
//
// # Concepts
//
// A group is in one of Kafka's states:
//
//	Empty                no members; it may have a generation, and committed offsets
//	PreparingRebalance   members are asked to join; Join requests wait until all have joined or the rebalance times out
//	CompletingRebalance  the generation is fixed; Sync requests wait for the leader's assignment
//	Stable               every member of the generation can have its assignment
//	Dead                 not known; never stored
//
// Transitions:
//
//	Empty               -> PreparingRebalance   a member is added
//	PreparingRebalance  -> CompletingRebalance  all joined, or the deadline passed: generation + 1
//	PreparingRebalance  -> Empty                the last member went: generation + 1
//	CompletingRebalance -> Stable               the leader synced: GroupChanged
//	CompletingRebalance -> PreparingRebalance   a member was added, went, changed its protocols, or did not sync in time
//	Stable              -> PreparingRebalance   the same, and when the leader joins again
//	Empty               -> Dead                 a group that never had a generation loses its last announced member, or Delete
//
// A dynamic member of JoinGroup version 4 and later is announced first (MEMBER_ID_REQUIRED) and is a member only once it
// joins under the id it was given. A static member (group.instance.id, KIP-345) keeps its place when it comes back
// without a member id: it gets a new id, whoever holds the old one is fenced, and a stable group goes on with the same
// generation as long as the protocol it has selected stays the one it would select. Like in Kafka, the metadata inside
// the protocol does not count: sticky assignors put the partitions they own into it, so it differs at every restart.
//
// # Invariants
//
//  1. A group in CompletingRebalance or Stable has one leader, which is a member; no two members share an instance id.
//  2. A group's generation never falls, and it rises by one at each end of a PreparingRebalance.
//  3. At least one protocol is supported by all members.
//  4. Only members of a group in PreparingRebalance wait for Join; only members in CompletingRebalance wait for Sync.
//  5. Every request is answered exactly once, also when its member is removed, replaced, or asks again on another
//     connection. A waiting Join is answered by the rebalance deadline and a waiting Sync by the sync deadline, if Tick is
//     called then.
//  6. Bytes kept by the machine are its own: requests may be decoded in place from a buffer that is used again. Events
//     are not touched after they were returned.
//  7. A group's GroupChanged never takes more than Config.MaxGroupBytes, and all groups together hardly more than
//     Config.MaxBytes, whatever asks to join and never does: every wait and every announced id has a deadline.
//
// # What is durable, and what a change of the coordinator does
//
// GroupChanged is emitted when a generation becomes Stable, when a group becomes Empty after having had members, and
// when a static member's id is replaced. Replies in the same Effects run after it is confirmed, so no member ever holds
// an assignment that the next coordinator does not know. The machine is ahead of the log while an entry is under way; if
// the entry fails, the term is over and the machine with it.
//
// A new coordinator restores the last stable generation with full session timeouts, and does not rebalance: members of
// a stable group notice nothing but one NOT_COORDINATOR. In mid-rebalance:
//
//  1. The old coordinator handed out generation n+1, or was collecting Joins for it. Abandon answers who waits with
//     NOT_COORDINATOR.
//  2. The new one knows generation n. A member of n that syncs or heartbeats under n+1 gets ILLEGAL_GENERATION, one that
//     was only a member of n+1 gets UNKNOWN_MEMBER_ID. Both join again, which is a rebalance when anything changed; a
//     follower for which nothing changed is handed generation n and its assignment of it.
//  3. A member of n that never comes back is removed by its session timeout.
//
// Like in Kafka, the new coordinator may use the number n+1 again for another membership. Nothing can have been
// assigned under the first n+1, because an assignment is durable before it is given out.
//
// # Concurrency
//
// None: a Manager belongs to one goroutine. Replies are called by the owner, and must not call back into the Manager
// while one of its methods runs; they never do from inside a method, since they are returned.
//
// # Time
//
// Deadlines are looked at in Tick alone. NextDeadline is a lower bound: heartbeats move deadlines away without moving
// it, so that a heartbeat costs no search; a Tick that finds nothing due puts it right. The owner says
// when it was kept from listening: Resume.
//
// # Failure
//
// Refusals are Kafka error codes in the responses. Nothing here returns an error or panics on input.
//
// # Non-goals
//
// The new protocol (KIP-848), committed offsets (the metadata state has them; CheckCommit only judges the committer),
// authorization, and the expiry of empty groups, which depends on offsets: the owner calls Delete.
package groups
