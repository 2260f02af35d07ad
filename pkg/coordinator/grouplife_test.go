package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator/groups"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// C7: leaders come and go; members of a stable group, static or not, notice nothing: same generation, same assignment, and what they
// commit is taken.
func TestLeadersChangeUnderAGroup(t *testing.T) {
	t.Parallel()
	c, first := withTopic(t)
	second := c.start("two", nil)
	all := consumers(t, "g", 4, first, second)
	generation := all[0].generation
	for round := range 5 {
		c.server.ExpireLeader()
		for i, x := range all {
			if code := x.heartbeats(); code != 0 {
				t.Fatalf("round %d: heartbeat of member %d: %v", round, i, kerr.ErrorForCode(code))
			}
			if code, err := x.syncs(&kmsg.JoinGroupResponse{}); err != nil || code != 0 || x.assignment != "for "+x.id {
				t.Fatalf("round %d: member %d has %q: %d, %v", round, i, x.assignment, code, err)
			}
			if code := x.commit(int64(round)); code != 0 || x.generation != generation {
				t.Fatalf("round %d: commit of member %d under %d: %v", round, i, x.generation, kerr.ErrorForCode(code))
			}
		}
	}
}

// The leader is lost in the middle of a rebalance: who waits is answered, and all find together under another leader.
func TestLeaderLostInARebalance(t *testing.T) {
	t.Parallel()
	c, first := withTopic(t)
	second := c.start("two", nil)
	all := consumers(t, "g", 2, first, second)
	late := &consumer{t: t, members: all[0].members, group: "g"}
	ended := make(chan error, 3)
	go func() { ended <- late.settles() }()
	for deadline := time.Now().Add(patience); all[0].heartbeats() != kerr.RebalanceInProgress.Code; {
		if time.Now().After(deadline) {
			t.Fatal("no rebalance")
		}
	}
	c.server.ExpireLeader()
	for _, x := range all {
		go func() { ended <- x.settles() }()
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	if all[0].generation != late.generation || all[1].generation != late.generation {
		t.Errorf("generations %d, %d, %d", all[0].generation, all[1].generation, late.generation)
	}
}

// A leader that was stopped (SIGSTOP) and still leads, and one whose log did not answer, expire nobody for that time; a member that
// is silent for a session of working time is gone.
func TestSleepExpiresNobody(t *testing.T) {
	t.Parallel()
	c, m := withTopic(t)
	alive := consumers(t, "g", 2, m)
	look := func() {
		t.Helper()
		for _, x := range alive {
			if code := x.heartbeats(); code != 0 {
				t.Fatalf("heartbeat: %v", kerr.ErrorForCode(code))
			}
		}
	}
	c.clock.advance(time.Hour) // nothing ran
	m.pass(9 * time.Second)
	look()

	entered, release := c.faults.block("append")
	answer := make(chan error, 1)
	go func() { answer <- m.emit(created("y")) }()
	<-entered
	for range 40 { // the loop is at work, the log does not answer
		c.clock.advance(time.Second)
		looked := make(chan struct{})
		if err := m.submit(t.Context(), func(tx *Tx) { tx.l.tickGroups(); close(looked) }); err != nil {
			t.Fatal(err)
		}
		<-looked // else the loop would take it for a pause of its own
	}
	release()
	if err := <-answer; err != nil {
		t.Fatal(err)
	}
	m.pass(9 * time.Second)
	look()
	m.pass(2 * time.Second)
	look()
	m.pass(11 * time.Second)
	for _, x := range alive {
		if code := x.heartbeats(); code != kerr.UnknownMemberID.Code {
			t.Errorf("a silent member: %v", kerr.ErrorForCode(code))
		}
	}
}

// Who may commit (KIP-848's codes from version 9 on), and what is kept with an offset: leader epoch (KIP-320) and metadata.
func TestWhoCommits(t *testing.T) {
	t.Parallel()
	c, m := withTopic(t)
	limited := func(cfg *Config) { cfg.Groups = groups.Config{MaxGroups: 3} }
	m.end()
	m = c.start("limited", limited)
	m.until("leads", m.Leading)
	commit := func(req *kmsg.OffsetCommitRequest) int16 {
		t.Helper()
		return ask[*kmsg.OffsetCommitResponse](m, req).Topics[0].Partitions[0].ErrorCode
	}
	x := consumers(t, "members", 1, m)[0]
	long := commitOf("simple", "", -1, 7, 3)
	long.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(strings.Repeat("m", OffsetMetadataBytesMax+1))
	for _, step := range []struct {
		what string
		req  *kmsg.OffsetCommitRequest
		want int16
	}{
		{"a generation of nobody, old version", commitOf("nobody", "m", 3, 8, 1), kerr.IllegalGeneration.Code},
		{"a generation of nobody", commitOf("nobody", "m", 3, 9, 1), kerr.GroupIDNotFound.Code},
		{"simple", commitOf("simple", "", -1, 7, 3), 0},
		{"simple, back", commitOf("simple", "", -1, 7, 2), 0},
		{"too much metadata", long, kerr.OffsetMetadataTooLarge.Code},
		{"a generation of a simple group", commitOf("simple", "m", 3, 9, 1), kerr.UnknownMemberID.Code},
		{"empty group id", commitOf("", "", -1, 7, 3), 0},
		{"one group too many", commitOf("fourth", "", -1, 7, 3), kerr.InvalidCommitOffsetSize.Code},
		{"group id too long", commitOf(strings.Repeat("g", groups.GroupIDBytesMax+1), "", -1, 7, 3), kerr.InvalidGroupID.Code},
		{"simple, beside members", commitOf("members", "", -1, 7, 3), kerr.UnknownMemberID.Code},
		{"a member", commitOf("members", x.id, x.generation, 9, 3), 0},
		{"its former generation", commitOf("members", x.id, x.generation-1, 9, 3), kerr.IllegalGeneration.Code},
		{"without a generation", commitOf("members", x.id, -1, 9, 3), kerr.IllegalGeneration.Code},
	} {
		if code := commit(step.req); code != step.want {
			t.Errorf("%s: %v, want %v", step.what, kerr.ErrorForCode(code), kerr.ErrorForCode(step.want))
		}
	}
	for _, version := range []int16{7, 8} {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = version, "simple"
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "x", Partitions: []int32{0}}}
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "simple"}}
		resp := ask[*kmsg.OffsetFetchResponse](m, req)
		var got string
		if version < 8 {
			p := resp.Topics[0].Partitions[0]
			got = fmt.Sprint(p.Offset, p.LeaderEpoch, *p.Metadata)
		} else {
			p := resp.Groups[0].Topics[0].Partitions[0]
			got = fmt.Sprint(p.Offset, p.LeaderEpoch, *p.Metadata)
		}
		if got != "2 5note" {
			t.Errorf("version %d: %s", version, got)
		}
	}
}

