package region

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// local is the coordinator of the same process, as its agents see it.
type local struct{ *coordinator.Coordinator }

func (l local) Fenced() bool { return l.Role() == coordinator.Fenced }

func (l local) Forward(ctx context.Context, client kafkaapi.Client, req kmsg.Request) (kmsg.Response, error) {
	return l.Coordinator.Forward(ctx, coordinator.Client{ID: client.ID, Host: client.Host}, req)
}

// registry is the list of agents in etcd, as agents in the coordinator's process see it.
type registry struct{ metastore.Log }

const registerRetry = 200 * time.Millisecond

// Register implements agent.Registry: a lease that was lost, as when etcd was away, is followed by another.
func (r registry) Register(ctx context.Context, agent *metalogpb.Agent) error {
	for fresh := true; ; {
		err := r.Log.Register(ctx, agent, fresh, func() { fresh = false })
		if ctx.Err() != nil || errors.Is(err, base.ErrFenced) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(registerRetry):
		}
	}
}

// metalog is the coordinator of the same process, as its links see it.
type metalog struct{ *coordinator.Coordinator }

func (m metalog) Do(ctx context.Context, fn func(shadow.Tx) error) error {
	return m.Coordinator.Do(ctx, func(tx *coordinator.Tx) error { return fn(tx) })
}

func (m metalog) With(fn func(*state.State)) { m.Replica().With(fn) }

func (m metalog) Refresh(ctx context.Context) error {
	head, err := m.Head(ctx)
	if err != nil {
		return err
	}
	return m.Replica().WaitFor(ctx, head)
}
