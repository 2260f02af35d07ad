package trace

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Ref names a span. The zero Ref is none: what it stands for is not traced.
type Ref struct {
	trace [16]byte
	span  [8]byte
}

// On tells whether there is anything to tell.
func (r Ref) On() bool { return r.trace != [16]byte{} }

// Child is the ref of a span of the same trace that others can name, too.
func (r Ref) Child(name string) Ref {
	if !r.On() {
		return r
	}
	h := sha256.New()
	h.Write(r.trace[:])
	h.Write([]byte(name))
	copy(r.span[:], h.Sum(nil))
	return r
}

// Object is the ref of an object's trace and its first span; the zero Ref when it is not traced.
func (t *Tracer) Object(cluster base.ClusterID, id base.ObjectID) Ref {
	if t == nil {
		return Ref{}
	}
	r := objectRef(cluster, id)
	if binary.BigEndian.Uint64(r.trace[8:])>>1 >= t.below { // as OpenTelemetry's own sampler by ratio decides
		return Ref{}
	}
	return r
}

func objectRef(cluster base.ClusterID, id base.ObjectID) (r Ref) {
	var name [32]byte
	copy(name[:], cluster[:])
	binary.BigEndian.PutUint64(name[16:], uint64(id.Session))
	binary.BigEndian.PutUint64(name[24:], uint64(id.Number))
	sum := sha256.Sum256(name[:])
	copy(r.trace[:], sum[:])
	copy(r.span[:], sum[16:])
	return r
}

// below is the bound for a ratio.
func below(ratio float64) uint64 {
	if ratio >= 1 {
		return math.MaxUint64
	}
	return uint64(max(ratio, 0) * (1 << 63))
}

// Note goes with a request to where it is put into an object, and comes back with that.
type Note struct {
	Ref    Ref // of the request's own span
	object atomic.Pointer[Ref]
}

// Note makes one; nil when tracing is off.
func (t *Tracer) Note() *Note {
	if t == nil {
		return nil
	}
	n := &Note{}
	binary.BigEndian.PutUint64(n.Ref.trace[:], rand.Uint64())
	binary.BigEndian.PutUint64(n.Ref.trace[8:], rand.Uint64()|1) // never none
	binary.BigEndian.PutUint64(n.Ref.span[:], rand.Uint64()|1)
	return n
}

// Enter says which object the request is in. It may come too late: the request was answered before.
func (n *Note) Enter(object Ref) { n.object.Store(&object) }

// Object is what Enter said; the zero Ref before.
func (n *Note) Object() Ref {
	if r := n.object.Load(); r != nil {
		return *r
	}
	return Ref{}
}

type noteKey struct{}

// WithNote has a context carry a note; none stays none.
func WithNote(ctx context.Context, n *Note) context.Context {
	if n == nil {
		return ctx
	}
	return context.WithValue(ctx, noteKey{}, n)
}

// NoteOf is the context's note, if any.
func NoteOf(ctx context.Context) *Note {
	n, _ := ctx.Value(noteKey{}).(*Note)
	return n
}

type refKey struct{}

// WithRef has a context carry the span that what is done under it belongs to; none stays none.
func WithRef(ctx context.Context, r Ref) context.Context {
	if !r.On() {
		return ctx
	}
	return context.WithValue(ctx, refKey{}, r)
}

// RefOf is the context's span, if any.
func RefOf(ctx context.Context) Ref {
	r, _ := ctx.Value(refKey{}).(Ref)
	return r
}
