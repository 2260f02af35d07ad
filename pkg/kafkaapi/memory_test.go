package kafkaapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// memory is all four backends, in memory, for one agent.
type memory struct {
	mu       sync.Mutex
	self     Broker
	topics   map[string]*Topic
	logs     map[base.TopicPartition]*memoryLog
	changed  chan struct{} // closed and replaced at each change
	nextPID  int64
	nextID   byte
	held     []func() // appends that wait for let
	hold     bool
	refresh  error
	forward  error
	appendTo func(results []ProduceResult) // may change the results
	created  int                           // topics by Forward
	forwards []int16
	refused  []ProduceBatch
	hidden   map[string]bool  // topics that show only after a Refresh
	stale    map[string]Topic // what topics look like until a Refresh
	poison   bool             // Read panics
	waiters  int              // subscriptions of Changed
	aheads   []readAhead      // calls of ReadAhead
	cold     bool             // nothing is at hand
}

type memoryLog struct {
	batches [][]byte
	end     base.Offset
}

func newMemory() *memory {
	return &memory{
		self: Broker{NodeID: 1, Host: "127.0.0.1", Port: 9092, Rack: "a"}, topics: map[string]*Topic{},
		logs: map[base.TopicPartition]*memoryLog{}, changed: make(chan struct{}), hidden: map[string]bool{}, stale: map[string]Topic{}, nextPID: 1000,
	}
}

func (m *memory) Cluster() Cluster {
	return Cluster{ID: "memory", ControllerID: m.self.NodeID, Brokers: []Broker{m.self}}
}

