package etcd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Campaign implements metastore.Log. A leader with our own id is us, before a restart: its key is replaced without
// waiting for its lease, by a compare of its value. Should that process live after all, its appends fail on the leader
// key's value from then on.
func (l *Log) Campaign(ctx context.Context, id, address string) (metastore.Term, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	lease, err := l.grant(ctx)
	if err != nil {
		return nil, err
	}
	value := encode(&metalogpb.Leader{Nonce: nonce, Address: address, Id: id})
	for {
		if err := l.elect(ctx, id, value, lease); err == nil {
			return l.newTerm(ctx, nonce, value, lease)
		} else if !errors.Is(err, metastore.ErrConflict) {
			lease.stop()
			return nil, err
		}
		if err := l.awaitVacancy(ctx); err != nil {
			lease.stop()
			return nil, err
		}
	}
}

// elect takes the leader key if it is free, or ours; metastore.ErrConflict when somebody else leads.
func (l *Log) elect(ctx context.Context, id, value string, lease *lease) error {
	ctx, cancel := l.call(ctx)
	defer cancel()
	key := l.key("leader")
	got, err := l.client.Get(ctx, key)
	if err != nil {
		return failure("campaign", err)
	}
	free := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	if len(got.Kvs) > 0 {
		var stands metalogpb.Leader
		if err := decode("leader", got.Kvs[0].Value, &stands); err != nil {
			return err
		}
		if stands.Id != id {
			return metastore.ErrConflict
		}
		free = clientv3.Compare(clientv3.ModRevision(key), "=", got.Kvs[0].ModRevision)
	}
	incarnation := make([]byte, 8)
	_, _ = rand.Read(incarnation) // never fails
	first := clientv3.OpTxn([]clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(l.key("current")), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(l.key("current"), fmt.Sprintf("%x", incarnation))}, nil)
	resp, err := l.client.Txn(ctx).If(free).Then(clientv3.OpPut(key, value, clientv3.WithLease(lease.id)), first).Commit()
	switch {
	case err != nil:
		return failure("campaign", err)
	case !resp.Succeeded:
		return metastore.ErrConflict
	}
	return nil
}

// awaitVacancy waits until the leader key may be free.
func (l *Log) awaitVacancy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), l.cfg.LeaseTTL)
	defer cancel()
	for resp := range l.client.Watch(ctx, l.key("leader"), clientv3.WithFilterPut()) {
		if err := resp.Err(); err != nil {
			return failure("wait for the leader's key", err)
		}
		if len(resp.Events) > 0 {
			return nil
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil // a look now and then: a watch can miss nothing, but a look costs nothing either
	}
	return ctx.Err()
}

// lease is a lease that is kept alive until stop.
type lease struct {
	l    *Log
	id   clientv3.LeaseID
	lost chan struct{}
	stop func()
}

func (l *Log) grant(ctx context.Context) (*lease, error) {
	gctx, cancel := l.call(ctx)
	defer cancel()
	ends := time.NewTimer(l.cfg.LeaseTTL)
	granted, err := l.client.Grant(gctx, int64((l.cfg.LeaseTTL+time.Second-1)/time.Second))
	if err != nil {
		return nil, failure("get a lease", err)
	}
	kctx, stop := context.WithCancel(ctx)
	x := &lease{l: l, id: granted.ID, lost: make(chan struct{}), stop: stop}
	go func() { // ends with kctx or the lease
		defer close(x.lost)
		x.keep(kctx, ends)
	}()
	return x, nil
}

// keepPerLease is how often a lease is renewed while it lasts.
const keepPerLease = 4

// keep renews the lease until ctx ends or the lease may be over: ends fires so long after the last request that was answered had left.
//
// Each renewal is a request of its own, so that it goes to another member than the last one. The client's own KeepAlive has one stream for all
// leases: with the member that hangs (a paused machine, a stuck disk) all of them lapse, and so do those that are taken after, until gRPC finds the
// connection dead, which takes 13 s.
func (x *lease) keep(ctx context.Context, ends *time.Timer) {
	pause := x.l.cfg.LeaseTTL / keepPerLease
	next := time.NewTimer(pause)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ends.C:
			return
		case <-next.C:
		}
		renewed := time.NewTimer(x.l.cfg.LeaseTTL)
		call, cancel := context.WithTimeout(ctx, pause)
		_, err := x.l.client.KeepAliveOnce(call, x.id)
		cancel()
		switch {
		case err == nil:
			ends = renewed
			next.Reset(pause)
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return
		default:
			next.Reset(appendRetry)
		}
	}
}

// revoke gives the lease up, with every key under it.
func (x *lease) revoke(ctx context.Context) error {
	x.stop()
	ctx, cancel := x.l.call(ctx)
	defer cancel()
	_, err := x.l.client.Revoke(ctx, x.id)
	return failure("give a lease up", err)
}

type term struct {
	l           *Log
	nonce       []byte
	value       string // of the leader key
	lease       *lease
	incarnation string
}

func (l *Log) newTerm(ctx context.Context, nonce []byte, value string, lease *lease) (*term, error) {
	pos, err := l.Position(ctx)
	if err != nil {
		lease.stop()
		return nil, err
	}
	return &term{l: l, nonce: nonce, value: value, lease: lease, incarnation: pos.Incarnation}, nil
}

