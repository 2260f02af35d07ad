package interop

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// A reader of librdkafka that has read beyond the cut of a failover goes on at the cut, or, without auto.offset.reset, is told of it; see
// TestJavaBeyondTheCut for the walk. Here the client lives on: both regions' agents are known to clients by one address, which is led to B
// once B has taken over (as a name in DNS may be). Others bring their position and its leader epoch to B. Both when B has grown beyond
// the position, and when it has not.
func TestLibrdkafkaBeyondTheCut(t *testing.T) {
	part(t, "python")
	python := pythonProgram(t, "cut.py")
	for name, grown := range map[string]int{"grown beyond": 80, "not grown": 10} {
		t.Run(name, func(t *testing.T) {
			const topic, cut, beyond = "cut", 100, 50
			run := func(args ...string) (out map[string]any) {
				c := python
				c.args, c.timeout = append(c.args[:len(c.args):len(c.args)], args...), 6*time.Minute
				text, err := c.run(t)
				text = strings.TrimSpace(text)
				if err != nil || json.Unmarshal([]byte(text[strings.LastIndex(text, "\n")+1:]), &out) != nil {
					t.Errorf("%v: %v: %s", args, err, text)
				}
				return out
			}
			front := newFront(t)
			told := harness.ClusterConfig{Agents: 1, Coordinators: 1, Agent: []string{"--advertise", front.address()}}
			x := harness.NewClusterPair(t, told, told)
			front.lead(x.A.Kafka()[0])
			produce(t, x.A.Kafka()[0], topic, cut)
			x.WaitCaughtUp()
			if r := x.B.TryAdmin(x.B.Leader(), "shadow", "pause", harness.Link); r.Code != 0 {
				t.Fatalf("the link is not paused: %s%s", r.Out, r.Err)
			}
			produce(t, x.A.Kafka()[0], topic, beyond)
			ready := filepath.Join(t.TempDir(), "epoch")
			live := make(chan map[string]any, 1)
			go func() { live <- run("live", front.address(), topic, fmt.Sprint(cut+beyond), ready) }()
			var epoch []byte
			harness.Eventually(t, time.Minute, "the readers of A have read", func() string {
				var err error
				if epoch, err = os.ReadFile(ready); err != nil || len(epoch) == 0 {
					return fmt.Sprint(err)
				}
				return ""
			})
			x.A.Kill()
			x.A.Etcd.Kill()
			report, _ := x.Failover()
			if report.Mode != "cut" || len(report.Partitions) != 1 || report.Partitions[0].EndOffset != cut {
				t.Fatalf("the failover's report: %+v, want a cut at %d", report, cut)
			}
			produce(t, x.B.Kafka()[0], topic, grown)
			front.lead(x.B.Kafka()[0])
			brought := run("brought", x.B.Kafka()[0], topic, fmt.Sprint(cut+beyond), string(epoch))
			want := map[string]any{"earliest": float64(cut), "latest": float64(cut), "error": "_AUTO_OFFSET_RESET"}
			for how, got := range map[string]map[string]any{"live": <-live, "brought": brought} {
				if !maps.Equal(got, want) {
					t.Errorf("%s: by auto.offset.reset readers were given %v, want %v", how, got, want)
				}
			}
		})
	}
}

// front is one TCP address in front of whichever agent it was last led to; connections to another one end then.
type front struct {
	listener net.Listener
	mu       sync.Mutex
	target   string
	open     map[net.Conn]struct{}
}

func newFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: l, open: map[net.Conn]struct{}{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		f.lead("")
	})
	return f
}

func (f *front) address() string { return f.listener.Addr().String() }

func (f *front) lead(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
	for c := range f.open {
		_ = c.Close()
	}
	clear(f.open)
}

// serve ends both connections when one of them ends.
func (f *front) serve(client net.Conn) {
	f.mu.Lock()
	target := f.target
	agent, err := net.DialTimeout("tcp", target, 2*time.Second)
	if err != nil {
		f.mu.Unlock()
		_ = client.Close()
		return
	}
	f.open[client], f.open[agent] = struct{}{}, struct{}{}
	f.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, agent}, {agent, client}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // its end is all that matters
			_ = client.Close()
			_ = agent.Close()
		})
	}
	both.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, client)
	delete(f.open, agent)
}
