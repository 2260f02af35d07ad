package agent

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// located is a partition as one request sees it: one instant of it.
type located struct {
	st    *state.State
	topic state.Shadowed
	part  *state.Partition
	epoch base.Epoch
}

func (r *reader) find(tp base.TopicPartition) (located, bool) {
	st := r.view.State()
	t, ok := st.Show(tp.Topic)
	if !ok {
		return located{}, false
	}
	p := t.Partition(tp.Partition)
	if p == nil {
		return located{}, false
	}
	return located{st: st, topic: t, part: p, epoch: st.Epoch(t)}, true
}

// locate finds a partition and checks the client's leader epoch against ours. What the view does not know is asked for
// once more at the head of the log (A2).
func (r *reader) locate(ctx context.Context, tp base.TopicPartition, current base.Epoch) (located, error) {
	l, ok := r.find(tp)
	if !ok || current > l.epoch {
		if err := r.view.Refresh(ctx); err != nil {
			return located{}, err
		}
		if l, ok = r.find(tp); !ok {
			return located{}, fmt.Errorf("partition %s: %w", tp, kerr.UnknownTopicOrPartition)
		}
	}
	switch {
	case current < 0 || current == l.epoch:
		return l, nil
	case current < l.epoch:
		return l, fmt.Errorf("leader epoch %d of the client is behind %d: %w", current, l.epoch, kerr.FencedLeaderEpoch)
	}
	return l, fmt.Errorf("leader epoch %d of the client is ahead of %d: %w", current, l.epoch, kerr.UnknownLeaderEpoch)
}

// EpochEnd implements kafkaapi.Reader.
func (r *reader) EpochEnd(ctx context.Context, tp base.TopicPartition, epoch, current base.Epoch) (kafkaapi.EpochEnd, error) {
	// The end of the present epoch is the end of the log: it must not be below what any agent has served.
	if err := r.view.Refresh(ctx); err != nil {
		return kafkaapi.EpochEnd{}, err
	}
	l, err := r.locate(ctx, tp, current)
	if err != nil {
		return kafkaapi.EpochEnd{}, err
	}
	e := l.part.EpochEnd(epoch)
	return kafkaapi.EpochEnd{Epoch: e.Epoch, End: e.Start}, nil
}
