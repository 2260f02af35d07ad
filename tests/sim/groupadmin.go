package sim

import (
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Copies of a request that may come: it is sent twice now and then.
const copiesMax = 2

func (g *group) deleteGroup(r *Region) {
	name := g.any()
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{name}
	g.w.check.book(r).deletes[name] += copiesMax
	g.w.logf("%s: delete %s in region %s", g, name, r.name)
	from := g.w.check.instant(r)
	g.ask(r)(req, func(resp kmsg.Response) {
		if resp.(*kmsg.DeleteGroupsResponse).Groups[0].ErrorCode == 0 {
			g.told(r, from, name+" is deleted", func(p past) bool { return p.groups[name] == nil })
		}
	})
}

func (g *group) deleteOffset(r *Region) {
	tp, ok := g.tpOf(r)
	if !ok {
		return
	}
	name := g.any()
	t, _ := r.oracle.Show(tp.Topic)
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = name
	p := kmsg.NewOffsetDeleteRequestTopicPartition()
	p.Partition = tp.Partition
	req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: t.Info().Name, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{p}}}
	g.w.check.book(r).deletes[name] += copiesMax
	from := g.w.check.instant(r)
	g.ask(r)(req, func(resp kmsg.Response) {
		if x := resp.(*kmsg.OffsetDeleteResponse); x.ErrorCode == 0 && x.Topics[0].Partitions[0].ErrorCode == 0 {
			g.told(r, from, fmt.Sprintf("%s has no offset of %s", name, tp), func(p past) bool {
				has := false
				if m := p.groups[name]; m != nil {
					_, has = m.offsets[tp]
				}
				return !has
			})
		}
	})
}

// fetchOffsets asks for all that a group has committed.
func (g *group) fetchOffsets(r *Region) {
	name := g.any()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version = 10
	of := kmsg.NewOffsetFetchRequestGroup()
	of.Group = name
	req.Groups = []kmsg.OffsetFetchRequestGroup{of}
	from := g.w.check.instant(r)
	g.ask(r)(req, func(resp kmsg.Response) {
		have := map[base.TopicPartition]base.Offset{}
		for _, t := range resp.(*kmsg.OffsetFetchResponse).Groups[0].Topics {
			for _, p := range t.Partitions {
				have[base.TopicPartition{Topic: t.TopicID, Partition: p.Partition}] = base.Offset(p.Offset)
			}
		}
		g.told(r, from, fmt.Sprintf("%s has committed %v", name, have), func(p past) bool {
			want := map[base.TopicPartition]base.Offset{}
			if m := p.groups[name]; m != nil {
				for tp, o := range m.offsets {
					if p.topics[tp.Topic] != nil { // at B there may be offsets of what its link left out
						want[tp] = o.offset
					}
				}
			}
			return maps.Equal(have, want)
		})
	})
}

// list asks which groups there are. One that has members may be there before the log has it.
func (g *group) list(r *Region) {
	from := g.w.check.instant(r)
	g.ask(r)(kmsg.NewPtrListGroupsRequest(), func(resp kmsg.Response) {
		listed := map[string]bool{}
		for _, x := range resp.(*kmsg.ListGroupsResponse).Groups {
			listed[x.Group] = true
		}
		g.told(r, from, fmt.Sprintf("there are %v", listed), func(p past) bool {
			return listed[g.simple()] == (p.groups[g.simple()] != nil) && (listed[g.name] || p.groups[g.name] == nil)
		})
	})
}

// any is the group or the simple one.
func (g *group) any() string { return []string{g.name, g.simple()}[g.w.rng.IntN(2)] }

// told holds K16: what somebody was told was so at some instant since it asked.
func (g *group) told(r *Region, from int, what string, so func(past) bool) {
	if !g.w.check.sometime(r, from, so) {
		g.w.fail("K16: %s was told by region %s: %s; at no time since was it so", g, r.name, what)
	}
}
