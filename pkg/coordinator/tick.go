package coordinator

import (
	"time"

	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Producers that have not written for producerExpiry (Kafka's producer.id.expiration.ms) are forgotten; the leader looks
// each producerExpiryEvery, in event time.
const (
	producerExpiry      = 24 * time.Hour
	producerExpiryEvery = 10 * time.Minute
)

// tick appends time when nothing else was appended for a second, and what time drives.
func (l *leader) tick() {
	if l.c.fenced.Load() {
		return
	}
	now := l.c.cfg.Now()
	if now.Sub(l.expired) >= producerExpiryEvery {
		l.expired = now
		before := now.Add(-producerExpiry).UnixMilli()
		ev := &metalogpb.ProducersExpired{LastWriteBeforeMs: before}
		l.emit(now, &metalogpb.Event{Kind: &metalogpb.Event_ProducersExpired{ProducersExpired: ev}})
	}
	if now.Sub(l.retained) >= l.c.cfg.RetentionEvery {
		l.retention(now)
	}
	l.expireOffsets(now)
	l.noteForgotten()
	if !l.seq.Pending() && l.flight == nil && now.Sub(l.last) >= tickEvery*9/10 {
		l.emit(now, &metalogpb.Event{Kind: &metalogpb.Event_Tick{Tick: &metalogpb.Tick{}}})
	}
}

// emit decides an event that no command asked for. It can only fail on a bug: the events here are of constant size and
// name nothing.
func (l *leader) emit(now time.Time, ev *metalogpb.Event) {
	if err := l.seq.Emit(now.UnixMilli(), ev); err != nil {
		l.c.cfg.Logger.Error("event of the leader's own", "error", err)
	}
}

func (l *leader) tickGroups() {
	if l.groups == nil || l.stalled(l.c.cfg.Now()) {
		return
	}
	tx := &Tx{l: l, now: l.c.cfg.Now().UnixMilli()}
	tx.effects(l.groups.Tick(l.c.cfg.Now()))
}

// restoreGroups makes the group coordinator of this term out of the durable part of every group.
func (l *leader) restoreGroups(now time.Time) {
	l.groups = nil
	if l.c.fenced.Load() {
		return
	}
	st := l.seq.State()
	m := groups.New(l.c.cfg.Groups)
	var durable []*metalogpb.GroupChanged
	for _, name := range st.Groups() {
		if g := st.Group(name); g.Changed != nil {
			durable = append(durable, g.Changed)
		}
	}
	m.Restore(now, durable)
	l.groups = m
}
