package coordinator

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// doomed is a topic as DeleteTopics names it: by name or by id.
type doomed struct {
	name *string
	id   base.TopicID
}

// deleteTopics answers DeleteTopics. A topic that is named twice, be it once by name and once by id, stays.
func (tx *Tx) deleteTopics(req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	var all []doomed
	for _, name := range req.TopicNames {
		all = append(all, doomed{name: kmsg.StringPtr(name)})
	}
	for _, t := range req.Topics {
		all = append(all, doomed{t.Topic, t.TopicID})
	}
	times := map[base.TopicID]int{}
	for _, d := range all {
		if shown, found := tx.doomed(d); found {
			times[shown.Info().ID]++
		}
	}
	named, answered := newNames(all, (*doomed).key), map[base.TopicID]bool{}
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	for _, d := range all {
		if named.before(d.key()) {
			continue
		}
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = d.name, d.id
		shown, found := tx.doomed(d)
		if found && answered[shown.Info().ID] {
			continue // it was asked for by its name, and by its id besides
		}
		err := named.once(d.key())
		switch {
		case err != nil:
		case (d.name == nil) == (d.id == base.TopicID{}):
			err = fail(kerr.InvalidRequest, "a topic is named by its name or by its id")
		case !found && d.name == nil:
			err = fail(kerr.UnknownTopicID, "no such topic")
		case !found:
			err = fail(kerr.UnknownTopicOrPartition, "no such topic")
		default:
			out.Topic, out.TopicID = kmsg.StringPtr(shown.Info().Name), shown.Info().ID
			answered[out.TopicID] = true
			if times[out.TopicID] > 1 {
				err = fail(kerr.InvalidRequest, "topic %q is named by its name and by its id", *out.Topic)
			} else {
				err = tx.deleteTopic(shown)
			}
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.err.Code, kmsg.StringPtr(err.message)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// key tells a name from an id: no name has a zero byte.
func (d *doomed) key() string {
	if d.name != nil {
		return *d.name
	}
	return "\x00" + string(d.id[:])
}

func (tx *Tx) doomed(d doomed) (state.Shadowed, bool) {
	if d.name != nil {
		return tx.State().ShowByName(*d.name)
	}
	return tx.State().Show(d.id)
}

func (tx *Tx) deleteTopic(t state.Shadowed) *apiError {
	info := t.Info()
	if !t.Writable() {
		return fail(kerr.PolicyViolation, "topic %q is shadowed by link %q: delete it at the source", info.Name, t.Link.Name())
	}
	return tx.change(&metalogpb.Event{Kind: &metalogpb.Event_TopicDeleted{TopicDeleted: &metalogpb.TopicDeleted{TopicId: info.ID[:]}}})
}
