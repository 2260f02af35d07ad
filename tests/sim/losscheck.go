package sim

import (
	"context"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// save is what of a region's book goes back when its log does. What clients asked for stays: they did.
type save struct {
	batches   map[batchKey]written
	last      map[stream]lastWrite
	forgotten map[stream]int64
	logs      map[base.TopicPartition][]logged
	topics    map[base.TopicID]*topicModel
	groups    map[string]*groupModel
	deleted   map[base.TopicID]bool
}

// history is what a log has had, entry by entry, and what its book was after each.
type history struct {
	raws  []metastore.RawEntry
	saves []save
}

// keep notes an entry, and what its region was after it if it may be set back to that.
func (c *checker) keep(r *Region, raw metastore.RawEntry) {
	if !c.w.lossy {
		return
	}
	b := c.book(r)
	b.raws = append(b.raws, raw)
	if r.loss == nil || r.loss.left == 0 {
		return
	}
	b.saves = append(b.saves, save{
		maps.Clone(b.batches), maps.Clone(b.last), maps.Clone(b.forgotten), maps.Clone(b.logs), maps.Clone(b.topics), maps.Clone(b.groups), maps.Clone(b.deletedTopics),
	})
}

// lineOf is what an incarnation has had, which is the present one or one that was lost.
func (b *book) lineOf(incarnation, present string) []metastore.RawEntry {
	if incarnation == present {
		return b.raws
	}
	return b.lost[incarnation].raws
}

// linkIn tells whether the link is made in entries.
func linkIn(entries []metastore.RawEntry) bool {
	for _, raw := range entries {
		e, err := metastore.DecodeEntry(raw.Value)
		if err != nil {
			continue
		}
		for _, ev := range e.Events {
			if _, made := ev.Kind.(*metalogpb.Event_LinkCreated); made {
				return true
			}
		}
	}
	return false
}

// parents says from which incarnation a restore made each.
func (c *checker) parents(r *Region) map[string]string {
	out := map[string]string{}
	all, err := archive.Lineages(context.Background(), objstore.AsObjects(r.bucket))
	if err != nil {
		c.w.fail("read the lineages: %v", err)
	}
	for _, l := range all {
		out[l.Incarnation] = l.Parent
	}
	return out
}

// tip is the incarnation, and the end of its archive, that a loss of an incarnation is restored from: its own, or, when none of its entries
// was archived, that which it came from.
func (c *checker) tip(r *Region, incarnation string) (string, base.Seq) {
	for parents := c.parents(r); ; incarnation = parents[incarnation] {
		end, err := archive.NewReader(objstore.AsObjects(r.bucket)).End(context.Background(), incarnation)
		if err != nil {
			c.w.fail("read the archive's end: %v", err)
		}
		if end > 0 || parents[incarnation] == "" {
			return incarnation, end
		}
	}
}

// shows tells whether the archive shows that an etcd was set back to a backup: it has more of that log, or of one that came of it.
func (c *checker) shows(r *Region, tip string, end base.Seq, backup *memory.Image) bool {
	if tip == backup.Incarnation() {
		return backup.Seq() < end
	}
	for parents := c.parents(r); tip != ""; tip = parents[tip] {
		if tip == backup.Incarnation() {
			return true
		}
	}
	return false
}

// lossSeen notes that a region's lost log was restored: its head is the one entry that the restore wrote. K18, K19.
func (c *checker) lossSeen(r *Region) {
	w, l := c.w, r.loss
	if !l.open() || l.seen {
		return
	}
	pos, err := r.truth.Position(context.Background())
	if err != nil {
		w.fail("read the truth: %v", err)
		return
	}
	_, old := c.book(r).lost[pos.Incarnation]
	if pos.Head.Seq == 0 || old || pos.Incarnation == l.incarnation {
		if at := l.setTo; at != nil && pos.Head.Seq > at.Seq() || at == nil && pos.Head.Seq > 0 {
			w.fail("K19: region %s, whose etcd has lost its data, has an entry %d", r.name, pos.Head.Seq)
		}
		return
	}
	from, have := c.tip(r, l.incarnation)
	if end := pos.Head.Seq - 1; have != end {
		w.fail("K19: region %s is restored up to seq %d, the archive of %q has %d", r.name, end, from, have)
		return
	}
	l.seen = true
	c.goBack(r, from, have)
}

// goBack makes a region's oracle and its book what they were after the entry `end` of an incarnation.
func (c *checker) goBack(r *Region, from string, end base.Seq) {
	w, b := c.w, c.book(r)
	w.logf("region %s goes back from seq %d to %d of %s", r.name, r.head.Seq, end, from)
	b.lost[r.loss.incarnation] = b.history
	h := b.lost[from]
	if base.Seq(len(h.raws)) < end {
		w.fail("K19: region %s is restored up to seq %d of %s, which has had %d entries", r.name, end, from, len(h.raws))
		return
	}
	b.history = history{h.raws[:end:end], h.saves[:end:end]}
	x := b.saves[end-1]
	b.epoch = r.oracle.Region().Epoch
	r.oracle = state.New()
	for _, raw := range b.raws {
		in, err := replica.Prepare(context.Background(), objstore.AsObjects(r.bucket), raw)
		if err == nil {
			_, err = r.oracle.Apply(in)
		}
		if err != nil {
			w.fail("K19: entry %d of what was restored: %v", raw.Seq, err)
			return
		}
	}
	r.head = r.oracle.Head()
	if at := r.link(); at != nil {
		w.logf("its image goes back to seq %d", at.Info().Position.Seq)
	}
	b.batches, b.last, b.forgotten, b.topics, b.groups, b.deletedTopics = maps.Clone(x.batches), maps.Clone(x.last), maps.Clone(x.forgotten), maps.Clone(x.topics), maps.Clone(x.groups), maps.Clone(x.deleted)
	b.logs = map[base.TopicPartition][]logged{}
	for tp, log := range x.logs {
		b.logs[tp] = slices.Clip(log)
	}
	b.restored, b.gaps = true, map[stream]bool{}
	b.past = append(b.past, past{maps.Clone(b.topics), maps.Clone(b.groups)})
	c.sortAcks(r)
	w.logf("%d batches that were acked lie behind what was restored", len(b.behind))
}

// sortAcks tells acked batches that are in what was restored from those that lie behind it. What an earlier restore had left behind may be back.
func (c *checker) sortAcks(r *Region) {
	b := c.book(r)
	all := append(slices.Clone(b.acks), b.behind...)
	var kept []ack
	b.behind = nil
	for _, a := range all {
		if at, there := b.batches[a.key]; there && at == a.written {
			kept = append(kept, a)
		} else {
			b.behind = append(b.behind, a)
		}
	}
	if r == c.w.b || c.w.b.flip() == nil {
		b.acks = kept // what a failover brought along is judged by K8 too
	}
}

// begun follows the entry that begins an incarnation (K20): its epoch is above all that the region has had, unless another has taken over.
func (c *checker) begun(r *Region, ev *metalogpb.IncarnationBegun) {
	b := c.book(r)
	if ev.Incarnation == "" || !b.restored {
		c.w.fail("K19: region %s begins an incarnation, and has lost nothing", r.name)
	}
	raised := base.Epoch(ev.Epoch) > b.epoch
	if !raised && (r == c.w.b || c.w.b.flip() == nil) {
		c.w.fail("K20: the restored region %s goes on at epoch %d, and was at %d", r.name, ev.Epoch, b.epoch)
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
	at, raws := c.w.b.link().Info().Position, c.book(c.w.a).raws
	return at.Seq > 0 && (at.Seq > base.Seq(len(raws)) || metastore.HashOf(raws[at.Seq-1].Value) != at.Hash)
}

// restored holds, at the end, what a restore promises. K18: each batch that was acked behind the archive's end is in quarantine, with its
// bytes. K21: a link is FAULTED just when its image has what the source has lost. K22.
func (c *checker) restored() {
	w := c.w
	if !w.lossy || w.problem != nil {
		return
	}
	for _, r := range []*Region{w.a, w.b} {
		if r.loss.restored() > 0 {
			c.quarantined(r)
		}
	}
	if w.b.flip() != nil {
		return
	}
	if at := w.b.link(); c.forked() != (at.Info().Fault != "") {
		w.fail("K21: the image at seq %d has what region a has lost: %v; the link's fault is %q", at.Info().Position.Seq, c.forked(), at.Info().Fault)
		return
	}
	if !c.forked() {
		c.oneCut()
	}
}

func (c *checker) quarantined(r *Region) {
	w := c.w
	held, err := recovery.Held(context.Background(), r.bucket, r.oracle)
	if err != nil {
		w.fail("K18: read the quarantine: %v", err)
		return
	}
	digests := map[base.Digest]bool{}
	for _, o := range held {
		extents, err := segment.ReadFooter(context.Background(), r.bucket, o.Key, o.Bytes)
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
	for _, a := range c.book(r).behind {
		if !digests[a.digest] {
			w.fail("K18: %s was acked by region %s, is not in what was restored, and not in quarantine", a, r.name)
		}
	}
}

// oneCut holds K22: the image is what A's log, replayed from its first entry, has at the image's position, to the chain heads.
func (c *checker) oneCut() {
	w := c.w
	image, source := w.b.link().Image(), state.New()
	for _, raw := range c.book(w.a).raws[:image.Head().Seq] {
		in, err := replica.Prepare(context.Background(), objstore.AsObjects(w.a.bucket), raw)
		if err == nil {
			_, err = source.Apply(in)
		}
		if err != nil {
			w.fail("K22: replay entry %d of region a: %v", raw.Seq, err)
			return
		}
	}
	if image.Head() != source.Head() || len(image.Topics()) != len(source.Topics()) {
		w.fail("K22: the image is at seq %d with %d topics, region a was at seq %d with %d", image.Head().Seq, len(image.Topics()), source.Head().Seq, len(source.Topics()))
	}
	for _, t := range source.Topics() {
		id := t.Info().ID
		for i := range t.Partitions() {
			want, have := t.Partition(i), image.Partition(base.TopicPartition{Topic: id, Partition: i})
			if have == nil || have.LogStart != want.LogStart || have.End != want.End || have.Chain != want.Chain {
				w.fail("K22: partition %d of topic %s of the image is not what region a has at seq %d: %+v, not %+v", i, t.Info().Name, image.Head().Seq, have, want)
				return
			}
		}
	}
}

// lostTopic tells whether a topic is gone because a restore did not bring it back.
func (c *checker) lostTopic(r *Region, id base.TopicID) bool {
	b := c.book(r)
	return b.restored && b.topics[id] == nil && !b.deletedTopics[id]
}
