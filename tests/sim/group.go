package sim

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// group is a consumer group with its members, and what comes from outside of them: ghosts of former members that commit, an
// administrator who deletes offsets and the group, and another group of that kind without members ("simple").
type group struct {
	pause
	w       *World
	name    string
	members []*member
	ghosts  []ghost
	sent    int64
}

func newGroup(w *World, name string) *group {
	g := &group{w: w, name: name}
	for i := range 3 {
		m := &member{g: g, number: i}
		if i == 0 {
			m.instance = kmsg.StringPtr(name + "-static")
		}
		g.members = append(g.members, m)
	}
	return g
}

func (g *group) String() string { return "group " + g.name }

// simple is the group without members beside this one.
func (g *group) simple() string { return g.name + "-simple" }

func (g *group) step() {
	w := g.w
	if g.sent > 0 && w.now-g.sent < 2000 {
		return
	}
	g.sent = 0
	r := w.operator.primary()
	switch {
	case w.chance(12) && len(g.ghosts) > 0:
		x := g.ghosts[w.rng.IntN(len(g.ghosts))]
		g.commit(x.at, x.id, x.generation, g.ask(x.at), func(int16) {})
	case w.chance(60):
		g.deleteGroup(r)
	case w.chance(25):
		g.deleteOffset(r)
	case w.chance(6):
		g.fetchOffsets(r)
	case w.chance(20):
		g.list(r)
	case w.faulty && w.rng.IntN(4) == 0:
		g.commitAs(g.simple(), r, "", -1, g.ask(r), func(int16) {})
	}
}

// ask sends a request to a region on nobody's behalf; now and then twice, and then there are two answers.
func (g *group) ask(r *Region) asker {
	return func(req kmsg.Request, then func(kmsg.Response)) {
		sent := g.w.now
		g.sent = sent
		once := func() { g.submit(r, sent, req, then) }
		once()
		if _, commits := req.(*kmsg.OffsetCommitRequest); !commits && g.w.chance(5) {
			once()
		}
	}
}

func (g *group) submit(r *Region, sent int64, req kmsg.Request, then func(kmsg.Response)) {
	r.submit(func(tx *tx) {
		if tx == nil {
			return
		}
		tx.forward(req, func(resp kmsg.Response, err error) {
			if g.sent == sent {
				g.sent = 0
			}
			if err == nil {
				then(resp)
			}
		})
	})
}

type asker func(req kmsg.Request, then func(kmsg.Response))

func (g *group) commit(r *Region, id string, generation int32, ask asker, told func(int16)) {
	g.commitAs(g.name, r, id, generation, ask, told)
}

// commitAs commits some offset of some partition: most go on, some go back.
func (g *group) commitAs(name string, r *Region, id string, generation int32, ask asker, told func(int16)) {
	w := g.w
	tp, ok := g.tpOf(r)
	if !ok {
		return
	}
	t, _ := r.oracle.Show(tp.Topic)
	offset := int64(offsetIn(r.oracle, name, tp))
	if end := int64(t.Partition(tp.Partition).End); end > offset {
		offset += 1 + w.rng.Int64N(end-offset)
	}
	if w.rng.IntN(6) == 0 {
		offset = w.rng.Int64N(offset + 1)
	}
	x := w.check.attempted(r, name, id, generation, tp, offset)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = 10, name, id, generation
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = tp.Partition, offset, -1, kmsg.StringPtr(x.tag)
	req.Topics = []kmsg.OffsetCommitRequestTopic{{TopicID: tp.Topic, Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	ask(req, func(resp kmsg.Response) {
		code := resp.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
		if code == 0 {
			w.check.committed(x)
		}
		told(code)
	})
}

// unsettled says which member has no part of the present generation (K9); "" for none.
func (g *group) unsettled() string {
	r := g.w.operator.primary()
	for _, m := range g.members {
		if m.at != r || m.stage != reads || m.well < 2 || m.generation != g.members[0].generation {
			return fmt.Sprintf("%s is not settled: stage %d, generation %d", m, m.stage, m.generation)
		}
	}
	return ""
}

// offsetIn is a group's committed offset in a state, 0 when it has none.
func offsetIn(st *state.State, group string, tp base.TopicPartition) base.Offset {
	if g := st.Group(group); g != nil {
		return g.Offsets[tp].Offset
	}
	return 0
}
