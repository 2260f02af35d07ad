package sim

import (
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// admin changes topics while they are written: deletes records, or the topic, adds partitions, sets and removes settings. Like any client it sends a
// request again when no answer comes, and now and then twice at once: what it sent before may still come, after what it asks for next.
type admin struct {
	pause
	w     *World
	sent  int64
	again func() // sends the request under way once more; nil for none
	asked int    // number of the request under way
	tries int
	known map[known]int32
}

// known is a topic of a region, for how many partitions it is known to have.
type known struct {
	r     *Region
	topic base.TopicID
}

// Bounds of what one run is made to do.
const (
	partitionsMax = 5
	triesMax      = 3
)

func (x *admin) String() string { return "admin" }

func (x *admin) step() {
	w := x.w
	x.meetPartitions()
	x.leaveDeleted()
	switch {
	case !w.faulty, x.again != nil && w.now-x.sent < 2000:
		return
	case x.again != nil && x.tries < triesMax && w.rng.IntN(4) > 0:
		x.send()
		return
	}
	x.again = nil
	r := w.operator.primary()
	if w.chance(10) {
		r = w.other(r)
	}
	name := topics[w.rng.IntN(len(topics))].name
	t, ok := r.oracle.ShowByName(name)
	if !ok {
		if name == doomed && r == w.operator.primary() && len(w.check.book(r).deletedTopics) > 0 && w.chance(2) {
			x.createAgain(r)
		}
		return
	}
	if name == doomed && w.chance(15) {
		x.deleteTopic(r, name, t.Info().ID)
		return
	}
	switch w.rng.IntN(4) {
	case 0:
		if t.Partitions() < partitionsMax && w.chance(4) {
			x.addPartitions(r, name, t.Info().ID, t.Partitions()+1)
		}
	case 1:
		x.setConfig(r, name, t.Info().ID)
	default:
		p := w.rng.Int32N(t.Partitions())
		x.deleteRecords(r, name, base.TopicPartition{Topic: t.Info().ID, Partition: p}, t.Partition(p).LogStart, t.Partition(p).End)
	}
}

// meetPartitions has somebody write to each partition that was added at the primary.
func (x *admin) meetPartitions() {
	r := x.w.operator.primary()
	for _, t := range topics {
		have := r.oracle.TopicByName(t.name)
		if have == nil {
			continue
		}
		k := known{r, have.Info().ID}
		if before, met := x.known[k]; met || k.topic[0] == again {
			for p := before; p < have.Partitions(); p++ {
				x.w.operator.addProducer(base.TopicPartition{Topic: k.topic, Partition: p}, 5+x.w.rng.IntN(15))
			}
		}
		x.known[k] = have.Partitions()
	}
}

// leaveDeleted has nobody write to what is there no more.
func (x *admin) leaveDeleted() {
	r := x.w.operator.primary()
	for _, p := range x.w.producers {
		if x.w.check.book(r).deletedTopics[p.tp.Topic] && r.oracle.Topic(p.tp.Topic) == nil {
			p.left, p.window = 0, nil
		}
	}
}

// ask sends a request to a region, maybe twice; told is called with each answer, and the instant from which on it may have been decided.
func (x *admin) ask(r *Region, req kmsg.Request, told func(from int, resp kmsg.Response)) {
	from := x.w.check.instant(r)
	x.asked++
	asked := x.asked
	x.tries = 0
	x.again = func() {
		r.submit(func(tx *tx) {
			if tx == nil {
				return
			}
			tx.forward(req, func(resp kmsg.Response, err error) {
				if err != nil {
					return // fenced, or no leader any more
				}
				told(from, resp)
				if x.asked == asked {
					x.again = nil
				}
			})
		})
	}
	if x.send(); x.w.chance(5) {
		x.again()
	}
}

func (x *admin) send() {
	x.tries++
	x.sent = x.w.now
	x.again()
}

func (x *admin) addPartitions(r *Region, name string, id base.TopicID, count int32) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, count
	req.Topics = []kmsg.CreatePartitionsRequestTopic{t}
	x.w.logf("admin: topic %s of region %s is to have %d partitions", name, r.name, count)
	x.ask(r, req, func(from int, resp kmsg.Response) {
		code := resp.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode
		x.told(r, from, id, fmt.Sprintf("%d partitions of %s", count, name), code, func(t *topicModel) bool {
			switch code {
			case 0:
				return t != nil && int32(len(t.partitions)) == count
			case kerr.InvalidPartitions.Code: // somebody, or this very request, was there before
				return t != nil && int32(len(t.partitions)) >= count
			}
			return refused(t, code)
		})
	})
}

func (x *admin) deleteTopic(r *Region, name string, id base.TopicID) {
	x.w.check.book(r).deletedNames[name] = true // one of the name: a late copy may delete what was created anew
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TopicNames = 5, []string{name}
	x.w.logf("admin: topic %s of region %s is to be deleted", name, r.name)
	x.ask(r, req, func(from int, resp kmsg.Response) {
		code := resp.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode
		x.told(r, from, id, "topic "+name+" is deleted", code, func(t *topicModel) bool { return code == 0 && t == nil || refused(t, code) })
	})
}

