package dev

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
)

// pair is who the two regions of a data directory are. It is made once; the first process that starts makes it.
type pair struct {
	KafkaClusterID string            `json:"kafka_cluster_id"`
	Clusters       map[string]string `json:"clusters"` // cluster id in hex, by region name
}

func loadPair(data string) (pair, error) {
	path := filepath.Join(data, "pair.json")
	var p pair
	err := readJSON(path, &p)
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	p = pair{KafkaClusterID: base64.RawURLEncoding.EncodeToString(id), Clusters: map[string]string{}}
	for _, r := range []string{"a", "b"} {
		_, _ = rand.Read(id)
		p.Clusters[r] = hex.EncodeToString(id)
	}
	// Two processes may start at the same time: the first link wins, the other reads what it made.
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := writeJSON(tmp, p); err != nil {
		return p, err
	}
	defer func() { _ = os.Remove(tmp) }()
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return p, fmt.Errorf("write %s: %w", path, err)
	}
	return p, readJSON(path, &p)
}

func (p pair) identity(region string) (coordinator.Identity, error) {
	id := coordinator.Identity{KafkaClusterID: p.KafkaClusterID, RegionName: region, Region: numbers[region]}
	b, err := hex.DecodeString(p.Clusters[region])
	if err != nil || len(b) != len(id.ClusterID) {
		return id, fmt.Errorf("pair.json names no cluster id for region %s: delete the data directory, or restore the file", region)
	}
	id.ClusterID = base.ClusterID(b)
	return id, nil
}

var numbers = map[string]base.RegionNumber{"a": 1, "b": 2}

// ports of one region, all on 127.0.0.1.
type ports struct {
	Kafka      []int `json:"kafka"`
	Admin      int   `json:"admin"`
	EtcdClient int   `json:"etcd_client"`
	EtcdPeer   int   `json:"etcd_peer"`
}

var wellKnown = map[string]ports{
	"a": {Kafka: []int{9092, 9093}, Admin: 9644, EtcdClient: 9379, EtcdPeer: 9380},
	"b": {Kafka: []int{9192, 9193}, Admin: 9744, EtcdClient: 9479, EtcdPeer: 9480},
}

var firstNode = map[string]int32{"a": 1, "b": 1001}

// choosePorts returns the well-known ports, or, for tests, free ones that stay the same over restarts of the region:
// clients and the link remember them.
func choosePorts(dir, region string, ephemeral bool) (ports, error) {
	if !ephemeral {
		return wellKnown[region], nil
	}
	path := filepath.Join(dir, "ports.json")
	var p ports
	err := readJSON(path, &p)
	if !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	free, err := freePorts(5)
	if err != nil {
		return p, err
	}
	p = ports{Kafka: free[:2], Admin: free[2], EtcdClient: free[3], EtcdPeer: free[4]}
	return p, writeJSON(path, p)
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// freePorts finds n ports. All are held until all are chosen, so that they differ.
func freePorts(n int) ([]int, error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
