package appender

import (
	"fmt"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// poison remembers idempotent producers whose batches failed here, by partition: what they had in flight behind the
// failed batch would be out of order, which is not retriable for every client. It fails retriably instead, until the
// producer comes again from the failed sequence on; from then on it must come in order until poisonFor after the last
// refusal, since batches from before the failure may still arrive behind the one that came again.
//
// The failed batch may never come again: the producer has given it up, or another agent has acked it. So after poisonMost the
// producer may go on at the lowest sequence that was refused meanwhile, and the sequencer judges. It may not go on just anywhere:
//
//  1. 31 fails here, and is acked by another agent. 33, 34 and 35 come here, again and again, and are refused.
//  2. The minute ends when 33 was just refused, and 34 and 35 are in flight behind it. They were taken, after a flip that allows a gap,
//     and 33 was out of order when it came again.
type poison map[poisonKey]poisoned

type poisonKey struct {
	tp       base.TopicPartition
	producer int64
}

type poisoned struct {
	epoch int16
	next  int32 // the sequence that must come before any higher one
	since time.Time
	at    time.Time // of the last refusal
	// lowest is the lowest sequence that was refused for next; valid if refused.
	lowest  int32
	refused bool
}

func (x poisoned) holds(now time.Time) bool { return now.Sub(x.at) < poisonFor }

// refuse notes that a sequence above next was refused.
func (x *poisoned) refuse(sequence int32, now time.Time) {
	x.at = now
	if !x.refused || ahead(sequence, x.lowest) < 0 {
		x.lowest, x.refused = sequence, true
	}
}

// giveUp has the producer go on at what was refused, once it has been held for long enough.
func (x *poisoned) giveUp(now time.Time) {
	if x.refused && now.Sub(x.since) >= poisonMost {
		x.next, x.since, x.refused = x.lowest, now, false
	}
}

const (
	// poisonFor is how long after a refusal nothing that was in flight can arrive any more.
	poisonFor  = 5 * time.Second
	poisonMost = time.Minute
	poisonMax  = 10_000
)

func (b *Batch) tp() base.TopicPartition {
	return base.TopicPartition{Topic: b.Topic, Partition: b.Partition}
}

func (r *request) touches(partitions map[base.TopicPartition]struct{}) bool {
	for i := range r.batches {
		if _, ok := partitions[r.batches[i].tp()]; ok {
			return true
		}
	}
	return false
}

func keyOf(b *Batch) poisonKey { return poisonKey{b.tp(), b.Header.ProducerID} }

// ahead is how far sequence a lies before b; sequences wrap from 2^31-1 to 0. Negative: behind.
func ahead(a, b int32) int32 {
	d := (a - b) & 0x7fffffff
	if d > 1<<30 {
		return -1
	}
	return d
}

// add notes the first failed sequence of each producer of the request.
func (p poison) add(r *request, now time.Time) {
	for i := range r.batches {
		p.note(&r.batches[i], now)
	}
}

// addPart is add for the batches of some partitions only.
func (p poison) addPart(requests []*request, partitions map[base.TopicPartition]struct{}, now time.Time) {
	for _, r := range requests {
		for i := range r.batches {
			if _, ok := partitions[r.batches[i].tp()]; ok {
				p.note(&r.batches[i], now)
			}
		}
	}
}

func (p poison) note(b *Batch, now time.Time) {
	if b.Header.ProducerID < 0 {
		return
	}
	k := keyOf(b)
	old, ok := p[k]
	since := now
	if ok && old.epoch == b.Header.ProducerEpoch && old.holds(now) {
		if since = old.since; ahead(b.Header.BaseSequence, old.next) >= 0 { // the one noted is the earlier
			old.at = now
			p[k] = old
			return
		}
	}
	if !ok && len(p) >= poisonMax {
		p.sweep(now)
		if len(p) >= poisonMax {
			return // the sequencer will judge
		}
	}
	p[k] = poisoned{epoch: b.Header.ProducerEpoch, next: b.Header.BaseSequence, since: since, at: now}
}

// renew has all producers held to it for the whole of poisonFor again.
func (p poison) renew(now time.Time) {
	for k, x := range p {
		x.since, x.at = now, now
		p[k] = x
	}
}

func (p poison) sweep(now time.Time) {
	for k, x := range p {
		if !x.holds(now) {
			delete(p, k)
		}
	}
}

// check refuses a request with a batch behind a failed one. Otherwise it moves on what is expected of its producers.
func (p poison) check(r *request, now time.Time) error {
	if len(p) == 0 {
		return nil
	}
	moved := map[poisonKey]poisoned{}
	for i := range r.batches {
		b := &r.batches[i]
		k := keyOf(b)
		x, ok := p[k]
		if m, again := moved[k]; again {
			x = m
		}
		if !ok || !x.holds(now) || b.Header.ProducerEpoch != x.epoch {
			delete(p, k)
			continue
		}
		x.giveUp(now)
		switch d := ahead(b.Header.BaseSequence, x.next); {
		case d > 0:
			x.refuse(b.Header.BaseSequence, now)
			p[k] = x
			return fmt.Errorf("sequence %d of producer %d failed and has not come again: %w", x.next, b.Header.ProducerID, base.ErrUnavailable)
		case d == 0:
			x.next, x.refused = (x.next+b.Header.LastOffsetDelta+1)&0x7fffffff, false
			moved[k] = x
		}
	}
	for k, x := range moved {
		p[k] = x
	}
	return nil
}
