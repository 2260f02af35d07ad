package coordinator

import (
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// tracedCommit is a commit whose object is traced; nil is one whose is not.
type tracedCommit struct {
	parent    trace.Ref
	came, had time.Time // when it came, and when its turn was over
}

func (c *Coordinator) traced(req *metalogpb.CommitRequest) *tracedCommit {
	object := base.ObjectID{Session: base.SessionID(req.Session), Number: base.ObjectNumber(req.Number)}
	ref := c.cfg.Trace.Object(c.cfg.Identity.ClusterID, object)
	if !ref.On() {
		return nil
	}
	return &tracedCommit{parent: ref.Child("commit"), came: c.cfg.Now()}
}

func (t *tracedCommit) decided(c *Coordinator) {
	if t != nil {
		t.had = c.cfg.Now()
	}
}

// confirmed is called when the answer is released: the log has it, or err says why not.
func (t *tracedCommit) confirmed(l *leader, err error) {
	if t == nil {
		return
	}
	tr, region := l.c.cfg.Trace, trace.Text("gnomon.region", l.c.cfg.Identity.RegionName)
	tr.Tell(trace.Span{Name: "gnomon.metalog.sequence", Parent: t.parent, Start: t.came, End: t.had, Attrs: []trace.Attr{region}})
	// One append is under way at a time, so this is the one that has it; what of it lies before asked was the wait for the one before.
	tr.Tell(trace.Span{
		Name: "gnomon.metalog.append", Parent: t.parent, Start: l.asked, End: l.c.cfg.Now(), Err: err,
		Attrs: []trace.Attr{region, trace.Int("gnomon.seq", l.seq.Head().Seq)},
	})
}
