package faults

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

const (
	memoryBytes = 192 << 20 // of the agent under test: small, so that the loads that go beyond it need not be large
	// memoryRuntime is what a process takes beyond its memory limit at most: code, stacks, and what the runtime has not given back yet.
	memoryRuntime = 96 << 20
)

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most that a process has had in memory, bytes.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("the peak of a process's memory is read from /proc: %v", err)
	}
	m := highWater.FindSubmatch(raw)
	if m == nil {
		t.Fatalf("no VmHWM in %s", raw)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// An agent stays within its memory whatever clients do: each load here would take several times of it. It does not die, and serves
// others afterwards.
func TestAgentMemory(t *testing.T) {
	store := startS3(t)
	c := harness.NewCluster(t, harness.ClusterConfig{
		Agents: 1, Coordinators: 1, Bucket: store.bucket("memory"),
		Agent: []string{"--memory-bytes", fmt.Sprint(memoryBytes), "--max-connections-per-address", "4000"},
	})
	addr := c.Kafka()[0]
	id := createTopic(t, c.Kafka(), "t", nil)
	loads := []struct {
		name string
		do   func(t *testing.T) (stop func())
	}{
		{"requests announced and not sent", func(t *testing.T) func() { return announce(t, addr, 300) }},
		{"producers while the store is silent", func(t *testing.T) func() { return flood(t, store, addr, id) }},
		{"fetchers that never read", func(t *testing.T) func() { return gape(t, addr, id, 300) }},
		{"idle connections", func(t *testing.T) func() { return idle(t, addr, 1000) }},
	}
	for _, load := range loads {
		t.Run(load.name, func(t *testing.T) {
			stop := load.do(t)
			time.Sleep(2 * time.Second) // for as long as the load lasts at least
			most := peak(t, c.Agents[0].Process().PID())
			t.Logf("peak %d MiB of %d", most>>20, memoryBytes>>20)
			if most > memoryBytes+memoryRuntime {
				t.Errorf("the agent took %d MiB", most>>20)
			}
			stop()
			produce(t, c.Kafka(), "t", load.name) // others are served
		})
	}
}

// dialAll opens connections until the test, or stop, ends.
func dialAll(t *testing.T, addr string, n int) (conns []net.Conn, stop func()) {
	t.Helper()
	for range n {
		nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	stop = sync.OnceFunc(func() {
		for _, nc := range conns {
			_ = nc.Close()
		}
	})
	t.Cleanup(stop)
	return conns, stop
}

// announce begins Produce requests of 90 MiB, and sends 2 MiB of each.
func announce(t *testing.T, addr string, n int) func() {
	conns, stop := dialAll(t, addr, n)
	part := make([]byte, 2<<20)
	binary.BigEndian.PutUint32(part, 90<<20)
	binary.BigEndian.PutUint16(part[6:], 9)
	for _, nc := range conns {
		go func() { _, _ = nc.Write(part) }() // ends with the connection
	}
	return stop
}

// flood produces 1 MiB batches on many connections while the store keeps silent.
func flood(t *testing.T, store *s3Server, addr string, id [16]byte) func() {
	speak := store.hush()
	conns, stop := dialAll(t, addr, 100)
	body := request(produceRequest("t", id, -1, batchOf(nil, string(make([]byte, 1_000_000)))), 9)
	for _, nc := range conns {
		go func() { // ends with the connection
			for {
				if _, err := nc.Write(body); err != nil {
					return
				}
			}
		}()
	}
	return func() {
		stop()
		speak()
	}
}

// gape asks for as much as there is, again and again, and never reads the answers.
func gape(t *testing.T, addr string, id [16]byte, n int) func() {
	big := make([]byte, 900_000)
	for i := range 100 { // something to fetch
		copy(big, fmt.Sprint(i))
		produce(t, []string{addr}, "t", string(big))
	}
	conns, stop := dialAll(t, addr, n)
	for i, nc := range conns {
		go func() { // ends with the connection
			for k := range 64 {
				req := fetchRequest(id, 0, int64((i+k)%100), -1)
				req.MaxBytes = 50 << 20
				req.Topics[0].Partitions[0].PartitionMaxBytes = 50 << 20
				if _, err := nc.Write(request(req, 13)); err != nil {
					return
				}
			}
		}()
	}
	return stop
}

func idle(t *testing.T, addr string, n int) func() {
	conns, stop := dialAll(t, addr, n)
	for _, nc := range conns {
		if _, err := nc.Write(request(kmsg.NewPtrApiVersionsRequest(), 0)); err != nil {
			t.Fatal(err)
		}
	}
	return stop
}