// offsets.retention.minutes (KIP-211): what expires, when, and what does not.
func TestOffsetsExpire(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.start("one", func(cfg *Config) { cfg.OffsetsRetention = time.Hour })
	m.until("leads", m.Leading)
	for _, name := range []string{"x", "y"} {
		if err := m.emit(created(name)); err != nil {
			t.Fatal(err)
		}
	}
	read := m.reads("members", "consumer", subscribed("x"))
	connect := m.reads("connect", "connect", nil)
	m.commits("members", 1, read, "x", "y")
	m.commits("connect", 1, connect, "x")
	gone := m.reads("left", "consumer", subscribed("x"))
	m.commits("left", 1, gone, "x", "y")
	m.commits("simple", -1, "", "x", "y")
	// later lets time pass, with heartbeats of who is a member, and says what is left.
	later := func(d time.Duration) string {
		t.Helper()
		for range int(d / (5 * time.Second)) {
			m.pass(5 * time.Second)
			for group, id := range map[string]string{"members": read, "connect": connect, "left": gone} {
				req := kmsg.NewPtrHeartbeatRequest()
				req.Version, req.Group, req.MemberID, req.Generation = 3, group, id, 1
				if id != "" && ask[*kmsg.HeartbeatResponse](m, req).ErrorCode != 0 {
					t.Fatalf("%s lost its member", group)
				}
			}
		}
		var left []string
		for _, g := range ask[*kmsg.ListGroupsResponse](m, kmsg.NewPtrListGroupsRequest()).Groups {
			left = append(left, fmt.Sprint(g.Group, m.committed(g.Group, "x", "y")))
		}
		return strings.Join(left, " ")
	}
	if got := later(30 * time.Minute); got != "connect[7 -1] left[7 7] members[7 7] simple[7 7]" {
		t.Fatalf("before the time: %s", got)
	}
	m.leaves("left", gone)
	gone = ""
	m.commits("simple", -1, "", "y")
	if got := later(50 * time.Minute); got != "connect[7 -1] left[7 7] members[7 -1] simple[-1 7]" {
		t.Fatalf("what was committed too long ago, and nobody reads: %s", got)
	}
	if got := later(30 * time.Minute); got != "connect[7 -1] members[7 -1]" {
		t.Fatalf("groups without members for too long: %s", got)
	}
	m.end()
	next := c.lead("two")
	if got := next.committed("left", "x"); got[0] != -1 {
		t.Errorf("to the next leader the group still has %v", got)
	}
}

// Offsets of a deleted topic go with it, and so does a group that had no others.
func TestOffsetsOfADeletedTopic(t *testing.T) {
	t.Parallel()
	_, m := withTopic(t)
	m.commits("simple", -1, "", "x")
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TopicNames = 1, []string{"x"}
	if code := ask[*kmsg.DeleteTopicsResponse](m, req).Topics[0].ErrorCode; code != 0 {
		t.Fatal(code)
	}
	if left := ask[*kmsg.ListGroupsResponse](m, kmsg.NewPtrListGroupsRequest()).Groups; len(left) != 0 {
		t.Errorf("groups %v", left)
	}
}

