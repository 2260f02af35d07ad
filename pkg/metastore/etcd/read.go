package etcd

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

// entriesPerGet bounds one range request; followBytes what Follow reads at a time to catch up.
const (
	entriesPerGet = 512
	followBytes   = 4 << 20
)

// Read implements metastore.Log.
func (l *Log) Read(ctx context.Context, from base.Seq, maxBytes int) ([]metastore.RawEntry, error) {
	out, _, err := l.read(ctx, from, maxBytes)
	return out, err
}

// read also returns the revision that the entries were read at: a watch begins behind it.
func (l *Log) read(ctx context.Context, from base.Seq, maxBytes int) ([]metastore.RawEntry, int64, error) {
	ctx, cancel := l.call(ctx)
	defer cancel()
	pos, err := l.Position(ctx)
	if err != nil {
		return nil, 0, err
	}
	resp, err := l.client.Get(ctx, l.key(logKey(pos.Incarnation, from)),
		clientv3.WithRange(l.key(pos.Incarnation+"/log0")), clientv3.WithLimit(entriesPerGet)) // '0' follows '/'
	if err != nil {
		return nil, 0, failure("read entries of the metalog", err)
	}
	var out []metastore.RawEntry
	size := 0
	for _, kv := range resp.Kvs {
		seq, err := parseSeq(string(kv.Key))
		if err != nil {
			return nil, 0, err
		}
		if want := from + base.Seq(len(out)); seq != want {
			if len(out) == 0 {
				return nil, 0, fmt.Errorf("read from seq %d, the first kept is %d: %w", from, seq, metastore.ErrTrimmed)
			}
			return nil, 0, fmt.Errorf("seq %d follows %d: %w", seq, want-1, metastore.ErrChain)
		}
		if size += len(kv.Value); size > maxBytes && len(out) > 0 {
			return out, 0, nil
		}
		out = append(out, metastore.RawEntry{Seq: seq, Value: kv.Value})
	}
	if len(out) == 0 && from <= pos.Head.Seq {
		return nil, 0, fmt.Errorf("read from seq %d, the head is %d and nothing is kept: %w", from, pos.Head.Seq, metastore.ErrTrimmed)
	}
	if resp.More {
		return out, 0, nil
	}
	return out, resp.Header.Revision, nil
}

// Follow implements metastore.Log: reads to the end, then watches from the revision after the last read. Whatever ends
// the watch (a member without a leader, a compaction past the revision), the next round reads again from the next seq.
func (l *Log) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	for {
		entries, revision, err := l.read(ctx, from, followBytes)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
			from = e.Seq + 1
		}
		if revision == 0 {
			continue
		}
		if from, err = l.followFrom(ctx, from, revision+1, fn); err != nil {
			return err
		}
	}
}

// followFrom watches the log, and returns the next seq, and no error when reading again may help.
func (l *Log) followFrom(ctx context.Context, from base.Seq, revision int64, fn func(metastore.RawEntry) error) (base.Seq, error) {
	pos, err := l.Position(ctx)
	if err != nil {
		return from, err
	}
	prefix := l.key(pos.Incarnation + "/log/")
	if pos.Incarnation == "" {
		prefix = l.key("current") // nothing to follow before the first leader: wait for it
	}
	// A leader appends a tick each second: silence is rare where all is well.
	err = l.watch(ctx, "watch the metalog", prefix, revision, func(resp clientv3.WatchResponse) error {
		if pos.Incarnation == "" {
			return errLookAgain
		}
		for _, ev := range resp.Events {
			seq, err := parseSeq(string(ev.Kv.Key))
			switch {
			case err != nil:
				return err
			case seq < from:
				continue
			case seq > from:
				return errLookAgain // a gap in the watch is no gap in the log
			}
			if err := fn(metastore.RawEntry{Seq: seq, Value: ev.Kv.Value}); err != nil {
				return err
			}
			from++
		}
		return nil
	}, clientv3.WithFilterDelete())
	if errors.Is(err, errLookAgain) {
		err = nil
	}
	return from, err
}
