//go:build unix && !linux

package directory

import (
	"os"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// createAndWrite writes the payload to a new file, not yet synced.
func (s *Store) createAndWrite(temp string, p objstore.Payload) (*os.File, error) {
	return s.writeBuffered(temp, p)
}
