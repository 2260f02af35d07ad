package etcd

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// attemptTimeout bounds one attempt of a call whose answer is small.
const attemptTimeout = time.Second

// short in a context says that what is asked for has a short answer, although it is of a range of keys.
type short struct{}

// attempt lets the client try another member when one lets a call lie: it has just lost the etcd's leader, or it hangs (a paused machine, a stuck
// disk), which gRPC finds out after 13 s only. The client asks its members in turn and repeats what ended by such a deadline until the call's own.
//
// All calls of this package may be repeated: reads; leases, of which one too many lapses; conditional transactions, each of which finds out whether
// it was an earlier attempt of its own that changed what it depends on. An etcd that is merely slow comes to the same end. Reads of
// ranges that are not short may take longer, and so may the check of a password: they are left alone.
func attempt(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r, isRange := req.(*pb.RangeRequest)
	_, isPassword := req.(*pb.AuthenticateRequest)
	if isRange && len(r.RangeEnd) > 0 && ctx.Value(short{}) == nil || isPassword {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return invoke(ctx, method, req, reply, cc, opts...)
}