// The link and groups: what the source's groups have committed, lost and deleted is so at the cut; a standby expires nothing of the
// image; local groups run at the standby, through the flip, and their waiting members are answered; filters keep others out.
func TestGroupsOverALink(t *testing.T) {
	t.Parallel()
	src, a := withTopic(t)
	dst := newCluster(t)
	b := dst.start("b", func(cfg *Config) {
		cfg.Identity = Identity{ClusterID: base.ClusterID{8}, KafkaClusterID: "k", Region: 2, RegionName: "b"}
		cfg.OffsetsRetention = time.Hour
	})
	b.until("leads", b.Leading)
	cluster := base.ClusterID{7}
	all := []*metalogpb.Filter{{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}}
	err := b.emit(&metalogpb.Event{Kind: &metalogpb.Event_LinkCreated{LinkCreated: &metalogpb.LinkCreated{
		Config: &metalogpb.LinkConfig{Name: "l", TopicFilters: all, LocalGroups: []string{"local"}, GroupFilters: []*metalogpb.Filter{
			{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}, {PatternType: "PREFIX", FilterType: "EXCLUDE", Name: "private"},
		}},
		SourceClusterId: cluster[:], SourceRegionNumber: 1,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	reader := consumers(t, "g", 1, a)[0]
	if code := reader.commit(3); code != 0 {
		t.Fatal(code)
	}
	for _, group := range []string{"simple", "dropped", "partly", "private", "local"} {
		a.commits(group, -1, "", "x")
	}
	next := b.mirror(src, 1)
	del := kmsg.NewPtrDeleteGroupsRequest()
	del.Groups = []string{"dropped"}
	ask[*kmsg.DeleteGroupsResponse](a, del)
	cut := kmsg.NewPtrOffsetDeleteRequest()
	cut.Group = "partly"
	cut.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "x", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}}}
	ask[*kmsg.OffsetDeleteResponse](a, cut)
	if code := reader.commit(5); code != 0 {
		t.Fatal(code)
	}
	next = b.mirror(src, next)

	// The standby refuses what is the source's, and runs what is its own.
	for _, req := range []kmsg.Request{commitOf("simple", "", -1, 7, 1), del, cut} {
		resp, err := b.forward(req)
		if d, ok := resp.(*kmsg.DeleteGroupsResponse); !errors.Is(err, base.ErrReadOnly) && (!ok || d.Groups[0].ErrorCode != kerr.CoordinatorNotAvailable.Code) {
			t.Errorf("%T at the standby: %v, %v", req, resp, err)
		}
	}
	local := consumers(t, "local", 1, b)[0]
	if code := local.commit(2); code != 0 {
		t.Fatal(code)
	}
	for range int(2 * time.Hour / (5 * time.Second)) {
		b.pass(5 * time.Second)
		local.heartbeats()
	}
	waiting := make(chan error, 1)
	other := &consumer{t: t, members: []*member{b}, group: "local"}
	go func() { waiting <- other.settles() }()
	for deadline := time.Now().Add(patience); local.heartbeats() != kerr.RebalanceInProgress.Code; {
		if time.Now().After(deadline) {
			t.Fatal("no rebalance")
		}
	}
	reader.commit(9) // beyond the cut
	flip := &metalogpb.RegionFlipped{Link: "l", Epoch: 10, CutSeq: uint64(next - 1), CutTimeMs: 1}
	if err := b.emit(&metalogpb.Event{Kind: &metalogpb.Event_RegionFlipped{RegionFlipped: flip}}); err != nil {
		t.Fatal(err)
	}
	go func() { waiting <- local.settles() }()
	for range 2 {
		if err := <-waiting; err != nil {
			t.Errorf("a local group after the flip: %v", err)
		}
	}
	for group, want := range map[string]int64{"g": 5, "simple": 7, "dropped": -1, "partly": -1, "private": -1, "local": 2} {
		if got := b.committed(group, "x"); got[0] != want {
			t.Errorf("%s resumes at %v, want %d", group, got, want)
		}
	}
	if code := (&consumer{t: t, members: []*member{b}, group: "g", id: reader.id, generation: reader.generation}).commit(6); code != kerr.UnknownMemberID.Code {
		t.Errorf("a commit by a member of the source's generation: %v", kerr.ErrorForCode(code))
	}
	// Emptied by the flip: the whole retention from then on.
	b.pass(50 * time.Minute)
	if got := b.committed("g", "x"); got[0] != 5 {
		t.Errorf("the group emptied by the flip has %v", got)
	}
	b.pass(50 * time.Minute)
	if got := b.committed("g", "x"); got[0] != -1 {
		t.Errorf("an hour after the flip it still has %v", got)
	}
}
