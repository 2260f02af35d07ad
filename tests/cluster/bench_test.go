package cluster

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// BenchmarkAck compares the time to an ack, one record at a time, of a region in one process with that of a region of
// processes, with TLS inside and without: what it costs that commits cross a process, and that they are encrypted.
//
//	go test ./tests/cluster -run NONE -bench Ack -benchtime 2000x -count 3
func BenchmarkAck(b *testing.B) {
	b.Run("one-process", func(b *testing.B) {
		d := harness.NewDev(b)
		_, url := d.StartEtcd("a")
		d.Start("--region", "a", "--etcd-a", url)
		measureAcks(b, d.Endpoints("a").Kafka[:1])
	})
	b.Run("processes-tls", func(b *testing.B) {
		measureAcks(b, harness.NewCluster(b, harness.ClusterConfig{Agents: 2, TLS: true}).Kafka()[:1])
	})
	b.Run("processes", func(b *testing.B) {
		measureAcks(b, harness.NewCluster(b, harness.ClusterConfig{Agents: 2}).Kafka()[:1])
	})
}

func measureAcks(b *testing.B, brokers []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.DefaultProduceTopic(topic))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, -1, nil, topic); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 1024)
	var took []time.Duration
	produce := func() {
		began := time.Now()
		if err := cl.ProduceSync(ctx, &kgo.Record{Value: value}).FirstErr(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	for range 100 { // sessions, connections
		produce()
	}
	took = took[:0]
	for b.Loop() {
		produce()
	}
	slices.Sort(took)
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}
