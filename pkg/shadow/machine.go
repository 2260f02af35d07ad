package shadow

import (
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"google.golang.org/protobuf/proto"
)

// Machine decides what a link does next. It is pure: no goroutine, no clock, no I/O. Entries go in by Offer, copies are
// reported by Copied, Skipped or Fetched, and Ready hands out, in the source's order, the events whose bytes are all here.
type Machine struct {
	link    string
	session base.SessionID
	wants   func(topic string) bool

	flipped bool
	head    metastore.Head // of the last entry offered
	queue   []*pending     // offered, not yet taken by Ready
	waiting map[base.ObjectID]*pending
	bare    map[base.Seq]*pending // offered, and their blobs are not here yet

	topics map[base.TopicID]*topicNote
	chains map[base.TopicPartition]base.Chain
}

// topicNote is what the machine needs to know of a topic of the source.
type topicNote struct {
	name    string
	wanted  bool
	faulted bool
}

// pending is an entry on its way into the image.
type pending struct {
	raw        metastore.RawEntry
	timeMs     int64
	missing    int
	placements []*metalogpb.Placement
	ends       map[base.TopicPartition]base.Offset
	bytes      int64 // of the entry and of the wanted records that it commits
	flips      bool  // see Flipped
}

// NewMachine starts at the image's position. image is read only now.
func NewMachine(link *state.Link, session base.SessionID) *Machine {
	m := &Machine{
		link: link.Name(), session: session, wants: link.WantsTopic, head: link.Image().Head(),
		waiting: map[base.ObjectID]*pending{}, bare: map[base.Seq]*pending{}, topics: map[base.TopicID]*topicNote{}, chains: map[base.TopicPartition]base.Chain{},
	}
	for _, t := range link.Image().Topics() {
		info := t.Info()
		m.topics[info.ID] = &topicNote{name: info.Name, wanted: info.Visible, faulted: info.Fault != ""}
		for i := range t.Partitions() {
			m.chains[base.TopicPartition{Topic: info.ID, Partition: i}] = t.Partition(i).Chain
		}
	}
	return m
}

// Next is the seq of the entry that Offer expects.
func (m *Machine) Next() base.Seq { return m.head.Seq + 1 }

// Queued is how many entries wait for their bytes or for Ready.
func (m *Machine) Queued() int { return len(m.queue) }

// Offer takes the source's next entry and returns the copies that it needs. metastore.ErrChain when the entry does not
// continue the last one: the source's log was set back, or is another.
func (m *Machine) Offer(raw metastore.RawEntry) ([]CopyJob, error) {
	e, err := metastore.DecodeEntry(raw.Value)
	if err != nil {
		return nil, fmt.Errorf("decode entry %d of the source: %w", raw.Seq, err)
	}
	if err := metastore.CheckNext(m.head, raw, e); err != nil {
		return nil, fmt.Errorf("entry %d of the source: %w", raw.Seq, err)
	}
	if e.FeatureLevel > state.FeatureLevel {
		return nil, fmt.Errorf("entry %d of the source needs feature level %d, this build knows %d: upgrade this region first: %w",
			raw.Seq, e.FeatureLevel, state.FeatureLevel, base.ErrVersion)
	}
	p := &pending{raw: raw, timeMs: e.TimeMs, bytes: int64(len(raw.Value)), ends: map[base.TopicPartition]base.Offset{}}
	jobs, err := m.blobs(raw.Seq, e, p)
	if err != nil {
		return nil, err
	}
	for _, ev := range e.Events {
		switch k := ev.Kind.(type) {
		case *metalogpb.Event_RegionFlipped:
			p.flips = true
		case *metalogpb.Event_TopicCreated:
			m.noteTopic(k.TopicCreated)
		case *metalogpb.Event_ObjectCommitted:
			job, err := m.plan(raw.Seq, k.ObjectCommitted, p)
			if err != nil {
				return nil, fmt.Errorf("entry %d of the source: %w", raw.Seq, err)
			}
			if len(job.Spans) > 0 {
				jobs = append(jobs, job)
				p.missing++
				m.waiting[job.Object] = p
			}
		}
	}
	m.head = metastore.Head{Seq: raw.Seq, Hash: metastore.HashOf(raw.Value)}
	m.queue = append(m.queue, p)
	return jobs, nil
}

// blobs asks for the payloads that the entry names: snapshots that the source adopted for a link of its own, or that it got
// from a source that did. The entry is applied here too, and needs them here.
func (m *Machine) blobs(seq base.Seq, e *metalogpb.Entry, p *pending) ([]CopyJob, error) {
	if len(e.Blobs) == 0 {
		return nil, nil
	}
	job := CopyJob{Seq: seq}
	for _, h := range e.Blobs {
		if len(h) != len(metastore.Hash{}) {
			return nil, fmt.Errorf("entry %d of the source names a blob by %d bytes: %w", seq, len(h), base.ErrCorrupt)
		}
		job.Blobs = append(job.Blobs, metastore.Hash(h))
	}
	p.missing++
	m.bare[seq] = p
	return []CopyJob{job}, nil
}

func (m *Machine) noteTopic(ev *metalogpb.TopicCreated) {
	if len(ev.TopicId) == len(base.TopicID{}) {
		m.topics[base.TopicID(ev.TopicId)] = &topicNote{name: ev.Name, wanted: m.wants(ev.Name)}
	}
}