func (t *term) Nonce() []byte                    { return t.nonce }
func (t *term) Lost() <-chan struct{}            { return t.lease.lost }
func (t *term) Resign(ctx context.Context) error { return t.lease.revoke(ctx) }

func (t *term) mine() clientv3.Cmp {
	return clientv3.Compare(clientv3.Value(t.l.key("leader")), "=", t.value)
}

const appendRetry = 50 * time.Millisecond

// Append implements metastore.Term; the package comment has the walk of lost answers.
func (t *term) Append(ctx context.Context, guard metastore.Guard, value []byte) error {
	next := metastore.Head{Seq: guard.Head.Seq + 1, Hash: metastore.HashOf(value)}
	sent := false
	for {
		ok, err := t.try(ctx, guard, next, value)
		switch {
		case ok:
			return nil
		case err == nil:
			settled, err := t.settle(ctx, guard, next)
			if settled || err != nil {
				return err
			}
		case errors.Is(err, base.ErrUnavailable):
			sent = true
		default:
			return err
		}
		select {
		case <-ctx.Done():
		case <-t.lease.lost:
		case <-time.After(appendRetry):
			continue
		}
		if !sent {
			return fmt.Errorf("append seq %d: %w: %w", next.Seq, base.ErrUnavailable, context.Cause(ctx))
		}
		return fmt.Errorf("append seq %d: %w: %w", next.Seq, metastore.ErrAmbiguous, err)
	}
}

// try sends the transaction once. False and no error: a condition did not hold.
func (t *term) try(ctx context.Context, guard metastore.Guard, next metastore.Head, value []byte) (bool, error) {
	ctx, cancel := t.l.call(ctx)
	defer cancel()
	head := clientv3.Compare(clientv3.CreateRevision(t.l.key("head")), "=", 0)
	if guard.Head.Seq > 0 {
		head = clientv3.Compare(clientv3.Value(t.l.key("head")), "=", encodeHead(guard.Head))
	}
	resp, err := t.l.client.Txn(ctx).
		If(t.mine(), head, clientv3.Compare(clientv3.ModRevision(t.l.key("fence")), "=", guard.FenceRevision)).
		Then(clientv3.OpPut(t.l.key(logKey(t.incarnation, next.Seq)), string(value)), clientv3.OpPut(t.l.key("head"), encodeHead(next))).
		Commit()
	if err != nil {
		return false, failure("append to the metalog", err)
	}
	return resp.Succeeded, nil
}

// settle finds out why a condition did not hold. True with no error: the entry is in the log already. False with no
// error: etcd is out of reach, or the conditions hold now; try again.
func (t *term) settle(ctx context.Context, guard metastore.Guard, next metastore.Head) (bool, error) {
	pos, err := t.l.Position(ctx)
	switch {
	case errors.Is(err, base.ErrUnavailable):
		return false, nil
	case err != nil:
		return false, err
	case pos.Head == next:
		return true, nil
	case pos.FenceRevision != guard.FenceRevision:
		return false, fmt.Errorf("append seq %d: %w", next.Seq, base.ErrFenced)
	case pos.Leader == nil || !proto.Equal(pos.Leader, t.leader()):
		return false, fmt.Errorf("append seq %d: %w", next.Seq, metastore.ErrDeposed)
	case pos.Head != guard.Head:
		return false, fmt.Errorf("append seq %d, the head is %d: %w", next.Seq, pos.Head.Seq, metastore.ErrConflict)
	}
	return false, nil
}

func (t *term) leader() *metalogpb.Leader {
	m := &metalogpb.Leader{}
	if err := proto.Unmarshal([]byte(t.value), m); err != nil {
		panic(err) // encoded by Campaign
	}
	return m
}

// putIfLeading sets a key if this term leads.
func (t *term) putIfLeading(ctx context.Context, name string, p *metalogpb.Pointer) error {
	ctx, cancel := t.l.call(ctx)
	defer cancel()
	resp, err := t.l.client.Txn(ctx).If(t.mine()).Then(clientv3.OpPut(t.l.key(name), encode(p))).Commit()
	switch {
	case err != nil:
		return failure("move the pointer "+name, err)
	case !resp.Succeeded:
		return fmt.Errorf("move the pointer %s: %w", name, metastore.ErrDeposed)
	}
	return nil
}

func (t *term) SetSnapshot(ctx context.Context, p *metalogpb.Pointer) error {
	return t.putIfLeading(ctx, "snapshot", p)
}

func (t *term) SetArchive(ctx context.Context, p *metalogpb.Pointer) error {
	return t.putIfLeading(ctx, "archive", p)
}

// Trim implements metastore.Term.
func (t *term) Trim(ctx context.Context, upTo base.Seq) error {
	cctx, cancel := t.l.call(ctx)
	defer cancel()
	resp, err := t.l.client.Txn(cctx).If(t.mine()).Then(
		clientv3.OpDelete(t.l.key(logKey(t.incarnation, 0)), clientv3.WithRange(t.l.key(logKey(t.incarnation, upTo+1))))).Commit()
	switch {
	case err != nil:
		return failure("trim the metalog", err)
	case !resp.Succeeded:
		return fmt.Errorf("trim the metalog: %w", metastore.ErrDeposed)
	}
	if _, err := t.l.client.Compact(cctx, resp.Header.Revision); err != nil {
		return failure("compact etcd", err)
	}
	return nil
}
