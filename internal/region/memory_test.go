package region

import (
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
)

// Whatever the memory is, the plan's parts fit it, a request of a batch passes, and what an operator sets beside it is checked.
func TestMemoryPlan(t *testing.T) {
	for _, total := range []int64{MemoryMin, MemoryDefault, 4 << 30, 64 << 30} {
		cfg := AgentConfig{MemoryBytes: total}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%d MiB: %v", total>>20, err)
		}
		var l kafkaapi.Limits
		if err := planMemory(total).apply(total, &l, &cfg.Appender, &cfg.CacheBytes); err != nil {
			t.Error(err)
		}
		if l.RequestBytes > l.BufferedBytes || l.RequestBytes < 16<<20 || int64(l.FetchBytes) > cfg.CacheBytes || l.Connections < 500 {
			t.Errorf("%d MiB: %+v", total>>20, l)
		}
		kafka := kafkaapi.DefaultConfig(1)
		kafka.Limits = l
		if err := kafka.Validate(); err != nil {
			t.Errorf("%d MiB: %v", total>>20, err)
		}
	}
	for name, cfg := range map[string]AgentConfig{
		"cache":       {CacheBytes: 256 << 20},
		"requests":    {Limits: kafkaapi.Limits{BufferedBytes: 300 << 20}},
		"connections": {Limits: kafkaapi.Limits{Connections: 20_000}},
	} {
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "raise the memory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (AgentConfig{CacheBytes: 256 << 20, MemoryBytes: 2 << 30}).Validate(); err != nil {
		t.Error(err)
	}
}
