package sim

import (
	"context"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// save is what of A's book goes back when A's log does. What clients asked for stays: they did.
type save struct {
	batches   map[batchKey]written
	last      map[stream]lastWrite
	forgotten map[stream]int64
	logs      map[base.TopicPartition][]logged
	topics    map[base.TopicID]*topicModel
	groups    map[string]*groupModel
	deleted   map[base.TopicID]bool
}

// keep notes what A was after an entry that it may be set back to.
func (c *checker) keep(r *Region, raw metastore.RawEntry) {
	if r != c.w.a || c.w.loss == nil {
		return
	}
	c.raws = append(c.raws, raw)
	if c.w.loss.done {
		return
	}
	b := c.book(r)
	c.saves = append(c.saves, save{
		maps.Clone(b.batches), maps.Clone(b.last), maps.Clone(b.forgotten), maps.Clone(b.logs), maps.Clone(b.topics), maps.Clone(b.groups), maps.Clone(b.deletedTopics),
	})
}

// lossSeen notes that A's lost log was restored: its head is the one entry that the restore wrote. K18, K19.
func (c *checker) lossSeen() {
	w, r := c.w, c.w.a
	if w.loss == nil || !w.loss.happened || c.book(r).restored {
		return
	}
	pos, err := r.truth.Position(context.Background())
	switch {
	case err != nil:
		w.fail("read the truth: %v", err)
		return
	case pos.Head.Seq == 0 || pos.Incarnation == w.loss.incarnation:
		if at := w.loss.backup; at != nil && pos.Head.Seq > at.Seq() || at == nil && pos.Head.Seq > 0 {
			w.fail("K19: region a, whose etcd has lost its data, has an entry %d", pos.Head.Seq)
		}
		return
	}
	end := pos.Head.Seq - 1
	if have := c.archived(w.loss.incarnation); have != end {
		w.fail("K19: region a is restored up to seq %d, the archive of %q has %d", end, w.loss.incarnation, have)
		return
	}
	c.goBack(end)
}

// goBack makes the oracle, and A's book, what they were after the entry `end`.
func (c *checker) goBack(end base.Seq) {
	w, r, b := c.w, c.w.a, c.book(c.w.a)
	w.logf("region a goes back from seq %d to %d", r.head.Seq, end)
	raws, x := c.raws[:end:end], c.saves[end-1]
	c.epoch = r.oracle.Region().Epoch
	r.oracle, c.raws = state.New(), nil
	for _, raw := range raws {
		in, err := state.Decode(raw)
		if err == nil {
			_, err = r.oracle.Apply(in)
		}
		if err != nil {
			w.fail("K19: entry %d of what was restored: %v", raw.Seq, err)
			return
		}
	}
	c.raws, r.head = raws, r.oracle.Head()
	b.batches, b.last, b.forgotten, b.topics, b.groups, b.deletedTopics = x.batches, x.last, x.forgotten, x.topics, x.groups, x.deleted
	b.logs = map[base.TopicPartition][]logged{}
	for tp, log := range x.logs {
		b.logs[tp] = slices.Clip(log)
	}
	b.restored, b.gaps = true, map[stream]bool{}
	b.past = append(b.past, past{maps.Clone(b.topics), maps.Clone(b.groups)})
	var kept []ack
	for _, a := range b.acks {
		if at, there := b.batches[a.key]; there && at == a.written {
			kept = append(kept, a)
		} else {
			c.behind = append(c.behind, a)
		}
	}
	if w.b.flip() == nil {
		b.acks = kept // what a failover brought along is judged by K8 too
	}
	w.logf("%d batches that were acked lie behind what was restored", len(c.behind))
}

// begun follows the entry that begins an incarnation (K20): its epoch is above all that the region has had, unless another has taken over.
func (c *checker) begun(r *Region, ev *metalogpb.IncarnationBegun) {
	b := c.book(r)
	if ev.Incarnation == "" || !b.restored {
		c.w.fail("K19: region %s begins an incarnation, and has lost nothing", r.name)
	}
	raised := base.Epoch(ev.Epoch) > c.epoch
	if !raised && c.w.b.flip() == nil {
		c.w.fail("K20: the restored region goes on at epoch %d, and was at %d", ev.Epoch, c.epoch)
	}
	for id, t := range b.topics {
		t = t.copy()
		for i := range t.partitions {
			if p := &t.partitions[i]; raised {
				p.epochs = append(slices.Clone(p.epochs), state.EpochStart{Epoch: base.Epoch(ev.Epoch), Start: p.end})
			}
		}
		b.topics[id] = t
	}
	for name, g := range b.groups {
		if g = g.copy(); g.joined {
			g.generation, g.members, g.emptySince = g.generation+generationJump, nil, 0
		}
		b.groups[name] = g
	}
}

// forked tells whether the image has what A's log does not.
func (c *checker) forked() bool {
	at := c.w.b.link().Info().Position
	return at.Seq > 0 && (at.Seq > base.Seq(len(c.raws)) || metastore.HashOf(c.raws[at.Seq-1].Value) != at.Hash)
}

// restored holds, at the end, what a restore promises. K18: each batch that was acked behind the archive's end is in quarantine, with its
// bytes. K21: a link is FAULTED just when its image has what the source has lost.
func (c *checker) restored() {
	w := c.w
	if w.loss == nil || !w.loss.done || w.problem != nil {
		return
	}
	held, err := recovery.Held(context.Background(), w.a.bucket, w.a.oracle)
	if err != nil {
		w.fail("K18: read the quarantine: %v", err)
		return
	}
	digests := map[base.Digest]bool{}
	for _, o := range held {
		extents, err := segment.ReadFooter(context.Background(), w.a.bucket, o.Key, o.Bytes)
		if err != nil {
			w.fail("K18: quarantined object %s: %v", o.Key, err)
			return
		}
		for _, e := range extents {
			for _, x := range e.Batches {
				digests[x.Digest] = true
			}
		}
	}
	for _, a := range c.behind {
		if !digests[a.digest] {
			w.fail("K18: %s was acked, is not in what was restored, and not in quarantine", a)
		}
	}
	if at := w.b.link(); w.b.flip() == nil && c.forked() != (at.Info().Fault != "") {
		w.fail("K21: the image at seq %d has what region a has lost: %v; the link's fault is %q", at.Info().Position.Seq, c.forked(), at.Info().Fault)
	}
}

// lostTopic tells whether a topic is gone because a restore did not bring it back.
func (c *checker) lostTopic(r *Region, id base.TopicID) bool {
	b := c.book(r)
	return b.restored && b.topics[id] == nil && !b.deletedTopics[id]
}
