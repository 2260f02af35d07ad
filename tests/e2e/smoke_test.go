package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/dev"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/witness"
)

// start runs gnomon dev in this process until the test ends, and returns the endpoints of a and b.
func start(t *testing.T) map[string]region.Endpoints {
	t.Helper()
	data := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan struct{})
	ended := make(chan error, 1)
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelDebug
	}
	out := &readyWriter{ready: ready}
	go func() {
		ended <- dev.Run(ctx, dev.Options{
			Data: data, EphemeralPorts: true, Out: out, Now: time.Now, Version: "test",
			Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("gnomon dev: %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("gnomon dev ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("gnomon dev was not ready within a minute")
	}
	e := map[string]region.Endpoints{}
	for _, name := range []string{"a", "b"} {
		raw, err := os.ReadFile(filepath.Join(data, name, "endpoints.json"))
		if err != nil {
			t.Fatal(err)
		}
		var x region.Endpoints
		if err := json.Unmarshal(raw, &x); err != nil {
			t.Fatal(err)
		}
		e[name] = x
	}
	return e
}

type readyWriter struct {
	ready chan struct{}
	done  bool
}

func (w *readyWriter) Write(b []byte) (int, error) {
	if !w.done && len(b) > 5 && string(b[:5]) == "ready" {
		w.done = true
		close(w.ready)
	}
	return io.Discard.Write(b)
}

func TestSmoke(t *testing.T) {
	e := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e["a"].Kafka...), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 3, -1, nil, "hello"); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r := &kgo.Record{Topic: "hello", Key: []byte(fmt.Sprint("k", i)), Value: []byte(fmt.Sprint("v", i))}
		if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		c, err := kgo.NewClient(kgo.SeedBrokers(e[name].Kafka...), kgo.ConsumeTopics("hello"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		n := 0
		for n < 100 {
			f := c.PollFetches(ctx)
			if err := f.Err0(); err != nil {
				t.Fatalf("region %s, after %d: %v", name, n, err)
			}
			n += f.NumRecords()
		}
	}
	g, err := kgo.NewClient(kgo.SeedBrokers(e["a"].Kafka...), kgo.ConsumeTopics("hello"), kgo.ConsumerGroup("g"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for n := 0; n < 100; {
		f := g.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		n += f.NumRecords()
	}
	if err := g.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
}

// Batches that do not fit into an answer are not passed over in favour of smaller ones behind them.
func TestFetchLimits(t *testing.T) {
	e := start(t)
	createTopic(t, e["a"].Kafka, "t", 1)
	ctx := testContext(t, time.Minute)
	rows := witness.NewLedger()
	var producers sync.WaitGroup
	for p := range 8 { // together they fill each object with batches of very different sizes
		cl := newClient(t, e["a"].Kafka, kgo.ProducerBatchCompression(kgo.NoCompression()))
		producers.Go(func() {
			for i := range 40 {
				value := append(fmt.Appendf(nil, "%d/%d ", p, i), make([]byte, (p*7919+i*104729)%20_000)...)
				rows.Produce(ctx, cl, &kgo.Record{Topic: "t", Key: []byte{byte(p)}, Value: value}, nil)
				if err := cl.Flush(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	producers.Wait()
	for _, limit := range []int32{1, 500, 20_000, 50_000} {
		checkLedger(t, rows, readAll(t, e["a"].Kafka, "t", kgo.FetchMaxPartitionBytes(limit), kgo.FetchMaxBytes(2*limit)), nil)
	}
}
