package kafkaapi

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// forwarded completes the line of an API that the coordinator leader answers. refuse makes the answer that says the same
// code everywhere, for when there is no leader or the region takes no writes.
func forwarded(a api, refuse func(req kmsg.Request, code int16) kmsg.Response) *api {
	a.handle = func(ctx context.Context, q *request) answer { return forward(ctx, q, refuse) }
	return &a
}

// forward has the coordinator leader answer a request as it is.
func forward(ctx context.Context, q *request, refuse func(kmsg.Request, int16) kmsg.Response) answer {
	resp, err := q.server.deps.Controller.Forward(ctx, q.client, q.body)
	if err == nil && (resp == nil || resp.Key() != q.api.key) {
		err = fmt.Errorf("controller's answer to %s is a %T: %w", q.api.name, resp, base.ErrUnavailable)
	}
	if err != nil {
		q.server.log.Debug("forward to the coordinator", "api", q.api.name, "client_id", q.client.ID, "error", err)
		resp = refuse(q.body, q.code(err))
	}
	resp.SetVersion(q.version)
	return message{resp}
}

// forwardChange forwards a change of topics, and lets this agent see it before the client hears of it: what the client
// asks next, on the same connection, it asks here.
func forwardChange(a api, refuse func(req kmsg.Request, code int16) kmsg.Response) *api {
	a.handle = func(ctx context.Context, q *request) answer {
		resp := forward(ctx, q, refuse)
		_ = q.server.deps.Catalog.Refresh(ctx) // without it the view is a moment behind
		return resp
	}
	return &a
}
