package region

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

// peer asks the other region over its admin API. Its URL is looked up at each question: the other region may have been
// started after this one.
type peer struct {
	url     func() (string, error)
	cluster base.ClusterID
	http    *http.Client
}

// TookOver implements coordinator.Peer.
func (p *peer) TookOver(ctx context.Context) (base.Epoch, error) {
	url, err := p.url()
	if err != nil {
		return 0, err
	}
	c := adminpbconnect.NewSourceServiceClient(p.http, url)
	resp, err := c.Describe(ctx, connect.NewRequest(&adminpb.DescribeRequest{}))
	if err != nil {
		return 0, err
	}
	return base.Epoch(resp.Msg.TookOver[p.cluster.String()]), nil
}
