package sim

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// campaign tries to lead: read the log to its end under the new term, settle the role, found the cluster if it is new.
func (c *coord) campaign() {
	if err := c.recall(); err != nil {
		c.haltOn(err)
		return
	}
	term, err := c.log.TryCampaign(c.id, "")
	if term == nil && err == nil && c.r.w.lossy {
		_, err = c.refresh() // a standby follows the log
		c.haltOn(err)
	}
	if term == nil || err != nil {
		return
	}
	c.term = term
	if err := c.begin(); err != nil {
		c.r.w.logf("%s was elected and cannot lead: %v", c, err)
		c.haltOn(err)
		c.drop()
		if err := term.Resign(context.Background()); err != nil {
			c.r.w.logf("%s: resign: %v", c, err)
		}
		return
	}
	c.r.w.logf("%s leads from seq %d on, fenced %v", c, c.seq.Head().Seq, c.fenced)
}

func (c *coord) begin() error {
	if err := c.checkArchive(); err != nil {
		return err // before anything is served, and before an empty etcd is taken for a new cluster's
	}
	if err := c.recall(); err != nil {
		return err
	}
	pos, err := c.refresh()
	if err != nil {
		return err
	}
	payload, err := c.replica.Snapshot()
	if err != nil {
		return err
	}
	st, err := state.Restore(payload)
	if err != nil {
		return err
	}
	if st.Head() != pos.Head {
		return metastore.ErrConflict
	}
	c.seq, c.fence = coordinator.NewSequencer(st, c.term.Nonce()), pos.FenceRevision
	c.fenced = pos.Fence != nil && pos.Fence.Role == coordinator.RoleFenced && st.Region().Yields(base.Epoch(pos.Fence.Epoch))
	if !c.fenced {
		if err := c.lookForHigherEpoch(st.Region().YieldsAbove()); err != nil {
			return err
		}
	}
	if err := c.found(st); err != nil {
		return err
	}
	c.beginGroups()
	return nil
}

// found makes a log that is new a cluster's.
func (c *coord) found(st *state.State) error {
	if c.fenced || st.Head().Seq > 0 {
		return nil
	}
	return c.seq.Emit(c.r.w.now, &metalogpb.Event{Kind: &metalogpb.Event_ClusterCreated{ClusterCreated: &metalogpb.ClusterCreated{
		ClusterId: c.r.cluster[:], KafkaClusterId: "sim", RegionNumber: int32(c.r.number), RegionName: c.r.name, Epoch: int32(base.NextEpoch(c.r.number)),
	}}})
}

// refresh brings the confirmed state to the head of the log: snapshot, archive, log.
func (c *coord) refresh() (metastore.Position, error) {
	ctx := context.Background()
	pos, err := c.log.Position(ctx)
	if err != nil {
		return pos, err
	}
	if err := c.recognise(pos); err != nil {
		return pos, err
	}
	if c.replica == nil {
		if err := c.checkArchive(); err != nil {
			return pos, err
		}
		c.replica, c.tail = state.New(), nil
		if pos.Snapshot != nil {
			payload, err := archive.GetSnapshot(ctx, c.objects, pos.Snapshot)
			if err == nil {
				c.replica, err = state.Restore(payload)
			}
			if err != nil {
				c.replica = nil
				return pos, fmt.Errorf("load the snapshot: %w", err)
			}
		}
	}
	c.replica.SetIncarnation(pos.Incarnation)
	for c.replica.Head().Seq < pos.Head.Seq {
		entries, err := readLog(c.log, c.objects, pos.Incarnation, c.replica.Head().Seq+1)
		if err != nil {
			return pos, err
		}
		if len(entries) == 0 {
			return pos, fmt.Errorf("neither log nor archive has seq %d: %w", c.replica.Head().Seq+1, base.ErrUnavailable)
		}
		for _, raw := range entries {
			in, err := replica.Prepare(ctx, c.objects, raw)
			if err != nil {
				return pos, err
			}
			if _, err := c.replica.Apply(in); err != nil {
				c.r.w.fail("%s cannot apply entry %d: %v", c, raw.Seq, err)
				return pos, err
			}
			c.tail = append(c.tail, raw)
		}
		c.replica.SetIncarnation(pos.Incarnation) // the archive may tell of earlier restores
	}
	c.was = lostLog{}
	return pos, nil
}

