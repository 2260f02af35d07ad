package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

const (
	backlogBytes  = 2 << 30
	backlogTopic  = "backlog-16"
	copiesAtOnce  = 16
	copyBucketRaw = "copies"
)

// backlog measures how fast a link copies what it is behind by: it is paused while region a is filled.
func (p *place) backlog(ctx context.Context, x *pair) error {
	if err := createTopic(ctx, x.a.kafka, backlogTopic, 16); err != nil {
		return err
	}
	if err := x.awaitCaughtUp(ctx); err != nil {
		return err
	}
	if err := x.pause(ctx, true); err != nil {
		return err
	}
	before, err := p.objects(ctx, x.a.cfg.name)
	if err != nil {
		return err
	}
	records := p.b.scaled(backlogBytes / recordBytes)
	if err := fill(ctx, x.a.kafka, backlogTopic, records); err != nil {
		return err
	}
	all, err := p.objects(ctx, x.a.cfg.name)
	if err != nil {
		return err
	}
	backlog := slices.DeleteFunc(all, func(o objstore.Info) bool { return slices.Contains(before, o) })
	if err := p.readThrough(ctx, x.a.cfg.name); err != nil { // what the kernel caches of it, it caches for both
		return err
	}
	raw, rawCPU, err := p.rawCopies(ctx, x.a.cfg.name, backlog)
	if err != nil {
		return err
	}
	var took time.Duration
	var cpu []float64
	err = p.profiled(ctx, x.b, "backlog", 0, func(ctx context.Context) error {
		var err error
		took, cpu, err = x.catchUp(ctx)
		return err
	})
	if err != nil {
		return err
	}
	bytes := float64(records) * recordBytes
	name := "link, backlog of " + sizeOf(bytes)
	p.add(name, bytes/mb/took.Seconds(), "MB/s", limit{Name: "GET + SHA-256 + PUT of the same objects, 16 at once", Value: raw}).aim(aimCopy)
	perGiB := func(i int) float64 { return cpu[i] / bytes * gib }
	f := p.add(name+", CPU of region b", perGiB(0)+perGiB(1)+perGiB(2), "s/GiB", limit{Name: "GET + SHA-256 + PUT", Value: rawCPU})
	f.of(part{"agents", perGiB(0)}, part{"coordinator", perGiB(1)}, part{"etcd", perGiB(2)}, part{"and region a", perGiB(4)})
	if len(p.programs().all) > 0 {
		f.Parts = append(f.Parts, part{"and store", perGiB(3)})
	}
	return nil
}

// catchUp lets the link go on, until it has all. cpu is in seconds: of b's programs as system has them, and of all of a.
func (x *pair) catchUp(ctx context.Context) (took time.Duration, cpu []float64, err error) {
	source := programs{name: "region a"}
	for _, g := range x.a.system().programs {
		if !g.beside {
			source.all = append(source.all, g.all...)
		}
	}
	groups := append(x.b.system().programs, source)
	before, err := cpuOf(groups)
	if err != nil {
		return 0, nil, err
	}
	began := time.Now()
	if err := x.pause(ctx, false); err != nil {
		return 0, nil, err
	}
	if err := x.awaitCaughtUp(ctx); err != nil {
		return 0, nil, err
	}
	took = time.Since(began)
	after, err := cpuOf(groups)
	for i := range after {
		after[i] -= before[i]
	}
	return took, after, err
}

func (p *place) objects(ctx context.Context, bucket string) ([]objstore.Info, error) {
	store, err := p.bucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	var all []objstore.Info
	err = eachObject(ctx, store, func(o objstore.Info) error {
		all = append(all, o)
		return nil
	})
	return all, err
}

// rawCopies reads objects, hashes them and writes them into another bucket.
func (p *place) rawCopies(ctx context.Context, bucket string, objects []objstore.Info) (mbps, cpuPerGiB float64, err error) {
	from, err := p.bucket(ctx, bucket)
	if err != nil {
		return 0, 0, err
	}
	to, err := p.bucket(ctx, copyBucketRaw)
	if err != nil {
		return 0, 0, err
	}
	before, err := selfCPU()
	if err != nil {
		return 0, 0, err
	}
	began, bytes := time.Now(), int64(0)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(copiesAtOnce)
	buffers := make(chan []byte, copiesAtOnce)
	for range copiesAtOnce {
		buffers <- nil
	}
	for _, o := range objects {
		bytes += o.Size
		g.Go(func() error {
			buffer := <-buffers
			defer func() { buffers <- buffer }()
			if int64(cap(buffer)) < o.Size {
				buffer = make([]byte, max(o.Size, putBytes))
			}
			content := buffer[:o.Size]
			if err := from.GetRange(gctx, o.Key, 0, content); err != nil {
				return err
			}
			if sha256.Sum256(content) == [sha256.Size]byte{} { // the sum is used, so it is made
				return errors.New("a hash of zeros")
			}
			return to.Put(gctx, o.Key, objstore.Payload{content})
		})
	}
	if err := g.Wait(); err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	after, err := selfCPU()
	if err != nil {
		return 0, 0, err
	}
	return float64(bytes) / mb / took.Seconds(), (after - before) / float64(bytes) * gib, p.empty(ctx, copyBucketRaw)
}

func sizeOf(bytes float64) string {
	if bytes >= gib {
		return fmt.Sprintf("%.3g GiB", bytes/gib)
	}
	return fmt.Sprintf("%.3g MiB", bytes/(1<<20))
}
