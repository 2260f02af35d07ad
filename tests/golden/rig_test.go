// Package golden_test pins what operations cost in requests: to the bucket, each of which is paid for, and to etcd, which
// carries some hundred appends a second and no more. A change of it shows up in review.
package golden_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/memory"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	bucket "github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// meter is a region whose requests are counted: those of the agent to its bucket, and those of the coordinator to its metalog.
// What followers read of the metalog is one watch in etcd, and is not counted.
type meter struct {
	*memregion.Region
	t    *testing.T
	data *counting.Store

	mu    sync.Mutex
	reads int64 // linearizable ones
}

func newMeter(t *testing.T, number base.RegionNumber) *meter {
	m := &meter{t: t, data: counting.New(bucket.New())}
	m.Region = memregion.Start(t, memregion.Options{
		Number: number, Data: m.data, Fault: m.count,
		// A clock that stands still: no tick falls into what is measured.
		Now: func() time.Time { return time.UnixMilli(1_700_000_000_000) },
	})
	return m
}

func (m *meter) count(op string, phase memory.Phase) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if op == "position" && phase == memory.Before {
		m.reads++
	}
	return nil
}

func (m *meter) linearizable() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// appends is how many entries the log has, but for those that only time drives.
func (m *meter) appends() int {
	m.t.Helper()
	entries, err := m.Server.Open(nil).Read(context.Background(), 1, 1<<30)
	if err != nil {
		m.t.Fatal(err)
	}
	n := 0
	for _, raw := range entries {
		e, err := metastore.DecodeEntry(raw.Value)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, ev := range e.Events {
			switch ev.Kind.(type) {
			case *metalogpb.Event_Tick, *metalogpb.Event_ProducersExpired:
				continue
			}
			n++
			break
		}
	}
	return n
}

// bill is the text of the golden file.
type bill struct{ strings.Builder }

// cost enters what an operation costs.
func (b *bill) cost(m *meter, title string, operation func()) {
	data, reads, appends := m.data.Snapshot(), m.linearizable(), m.appends()
	operation()
	m.CaughtUp()
	fmt.Fprintf(b, "# %s\n%s", title, m.data.Snapshot().Sub(data))
	b.metalog(m, reads, appends)
}

func (b *bill) metalog(m *meter, reads int64, appends int) {
	if n := m.appends() - appends; n > 0 {
		fmt.Fprintf(b, "metalog append=%d\n", n)
	}
	if n := m.linearizable() - reads; n > 0 {
		fmt.Fprintf(b, "metalog linearizable_read=%d\n", n)
	}
	b.WriteByte('\n')
}

// buckets enters what went through a named bucket since earlier.
func (b *bill) buckets(name string, s *counting.Store, earlier counting.Snapshot) {
	for line := range strings.Lines(s.Snapshot().Sub(earlier).String()) {
		fmt.Fprintf(b, "%s %s", name, line)
	}
}
