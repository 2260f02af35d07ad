package directory

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// BenchmarkPut puts segments of 8 MiB past the page cache and through it, and reports CPU seconds a GiB. Set TMPDIR to a
// disk: on a memory file system the figures say nothing.
func BenchmarkPut(b *testing.B) {
	payload := make(objstore.Payload, 100)
	for i := range payload {
		payload[i] = make([]byte, 8<<20/len(payload))
		for j := range payload[i] {
			payload[i][j] = byte(j)
		}
	}
	for name, buffered := range map[string]bool{"direct": false, "buffered": true} {
		b.Run(name, func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			defer func() { _ = s.Close() }()
			b.SetBytes(payload.Size())
			before := cpuSeconds(b)
			for i := 0; b.Loop(); i++ { // nothing is deleted: fresh pages are what the page cache costs
				var err error
				if buffered {
					err = putBuffered(s, fmt.Sprintf("%s/bench%d", tempDir, i), payload)
				} else {
					err = s.Put(context.Background(), fmt.Sprintf("data/%d", i), payload)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			gib := float64(b.N) * float64(payload.Size()) / (1 << 30)
			b.ReportMetric((cpuSeconds(b)-before)/gib, "cpu-s/GiB")
		})
	}
}

// putBuffered is what of a Put differs, by way of the page cache.
func putBuffered(s *Store, name string, p objstore.Payload) error {
	f, err := s.writeBuffered(name, p)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func cpuSeconds(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