// lookForHigherEpoch is what an old primary does before it serves: see settleRole in pkg/coordinator.
func (c *coord) lookForHigherEpoch(own base.Epoch) error {
	if own == 0 {
		return nil
	}
	keys, err := c.objects.List(context.Background(), coordinator.FencePrefix, coordinator.FenceKey(own), 10)
	if err != nil {
		return err
	}
	found := own
	for _, key := range keys {
		var e uint32
		if _, err := fmt.Sscanf(key[len(coordinator.FencePrefix):], "%08x", &e); err == nil {
			found = max(found, base.Epoch(e))
		}
	}
	if e := c.askPeer(); e > found {
		found = e
	}
	if found == own {
		return nil
	}
	return c.fenceSelf(found)
}

func (c *coord) askPeer() base.Epoch {
	w := c.r.w
	if w.cut || c.r != w.a || w.b.down || w.chance(10) {
		return 0
	}
	if f := w.b.flip(); f != nil {
		return base.Epoch(f.Epoch)
	}
	return 0
}

func (c *coord) watchPeer() {
	if c.fenced {
		return
	}
	if e := c.askPeer(); c.seq.State().Region().Yields(e) {
		c.endTerm(c.fenceSelf(e))
	}
}

func (c *coord) fenceSelf(e base.Epoch) error {
	err := c.log.WriteFence(context.Background(), fenceOf(e, "itself", c.r.w.now))
	if err != nil && !errors.Is(err, base.ErrFenced) {
		return err
	}
	return fmt.Errorf("epoch %d found elsewhere: %w", e, base.ErrFenced)
}

// archiving is the part of a term that keeps the log in the bucket.
type archiving struct {
	writer             *archive.Writer
	archived, snapshot base.Seq
}

// put archives entries, and, where somebody has archived more of the same, finds out whether etcd has that.
func (c *coord) put(writer *archive.Writer, entries []metastore.RawEntry) (*metalogpb.Pointer, error) {
	pointer, err := writer.Archive(context.Background(), entries)
	if err == nil && base.Seq(pointer.Seq) > entries[len(entries)-1].Seq {
		there, readErr := c.log.Read(context.Background(), base.Seq(pointer.Seq), 1)
		if readErr != nil {
			return nil, readErr
		}
		if len(there) == 0 || metastore.HashOf(there[0].Value) != metastore.Hash(pointer.Hash) {
			err = archive.ErrOther
		}
	}
	if errors.Is(err, archive.ErrOther) {
		err = fmt.Errorf("%w: %w", err, replica.ErrAhead)
	}
	return pointer, err
}

// archiveStep does one step of pkg/coordinator's archiver: log, snapshot, or trim.
func (c *coord) archiveStep() {
	ctx, w := context.Background(), c.r.w
	if c.fenced {
		return
	}
	pos, err := c.refresh()
	if err != nil {
		return
	}
	if c.archive == nil {
		c.archive = &archiving{writer: archive.NewWriter(c.objects, pos.Incarnation), archived: base.Seq(pos.Archive.GetSeq()), snapshot: base.Seq(pos.Snapshot.GetSeq())}
	}
	a := c.archive
	switch {
	case a.archived < pos.Head.Seq:
		entries, err := c.log.Read(ctx, a.archived+1, 1<<20)
		if err != nil || len(entries) == 0 {
			return
		}
		pointer, err := c.put(a.writer, entries)
		if errors.Is(err, replica.ErrAhead) {
			c.endTerm(err)
			c.haltOn(err)
			return
		}
		if err == nil && !w.chance(10) {
			err = c.term.SetArchive(ctx, pointer)
			a.archived = base.Seq(pointer.Seq)
		}
		if err != nil {
			c.archive = nil // it reads the pointers again
		}
	case a.archived >= a.snapshot+w.snapshotEvery:
		head := c.replica.Head()
		payload, err := c.replica.Snapshot()
		if err != nil {
			w.fail("snapshot: %v", err)
			return
		}
		pointer, err := archive.PutSnapshot(ctx, c.objects, pos.Incarnation, head.Seq, head.Hash, payload)
		if err == nil && !w.chance(10) {
			err = c.term.SetSnapshot(ctx, pointer)
		}
		if err == nil {
			a.snapshot = head.Seq
			w.logf("%s: snapshot at seq %d", c, head.Seq)
		}
	case a.archived > 30:
		if err := c.term.Trim(ctx, a.archived-20); err == nil {
			w.logf("%s: trimmed up to %d", c, a.archived-20)
		}
	}
}
