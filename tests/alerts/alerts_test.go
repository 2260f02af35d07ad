package alerts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

const (
	wantedVariable  = "GNOMON_ALERTS"
	scrapesVariable = "GNOMON_SCRAPES" // the module promql reads it
)

// scrape is what one target said at a time.
type scrape struct {
	At     time.Time
	Labels map[string]string
	File   string // none when it did not answer
}

// phase is a part of the test, up to End. At its end these alerts' expressions hold; in the first one, of a sound pair, none does ever.
type phase struct {
	End   time.Time
	Fires []string
}

// scraper plays Prometheus: deploy/prometheus/prometheus.yml with these targets.
type scraper struct {
	t    *testing.T
	dir  string
	list []scrape
}

func (s *scraper) once(p *harness.ClusterPair) {
	s.t.Helper()
	for region, c := range map[string]*harness.Cluster{"a": p.A, "b": p.B} {
		for job, nodes := range map[string][]*harness.Node{"gnomon-agent": c.Agents, "gnomon-coordinator": c.Coordinators} {
			for _, n := range nodes {
				x := scrape{At: time.Now(), Labels: map[string]string{"job": job, "region": region, "instance": n.Name}}
				if text, err := get(s.t.Context(), n.Admin+"/metrics"); err == nil {
					x.File = fmt.Sprintf("%d.txt", len(s.list))
					if err := os.WriteFile(filepath.Join(s.dir, x.File), text, 0o644); err != nil {
						s.t.Fatal(err)
					}
				}
				s.list = append(s.list, x)
			}
		}
	}
}

func (s *scraper) run(p *harness.ClusterPair, times int) {
	s.t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for range times {
		s.once(p)
		<-tick.C
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

const (
	healthyScrapes = 15
	lostScrapes    = 10 // a link is UNREACHABLE after 3 s
	fencedScrapes  = 5
)

func TestLivePair(t *testing.T) {
	if os.Getenv(wantedVariable) == "" {
		t.Skipf("needs the network once: `make alerts` runs it, or %s=1", wantedVariable)
	}
	small := harness.ClusterConfig{
		Agents: 1, Coordinators: 1, Agent: []string{"--store-prices", "s3-eu-central-1"}, Coordinator: []string{"--store-prices", "s3-eu-central-1"},
	}
	p := harness.NewClusterPair(t, small, small)
	s := &scraper{t: t, dir: t.TempDir()}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	traffic(ctx, t, g, p)
	s.run(p, healthyScrapes)
	phases := []phase{{time.Now(), nil}}
	stop()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	p.A.Kill()
	s.run(p, lostScrapes)
	phases = append(phases, phase{time.Now(), []string{"GnomonAgentDown", "GnomonLinkDown", "GnomonRegionDown"}})
	if _, r := p.Failover(); r.Code != 0 {
		t.Fatal(r.Out, r.Err)
	}
	p.A.Coordinators[0].Start()
	s.run(p, fencedScrapes)
	phases = append(phases, phase{time.Now(), []string{"GnomonAgentDown", "GnomonFenced"}})

	text, err := json.Marshal(map[string]any{"Scrapes": s.list, "Phases": phases})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "scrapes.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	cmd.Dir, cmd.Env = "promql", append(os.Environ(), scrapesVariable+"="+s.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// traffic is a producer and a group at a, a reader at b, and mistakes, until ctx ends.
func traffic(ctx context.Context, t *testing.T, g *errgroup.Group, p *harness.ClusterPair) {
	t.Helper()
	client := func(c *harness.Cluster, opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Kafka()...), kgo.AllowAutoTopicCreation())...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	producer := client(p.A, kgo.DefaultProduceTopic("orders"))
	if err := producer.ProduceSync(ctx, kgo.StringRecord("first")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	p.WaitCaughtUp() // or the reader at b has no topic
	g.Go(func() error {
		for ctx.Err() == nil {
			if err := producer.ProduceSync(ctx, kgo.StringRecord("a record")).FirstErr(); err != nil && ctx.Err() == nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	})
	for _, cl := range []*kgo.Client{
		client(p.A, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.AutoCommitInterval(time.Second)),
		client(p.B, kgo.ConsumeTopics("orders")),
	} {
		g.Go(func() error {
			for ctx.Err() == nil {
				cl.PollFetches(ctx)
			}
			return nil
		})
	}
	wrong := client(p.A)
	g.Go(func() error {
		for ctx.Err() == nil {
			req := kmsg.NewPtrMetadataRequest()
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr("nosuchtopic")
			req.Topics, req.AllowAutoTopicCreation = append(req.Topics, topic), false
			if _, err := wrong.Request(ctx, req); err != nil && ctx.Err() == nil {
				return err
			}
			time.Sleep(100 * time.Millisecond)
		}
		return nil
	})
}
