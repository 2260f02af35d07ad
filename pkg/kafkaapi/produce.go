package kafkaapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

// Produce (key 0), versions 3 to 13; 0 to 2 are advertised, for librdkafka looks at them to find out which codecs a
// broker knows (KAFKA-18659), and answered with UNSUPPORTED_VERSION.
//
// Each batch is validated by its header and CRC; its records are looked at only where the topic asks for it: a compression.type
// of its own, or bounds of timestamps (recode.go). All batches of a request go to the
// Appender at once, and the connection goes on to its next request: answers come in order, whenever the Appender is done.
// Nothing is acked before it is durable, whatever acks says; 0 gets no answer, and an error closes the connection, as in
// Kafka. When the time that the client gives is over it is told so (producewait.go). Topics with message.timestamp.type=LogAppendTime get their batches stamped here.
//
// Not implemented: transactions (INVALID_TXN_STATE for each partition); the leader hints of KIP-951.
func produceAPI() *api {
	return &api{
		key: keyProduce, name: "Produce", min: 0, max: 13, refuseBelow: 3, family: familyWrite,
		new: func() kmsg.Request { return kmsg.NewPtrProduceRequest() }, shape: shapeProduce, start: produce,
	}
}

// producing is one Produce request under way.
type producing struct {
	q       *request
	req     *kmsg.ProduceRequest
	resp    *kmsg.ProduceResponse
	look    *lookup
	now     int64
	failed  bool
	recodes recoding
	batches []ProduceBatch
	slots   []produceSlot  // of the batches
	refused []ProduceBatch // because this region takes no writes to their topics now
}

// produceSlot says where the result of a batch goes.
type produceSlot struct {
	topic, partition int
	stamp            int64 // log append time, -1 for none
}

func produce(ctx context.Context, q *request, finish func(answer)) {
	req := q.body.(*kmsg.ProduceRequest)
	p := &producing{
		q: q, req: req, resp: req.ResponseKind().(*kmsg.ProduceResponse), look: q.lookup(ctx), now: q.server.now().UnixMilli(),
		recodes: recoding{r: q.server.recoder},
	}
	p.collect(ctx)
	p.recodes.trim()
	if len(p.refused) > 0 {
		q.server.deps.Appender.Refuse(ctx, p.refused)
	}
	if len(p.batches) == 0 {
		p.recodes.end()
		finish(p.answer())
		return
	}
	wait := p.await(finish)
	q.server.deps.Appender.Append(ctx, p.batches, func(results []ProduceResult) {
		p.recodes.end()
		if wait.claim() {
			p.enter(results)
			finish(p.answer())
		}
		wait.settle()
	})
}

// collect validates the request's batches and makes a place for each result.
func (p *producing) collect(ctx context.Context) {
	refused := p.refusal()
	p.resp.Topics = make([]kmsg.ProduceResponseTopic, len(p.req.Topics))
	for i := range p.req.Topics {
		rt, out := &p.req.Topics[i], &p.resp.Topics[i]
		out.Topic, out.TopicID = rt.Topic, rt.TopicID
		out.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(rt.Partitions))
		var t Topic
		err := refused
		if err == nil {
			t, err = p.look.topic(rt.Topic, rt.TopicID, p.q.version >= 13)
		}
		in := inspectionOf(t, p.limits(t))
		for j := range rt.Partitions {
			rp, op := &rt.Partitions[j], &out.Partitions[j]
			op.Default()
			op.Partition, op.BaseOffset = rp.Partition, -1
			perr := err
			if perr == nil {
				perr = p.take(ctx, t, rp, &in, produceSlot{topic: i, partition: j, stamp: -1})
			}
			if perr != nil {
				p.fail(op, perr)
			}
		}
	}
}

// refusal is why the whole request is refused, if it is.
func (p *producing) refusal() error {
	switch {
	case p.q.version < p.q.api.refuseBelow:
		return fmt.Errorf("produce version %d: %w", p.q.version, kerr.UnsupportedVersion)
	case p.req.Acks < -1 || p.req.Acks > 1:
		return fmt.Errorf("acks %d: %w", p.req.Acks, kerr.InvalidRequiredAcks)
	case p.req.TransactionID != nil:
		return fmt.Errorf("transactional id %q: transactions are not served: %w", *p.req.TransactionID, kerr.InvalidTxnState)
	}
	return nil
}

