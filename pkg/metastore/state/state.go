package state

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// FeatureLevel is the highest feature level whose events this build can apply.
const FeatureLevel = 1

// Region is what the cluster is at one instant. It is immutable.
type Region struct {
	ClusterID      base.ClusterID
	KafkaClusterID string
	Number         base.RegionNumber
	Name           string
	Epoch          base.Epoch // the leader epoch of what the region writes
	yieldAbove     base.Epoch // 0: its own; see Yields
}

// Group is the durable part of a consumer group.
type Group struct {
	Changed *metalogpb.GroupChanged // nil for a group that only has offsets
	Offsets map[base.TopicPartition]GroupOffset
}

// GroupOffset is a committed offset.
type GroupOffset struct {
	Offset      base.Offset
	LeaderEpoch base.Epoch // -1 when the client gave none
	Metadata    string
	CommitTime  int64 // event time, Unix milliseconds
	// Retention is how long after its commit it is kept once nobody uses it, milliseconds; 0: as long as the region keeps offsets.
	Retention int64
}

// Session is a writer session: one start of an agent, or one run of a link's copier.
type Session struct {
	ID     base.SessionID
	NodeID int32
	Link   string
	Fenced bool
	// Quarantine is the incarnation whose restore ended the session: what lies above the floor may have been acked.
	Quarantine string
	// Floor: every number up to it is committed or abandoned.
	Floor base.ObjectNumber
	// ResolvedBelow: the agent has answered every commit below it.
	ResolvedBelow base.ObjectNumber
	Results       map[base.ObjectNumber]*metalogpb.StoredResult
}

// Object is a segment object of this region that events name.
type Object struct {
	Size       int64 // bytes
	References int64 // spans that lie in it
}

// State is the whole of it. See the package comment for who may call what.
type State struct {
	// Serving leaves out what an agent's view does not need: groups, producers, sessions' results.
	serving bool
	// owner is the state whose bucket holds the bytes: the state itself, or for an image the one that holds the link.
	owner *State
	link  *Link // the link whose image this is, else nil

	region atomic.Pointer[Region]
	byID   sync.Map // base.TopicID -> *Topic
	byName sync.Map // string -> *Topic
	links  atomic.Pointer[[]*Link]

	head         metastore.Head
	time         int64
	featureLevel uint32
	incarnation  string
	restores     []Incarnation

	sessions       map[base.SessionID]*Session
	objects        map[base.ObjectID]*Object
	groups         map[string]*Group
	counts         Counts
	nextProducerID int64
	nextSession    uint64 // counter of the last session opened in this epoch
}

// New returns the state before the first entry.
func New() *State { return newState(false) }

// NewServing returns an agent's view before the first entry: State without groups, producers and sessions.
func NewServing() *State { return newState(true) }

func newState(serving bool) *State {
	s := &State{
		serving:  serving,
		sessions: map[base.SessionID]*Session{},
		objects:  map[base.ObjectID]*Object{},
		groups:   map[string]*Group{},
	}
	s.owner = s
	s.region.Store(&Region{})
	s.links.Store(&[]*Link{})
	return s
}

// Region returns what the cluster is now.
func (s *State) Region() *Region { return s.region.Load() }

// Head returns the last entry applied. Applying goroutine only.
func (s *State) Head() metastore.Head { return s.head }

// Time returns the event time of the last entry applied, Unix milliseconds. Applying goroutine only.
func (s *State) Time() int64 { return s.time }

// Incarnation returns the incarnation that the entries belong to; empty when nobody said. Applying goroutine only.
func (s *State) Incarnation() string { return s.incarnation }

// SetIncarnation notes which incarnation the state belongs to.
func (s *State) SetIncarnation(id string) { s.incarnation = id }

// Session returns a session, or nil. Applying goroutine only.
func (s *State) Session(id base.SessionID) *Session { return s.sessions[id] }

