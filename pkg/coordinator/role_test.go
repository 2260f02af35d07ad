package coordinator

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// peerAt is a peer that answers with an epoch; a negative one means that it is out of reach.
type peerAt struct{ epoch atomic.Int32 }

func (p *peerAt) TookOver(context.Context) (base.Epoch, error) {
	if e := p.epoch.Load(); e >= 0 {
		return base.Epoch(e), nil
	}
	return 0, base.ErrUnavailable
}

// fenceOf is the fence that region 2 sets when it takes over.
func fenceOf(epoch int32) *metalogpb.Fence {
	return &metalogpb.Fence{Epoch: epoch, Role: RoleFenced, By: "failover of link \"l\"", TimeMs: 1}
}

func (c *cluster) fence(f *metalogpb.Fence) {
	c.t.Helper()
	if err := c.server.Open(nil).WriteFence(c.t.Context(), f); err != nil {
		c.t.Fatal(err)
	}
}

// oldPrimary is a cluster with a topic and a session, whose coordinator is dead.
func oldPrimary(t *testing.T) (*cluster, base.SessionID) {
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.commit(request(session, 1, "x")); err != nil {
		t.Fatal(err)
	}
	m.end()
	return c, session
}

// servesReadsOnly holds C6: every write is refused as read-only, nothing is appended, and reads go on.
func (m *member) servesReadsOnly(c *cluster, session base.SessionID) {
	m.t.Helper()
	// The term in which it finds out ends; the next one serves.
	m.until("serves as a fenced region", func() bool { return m.Role() == Fenced && errors.Is(m.emit(created("y")), base.ErrReadOnly) })
	head := c.head()
	refusals := map[string]error{}
	refusals["event"] = m.emit(created("y"))
	_, refusals["session"] = m.OpenSession(m.t.Context(), 2)
	_, refusals["link session"] = m.OpenLinkSession(m.t.Context(), "l")
	_, refusals["commit"] = m.commit(request(session, 2, "x"))
	_, refusals["retry"] = m.commit(request(session, 1, "x"))
	for _, req := range []kmsg.Request{
		kmsg.NewPtrCreateTopicsRequest(), kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrHeartbeatRequest(),
		kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetFetchRequest(),
	} {
		_, refusals[kmsg.NameForKey(req.Key())] = m.forward(req)
	}
	for what, err := range refusals {
		if !errors.Is(err, base.ErrReadOnly) {
			m.t.Errorf("%s: %v", what, err)
		}
	}
	c.clock.advance(time.Hour) // a tick is due, and producers would expire
	time.Sleep(1100 * time.Millisecond)
	if got := c.head(); got != head {
		m.t.Errorf("a fenced region appended: %d, then %d", head, got)
	}
	if m.endOf("x") != 3 {
		m.t.Errorf("reads: the end is %d", m.endOf("x"))
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	n := base.Seq(0)
	_ = m.Follow(ctx, 1, func(raw metastore.RawEntry) error { // ends with ctx
		if n = raw.Seq; n == head {
			cancel()
		}
		return nil
	})
	if cancel(); n != head {
		m.t.Errorf("followers get the log up to %d of %d", n, head)
	}
}

// C6: a primary that comes back finds the higher epoch wherever it was left: in its etcd, in its bucket, at its peer. What it
// finds elsewhere it enters into its own etcd, so that the next start finds it alone.
func TestOldPrimary(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(c *cluster) Peer{
		"fence in etcd": func(c *cluster) Peer { c.fence(fenceOf(10)); return nil },
		"fence object in the bucket": func(c *cluster) Peer {
			for _, e := range []base.Epoch{1, 10, 2} { // its own epoch, and an older one, are no reason
				if err := c.bucket.Put(c.t.Context(), FenceKey(e), objstore.Payload{[]byte("{}")}); err != nil {
					c.t.Fatal(err)
				}
			}
			return nil
		},
		"peer": func(*cluster) Peer {
			p := &peerAt{}
			p.epoch.Store(10)
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, session := oldPrimary(t)
			peer := leave(c)
			before := c.head()
			m := c.start("two", func(cfg *Config) { cfg.Peer = peer })
			m.servesReadsOnly(c, session)
			if c.head() != before {
				t.Errorf("the log grew from %d to %d", before, c.head())
			}
			if f := c.position().Fence; f == nil || f.Epoch != 10 || f.Role != RoleFenced {
				t.Errorf("in its own etcd stands %v", f)
			}
			m.end()
			again := c.start("three", nil) // without bucket or peer it knows by itself
			again.until("knows that it is fenced", func() bool { return again.Leading() && again.Role() == Fenced })
		})
	}
}

