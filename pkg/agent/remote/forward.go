package remote

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
)

// forwardPatience is how long a Kafka request waits for somebody to lead: longer than a change of leaders takes, shorter
// than clients wait for an answer.
const forwardPatience = 8 * time.Second

// Forward implements agent.Coordinator. A change of leaders is waited for, so that clients do not notice it, where the
// request can be sent again without harm (R3); else the client is told to try again.
func (c *Client) Forward(ctx context.Context, client kafkaapi.Client, req kmsg.Request) (kmsg.Response, error) {
	out := &coordinatorpb.ForwardRequest{
		ApiKey: int32(req.Key()), Version: int32(req.GetVersion()), Body: req.AppendTo(nil), ClientId: client.ID, ClientHost: client.Host,
	}
	resp := req.ResponseKind()
	again := rpcfault.IsUntouched
	if repeatable(req) {
		again = always
	}
	err := c.lead(ctx, forwardPatience, again, func(ctx context.Context, p *peer) error {
		got, err := p.coord.Forward(ctx, connect.NewRequest(out))
		if err != nil {
			return err
		}
		if err := resp.ReadFrom(got.Msg.Body); err != nil {
			return fmt.Errorf("answer of %s to %s: %w: %w", p.url, kmsg.NameForKey(req.Key()), base.ErrUnavailable, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// repeatable tells whether a request can be sent again after it may have taken effect, with the same answer, or one as
// good. A member that joins without an id would join twice; a topic that was created would be refused as existing.
func repeatable(req kmsg.Request) bool {
	switch r := req.(type) {
	case *kmsg.HeartbeatRequest, *kmsg.SyncGroupRequest, *kmsg.OffsetCommitRequest, *kmsg.OffsetFetchRequest,
		*kmsg.ListGroupsRequest, *kmsg.DescribeGroupsRequest, *kmsg.InitProducerIDRequest, *kmsg.DescribeProducersRequest,
		*kmsg.DeleteRecordsRequest, *kmsg.AlterConfigsRequest:
		return true
	case *kmsg.JoinGroupRequest:
		return r.MemberID != ""
	}
	return false
}
