package region

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
)

// serveAdmin serves the admin API, health, metrics and profiles until ctx ends. It listens on loopback only: there is no
// authentication yet.
func (r *Region) serveAdmin(ctx context.Context) error {
	mux := http.NewServeMux()
	source := &sourceService{c: r.coord, now: r.cfg.Now, version: r.cfg.Version}
	mux.Handle(adminpbconnect.NewSourceServiceHandler(source))
	mux.Handle(adminpbconnect.NewShadowServiceHandler(&shadowService{r}))
	mux.Handle(adminpbconnect.NewClusterServiceHandler(&clusterService{r}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !r.ready() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)

	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, Protocols: &protocols, BaseContext: baseContext(base)}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		cancel() // ends the streams
		bye, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		stopped <- srv.Shutdown(bye)
	})
	defer stop()
	if err := srv.Serve(r.admin); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	if err := <-stopped; err != nil {
		return srv.Close()
	}
	return nil
}

const healthTimeout = 3 * time.Second // of one check

// clusterService answers gnomon health.
type clusterService struct{ r *Region }

func (s *clusterService) Health(ctx context.Context, _ *connect.Request[adminpb.HealthRequest]) (*connect.Response[adminpb.HealthResponse], error) {
	r := s.r
	region := r.coord.Replica().State().Region()
	out := &adminpb.HealthResponse{
		Ready: r.ready(), Role: string(r.coord.Role()), RegionName: r.cfg.Identity.RegionName, RegionNumber: int32(r.cfg.Identity.Region),
		Epoch: int32(region.Epoch), AppliedSeq: uint64(r.coord.Replica().Applied()), Agents: int32(len(r.agents)), Version: r.cfg.Version,
	}
	check := func(name string, err error, detail string) {
		c := &adminpb.CheckResult{Name: name, Ok: err == nil, Detail: detail}
		if err != nil {
			c.Detail, out.Ready = err.Error(), false
		}
		out.Checks = append(out.Checks, c)
	}
	// Each check has time of its own: an etcd that does not answer says nothing about the bucket.
	etcdCtx, etcdDone := context.WithTimeout(ctx, healthTimeout)
	defer etcdDone()
	pos, err := r.coord.Position(etcdCtx)
	if err == nil && pos.Leader != nil {
		out.Leader = pos.Leader.Id
	}
	check("etcd", err, fmt.Sprintf("head at seq %d", pos.Head.Seq))
	bucketCtx, bucketDone := context.WithTimeout(ctx, healthTimeout)
	defer bucketDone()
	_, err = r.bucket.List(bucketCtx, "meta/", "", 1)
	check("bucket", err, r.cfg.BucketURL)
	if r.coord.Role() == coordinator.Fenced { // as for /readyz, no reason not to be ready
		check("role", nil, "fenced: another region has taken over; this one serves reads and refuses writes")
	}
	return connect.NewResponse(out), nil
}

func baseContext(ctx context.Context) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return ctx }
}
