package region

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

// peer asks the other region over its admin API. Its URLs are looked up at each question: the other region may have been
// started after this one.
type peer struct {
	urls    func() ([]string, error)
	cluster base.ClusterID
	http    *http.Client
}

// TookOver implements coordinator.Peer. All of the peer's coordinators are asked at once, since one may hang; the first
// answer counts.
func (p *peer) TookOver(ctx context.Context) (base.Epoch, error) {
	urls, err := p.urls()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		epoch base.Epoch
		err   error
	}
	answers := make(chan answer, len(urls))
	var asking sync.WaitGroup
	defer asking.Wait()
	for _, url := range urls {
		asking.Go(func() {
			c := adminpbconnect.NewSourceServiceClient(p.http, url)
			resp, err := c.Describe(ctx, connect.NewRequest(&adminpb.DescribeRequest{}))
			if err != nil {
				answers <- answer{err: err}
				return
			}
			answers <- answer{epoch: base.Epoch(resp.Msg.TookOver[p.cluster.String()])}
		})
	}
	failures := []error{base.ErrUnavailable}
	for range urls {
		a := <-answers
		if a.err == nil {
			cancel()
			return a.epoch, nil
		}
		failures = append(failures, a.err)
	}
	return 0, errors.Join(failures...)
}
