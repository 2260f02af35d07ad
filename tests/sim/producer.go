package sim

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// producer is an idempotent Kafka producer of one partition: it sends in order, keeps what is not acked, and sends all of
// it again, from the oldest on, over a new connection when anything goes wrong.
type producer struct {
	pause
	w      *World
	number int
	id     int64 // -1 until it was given one
	asked  int64 // when it asked for one, 0 for not at all
	tp     base.TopicPartition
	next   int32     // sequence number of the next batch
	left   int       // batches to come
	window []*pbatch // not acked, oldest first
	conn   *conn
	heard  int64 // when the last answer came, or the connection was made
}

// windowMax is below the five batches that a broker remembers of a producer.
const windowMax = 4

// deliveryMs is how long a producer tries: delivery.timeout.ms, well below the day after which it is forgotten.
const deliveryMs = 12 * 3_600_000

// pbatch is one record batch.
type pbatch struct {
	born    int64
	p       *producer
	seq     int32
	records int32
	bytes   []byte
	header  batch.Header
	sent    *conn // the connection that it was last sent over
	offset  int64 // once answered with success over that connection, else -1
}

// conn is one connection to one agent. Who gives it up hears no more of it.
type conn struct {
	p     *producer
	at    *agent
	reset bool // the agent has noticed, and reads no more of what is on its way
}

func (p *producer) String() string { return fmt.Sprintf("producer %d (id %d)", p.number, p.id&0xffff) }

func (p *producer) done() bool { return p.left == 0 && len(p.window) == 0 }

func (p *producer) step() {
	w := p.w
	switch {
	case p.done():
	case w.chance(600), len(p.window) > 0 && w.now-p.window[0].born > deliveryMs:
		p.crash()
	case p.id < 0:
		p.init()
	case p.conn != nil && (p.conn.at.gone || w.now-p.heard > 10_000 || w.chance(80)):
		p.conn = nil
	case p.conn == nil:
		p.connect()
	case len(p.window) < windowMax && p.left > 0 && w.rng.IntN(2) == 0:
		p.left--
		p.window = append(p.window, p.newBatch(1+w.rng.Int32N(4)))
	default:
		p.send()
	}
}

// crash is the end of the process: what was not acked is neither known to be written nor not, and the next one has another id.
func (p *producer) crash() {
	p.w.logf("%s is killed with %d batches in flight", p, len(p.window))
	p.id, p.asked, p.next, p.window, p.conn = -1, 0, 0, nil, nil
}

// init asks for a producer id (K12).
func (p *producer) init() {
	w := p.w
	if p.asked > 0 && w.now-p.asked < 2000 {
		return
	}
	r, asked := w.operator.primary(), w.now
	p.asked = asked
	r.submit(func(tx *tx) {
		if tx == nil {
			return
		}
		tx.forward(kmsg.NewPtrInitProducerIDRequest(), func(resp kmsg.Response, err error) {
			if err != nil || p.asked != asked || p.id >= 0 {
				return
			}
			id := resp.(*kmsg.InitProducerIDResponse)
			if id.ErrorCode != 0 {
				w.fail("K12: %s: InitProducerId: %v", p, kerr.ErrorForCode(id.ErrorCode))
				return
			}
			p.id = id.ProducerID
			w.check.newProducer(p)
		})
	})
}

// connect takes any agent of the primary, or, now and then, of the other region, which must refuse: B before the flip, and
// A once it is fenced. (Who writes to an A that does not know yet loses what it writes there.)
func (p *producer) connect() {
	r := p.w.operator.primary()
	if other := p.w.other(r); p.w.chance(12) && (other == p.w.b || p.w.a.isFenced()) {
		r = other
	}
	if len(r.agents) == 0 {
		return
	}
	p.w.logf("%s connects to region %s", p, r.name)
	p.conn, p.heard = &conn{p: p, at: r.agents[p.w.rng.IntN(len(r.agents))]}, p.w.now
}

// send puts the oldest batch that was not sent over this connection into the agent's buffer.
func (p *producer) send() {
	for _, b := range p.window {
		if b.sent != p.conn {
			b.sent, b.offset = p.conn, -1
			p.conn.at.inbox = append(p.conn.at.inbox, &request{from: p.conn, batch: b})
			return
		}
	}
}

func (w *World) other(r *Region) *Region {
	if r == w.a {
		return w.b
	}
	return w.a
}

// answer is what an agent says of one batch.
func (r *request) answer(res *metalogpb.BatchResult) {
	p := r.from.p
	if p.conn != r.from || r.batch.sent != r.from {
		return // given up
	}
	p.heard = p.w.now
	p.w.logf("%s: sequence %d at %s: code %d, offset %d", p, r.batch.seq, r.from.at, res.ErrorCode, res.BaseOffset)
	switch code := int16(res.ErrorCode); {
	case code == 0:
		r.batch.offset = res.BaseOffset
		p.ack(r.from.at.r)
	case code == kerr.OutOfOrderSequenceNumber.Code && r.batch == p.window[0] && r.from.at.r == p.w.operator.primary():
		p.w.fail("K1: %s: the oldest batch, sequence %d, is refused as out of order by region %s", p, r.batch.seq, r.from.at.r.name)
	case code == kerr.NotLeaderForPartition.Code, code == kerr.UnknownTopicOrPartition.Code, code == kerr.OutOfOrderSequenceNumber.Code:
		p.conn = nil // all of it again, elsewhere
	default:
		p.w.fail("%s: sequence %d: %v", p, r.batch.seq, kerr.ErrorForCode(code))
	}
}

// ack takes what is answered from the front of the window: answers of a connection are read in order.
func (p *producer) ack(at *Region) {
	for len(p.window) > 0 && p.window[0].sent == p.conn && p.window[0].offset >= 0 {
		p.w.check.acked(at, p.window[0])
		p.window = p.window[1:]
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newBatch makes the next batch: a header and bytes that nobody else has; whoever moves them must not read them.
func (p *producer) newBatch(records int32) *pbatch {
	b := make([]byte, batch.HeaderSize, batch.HeaderSize+64)
	for range 8 + p.w.rng.IntN(40) {
		b = append(b, byte(p.w.rng.IntN(256)))
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff)
	b[16] = 2
	binary.BigEndian.PutUint32(b[23:], uint32(records-1))
	binary.BigEndian.PutUint64(b[27:], uint64(p.w.now))
	binary.BigEndian.PutUint64(b[35:], uint64(p.w.now))
	binary.BigEndian.PutUint64(b[43:], uint64(p.id))
	binary.BigEndian.PutUint32(b[53:], uint32(p.next))
	binary.BigEndian.PutUint32(b[57:], uint32(records))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	h, _, err := batch.Parse(b)
	if err != nil {
		p.w.fail("make a batch: %v", err)
	}
	x := &pbatch{born: p.w.now, p: p, seq: p.next, records: records, bytes: b, header: h, offset: -1}
	p.next += records
	return x
}

func (b *pbatch) segmentBatch() segment.Batch {
	return segment.Batch{Topic: b.p.tp.Topic, Partition: b.p.tp.Partition, Header: b.header, Digest: batch.Digest(b.bytes), Bytes: b.bytes}
}

func (b *pbatch) stream() stream { return stream{b.p.id, b.p.tp} }
