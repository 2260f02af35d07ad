package differential

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var offsetKinds = []kind{
	{6, (*world).offsetCommit},
	{5, (*world).offsetFetch},
	{3, (*world).offsetDelete},
	{2, (*world).findCoordinator},
}

func (w *world) group() string { return fmt.Sprint(w.prefix, "g", min(w.IntN(2), w.IntN(3))) }

// anyGroup draws a group that nobody has now and then.
func (w *world) anyGroup() string {
	if w.in(8) {
		return pick(w, w.prefix+"nogroup", "")
	}
	return w.group()
}

// committer is who commits: nobody in particular, a member, or somebody who is no member any more.
type committer struct {
	member string // "" for none
	wrong  int32  // added to the generation
	none   bool   // a generation without a member
	id     string // of a member that nobody knows
	named  bool   // by instance id, where it has one
}

func (w *world) committer(group string) committer {
	c := committer{}
	if w.in(50) {
		c.member = group + "/" + w.slot()
		if w.in(20) {
			c.wrong = pick[int32](w, -1, 1)
		}
	}
	if w.in(8) {
		c.none = true
	}
	if w.in(8) {
		c.id = "nobody"
	}
	c.named = w.in(50)
	return c
}

// as gives member id, generation and instance id.
func (c committer) as(s *side, group string) (string, int32, *string) {
	id, generation := "", int32(-1)
	var instance *string
	if c.member != "" && s.members[c.member] != "" {
		id, generation = s.members[c.member], s.round[group]+c.wrong
		if c.named {
			instance = instanceOf(c.member)
		}
	}
	if c.none {
		generation = 1
	}
	if c.id != "" {
		id = c.id
	}
	return id, generation, instance
}

func (w *world) offsetCommit() step {
	version := w.version(2, 10)
	group := w.group()
	if w.in(5) {
		group = w.prefix + "nogroup"
	}
	who := w.committer(group)
	at := w.places()
	var offsets []int64
	for range at {
		offset := int64(w.IntN(100))
		if w.in(5) {
			offset = -1
		}
		offsets = append(offsets, offset)
	}
	epoch := pick[int32](w, -1, 3)
	metadata := pick(w, nil, kmsg.StringPtr(""), kmsg.StringPtr("m"), kmsg.StringPtr("m"))
	if w.in(4) {
		metadata = kmsg.StringPtr(strings.Repeat("m", 5000))
	}
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group = version, group
		req.MemberID, req.Generation, req.InstanceID = who.as(s, group)
		for i, p := range at {
			t := kmsg.NewOffsetCommitRequestTopic()
			if t.Topic = p.topic; version >= 10 {
				t.Topic, t.TopicID = "", p.id(s)
			}
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.partition, offsets[i], epoch, metadata
			t.Partitions = append(t.Partitions, rp)
			req.Topics = append(req.Topics, t)
		}
		return req
	}, nil)
}

func (w *world) offsetFetch() step {
	version := w.version(1, 10)
	var groups []string
	for range w.some() {
		groups = append(groups, w.anyGroup())
	}
	all := version >= 2 && w.in(40)
	at := w.places()
	return one("main", func(s *side) kmsg.Request {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = version, groups[0]
		for _, name := range groups {
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = name
			if name == "" && version >= 8 && all {
				continue // it has the offsets of all sequences
			}
			for _, p := range at {
				t := kmsg.NewOffsetFetchRequestGroupTopic()
				if t.Topic = p.topic; version >= 10 {
					t.Topic, t.TopicID = "", p.id(s)
				}
				if t.Partitions = []int32{p.partition}; !all {
					g.Topics = append(g.Topics, t)
				}
			}
			req.Groups = append(req.Groups, g)
		}
		for _, p := range at {
			t := kmsg.NewOffsetFetchRequestTopic()
			if t.Topic, t.Partitions = p.topic, []int32{p.partition}; !all {
				req.Topics = append(req.Topics, t)
			}
		}
		return req
	}, nil)
}

func (w *world) offsetDelete() step {
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = w.anyGroup()
	for _, p := range w.places() {
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic = p.topic
		rp := kmsg.NewOffsetDeleteRequestTopicPartition()
		rp.Partition = p.partition
		t.Partitions = append(t.Partitions, rp)
		req.Topics = append(req.Topics, t)
	}
	return plain(req)
}

func (w *world) findCoordinator() step {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version = w.version(0, 6)
	req.CoordinatorKey = w.anyGroup()
	if req.Version >= 1 {
		req.CoordinatorType = pick[int8](w, 0, 0, 0, 1, 2, 7)
	}
	for range w.some() {
		req.CoordinatorKeys = append(req.CoordinatorKeys, w.anyGroup())
	}
	return plain(req)
}
