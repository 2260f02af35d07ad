package shadow

import (
	"context"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/trace"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// tracedMax bounds the objects whose way is followed at a time: a link that is far behind does not need all of them told.
const tracedMax = 1000

// refOf is the span of an object of the source on its way here: a child of the one that its agent tells.
func (t *tailing) refOf(object base.ObjectID) trace.Ref {
	return t.r.cfg.Trace.Object(t.info.SourceCluster, object).Child("shadow")
}

// heardOf notes when objects were heard of. The caller holds r.mu.
func (t *tailing) heardOf(jobs []CopyJob) {
	if t.r.cfg.Trace == nil {
		return
	}
	for _, j := range jobs {
		if len(t.traced) < tracedMax && t.refOf(j.Object).On() {
			t.traced[j.Object] = t.r.cfg.Now()
		}
	}
}

func (t *tailing) tellCopy(ref trace.Ref, start time.Time, p *metalogpb.Placement) {
	if !ref.On() {
		return
	}
	local := base.ObjectID{Session: t.session, Number: base.ObjectNumber(p.Number)}
	t.r.cfg.Trace.Tell(trace.Span{
		Name: "gnomon.shadow.copy", Ref: ref.Child("copy"), Parent: ref, Start: start, End: t.r.cfg.Now(),
		Attrs: []trace.Attr{trace.Text("gnomon.object", local.String()), trace.Int("gnomon.bytes", p.Size)},
	})
}

// tellApplied tells of the objects whose entries were appended here.
func (t *tailing) tellApplied(events []*metalogpb.Event, start time.Time) {
	if t.r.cfg.Trace == nil {
		return
	}
	now := t.r.cfg.Now()
	for _, ev := range events {
		for _, p := range ev.GetLinkApplied().GetPlacements() {
			object := base.ObjectID{Session: base.SessionID(p.SourceSession), Number: base.ObjectNumber(p.SourceNumber)}
			t.r.mu.Lock()
			heard, followed := t.traced[object]
			delete(t.traced, object)
			t.r.mu.Unlock()
			if !followed {
				continue
			}
			ref := t.refOf(object)
			t.r.cfg.Trace.Tell(trace.Span{
				Name: "gnomon.shadow", Ref: ref, Parent: t.r.cfg.Trace.Object(t.info.SourceCluster, object), Start: heard, End: now,
				Attrs: []trace.Attr{trace.Text("gnomon.link", t.r.cfg.Link)},
			})
			t.r.cfg.Trace.Tell(trace.Span{Name: "gnomon.shadow.append", Parent: ref, Start: start, End: now})
		}
	}
}

// begin times a part of a copy that ctx says to be traced; what it returns tells it.
func (c *ObjectCopier) begin(ctx context.Context, name string) (told func(bytes int64)) {
	parent := trace.RefOf(ctx)
	if c.Trace == nil || !parent.On() {
		return func(int64) {}
	}
	start := c.Now()
	return func(bytes int64) {
		c.Trace.Tell(trace.Span{Name: name, Parent: parent, Start: start, End: c.Now(), Attrs: []trace.Attr{trace.Int("gnomon.bytes", bytes)}})
	}
}
