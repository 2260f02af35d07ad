package region

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb/coordinatorpbconnect"
)

// newRegistry is a process's metrics.
func newRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(BuildInfo(version), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// BuildInfo is the metric that tells which version runs.
func BuildInfo(version string) prometheus.Collector {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gnomon_build_info", Help: "1, with the version that runs."}, []string{"version"})
	g.WithLabelValues(version).Set(1)
	return g
}

// handleProcess adds what every process has: health, metrics, profiles. Profiles tell much of what a process does, and cost it
// time: they are for operators.
func handleProcess(mux *http.ServeMux, g *guard, metrics *prometheus.Registry, ready func() bool) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", g.allow(figures, promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	for path, h := range map[string]http.HandlerFunc{"": pprof.Index, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace} {
		mux.Handle("/debug/pprof/"+path, g.allow(operation, h))
	}
}

// serveAdmin serves the admin API, the internal API, health, metrics and profiles until ctx ends.
func (c *Coordinator) serveAdmin(ctx context.Context) error {
	mux, g := http.NewServeMux(), newGuard(c.cfg.Security, c.cfg.Logger, c.cfg.Now)
	handle := func(need access, path string, h http.Handler) { mux.Handle(path, g.allow(need, h)) }
	path, h := adminpbconnect.NewSourceServiceHandler(&sourceService{c: c.coord, now: c.cfg.Now, version: c.cfg.Version})
	handle(source, path, h)
	path, h = c.atLeader(adminpbconnect.NewShadowServiceHandler(&shadowService{c}))
	handle(operation, path, h)
	path, h = c.atLeader(adminpbconnect.NewMetastoreServiceHandler(&metastoreService{c.coord}))
	handle(operation, path, h)
	path, h = adminpbconnect.NewClusterServiceHandler(&clusterService{c})
	mux.Handle(path, g.allowBy(clusterAccess, h))
	path, h = coordinatorpbconnect.NewCoordinatorServiceHandler(&agentService{c}, connect.WithReadMaxBytes(internalMessageMax))
	handle(inside, path, h)
	handleProcess(mux, g, c.registry, func() bool { return c.ready() })
	return serveHTTP(ctx, c.admin, mux, g)
}

// clusterAccess lets those that may read metrics ask for the region's health; whatever else the service has is for operators.
func clusterAccess(r *http.Request) access {
	if r.URL.Path == adminpbconnect.ClusterServiceHealthProcedure {
		return figures
	}
	return operation
}

const (
	// internalMessageMax bounds what an agent may send in one message: a commit of 4,000 batches, a Kafka request.
	internalMessageMax = 32 << 20
	// pingAfter and pingTimeout find a client that is gone without a word, such as a paused agent.
	pingAfter   = 2 * time.Second
	pingTimeout = 2 * time.Second
	// receiveBuffer keeps one stream that is not read from holding up the others of its connection.
	receiveBuffer = 64 << 20
)

// serveHTTP serves HTTP/1.1 and HTTP/2 until ctx ends, with TLS if the port has it.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, g *guard) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(g.TLS != nil)
	protocols.SetUnencryptedHTTP2(g.TLS == nil)
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: &protocols, BaseContext: baseContext(base),
		ErrorLog: log.New(g.log, "", 0),
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerConnection: receiveBuffer,
			MaxConcurrentStreams: maxStreams,
		},
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		cancel() // ends the streams
		bye, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer done()
		stopped <- srv.Shutdown(bye)
	})
	defer stop()
	serve := srv.Serve
	if g.TLS != nil {
		srv.TLSConfig = g.TLS.Server()
		serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	if err := serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin server: %w", err)
	}
	if err := <-stopped; err != nil {
		return srv.Close()
	}
	return nil
}

// maxStreams is how many requests of one agent may wait: group members that join, for the most part.
const maxStreams = 10_000

const healthTimeout = 3 * time.Second // of one check

// clusterService answers gnomon health.
type clusterService struct{ r *Coordinator }

func (s *clusterService) Health(ctx context.Context, _ *connect.Request[adminpb.HealthRequest]) (*connect.Response[adminpb.HealthResponse], error) {
	r := s.r
	region := r.coord.Replica().State().Region()
	out := &adminpb.HealthResponse{
		Ready: r.ready(), Role: string(r.coord.Role()), RegionName: r.cfg.Identity.RegionName, RegionNumber: int32(r.cfg.Identity.Region),
		Epoch: int32(region.Epoch), AppliedSeq: uint64(r.coord.Replica().Applied()), Agents: int32(len(r.roster.list())), Version: r.cfg.Version,
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
