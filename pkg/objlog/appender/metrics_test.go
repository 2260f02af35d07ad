package appender

import (
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
)

// Each flush is counted under what made it due, and what a request holds until it is answered is told.
func TestFlushesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := fault.Options{Latency: func(op objstore.Op, _ string, p fault.Phase) time.Duration {
			if op == objstore.OpPut && p == fault.Before {
				return time.Second
			}
			return 0
		}}
		w := newWorld(t, Config{FlushBytes: 1000, FlushPartitions: 2, FlushBatches: 3, FlushInterval: 50 * time.Millisecond, FlushMin: 50 * time.Millisecond}, slow)
		defer w.stop()
		one := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10))
		time.Sleep(100 * time.Millisecond)
		if now, most := w.a.Held(); now < 10 || now > 1000 || most != 128<<20 {
			t.Errorf("%d of %d bytes are held", now, most)
		}
		two := w.append(t.Context(), makeBatch(0, -1, -1, 1, 2000))
		three := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10), makeBatch(1, -1, -1, 1, 10))
		four := w.append(t.Context(), makeBatch(0, -1, -1, 1, 10), makeBatch(0, -1, -1, 1, 10), makeBatch(0, -1, -1, 1, 10))
		for _, a := range []answer{one, two, three, four} {
			w.get(a)
		}
		for _, want := range []reason{reasonBytes, reasonPartitions, reasonBatches, reasonWaited} {
			var m dto.Metric
			if err := w.a.metrics.flushes[want].Write(&m); err != nil || m.Counter.GetValue() != 1 {
				t.Errorf("%v flushes because of %s, %v", m.Counter.GetValue(), reasonNames[want], err)
			}
		}
	})
}
