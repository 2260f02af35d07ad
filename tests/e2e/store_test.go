package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/witness"
	"github.com/gnomon-stream/gnomon/tests/harness"
	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

// startStore starts a store of the test's own, that can be killed, and lets the processes that the test starts in.
func startStore(t *testing.T) *server.Server {
	t.Helper()
	program, binary, ok, err := server.FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Skipf("%s is not set: `make minio` and `make versitygw` build a store and run the tests that kill one", server.Variable)
	}
	s, err := program.New(testContext(t, time.Minute), binary, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const (
	storeProducers = 16
	storeAway      = 8 * time.Second
)

// Point 14 of docs/KAFKA.md: sixteen producers on one partition share flushes, and the store is killed under them. What one
// producer's failed flush drops must not be acked to its neighbours. The store comes back after 8 s: clients wait, no record
// fails, and every acked one is there once, in order, at the offset of its ack.
func TestStoreKilled(t *testing.T) {
	store := startStore(t)
	d := harness.NewDev(t)
	region := d.Start("--region", "a", "--bucket-a", store.URL("a"))
	brokers := d.Endpoints("a").Kafka
	createTopic(t, brokers, "t", 1)
	ctx := testContext(t, 3*time.Minute)
	group := startReader(t, brokers, "t", "g")
	ledger := witness.NewLedger()
	stop := make(chan struct{})
	var producers sync.WaitGroup
	for p := range storeProducers {
		cl := newClient(t, brokers[p%2:p%2+1], kgo.MetadataMinAge(100*time.Millisecond), kgo.MaxBufferedRecords(500))
		producers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					if err := cl.Flush(ctx); err != nil {
						t.Errorf("producer %d: %v", p, err)
					}
					return
				default:
				}
				ledger.Produce(ctx, cl, &kgo.Record{Topic: "t", Key: fmt.Appendf(nil, "p%d", p), Value: fmt.Appendf(nil, "%d/%d", p, i)}, nil)
				if i%20 == 0 {
					time.Sleep(time.Millisecond) // the pace of a stream, not a wait
				}
			}
		})
	}
	acks := func(more int) {
		t.Helper()
		before := ledger.Acked()
		harness.Eventually(t, time.Minute, "records are acked", func() string {
			if n := ledger.Acked(); n < before+more {
				return fmt.Sprintf("%d of %d", n-before, more)
			}
			return ""
		})
	}
	for range 2 {
		acks(5000)
		if err := store.Kill(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(storeAway) // the outage
		atReturn := ledger.Acked()
		if err := store.Start(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		acks(1)
		t.Logf("%d acked when the store came back, the next %s later", atReturn, time.Since(began).Round(time.Millisecond))
		acks(5000)
	}
	close(stop)
	producers.Wait()
	checkLedger(t, ledger, readAll(t, brokers, "t"), nil)
	end := ends(t, brokers, "t")
	harness.Eventually(t, time.Minute, "the group reads to the end", func() string { return group.Behind(end) })
	checkReader(t, group)
	if err := ledger.Err(); err != nil {
		t.Errorf("%v\n%s", err, region.Log())
	}
}
