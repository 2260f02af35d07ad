package coordinator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/replica"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

var errRefused = errors.New("no")

// C1: no answer, be it success, refusal or a read, is given before the log has confirmed what it was computed from.
func TestAnswersWaitForTheLog(t *testing.T) {
	for name, c := range map[string]struct {
		op   string // the call to the log that the answer waits for
		fn   func(tx *Tx) error
		want error
	}{
		"success":                 {"append", func(tx *Tx) error { return tx.Emit(created("x")) }, nil},
		"refusal behind an event": {"append", func(tx *Tx) error { return errors.Join(tx.Emit(created("x")), errRefused) }, errRefused},
		"read":                    {"position", func(*Tx) error { return nil }, nil},
		"refusal":                 {"position", func(*Tx) error { return errRefused }, errRefused},
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			m := cl.lead("one")
			entered, release := cl.faults.block(c.op)
			defer release()
			answer := make(chan error, 1)
			go func() { answer <- m.Do(t.Context(), c.fn) }()
			<-entered
			select {
			case err := <-answer:
				t.Fatalf("answered before the log was: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			release()
			if err := <-answer; !errors.Is(err, c.want) {
				t.Fatalf("answer %v, want %v", err, c.want)
			}
		})
	}
}

// C1: what was decided while an append was in flight, and a read on top of it, wait for a request to the log of their own.
func TestAnswersWaitForTheirOwnEntry(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	asked, pass := make(chan string, 10), make(chan struct{})
	cl.faults.set(func(op string, phase memory.Phase) error {
		if phase == memory.Before && (op == "append" || op == "position") {
			asked <- op
			<-pass
		}
		return nil
	})
	answers := make(chan string, 3)
	submit := func(name string, fn func(tx *Tx) error) {
		go func() {
			if err := m.Do(t.Context(), fn); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			answers <- name
		}()
	}
	submit("first", func(tx *Tx) error { return tx.Emit(created("x")) })
	<-asked
	submit("read", func(*Tx) error { return nil })
	submit("second", func(tx *Tx) error { return tx.Emit(created("y")) })
	time.Sleep(20 * time.Millisecond)
	pass <- struct{}{}
	if got := <-answers; got != "first" {
		t.Fatalf("answered first: %s", got)
	}
	if op := <-asked; op != "append" {
		t.Fatalf("the next request is a %s", op)
	}
	select {
	case got := <-answers:
		t.Fatalf("the %s was answered by a request that began before it", got)
	case <-time.After(20 * time.Millisecond):
	}
	cl.faults.set(nil)
	close(pass)
	<-answers
	<-answers
}

// C1: a leader that was deposed, and does not know it yet, answers nothing, not even a read.
func TestDeposedLeaderAnswersNothing(t *testing.T) {
	for name, fn := range map[string]func(tx *Tx) error{
		"write": func(tx *Tx) error { return tx.Emit(created("x")) },
		"read":  func(*Tx) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			m := cl.lead("one")
			op := map[string]string{"write": "append", "read": "position"}[name]
			entered, release := cl.faults.block(op)
			defer release()
			answer := make(chan error, 1)
			go func() { answer <- m.Do(t.Context(), fn) }()
			<-entered
			cl.server.ExpireLeader()
			release()
			if err := <-answer; !retriable(err) {
				t.Fatalf("answer %v", err)
			}
			if m.until("leads again", m.Leading); m.endOf("x") != 0 || m.Replica().State().TopicByName("x") != nil {
				t.Fatal("what a deposed leader decided is in the log")
			}
		})
	}
}

