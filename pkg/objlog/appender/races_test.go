package appender

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
)

// P7: the session ends while a PUT runs that does not hear of it; its request is answered once the PUT is over.
func TestNoAnswerWhileBytesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{}, fault.Options{
			Latency: func(op objstore.Op, key string, phase fault.Phase) time.Duration {
				if op == objstore.OpPut && phase == fault.Before && isObject(key, 2) {
					return time.Second
				}
				return 0
			},
			Sleep: func(_ context.Context, d time.Duration) error { time.Sleep(d); return nil },
		})
		defer w.stop()
		w.seq.delay = func() time.Duration { return 20 * time.Millisecond }
		w.seq.before = func(*metalogpb.CommitRequest) error { return base.ErrFenced }
		start := time.Now()
		one := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
		time.Sleep(5 * time.Millisecond)
		two := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
		w.retriable(one)
		if d := time.Since(start); d != 20*time.Millisecond {
			t.Errorf("the fenced commit was answered after %v", d)
		}
		w.retriable(two)
		if d := time.Since(start); d < time.Second {
			t.Errorf("answered after %v, while the PUT ran", d)
		}
	})
}

// P3: commit 1 is under way when object 2 fails and 3 is sent: 3 names 2, and the session lives on.
func TestAbandonedBehindACommitUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{EagerPuts: 8}, fault.Options{Hook: func(op objstore.Op, key string, phase fault.Phase) error {
			if op == objstore.OpPut && phase == fault.Before && isObject(key, 2) {
				return errFinal
			}
			return nil
		}})
		defer w.stop()
		w.seq.delay = func() time.Duration { return 200 * time.Millisecond }
		one := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
		time.Sleep(5 * time.Millisecond)
		w.retriable(w.append(t.Context(), makeBatch(1, -1, -1, 1, 10)))
		three := w.append(t.Context(), makeBatch(2, -1, -1, 1, 10))
		w.ok(one, 0)
		w.ok(three, 0)
		w.ok(w.append(t.Context(), makeBatch(1, -1, -1, 1, 10)), 0)
		var got []string
		for _, r := range w.seq.requests {
			got = append(got, fmt.Sprintf("%d%d<%d", r.Number, r.Abandoned, r.ResolvedBelow))
		}
		if s := fmt.Sprint(got); s != "[1[]<1 3[2]<1 4[]<4]" || w.seq.opened != 1 {
			t.Errorf("commits as number, abandoned, resolved below: %s, in %d sessions", s, w.seq.opened)
		}
	})
}

// The answer to a PUT is lost: the object is found by Head, and committed once.
func TestLostPutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := false
		w := newWorld(t, Config{}, fault.Options{Hook: func(op objstore.Op, _ string, phase fault.Phase) error {
			if op == objstore.OpPut && phase == fault.After && !lost {
				lost = true
				return fault.ErrInjected
			}
			return nil
		}})
		defer w.stop()
		w.ok(w.append(t.Context(), makeBatch(0, -1, -1, 1, 10)), 0)
		s := w.counts.Snapshot()
		if s.Of(objstore.OpPut).Calls != 1 || s.Of(objstore.OpHead).Calls != 1 || len(w.seq.requests) != 1 {
			t.Errorf("%s; %d commits", s, len(w.seq.requests))
		}
	})
}

// A bucket that is away: the request fails at ProduceTimeout, the next one succeeds when the bucket is back.
func TestPutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := time.Now().Add(40 * time.Second)
		w := newWorld(t, Config{}, fault.Options{Hook: func(objstore.Op, string, fault.Phase) error {
			if time.Now().Before(away) {
				return fault.ErrInjected
			}
			return nil
		}})
		defer w.stop()
		start := time.Now()
		w.retriable(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)))
		if d := time.Since(start); d < 29*time.Second || d > 31*time.Second {
			t.Errorf("failed after %v, want ProduceTimeout", d)
		}
		w.ok(w.append(t.Context(), makeBatch(0, 7, 0, 1, 10)), 0)
		if w.seq.opened != 1 {
			t.Errorf("%d sessions, want 1: a number is abandoned, not a session", w.seq.opened)
		}
	})
}

func TestPoisonSequencesWrap(t *testing.T) {
	now := time.Unix(0, 0)
	request := func(sequence int32) *request {
		return &request{batches: []Batch{makeBatch(0, 7, sequence, 2, 10)}}
	}
	last := int32(1<<31 - 1)
	p := poison{}
	p.add(request(last-1), now)
	for _, c := range []struct {
		sequence int32
		passes   bool
	}{{0, false}, {2, false}, {last - 3, true}, {0, false}, {last - 1, true}, {2, false}, {0, true}, {2, true}} {
		if err := p.check(request(c.sequence), now); (err == nil) != c.passes {
			t.Errorf("sequence %d: got %v, want it to pass: %v", c.sequence, err, c.passes)
		}
	}
	p.add(request(5), now)
	if err := p.check(request(9), now.Add(poisonFor)); err != nil {
		t.Errorf("after poisonFor: %v", err)
	}
}

// P4, walk 10: a batch was refused before it came here, or by the sequencer; what its producer has in flight behind it
// waits for it, also when the process stood still meanwhile.
func TestNothingPassesARefusedBatch(t *testing.T) {
	for _, by := range []string{"kafkaapi", "the sequencer"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Config{}, fault.Options{})
				defer w.stop()
				w.seq.gaps.Store(true)
				first := func() Batch { return makeBatch(0, 7, 0, 1, 10) }
				if by == "kafkaapi" {
					w.a.Refuse(t.Context(), []Batch{{Topic: first().Topic, Partition: 0, Header: first().Header}})
				} else {
					w.seq.standby.Store(true)
					if r := w.get(w.append(t.Context(), first())); !errors.Is(r[0].Err, kerr.NotLeaderForPartition) {
						t.Errorf("a standby's answer: %v", r[0].Err)
					}
					w.seq.standby.Store(false)
				}
				w.retriable(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)))
				time.Sleep(poisonFor - time.Second)
				w.retriable(w.append(t.Context(), makeBatch(0, 7, 2, 1, 10)))
				w.ok(w.append(t.Context(), makeBatch(1, 7, 3, 1, 10)), 0) // another partition
				w.ok(w.append(t.Context(), first()), 0)
				w.ok(w.append(t.Context(), makeBatch(0, 7, 1, 1, 10)), 1)
			})
		})
	}
}

// P4: a failed batch that never comes again, since another agent has acked it, holds its producer for a minute. Then it goes on at the
// lowest sequence that was refused, in order, whatever is in flight at that moment.
func TestHeldProducerGoesOnInOrder(t *testing.T) {
	now := time.Unix(0, 0)
	request := func(sequence int32) *request {
		return &request{batches: []Batch{makeBatch(0, 7, sequence, 1, 10)}}
	}
	p := poison{}
	p.add(request(31), now)
	check := func(sequence int32, passes bool) {
		t.Helper()
		if err := p.check(request(sequence), now); (err == nil) != passes {
			t.Errorf("sequence %d after %s: got %v, want it to pass: %v", sequence, now.Sub(time.Unix(0, 0)), err, passes)
		}
	}
	for now.Sub(time.Unix(0, 0)) < poisonMost {
		for _, s := range []int32{33, 34, 35} {
			check(s, false)
		}
		now = now.Add(time.Second)
	}
	check(34, false) // in flight behind 33, which was refused just before the minute ended
	check(35, false)
	for _, s := range []int32{33, 34, 35, 36} {
		check(s, true)
	}
}
