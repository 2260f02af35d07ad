package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gnomon-stream/gnomon/internal/cli"
)

// cluster starts a fake broker and returns its address.
func cluster(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, string) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, strings.Join(c.ListenAddrs(), ",")
}

// result is what a command left.
type result struct {
	code     int
	out, err string
}

// invocation is a command to be run.
type invocation struct {
	brokers  string // GNOMON_BROKERS
	in       io.Reader
	terminal bool
	now      func() time.Time
}

func (i invocation) run(ctx context.Context, args ...string) result {
	var out, errs syncBuffer
	if i.in == nil {
		i.in = strings.NewReader("")
	}
	if i.now == nil {
		i.now = time.Now
	}
	code := cli.Run(ctx, &cli.Env{
		In: i.in, Out: &out, Err: &errs, ErrTerminal: i.terminal,
		Getenv: func(name string) string {
			if name == "GNOMON_BROKERS" {
				return i.brokers
			}
			return ""
		},
		Now: i.now, Version: cli.Version{Version: "v1.2.3", Commit: "abc", Go: "go1.26"},
	}, args)
	return result{code: code, out: out.String(), err: errs.String()}
}

// must runs a command that has to succeed, within a minute.
func (i invocation) must(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := i.run(ctx, args...)
	if r.code != 0 {
		t.Fatalf("gnomon %s: exit code %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r
}

// decode reads a command's JSON.
func decode[T any](t *testing.T, r result) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, r.out)
	}
	return v
}

// syncBuffer may be read while a command writes.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