// C1: the proof behind a read does not rest on the lease's end being noticed: another leader's nonce, or a fence, in the log is
// enough.
func TestBarrier(t *testing.T) {
	cl := newCluster(t)
	log := cl.server.Open(nil)
	term, err := log.Campaign(t.Context(), "one", "")
	if err != nil {
		t.Fatal(err)
	}
	l := &leader{c: New(Config{Log: log}), term: term}
	if err := l.barrier(t.Context(), metastore.Head{}); err != nil {
		t.Fatalf("while it leads: %v", err)
	}
	cl.server.ExpireLeader()
	if err := l.barrier(t.Context(), metastore.Head{}); !errors.Is(err, metastore.ErrDeposed) {
		t.Fatalf("when nobody leads: %v", err)
	}
	if _, err := log.Campaign(t.Context(), "two", ""); err != nil {
		t.Fatal(err)
	}
	if err := l.barrier(t.Context(), metastore.Head{}); !errors.Is(err, metastore.ErrDeposed) {
		t.Fatalf("when another leads: %v", err)
	}
	if l.term, err = log.Campaign(t.Context(), "two", ""); err != nil {
		t.Fatal(err)
	}
	cl.fence(fenceOf(10))
	if err := l.barrier(t.Context(), metastore.Head{}); !errors.Is(err, base.ErrFenced) {
		t.Fatalf("behind a fence: %v", err)
	}
	l.guard.FenceRevision = cl.position().FenceRevision
	if err := l.barrier(t.Context(), metastore.Head{Seq: 3}); !errors.Is(err, metastore.ErrConflict) {
		t.Fatalf("when the log was set back under the term: %v", err)
	}
}

// C1, C3: a caller that gives up while its command runs on gets nothing of it, and does not race with it (run with -race).
func TestGivenUpSession(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	_, release := cl.faults.block("append")
	defer release()
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if id, err := m.OpenSession(ctx, 1); err != nil && id != 0 {
			t.Fatalf("session %x with %v", id, err)
		}
		cancel()
	}
}

// C2: one append is in flight, and what is decided meanwhile goes into the next entry, all of it, in order.
func TestGroupCommit(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	before := cl.head()
	entered, release := cl.faults.block("append")
	defer release()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var wg sync.WaitGroup
	submit := func(name string) {
		wg.Go(func() {
			if err := m.emit(created(name)); err != nil {
				t.Errorf("topic %s: %v", name, err)
			}
		})
	}
	submit("first")
	<-entered
	for _, name := range names {
		submit(name)
	}
	select {
	case <-entered:
		t.Fatal("a second append is in flight")
	case <-time.After(50 * time.Millisecond):
	}
	release()
	wg.Wait()
	if got := cl.head() - before; got != 2 {
		t.Fatalf("%d entries for one event and then %d at once, want 2", got, len(names))
	}
}

// C3: an append that surely failed, and one of unknown fate: every answer that waits becomes a retriable error, the working
// state goes, and the same commit again gets its offsets, once, whatever had happened.
func TestLostAnswer(t *testing.T) {
	for name, phase := range map[string]memory.Phase{"the append never was": memory.Before, "its answer was lost": memory.After} {
		t.Run(name, func(t *testing.T) {
			cl := newCluster(t)
			m := cl.lead("one")
			if err := m.emit(created("x")); err != nil {
				t.Fatal(err)
			}
			session, err := m.OpenSession(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			first, err := m.commit(request(session, 1, "x"))
			if err != nil {
				t.Fatal(err)
			}
			cl.faults.once("append", phase)
			if _, err := m.commit(request(session, 2, "x")); !retriable(err) {
				t.Fatalf("after a failed append: %v", err)
			}
			var again *metalogpb.CommitResult
			m.retried("the commit again", func() (err error) {
				again, err = m.commit(request(session, 2, "x"))
				return err
			})
			if r := again.Extents[0].Batches[0]; r.BaseOffset != 3 || r.ErrorCode != 0 {
				t.Fatalf("the commit again got %v", r)
			}
			if r := first.Extents[0].Batches[0]; r.BaseOffset != 0 || m.endOf("x") != 6 {
				t.Fatalf("the first got %v, the end is %d", r, m.endOf("x"))
			}
		})
	}
}

// C3: what was decided after the entry whose append failed was computed from a state that never came to be.
func TestEverythingBehindFails(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	entered, release := cl.faults.block("append")
	answers := make(chan error, 3)
	go func() { answers <- m.emit(created("x")) }()
	<-entered
	for range 2 { // decided on top of what is in flight
		go func() {
			answers <- m.Do(t.Context(), func(tx *Tx) error {
				if tx.State().TopicByName("x") == nil {
					return errRefused
				}
				return nil
			})
		}()
	}
	time.Sleep(20 * time.Millisecond)
	cl.server.ExpireLeader()
	release()
	for range 3 {
		if err := <-answers; !retriable(err) {
			t.Fatalf("an answer on top of a failed append: %v", err)
		}
	}
	m.until("leads again", m.Leading)
	m.retried("create it after all", func() error { return m.emit(created("x")) })
}

// A caller that gives up is told that it may try again; its command may still take effect.
func TestCallerGivesUp(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	_, release := cl.faults.block("append")
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := m.Do(ctx, func(tx *Tx) error { return tx.Emit(created("x")) }); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("answer %v", err)
	}
}