// What does not outrank the region does not stop it.
func TestNoFence(t *testing.T) {
	for name, leave := range map[string]func(c *cluster) Peer{
		"a peer that never took over": func(*cluster) Peer { return &peerAt{} },
		"a peer out of reach": func(*cluster) Peer {
			p := &peerAt{}
			p.epoch.Store(-1)
			return p
		},
		"a lifted fence": func(c *cluster) Peer {
			c.fence(&metalogpb.Fence{Epoch: 10, Role: "lifted", By: "b"})
			return nil
		},
		"a fence object of an epoch that it has passed": func(c *cluster) Peer {
			if err := c.bucket.Put(c.t.Context(), FenceKey(1), objstore.Payload{[]byte("{}")}); err != nil {
				c.t.Fatal(err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, session := oldPrimary(t)
			peer := leave(c)
			m := c.start("two", func(cfg *Config) { cfg.Peer = peer })
			m.until("leads", m.Leading)
			if res, err := m.commit(request(session, 2, "x")); err != nil || res.Extents[0].Batches[0].BaseOffset != 3 || m.Role() != Primary {
				t.Fatalf("%v, %v, %s", res, err, m.Role())
			}
		})
	}
}

// C6: a fence that is written under a running leader freezes the log at once: what is in flight is not appended, is answered
// with an error that lets its caller try again elsewhere, and the region goes on for reads only.
func TestFencedWhileItLeads(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.lead("one")
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	session, err := m.OpenSession(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.commit(request(session, 1, "x")); err != nil {
		t.Fatal(err)
	}
	entered, release := c.faults.block("append")
	answer := make(chan error, 1)
	go func() {
		_, err := m.commit(request(session, 2, "x"))
		answer <- err
	}()
	<-entered
	c.fence(fenceOf(10))
	head := c.head()
	release()
	if err := <-answer; !retriable(err) {
		t.Fatalf("what was in flight: %v", err)
	}
	m.servesReadsOnly(c, session)
	if c.head() != head {
		t.Fatalf("the log went from %d to %d behind the fence", head, c.head())
	}
}

// C6: a peer that could not be asked at the start ends the term as soon as it answers with a higher epoch.
func TestPeerIsAskedAgain(t *testing.T) {
	t.Parallel()
	c, session := oldPrimary(t)
	peer := &peerAt{}
	peer.epoch.Store(-1)
	m := c.start("two", func(cfg *Config) { cfg.Peer = peer })
	m.until("leads", m.Leading)
	if m.Role() != Primary {
		t.Fatalf("role %s", m.Role())
	}
	peer.epoch.Store(10)
	m.servesReadsOnly(c, session)
}

// A process that is configured as another cluster touches nothing.
func TestWrongIdentity(t *testing.T) {
	c, _ := oldPrimary(t)
	head := c.head()
	m := c.start("two", func(cfg *Config) { cfg.Identity.ClusterID = base.ClusterID{8} })
	select {
	case err := <-m.ended:
		if m.ended <- err; !errors.Is(err, errIdentity) {
			t.Fatalf("ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("serves a cluster that is not its own")
	}
	if c.head() != head {
		t.Fatal("appended to another cluster's log")
	}
}
