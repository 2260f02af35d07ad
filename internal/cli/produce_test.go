package cli_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type produced struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	Failed  int64 `json:"failed"`
	Unknown int64 `json:"unknown"`
}

// What is written is what is read, byte for byte: carriage returns, empty lines, and a last line without a line feed.
func TestProduceAndConsume(t *testing.T) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			_, address := cluster(t, kfake.SeedTopics(1, "t"))
			const text = "one\r\n\n\x00\xff\ntwo words\nlast"
			r := invocation{brokers: address, in: strings.NewReader(text)}.must(t, "produce", "t", "-z", codec, "--format", "json")
			if got := decode[produced](t, r); got.Records != 5 || got.Bytes != int64(len(text)-4) {
				t.Errorf("got %+v", got)
			}
			if r := (invocation{brokers: address}).must(t, "consume", "t", "--max", "5", "--timeout", "30s"); r.out != text+"\n" {
				t.Errorf("read back %q", r.out)
			}
		})
	}
}

func TestProduceFilesAndKeys(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for name, text := range map[string]string{one: "a:1\nb:2\n", two: "c:3:4\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := invocation{brokers: address, in: strings.NewReader("d:\n")}
	do.must(t, "produce", "t", "--key-separator", ":", one, two, "-")
	if r := do.must(t, "consume", "t", "-n", "4", "-k", " is "); r.out != "a is 1\nb is 2\nc is 3:4\nd is \n" {
		t.Errorf("got %q", r.out)
	}
	if r := do.must(t, "consume", "t", "-n", "4"); r.out != "1\n2\n3:4\n\n" {
		t.Errorf("got %q", r.out)
	}
}

func TestProduceFailures(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(2, "t"))
	long := strings.Repeat("x", 1<<20+1)
	for _, c := range []struct {
		name, in string
		args     []string
		code     int
		want     string
	}{
		{"no topic", "a\n", []string{"none"}, 1, `topic "none" does not exist`},
		{"no partition", "a\n", []string{"t", "-p", "2"}, 2, "topic t has 2 partitions"},
		{"no file", "", []string{"t", "/nonexistent/file"}, 1, "cannot read /nonexistent/file: no such file"},
		{"no key", "k:v\nnothing\n", []string{"t", "-k", ":"}, 1, `line 2 has no ":"`},
		{"too long a line", "a\n" + long + "\n", []string{"t"}, 1, "line 2 is longer than 1.0 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := invocation{brokers: address, in: strings.NewReader(c.in)}.run(t.Context(), append([]string{"produce"}, c.args...)...)
			if r.code != c.code || !strings.Contains(r.err, c.want) || strings.Count(r.err, "\n") != 1 {
				t.Errorf("code %d, err %q; want %d and %q", r.code, r.err, c.code, c.want)
			}
		})
	}
}

// An error of the broker ends the run, and is named by its code and a remedy; the summary still comes.
func TestProduceRefused(t *testing.T) {
	c, address := cluster(t, kfake.SeedTopics(1, "t"))
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		produce, ok := req.(*kmsg.ProduceRequest)
		if !ok {
			return nil, fmt.Errorf("got %T", req), true
		}
		resp, ok := produce.ResponseKind().(*kmsg.ProduceResponse)
		if !ok {
			return nil, fmt.Errorf("got another response"), true
		}
		for _, topic := range produce.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.MessageTooLarge.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	r := invocation{brokers: address, in: strings.NewReader("a\nb\n")}.run(t.Context(), "produce", "t", "--format", "json")
	if r.code != 1 || !strings.Contains(r.err, "MESSAGE_TOO_LARGE") || !strings.Contains(r.err, "max.message.bytes") {
		t.Errorf("code %d, err %q", r.code, r.err)
	}
	if got := decode[produced](t, r); got.Records != 0 || got.Failed+got.Unknown != 2 || got.Failed == 0 {
		t.Errorf("got %+v", got)
	}
}

// Ctrl-C ends a run whose input stays open; what was acknowledged is told.
func TestProduceInterrupted(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	in, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result, 1)
	go func() { done <- invocation{brokers: address, in: in}.run(ctx, "produce", "t", "--format", "json") }()
	if _, err := io.WriteString(feed, "a\n"); err != nil {
		t.Fatal(err)
	}
	if r := (invocation{brokers: address}).must(t, "consume", "t", "--max", "1", "--timeout", "30s"); r.out != "a\n" {
		t.Fatalf("a line is not sent while the input is open: %q", r.out)
	}
	cancel()
	select {
	case r := <-done:
		if r.code != 1 || decode[produced](t, r).Records != 1 {
			t.Errorf("code %d, out %q, err %q", r.code, r.out, r.err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the command did not end")
	}
}

// Progress is shown on a terminal only, and never among the results.
func TestProgress(t *testing.T) {
	_, address := cluster(t, kfake.SeedTopics(1, "t"))
	clock := time.Unix(0, 0)
	tick := func() time.Time { clock = clock.Add(time.Second); return clock }
	r := invocation{brokers: address, in: strings.NewReader("a\nb\n"), terminal: true, now: tick}.must(t, "produce", "t")
	if !strings.Contains(r.err, "\r") || strings.Contains(r.out, "\r") {
		t.Errorf("out %q, err %q", r.out, r.err)
	}
	r = invocation{brokers: address, in: strings.NewReader("a\n"), now: tick}.must(t, "produce", "t")
	if r.err != "" {
		t.Errorf("not a terminal, and err has %q", r.err)
	}
}
