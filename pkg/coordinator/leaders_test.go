package coordinator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

// two coordinators, of which the first leads.
func two(t *testing.T) (c *cluster, first, second *member) {
	c = newCluster(t)
	first = c.lead("one")
	second = c.start("two", nil)
	second.until("follows", func() bool { return second.Replica().Applied() == c.head() })
	return c, first, second
}

// M1, C5: leadership goes from one coordinator to the other and back; a commit is accepted once whoever leads, a retry gets
// its offsets from either, and the one that does not lead refuses.
func TestLeadersChange(t *testing.T) {
	t.Parallel()
	c, first, second := two(t)
	if err := first.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := first.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.emit(created("y")); !errors.Is(err, base.ErrNotLeader) {
		t.Fatalf("one that does not lead says %v", err)
	}
	members := []*member{first, second}
	for n := uint64(1); n <= 6; n++ {
		at := base.Offset(3 * (n - 1))
		for range 2 { // the commit, and again
			c.anyLeader(members, func(m *member) error {
				res, err := m.commit(request(session, n, "x"))
				if err == nil && base.Offset(res.Extents[0].Batches[0].BaseOffset) != at {
					t.Fatalf("commit %d got %v, want %d", n, res, at)
				}
				return err
			})
			c.server.ExpireLeader()
		}
	}
	for _, m := range members {
		if end := m.endOf("x"); end != 18 {
			t.Errorf("the end is %d", end)
		}
	}
}

// anyLeader does something at whoever leads, as an agent does.
func (c *cluster) anyLeader(members []*member, fn func(m *member) error) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		for _, m := range members {
			err := fn(m)
			if err == nil {
				return
			}
			if !retriable(err) || time.Now().After(deadline) {
				c.t.Fatal(err)
			}
		}
	}
}

// M1, C3: a leader that is paused in the middle of an append, while another leads, appends nothing when it goes on.
func TestPausedLeader(t *testing.T) {
	c, first, second := two(t)
	entered, release := c.faults.block("append")
	defer release()
	answer := make(chan error, 1)
	go func() { answer <- first.emit(created("late")) }()
	<-entered
	c.faults.set(nil) // the pause is the first's alone
	c.server.ExpireLeader()
	second.until("leads", second.Leading)
	second.retried("go on", func() error { return second.emit(created("x")) })
	release()
	if err := <-answer; !retriable(err) {
		t.Fatalf("the paused leader's answer: %v", err)
	}
	c.anyLeader([]*member{first, second}, func(m *member) error { return m.emit(created("y")) })
	second.endOf("y")
	if st := second.Replica().State(); st.TopicByName("late") != nil || st.TopicByName("x") == nil || st.TopicByName("y") == nil {
		t.Fatal("what the paused leader decided is in the log, or what came after is not")
	}
}

