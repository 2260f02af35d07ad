package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// FencePrefix is where the other region leaves fence objects in this region's bucket: FencePrefix + epoch in 8 hex digits.
const FencePrefix = "meta/fence/"

// FenceKey names the fence object of an epoch.
func FenceKey(e base.Epoch) string { return fmt.Sprintf("%s%08x", FencePrefix, uint32(e)) }

// settleRole looks for a higher epoch than the region's own before the term serves: in its fence, its bucket, its peer.
// One that is found elsewhere is written into the fence, so that it is found without them the next time.
//
// The walk of a returning old primary: (1) B flipped while A was dead and A's etcd out of reach. (2) A starts; its own
// fence says nothing. (3) The bucket has a fence object, or the peer answers with its epoch: A fences itself in its own
// etcd and serves reads only. (4) If neither is in reach A cannot know, and serves; the periodic peer check ends that as
// soon as the peer can be asked. An optional witness closes this window; it is not part of this.
func (c *Coordinator) settleRole(ctx context.Context, st *state.State, pos metastore.Position) error {
	c.settled.Add(1)
	region := st.Region()
	own := region.YieldsAbove()
	if fencedBy(pos.Fence, region) {
		c.setFenced(base.Epoch(pos.Fence.Epoch))
		return nil
	}
	c.fenced.Store(false)
	if own == 0 {
		return nil
	}
	higher, by := own, ""
	keys, err := c.cfg.Objects.List(ctx, FencePrefix, FenceKey(own), 1000)
	if err != nil {
		return fmt.Errorf("look for fence objects in the bucket: %w", err)
	}
	for _, key := range keys {
		var e uint32
		if _, err := fmt.Sscanf(key[len(FencePrefix):], "%08x", &e); err == nil && base.Epoch(e) > higher {
			higher, by = base.Epoch(e), "fence object in the bucket"
		}
	}
	if e, err := c.askPeer(ctx); err == nil && e > higher {
		higher, by = e, "peer region"
	}
	if higher == own {
		return nil
	}
	return c.fenceSelf(ctx, higher, by)
}

func fencedBy(f *metalogpb.Fence, own *state.Region) bool {
	return f != nil && f.Role == RoleFenced && own.Yields(base.Epoch(f.Epoch))
}

// RoleFenced is the role that a fence sets.
const RoleFenced = "fenced"

func (c *Coordinator) setFenced(by base.Epoch) {
	if !c.fenced.Swap(true) {
		c.cfg.Logger.Warn("this region is fenced: it serves reads and refuses writes", "own_epoch", c.replica.State().Region().Epoch, "epoch", by)
	}
}

// standbyLook is how often a coordinator that does not lead looks at the fence.
const standbyLook = time.Second

// watchFence lets a standby know that the region is fenced: agents ask it, too. It never lifts a fence; that is for the
// next term to decide. What it read before a term settled the role does not count any more.
func (c *Coordinator) watchFence(ctx context.Context) error {
	tick := time.NewTicker(standbyLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		own, terms := c.replica.State().Region(), c.settled.Load()
		if own.Epoch == 0 || c.leading.Load() || c.fenced.Load() {
			continue
		}
		pos, err := c.cfg.Log.Position(ctx)
		if err == nil && fencedBy(pos.Fence, own) && c.settled.Load() == terms {
			c.setFenced(base.Epoch(pos.Fence.Epoch))
		}
	}
}

// fenceSelf writes what was learnt into the fence key and ends the term, so that the next one starts from it.
func (c *Coordinator) fenceSelf(ctx context.Context, e base.Epoch, by string) error {
	fence := &metalogpb.Fence{Epoch: int32(e), Role: RoleFenced, By: by, TimeMs: c.cfg.Now().UnixMilli()}
	if err := c.cfg.Log.WriteFence(ctx, fence); err != nil && !errors.Is(err, base.ErrFenced) {
		return fmt.Errorf("fence this region at epoch %d (%s): %w", e, by, err)
	}
	c.setFenced(e)
	return fmt.Errorf("epoch %d found (%s): %w", e, by, base.ErrFenced)
}

// askPeer returns the epoch at which the peer took over from this cluster.
func (c *Coordinator) askPeer(ctx context.Context) (base.Epoch, error) {
	if c.cfg.Peer == nil {
		return 0, base.ErrUnavailable
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	return c.cfg.Peer.TookOver(ctx)
}

const peerTimeout = 500 * time.Millisecond

// watchPeer ends the term when the peer turns out to have a higher epoch (it flipped while it could not reach our etcd).
func (c *Coordinator) watchPeer(ctx context.Context) error {
	if c.cfg.Peer == nil || c.fenced.Load() {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(c.cfg.PeerEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		own := c.replica.State().Region()
		if e, err := c.askPeer(ctx); err == nil && own.Epoch > 0 && own.Yields(e) {
			return c.fenceSelf(ctx, e, "peer region")
		}
	}
}
