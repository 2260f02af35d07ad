package etcd

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gnomon-stream/gnomon/pkg/metastore"
)

var _ metastore.Restorer = (*Log)(nil)

// Restore implements metastore.Restorer. The leader's key goes in the same transaction: a term that was elected before it would else
// find the new head under its own guard, and append to the keys of an incarnation that is over.
func (l *Log) Restore(ctx context.Context, r metastore.Restoration) error {
	head := metastore.Head{Seq: r.First.Seq, Hash: metastore.HashOf(r.First.Value)}
	ifs := []clientv3.Cmp{
		l.holds("current", r.Replaces.Incarnation, r.Replaces.Incarnation != ""),
		l.holds("head", encodeHead(r.Replaces.Head), r.Replaces.Head.Seq > 0),
		clientv3.Compare(clientv3.ModRevision(l.key("fence")), "=", r.Replaces.FenceRevision),
	}
	then := []clientv3.Op{
		clientv3.OpDelete(l.key("leader")),
		clientv3.OpPut(l.key("current"), r.Incarnation),
		clientv3.OpPut(l.key(logKey(r.Incarnation, head.Seq)), string(r.First.Value)),
		clientv3.OpPut(l.key("head"), encodeHead(head)),
		clientv3.OpPut(l.key("archive"), encode(r.Archive)),
	}
	if r.Replaces.Incarnation != "" {
		then = append(then, clientv3.OpDelete(l.key(logKey(r.Replaces.Incarnation, 0)), clientv3.WithRange(l.key(r.Replaces.Incarnation+"/log0"))))
	}
	if r.Snapshot != nil {
		then = append(then, clientv3.OpPut(l.key("snapshot"), encode(r.Snapshot)))
	} else {
		then = append(then, clientv3.OpDelete(l.key("snapshot")))
	}
	if r.Fence != nil {
		then = append(then, clientv3.OpPut(l.key("fence"), encode(r.Fence)))
	}
	cctx, cancel := l.call(ctx)
	defer cancel()
	resp, err := l.client.Txn(cctx).If(ifs...).Then(then...).Commit()
	if err == nil && resp.Succeeded {
		return nil
	}
	// A lost answer, or somebody was faster: the head tells.
	pos, perr := l.Position(ctx)
	switch {
	case perr != nil:
		return errors.Join(failure("restore the metalog", err), perr)
	case pos.Incarnation == r.Incarnation && pos.Head.Seq >= head.Seq:
		return nil
	case err != nil:
		return failure("restore the metalog", err)
	}
	return fmt.Errorf("restore the metalog: etcd has changed meanwhile, to incarnation %q at seq %d: %w", pos.Incarnation, pos.Head.Seq, metastore.ErrConflict)
}

// holds compares a key with a value, or with nothing.
func (l *Log) holds(name, value string, there bool) clientv3.Cmp {
	if !there {
		return clientv3.Compare(clientv3.CreateRevision(l.key(name)), "=", 0)
	}
	return clientv3.Compare(clientv3.Value(l.key(name)), "=", value)
}
