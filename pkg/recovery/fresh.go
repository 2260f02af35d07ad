package recovery

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// fencePrefix is where a region that took over leaves fence objects.
const fencePrefix = "meta/fence/"

// lookForTakeover finds out whether another region has taken over: by the fence key, if there still is one, and by fence objects in the
// bucket. The peer is asked later.
func (r *restoring) lookForTakeover(ctx context.Context) error {
	region := r.State.Region()
	if f := r.etcd.Fence; f != nil && f.Role == "fenced" && region.Yields(base.Epoch(f.Epoch)) {
		r.taken(base.Epoch(f.Epoch), f.By)
	}
	keys, err := r.objects.List(ctx, fencePrefix, "", listLimit)
	if err != nil {
		return fmt.Errorf("look for fence objects in the bucket: %w", err)
	}
	for _, key := range keys {
		var e uint32
		if _, err := fmt.Sscanf(path.Base(key), "%08x", &e); err == nil && region.Yields(base.Epoch(e)) {
			r.taken(base.Epoch(e), "fence object in the bucket")
		}
	}
	return nil
}

func (r *restoring) taken(at base.Epoch, by string) {
	if at > r.takenAt {
		r.takenAt, r.takenBy = at, by
	}
}

// askPeer asks the other region whether it took over, and how far its link has come. One that has more than the archive is the better
// region to go on with; and if this one goes on, the two have different histories, and its link must not go on.
func (r *restoring) askPeer(ctx context.Context) error {
	if r.Peer == nil {
		r.warn("no peer was asked whether it has taken over, or has more than the archive: name the other region's coordinators by --peers, if there is one")
		return nil
	}
	says, err := r.Peer.Ask(ctx)
	if err != nil {
		if r.WithoutPeer {
			r.warn("the other region did not answer (%v): if it has taken over, this region gives way to it once it hears of that", err)
			return nil
		}
		return fmt.Errorf("the other region does not answer (%w): nobody knows whether it has taken over, or has more than the archive; --without-peer goes on all the same: %w", err, ErrNeedsConsent)
	}
	r.peerSays = says
	if r.State.Region().Yields(says.TookOver) {
		r.taken(says.TookOver, "peer region")
	}
	if r.takenBy != "" || says.Link == "" {
		return nil
	}
	why, err := r.diverged(ctx, says.Position)
	if err != nil || why == "" {
		return err
	}
	if !r.AcceptDivergence {
		return fmt.Errorf("%s: fail over to it (`gnomon shadow failover %s` there), or give up what only it has by --accept-divergence: %w", why, says.Link, ErrPeerAhead)
	}
	r.warn("%s: its link %q will be FAULTED; delete it there and create it again", why, says.Link)
	return nil
}

// diverged says in words why an image is not of this archive's past; "" when it is.
func (r *restoring) diverged(ctx context.Context, at metastore.Head) (string, error) {
	if at.Seq > r.end.Seq {
		return fmt.Sprintf("the other region has applied seq %d, the archive ends at %d", at.Seq, r.end.Seq), nil
	}
	if at.Seq == 0 {
		return "", nil
	}
	hash, found, err := r.HashAt(ctx, at.Seq)
	if err != nil || !found || hash == at.Hash {
		return "", err
	}
	return fmt.Sprintf("the other region's entry %d is not the archive's: it shadows another history of this region", at.Seq), nil
}

const (
	// Jumps of the counters where the epoch stays: more than a log can hand out in the time that its archive lags.
	producerJump = 1 << 24
	sessionJump  = 1 << 16
	// failoverJump is by how much a failover can have raised the epoch at most, the source having been restored a dozen times meanwhile.
	failoverJump = 16 * base.RegionsMax
	// epochMax is that of base.StripedID.
	epochMax = 1 << 23
)

// fresh returns what the incarnation goes on with: nothing that was lost, or that a restore that broke off may have begun with, can have
// handed it out (Y3).
//
// A shadow may have lost its failover. The walk: (1) It takes over at its next epoch above the source's, and gives ids of that to clients.
// (2) It loses its etcd before that second is archived. (3) Its restore, which knows of no failover, would take that very epoch: nothing
// in the bucket has it, unless an object was put already. So while a link is active, epochs that a failover may have taken are used.
func (r *restoring) fresh(ctx context.Context) (epoch base.Epoch, nextProducer int64, firstSession uint64, err error) {
	region := r.State.Region()
	if r.takenBy != "" {
		next := uint64(r.State.NextSession()) + sessionJump
		return region.Epoch, r.State.NextProducerID() + producerJump, next, nil
	}
	used := []base.Epoch{region.Epoch}
	for _, l := range r.Lineages {
		used = append(used, l.Epoch)
	}
	err = sessions(ctx, r.Bucket, func(id base.SessionID) error {
		if e := base.EpochOfID(int64(id)); e > 0 && e < epochMax && e.Region() == region.Number {
			used = append(used, e)
		}
		return nil
	})
	for _, l := range r.State.Links() {
		if l.Active() {
			used = append(used, max(slices.Max(used), l.Image().Region().Epoch)+failoverJump)
		}
	}
	epoch = base.NextEpoch(region.Number, used...)
	return epoch, 0, uint64(base.StripedID(epoch, 1)), err
}

// seal makes the entry, and applies it to the state: what a coordinator will do with it is what was done here.
func (r *restoring) seal(nonce []byte) error {
	entry := &metalogpb.Entry{
		Seq: uint64(r.end.Seq) + 1, Nonce: nonce, FeatureLevel: state.FeatureLevel, TimeMs: max(r.Now().UnixMilli(), r.State.Time()),
		Events: []*metalogpb.Event{{Kind: &metalogpb.Event_IncarnationBegun{IncarnationBegun: r.event}}},
	}
	if r.end.Seq == 0 {
		return errors.New("the archive has no entry to begin behind")
	}
	entry.PrevHash = r.end.Hash[:]
	value, err := metastore.EncodeEntry(entry)
	if err != nil {
		return err
	}
	r.first = metastore.RawEntry{Seq: r.end.Seq + 1, Value: value}
	in, err := state.Decode(r.first)
	if err == nil {
		_, err = r.State.Apply(in)
	}
	return err
}

// hold finds what goes into quarantine.
func (r *restoring) hold(ctx context.Context) (err error) {
	r.Say("look for objects that no event names")
	all, err := Held(ctx, r.Bucket, r.State)
	for _, o := range all {
		if o.Restore == r.event.Incarnation {
			r.held = append(r.held, o)
		}
	}
	return err
}
