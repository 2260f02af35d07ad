package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type produceFlags struct {
	keySeparator string
	partition    int32
	compression  string
}

type produceResult struct {
	Topic   string `json:"topic"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
	// Failed records got an error; of Unknown ones no answer came, so they may or may not be there.
	Failed  int64   `json:"failed,omitempty"`
	Unknown int64   `json:"unknown,omitempty"`
	Seconds float64 `json:"seconds"`
}

func produceCommand(env *Env) *cobra.Command {
	var f produceFlags
	cmd := &cobra.Command{
		Use: "produce TOPIC [FILE...]", Short: "Write the lines of files, or of the standard input, as records",
		Example: "  seq 100 | gnomon produce orders\n  gnomon produce orders --key-separator : orders.txt",
		Args:    arguments(1, -1, "a topic, and files"),
		RunE: func(cmd *cobra.Command, args []string) error {
			files := args[1:]
			if len(files) == 0 {
				files = []string{"-"}
				if env.InTerminal {
					env.note("each line is a record; Ctrl-D ends the input")
				}
			}
			return env.produce(cmd.Context(), f, args[0], files)
		},
	}
	env.addBrokers(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.keySeparator, "key-separator", "k", "", "what parts a line into key and value; without it lines are values")
	flags.Int32VarP(&f.partition, "partition", "p", -1, "write to this partition (-1: by key, or evenly)")
	flags.StringVarP(&f.compression, "compression", "z", "none", "none, gzip, snappy, lz4 or zstd")
	return cmd
}

func (f produceFlags) options() ([]kgo.Opt, error) {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	codec, ok := codecs[f.compression]
	if !ok {
		return nil, usagef("--compression is none, gzip, snappy, lz4 or zstd, not %q", f.compression)
	}
	if f.partition < -1 {
		return nil, usagef("--partition is a partition's number, or -1, not %d", f.partition)
	}
	opts := []kgo.Opt{kgo.ProducerBatchCompression(codec), kgo.RecordDeliveryTimeout(2 * callTimeout)}
	if f.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

func (e *Env) produce(ctx context.Context, f produceFlags, topic string, files []string) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	client, err := e.connect(ctx, opts...)
	if err != nil {
		return err
	}
	defer client.Close()
	details, err := requireTopics(ctx, kadm.NewClient(client), "produce to "+topic, topic)
	if err != nil {
		return err
	}
	if n := len(details[topic].Partitions); int(f.partition) >= n {
		return usagef("--partition %d is not there: topic %s has %s, counted from 0", f.partition, topic, count(int64(n), "partition"))
	}
	s := &sending{env: e, flags: f, topic: topic, client: client, progress: newProgress(e)}
	// A first failure stops the reading, and the deliveries under way.
	ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)
	failure := s.run(ctx, readLines(ctx, e.In, files))
	return e.emitProduced(s, failure)
}

// emitProduced says how much arrived, whether or not all did.
func (e *Env) emitProduced(s *sending, failure error) error {
	r := s.result()
	err := e.Emit(r, func(w io.Writer) {
		text := fmt.Sprintf("%s, %s, to %s in %.1f s", count(r.Records, "record"), size(r.Bytes), r.Topic, r.Seconds)
		if r.Failed > 0 {
			text += fmt.Sprintf("; %s failed", thousands(r.Failed))
		}
		if r.Unknown > 0 {
			text += fmt.Sprintf("; %s without an answer", thousands(r.Unknown))
		}
		row(w, text)
	})
	if failure != nil {
		return failure
	}
	return err
}

// sending is one run of produce.
type sending struct {
	env      *Env
	flags    produceFlags
	topic    string
	client   *kgo.Client
	progress *progress
	stop     context.CancelCauseFunc
	sent     int64 // by run alone

	mu            sync.Mutex // guards what promises change
	acked, failed int64
	bytes         int64
	first         error
}

func (s *sending) run(ctx context.Context, lines <-chan line) error {
	defer s.progress.clear()
	for number := 1; ; number++ {
		l, open := next(ctx, lines)
		if !open {
			break
		}
		if l.err != nil {
			s.stop(l.err)
			s.settle(ctx)
			return l.err
		}
		record, err := s.record(number, l.text)
		if err != nil {
			s.stop(err)
			s.settle(ctx)
			return err
		}
		s.sent++
		s.client.Produce(ctx, record, s.done) // blocks while the client's buffer is full
		s.progress.update(s.figures())
	}
	s.settle(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.first != nil:
		return failKafka("produce to "+s.topic, s.first)
	case ctx.Err() != nil:
		return Fail("produce everything to "+s.topic, context.Cause(ctx), "")
	}
	return nil
}

// next gives the next line, or false at the end of the input or of ctx.
func next(ctx context.Context, lines <-chan line) (line, bool) {
	select {
	case l, open := <-lines:
		return l, open && ctx.Err() == nil
	case <-ctx.Done():
		return line{}, false
	}
}

// settle waits for the answers to what was sent.
func (s *sending) settle(ctx context.Context) {
	_ = s.client.Flush(ctx) // its only error is that ctx ended; what is then open is counted as unknown
}

func (s *sending) record(number int, text []byte) (*kgo.Record, error) {
	r := &kgo.Record{Topic: s.topic, Value: text, Partition: max(0, s.flags.partition)}
	if separator := s.flags.keySeparator; separator != "" {
		key, value, found := bytes.Cut(text, []byte(separator))
		if !found {
			return nil, Fail("produce to "+s.topic, fmt.Errorf("line %d has no %q between key and value", number, separator),
				"give the right --key-separator, or none for lines that are values")
		}
		r.Key, r.Value = key, value
	}
	return r, nil
}

// done is called by the client for each record.
func (s *sending) done(r *kgo.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.acked++
		s.bytes += int64(len(r.Key) + len(r.Value))
		return
	case strings.Contains(err.Error(), context.Canceled.Error()):
		return // cancelled by the first failure or by the user: not the reason
	}
	s.failed++
	if s.first == nil {
		s.first = err
		s.stop(err)
	}
}

func (s *sending) figures() (records, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acked, s.bytes
}

func (s *sending) result() produceResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	return produceResult{
		Topic: s.topic, Records: s.acked, Bytes: s.bytes, Failed: s.failed, Unknown: s.sent - s.acked - s.failed,
		Seconds: s.env.Now().Sub(s.progress.started).Seconds(),
	}
}
