package kafkaapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"golang.org/x/sync/semaphore"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch/records"
)

// recodersMax is how many requests' batches are decompressed at a time. Each may need Limits.DecompressedBytes to look at a
// batch, and as much for what it makes of its batches, which it holds until they are durable.
const recodersMax = 2

// recoder is the server's bound on the memory of requests whose batches must be looked into.
type recoder struct {
	memory  *semaphore.Weighted
	request int64 // bytes that one request may make
}

func newRecoder(l Limits) *recoder {
	return &recoder{memory: semaphore.NewWeighted(recodersMax * int64(l.DecompressedBytes)), request: int64(l.DecompressedBytes)}
}

// recoding is one request's part of it.
//
// All that the request may make is taken before its first batch, and what was not made is given back after the last. So no
// request waits for memory while it holds some: two that did could wait for each other for ever.
type recoding struct {
	r    *recoder
	held int64
	made int64
}

// begin takes the request's memory, once.
func (r *recoding) begin(ctx context.Context) error {
	if r.held > 0 {
		return nil
	}
	if err := r.r.memory.Acquire(ctx, r.r.request); err != nil {
		return fmt.Errorf("wait for the memory to recompress: %w: %w", base.ErrUnavailable, context.Cause(ctx))
	}
	r.held = r.r.request
	return nil
}

// trim gives back what no batch needed; end the rest, once the batches are durable.
func (r *recoding) trim() { r.release(r.held - r.made) }
func (r *recoding) end()  { r.release(r.held) }

func (r *recoding) release(n int64) {
	if n > 0 {
		r.held -= n
		r.r.memory.Release(n)
	}
}

// inspection is what a topic wants of the records of its batches, beyond their header.
type inspection struct {
	codec    records.Codec
	recode   bool
	times    bool // each record's timestamp, not only the header's
	lim      batch.Limits
	maxBytes int
}

// codecs are the values of compression.type that name one.
var codecs = map[string]int16{
	"uncompressed": records.None, "gzip": records.Gzip, "snappy": records.Snappy, "lz4": records.LZ4, "zstd": records.Zstd,
}

// inspectionOf reads a topic's settings. By default nothing is inspected: compression.type is producer, and the bounds of
// timestamps are held against the batch's header, whose largest timestamp is the client's word.
func inspectionOf(t Topic, lim batch.Limits) inspection {
	in := inspection{lim: lim, maxBytes: lim.MaxBytes}
	if in.codec.Type, in.recode = codecs[t.Configs["compression.type"]]; in.recode {
		in.codec.Level = codecLevel(t)
	}
	_, before := t.Configs["message.timestamp.before.max.ms"]
	_, after := t.Configs["message.timestamp.after.max.ms"]
	in.times = (before || after) && t.Configs["message.timestamp.type"] != "LogAppendTime"
	return in
}

// codecLevel is the topic's level for its codec.
func codecLevel(t Topic) int {
	name := "compression." + t.Configs["compression.type"] + ".level"
	for _, c := range topicConfigs {
		if c.name == name {
			def, _ := strconv.ParseInt(c.value, 10, 32) // a default is a number
			return int(configInt(t, name, def))
		}
	}
	return 0
}

// inspect looks into a batch, and returns it as it is to be stored.
func (in *inspection) inspect(ctx context.Context, r *recoding, h batch.Header, b []byte) (batch.Header, []byte, error) {
	recode := in.recode && h.Codec() != in.codec.Type
	if !recode && !in.times {
		return h, b, nil
	}
	if err := r.begin(ctx); err != nil {
		return h, b, err
	}
	plain, err := records.Open(h, b, int(r.r.request))
	if err == nil {
		err = records.Walk(plain, h.Records, func(rec records.Record) (bool, error) { return true, in.checkTime(h, rec) })
	}
	if err != nil || !recode {
		return h, b, inspectionError(err)
	}
	out, header, err := records.Recode(h, b, plain, in.codec, int(r.r.request-r.made))
	switch {
	case err != nil:
		return h, b, inspectionError(err)
	case in.maxBytes > 0 && header.Length > in.maxBytes:
		return h, b, fmt.Errorf("batch of %d bytes once it is recompressed, at most %d: %w", header.Length, in.maxBytes, kerr.MessageTooLarge)
	}
	r.made += int64(cap(out))
	return header, out, nil
}

func (in *inspection) checkTime(h batch.Header, rec records.Record) error {
	if !in.times {
		return nil
	}
	at := h.BaseTimestamp + rec.TimestampDelta
	switch {
	case at < 0: // none
	case in.lim.OldestTimestamp > 0 && at < in.lim.OldestTimestamp, in.lim.NewestTimestamp > 0 && at > in.lim.NewestTimestamp:
		return fmt.Errorf("record %d has timestamp %d, allowed are %d to %d: %w",
			rec.OffsetDelta, at, in.lim.OldestTimestamp, in.lim.NewestTimestamp, kerr.InvalidTimestamp)
	}
	return nil
}

// inspectionError gives an error of package records Kafka's code. INVALID_RECORD is final for clients: the CRC was true, so
// the same bytes would come again.
func inspectionError(err error) error {
	switch {
	case errors.Is(err, base.ErrTooLarge):
		return fmt.Errorf("%w: %w", kerr.MessageTooLarge, err)
	case errors.Is(err, base.ErrCorrupt):
		return fmt.Errorf("%w: %w", kerr.InvalidRecord, err)
	}
	return err
}
