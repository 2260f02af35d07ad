package coordinator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// wide is a leader with a topic of many partitions.
func wide(t *testing.T, partitions int32, limits Limits) *member {
	t.Helper()
	c := newCluster(t)
	m := c.start("one", func(cfg *Config) { cfg.Limits, cfg.OffsetsRetention = limits, time.Hour })
	m.until("leads", m.Leading)
	id := base.TopicID{9}
	err := m.emit(&metalogpb.Event{Kind: &metalogpb.Event_TopicCreated{TopicCreated: &metalogpb.TopicCreated{TopicId: id[:], Name: "wide", Partitions: partitions}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// commitWide commits partitions of the wide topic, and returns what each got.
func (m *member) commitWide(group, metadata string, partitions ...int32) (out []int16) {
	m.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.Generation = 7, group, -1
	topic := kmsg.OffsetCommitRequestTopic{Topic: "wide"}
	for _, i := range partitions {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = i, 7, -1, kmsg.StringPtr(metadata)
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	for _, p := range ask[*kmsg.OffsetCommitResponse](m, req).Topics[0].Partitions {
		out = append(out, p.ErrorCode)
	}
	return out
}

// look looks at the working state.
func (m *member) look(fn func(*state.State)) {
	m.t.Helper()
	if err := m.Do(m.t.Context(), func(tx *Tx) error { fn(tx.State()); return nil }); err != nil {
		m.t.Fatal(err)
	}
}

// upTo is 0 to n-1.
func upTo(n int32) (out []int32) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// A group has so many offsets and no more; all offsets together have so many bytes. Who replaces an offset by one that is no
// larger always may.
func TestOffsetLimits(t *testing.T) {
	t.Parallel()
	limits := Limits{OffsetsPerGroup: 3, OffsetBytes: 6*offsetBytes + 10}
	m := wide(t, 9, limits)
	long := strings.Repeat("m", 10)
	for _, step := range []struct {
		what, group, metadata string
		partitions            []int32
		want                  []int16
	}{
		{"to the limit of the group", "g", "", []int32{0, 1}, []int16{0, 0}},
		{"beyond it", "g", "", []int32{2, 3}, []int16{0, tooMuch}},
		{"what it has", "g", "", []int32{0, 1, 2}, []int16{0, 0, 0}},
		{"what it has, and one", "g", "", []int32{0, 4}, []int16{0, tooMuch}},
		{"to the limit of the bytes", "h", "", []int32{0, 1}, []int16{0, 0}},
		{"metadata to the limit", "g", long[:6], []int32{0}, []int16{0}},
		{"an offset fits, its metadata does not", "h", long[:5], []int32{2}, []int16{tooMuch}},
		{"it fits", "h", long[:4], []int32{2}, []int16{0}},
		{"one byte more", "g", long[:7], []int32{0}, []int16{tooMuch}},
		{"no more", "i", "", []int32{0}, []int16{tooMuch}},
		{"as much", "g", long[:6], []int32{0}, []int16{0}},
		{"less, and in turn more", "g", "", []int32{0}, []int16{0}},
		{"for another", "h", long, []int32{2}, []int16{0}},
	} {
		if got := m.commitWide(step.group, step.metadata, step.partitions...); !slices.Equal(got, step.want) {
			t.Errorf("%s: codes %v, want %v", step.what, got, step.want)
		}
	}
	var has state.Counts
	m.look(func(st *state.State) { has = st.Counts() })
	if has.Offsets != 6 || has.OffsetMetadata != 10 {
		t.Errorf("%+v", has)
	}
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"g"}
	ask[*kmsg.DeleteGroupsResponse](m, del)
	if got := m.commitWide("i", "", 0, 1, 2); !slices.Equal(got, []int16{0, 0, 0}) {
		t.Errorf("after another group was deleted: %v", got)
	}
}

// More offsets than an entry of the log takes are refused as what they are, and the leader goes on; offsets of a large group
// expire although not all of them fit one event.
func TestManyOffsets(t *testing.T) {
	t.Parallel()
	const n = 40_000
	m := wide(t, n, Limits{})
	if got := m.commitWide("g", "", upTo(n)...); slices.ContainsFunc(got, func(code int16) bool { return code != tooMuch }) {
		t.Errorf("too many offsets for one entry: %v", kerr.ErrorForCode(got[0]))
	}
	for i := range int32(4) {
		if got := m.commitWide("g", "", upTo(n)[i*n/4:(i+1)*n/4]...); slices.ContainsFunc(got, func(code int16) bool { return code != 0 }) {
			t.Fatal(got[:3])
		}
	}
	// One of another topic that is younger keeps the group, so that it does not go as a whole.
	if err := m.emit(created("x")); err != nil {
		t.Fatal(err)
	}
	offsets := func() (n int) {
		m.look(func(st *state.State) { n = len(st.Group("g").Offsets) })
		return n
	}
	var seen []int
	for range 12 {
		m.commits("g", -1, "", "x")
		m.pass(10 * time.Minute)
		if left := offsets(); len(seen) == 0 || seen[len(seen)-1] != left {
			seen = append(seen, left)
		}
	}
	if want := []int{40_001, 30_001, 20_001, 10_001, 1}; !slices.Equal(seen, want) {
		t.Errorf("offsets left: %v, want %v", seen, want)
	}
}
