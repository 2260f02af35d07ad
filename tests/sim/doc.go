// Package sim runs two regions and the link between them in one goroutine, on one seed and one manual clock: the real
// sequencer, state, link machine, copier, segment format and archive, on a metalog and buckets in memory whose every call
// can fail before or after it took effect.
//
// # Concepts
//
// A [World] holds actors: coordinators, agents, producers, readers, members of consumer groups, a link's runner, an operator who loses
// a region, who in one world of four finds A's etcd empty, or set back to a backup, in one of four B's, in half of those once more, and restores it, and an administrator who deletes records, groups and a topic, adds partitions and changes settings. One step lets one
// actor, chosen by the seed, do one thing. Between any two steps an actor can be paused (for hours, if need be), lose its lease, or be killed
// and started again; a message can be lost, and so can its answer. So every place between two steps is a crash point and a race. The loops around the pure parts are written again here, as steps, and follow
// pkg/coordinator's leader and pkg/objlog/appender in what they may do and in which order.
//
// After each step the checker reads both logs, without faults, and asserts:
//
//	K1 a batch that a client was told is written is in the log, at the offset it was told (no acked record is lost).
//	K2 no batch is in a log twice (idempotent producers).
//	K3 offsets are dense, and a producer's batches come in the order of their sequence numbers.
//	K4 the bytes of each span are in the bucket when the log names them, and are those that the producer sent.
//	K5 nothing is appended by a leader that was deposed or fenced, and nothing under a session that is over.
//	K6 the image, begun with a snapshot or without, is the source at one past seq: its state's digest is
//	   that of the source there, and its bytes are the source's.
//	K7 what a client was told is committed is in the log, and groups have what the log says; a generation that is over commits
//	   nothing once the next one is stable; after a flip groups have what they had at the cut.
//	K8 after a fenced failover nothing acked is missing at B; after a cut, exactly what lies beyond the boundary is.
//	K9 once faults end, everybody finishes: producers have all their batches acked, the link has caught up, groups are stable.
//	K10 generations do not fall, members change only with them, and a change of the leader alone makes no rebalance.
//	K11 a member is removed only after a whole session, or rebalance, of its leader's working time.
//	K12 no producer id is given out twice.
//	K13 offsets and groups go only because somebody asked or because they expired, and never what members read; no member of a
//	    group that was deleted is one again, or commits.
//	K14 a log start rises only, and only as somebody asked or as the topic's settings keep no more. Nothing below it is in a view
//	    of an agent; all from it on is, with the bytes that were sent, in both regions, whatever was deleted around it.
//	K15 topics are what the events of the log say: settings, partitions, log starts, ends, leader epochs. An image has what the source had
//	    at its seq, under the same ids and epochs, and after a flip the region has what the image had.
//	K16 what somebody is told was so at some instant between the question and the answer: that records, groups and offsets are deleted,
//	    how many partitions there are, a setting, what a group has committed, which groups there are. A request that is sent
//	    again, or comes late, changes nothing of that.
//	K17 of each object of a region the state counts the spans that lie in it, in its own topics and in the image: an object
//	    that nothing counts is nobody's.
//
// Where a region's etcd loses its data, at any step (its coordinators die with it, or find out), pkg/recovery restores it from the bucket by
// docs/RESTORE.md, with calls that fail, so that it breaks off and is run again. B's is lost while it is the shadow, also in the middle of a
// failover, or once it is the primary; then the failover may be lost too, and is done again. An etcd may also be set back to where its leader's
// replica is, and the archive not beyond it, so that the leader alone knows, by what it has had confirmed. What the log has lost is then neither there nor at another place (K1 to K17 go on from what was restored), and:
//
//	K18 a batch that was acked and that the restored log does not have is in quarantine, with its bytes.
//	K19 all that was archived is restored, also what a coordinator that lived archived last, and nothing else: of the incarnation that
//	    was lost, or, if nothing of that was archived yet, of the one that it came from. Until then nobody appends to the empty etcd, or
//	    to the backup; a coordinator halts only if its etcd has lost something.
//	K20 the restored region goes on at an epoch above all that it has had, unless another has taken over.
//	K21 a link is FAULTED exactly if its image has what the source has lost; what it shows is still one cut of the log as it was (K6).
//	    Where it had more, the operator fails over to it, or gives that up. A loss of B's etcd faults nothing.
//	K22 whatever B's etcd has lost, the image is at the end what A's log, replayed from its first entry, has at the image's position:
//	    the same topics, log starts, ends and chain heads; and it has caught up (K9). A link that was lost is made again.
//	K23 K18 to K22 hold of a second loss too, also one before anything of the first restore was archived, or to a backup of before
//	    that. What the first restore left behind is still in quarantine, or is back at its place.
//	K24 the archive of each incarnation is one history, that of its log, in objects without a gap or an overlap.
//
// The same seed gives the same run. A failing seed replays with
//
//	go test ./tests/sim -run TestSimulation -seed N -v
package sim
