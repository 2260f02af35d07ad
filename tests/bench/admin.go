package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

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

// usage is what the metrics of a region's agents say.
type usage struct {
	flushes    float64
	flushBytes float64
}

func (c *cluster) usage(ctx context.Context) (usage, error) {
	var u usage
	for _, url := range c.admin {
		err := metrics(ctx, url, map[string]*float64{"gnomon_flush_bytes_count": &u.flushes, "gnomon_flush_bytes_sum": &u.flushBytes})
		if err != nil {
			return u, err
		}
	}
	return u, nil
}

// metrics adds metrics of a process up, over their labels.
func metrics(ctx context.Context, url string, into map[string]*float64) error {
	body, err := get(ctx, url+"/metrics")
	if err != nil {
		return err
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
			return fmt.Errorf("metric %q: %w", line, err)
		}
		*sum += v
	}
	return lines.Err()
}

// admins are the admin URLs of the processes, by their names.
func (c *cluster) admins() map[string]string {
	out := map[string]string{"coordinator": c.url}
	for i, url := range c.admin {
		out[fmt.Sprint("agent-", i+1)] = url
	}
	return out
}

// profile writes a CPU profile of the coming seconds to a file.
func profile(ctx context.Context, url string, length time.Duration, file string) error {
	body, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", url, max(int(length.Seconds()), 1)))
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
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
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 64<<20))
}