func (m *memory) Topics() []Topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Topic
	for _, t := range m.topics {
		if !m.hidden[t.Name] {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out, func(a, b Topic) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (m *memory) find(match func(*Topic) bool) (Topic, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.topics {
		if match(t) && !m.hidden[t.Name] {
			if old, stale := m.stale[t.Name]; stale {
				return old, true
			}
			return *t, true
		}
	}
	return Topic{}, false
}

func (m *memory) TopicByName(name string) (Topic, bool) {
	return m.find(func(t *Topic) bool { return t.Name == name })
}

func (m *memory) TopicByID(id base.TopicID) (Topic, bool) {
	return m.find(func(t *Topic) bool { return t.ID == id })
}

func (m *memory) PartitionBytes(tp base.TopicPartition) (size int64) {
	m.locked(func() {
		if log := m.logs[tp]; log != nil {
			for _, b := range log.batches {
				size += int64(len(b))
			}
		}
	})
	return size
}

func (m *memory) Leader(base.TopicID, int32) int32 { return m.self.NodeID }

func (m *memory) Refresh(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refresh == nil {
		clear(m.hidden)
		clear(m.stale)
	}
	return m.refresh
}

// add creates a topic.
func (m *memory) add(name string, partitions int32, configs map[string]string) Topic {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nextID++
	t := &Topic{ID: base.TopicID{15: m.nextID}, Name: name, Partitions: partitions, LeaderEpoch: 1, ReplicationFactor: 1, Configs: configs, Writable: true}
	m.topics[name] = t
	for p := range partitions {
		m.logs[base.TopicPartition{Topic: t.ID, Partition: p}] = &memoryLog{}
	}
	return *t
}

func (m *memory) Refuse(_ context.Context, batches []ProduceBatch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused = append(m.refused, batches...)
}

func (m *memory) Append(_ context.Context, batches []ProduceBatch, done func([]ProduceResult)) {
	run := func() {
		results := make([]ProduceResult, len(batches))
		for i, b := range batches {
			results[i] = m.append(b)
		}
		var fault func([]ProduceResult)
		m.locked(func() { fault = m.appendTo })
		if fault != nil {
			fault(results)
		}
		done(results)
	}
	m.mu.Lock()
	if m.hold {
		m.held = append(m.held, run)
		m.mu.Unlock()
		return
	}
	m.mu.Unlock()
	run()
}

// let runs the appends that were held, in the order that pick gives.
func (m *memory) let(order func([]func()) []func()) {
	m.mu.Lock()
	held := m.held
	m.held, m.hold = nil, false
	m.mu.Unlock()
	for _, run := range order(held) {
		run()
	}
}

func (m *memory) append(b ProduceBatch) ProduceResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[base.TopicPartition{Topic: b.Topic, Partition: b.Partition}]
	if log == nil {
		return ProduceResult{Err: kerr.UnknownTopicOrPartition}
	}
	if h, _, err := batch.Parse(b.Bytes); err != nil || !batch.CheckCRC(h, b.Bytes) {
		return ProduceResult{Err: fmt.Errorf("the frame was reused before done (K2): %w", kerr.CorruptMessage)}
	}
	stored := slices.Clone(b.Bytes)
	clear(b.Bytes) // whoever looks at the frame after done sees it
	batch.PatchOffsets(stored, log.end, 1)
	res := ProduceResult{BaseOffset: log.end, LogAppendTime: -1}
	log.batches = append(log.batches, stored)
	log.end += base.Offset(b.Header.Records)
	close(m.changed)
	m.changed = make(chan struct{})
	return res
}

func (m *memory) Read(_ context.Context, req ReadRequest) (ReadResult, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.poison {
		panic("poison")
	}
	log := m.logs[base.TopicPartition{Topic: req.Topic, Partition: req.Partition}]
	if log == nil {
		return ReadResult{}, kerr.UnknownTopicOrPartition
	}
	if req.Offset > log.end || req.Offset < 0 {
		return ReadResult{}, fmt.Errorf("offset %d: %w", req.Offset, kerr.OffsetOutOfRange)
	}
	if m.cold && req.Cold != nil {
		m.mu.Unlock()
		req.Cold()
		m.mu.Lock()
	}
	res := ReadResult{HighWatermark: log.end, LastStable: log.end}
	for _, b := range log.batches {
		h, _, err := batch.Parse(b)
		if err != nil {
			return res, err
		}
		if h.BaseOffset+base.Offset(h.LastOffsetDelta) < req.Offset {
			continue
		}
		if res.Bytes+len(b) > req.MaxBytes && !(req.AtLeastOne && res.Bytes == 0) {
			break
		}
		res.Batches = append(res.Batches, b)
		res.Bytes += len(b)
	}
	return res, nil
}

// ReadAhead notes what was asked for.
func (m *memory) ReadAhead(reqs []ReadRequest, maxBytes int) {
	m.locked(func() { m.aheads = append(m.aheads, readAhead{reqs: reqs, maxBytes: maxBytes}) })
}

type readAhead struct {
	reqs     []ReadRequest
	maxBytes int
}

func (m *memory) Changed([]base.TopicPartition) (<-chan struct{}, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiters++
	return m.changed, func() { m.locked(func() { m.waiters-- }) }
}

// waiting counts the fetches that wait for a change.
func (m *memory) waiting() (n int) {
	m.locked(func() { n = m.waiters })
	return n
}

func (m *memory) ListOffset(_ context.Context, tp base.TopicPartition, timestamp int64, _ bool, _ base.Epoch) (OffsetAt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := m.logs[tp]
	switch {
	case m.poison && tp.Partition == 1:
		panic("poison")
	case log == nil:
		return OffsetAt{}, kerr.UnknownTopicOrPartition
	case timestamp == -1:
		return OffsetAt{Offset: log.end, Timestamp: -1, Epoch: 1}, nil
	case timestamp == -2:
		return OffsetAt{Timestamp: -1, Epoch: 1}, nil
	}
	return OffsetAt{Offset: -1, Timestamp: -1, Epoch: -1}, nil
}

func (m *memory) EpochEnd(_ context.Context, tp base.TopicPartition, epoch, _ base.Epoch) (EpochEnd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return EpochEnd{Epoch: min(epoch, 1), End: m.logs[tp].end}, nil
}

// Forward answers as the leader does, but leaves it to the caller to say in which version.
func (m *memory) Forward(_ context.Context, _ Client, req kmsg.Request) (kmsg.Response, error) {
	resp, err := m.lead(req)
	if err != nil {
		return nil, err
	}
	resp.SetVersion(0)
	return resp, nil
}

func (m *memory) lead(req kmsg.Request) (kmsg.Response, error) {
	m.mu.Lock()
	m.forwards = append(m.forwards, req.Key())
	err := m.forward
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		resp := r.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, t := range r.Topics {
			out := kmsg.NewCreateTopicsResponseTopic()
			out.Topic = t.Topic
			if _, ok := m.TopicByName(t.Topic); ok {
				out.ErrorCode = kerr.TopicAlreadyExists.Code
			} else {
				configs := map[string]string{}
				for _, c := range t.Configs {
					configs[c.Name] = *c.Value
				}
				out.TopicID = m.add(t.Topic, max(t.NumPartitions, 1), configs).ID
				m.locked(func() { m.created++ })
			}
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil
	case *kmsg.DeleteTopicsRequest:
		resp := r.ResponseKind().(*kmsg.DeleteTopicsResponse)
		for _, t := range r.Topics {
			out := kmsg.NewDeleteTopicsResponseTopic()
			out.Topic = t.Topic
			m.mu.Lock()
			delete(m.topics, *t.Topic)
			m.mu.Unlock()
			resp.Topics = append(resp.Topics, out)
		}
		return resp, nil
	case *kmsg.InitProducerIDRequest:
		resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.nextPID++
		resp.ProducerID = m.nextPID
		return resp, nil
	}
	return req.ResponseKind(), nil
}
