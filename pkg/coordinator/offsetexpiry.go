package coordinator

import (
	"maps"
	"slices"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// Kafka's offsets.retention.minutes and offsets.retention.check.interval.ms.
const (
	OffsetsRetentionDefault = 7 * 24 * time.Hour
	offsetsExpiryEvery      = 10 * time.Minute
)

// sweepGroups bounds how many groups one tick looks at; the next one, a second later, goes on.
const sweepGroups = 1000

// expireOffsetsMax bounds how many offsets of a group go in one event, which has a limit; the next look goes on.
const expireOffsetsMax = 10_000

// expireOffsets forgets committed offsets that nobody has used for the retention time, in event time, and groups of which
// nothing is left then. Kafka's rules (KIP-211, KIP-496):
//
//   - a group that had members: all its offsets, once it is Empty for that long. A flip empties groups without a word about each: then the time
//     of the first look after it counts;
//   - a group without members ever: each offset that long after its commit;
//   - a Stable group of consumers: each offset of a topic that none of them subscribes to, that long after its commit;
//   - an offset whose commit said how long it is to be kept (OffsetCommit versions 2 to 4): that long after its commit, in each of
//     these cases, whatever the retention time is.
//
// Only the leader of the region that runs the group does so. At a standby the image's groups change by the source's events
// alone: it must be the source at one past instant, and only the source knows which groups have members. Its events bring the
// expiry along. Groups that the standby runs for itself (local_groups) are its own to expire. A fenced region changes nothing.
//
// A term begins with a whole interval before its first look, so that after an outage longer than the retention those who
// commit without being members have time to.
func (l *leader) expireOffsets(now time.Time) {
	if l.swept.IsZero() {
		l.swept = now
	}
	if len(l.sweep) == 0 {
		if now.Sub(l.swept) < offsetsExpiryEvery {
			return
		}
		l.swept, l.sweep = now, l.seq.State().Groups()
	}
	n := min(len(l.sweep), sweepGroups)
	names := l.sweep[:n]
	l.sweep = l.sweep[n:]
	tx := &Tx{l: l, now: now.UnixMilli()}
	for _, name := range names {
		if g := l.seq.State().Group(name); g != nil && tx.groupIsOurs(name) == nil {
			tx.expireGroup(name, g)
		}
	}
}

// expireGroup lets go what has expired of one group.
func (tx *Tx) expireGroup(name string, g *state.Group) {
	tx.effects(tx.l.groups.NoteEmpty(time.UnixMilli(tx.now), name))
	use := tx.l.groups.Use(name)
	before := tx.State().Time() - tx.l.c.cfg.OffsetsRetention.Milliseconds()
	ev := &metalogpb.OffsetsDeleted{Group: name}
	for _, tp := range slices.SortedFunc(maps.Keys(g.Offsets), base.TopicPartition.Compare) {
		if !tx.inUse(use.Members, use.Consumers, use.Subscribed, tp.Topic) && tx.expired(g, g.Offsets[tp], before) {
			ev.Partitions = append(ev.Partitions, &metalogpb.PartitionRef{TopicId: tp.Topic[:], Partition: tp.Partition})
		}
	}
	switch n := len(ev.Partitions); {
	case n == len(g.Offsets) && !use.Members:
		tx.deleteGroup(name) // with its offsets, if it has any
	case n > 0:
		ev.Partitions = ev.Partitions[:min(n, expireOffsetsMax)]
		tx.l.emit(time.UnixMilli(tx.now), &metalogpb.Event{Kind: &metalogpb.Event_OffsetsDeleted{OffsetsDeleted: ev}})
	}
}

// inUse tells whether members may read a topic.
func (tx *Tx) inUse(members, consumers bool, subscribed func(string) bool, topic base.TopicID) bool {
	if !members {
		return false
	}
	shown, ok := tx.State().Show(topic)
	return !consumers || !ok || subscribed(shown.Info().Name)
}

// expired tells whether an offset that nobody uses has been kept for long enough: for as long as its commit said, or, if that said
// nothing, if it was last needed before a time.
func (tx *Tx) expired(g *state.Group, o state.GroupOffset, before int64) bool {
	if o.Retention > 0 {
		return tx.State().Time()-o.CommitTime >= o.Retention
	}
	return tx.unusedSince(g, o) <= before
}

// unusedSince is when an offset was last needed, Unix milliseconds.
func (tx *Tx) unusedSince(g *state.Group, o state.GroupOffset) int64 {
	switch {
	case g.Changed == nil || len(g.Changed.Members) > 0:
		return o.CommitTime
	case g.Changed.EmptySinceMs > 0:
		return g.Changed.EmptySinceMs
	}
	return tx.now // the time was noted just now
}