// again is how the ids of topics begin that were created anew.
const again = 0xaa

// createAgain creates the topic that was deleted, under another id.
func (x *admin) createAgain(r *Region) {
	id := base.TopicID{again, byte(x.w.rng.IntN(256)), byte(x.w.rng.IntN(256))}
	x.w.logf("admin: topic %s of region %s is to be created again", doomed, r.name)
	r.submit(func(tx *tx) {
		if tx == nil || tx.c.seq.State().TopicByName(doomed) != nil || tx.c.seq.State().Topic(id) != nil {
			return
		}
		err := tx.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
			TopicId: id[:], Name: doomed, Partitions: 1, ReplicationFactor: 3,
		}}})
		if err != nil {
			x.w.logf("create topic %s again: %v", doomed, err)
		}
	})
}

func (x *admin) deleteRecords(r *Region, name string, tp base.TopicPartition, start, end base.Offset) {
	w := x.w
	offset := int64(start) + w.rng.Int64N(1+int64(end-start)/4) // not much at a time
	switch w.rng.IntN(12) {
	case 0:
		offset = endOffset
	case 1:
		offset = w.rng.Int64N(int64(end) + 20) // what is deleted already, and what nobody has written yet
	case 2:
		offset = int64(start) + w.rng.Int64N(int64(end-start)+1)
	}
	w.check.book(r).deletions[deletion{tp, offset}] = true
	req := kmsg.NewPtrDeleteRecordsRequest()
	t, p := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = tp.Partition, offset
	t.Topic, t.Partitions = name, []kmsg.DeleteRecordsRequestTopicPartition{p}
	req.Topics = []kmsg.DeleteRecordsRequestTopic{t}
	x.ask(r, req, func(from int, resp kmsg.Response) {
		at := resp.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]
		x.told(r, from, tp.Topic, fmt.Sprintf("%s begins at %d, having asked for %d", tp, at.LowWatermark, offset), at.ErrorCode, func(t *topicModel) bool {
			if t == nil || int(tp.Partition) >= len(t.partitions) {
				return refused(t, at.ErrorCode)
			}
			m := t.partitions[tp.Partition]
			switch at.ErrorCode {
			case 0:
				return at.LowWatermark == int64(m.start) && at.LowWatermark >= offset
			case kerr.OffsetOutOfRange.Code:
				return offset > int64(m.end)
			}
			return refused(t, at.ErrorCode)
		})
	})
}

// settings are what a run changes: what retention goes by, and one that nothing here goes by. Values are of no meaning but to
// be short enough for retention to find something.
var settings = []string{"retention.bytes", "retention.ms", "max.message.bytes"}

func (x *admin) setConfig(r *Region, name string, id base.TopicID) {
	w := x.w
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name = settings[w.rng.IntN(len(settings))]
	value := map[string]int{"retention.bytes": 500 + w.rng.IntN(4000), "retention.ms": 600_000 + w.rng.IntN(20_000_000), "max.message.bytes": 2000 + w.rng.IntN(1_000_000)}[c.Name]
	if c.Op = kmsg.IncrementalAlterConfigOpDelete; w.rng.IntN(3) > 0 {
		c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(strconv.Itoa(value))
	}
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName, res.Configs = kmsg.ConfigResourceTypeTopic, name, []kmsg.IncrementalAlterConfigsRequestResourceConfig{c}
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{res}
	x.ask(r, req, func(from int, resp kmsg.Response) {
		code := resp.(*kmsg.IncrementalAlterConfigsResponse).Resources[0].ErrorCode
		x.told(r, from, id, fmt.Sprintf("%s of %s is %d (operation %v)", c.Name, name, value, c.Op), code, func(t *topicModel) bool {
			if code != 0 {
				return refused(t, code)
			}
			have, has := "", false
			if t != nil {
				have, has = t.configs[c.Name]
			}
			return has == (c.Value != nil) && (!has || have == *c.Value)
		})
	})
}

// refused tells whether a region that has t of its own (nil for not) may answer with the code: a shadow sends the client to the source.
func refused(t *topicModel, code int16) bool {
	return t == nil && (code == kerr.PolicyViolation.Code || code == kerr.UnknownTopicOrPartition.Code) ||
		t != nil && code == kerr.UnknownTopicOrPartition.Code
}

// told holds K16: what an administrator was told was so at some instant since it asked.
func (x *admin) told(r *Region, from int, id base.TopicID, what string, code int16, so func(*topicModel) bool) {
	x.w.logf("admin is told by region %s: %s: code %d", r.name, what, code)
	if x.w.check.lostTopic(r, id) {
		return // it asked for one of that name, and may have got another one
	}
	if !x.w.check.sometime(r, from, func(p past) bool { return so(p.topics[id]) }) {
		x.w.fail("K16: the administrator was told by region %s: %s, code %d; at no time since was it so", r.name, what, code)
	}
}
