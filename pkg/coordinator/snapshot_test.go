package coordinator

import (
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
)

// While a snapshot is under way, entries are acked, applied and archived; the pointer moves to what it was begun at, and then the next is taken.
func TestNothingWaitsForASnapshot(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	entered, release := c.faults.block("set snapshot")
	defer release()
	m := c.start("one", func(cfg *Config) { cfg.SnapshotEvery, cfg.KeepEntries = 5, 2 })
	m.until("leads", m.Leading)
	create := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if err := m.emit(created(string(rune('A' + i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	create(0, 10)
	m.until("begins a snapshot", func() bool { return len(entered) > 0 })
	begun := c.position().Archive.GetSeq()
	create(10, 25)
	m.until("archives while it takes a snapshot", func() bool { return base.Seq(c.position().Archive.GetSeq()) == c.head() })
	if pos := c.position(); pos.Snapshot != nil || pos.Archive.GetSeq() <= begun || len(entered) > 1 {
		t.Fatalf("snapshot %v, archived to %d, begun at %d, %d under way", pos.Snapshot, pos.Archive.GetSeq(), begun, len(entered))
	}
	release()
	m.until("moves the pointer", func() bool { return c.position().Snapshot.GetSeq() >= begun })
	m.until("takes the next snapshot", func() bool { return base.Seq(c.position().Snapshot.GetSeq()) == c.head() })
	m.end()
	again := c.start("two", nil)
	again.until("leads", again.Leading)
	if n := len(again.Replica().State().Topics()); again.Replica().Applied() != c.head() || n != 25 {
		t.Fatalf("a start from the snapshot is at seq %d of %d, with %d topics", again.Replica().Applied(), c.head(), n)
	}
}

// A snapshot that fails is taken again.
func TestFailedSnapshotIsTakenAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.faults.once("set snapshot", memory.Before)
	m := c.start("one", func(cfg *Config) { cfg.SnapshotEvery, cfg.KeepEntries = 1, 1 })
	m.until("leads", m.Leading)
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	m.until("takes it again", func() bool { return base.Seq(c.position().Snapshot.GetSeq()) == c.head() })
}
