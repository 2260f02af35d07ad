package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

const (
	saramaBrokers = 5
	saramaPort    = 29090 // and node id: where its tests look for the brokers
	toxiproxy     = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0"
)

// The functional tests of sarama, which want five brokers, each behind a proxy that the tests can cut.
func TestSarama(t *testing.T) {
	part(t, "sarama")
	var ports []string
	for i := range saramaBrokers {
		ports = append(ports, fmt.Sprint(saramaPort+i+1))
	}
	needPorts(t, ports...)
	api := startToxiproxy(t)
	c := harness.NewCluster(t, harness.ClusterConfig{
		Agents: saramaBrokers, Agent: []string{"--auto-create-topics", "false"}, Each: func(n *harness.Node) []string {
			return []string{"--advertise", fmt.Sprint("127.0.0.1:", saramaPort+int(n.ID))}
		},
	})
	for i, n := range c.Agents {
		proxy := map[string]any{"name": fmt.Sprint("kafka", i+1), "listen": "127.0.0.1:" + ports[i], "upstream": n.Kafka, "enabled": true}
		body, err := json.Marshal(proxy)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(api+"/proxies", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("toxiproxy: %s, %v", resp.Status, err)
		}
	}
	suite{
		name: "sarama", module: "github.com/IBM/sarama", version: "v1.61.1",
		args: []string{"-tags", "functional", "-run", "^TestFunc|^TestConsumer|^TestReadOnly|^TestInterceptors|^TestAsyncProducerRemote|^TestVersionMatrix", "."},
		env:  []string{"TOXIPROXY_ADDR=" + api, "KAFKA_VERSION=4.0.0"},
	}.run(t)
}

// startToxiproxy runs a toxiproxy without proxies, and returns the URL of its API.
func startToxiproxy(t *testing.T) string {
	t.Helper()
	dir := cache(t, "toxiproxy")
	command{dir: dir, env: []string{"GOBIN=" + dir, "GOFLAGS="}, args: []string{"go", "install", toxiproxy}, timeout: 5 * time.Minute}.must(t)
	port := harness.FreePort(t)
	server := exec.Command(filepath.Join(dir, "server"), "-host", "127.0.0.1", "-port", port)
	var out bytes.Buffer
	server.Stdout, server.Stderr = &out, &out
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // ends by the signal
	})
	api := "http://127.0.0.1:" + port
	harness.Eventually(t, 10*time.Second, "toxiproxy answers", func() string {
		resp, err := http.Get(api + "/version")
		if err != nil {
			return err.Error()
		}
		_ = resp.Body.Close() // nothing was read
		return ""
	})
	return api
}
