package region

import (
	"cmp"
	"fmt"

	"github.com/gnomon-stream/gnomon/pkg/kafkaapi"
	"github.com/gnomon-stream/gnomon/pkg/objlog/appender"
)

const mib = 1 << 20

// Memory of an agent, bytes.
const (
	MemoryDefault = 512 * mib
	MemoryMin     = 128 * mib
)

// agentMemory is what the parts of an agent may hold. Each part waits at its bound: the socket is not read, or the client waits for
// its answer. docs/LIMITS.md has the plan as a table.
//
// What clients make an agent hold is bounded by these; the rest of its memory is for the view, which grows with
// partitions and spans, and for what the runtime needs.
type agentMemory struct {
	requests     int   // of requests that are read and not answered
	objects      int64 // of objects that are built and uploaded: copies of what requests hold
	cache        int64 // of records that are read, kept, and on their way to clients
	connections  int   // open ones
	decompressed int   // of one request whose records are looked into; kafkaapi has two at a time, each of which needs it twice
}

// Shares of the memory, in percent; what is left is the rest.
const (
	shareRequests     = 22
	shareObjects      = 15
	shareCache        = 24
	shareDecompressed = 2 // four times
	shareConnections  = 15
	shareAll          = shareRequests + shareObjects + shareCache + 4*shareDecompressed + shareConnections
)

// connectionBytes is what an open connection takes that does nothing: measured 23 KB.
const connectionBytes = 24 << 10

func planMemory(total int64) agentMemory {
	share := func(percent int64) int64 { return total * percent / 100 }
	return agentMemory{
		requests: int(share(shareRequests)), objects: share(shareObjects), cache: share(shareCache), decompressed: int(share(shareDecompressed)),
		connections: int(share(shareConnections) / connectionBytes),
	}
}

// apply fills in what is not set, and checks that all of it together leaves the rest that the plan leaves.
func (m agentMemory) apply(total int64, limits *kafkaapi.Limits, a *appender.Config, cacheBytes *int64) error {
	limits.BufferedBytes = cmp.Or(limits.BufferedBytes, m.requests)
	limits.RequestBytes = cmp.Or(limits.RequestBytes, min(kafkaapi.DefaultLimits().RequestBytes, limits.BufferedBytes))
	limits.InFlightBytes = cmp.Or(limits.InFlightBytes, min(kafkaapi.DefaultLimits().InFlightBytes, limits.BufferedBytes))
	limits.DecompressedBytes = cmp.Or(limits.DecompressedBytes, m.decompressed)
	limits.FetchBytes = cmp.Or(limits.FetchBytes, min(kafkaapi.DefaultLimits().FetchBytes, int(m.cache)))
	limits.Connections = cmp.Or(limits.Connections, min(kafkaapi.DefaultLimits().Connections, m.connections))
	a.BufferBytes = cmp.Or(a.BufferBytes, m.objects)
	*cacheBytes = cmp.Or(*cacheBytes, m.cache)
	sum := int64(limits.BufferedBytes) + a.BufferBytes + *cacheBytes + 4*int64(limits.DecompressedBytes) + int64(limits.Connections)*connectionBytes
	most := total * shareAll / 100
	if sum > most {
		return fmt.Errorf("requests, uploads, the cache and connections may take %d MiB together, of %d MiB of memory at most %d MiB may go there: "+
			"raise the memory, or lower the buffered bytes, the cache or the connections", sum/mib, total/mib, most/mib)
	}
	return nil
}
