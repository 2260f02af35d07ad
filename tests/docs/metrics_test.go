package docs

import (
	"log/slog"
	"net"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/internal/region"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/agent"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/memory"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
	"github.com/gnomon-stream/gnomon/pkg/shadow"
)

// names is a registerer that notes what is registered.
type names struct {
	mu   sync.Mutex
	list []string
}

var gnomonMetric = regexp.MustCompile(`\bgnomon_[a-z_]+\b`)

var fqName = regexp.MustCompile(`fqName: "([^"]+)"`)

func (n *names) Register(c prometheus.Collector) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	close(ch)
	for d := range ch {
		name := fqName.FindStringSubmatch(d.String())[1]
		if !slices.Contains(n.list, name) {
			n.list = append(n.list, name)
		}
	}
	return nil
}

func (n *names) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		_ = n.Register(c)
	}
}

func (n *names) Unregister(prometheus.Collector) bool { return false }

// idle is a coordinator that is never asked.
type idle struct{ agent.Coordinator }

// docs/OPERATIONS.md has every metric that a region registers.
func TestMetrics(t *testing.T) {
	var have []string
	for _, row := range read(t, "docs/OPERATIONS.md").table(t, "metric") {
		have = append(have, named(row[0])...)
	}
	reg, log := &names{}, slog.New(slog.DiscardHandler)
	coordinator.New(coordinator.Config{Logger: log, Registerer: reg, Now: time.Now})
	shadow.NewMetrics(reg)
	_ = reg.Register(region.BuildInfo("test"))
	metered.NewMetrics(reg, metered.Prices{}, time.Now)
	region.RegisterExpiry(reg, map[string]*tlsfiles.Set{"inside": {}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	store := memory.New()
	if _, err := agent.New(agent.Config{
		Kafka: kafkaapi.DefaultConfig(1), Advertise: kafkaapi.Broker{NodeID: 1}, Listener: listener, Coordinator: idle{}, Store: store,
		Logger: log, Registerer: reg, Now: time.Now,
	}); err != nil {
		t.Fatal(err)
	}
	same(t, "metrics", have, reg.list)
	for _, d := range documents(t) { // nothing else is spoken of
		for _, span := range d.spans() {
			for _, name := range gnomonMetric.FindAllString(span, -1) {
				if !slices.Contains(have, ofHisto.ReplaceAllString(name, "")) && !slices.Contains(have, name) {
					t.Errorf("%s names %s, which no process tells", d.name, name)
				}
			}
		}
	}
}
