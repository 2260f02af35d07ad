package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

func (s *State) linkOf(name string) (*Link, error) {
	if l := s.Link(name); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("event names link %q, which does not exist: %w", name, base.ErrCorrupt)
}

func (s *State) updateLink(name string, change func(*LinkInfo)) error {
	l, err := s.linkOf(name)
	if err != nil {
		return err
	}
	l.update(change)
	return nil
}

func (s *State) applyLinkCreated(ev *metalogpb.LinkCreated, ctx *eventContext) error {
	if ev.Config == nil || s.Link(ev.Config.Name) != nil || len(ev.SourceClusterId) != len(base.ClusterID{}) {
		return fmt.Errorf("create link %q: %w", ev.GetConfig().GetName(), base.ErrCorrupt)
	}
	l, err := newLink(LinkInfo{
		Config: ev.Config, SourceCluster: base.ClusterID(ev.SourceClusterId),
		SourceRegion: base.RegionNumber(ev.SourceRegionNumber), SourceIncarnation: ev.SourceIncarnation,
	}, s)
	if err != nil {
		return fmt.Errorf("create link %q: %w: %w", ev.Config.Name, err, base.ErrCorrupt)
	}
	s.putLink(l)
	ctx.changes.Catalog = true
	return nil
}

func (s *State) applyLinkDeleted(ev *metalogpb.LinkDeleted, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	image := l.Image()
	for _, t := range image.Topics() {
		image.dropTopic(t, t.Info().ID)
	}
	s.dropLink(ev.Link)
	ctx.changes.Catalog = true
	return nil
}

func (s *State) applyLinkAdopted(ev *metalogpb.LinkAdopted, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	if len(ev.SnapshotBlob) != len(metastore.Hash{}) {
		return fmt.Errorf("adopt a snapshot on link %q: its blob is named by %d bytes: %w", ev.Link, len(ev.SnapshotBlob), base.ErrCorrupt)
	}
	payload, ok := ctx.blobs[metastore.Hash(ev.SnapshotBlob)]
	if !ok {
		return fmt.Errorf("adopt a snapshot on link %q: its blob was not loaded: %w", ev.Link, base.ErrCorrupt)
	}
	snap, err := decodeSnapshot(payload)
	if err != nil {
		return fmt.Errorf("adopt a snapshot on link %q: %w", ev.Link, err)
	}
	image := newState(s.serving)
	image.owner, image.link = s.owner, l
	if err := image.restore(snap, Remote); err != nil {
		return fmt.Errorf("adopt a snapshot on link %q: %w", ev.Link, err)
	}
	for _, t := range image.Topics() {
		t.update(func(i *TopicInfo) { i.Visible, i.Fault = l.WantsTopic(i.Name), "" })
	}
	l.image.Store(image)
	l.update(func(i *LinkInfo) {
		i.SourceIncarnation = ev.SourceIncarnation
		i.Position, i.PositionTime = image.head, image.time
	})
	ctx.changes.Catalog = true
	return nil
}

func (s *State) applyLinkApplied(ev *metalogpb.LinkApplied, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	if !l.Active() {
		return fmt.Errorf("link %q moves on after its failover: %w", ev.Link, base.ErrCorrupt)
	}
	image := l.Image()
	in, err := Decode(metastore.RawEntry{Seq: image.head.Seq + 1, Value: ev.Entry})
	if err != nil {
		return fmt.Errorf("link %q: %w", ev.Link, err)
	}
	if err := metastore.CheckNext(image.head, in.Raw, in.Entry); err != nil {
		return fmt.Errorf("link %q: %w", ev.Link, err)
	}
	in.Blobs = ctx.blobs
	placed, err := s.notePlacements(ev.Session, ev.Floor, ev.Placements)
	if err != nil {
		return err
	}
	if err := image.applyEvents(in, placed, ctx.changes); err != nil {
		return fmt.Errorf("link %q: %w", ev.Link, err)
	}
	for _, ev := range in.Entry.Events {
		// Groups that run here read the source's topics: what they committed goes with a topic, too. (Unless the link keeps it.)
		if d := ev.GetTopicDeleted(); d != nil && image.Topic(base.TopicID(d.TopicId)) == nil {
			s.dropOffsetsOf(base.TopicID(d.TopicId))
		}
		if b := ev.GetIncarnationBegun(); b != nil { // the source was restored, and what it restored is this image's past
			l.update(func(i *LinkInfo) { i.SourceIncarnation = b.Incarnation })
		}
	}
	image.head = metastore.Head{Seq: in.Raw.Seq, Hash: metastore.HashOf(in.Raw.Value)}
	l.update(func(i *LinkInfo) { i.Position, i.PositionTime = image.head, image.time })
	return nil
}

