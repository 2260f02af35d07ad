package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/process"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

// Kinds of stores.
const (
	storeDirectory = "directory"
	storeMinIO     = "minio"
	storeVersityGW = "versitygw"
)

// place is a store with what is measured on it. Its data goes when the next one's turn comes.
type place struct {
	b       *bench
	kind    string
	dir     string
	server  *server.Server // nil for a directory
	single  *cluster       // for what needs one region
	buckets map[string]objstore.Store
	keys    int
	away    int // files that were put away
	puts    *putLimit
	besides map[string]*process.Process
	clients map[shape]flow // of the generator, with PUTs beside it
}

// section is the heading under which its figures stand.
func (p *place) section() string {
	return map[string]string{storeDirectory: "Directory", storeMinIO: "MinIO", storeVersityGW: "versitygw"}[p.kind]
}

// at is the place of a kind; what was measured at another one is given up.
func (b *bench) at(ctx context.Context, kind string) (*place, error) {
	if b.place != nil && b.place.kind == kind {
		return b.place, nil
	}
	if err := b.leave(); err != nil {
		return nil, err
	}
	p := &place{b: b, kind: kind, dir: filepath.Join(b.dir, kind), buckets: map[string]objstore.Store{}, besides: map[string]*process.Process{}, clients: map[shape]flow{}}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	if kind != storeDirectory {
		if err := p.startServer(ctx); err != nil {
			return nil, err
		}
	}
	b.place = p
	return p, nil
}

// startServer builds the store's server, if that was never done, and starts it.
func (p *place) startServer(ctx context.Context) error {
	program, err := server.Find(p.kind)
	if err != nil {
		return err
	}
	tools, err := toolsDir("bin")
	if err != nil {
		return err
	}
	binary, err := program.Build(ctx, tools)
	if err != nil {
		return errors.Join(errLeftOut, fmt.Errorf("%s cannot be built here: %w", p.kind, err))
	}
	if p.server, err = program.New(ctx, binary, p.dir); err != nil {
		return err
	}
	for _, x := range p.server.Env() { // for this process, and those that it starts
		name, value, _ := strings.Cut(x, "=")
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

// toolsDir is a folder that outlives the run, for what takes long to make.
func toolsDir(name string) (string, error) {
	tools := os.Getenv("GNOMON_TOOLS_DIR")
	if tools == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		tools = filepath.Join(home, ".cache", "gnomon")
	}
	dir := filepath.Join(tools, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// url is a bucket of its own, by name.
func (p *place) url(bucket string) string {
	if p.server != nil {
		return p.server.URL(bucket)
	}
	return "file://" + filepath.Join(p.dir, "buckets", bucket)
}

// bucket opens one.
func (p *place) bucket(ctx context.Context, name string) (objstore.Store, error) {
	if s := p.buckets[name]; s != nil {
		return s, nil
	}
	s, err := open.Open(ctx, p.url(name), open.Options{})
	if err == nil {
		p.buckets[name] = s
	}
	return s, err
}

// empty frees what lies in a bucket. In a directory files are cut and put away instead of deleted: for minutes after ext4 has deleted many, it
// takes ten times as long to create one, and the next measurement would pay for it.
func (p *place) empty(ctx context.Context, name string) error {
	s, err := p.bucket(ctx, name)
	if err != nil {
		return err
	}
	for {
		found, err := s.List(ctx, "", "", 1000)
		if err != nil || len(found) == 0 {
			return err
		}
		var keys []string
		for _, f := range found {
			keys = append(keys, f.Key)
		}
		if p.server == nil {
			if err := p.putAway(name, keys); err != nil {
				return err
			}
			continue
		}
		if err := s.Delete(ctx, keys...); err != nil {
			return err
		}
	}
}

func (p *place) putAway(bucket string, keys []string) error {
	away := filepath.Join(p.dir, "away")
	if err := os.MkdirAll(away, 0o755); err != nil {
		return err
	}
	for _, key := range keys {
		path := filepath.Join(p.dir, "buckets", bucket, filepath.FromSlash(key))
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
		p.away++
		if err := os.Rename(path, filepath.Join(away, strconv.Itoa(p.away))); err != nil {
			return err
		}
	}
	return nil
}

// programs are the store's process, if it has one.
func (p *place) programs() programs {
	out := programs{name: "store", beside: true}
	if p.server != nil {
		out.all = []program{p.server}
	}
	return out
}

// leave ends what belongs to the place and removes its data.
func (b *bench) leave() error {
	p := b.place
	if p == nil {
		return nil
	}
	b.place = nil
	if p.single != nil {
		p.single.stop()
	}
	for _, d := range p.besides {
		_ = d.Stop(stopTimeout) // an end that is not clean is told by close
	}
	var errs []error
	for _, s := range p.buckets {
		errs = append(errs, s.Close())
	}
	if p.server != nil {
		errs = append(errs, p.server.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}
