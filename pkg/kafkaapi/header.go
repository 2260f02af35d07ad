package kafkaapi

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// requestHeader is what every request begins with (Kafka's request headers v1 and v2).
type requestHeader struct {
	key         int16
	version     int16
	correlation int32
	clientID    string
}

// requestHeaderMin is the size of a request that has no client id and no body: key, version, correlation id, and the
// length of the client id.
const requestHeaderMin = 10

// clientIDBytesMax bounds what logs and group members keep of a client id.
const clientIDBytesMax = 1024

// parseHeader reads the header of a request without its size prefix, and returns the body. flexible tells whether the
// header ends in tagged fields.
func parseHeader(b []byte, flexible bool, elements int) (h requestHeader, body []byte, err error) {
	if len(b) < requestHeaderMin {
		return h, nil, fmt.Errorf("request of %d bytes: %w", len(b), base.ErrCorrupt)
	}
	h.key = int16(binary.BigEndian.Uint16(b))
	h.version = int16(binary.BigEndian.Uint16(b[2:]))
	h.correlation = int32(binary.BigEndian.Uint32(b[4:]))
	n := int(int16(binary.BigEndian.Uint16(b[8:])))
	b = b[requestHeaderMin:]
	if n < -1 || n > len(b) || n > clientIDBytesMax {
		return h, nil, fmt.Errorf("client id of %d bytes in a request: %w", n, base.ErrCorrupt)
	}
	if n > 0 {
		h.clientID, b = string(b[:n]), b[n:]
	}
	w := walker{b: b, flexible: flexible, elements: elements}
	if w.tags(); w.why != "" {
		return h, nil, fmt.Errorf("request header: %s: %w", w.why, base.ErrCorrupt)
	}
	return h, w.b, nil
}

// zoneHints are the keys that tell a client's zone in its client.id: Gnomon's own, and those of its peers, so that a
// client that is set up for one of them needs no change.
var zoneHints = [...]string{"zone=", "ws_az=", "automq_az=", "diskless_az="}

// zoneOf finds the zone hint in a client id: key=value pairs anywhere in it, separated by commas, spaces, semicolons or
// ampersands; what follows the first "|" belongs to the application. Empty when there is none.
func zoneOf(clientID string) string {
	clientID, _, _ = strings.Cut(clientID, "|")
	for pair := range strings.FieldsFuncSeq(clientID, func(r rune) bool { return strings.ContainsRune(", ;&", r) }) {
		for _, hint := range zoneHints {
			if zone, ok := strings.CutPrefix(pair, hint); ok {
				return zone
			}
		}
	}
	return ""
}
