package state_test

import (
	"bytes"
	"math/rand/v2"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// pair is a link of dst that shadows src.
type pair struct {
	src, dst *region
	name     string
	session  base.SessionID
	number   uint64
	sent     int                    // entries of src that dst has
	later    []*metalogpb.Placement // copies that backfill will bring
}

// include chooses names by a prefix; all of them when it is empty.
func include(prefix string) []*metalogpb.Filter {
	if prefix == "" {
		return []*metalogpb.Filter{{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}}
	}
	return []*metalogpb.Filter{{PatternType: "PREFIX", FilterType: "INCLUDE", Name: prefix}}
}

// newPair makes the link. A topic that is deleted at the source is deleted here too, unless cfg says otherwise.
func newPair(src, dst *region, cfg *metalogpb.LinkConfig) *pair {
	if cfg.TopicFilters == nil {
		cfg.TopicFilters = include("")
	}
	if cfg.OnTopicDeleted == "" {
		cfg.OnTopicDeleted = "DELETE"
	}
	cluster := src.st().Region().ClusterID
	dst.emit(&metalogpb.LinkCreated{Config: cfg, SourceClusterId: cluster[:], SourceRegionNumber: int32(src.st().Region().Number)})
	p := &pair{src: src, dst: dst, name: cfg.Name}
	p.openSession()
	return p
}

func (p *pair) openSession() {
	var err error
	if p.session, err = p.dst.seq.OpenSession(p.dst.now, 0, p.name); err != nil {
		p.dst.t.Fatal(err)
	}
	p.number = 0
}

// reopen opens another session after a restore of dst ended the last one; what was copied under that is copied again.
func (p *pair) reopen() {
	if p.dst.st().Session(p.session).Fenced {
		p.later = nil
		p.openSession()
	}
}

func (p *pair) link() *state.Link { return p.dst.st().Link(p.name) }

// send lets dst have up to n more entries of src. How an object's bytes came over is random; rng nil means whole, all of them.
func (p *pair) send(rng *rand.Rand, n int) {
	p.dst.t.Helper()
	for ; n > 0 && p.sent < len(p.src.entries); n-- {
		p.dst.emit(p.applied(rng, p.src.entries[p.sent]), p.blobs(p.src.entries[p.sent])...)
		p.sent++
	}
}

// sync lets dst have all that src has, and compares (S4).
func (p *pair) sync(rng *rand.Rand) {
	p.dst.t.Helper()
	p.src.land()
	p.send(rng, len(p.src.entries))
	p.dst.land()
	p.compare()
}

// compare holds S4: the image of the replica is the source's state after exactly the applied seq, but for places.
func (p *pair) compare() {
	p.dst.t.Helper()
	image := p.dst.replica.Link(p.name).Image()
	if !bytes.Equal(logical(p.dst.t, image), p.src.logical[image.Head().Seq]) {
		p.dst.t.Fatalf("the image at seq %d is not what the source was there", image.Head().Seq)
	}
	if image.Head().Seq == p.src.replica.Head().Seq {
		x, err1 := image.LogicalDigest()
		y, err2 := p.src.replica.LogicalDigest()
		if err1 != nil || err2 != nil || x != y {
			p.dst.t.Fatalf("logical digests differ at seq %d (%v, %v)", image.Head().Seq, err1, err2)
		}
	}
}

func (p *pair) blobs(in state.Input) [][]byte {
	var out [][]byte
	for _, b := range in.Blobs {
		out = append(out, b)
	}
	return out
}

func (p *pair) applied(rng *rand.Rand, in state.Input) *metalogpb.LinkApplied {
	p.reopen()
	ev := &metalogpb.LinkApplied{Link: p.name, Entry: in.Raw.Value}
	for _, e := range in.Entry.Events {
		c := e.GetObjectCommitted()
		if c == nil {
			continue
		}
		p.number++
		whole := &metalogpb.Placement{SourceSession: c.Session, SourceNumber: c.Number, Number: p.number, Size: c.Size}
		kind := 0
		if rng != nil {
			kind = rng.IntN(3)
		}
		switch kind {
		case 0:
			ev.Placements = append(ev.Placements, whole)
		case 1:
			if part := p.part(c, func() bool { return rng.IntN(2) == 0 }); len(part.Spans) > 0 {
				ev.Placements = append(ev.Placements, part)
			}
		default:
			if all := p.part(c, func() bool { return true }); len(all.Spans) > 0 {
				p.later = append(p.later, all)
			}
		}
	}
	if len(ev.Placements) > 0 {
		ev.Session, ev.Floor = uint64(p.session), p.number
	}
	return ev
}

// part is a copy of the runs of an object that are wanted.
func (p *pair) part(c *metalogpb.ObjectCommitted, wanted func() bool) *metalogpb.Placement {
	out := &metalogpb.Placement{SourceSession: c.Session, SourceNumber: c.Number, Number: p.number, Size: 100}
	for _, te := range c.Topics {
		for _, sp := range te.Spans {
			if wanted() {
				out.Spans = append(out.Spans, &metalogpb.PlacedSpan{
					TopicId: te.TopicId, Partition: sp.Partition, BaseOffset: sp.BaseOffset, Position: out.Size, Length: sp.Length,
				})
				out.Size += sp.Length
			}
		}
	}
	return out
}

// backfill brings what was left for later.
func (p *pair) backfill() {
	p.dst.t.Helper()
	p.reopen()
	if len(p.later) > 0 {
		p.dst.emit(&metalogpb.LinkPlaced{Link: p.name, Placements: p.later, Session: uint64(p.session), Floor: p.number})
		p.later = nil
	}
}

// adopt sets the image to the source's snapshot as it is now.
func (p *pair) adopt() {
	p.dst.t.Helper()
	p.src.land()
	payload := snapshot(p.dst.t, p.src.replica)
	hash := hashOf(payload)
	head := p.src.replica.Head()
	p.dst.emit(&metalogpb.LinkAdopted{Link: p.name, SourceSeq: uint64(head.Seq), SourceHash: head.Hash[:], SnapshotBlob: hash}, payload)
	p.sent = len(p.src.entries)
}

// flip makes dst the primary of what the link shadows.
func (p *pair) flip() {
	p.dst.t.Helper()
	p.dst.emit(p.flipped())
}

func (p *pair) flipped() *metalogpb.RegionFlipped {
	st := p.dst.st()
	image := p.link().Image()
	epoch := base.NextEpoch(st.Region().Number, st.Region().Epoch, image.Region().Epoch)
	return &metalogpb.RegionFlipped{Link: p.name, Epoch: int32(epoch), CutSeq: uint64(image.Head().Seq), CutTimeMs: image.Time()}
}
