package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// HeldObject is a quarantined object.
type HeldObject struct {
	ID      base.ObjectID `json:"-"`
	Key     string        `json:"key"`
	Restore string        `json:"restore"` // the incarnation whose restore quarantined it
	// Released says that it is garbage by now.
	Released bool  `json:"released"`
	Bytes    int64 `json:"bytes"`
	Records  int64 `json:"records"`
	// Error says why its footer cannot be read; it is kept all the same.
	Error      string          `json:"error,omitempty"`
	Partitions []HeldPartition `json:"partitions"`
}

// HeldPartition is what of a partition lies in quarantine.
type HeldPartition struct {
	Topic     string `json:"topic"` // empty when the restored state has no such topic
	TopicID   string `json:"topic_id"`
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
	Bytes     int64  `json:"bytes"`
	// The time of the oldest batch's first record, and the greatest of all, Unix milliseconds.
	MinTimestampMs int64 `json:"min_timestamp_ms"`
	MaxTimestampMs int64 `json:"max_timestamp_ms"`
}

const listLimit = 1000

// Held lists what is in quarantine, or was until its release, by the rule of the state and not by a report: what an agent put after the restore is found too.
func Held(ctx context.Context, bucket objstore.Store, st *state.State) ([]HeldObject, error) {
	var out []HeldObject
	err := sessions(ctx, bucket, func(id base.SessionID) error {
		after := ""
		if x := st.Session(id); x != nil {
			if x.Quarantine == "" {
				return nil
			}
			after = base.ObjectID{Session: id, Number: x.Floor}.Key()
		}
		return listAll(ctx, bucket, sessionPrefix(id), after, func(info objstore.Info) error {
			object, ok := parseKey(info.Key)
			if !ok {
				return nil
			}
			if class, restore := st.Classify(object); restore != "" {
				out = append(out, HeldObject{ID: object, Key: info.Key, Restore: restore, Released: class == state.Garbage, Bytes: info.Size, Partitions: []HeldPartition{}})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := out[i].describe(ctx, bucket, st); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (o *HeldObject) describe(ctx context.Context, bucket objstore.Store, st *state.State) error {
	extents, err := segment.ReadFooter(ctx, bucket, o.Key, o.Bytes)
	switch {
	case errors.Is(err, base.ErrCorrupt), errors.Is(err, base.ErrVersion), errors.Is(err, base.ErrNotFound):
		o.Error = err.Error()
		return nil
	case err != nil:
		return fmt.Errorf("read a quarantined object: %w", err)
	}
	for _, e := range extents {
		p := HeldPartition{Topic: topicName(st, e.Topic), TopicID: e.Topic.String(), Partition: e.Partition, Bytes: e.Length, MinTimestampMs: e.Batches[0].BaseTimestamp}
		for _, b := range e.Batches {
			p.Records += int64(b.Records)
			p.MinTimestampMs = min(p.MinTimestampMs, b.BaseTimestamp)
			p.MaxTimestampMs = max(p.MaxTimestampMs, b.MaxTimestamp)
		}
		o.Records += p.Records
		o.Partitions = append(o.Partitions, p)
	}
	return nil
}

func topicName(st *state.State, id base.TopicID) string {
	if t := st.Topic(id); t != nil {
		return t.Info().Name
	}
	return ""
}

// Totals adds the objects up by partition, sorted by topic.
func Totals(objects []HeldObject) []HeldPartition {
	type key struct {
		id        string
		partition int32
	}
	sums := map[key]*HeldPartition{}
	for _, o := range objects {
		for _, p := range o.Partitions {
			s := sums[key{p.TopicID, p.Partition}]
			if s == nil {
				one := p
				sums[key{p.TopicID, p.Partition}] = &one
				continue
			}
			s.Records += p.Records
			s.Bytes += p.Bytes
			s.MinTimestampMs, s.MaxTimestampMs = min(s.MinTimestampMs, p.MinTimestampMs), max(s.MaxTimestampMs, p.MaxTimestampMs)
		}
	}
	out := make([]HeldPartition, 0, len(sums))
	for _, s := range sums {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b HeldPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.TopicID, b.TopicID), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

func sessionPrefix(id base.SessionID) string {
	return fmt.Sprintf("%s%016x/", base.DataPrefix, uint64(id))
}

// parseKey is the inverse of ObjectID.Key.
func parseKey(key string) (base.ObjectID, bool) {
	var session, number uint64
	n, err := fmt.Sscanf(key, base.DataPrefix+"%016x/%016x", &session, &number)
	id := base.ObjectID{Session: base.SessionID(session), Number: base.ObjectNumber(number)}
	return id, err == nil && n == 2 && id.Key() == key
}

// sessions calls fn for each session that has objects, with one listing each. What is no session's is passed over.
func sessions(ctx context.Context, bucket objstore.Store, fn func(base.SessionID) error) error {
	after := ""
	for {
		page, err := bucket.List(ctx, base.DataPrefix, after, 1)
		if err != nil {
			return fmt.Errorf("list the sessions' objects: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		name, _, nested := strings.Cut(strings.TrimPrefix(page[0].Key, base.DataPrefix), "/")
		after = page[0].Key
		if nested {
			after = base.DataPrefix + name + "/~" // above all that begins with a digit
		}
		id, err := strconv.ParseUint(name, 16, 64)
		if err != nil || fmt.Sprintf("%016x", id) != name {
			continue
		}
		if err := fn(base.SessionID(id)); err != nil {
			return err
		}
	}
}

// listAll calls fn for each object of a prefix.
func listAll(ctx context.Context, bucket objstore.Store, prefix, after string, fn func(objstore.Info) error) error {
	for {
		page, err := bucket.List(ctx, prefix, after, listLimit)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		for _, info := range page {
			if err := fn(info); err != nil {
				return err
			}
		}
		if len(page) < listLimit {
			return nil
		}
		after = page[len(page)-1].Key
	}
}
