package appender

import (
	"context"
	"time"

	"github.com/gnomon-stream/gnomon/internal/trace"
)

// linksMax bounds how many of its requests an object's span is linked to.
const linksMax = 32

func (a *Appender) noteOf(ctx context.Context) *trace.Note {
	if a.deps.Trace == nil {
		return nil
	}
	return trace.NoteOf(ctx)
}

// enter says to a flush's requests, before they are answered, in which object they are, if that is traced.
func (l *loop) enter(f *flush) {
	ref := l.a.deps.Trace.Object(l.a.cfg.Cluster, f.id)
	if !ref.On() {
		return
	}
	for _, r := range f.requests {
		if r.note != nil {
			r.note.Enter(ref)
		}
	}
}

// tell tells of an object whose requests were answered. committed is when the commit that succeeded was sent.
func (l *loop) tell(f *flush, committed time.Time) {
	tr := l.a.deps.Trace
	ref := tr.Object(l.a.cfg.Cluster, f.id)
	if !ref.On() {
		return
	}
	now := l.a.deps.Now()
	root := trace.Span{Name: "gnomon.object", Ref: ref, Start: f.oldest, End: now, Attrs: []trace.Attr{
		trace.Text("gnomon.object", f.id.String()), trace.Int("gnomon.bytes", f.built.Size), trace.Int("gnomon.requests", len(f.requests)),
		trace.Int("gnomon.partitions", len(f.partitions)),
	}}
	for _, r := range f.requests {
		if r.note != nil && len(root.Links) < linksMax {
			root.Links = append(root.Links, r.note.Ref)
		}
	}
	tr.Tell(root)
	tr.Tell(trace.Span{Name: "gnomon.object.wait", Parent: ref, Start: f.oldest, End: f.due})
	tr.Tell(trace.Span{Name: "gnomon.object.put", Parent: ref, Start: f.stored[0], End: f.stored[1]})
	tr.Tell(trace.Span{Name: "gnomon.object.commit", Ref: ref.Child("commit"), Parent: ref, Start: committed, End: now})
}
