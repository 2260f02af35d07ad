package sim

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// Ask implements recovery.Peer.
func (l *loss) Ask(context.Context) (recovery.PeerReport, error) {
	w, other := l.w, l.w.other(l.r)
	if w.chance(10) || w.cut || other.down || other.dead() {
		return recovery.PeerReport{}, fmt.Errorf("ask region %s: %w", other.name, base.ErrUnavailable)
	}
	at := w.b.link()
	if at == nil || l.r == w.b { // A shadows nobody, and takes over from nobody
		return recovery.PeerReport{}, nil
	}
	if f := w.b.flip(); f != nil {
		return recovery.PeerReport{TookOver: base.Epoch(f.Epoch)}, nil
	}
	return recovery.PeerReport{Link: linkName, Position: at.Info().Position, Fault: at.Info().Fault}, nil
}

// draw makes a source of bytes of the world's generator.
type draw struct{ rng *rand.Rand }

func (d draw) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(d.rng.IntN(256))
	}
	return len(b), nil
}

// restorer is the metalog that a restore is written to.
type restorer struct {
	*memory.Log
	r *Region
}

func (r *restorer) Restore(ctx context.Context, x metastore.Restoration) error {
	if r.r.w.bug != sameEpoch {
		err := r.Log.Restore(ctx, x)
		if err == nil && r.r.loss.bare {
			err = fmt.Errorf("the answer to the restore is lost: %w", base.ErrUnavailable) // so its entry is not archived
		}
		return err
	}
	e, err := metastore.DecodeEntry(x.First.Value)
	if err != nil {
		return err
	}
	ev := e.Events[0].Kind.(*metalogpb.Event_IncarnationBegun).IncarnationBegun
	ev.Epoch, ev.NextProducerId, ev.FirstSession = int32(r.r.oracle.Region().Epoch), 0, 0
	if x.First.Value, err = metastore.EncodeEntry(e); err != nil {
		return err
	}
	if err := r.Log.Restore(ctx, x); err != nil {
		return err
	}
	return base.ErrUnavailable // and its entry, as it would be, is not archived
}

// short is a bucket whose last archived objects nobody lists.
type short struct{ objstore.Store }

func (s short) List(ctx context.Context, prefix, after string, most int) ([]objstore.Info, error) {
	page, err := s.Store.List(ctx, prefix, after, most)
	if len(page) > 0 && len(prefix) > len("meta/log/") && prefix[:9] == "meta/log/" {
		if next, _ := s.Store.List(ctx, prefix, page[len(page)-1].Key, 1); len(next) == 0 {
			page = page[:len(page)-1]
		}
	}
	return page, err
}
