package kafkaapi

import (
	"github.com/gnomon-stream/gnomon/internal/trace"
)

// told tells how long a Produce request took whose object is traced, and which object that is. A request that was answered before it
// was in an object, since its time was over or its batches were refused, is not told.
func (s *Server) told(r *reply) {
	if r.note == nil {
		return
	}
	object := r.note.Object()
	if !object.On() {
		return
	}
	s.deps.Trace.Tell(trace.Span{
		Name: "gnomon.produce", Ref: r.note.Ref, Start: r.frame.read, End: s.now(), Links: []trace.Ref{object},
		Attrs: []trace.Attr{trace.Int("gnomon.node_id", s.cfg.NodeID), trace.Int("kafka.version", r.frame.version)},
	})
}
