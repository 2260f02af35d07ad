package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// member is a consumer process of a group, as a client is one: one request at a time, given up when no answer comes; it follows
// the codes, dies and comes back, leaves, and commits.
type member struct {
	pause
	g        *group
	number   int
	instance *string

	at         *Region // where it was a member
	id         string
	generation int32
	stage      stage
	join       *kmsg.JoinGroupResponse // to be synced
	call       int                     // number of the request under way
	sent       int64                   // when it was sent, 0 for none
	beat       int64                   // of the last heartbeat
	away       int64                   // it does not run before this time
	well       int                     // heartbeats without a complaint since it has an assignment
}

type stage int

const (
	joins stage = iota
	syncs
	reads
)

func (m *member) String() string {
	return fmt.Sprintf("member %d (%s) of %s", m.number, m.id, m.g.name)
}

func (m *member) step() {
	w := m.g.w
	r := w.operator.primary()
	switch {
	case w.faulty && m.away > w.now, m.sent > 0 && w.now-m.sent < m.patience():
		return
	case w.chance(500):
		m.crash()
		return
	case m.at != r: // its agents have gone: it finds those of the other region, and is still what it was
		m.at, m.stage = r, joins
	}
	m.sent = 0
	switch {
	case m.stage == joins:
		m.sendJoin()
	case m.stage == syncs:
		m.sendSync()
	case w.chance(400):
		m.leave()
	case w.now-m.beat > 3000:
		m.heartbeat()
	case w.faulty && w.rng.IntN(3) == 0:
		m.g.commit(m.at, m.id, m.generation, m.ask, m.committed)
	}
}

// patience is how long it waits for an answer: a rebalance takes time.
func (m *member) patience() int64 {
	if m.stage == reads {
		return 2000
	}
	return rebalanceMs + 5000
}

// crash is the end of the process. The next one knows nothing; a ghost of this one may still commit.
func (m *member) crash() {
	w := m.g.w
	w.logf("%s is killed", m)
	if m.generation > 0 {
		m.g.ghosts = append(m.g.ghosts, ghost{m.at, m.id, m.generation})
	}
	m.id, m.generation, m.stage, m.sent, m.well = "", 0, joins, 0, 0
	m.call++
	m.away = w.now + int64(w.rng.IntN(2*sessionMs))
}

// ask sends a request; then is called with the answer, unless it was given up.
func (m *member) ask(req kmsg.Request, then func(kmsg.Response)) {
	w := m.g.w
	m.call++
	call, id := m.call, m.id
	m.sent = w.now
	m.at.submit(func(tx *tx) {
		if tx == nil {
			return
		}
		tx.forwardFor(id, req, func(resp kmsg.Response, err error) {
			if m.call != call {
				return
			}
			m.sent = 0
			if err == nil {
				then(resp)
			}
		})
	})
}

func (m *member) sendJoin() {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.ProtocolType = 9, m.g.name, m.id, m.instance, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = sessionMs, rebalanceMs
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version, meta.Topics = 1, []string{topics[0].name}
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: meta.AppendTo(nil)}}
	m.well = 0
	m.ask(req, func(resp kmsg.Response) {
		j := resp.(*kmsg.JoinGroupResponse)
		switch {
		case j.ErrorCode == kerr.MemberIDRequired.Code:
			m.id = j.MemberID
		case j.ErrorCode == 0:
			m.id, m.generation, m.join, m.stage = j.MemberID, j.Generation, j, syncs
		default:
			m.told(j.ErrorCode)
		}
	})
}

func (m *member) sendSync() {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 5, m.g.name, m.id, m.instance, m.generation
	if m.join.LeaderID == m.id && !m.join.SkipAssignment {
		for _, x := range m.join.Members {
			req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: x.MemberID, MemberAssignment: fmt.Appendf(nil, "generation %d", m.generation)})
		}
	}
	m.ask(req, func(resp kmsg.Response) {
		s := resp.(*kmsg.SyncGroupResponse)
		if s.ErrorCode != 0 {
			m.told(s.ErrorCode)
			return
		}
		if want := fmt.Sprintf("generation %d", m.generation); string(s.MemberAssignment) != want {
			m.g.w.fail("K10: %s asked for the assignment of generation %d and was given that of %q", m, m.generation, s.MemberAssignment)
		}
		m.stage, m.beat = reads, m.g.w.now
		m.g.w.logf("%s has its part of generation %d", m, m.generation)
	})
}

func (m *member) heartbeat() {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, m.g.name, m.id, m.instance, m.generation
	m.ask(req, func(resp kmsg.Response) {
		m.beat = m.g.w.now
		if m.told(resp.(*kmsg.HeartbeatResponse).ErrorCode); m.stage == reads {
			m.well++
		}
	})
}

func (m *member) committed(code int16) { m.told(code) }

func (m *member) leave() {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = 5, m.g.name
	x := kmsg.NewLeaveGroupRequestMember()
	x.MemberID, x.InstanceID = m.id, m.instance
	req.Members = append(req.Members, x)
	m.ask(req, func(kmsg.Response) {
		m.g.w.logf("%s has left", m)
		m.id, m.generation, m.stage, m.well = "", 0, joins, 0
		m.away = m.g.w.now + int64(m.g.w.rng.IntN(sessionMs))
	})
}

// told follows a code.
func (m *member) told(code int16) {
	switch code {
	case 0:
	case kerr.UnknownTopicID.Code, kerr.UnknownTopicOrPartition.Code: // it was deleted meanwhile
		return
	case kerr.UnknownMemberID.Code, kerr.FencedInstanceID.Code, kerr.GroupIDNotFound.Code, kerr.GroupMaxSizeReached.Code:
		m.id, m.generation, m.stage = "", 0, joins
	case kerr.IllegalGeneration.Code, kerr.RebalanceInProgress.Code, kerr.NotCoordinator.Code:
		m.stage = joins
	default:
		m.g.w.fail("%s: %v", m, kerr.ErrorForCode(code))
	}
	if code != 0 {
		m.well = 0
		m.g.w.logf("%s is told %v", m, kerr.TypedErrorForCode(code).Message)
	}
}

// ghost is a process that is no member any more and does not know.
type ghost struct {
	at         *Region
	id         string
	generation int32
}

// tpOf is a partition that somebody may commit for, false when there is none.
func (g *group) tpOf(r *Region) (base.TopicPartition, bool) {
	if len(g.w.producers) == 0 {
		return base.TopicPartition{}, false
	}
	tp := g.w.producers[g.w.rng.IntN(len(g.w.producers))].tp
	t, ok := r.oracle.Show(tp.Topic)
	return tp, ok && t.Partition(tp.Partition) != nil
}
