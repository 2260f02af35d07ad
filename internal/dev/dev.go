package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
)

// LinkName is the link from region a to region b.
const LinkName = "a-to-b"

// Options of gnomon dev.
type Options struct {
	Data           string // directory
	Region         string // "a", "b", or "" for both in this process
	EphemeralPorts bool
	Buckets        map[string]string // URL by region; missing means a directory below Data
	Etcds          map[string]string // endpoint of an etcd that runs elsewhere, by region; missing means an embedded one
	Appender       appender.Config   // the flush profile
	SnapshotEvery  base.Seq          // see coordinator.Config
	Limits         coordinator.Limits
	Trace          *trace.Tracer   // nil means none
	Prices         *metered.Prices // see region.CoordinatorConfig
	Version        string
	Out            io.Writer
	Logger         *slog.Logger
	Now            func() time.Time
}

// Run runs the regions until ctx ends.
func Run(ctx context.Context, o Options) error {
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return err
	}
	o.Data = data
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("data directory %s cannot be made: %w", data, err)
	}
	names := []string{"a", "b"}
	if o.Region != "" {
		names = []string{o.Region}
	}
	g, gctx := errgroup.WithContext(ctx)
	var started []*one
	defer func() {
		for _, x := range started {
			x.close()
		}
	}()
	for _, name := range names {
		x, err := o.start(gctx, name)
		if err != nil {
			return err
		}
		started = append(started, x)
		g.Go(func() error { return x.region.Run(gctx) })
	}
	for _, x := range started {
		wctx, cancel := context.WithTimeout(gctx, time.Minute)
		err := x.region.WaitReady(wctx)
		cancel()
		if err != nil {
			if failed := g.Wait(); failed != nil {
				return failed
			}
			return err
		}
		if x.name == "b" {
			g.Go(func() error { return o.ensureLink(gctx, x) })
		}
	}
	if len(started) == 2 {
		o.awaitLink(gctx)
	}
	o.announce(started)
	err = g.Wait()
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// one is one running region with its etcd.
type one struct {
	name   string
	lock   *os.File
	etcd   *embedetcd.Server
	region *region.Region
}

// close gives back what a start, finished or not, has taken.
func (x *one) close() {
	if x.region != nil {
		x.region.Close()
	}
	if x.etcd != nil {
		x.etcd.Close()
	}
	_ = x.lock.Close() // last of all: then another process may come
}

func (o *Options) dir(name string) string { return filepath.Join(o.Data, name) }

func (o *Options) endpointsFile(name string) string {
	return filepath.Join(o.dir(name), "endpoints.json")
}

func (o *Options) start(ctx context.Context, name string) (*one, error) {
	p, err := loadPair(o.Data)
	if err != nil {
		return nil, err
	}
	id, err := p.identity(name)
	if err != nil {
		return nil, err
	}
	x := &one{name: name}
	if x.lock, err = lockRegion(o.dir(name), name); err != nil {
		return nil, err
	}
	if err := o.open(ctx, x, id); err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

// open starts the region's etcd, unless it runs elsewhere, and opens the region.
func (o *Options) open(ctx context.Context, x *one, id coordinator.Identity) error {
	name := x.name
	port, err := choosePorts(o.dir(name), name, o.EphemeralPorts)
	if err != nil {
		return err
	}
	endpoint := o.Etcds[name]
	if endpoint == "" {
		x.etcd, err = embedetcd.Start(embedetcd.Config{
			Dir: filepath.Join(o.dir(name), "etcd"), ClientPort: port.EtcdClient, PeerPort: port.EtcdPeer,
		})
		if err != nil {
			return fmt.Errorf("region %s: %w", name, err)
		}
		endpoint = x.etcd.Endpoint()
	}
	bucket := o.Buckets[name]
	if bucket == "" {
		dir := filepath.Join(o.dir(name), "bucket")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		bucket = "file://" + dir
	}
	x.region, err = region.Open(ctx, region.Config{
		Identity: id, EtcdEndpoints: []string{endpoint}, BucketURL: bucket,
		AdminAddr: loopback(port.Admin), KafkaAddrs: []string{loopback(port.Kafka[0]), loopback(port.Kafka[1])},
		FirstNodeID: firstNode[name], PeerURLs: o.peerURLs(name), EndpointsFile: o.endpointsFile(name), SnapshotEvery: o.SnapshotEvery,
		Appender: o.Appender, Limits: o.Limits, Prices: o.Prices, Trace: o.Trace,
		Version: o.Version, Logger: o.Logger.With("region", name), Now: o.Now,
	})
	return err
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// peerURLs looks the other region's admin URL up in its endpoints file, each time: it may be started later.
func (o *Options) peerURLs(name string) func() ([]string, error) {
	other := map[string]string{"a": "b", "b": "a"}[name]
	return func() ([]string, error) {
		var e region.Endpoints
		if err := readJSON(o.endpointsFile(other), &e); err != nil {
			return nil, err
		}
		return []string{e.Admin}, nil
	}
}

// announce says that the regions serve, and what to try.
func (o *Options) announce(started []*one) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(o.Out, format+"\n", args...) }
	for _, x := range started {
		e := x.region.Endpoints()
		say("region %s  kafka %s, %s  admin %s", x.name, e.Kafka[0], e.Kafka[1], e.Admin)
	}
	say("ready: data in %s", o.Data)
	say("")
	say("Try:")
	for _, x := range started {
		e := x.region.Endpoints()
		if x.name == "a" {
			say("  gnomon topic create hello --partitions 3 --brokers %s", e.Kafka[0])
			say("  echo 'a record' | gnomon produce hello --brokers %s", e.Kafka[0])
			continue
		}
		say("  gnomon consume hello --from beginning --max 1 --brokers %s     # read it in region b", e.Kafka[0])
		say("  gnomon shadow status %s --admin %s", LinkName, e.Admin)
		say("  gnomon shadow failover %s --yes --admin %s          # make b the primary", LinkName, e.Admin)
	}
}

// exists tells whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
