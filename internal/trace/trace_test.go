package trace

import (
	"context"
	"errors"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func object(n int) base.ObjectID {
	return base.ObjectID{Session: 9, Number: base.ObjectNumber(n)}
}

// T1. What stands on the record path for a tracer that is off.
func TestOffAllocatesNothing(t *testing.T) {
	var off *Tracer
	ctx := context.Background()
	if n := testing.AllocsPerRun(1000, func() {
		note := off.Note()
		under := WithRef(WithNote(ctx, note), off.Object(base.ClusterID{1}, object(1)))
		if NoteOf(under) != nil || RefOf(under).Child("x").On() {
			t.Error("something is traced")
		}
		off.Tell(Span{Name: "x"})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := off.Close(ctx); err != nil {
		t.Error(err)
	}
}

// T2. A ratio is kept, and what is traced at a low one is traced at each higher one.
func TestRatio(t *testing.T) {
	const objects = 20_000
	ratios := []float64{0, 0.01, 0.1, 0.5, 1}
	var traced [5]int
	for n := range objects {
		before := false
		for i, ratio := range ratios {
			on := newTracer(ratio).Object(base.ClusterID{1}, object(n)).On()
			if before && !on {
				t.Fatalf("object %d is traced at a lower ratio than %v", n, ratio)
			}
			if before = on; on {
				traced[i]++
			}
		}
	}
	for i, ratio := range ratios {
		if want := ratio * objects; float64(traced[i]) < want*0.8 || float64(traced[i]) > want*1.2 {
			t.Errorf("at %v %d of %d objects are traced", ratio, traced[i], objects)
		}
	}
}

// The ids are those of the name alone: other processes, and later builds, come to the same.
func TestIDsAreFixed(t *testing.T) {
	r := newTracer(1).Object(base.ClusterID{1}, object(7))
	c := r.Child("commit").context()
	if got, want := r.context().TraceID().String()+" "+r.context().SpanID().String()+" "+c.SpanID().String(), "fd3083d9838e46c7bca6dab6e5af4228 b32d3f8eded3b510 b4594a44e7d90e6f"; got != want {
		t.Errorf("ids are %s, want %s", got, want)
	}
	if c.TraceID() != r.context().TraceID() {
		t.Error("a child has another trace")
	}
	for _, other := range []Ref{newTracer(1).Object(base.ClusterID{2}, object(7)), newTracer(1).Object(base.ClusterID{1}, object(8))} {
		if other.trace == r.trace {
			t.Error("two objects share a trace")
		}
	}
}

// Spans are told as they are given: ids, parents, times, links.
func TestTell(t *testing.T) {
	told := tracetest.NewSpanRecorder()
	tr := newTracer(1, sdk.WithSpanProcessor(told))
	root := tr.Object(base.ClusterID{1}, object(1))
	note, start := tr.Note(), time.Unix(1000, 0)
	tr.Tell(Span{Name: "root", Ref: root, Start: start, End: start.Add(time.Second), Links: []Ref{note.Ref}, Attrs: []Attr{Int("bytes", 5), Text("object", "x")}})
	tr.Tell(Span{Name: "named", Ref: root.Child("named"), Parent: root, Start: start, End: start})
	tr.Tell(Span{Name: "child", Parent: root.Child("named"), Start: start, End: start, Err: errors.New("no room")})
	tr.Tell(Span{Name: "nothing", Start: start, End: start})
	spans := told.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	first, named, child := spans[0], spans[1], spans[2]
	if first.SpanContext().SpanID() != root.span || first.SpanContext().TraceID() != root.trace || first.Parent().IsValid() ||
		!first.EndTime().Equal(start.Add(time.Second)) || len(first.Links()) != 1 || first.Links()[0].SpanContext.TraceID() != note.Ref.trace || len(first.Attributes()) != 2 {
		t.Errorf("%+v", first)
	}
	if named.Parent().SpanID() != root.span || named.SpanContext().SpanID() != root.Child("named").span || named.SpanContext().TraceID() != root.trace {
		t.Errorf("%+v", named)
	}
	if child.Parent().SpanID() != named.SpanContext().SpanID() || child.SpanContext().SpanID() == child.Parent().SpanID() || child.Status().Description != "no room" {
		t.Errorf("%+v", child)
	}
}

// A note tells its request which object it is in, whoever is faster.
func TestNote(t *testing.T) {
	tr := newTracer(1)
	n := tr.Note()
	if NoteOf(WithNote(context.Background(), n)) != n || n.Object().On() || !n.Ref.On() {
		t.Errorf("%+v", n)
	}
	r := tr.Object(base.ClusterID{1}, object(1))
	if n.Enter(r); n.Object() != r {
		t.Errorf("%+v", n.Object())
	}
	if RefOf(WithRef(context.Background(), r)) != r {
		t.Error("a context does not carry a ref")
	}
}