// An etcd that was set back under a running leader: it appends nothing behind the hole, and does not serve.
func TestSetBackUnderTheLeader(t *testing.T) {
	cl := newCluster(t)
	m := cl.lead("one")
	for _, name := range []string{"x", "y", "z"} {
		if err := m.emit(created(name)); err != nil {
			t.Fatal(err)
		}
	}
	head := cl.head()
	m.endOf("z")
	cl.server.SetBack(head - 2)
	if err := m.emit(created("w")); !retriable(err) && !errors.Is(err, metastore.ErrConflict) {
		t.Fatalf("answer %v", err)
	}
	time.Sleep(250 * time.Millisecond) // a new term would have begun by then
	if err := m.emit(created("w")); !retriable(err) {
		t.Fatalf("answer %v", err)
	}
	if got := cl.head(); got != head-2 {
		t.Fatalf("the log went from %d on to %d", head-2, got)
	}
}

// The walk of confirmed: only the leader knows what etcd was set back by, as its replica hears of nothing. It leads no more, and what it had
// confirmed is in the archive.
func TestSetBackBehindALaggingReplica(t *testing.T) {
	for name, gone := range map[string]bool{"set back": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := newCluster(t)
			at := &stuck{}
			m := cl.start("one", func(c *Config) { at.Log, c.Log = c.Log, at })
			m.until("leads", func() bool { return m.Leading() && m.Replica().Applied() > 0 })
			at.hold.Store(true)
			before := cl.head()
			for _, name := range []string{"x", "y", "z"} {
				m.retried("create "+name, func() error { return m.emit(created(name)) })
			}
			head, applied := cl.position().Head, m.Replica().Applied()
			if applied > before+1 || head.Seq < before+3 {
				t.Fatalf("the replica is at seq %d, the log at %d", applied, head.Seq)
			}
			incarnation := cl.position().Incarnation
			if gone {
				cl.server.Lose()
			} else {
				cl.server.SetBack(applied)
			}
			_ = m.emit(created("w")) // fails somehow
			select {
			case err := <-m.ended:
				m.ended <- err
				if !errors.Is(err, replica.ErrAhead) {
					t.Fatal(err)
				}
			case <-time.After(patience):
				t.Fatal("the coordinator goes on")
			}
			last, err := archive.NewReader(objstore.AsObjects(cl.bucket)).Read(t.Context(), incarnation, head.Seq, 1)
			if err != nil || len(last) != 1 || metastore.HashOf(last[0].Value) != head.Hash {
				t.Fatalf("entry %d is not archived: %v", head.Seq, err)
			}
		})
	}
}

// stuck is a log whose stream gives no more entries once it holds.
type stuck struct {
	metastore.Log
	hold atomic.Bool
}

func (s *stuck) Follow(ctx context.Context, from base.Seq, fn func(metastore.RawEntry) error) error {
	return s.Log.Follow(ctx, from, func(raw metastore.RawEntry) error {
		if s.hold.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		return fn(raw)
	})
}
