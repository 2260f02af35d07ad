package kafkaapi

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// lookupsAtOnce is how many partitions of one request are looked up at a time: each may have to ask etcd for the head, and
// those who ask together share one answer.
const lookupsAtOnce = 16

// each calls fn for 0 to n-1, several at a time, and returns when all calls have. A panic in one is caught here, for it
// would be nobody's: its place keeps what it held, and the error says so.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int)) error {
	if n == 1 {
		fn(ctx, 0)
		return nil
	}
	var g errgroup.Group
	g.SetLimit(lookupsAtOnce)
	for i := range n {
		g.Go(func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v: %w\n%s", p, base.ErrUnavailable, debug.Stack())
				}
			}()
			fn(ctx, i)
			return nil
		})
	}
	return g.Wait()
}
