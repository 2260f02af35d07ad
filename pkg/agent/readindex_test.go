package agent_test

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/tests/memregion"
)

// A2: what was acked, by whichever agent, is visible through an agent whose view is behind: every answer that the lag would
// falsify waits for the head of the log.
func TestReadIndex(t *testing.T) {
	for name, ask := range map[string]func(r *rig, id base.TopicID){
		"the latest offset": func(r *rig, _ base.TopicID) {
			if code, offset := r.offset("orders", -1); code != 0 || offset != 7 {
				r.t.Errorf("latest: code %d, offset %d", code, offset)
			}
		},
		"a search by time that finds nothing in the view": func(r *rig, _ base.TopicID) {
			if code, offset := r.offset("orders", 1_600_000_000_000); code != 0 || offset != 0 {
				r.t.Errorf("by time: code %d, offset %d", code, offset)
			}
		},
		"a fetch beyond the view's end": func(r *rig, id base.TopicID) {
			if code, end, n := r.fetch("orders", id, 3); code != 0 || end != 7 || n == 0 {
				r.t.Errorf("fetch: code %d, end %d, %d bytes", code, end, n)
			}
		},
		"a fetch beyond the log's end": func(r *rig, id base.TopicID) {
			if code, end, _ := r.fetch("orders", id, 8); code != kerr.OffsetOutOfRange.Code || end != 7 && end != -1 {
				r.t.Errorf("fetch: code %d, end %d", code, end)
			}
		},
		"the end of an epoch": func(r *rig, _ base.TopicID) {
			if code, end := r.epochEnd("orders", 1); code != 0 || end != 7 {
				r.t.Errorf("epoch: code %d, end %d", code, end)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, memregion.Options{})
			id := r.CreateTopic(r.cl, "orders", 1)
			release := r.lag.hold()
			defer release()
			r.acked("orders", id, 3)
			r.acked("orders", id, 4)
			r.waits(name, release, func() { ask(r, id) })
		})
	}
}

// A2: a topic that another process created just now is known.
func TestReadIndexOfTopics(t *testing.T) {
	for name, ask := range map[string]func(r *rig, id base.TopicID) int16{
		"metadata": func(r *rig, _ base.TopicID) int16 { return r.metadata("orders") },
		"fetch": func(r *rig, id base.TopicID) int16 {
			code, _, _ := r.fetch("orders", id, 0)
			return code
		},
		"list offsets": func(r *rig, _ base.TopicID) int16 {
			code, _ := r.offset("orders", -2)
			return code
		},
		"produce": func(r *rig, id base.TopicID) int16 {
			code, _ := r.produce("orders", id, 1)
			return code
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, memregion.Options{})
			release := r.lag.hold()
			defer release()
			id := base.TopicID{5}
			err := r.Coord.Do(t.Context(), func(tx *coordinator.Tx) error {
				return tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
					TopicId: id[:], Name: "orders", Partitions: 1, ReplicationFactor: 3,
				}}})
			})
			if err != nil {
				t.Fatal(err)
			}
			r.waits(name, release, func() {
				if code := ask(r, id); code != 0 {
					t.Errorf("code %d", code)
				}
			})
		})
	}
}

// A4: an agent whose view lags when it starts serves nobody until it has reached the head, also what its view holds.
func TestStartsAtTheHead(t *testing.T) {
	const lead = 20
	r := newLaggingRig(t, memregion.Options{}, lead)
	r.waits("a client's first question", func() {
		for i := range byte(lead) {
			id := base.TopicID{i + 1}
			r.Emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{
				TopicId: id[:], Name: "t" + id.String(), Partitions: 1, ReplicationFactor: 3,
			}}})
		}
		r.lag.mu.Lock()
		defer r.lag.mu.Unlock()
		r.lag.lead = 0
	}, func() { r.Ask(r.cl, kmsg.NewPtrApiVersionsRequest()) })
	r.Until("the agent is ready", r.Agent.Ready)
}

// A3: what the view holds is served without a question to anybody, though the coordinator is away; what needs the head of the
// log gets a code that clients try again after, and recovers by itself.
func TestCoordinatorIsAway(t *testing.T) {
	r := newRig(t, memregion.Options{})
	id := r.CreateTopic(r.cl, "orders", 1)
	r.acked("orders", id, 3)
	r.CaughtUp()
	r.lag.setAway(true)
	release := r.lag.hold()
	defer release()
	if code, end, n := r.fetch("orders", id, 0); code != 0 || end != 3 || n == 0 {
		t.Errorf("a fetch of what the view has: code %d, end %d, %d bytes", code, end, n)
	}
	if code := r.metadata("orders"); code != 0 {
		t.Errorf("metadata of what the view has: code %d", code)
	}
	if code, _ := r.offset("orders", -1); kerr.ErrorForCode(code) == nil || !kerr.IsRetriable(kerr.ErrorForCode(code)) {
		t.Errorf("the latest offset: code %d", code)
	}
	if code, _, _ := r.fetch("orders", id, 9); kerr.ErrorForCode(code) == nil || !kerr.IsRetriable(kerr.ErrorForCode(code)) {
		t.Errorf("a fetch that may be out of range: code %d", code)
	}
	r.lag.setAway(false)
	release()
	if code, offset := r.offset("orders", -1); code != 0 || offset != 3 {
		t.Errorf("when it is back: code %d, offset %d", code, offset)
	}
}

// A fetch that waits at the end is woken by what the view learns.
func TestFetchWaits(t *testing.T) {
	r := newRig(t, memregion.Options{})
	id := r.CreateTopic(r.cl, "orders", 1)
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 5000, 1, 1<<20, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = "orders", id
	p := kmsg.NewFetchRequestTopicPartition()
	p.PartitionMaxBytes = 1 << 20
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	got := make(chan int, 1)
	other := r.Client()
	go func() {
		resp, err := other.SeedBrokers()[0].Request(context.Background(), req)
		if err != nil {
			got <- -1
			return
		}
		got <- len(resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches)
	}()
	r.acked("orders", id, 1)
	if n := <-got; n <= 0 {
		t.Fatalf("a waiting fetch got %d bytes", n)
	}
}
