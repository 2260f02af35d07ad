package s3

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the payload's CRC-32C as S3 writes it: base64 of big endian.
func checksum(p objstore.Payload) string {
	var sum uint32
	for _, b := range p {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

var errReleased = errors.New("the payload is the caller's again")

// body reads a payload slice by slice, for net/http.
//
// The payload is the caller's again once Put returns, but net/http may go on reading a request's body after it has
// returned:
//
//  1. The transport's writer goroutine sends an 8 MiB body.
//  2. The store answers 503 early, or ctx ends. The client returns; the goroutine is still in Read.
//  3. Put returns, the caller refills its buffers, and the goroutine reads bytes of another segment: a data race, and
//     bytes on the wire that nobody meant.
//
// So Read copies under a mutex, and Put releases the body before it returns: from then on Read only fails.
type body struct {
	mu      sync.Mutex
	payload objstore.Payload
	size    int64

	position int64 // in the whole
	index    int   // slice of position
	offset   int   // of position in the slice
}

var _ io.ReadSeeker = (*body)(nil)

func newBody(p objstore.Payload) *body { return &body{payload: p, size: p.Size()} }

// Read implements io.Reader.
func (r *body) Read(dst []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.payload == nil && r.size > 0 {
		return 0, errReleased
	}
	n := 0
	for n < len(dst) && r.index < len(r.payload) {
		copied := copy(dst[n:], r.payload[r.index][r.offset:])
		n, r.offset = n+copied, r.offset+copied
		if r.offset == len(r.payload[r.index]) {
			r.index, r.offset = r.index+1, 0
		}
	}
	r.position += int64(n)
	if n == 0 && len(dst) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek implements io.Seeker.
func (r *body) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.position
	case io.SeekEnd:
		offset += r.size
	default:
		return 0, fmt.Errorf("seek in a payload: unknown whence %d", whence)
	}
	if offset < 0 || offset > r.size {
		return 0, fmt.Errorf("seek in a payload of %d bytes: to %d", r.size, offset)
	}
	r.position, r.index = offset, 0
	for r.index < len(r.payload) && offset >= int64(len(r.payload[r.index])) {
		offset -= int64(len(r.payload[r.index]))
		r.index++
	}
	r.offset = int(offset)
	return r.position, nil
}

// release gives the payload back to the caller.
func (r *body) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.payload = nil
}
