package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gnomon-stream/gnomon/internal/process"
)

// cluster is a region of processes: etcd, one coordinator, two agents; so that what each costs is seen apart.
type cluster struct {
	coordinator *process.Process
	agents      []*process.Process
	kafka       []string
}

const clusterAgents = 2

// startCluster starts one with its data below a folder of the bench. agent are further flags of the agents.
func (b *bench) startCluster(data string, agent ...string) (*cluster, error) {
	dir := filepath.Join(b.dir, data)
	bucket := filepath.Join(dir, "bucket")
	if err := os.MkdirAll(bucket, 0o755); err != nil {
		return nil, err
	}
	ports, err := freePorts(3 + 2*clusterAgents)
	if err != nil {
		return nil, err
	}
	if _, err := b.start("etcd", roleEtcd, filepath.Join(dir, "etcd"), ports[0], ports[1]); err != nil {
		return nil, err
	}
	c := &cluster{}
	url := "http://127.0.0.1:" + ports[2]
	c.coordinator, err = b.start("coordinator", roleCoordinator, "--id", "c", "--listen", "127.0.0.1:"+ports[2], "--etcd", "http://127.0.0.1:"+ports[0],
		"--bucket", "file://"+bucket, "--cluster-id", strings.Repeat("5a", 16), "--kafka-cluster-id", "bench", "--region-number", "1", "--region-name", "a")
	if err != nil {
		return nil, err
	}
	for i := range clusterAgents {
		addr := "127.0.0.1:" + ports[3+2*i]
		p, err := b.start(fmt.Sprint("agent ", i+1), roleAgent, append([]string{
			"--node-id", strconv.Itoa(i + 1), "--listen", addr, "--admin-listen", "127.0.0.1:" + ports[4+2*i], "--coordinators", url, "--bucket", "file://" + bucket,
		}, agent...)...)
		if err != nil {
			return nil, err
		}
		c.agents, c.kafka = append(c.agents, p), append(c.kafka, addr)
	}
	return c, nil
}

// stop ends the cluster's processes, so that the next measurement has the machine for itself.
func (c *cluster) stop() {
	for _, p := range append(c.agents, c.coordinator) {
		_ = p.Stop(stopTimeout) // an end that is not clean is told by close
	}
}

func freePorts(n int) ([]string, error) {
	var out []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all are held until all are found
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		out = append(out, port)
	}
	return out, nil
}

// cost is what processes have used.
type cost struct {
	cpu time.Duration
	rss int64 // bytes, now
}

// clockTick is USER_HZ, which Linux fixes for what it tells programs.
const clockTick = 10 * time.Millisecond

// costOf adds up what processes have used, from /proc.
func costOf(all ...*process.Process) (cost, error) {
	var c cost
	for _, p := range all {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			return c, err
		}
		// The name of the program, in brackets, may hold anything; after it come fields with spaces in between.
		_, rest, _ := strings.Cut(string(raw), ") ")
		f := strings.Fields(rest)
		const utime, stime, rss = 11, 12, 21
		if len(f) <= rss {
			return c, fmt.Errorf("/proc/%d/stat has %d fields", p.PID(), len(f))
		}
		for _, i := range []int{utime, stime} {
			ticks, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return c, err
			}
			c.cpu += time.Duration(ticks) * clockTick
		}
		pages, err := strconv.ParseInt(f[rss], 10, 64)
		if err != nil {
			return c, err
		}
		c.rss += pages * int64(os.Getpagesize())
	}
	return c, nil
}

// during measures what fn costs the processes: cores used, and their memory at its end.
func during(ctx context.Context, fn func(context.Context) error, all ...*process.Process) (cores float64, rss int64, err error) {
	before, err := costOf(all...)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := fn(ctx); err != nil {
		return 0, 0, err
	}
	after, err := costOf(all...)
	return (after.cpu - before.cpu).Seconds() / time.Since(began).Seconds(), after.rss, err
}