// zstdSince is the version from which clients may send zstd.
const zstdSince = 7

// take validates the one batch of a partition and puts it among those to append.
func (p *producing) take(ctx context.Context, t Topic, rp *kmsg.ProduceRequestTopicPartition, in *inspection, slot produceSlot) error {
	t, err := p.look.partition(t, rp.Partition)
	if err != nil {
		return err
	}
	if !t.Writable {
		p.refuse(t, rp)
		return fmt.Errorf("topic %q takes no writes here: %w", t.Name, base.ErrReadOnly)
	}
	h, err := batch.Validate(rp.Records, in.lim)
	switch {
	case err != nil:
		return err
	case h.CodecName() == "zstd" && p.q.version < zstdSince:
		return fmt.Errorf("zstd in version %d: %w", p.q.version, kerr.UnsupportedCompressionType)
	case h.IsTransactional():
		return fmt.Errorf("transactional batch: transactions are not served: %w", kerr.InvalidTxnState)
	}
	h, stored, err := in.inspect(ctx, &p.recodes, h, rp.Records)
	if err != nil {
		return err
	}
	if t.Configs["message.timestamp.type"] == "LogAppendTime" {
		h = batch.StampAppendTime(h, stored, p.now)
		slot.stamp = p.now
	}
	p.batches = append(p.batches, ProduceBatch{Topic: t.ID, Partition: rp.Partition, Header: h, Bytes: stored})
	p.slots = append(p.slots, slot)
	return nil
}

// refuse notes a batch that will come again. The walk of why, for a producer that is here before the flip with batches k and
// k+1 in flight: (1) k is refused. (2) The flip. After it, the first batch of a producer may leave a gap: what the gap
// skips was written above the cut. (3) k+1 comes, and would be taken with a gap; k, sent again, would then be out of order.
func (p *producing) refuse(t Topic, rp *kmsg.ProduceRequestTopicPartition) {
	if h, _, err := batch.Parse(rp.Records); err == nil && h.ProducerID >= 0 {
		p.refused = append(p.refused, ProduceBatch{Topic: t.ID, Partition: rp.Partition, Header: h})
	}
}

// limits are what a topic's configs allow.
func (p *producing) limits(t Topic) batch.Limits {
	lim := batch.Limits{MaxBytes: int(configInt(t, maxMessageBytesName, int64(p.q.server.cfg.MaxMessageBytes)))}
	if t.Configs["message.timestamp.type"] == "LogAppendTime" {
		return lim
	}
	lim.NewestTimestamp = saturatingAdd(p.now, configInt(t, "message.timestamp.after.max.ms", timestampAfterDefault))
	if before := configInt(t, "message.timestamp.before.max.ms", -1); before >= 0 {
		lim.OldestTimestamp = max(p.now-before, 0)
	}
	return lim
}

// configInt is a topic's setting, or def where it has none.
func configInt(t Topic, name string, def int64) int64 {
	v, ok := t.Configs[name]
	if !ok {
		return def
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil {
		return def
	}
	return n
}

func saturatingAdd(a, b int64) int64 {
	if s := a + b; b < 0 || s >= a {
		return s
	}
	return 1<<63 - 1
}

func (p *producing) fail(op *kmsg.ProduceResponseTopicPartition, err error) {
	p.failed = true
	op.ErrorCode, op.BaseOffset = p.q.code(err), -1
	op.ErrorMessage = kmsg.StringPtr(err.Error())
}

// enter puts the Appender's results into the response.
func (p *producing) enter(results []ProduceResult) {
	for i, slot := range p.slots {
		op := &p.resp.Topics[slot.topic].Partitions[slot.partition]
		if i >= len(results) {
			p.fail(op, fmt.Errorf("append gave %d results for %d batches: %w", len(results), len(p.slots), base.ErrUnavailable))
			continue
		}
		r := results[i]
		if r.Err != nil {
			p.fail(op, r.Err)
			continue
		}
		op.BaseOffset, op.LogStartOffset, op.LogAppendTime = int64(r.BaseOffset), int64(r.LogStart), max(slot.stamp, r.LogAppendTime)
	}
}

func (p *producing) answer() answer {
	if p.req.Acks == 0 {
		return silence{hangUp: p.failed}
	}
	return message{p.resp}
}
