package trace

import (
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// BenchmarkObject is what a flush, a commit and a copy cost whose object is not traced, when tracing is on.
func BenchmarkObject(b *testing.B) {
	t := newTracer(0)
	b.ReportAllocs()
	for b.Loop() {
		if t.Object(base.ClusterID{1}, base.ObjectID{Session: 1, Number: 1}).On() {
			b.Fatal("it is traced")
		}
	}
}

// BenchmarkTell is a span.
func BenchmarkTell(b *testing.B) {
	t := newTracer(1, sdk.WithBatcher(tracetest.NewNoopExporter()))
	ref, at := t.Object(base.ClusterID{1}, base.ObjectID{Session: 1, Number: 1}), time.Unix(1000, 0)
	b.ReportAllocs()
	for b.Loop() {
		t.Tell(Span{Name: "gnomon.object.put", Parent: ref, Start: at, End: at, Attrs: []Attr{Int("gnomon.bytes", 5)}})
	}
}

// BenchmarkNote is what each Produce request costs when tracing is on.
func BenchmarkNote(b *testing.B) {
	t := newTracer(0)
	b.ReportAllocs()
	for b.Loop() {
		if NoteOf(WithNote(b.Context(), t.Note())) == nil {
			b.Fatal("no note")
		}
	}
}
