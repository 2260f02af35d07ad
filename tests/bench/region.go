package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/internal/process"
	regions "github.com/gnomon-stream/gnomon/internal/region"
)

// region is a running region of gnomon dev.
type region struct {
	p  *process.Process
	at regions.Endpoints
}

// startRegion runs `gnomon dev --region NAME` with its data below a folder of the bench.
func (b *bench) startRegion(data, name string) (*region, error) {
	data = filepath.Join(b.dir, data)
	p, err := b.start("region "+name, roleGnomon, "dev", "--region", name, "--data", data, "--ephemeral-ports", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	r := &region{p: p}
	raw, err := os.ReadFile(filepath.Join(data, name, "endpoints.json"))
	if err == nil {
		err = json.Unmarshal(raw, &r.at)
	}
	return r, err
}

// single is the one region for all that needs no shadow.
func (b *bench) single() (*region, error) {
	var err error
	if b.region == nil {
		b.region, err = b.startRegion("single", "a")
	}
	return b.region, err
}

// createTopic makes the topic if it is not there.
func createTopic(ctx context.Context, brokers []string, topic string, partitions int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		return err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	if have, err := admin.ListTopics(ctx, topic); err == nil && have.Has(topic) {
		return nil
	}
	if _, err := admin.CreateTopic(ctx, int32(partitions), -1, nil, topic); err != nil {
		return fmt.Errorf("create topic %s: %w", topic, err)
	}
	return nil
}

// usage is what the metrics of a region say.
type usage struct {
	cpuSeconds float64
	flushes    float64
	flushBytes float64
}

func (r *region) usage(ctx context.Context) (usage, error) {
	var u usage
	body, err := r.get(ctx, "/metrics")
	if err != nil {
		return u, err
	}
	into := map[string]*float64{
		"process_cpu_seconds_total": &u.cpuSeconds, "gnomon_flush_bytes_count": &u.flushes, "gnomon_flush_bytes_sum": &u.flushBytes,
	}
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	for lines.Scan() {
		line := lines.Text()
		sum := into[line[:max(strings.IndexAny(line, "{ "), 0)]]
		if sum == nil {
			continue
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return u, fmt.Errorf("metric %q: %w", line, err)
		}
		*sum += v // over the agents
	}
	return u, lines.Err()
}

// profile writes a CPU profile of the coming seconds to a file.
func (r *region) profile(ctx context.Context, length time.Duration, file string) error {
	body, err := r.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(int(length.Seconds()), 1)))
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}

func (r *region) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at.Admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}
