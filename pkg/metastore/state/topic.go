package state

import (
	"sort"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Residency says whether a span's bytes are in this region's bucket.
type Residency int32

// Residencies, as in the Snapshot message.
const (
	Local  Residency = 0 // Span.Object is an object of this region
	Remote Residency = 1 // Span.Object is an object of the link's source
	Absent Residency = 2 // deleted at the source before it was copied
)

// Span is a run of offsets whose batches lie side by side in one object.
type Span struct {
	Base, Last   base.Offset // inclusive
	MaxTimestamp int64       // Unix milliseconds
	Object       base.ObjectID
	Position     int64 // bytes from the start of the object
	Length       int64 // bytes
	Residency    Residency
}

// EpochStart is where a leader epoch began.
type EpochStart struct {
	Epoch base.Epoch
	Start base.Offset
}

// Partition is one partition at one instant. It is immutable: readers keep it as long as they like.
type Partition struct {
	LogStart     base.Offset
	End          base.Offset // high watermark: the offset after the last record
	LastStable   base.Offset
	MaxTimestamp int64 // of the records of all spans, Unix milliseconds; -1 when empty
	Chain        base.Chain
	Epochs       []EpochStart // rising
	Spans        []Span       // dense and rising
}

// FindSpan returns the index of the span that holds offset, or len(Spans) when it is at or beyond the end.
func (p *Partition) FindSpan(offset base.Offset) int {
	return sort.Search(len(p.Spans), func(i int) bool { return p.Spans[i].Last >= offset })
}

// EpochEnd returns the largest epoch not above e that the partition has, and where it ends (KIP-101). Below the first
// epoch it returns that first epoch's start, so that the answer is never -1.
func (p *Partition) EpochEnd(e base.Epoch) EpochStart {
	i := sort.Search(len(p.Epochs), func(i int) bool { return p.Epochs[i].Epoch > e })
	switch {
	case len(p.Epochs) == 0:
		return EpochStart{Epoch: e, Start: p.End}
	case i == 0:
		return EpochStart{Epoch: e, Start: p.Epochs[0].Start}
	case i == len(p.Epochs):
		return EpochStart{Epoch: p.Epochs[i-1].Epoch, Start: p.End}
	}
	return EpochStart{Epoch: p.Epochs[i-1].Epoch, Start: p.Epochs[i].Start}
}

// EpochOf returns the epoch under which offset was written.
func (p *Partition) EpochOf(offset base.Offset) base.Epoch {
	i := sort.Search(len(p.Epochs), func(i int) bool { return p.Epochs[i].Start > offset })
	if i == 0 {
		return -1
	}
	return p.Epochs[i-1].Epoch
}

// TopicInfo is what a topic is at one instant, apart from its records. It is immutable.
type TopicInfo struct {
	ID                base.TopicID
	Name              string
	ReplicationFactor int32
	Configs           map[string]string // only what differs from the defaults
	// Visible is false for a topic of an image that the link's filters leave out: it is in the image, but is not shown
	// and its bytes are not copied.
	Visible bool
	// Fault, for a topic of an image, says why it is not replicated; empty when it is.
	Fault string
	// SourceDeleted says that the source deleted it and the link's policy keeps it.
	SourceDeleted bool
}

// cell is one partition with what only the applying goroutine sees of it.
type cell struct {
	now       atomic.Pointer[Partition]
	producers map[int64]*Producer
}

// PartitionsMax bounds a topic's partitions, whatever a controller is told to grant: an event of a few bytes, which may be a
// source's, must not cost any amount of memory.
const PartitionsMax = 100_000

// Topic is one life of a topic.
type Topic struct {
	info  atomic.Pointer[TopicInfo]
	cells atomic.Pointer[[]*cell]
}

func newTopic(info TopicInfo, partitions int32) *Topic {
	t := &Topic{}
	t.info.Store(&info)
	t.cells.Store(&[]*cell{})
	t.grow(partitions)
	return t
}

func (t *Topic) grow(partitions int32) {
	old := *t.cells.Load()
	cells := make([]*cell, len(old), partitions)
	copy(cells, old)
	for int32(len(cells)) < partitions {
		c := &cell{}
		c.now.Store(&Partition{MaxTimestamp: -1})
		cells = append(cells, c)
	}
	t.cells.Store(&cells)
}

// Info returns the topic's present description.
func (t *Topic) Info() *TopicInfo { return t.info.Load() }

// Partitions returns how many partitions the topic has.
func (t *Topic) Partitions() int32 { return int32(len(*t.cells.Load())) }

// Partition returns partition i as it is now, or nil when there is none.
func (t *Topic) Partition(i int32) *Partition {
	if c := t.cell(i); c != nil {
		return c.now.Load()
	}
	return nil
}

func (t *Topic) cell(i int32) *cell {
	cells := *t.cells.Load()
	if i < 0 || int(i) >= len(cells) {
		return nil
	}
	return cells[i]
}

func (t *Topic) update(change func(*TopicInfo)) {
	info := *t.info.Load()
	change(&info)
	t.info.Store(&info)
}

// ProducersLastBatches is how many batches of a producer are remembered to recognise a retry, as in Kafka.
const ProducersLastBatches = 5

// Producer is what a partition remembers of an idempotent producer.
type Producer struct {
	ID        int64
	Epoch     int16
	LastWrite int64 // event time, Unix milliseconds
	// GapAllowed says that one batch may leave a forward gap: its producer is of an earlier region epoch, and what the gap
	// skips was written above the cut, which the RPO ledger accounts for. It lasts until a gap is left: a batch that the
	// producer had sent here before the flip, and that comes late, leaves none.
	GapAllowed bool
	Batches    []*metalogpb.ProducerBatch // the last ones, oldest first, at most ProducersLastBatches
}

// NewProducer returns what is remembered of a producer before its first batch, in a region of that epoch.
func NewProducer(id int64, producerEpoch int16, region base.Epoch) *Producer {
	of := base.EpochOfID(id) // 0 for an id that no Gnomon region gave out
	return &Producer{ID: id, Epoch: producerEpoch, GapAllowed: of > 0 && of < region}
}

// Note adds an accepted batch.
func (p *Producer) Note(b *metalogpb.ProducerBatch) {
	if len(p.Batches) > 0 && b.BaseSequence != (p.LastSequence()+1)&0x7fffffff {
		p.GapAllowed = false
	}
	if len(p.Batches) == ProducersLastBatches {
		copy(p.Batches, p.Batches[1:])
		p.Batches = p.Batches[:ProducersLastBatches-1]
	}
	p.Batches = append(p.Batches, b)
}

// LastSequence returns the sequence number of the producer's last record, -1 when there is none.
func (p *Producer) LastSequence() int32 {
	if len(p.Batches) == 0 {
		return -1
	}
	return LastSequence(p.Batches[len(p.Batches)-1])
}

// LastSequence returns the sequence number of a batch's last record. Sequences wrap from 2^31-1 to 0.
func LastSequence(b *metalogpb.ProducerBatch) int32 {
	return int32((int64(b.BaseSequence) + int64(b.LastOffsetDelta)) & 0x7fffffff)
}
