package counting_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/counting"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/storetest"
)

func TestAcceptance(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store { return counting.New(memory.New()) })
}

func TestCounts(t *testing.T) {
	ctx, s := context.Background(), counting.New(memory.New())
	if got := s.Snapshot().String(); got != "" {
		t.Fatalf("a new store has counted %q", got)
	}
	_ = s.Put(ctx, "a", objstore.Payload{[]byte("abc"), []byte("de")})
	_ = s.Put(ctx, "a", objstore.Payload{[]byte("abc")}) // taken: sent all the same
	_ = s.Put(ctx, "b", nil)
	before := s.Snapshot()
	_, _ = s.Get(ctx, "a", 10)
	_, _ = s.Get(ctx, "c", 10)
	_ = s.GetRange(ctx, "a", 1, make([]byte, 3))
	_ = s.GetRange(ctx, "a", 4, make([]byte, 3))
	_, _ = s.Head(ctx, "a")
	_, _ = s.List(ctx, "", "", 10)
	_ = s.Delete(ctx, "a", "b", "c")

	const puts = "put calls=3 errors=1 bytes=8\n"
	const rest = "get calls=2 errors=1 bytes=5\n" +
		"get_range calls=2 errors=1 bytes=3\n" +
		"head calls=1\n" +
		"list calls=1 objects=2\n" +
		"delete calls=1 objects=3\n"
	if got := s.Snapshot().String(); got != puts+rest {
		t.Errorf("got\n%swant\n%s", got, puts+rest)
	}
	if got := s.Snapshot().Sub(before).String(); got != rest {
		t.Errorf("the difference is\n%swant\n%s", got, rest)
	}
	if got := s.Snapshot().Of(objstore.OpPut); got != (counting.Counts{Calls: 3, Errors: 1, Bytes: 8}) {
		t.Errorf("puts: %+v", got)
	}
}

func TestConcurrent(t *testing.T) {
	s := counting.New(memory.New())
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				_ = s.Put(context.Background(), fmt.Sprintf("%d/%d", w, i), objstore.Payload{[]byte("xy")})
				_ = s.Snapshot()
			}
		})
	}
	wg.Wait()
	if got := s.Snapshot().String(); got != "put calls=800 bytes=1600\n" {
		t.Error(got)
	}
}
