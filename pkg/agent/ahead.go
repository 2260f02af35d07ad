package agent

import (
	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
	"github.com/gnomon-stream/gnomon/pkg/objlog/fetcher"
)

// aheadFetches is for how many requests in a row a reader loads: the one that is under way, and the one that its client sends next.
const aheadFetches = 2

// ReadAhead implements kafkaapi.Reader. It loads what the partitions of a Fetch have from their offsets on, in the order in which
// the Fetch reads them, and then what the next Fetch will. It goes by what the view has now, checks nothing, and may be wrong: Read decides.
func (r *reader) ReadAhead(reqs []kafkaapi.ReadRequest, maxBytes int) {
	var spans []fetcher.Request
	at := make([]cursor, len(reqs))
	for i := range reqs {
		if l, ok := r.find(base.TopicPartition{Topic: reqs[i].Topic, Partition: reqs[i].Partition}); ok {
			at[i] = cursor{part: l.part, next: l.part.FindSpan(reqs[i].Offset)}
		}
	}
	for range aheadFetches {
		left := int64(maxBytes)
		for i := range at {
			var n int64
			spans, n = at[i].take(spans, min(int64(reqs[i].MaxBytes), left))
			left -= n
		}
	}
	r.fetcher.Ahead(spans)
}

// cursor goes along a partition's spans.
type cursor struct {
	part *state.Partition // nil: there is none
	next int
}

// take appends the next spans until n bytes are there, one at least if n is not 0, and tells how many bytes they have.
func (c *cursor) take(spans []fetcher.Request, n int64) (_ []fetcher.Request, took int64) {
	for ; c.part != nil && took < n && c.next < len(c.part.Spans); c.next++ {
		sp := c.part.Spans[c.next]
		if sp.Residency != state.Local {
			return spans, took
		}
		spans = append(spans, fetcher.Request{Object: sp.Object, Position: sp.Position, Length: sp.Length, Base: sp.Base, Epoch: c.part.EpochOf(sp.Base)})
		took += sp.Length
	}
	return spans, took
}
