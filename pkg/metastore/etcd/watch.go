package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// watchPatience is how long a watch may be silent.
const watchPatience = 3 * time.Second

// errLookAgain ends a watch whose caller does best to read again and watch from there: nothing is wrong.
var errLookAgain = errors.New("read again")

// watch calls fn for each answer of a watch of all keys with a prefix, from a revision on, until fn fails or ctx ends. errLookAgain when the
// revision is compacted, and when the watch was silent for so long that the member may hang, which nothing else would tell:
//
//  1. The member answers the pings that keep the connection (or its machine's kernel takes them, for 13 s), and no more.
//  2. gRPC holds the connection for sound, and etcd's client waits for the next event: for ever, if the member hangs for ever.
//
// So silence ends the watch, and the next one takes another member (turn). The client would put it on the same stream, at the same
// member, as long as any other watch uses that one: the log's and the agents' would hold each other there. So each has a stream of its own,
// which ends with it.
func (l *Log) watch(ctx context.Context, what, prefix string, revision int64, fn func(clientv3.WatchResponse) error, opts ...clientv3.OpOption) error {
	wctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	wctx = metadata.AppendToOutgoingContext(wctx, streamKey, strconv.FormatInt(l.watches.Add(1), 10))
	silence := time.AfterFunc(watchPatience, cancel)
	defer silence.Stop()
	opts = append(opts, clientv3.WithPrefix(), clientv3.WithRev(revision))
	for resp := range l.client.Watch(wctx, prefix, opts...) {
		silence.Reset(watchPatience)
		err := resp.Err()
		switch {
		case errors.Is(err, rpctypes.ErrCompacted):
			return errLookAgain
		case err != nil:
			return failure(what, err)
		}
		if err := fn(resp); err != nil {
			return err
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case wctx.Err() != nil: // silence
		l.turn(ctx)
		return errLookAgain
	}
	return fmt.Errorf("%s: the watch ended: %w", what, base.ErrUnavailable)
}

// turn asks a random number of small questions. The client asks its members by turns, so one that asks for the same number of things between a
// watch and the next may come to the member that hangs each time.
func (l *Log) turn(ctx context.Context) {
	ctx, cancel := l.call(ctx)
	defer cancel()
	for range rand.IntN(len(l.cfg.Endpoints)) {
		_, _ = l.client.Get(ctx, l.key("current"), clientv3.WithSerializable())
	}
}

// streamKey is metadata that etcd ignores. Its client shares a stream among watches with equal metadata.
const streamKey = "gnomon-watch"