// C4, S5: an agent that starts again fences its session of before: what was in flight under that one is refused for good.
func TestAgentRestarts(t *testing.T) {
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	open := func(node int32) base.SessionID {
		t.Helper()
		id, err := m.OpenSession(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	old, other := open(1), open(2)
	if _, err := m.commit(request(old, 1, "x")); err != nil {
		t.Fatal(err)
	}
	renewed := open(1)
	for name, n := range map[string]uint64{"a commit in flight": 2, "a retry of one that was accepted": 1} {
		if _, err := m.commit(request(old, n, "x")); !errors.Is(err, base.ErrFenced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The producer sends the batch again under the new session: it is found to be a duplicate.
	if res, err := m.commit(request(renewed, 1, "x")); err != nil || !res.Extents[0].Batches[0].Duplicate || res.Extents[0].Batches[0].BaseOffset != 0 {
		t.Errorf("the same batch again: %v, %v", res, err)
	}
	if _, err := m.commit(request(other, 1, "x")); err != nil {
		t.Errorf("another agent's session: %v", err)
	}
	link, err := m.OpenLinkSession(t.Context(), "l")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenLinkSession(t.Context(), "other"); err != nil {
		t.Fatal(err)
	}
	m.endOf("x")
	if x := m.Replica().State().Session(link); x == nil || x.Fenced {
		t.Error("the session of one link was fenced by another's")
	}
}

// C7: a new leader grants every member its whole session timeout, however long there was no leader.
func TestMembersOutliveTheLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.lead("one")
	id := m.join("")
	id = m.join(id)
	const timeout = 10 * time.Second
	m.end()
	c.clock.advance(time.Hour)
	next := c.lead("two")
	if code := next.heartbeat(id); code != 0 {
		t.Fatalf("heartbeat after a change of the leader: code %d", code)
	}
	next.pass(timeout * 9 / 10)
	if code := next.heartbeat(id); code != 0 {
		t.Fatalf("heartbeat within the timeout: code %d", code)
	}
	next.pass(2 * timeout)
	if code := next.heartbeat(id); code != 25 { // UNKNOWN_MEMBER_ID
		t.Fatalf("heartbeat of a member that was silent for too long: code %d", code)
	}
}

// join makes a member of group g, the only one, and syncs it; an empty id asks for one.
func (m *member) join(id string) string {
	m.t.Helper()
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = 5, "g", id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 10_000
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = "range"
	req.Protocols = append(req.Protocols, p)
	resp, err := m.forward(req)
	if err != nil {
		m.t.Fatal(err)
	}
	joined := resp.(*kmsg.JoinGroupResponse)
	if id == "" {
		return joined.MemberID
	}
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Version, sync.Group, sync.MemberID, sync.Generation = 3, "g", id, joined.Generation
	a := kmsg.NewSyncGroupRequestGroupAssignment()
	a.MemberID, a.MemberAssignment = id, []byte("all")
	sync.GroupAssignment = append(sync.GroupAssignment, a)
	resp, err = m.forward(sync)
	if err != nil || joined.ErrorCode != 0 || resp.(*kmsg.SyncGroupResponse).ErrorCode != 0 {
		m.t.Fatalf("join %v, sync %v, %v", joined, resp, err)
	}
	return id
}

func (m *member) heartbeat(id string) int16 {
	m.t.Helper()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 3, "g", id, 1
	resp, err := m.forward(req)
	if err != nil {
		m.t.Fatal(err)
	}
	return resp.(*kmsg.HeartbeatResponse).ErrorCode
}

// Producer ids are never given out twice: a term reserves a block, and what it does not use is lost with it.
func TestProducerIDs(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	seen := map[int64]bool{}
	for _, name := range []string{"one", "two", "three"} {
		m := c.lead(name)
		for range producerIDsBlock/2 + 1 {
			resp, err := m.forward(kmsg.NewPtrInitProducerIDRequest())
			if err != nil {
				t.Fatal(err)
			}
			id := resp.(*kmsg.InitProducerIDResponse).ProducerID
			if seen[id] || base.EpochOfID(id) != 1 {
				t.Fatalf("producer id %x a second time, or of another epoch", id)
			}
			seen[id] = true
		}
		m.end()
	}
}

// The archive, snapshots and the trimmed log are one log to whoever follows from the start, here or after a restart.
func TestFollowOverTheArchive(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.start("one", func(cfg *Config) { cfg.SnapshotEvery, cfg.KeepEntries = 20, 4 })
	m.until("leads", m.Leading)
	for i := range 60 {
		if err := m.emit(created(string(rune('A' + i)))); err != nil {
			t.Fatal(err)
		}
	}
	m.until("trimmed", func() bool {
		_, err := c.server.Open(nil).Read(t.Context(), 1, 1)
		return errors.Is(err, metastore.ErrTrimmed) && c.position().Snapshot != nil
	})
	m.end()
	again := c.start("two", nil)
	again.until("leads", again.Leading)
	if got, want := again.Replica().Applied(), c.head(); got != want || len(again.Replica().State().Topics()) != 60 {
		t.Fatalf("loaded to %d of %d, %d topics", got, want, len(again.Replica().State().Topics()))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	next := base.Seq(1)
	_ = again.Follow(ctx, 1, func(raw metastore.RawEntry) error { // ends with ctx
		if raw.Seq != next {
			t.Errorf("seq %d after %d", raw.Seq, next-1)
		}
		if next++; raw.Seq == c.head() {
			cancel()
		}
		return nil
	})
	if next <= c.head() {
		t.Fatalf("followed to %d of %d", next-1, c.head())
	}
}

// An empty etcd, and one that was set back, are not served from when the bucket knows more: the process ends, and founds no cluster.
func TestEtcdBehindTheArchive(t *testing.T) {
	for name, swap := range map[string]func(cl *cluster, backup memory.Image){
		"empty":                                  func(cl *cluster, _ memory.Image) { cl.server.Lose() },
		"set back":                               func(cl *cluster, backup memory.Image) { cl.server.SetTo(backup) },
		"set back by less than the archive lags": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t)
			m := cl.lead("one")
			backup := cl.server.Backup()
			if err := m.Do(t.Context(), func(tx *Tx) error { return tx.Emit(created("x")) }); err != nil {
				t.Fatal(err)
			}
			m.until("the archive has it", func() bool {
				pos, err := cl.server.Open(nil).Position(t.Context())
				return err == nil && base.Seq(pos.Archive.GetSeq()) == pos.Head.Seq && pos.Head.Seq > backup.Seq()
			})
			if swap == nil {
				backup, swap = cl.server.Backup(), func(cl *cluster, backup memory.Image) { cl.server.SetTo(backup) }
			}
			if err := m.Do(t.Context(), func(tx *Tx) error { return tx.Emit(created("y")) }); err != nil {
				t.Fatal(err)
			}
			m.until("has applied it", func() bool { return m.Replica().Applied() == cl.head() })
			before := cl.position()
			swap(cl, backup)
			select {
			case err := <-m.ended:
				m.ended <- err
				if !errors.Is(err, replica.ErrAhead) {
					t.Fatal(err)
				}
			case <-time.After(patience):
				t.Fatal("the coordinator goes on")
			}
			if pos, err := cl.server.Open(nil).Position(t.Context()); err != nil || pos.Head.Seq > backup.Seq() {
				t.Errorf("something was appended: seq %d, %v", pos.Head.Seq, err)
			}
			end, err := archive.NewReader(objstore.AsObjects(cl.bucket)).End(t.Context(), before.Incarnation)
			if err != nil || end != before.Head.Seq {
				t.Errorf("the archive ends at seq %d, the process had %d, %v", end, before.Head.Seq, err)
			}
		})
	}
}

// deaf is an etcd whose answer to a restore is lost: the restore breaks off before it archives its entry.
type deaf struct{ *memory.Log }

func (d deaf) Restore(ctx context.Context, r metastore.Restoration) error {
	return errors.Join(d.Log.Restore(ctx, r), base.ErrUnavailable)
}

// shut is a bucket that takes nothing as long as etcd has data.
type shut struct {
	archive.Objects
	etcd *memory.Log
}

func (s shut) PutIfAbsent(ctx context.Context, key string, value []byte) error {
	if pos, err := s.etcd.Position(ctx); err != nil || pos.Head.Seq > 0 {
		return errors.Join(err, base.ErrUnavailable)
	}
	return s.Objects.PutIfAbsent(ctx, key, value)
}

// An etcd that is lost again before anything of the restored log is archived: a coordinator that lives archives all of that too.
func TestEtcdLostAgain(t *testing.T) {
	t.Parallel()
	cl := newCluster(t)
	m := cl.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	m.until("has archived it", func() bool {
		pos := cl.position()
		return base.Seq(pos.Archive.GetSeq()) == pos.Head.Seq
	})
	m.end()
	cl.server.Lose()
	claim := objstore.Claim{ClusterID: base.ClusterID{7}, KafkaClusterID: "k", Region: 1}
	if err := objstore.ClaimBucket(t.Context(), cl.bucket, claim); err != nil {
		t.Fatal(err)
	}
	_, err := recovery.Restore(t.Context(), recovery.Options{
		Bucket: cl.bucket, Log: deaf{cl.server.Open(nil)}, Settle: time.Nanosecond, Now: cl.clock.Now, Say: func(string) {},
	})
	if !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("the restore was to break off: %v", err)
	}
	m = cl.start("two", func(cfg *Config) { cfg.Objects = shut{cfg.Objects, cl.server.Open(nil)} })
	m.retried("emit", func() error { return m.emit(created("y")) })
	m.until("has applied it", func() bool { return m.Replica().Applied() == cl.head() })
	before := cl.position()
	reader := archive.NewReader(objstore.AsObjects(cl.bucket))
	if end, err := reader.End(t.Context(), before.Incarnation); err != nil || end > 0 {
		t.Fatalf("seq %d is archived already, %v", end, err)
	}
	cl.server.Lose()
	select {
	case err := <-m.ended:
		m.ended <- err
		if !errors.Is(err, replica.ErrAhead) {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the coordinator goes on")
	}
	if end, err := reader.End(t.Context(), before.Incarnation); err != nil || end != before.Head.Seq {
		t.Errorf("the archive ends at seq %d, the process had %d, %v", end, before.Head.Seq, err)
	}
}
