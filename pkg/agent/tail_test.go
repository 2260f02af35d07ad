package agent

import (
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func TestTailForgets(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	tail := newTail(nil, NewView(nil, nil, nil, nil), func() time.Time { return now })
	tp := func(i int) base.TopicPartition { return base.TopicPartition{Partition: int32(i)} }
	for i := range tailSweepMin - 1 {
		tail.note(tp(i))
	}
	now = now.Add(tailReader)
	if !tail.read(tp(0)) || tail.read(tp(tailSweepMin)) {
		t.Error("a reader that may come back is gone, or one that never was is there")
	}
	now = now.Add(1)
	if tail.read(tp(0)) {
		t.Error("a reader is taken to come back for ever")
	}
	tail.note(tp(tailSweepMin))
	if n := len(tail.seen); n != 1 {
		t.Errorf("%d partitions are remembered, 1 is read", n)
	}
	_, done := tail.view.Changed([]base.TopicPartition{tp(7)})
	if !tail.read(tp(7)) {
		t.Error("somebody who waits is not seen")
	}
	if done(); tail.read(tp(7)) {
		t.Error("somebody who waits no more is still seen")
	}
}