// plan turns a commit into a copy of its wanted runs, and moves the chains on over all of them.
func (m *Machine) plan(seq base.Seq, ev *metalogpb.ObjectCommitted, p *pending) (CopyJob, error) {
	job := CopyJob{
		Seq: seq, Object: base.ObjectID{Session: base.SessionID(ev.Session), Number: base.ObjectNumber(ev.Number)}, Size: ev.Size, Whole: true,
	}
	for _, te := range ev.Topics {
		id, err := base.TopicIDFromBytes(te.TopicId)
		if err != nil {
			return job, err
		}
		note := m.topics[id]
		for _, sc := range te.Spans {
			after, err := base.ChainFromBytes(sc.Chain)
			if err != nil {
				return job, err
			}
			tp := base.TopicPartition{Topic: id, Partition: sc.Partition}
			before := m.chains[tp]
			m.chains[tp] = after
			p.ends[tp] = base.Offset(sc.LastOffset) + 1
			if note == nil || !note.wanted || note.faulted {
				job.Whole = false
				continue
			}
			p.bytes += sc.Length
			job.Spans = append(job.Spans, SpanJob{
				Topic: id, Partition: sc.Partition, Base: base.Offset(sc.BaseOffset), Last: base.Offset(sc.LastOffset),
				Extent: sc.Extent, FirstBatch: sc.FirstBatch, Batches: sc.Batches, Position: sc.Position, Length: sc.Length,
				Before: before, After: after,
			})
		}
	}
	return job, nil
}

// Copied reports that a job's bytes are here and proved.
func (m *Machine) Copied(object base.ObjectID, placement *metalogpb.Placement) {
	if p := m.waiting[object]; p != nil {
		delete(m.waiting, object)
		p.missing--
		p.placements = append(p.placements, placement)
	}
}

// Fetched reports that the payloads that entry seq names are here.
func (m *Machine) Fetched(seq base.Seq) {
	if p := m.bare[seq]; p != nil {
		delete(m.bare, seq)
		p.missing--
	}
}

// Skipped reports that a job's bytes cannot be had (its topics are faulted now): the entry goes on without them.
func (m *Machine) Skipped(object base.ObjectID) {
	if p := m.waiting[object]; p != nil {
		delete(m.waiting, object)
		p.missing--
	}
}

// Fault stops copying a topic's bytes.
func (m *Machine) Fault(id base.TopicID) {
	if t := m.topics[id]; t != nil {
		t.faulted = true
	}
}

// appliedBytesPerTake bounds what is appended at a time. LinkApplied carries an encoded entry of the source: what fits one event bounds what a source may write.
const appliedBytesPerTake = 600 << 10

// Ready takes the events of the oldest entries whose bytes are all here: at most one entry's worth of the log, none
// above seq limit (0: no limit). floor is asked for the copier's floor, event by event, with the placements that the
// event makes: a number counts as placed from its own event on, and not before, or a collector could take its object
// for garbage.
func (m *Machine) Ready(limit base.Seq, floor func([]*metalogpb.Placement) uint64) []*metalogpb.Event {
	var out []*metalogpb.Event
	size := 0
	for len(m.queue) > 0 && !m.flipped {
		p := m.queue[0]
		if p.missing > 0 || limit > 0 && p.raw.Seq > limit {
			break
		}
		applied := &metalogpb.LinkApplied{Link: m.link, Entry: p.raw.Value, Placements: p.placements}
		if len(p.placements) > 0 {
			applied.Session = uint64(m.session)
		}
		n := proto.Size(applied)
		if len(out) > 0 && size+n > appliedBytesPerTake {
			break
		}
		if size += n; len(p.placements) > 0 {
			applied.Floor = floor(p.placements)
		}
		out = append(out, &metalogpb.Event{Kind: &metalogpb.Event_LinkApplied{LinkApplied: applied}})
		m.queue[0] = nil
		m.queue = m.queue[1:]
		m.flipped = p.flips
	}
	return out
}

// Flipped tells whether Ready has handed out a failover of the source itself. Topics that were of an image of the source
// are its own from there on, with a history that this machine knows nothing of: it hands out nothing more. Make another
// one once the event is applied.
func (m *Machine) Flipped() bool { return m.flipped }

// Head is the last entry offered, and its event time (0 when nothing is queued behind the image).
func (m *Machine) Head() (metastore.Head, int64) {
	if n := len(m.queue); n > 0 {
		return m.head, m.queue[n-1].timeMs
	}
	return m.head, 0
}

// OldestTime is the event time of the oldest entry that is not in the image, 0 when there is none.
func (m *Machine) OldestTime() int64 {
	if len(m.queue) > 0 {
		return m.queue[0].timeMs
	}
	return 0
}

// Ends lists, for what is queued, where the source's partitions end.
func (m *Machine) Ends() map[base.TopicPartition]base.Offset {
	out := map[base.TopicPartition]base.Offset{}
	for _, p := range m.queue {
		for tp, end := range p.ends {
			out[tp] = end
		}
	}
	return out
}

// QueuedBytes is the size of the entries that are queued, and of the wanted records that they commit.
func (m *Machine) QueuedBytes() int64 {
	var n int64
	for _, p := range m.queue {
		n += p.bytes
	}
	return n
}
