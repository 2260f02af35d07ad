package coordinator

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Client says who sent a forwarded request.
type Client struct {
	ID   string
	Host string
}

// Forward answers a request that an agent passes on as a Kafka message: topics, producer ids, groups. The answer is
// released only once the log has confirmed what it was computed from. base.ErrReadOnly: the region is fenced, or the
// group is not this region's.
func (c *Coordinator) Forward(ctx context.Context, client Client, req kmsg.Request) (kmsg.Response, error) {
	type answer struct {
		resp kmsg.Response
		err  error
	}
	answers := make(chan answer, 1)
	over := c.termOver()
	err := c.submit(ctx, func(tx *Tx) {
		if tx == nil {
			answers <- answer{err: errNotLeading}
			return
		}
		tx.dispatch(client, req, func(resp kmsg.Response, err error) { answers <- answer{resp, err} })
	})
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		return a.resp, a.err
	case <-over:
		return nil, errNotLeading
	case <-ctx.Done():
		return nil, fmt.Errorf("answer of the coordinator: %w: %w", base.ErrUnavailable, context.Cause(ctx))
	}
}

// dispatch runs one forwarded request. answer is called once: when the log has confirmed, or when the term ends.
func (tx *Tx) dispatch(client Client, req kmsg.Request, answer func(kmsg.Response, error)) {
	// now releases an answer that is complete already.
	now := func(resp kmsg.Response, result error) {
		tx.reply(func(err error) {
			if err == nil {
				err = result
			}
			if err != nil {
				answer(nil, err)
				return
			}
			answer(resp, nil)
		})
	}
	if tx.l.c.fenced.Load() {
		now(nil, fmt.Errorf("this region is fenced: %w", base.ErrReadOnly))
		return
	}
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		now(tx.createTopics(r), nil)
	case *kmsg.DeleteTopicsRequest:
		now(tx.deleteTopics(r), nil)
	case *kmsg.CreatePartitionsRequest:
		now(tx.createPartitions(r), nil)
	case *kmsg.DeleteRecordsRequest:
		now(tx.deleteRecords(r), nil)
	case *kmsg.IncrementalAlterConfigsRequest:
		now(tx.incrementalAlterConfigs(r), nil)
	case *kmsg.AlterConfigsRequest:
		now(tx.replaceConfigs(r), nil)
	case *kmsg.DescribeProducersRequest:
		now(tx.describeProducers(r), nil)
	case *kmsg.InitProducerIDRequest:
		now(tx.initProducerID(r), nil)
	case *kmsg.OffsetCommitRequest:
		now(tx.commitOffsets(r))
	case *kmsg.OffsetFetchRequest:
		now(tx.fetchOffsets(r))
	case *kmsg.OffsetDeleteRequest:
		now(tx.deleteOffsets(r))
	case *kmsg.DeleteGroupsRequest:
		now(tx.deleteGroups(r), nil)
	case *kmsg.ListGroupsRequest:
		now(tx.listGroups(r), nil)
	case *kmsg.DescribeGroupsRequest:
		now(tx.describeGroups(r), nil)
	default:
		tx.dispatchGroup(client, req, answer, now)
	}
}

// dispatchGroup runs the membership APIs, whose answers may come much later.
func (tx *Tx) dispatchGroup(client Client, req kmsg.Request, answer, now func(kmsg.Response, error)) {
	at := tx.l.c.cfg.Now()
	var e groups.Effects
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		if err := tx.groupIsOurs(r.Group); err != nil {
			now(nil, err)
			return
		}
		e = tx.l.groups.Join(at, groups.Client{ID: client.ID, Host: client.Host}, r, func(x *kmsg.JoinGroupResponse) { answer(x, nil) })
	case *kmsg.SyncGroupRequest:
		if err := tx.groupIsOurs(r.Group); err != nil {
			now(nil, err)
			return
		}
		e = tx.l.groups.Sync(at, r, func(x *kmsg.SyncGroupResponse) { answer(x, nil) })
	case *kmsg.HeartbeatRequest:
		if err := tx.groupIsOurs(r.Group); err != nil {
			now(nil, err)
			return
		}
		e = tx.l.groups.Heartbeat(at, r, func(x *kmsg.HeartbeatResponse) { answer(x, nil) })
	case *kmsg.LeaveGroupRequest:
		if err := tx.groupIsOurs(r.Group); err != nil {
			now(nil, err)
			return
		}
		e = tx.l.groups.Leave(at, r, func(x *kmsg.LeaveGroupResponse) { answer(x, nil) })
	default:
		now(nil, fmt.Errorf("request %T is not one that the coordinator answers: %w", req, base.ErrVersion))
		return
	}
	tx.effects(e)
}

// effects appends what the group machine decided and queues its answers behind it. When the term ends before the
// answers are confirmed, the machine's callers get a retriable code instead: members ask again, and find the durable
// part of the group as it was.
func (tx *Tx) effects(e groups.Effects) {
	for _, ev := range e.Events {
		tx.l.emit(tx.l.c.cfg.Now(), ev)
	}
	for _, reply := range e.Replies {
		tx.reply(func(err error) {
			if err == nil {
				reply()
			}
		})
	}
}

// groupIsOurs refuses groups while a link shadows: a client that arrives before the flip waits and loses nothing.
func (tx *Tx) groupIsOurs(group string) error {
	for _, l := range tx.State().Links() {
		if l.Active() && !l.LocalGroup(group) {
			return fmt.Errorf("group %q belongs to the source of link %q until a failover: %w", group, l.Name(), base.ErrReadOnly)
		}
	}
	return nil
}

// idBlock is a run of producer ids that the log has given to this term.
type idBlock struct{ next, end int64 }

// producerIDsBlock is how many ids one event reserves; what a term does not use is never given out.
const producerIDsBlock = 1000

func (tx *Tx) initProducerID(req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	if req.TransactionalID != nil {
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		resp.ProducerID, resp.ProducerEpoch = -1, -1
		return resp
	}
	ids := &tx.l.ids
	if ids.next == ids.end {
		first := tx.State().NextProducerID()
		ev := &metalogpb.ProducerIdsAllocated{Next: first + producerIDsBlock}
		if err := tx.Emit(&metalogpb.Event{Kind: &metalogpb.Event_ProducerIdsAllocated{ProducerIdsAllocated: ev}}); err != nil {
			resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = kerr.CoordinatorNotAvailable.Code, -1, -1
			return resp
		}
		*ids = idBlock{next: first, end: first + producerIDsBlock}
	}
	resp.ProducerID, resp.ProducerEpoch = ids.next, 0
	ids.next++
	return resp
}

// topicOfOffset finds the topic that an offset is committed for, among those that this region shows.
func topicOfOffset(st *state.State, name string, id [16]byte) (state.Shadowed, bool) {
	if name == "" {
		return st.Show(id)
	}
	return st.ShowByName(name)
}