// Sessions returns all sessions, by id. Applying goroutine only.
func (s *State) Sessions() []*Session {
	out := make([]*Session, 0, len(s.sessions))
	for _, x := range s.sessions {
		out = append(out, x)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out
}

// Object returns an object that events name, or nil. Applying goroutine only.
func (s *State) Object(id base.ObjectID) *Object { return s.objects[id] }

// Objects returns the ids of all objects that events name, sorted. Applying goroutine only.
func (s *State) Objects() []base.ObjectID {
	return slices.SortedFunc(maps.Keys(s.objects), base.ObjectID.Compare)
}

// Group returns a group, or nil. Applying goroutine only.
func (s *State) Group(name string) *Group { return s.groups[name] }

// Groups returns the names of all groups, sorted. Applying goroutine only.
func (s *State) Groups() []string { return sortedKeys(s.groups) }

// GroupCount returns how many groups there are. Applying goroutine only.
func (s *State) GroupCount() int { return len(s.groups) }

// NextProducerID returns the first producer id that was never handed out. Applying goroutine only.
func (s *State) NextProducerID() int64 {
	return max(s.nextProducerID, base.StripedID(s.Region().Epoch, 1))
}

// NextSession returns the id for the next session to open. Applying goroutine only.
func (s *State) NextSession() base.SessionID {
	return base.SessionID(base.StripedID(s.Region().Epoch, s.nextSession+1))
}

// Producer returns what a partition remembers of a producer, or nil. Applying goroutine only.
func (s *State) Producer(tp base.TopicPartition, id int64) *Producer {
	t := s.Topic(tp.Topic)
	if t == nil {
		return nil
	}
	c := t.cell(tp.Partition)
	if c == nil {
		return nil
	}
	return c.producers[id]
}

// Producers returns what a partition remembers of all producers, by id. Applying goroutine only.
func (s *State) Producers(tp base.TopicPartition) []*Producer {
	t := s.Topic(tp.Topic)
	if t == nil {
		return nil
	}
	c := t.cell(tp.Partition)
	if c == nil {
		return nil
	}
	out := make([]*Producer, 0, len(c.producers))
	for _, id := range sortedKeys(c.producers) {
		out = append(out, c.producers[id])
	}
	return out
}

// Topic returns one of the region's own topics by id, or nil.
func (s *State) Topic(id base.TopicID) *Topic {
	if t, ok := s.byID.Load(id); ok {
		return t.(*Topic)
	}
	return nil
}

// TopicByName returns one of the region's own topics, or nil.
func (s *State) TopicByName(name string) *Topic {
	if t, ok := s.byName.Load(name); ok {
		return t.(*Topic)
	}
	return nil
}

// Topics returns the region's own topics, sorted by name.
func (s *State) Topics() []*Topic {
	var out []*Topic
	s.byID.Range(func(_, t any) bool {
		out = append(out, t.(*Topic))
		return true
	})
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i].Info(), out[j].Info()
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.ID.Compare(b.ID) < 0
	})
	return out
}

// Partition returns a partition of one of the region's own topics as it is now, or nil.
func (s *State) Partition(tp base.TopicPartition) *Partition {
	if t := s.Topic(tp.Topic); t != nil {
		return t.Partition(tp.Partition)
	}
	return nil
}

// Links returns the links, sorted by name.
func (s *State) Links() []*Link { return *s.links.Load() }

// Link returns a link by name, or nil.
func (s *State) Link(name string) *Link {
	for _, l := range s.Links() {
		if l.Name() == name {
			return l
		}
	}
	return nil
}

// Shadowed is a topic as a region shows it: its own (Link nil), or of a link's image.
type Shadowed struct {
	*Topic
	Link *Link
}

// Writable tells whether the topic accepts writes, as far as the log knows (a fence from outside may forbid them).
func (t Shadowed) Writable() bool { return t.Link == nil }

// Epoch returns the leader epoch under which the topic is written.
func (s *State) Epoch(t Shadowed) base.Epoch {
	if t.Link != nil {
		return t.Link.Image().Region().Epoch
	}
	return s.Region().Epoch
}

// Show finds a topic by id among those that this region shows.
func (s *State) Show(id base.TopicID) (Shadowed, bool) {
	if t := s.Topic(id); t != nil {
		return Shadowed{Topic: t}, true
	}
	for _, l := range s.Links() {
		if t := l.Image().Topic(id); t != nil && l.shows(t) {
			return Shadowed{Topic: t, Link: l}, true
		}
	}
	return Shadowed{}, false
}

// ShowByName finds a topic by name among those that this region shows.
func (s *State) ShowByName(name string) (Shadowed, bool) {
	if t := s.TopicByName(name); t != nil {
		return Shadowed{Topic: t}, true
	}
	for _, l := range s.Links() {
		if t := l.Image().TopicByName(name); t != nil && l.shows(t) {
			return Shadowed{Topic: t, Link: l}, true
		}
	}
	return Shadowed{}, false
}

// ShowAll returns all topics that this region shows, sorted by name.
func (s *State) ShowAll() []Shadowed {
	var out []Shadowed
	for _, t := range s.Topics() {
		out = append(out, Shadowed{Topic: t})
	}
	for _, l := range s.Links() {
		for _, t := range l.Image().Topics() {
			if _, own := s.byName.Load(t.Info().Name); !own && l.shows(t) {
				out = append(out, Shadowed{Topic: t, Link: l})
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Info().Name < out[j].Info().Name })
	return out
}