// notePlacements enters the copies among this region's objects and moves their session's floor on.
func (s *State) notePlacements(session, floor uint64, list []*metalogpb.Placement) (*placements, error) {
	placed := &placements{session: base.SessionID(session), bySource: map[base.ObjectID]*metalogpb.Placement{}, nested: s.link != nil}
	if len(list) == 0 && session == 0 {
		return placed, nil
	}
	x := s.sessions[placed.session]
	if x == nil || x.Fenced {
		return nil, fmt.Errorf("placement of a fenced or unknown session %x: %w", session, base.ErrCorrupt)
	}
	for _, p := range list {
		id := base.ObjectID{Session: x.ID, Number: base.ObjectNumber(p.Number)}
		if s.objects[id] == nil {
			s.objects[id] = &Object{Size: p.Size}
		}
		placed.bySource[base.ObjectID{Session: base.SessionID(p.SourceSession), Number: base.ObjectNumber(p.SourceNumber)}] = p
	}
	x.Floor = max(x.Floor, base.ObjectNumber(floor))
	return placed, nil
}

// placements says where a region holds the objects of its link's source.
type placements struct {
	session  base.SessionID // whose numbers the placements use
	bySource map[base.ObjectID]*metalogpb.Placement
	// nested says that the region is itself an image: C shadows B, which shadows A. What B holds locally is remote to C
	// (an object of B), and what B does not hold is absent.
	nested bool
}

func (p *placements) missing() Residency {
	if p != nil && p.nested {
		return Absent
	}
	return Remote
}

func (p *placements) held() Residency {
	if p.nested {
		return Remote
	}
	return Local
}

// place returns the span as it lies here. It stays remote if no placement covers it.
func (p *placements) place(topic base.TopicID, partition int32, span Span) Span {
	span.Residency = p.missing()
	if p == nil {
		return span
	}
	pl := p.bySource[span.Object]
	if pl == nil {
		return span
	}
	local := base.ObjectID{Session: p.session, Number: base.ObjectNumber(pl.Number)}
	if len(pl.Spans) == 0 {
		span.Object, span.Residency = local, p.held()
		return span
	}
	for _, ps := range pl.Spans {
		if ps.Partition == partition && ps.BaseOffset == int64(span.Base) && bytes.Equal(ps.TopicId, topic[:]) {
			span.Object, span.Residency = local, p.held()
			span.Position, span.Length = ps.Position, ps.Length
			return span
		}
	}
	return span
}

func (s *State) applyLinkPlaced(ev *metalogpb.LinkPlaced, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	placed, err := s.notePlacements(ev.Session, ev.Floor, ev.Placements)
	if err != nil {
		return err
	}
	image := l.Image()
	for _, p := range ev.Placements {
		if len(p.Spans) == 0 {
			return fmt.Errorf("link %q: a backfilled object names no span: %w", ev.Link, base.ErrCorrupt)
		}
	}
	cells := image.cellsOf(ev.Placements)
	for _, tp := range slices.SortedFunc(maps.Keys(cells), base.TopicPartition.Compare) {
		cell := cells[tp]
		if p, ok := image.placeRemote(tp.Topic, tp.Partition, cell.now.Load(), placed); ok {
			cell.now.Store(p)
			ctx.changes.partition(tp.Topic, tp.Partition)
		}
	}
	return nil
}

// cellsOf returns the partitions that placements name and that are still there. A topic may have been deleted since the
// copy began. Their order does not matter: each is changed by itself.
func (s *State) cellsOf(list []*metalogpb.Placement) map[base.TopicPartition]*cell {
	out := map[base.TopicPartition]*cell{}
	for _, p := range list {
		for _, sp := range p.Spans {
			if c, id, err := s.cellOf(sp.TopicId, sp.Partition); err == nil {
				out[base.TopicPartition{Topic: id, Partition: sp.Partition}] = c
			}
		}
	}
	return out
}

// placeRemote returns the partition with the remote spans that placed covers made local.
func (s *State) placeRemote(topic base.TopicID, partition int32, p *Partition, placed *placements) (*Partition, bool) {
	var changed *Partition
	for i, sp := range p.Spans {
		if sp.Residency != placed.missing() || placed.bySource[sp.Object] == nil {
			continue
		}
		local := placed.place(topic, partition, sp)
		if local.Residency != placed.held() {
			continue
		}
		if changed == nil {
			next := *p
			next.Spans = append([]Span(nil), p.Spans...)
			changed = &next
		}
		changed.Spans[i] = local
		s.retain(local)
	}
	return changed, changed != nil
}

func (s *State) applyLinkTopicFaulted(ev *metalogpb.LinkTopicFaulted, ctx *eventContext) error {
	l, err := s.linkOf(ev.Link)
	if err != nil {
		return err
	}
	t, _, err := l.Image().topicOf(ev.TopicId)
	if err != nil {
		return err
	}
	t.update(func(i *TopicInfo) { i.Fault = ev.Reason })
	ctx.changes.Catalog = true
	return nil
}
