package base

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// Offset is the position of a record in a partition. The first record of a partition has offset 0.
type Offset int64

// Seq is the position of an entry in the metalog. The first entry has seq 1; 0 means "before the first".
type Seq uint64

// Epoch is a region epoch: n*8 + region number. It rises with each flip, is the leader epoch of every batch that the
// region writes, and fills the high bits of the ids that the region hands out.
type Epoch int32

// RegionNumber tells the regions of one pair apart: 1 to 7.
type RegionNumber int32

// RegionsMax is the number of values that the low bits of an Epoch can tell apart.
const RegionsMax = 8

// Region returns the number of the region that owns the epoch.
func (e Epoch) Region() RegionNumber { return RegionNumber(e % RegionsMax) }

// NextEpoch returns the smallest epoch of region r that is higher than every epoch given.
func NextEpoch(r RegionNumber, above ...Epoch) Epoch {
	next := Epoch(r)
	for _, e := range above {
		if e < next {
			continue
		}
		if next = e/RegionsMax*RegionsMax + Epoch(r); next <= e {
			next += RegionsMax
		}
	}
	return next
}

// idCounterBits is how many low bits of a striped id count within one epoch; the epoch is above them.
const idCounterBits = 40

// StripedID returns an id that no other region and no other epoch can hand out: epoch<<40 | counter. Producer ids and
// writer sessions are such ids. It is positive for every valid epoch (below 2^23).
func StripedID(e Epoch, counter uint64) int64 {
	return int64(e)<<idCounterBits | int64(counter&(1<<idCounterBits-1))
}

// EpochOfID is the inverse of StripedID's high bits.
func EpochOfID(id int64) Epoch { return Epoch(id >> idCounterBits) }

// TopicID is Kafka's topic id (KIP-516), a version 4 UUID. It names one life of a topic: a topic that is deleted and
// created again under the same name has another id.
type TopicID [16]byte

// String gives Kafka's form: URL-safe base64 without padding.
func (id TopicID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// IsZero tells whether the id is unset.
func (id TopicID) IsZero() bool { return id == TopicID{} }

// Compare orders topic ids by their bytes.
func (id TopicID) Compare(o TopicID) int { return compareBytes(id[:], o[:]) }

// TopicIDFromBytes converts a 16-byte slice.
func TopicIDFromBytes(b []byte) (TopicID, error) {
	var id TopicID
	if len(b) != len(id) {
		return id, fmt.Errorf("topic id has %d bytes, want 16: %w", len(b), ErrCorrupt)
	}
	copy(id[:], b)
	return id, nil
}

// ClusterID names one Gnomon cluster (one region). It is in the header of every object and in the bucket's claim.
type ClusterID [16]byte

// String gives the id in hex.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }

// TopicPartition names a partition by its topic's id.
type TopicPartition struct {
	Topic     TopicID
	Partition int32
}

// Compare orders by topic id, then partition.
func (p TopicPartition) Compare(o TopicPartition) int {
	return cmp.Or(p.Topic.Compare(o.Topic), cmp.Compare(p.Partition, o.Partition))
}

// String gives "<topic id>-<partition>".
func (p TopicPartition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Partition) }

// SessionID names a writer session: one start of an agent, or one run of a link's copier. It is striped by region epoch.
type SessionID uint64

// ObjectNumber counts the objects of a writer session from 1.
type ObjectNumber uint64

// ObjectID names a segment object of a region.
type ObjectID struct {
	Session SessionID
	Number  ObjectNumber
}

// Compare orders by session, then number.
func (id ObjectID) Compare(o ObjectID) int {
	return cmp.Or(cmp.Compare(id.Session, o.Session), cmp.Compare(id.Number, o.Number))
}

// DataPrefix is where segment objects lie in a bucket, below its prefix.
const DataPrefix = "data/"

// Key returns the object's key below the bucket's prefix: data/<session, 16 hex digits>/<number, 16 hex digits>.
func (id ObjectID) Key() string {
	return fmt.Sprintf(DataPrefix+"%016x/%016x", uint64(id.Session), uint64(id.Number))
}

// String gives "<session>/<number>" in hex.
func (id ObjectID) String() string {
	return fmt.Sprintf("%x/%x", uint64(id.Session), uint64(id.Number))
}

// Sentinel errors. Packages wrap them with what was being done; one place maps them to Kafka's codes.
var (
	// ErrCorrupt says that bytes are not what was written: a wrong CRC, a lying length. Never used for ErrVersion.
	ErrCorrupt = errors.New("corrupt data")
	// ErrVersion says that bytes are of a format version, or an event kind, that this build does not know.
	ErrVersion = errors.New("unknown format version")
	// ErrNotFound says that a key, object, topic, link or group does not exist.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable says that the store, etcd or the coordinator cannot be reached just now: retry.
	ErrUnavailable = errors.New("unavailable")
	// ErrNotLeader says that the process asked is not, or no longer, the coordinator leader: retry elsewhere.
	ErrNotLeader = errors.New("not the coordinator leader")
	// ErrFenced says that a higher epoch, session or term has taken over: do not retry under this identity.
	ErrFenced = errors.New("fenced")
	// ErrReadOnly says that the region (or topic) accepts no writes in its role.
	ErrReadOnly = errors.New("read-only in this region's role")
	// ErrTooLarge says that a configured limit is exceeded.
	ErrTooLarge = errors.New("too large")
)
