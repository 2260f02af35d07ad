package cluster

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// toldSpan is a span and the process that told it.
type toldSpan struct {
	*otlp.Span
	process string
}

func (s toldSpan) trace() string { return hex.EncodeToString(s.TraceId) }

// collecting is a collector of traces.
type collecting struct {
	collector.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []toldSpan
}

func (c *collecting) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				c.spans = append(c.spans, toldSpan{span, text(r.Resource.Attributes, "service.instance.id")})
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func text(list []*common.KeyValue, key string) string {
	for _, a := range list {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func (c *collecting) all() []toldSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

func collect(t *testing.T) (c *collecting, url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &collecting{}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, c)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c, "http://" + l.Addr().String()
}

// The way of a produce into one region, and of its records to the other, is one trace, put together of what an agent, a coordinator and
// a link in processes of their own tell, whose ids nobody told another.
func TestTraces(t *testing.T) {
	c, url := collect(t)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "200") // milliseconds until spans are told
	flags := []string{"--trace-endpoint", url, "--trace-ratio", "1"}
	cfg := harness.ClusterConfig{Agents: 1, Coordinators: 1, Agent: flags, Coordinator: flags}
	p := harness.NewClusterPair(t, cfg, cfg)
	cl := newClient(t, p.A.Kafka(), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("orders"))
	for range 5 {
		if err := cl.ProduceSync(testContext(t, time.Minute), kgo.StringRecord(secretValue)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	p.WaitCaughtUp()

	agent, leader, link := p.A.Agents[0].Name, p.A.Coordinators[0].Name, p.B.Coordinators[0].Name
	want := []string{
		agent + " gnomon.object", agent + " gnomon.object.commit", agent + " gnomon.object.put", agent + " gnomon.object.wait",
		leader + " gnomon.metalog.append", leader + " gnomon.metalog.sequence",
		link + " gnomon.shadow", link + " gnomon.shadow.append", link + " gnomon.shadow.copy", link + " gnomon.shadow.get", link + " gnomon.shadow.put",
	}
	harness.Eventually(t, 20*time.Second, "a whole trace of each object", func() string {
		objects, requests, missing := 0, 0, ""
		for _, root := range c.all() {
			if root.Name == "gnomon.produce" {
				requests++
			}
			if root.Name != "gnomon.object" {
				continue
			}
			objects++
			var have []string
			for _, s := range c.all() {
				if s.trace() == root.trace() {
					have = append(have, s.process+" "+s.Name)
				}
			}
			if slices.Sort(have); !slices.Equal(have, want) {
				missing = fmt.Sprintf("trace %s has\n%s", root.trace(), strings.Join(have, "\n"))
			}
		}
		if objects < 5 || requests < 5 {
			return fmt.Sprint(objects, " objects, ", requests, " requests")
		}
		return missing
	})
	checkSpans(t, c.all())
}

// checkSpans holds that spans lie where they belong: each in its parent's trace and time, requests linked to objects and objects to requests.
func checkSpans(t *testing.T, spans []toldSpan) {
	t.Helper()
	byID := map[string]toldSpan{}
	for _, s := range spans {
		byID[string(s.TraceId)+string(s.SpanId)] = s
	}
	for _, s := range spans {
		if s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s ends before it begins", s.Name)
		}
		if strings.Contains(s.String(), secretValue) || strings.Contains(s.String(), "orders") {
			t.Errorf("%s tells what it may not: %v", s.Name, s)
		}
		switch s.Name {
		case "gnomon.object", "gnomon.produce":
			if len(s.ParentSpanId) != 0 || len(s.Links) == 0 {
				t.Errorf("%s has parent %x and %d links", s.Name, s.ParentSpanId, len(s.Links))
			}
			for _, l := range s.Links {
				other, told := byID[string(l.TraceId)+string(l.SpanId)]
				if !told || other.Name == s.Name {
					t.Errorf("%s is linked to %q", s.Name, other.Name)
				}
			}
		default:
			parent, told := byID[string(s.TraceId)+string(s.ParentSpanId)]
			if !told {
				t.Errorf("the parent of %s is not told", s.Name)
			} else if s.StartTimeUnixNano < parent.StartTimeUnixNano { // one machine, one clock
				t.Errorf("%s begins before %s", s.Name, parent.Name)
			}
		}
	}
}
