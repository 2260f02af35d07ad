package witness

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// reader is one without a client: the test plays the group and delivers.
func reader() *Reader {
	return &Reader{
		topic: "t", now: func() time.Time { return time.Unix(1, 0) }, next: map[int32]int64{}, committed: map[int32]int64{},
		attempted: map[int32]int64{}, highest: map[int32]int64{},
	}
}

func (r *Reader) deliver(offsets ...int64) {
	for _, o := range offsets {
		r.take(&kgo.Record{Topic: "t", Offset: o})
	}
}

// commit is a commit of what was delivered; ok tells whether its answer came.
func (r *Reader) commit(ok bool) {
	for p, next := range r.next {
		if r.attempted[p] = next; ok {
			r.committed[p] = next
		}
	}
}

func (r *Reader) assign() { r.forget(context.Background(), nil, map[string][]int32{"t": {0}}) }

// What a group may be given, and what it may not: each anomaly is found, and what is allowed is not.
func TestReaderJudges(t *testing.T) {
	for name, c := range map[string]struct {
		play                  func(r *Reader)
		again, skipped, below int
	}{
		"all in order":                       {func(r *Reader) { r.deliver(0, 1, 2, 3) }, 0, 0, 0},
		"an offset skipped":                  {func(r *Reader) { r.deliver(0, 1, 3) }, 0, 1, 0},
		"many skipped":                       {func(r *Reader) { r.deliver(0, 9) }, 0, 8, 0},
		"an offset again in one assignment":  {func(r *Reader) { r.deliver(0, 1, 1) }, 1, 0, 1},
		"back in one assignment":             {func(r *Reader) { r.deliver(0, 1, 2, 0) }, 1, 0, 1},
		"the first is not the start":         {func(r *Reader) { r.deliver(2) }, 0, 2, 0},
		"on from the committed offset":       {func(r *Reader) { r.deliver(0, 1); r.commit(true); r.assign(); r.deliver(2) }, 0, 0, 0},
		"below the committed offset":         {func(r *Reader) { r.deliver(0, 1); r.commit(true); r.assign(); r.deliver(1) }, 1, 0, 1},
		"beyond the committed offset":        {func(r *Reader) { r.deliver(0, 1); r.commit(true); r.assign(); r.deliver(3) }, 0, 1, 0},
		"what was not committed, again":      {func(r *Reader) { r.deliver(0, 1); r.commit(true); r.deliver(2); r.assign(); r.deliver(2) }, 1, 0, 0},
		"a commit whose answer was lost":     {func(r *Reader) { r.deliver(0, 1); r.commit(false); r.assign(); r.deliver(2) }, 0, 0, 0},
		"a commit that never was, from zero": {func(r *Reader) { r.deliver(0, 1); r.commit(false); r.assign(); r.deliver(0) }, 1, 0, 0},
	} {
		r := reader()
		c.play(r)
		p, found := r.Progress()
		if p.Again != c.again || p.Skipped != c.skipped || p.Below != c.below {
			t.Errorf("%s: again %d, skipped %d, below %d; want %d, %d, %d", name, p.Again, p.Skipped, p.Below, c.again, c.skipped, c.below)
		}
		if (found.Count > 0) != (c.skipped+c.below > 0) {
			t.Errorf("%s: findings %v", name, found)
		}
	}
}

// flipAt is what Flip notes when the other region has cut at `cut` and has `committed` for the group.
func (r *Reader) flipAt(cut, committed int64) {
	r.flipped, r.cut = true, map[int32]int64{0: cut}
	r.resume = map[int32]int64{0: committed}
	r.committed[0], r.attempted[0] = committed, committed
	r.highest[0] = min(r.highest[0], cut-1)
}

// Over a flip a group goes on at exactly the offset that the other region has, or, when it had read beyond the cut, there.
func TestReaderOverAFlip(t *testing.T) {
	read := func(r *Reader) { r.deliver(0, 1, 2, 3, 4, 5); r.commit(true) }
	for name, c := range map[string]struct {
		play                  func(r *Reader)
		skipped, below, found int
	}{
		"on at the committed offset": {func(r *Reader) { read(r); r.flipAt(6, 4); r.assign(); r.deliver(4) }, 0, 0, 0},
		"below it":                   {func(r *Reader) { read(r); r.flipAt(6, 4); r.assign(); r.deliver(3) }, 0, 1, 1},
		"beyond it":                  {func(r *Reader) { read(r); r.flipAt(6, 4); r.assign(); r.deliver(5) }, 1, 0, 1},
		"back to the cut, once":      {func(r *Reader) { read(r); r.flipAt(4, 4); r.deliver(4, 5) }, 0, 0, 0},
		"back to the cut, twice":     {func(r *Reader) { read(r); r.flipAt(4, 4); r.deliver(4, 5, 4) }, 0, 1, 1},
		"back beyond the cut":        {func(r *Reader) { read(r); r.flipAt(4, 4); r.deliver(5) }, 0, 1, 1},
		"back below the cut":         {func(r *Reader) { read(r); r.flipAt(4, 4); r.deliver(3) }, 0, 1, 1},
		"on as if there were no cut": {func(r *Reader) { read(r); r.flipAt(6, 6); r.deliver(6) }, 0, 0, 0},
	} {
		r := reader()
		c.play(r)
		p, found := r.Progress()
		if p.Skipped != c.skipped || p.Below != c.below || found.Count != c.found {
			t.Errorf("%s: skipped %d, below %d, %v", name, p.Skipped, p.Below, found)
		}
		if p.FirstAfterFlip.IsZero() {
			t.Errorf("%s: the first record after the flip was not timed", name)
		}
	}
}

func TestBehind(t *testing.T) {
	r := reader()
	if r.Behind(map[int32]int64{0: 0}) != "" || r.Behind(map[int32]int64{0: 1}) == "" {
		t.Error("before the first delivery")
	}
	r.deliver(0, 1)
	if r.Behind(map[int32]int64{0: 2}) != "" || r.Behind(map[int32]int64{0: 3}) == "" || r.Behind(map[int32]int64{0: 2, 1: 1}) == "" {
		t.Error("after two records")
	}
}
