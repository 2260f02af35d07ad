package etcd

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Register implements metastore.Log.
func (l *Log) Register(ctx context.Context, agent *metalogpb.Agent) error {
	for ctx.Err() == nil {
		if err := l.registerOnce(ctx, agent); err != nil && ctx.Err() == nil {
			l.cfg.Logger.Warn("registration of the agent", "node_id", agent.NodeId, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(agentRetry):
		}
	}
	return ctx.Err()
}

const agentRetry = 200 * time.Millisecond

// registerOnce keeps the registration until the lease is lost or ctx ends.
func (l *Log) registerOnce(ctx context.Context, agent *metalogpb.Agent) error {
	lease, err := l.grant(ctx)
	if err != nil {
		return err
	}
	defer lease.stop()
	pctx, cancel := l.call(ctx)
	defer cancel()
	key := l.key(fmt.Sprintf("agents/%010d", agent.NodeId))
	if _, err := l.client.Put(pctx, key, encode(agent), clientv3.WithLease(lease.id)); err != nil {
		return failure("register the agent", err)
	}
	select {
	case <-lease.lost:
		return nil
	case <-ctx.Done():
		return lease.revoke(context.WithoutCancel(ctx))
	}
}

// FollowAgents implements metastore.Log.
func (l *Log) FollowAgents(ctx context.Context, fn func([]*metalogpb.Agent)) error {
	for ctx.Err() == nil {
		if err := l.followAgentsOnce(ctx, fn); err != nil && ctx.Err() == nil {
			l.cfg.Logger.Debug("list of agents", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(agentRetry):
		}
	}
	return ctx.Err()
}

func (l *Log) followAgentsOnce(ctx context.Context, fn func([]*metalogpb.Agent)) error {
	gctx, cancel := l.call(ctx)
	defer cancel()
	resp, err := l.client.Get(gctx, l.key("agents/"), clientv3.WithPrefix())
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
	fn(sorted(agents))
	wctx, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer stop()
	for w := range l.client.Watch(wctx, l.key("agents/"), clientv3.WithPrefix(), clientv3.WithRev(resp.Header.Revision+1)) {
		if err := w.Err(); err != nil {
			return failure("watch the agents", err)
		}
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
		fn(sorted(agents))
	}
	return nil
}

func sorted(agents map[string]*metalogpb.Agent) []*metalogpb.Agent {
	out := make([]*metalogpb.Agent, 0, len(agents))
	for _, a := range agents {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *metalogpb.Agent) int { return int(a.NodeId) - int(b.NodeId) })
	return out
}
