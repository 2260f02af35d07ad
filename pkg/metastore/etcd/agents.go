package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Register implements metastore.Log.
func (l *Log) Register(ctx context.Context, agent *metalogpb.Agent, fresh bool, stands func()) error {
	lease, err := l.grant(ctx)
	if err != nil {
		return err
	}
	defer lease.stop()
	if err := l.putAgent(ctx, lease.id, agent, fresh); err != nil {
		_ = lease.revoke(context.WithoutCancel(ctx)) // what could not be put holds nothing up
		return err
	}
	stands()
	select {
	case <-lease.lost:
		if ctx.Err() == nil {
			return fmt.Errorf("the lease of agent %d's registration was lost: %w", agent.NodeId, base.ErrUnavailable)
		}
	case <-ctx.Done():
	}
	if errors.Is(context.Cause(ctx), metastore.ErrLapse) {
		return ctx.Err()
	}
	return errors.Join(ctx.Err(), lease.revoke(context.WithoutCancel(ctx)))
}

const agentRetry = 200 * time.Millisecond

// putAgent puts the key under the lease. From another lease of the same instance, that of a coordinator that went away,
// it is moved: when that one ends, the key stays.
func (l *Log) putAgent(ctx context.Context, lease clientv3.LeaseID, agent *metalogpb.Agent, fresh bool) error {
	ctx, cancel := l.call(ctx)
	defer cancel()
	key := l.key(fmt.Sprintf("agents/%010d", agent.NodeId))
	for {
		got, err := l.client.Get(ctx, key)
		if err != nil {
			return failure("register the agent", err)
		}
		revision := int64(0)
		if len(got.Kvs) > 0 {
			revision = got.Kvs[0].ModRevision
			holder := &metalogpb.Agent{}
			if err := decode("agents", got.Kvs[0].Value, holder); err != nil {
				return err
			}
			if !fresh && !bytes.Equal(holder.Instance, agent.Instance) {
				return fmt.Errorf("node id %d belongs to another process, at %s:%d: %w", agent.NodeId, holder.Host, holder.Port, base.ErrFenced)
			}
		}
		txn, err := l.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, encode(agent), clientv3.WithLease(lease))).Commit()
		switch {
		case err != nil:
			return failure("register the agent", err)
		case txn.Succeeded:
			return nil
		}
	}
}

// FollowAgents implements metastore.Log.
func (l *Log) FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error {
	f := following{log: l, tell: fn}
	for ctx.Err() == nil {
		err := f.once(ctx)
		if errors.Is(err, errLookAgain) {
			continue
		}
		if err != nil && ctx.Err() == nil {
			l.cfg.Logger.Debug("list of agents", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(agentRetry):
		}
	}
	return ctx.Err()
}

// following is one who follows the list of agents. The list is read again whenever its watch was silent, which it is as long as no agent
// comes or goes; only a list that differs is told.
type following struct {
	log    *Log
	tell   func([]*metalogpb.Agent)
	agents map[string]*metalogpb.Agent // by key; nil before the first list
}

// once reads the list, and follows it until the watch ends.
func (f *following) once(ctx context.Context) error {
	prefix := f.log.key("agents/")
	gctx, cancel := f.log.call(ctx)
	defer cancel()
	resp, err := f.log.client.Get(context.WithValue(gctx, short{}, true), prefix, clientv3.WithPrefix())
	if err != nil {
		return failure("list the agents", err)
	}
	agents := map[string]*metalogpb.Agent{}
	for _, kv := range resp.Kvs {
		a := &metalogpb.Agent{}
		if err := decode("agents", kv.Value, a); err != nil {
			return err
		}
		agents[string(kv.Key)] = a
	}
	f.become(agents)
	return f.log.watch(ctx, "watch the agents", prefix, resp.Header.Revision+1, func(w clientv3.WatchResponse) error {
		agents := maps.Clone(f.agents)
		for _, ev := range w.Events {
			if ev.Type == clientv3.EventTypeDelete {
				delete(agents, string(ev.Kv.Key))
				continue
			}
			a := &metalogpb.Agent{}
			if err := decode("agents", ev.Kv.Value, a); err != nil {
				return err
			}
			agents[string(ev.Kv.Key)] = a
		}
		f.become(agents)
		return nil
	})
}

func (f *following) become(agents map[string]*metalogpb.Agent) {
	same := f.agents != nil && maps.EqualFunc(f.agents, agents, func(a, b *metalogpb.Agent) bool { return proto.Equal(a, b) })
	f.agents = agents
	if !same {
		f.tell(sorted(agents))
	}
}

func sorted(agents map[string]*metalogpb.Agent) []*metalogpb.Agent {
	out := make([]*metalogpb.Agent, 0, len(agents))
	for _, a := range agents {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *metalogpb.Agent) int { return int(a.NodeId) - int(b.NodeId) })
	return out
}
