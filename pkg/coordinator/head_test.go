package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// A head is of the log that there is, and none while there is none: an empty etcd may be one that was lost.
func TestHead(t *testing.T) {
	c := newCluster(t)
	idle := New(Config{Log: c.server.Open(nil), Objects: objstore.AsObjects(c.bucket), Logger: slog.New(slog.DiscardHandler)})
	if head, err := idle.Head(t.Context()); !errors.Is(err, base.ErrUnavailable) {
		t.Fatalf("head of an empty etcd: %v, %v", head, err)
	}
	c.lead("a").end()
	want := c.position().Point()
	if head, err := idle.Head(t.Context()); err != nil || head != want || want.Incarnation == "" || want.Seq == 0 {
		t.Fatalf("head %v, %v, want %v", head, err, want)
	}
}

// positions is a metalog of which only the position is asked.
type positions struct {
	metastore.Log
	ask func(ctx context.Context) error
}

func (p positions) Position(ctx context.Context) (metastore.Position, error) {
	return metastore.Position{Incarnation: "i", Head: metastore.Head{Seq: 1}}, p.ask(ctx)
}

// Who asks waits no longer than it wants to, whoever else asks.
func TestHeadKeepsDeadlines(t *testing.T) {
	away := newSharedHead(positions{ask: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := away.get(ctx); !errors.Is(err, base.ErrUnavailable) || time.Since(began) > headTimeout/2 {
		t.Errorf("without etcd: %v after %v", err, time.Since(began))
	}
	// Each request brings forth another asker: there is always one more to serve.
	var others sync.WaitGroup
	var busy *sharedHead
	stop := time.Now().Add(time.Second)
	busy = newSharedHead(positions{ask: func(context.Context) error {
		if time.Now().Before(stop) {
			others.Go(func() { _, _ = busy.get(context.Background()) })
		}
		time.Sleep(5 * time.Millisecond)
		return nil
	}})
	began = time.Now()
	if _, err := busy.get(t.Context()); err != nil || time.Since(began) > 500*time.Millisecond {
		t.Errorf("among others: %v after %v", err, time.Since(began))
	}
	others.Wait()
}
