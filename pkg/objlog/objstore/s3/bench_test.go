package s3_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// BenchmarkPut puts segments of 8 MiB, four at a time, and reports this process's CPU seconds a GiB:
//
//	tests/s3/run.sh minio go test -run '^$' -bench Put -benchtime 64x ./pkg/objlog/objstore/s3
func BenchmarkPut(b *testing.B) {
	payload := make(objstore.Payload, 100)
	for i := range payload {
		payload[i] = make([]byte, 8<<20/len(payload))
		for j := range payload[i] {
			payload[i][j] = byte(i * j)
		}
	}
	for _, setting := range []string{"sign_payload=false", "sign_payload=true"} {
		b.Run(setting, func(b *testing.B) {
			s := openPrefix(b, setting)
			var started syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &started); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(payload.Size())
			b.SetParallelism(2)
			numbers := make(chan int, b.N)
			for i := range b.N {
				numbers <- i
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Put(context.Background(), fmt.Sprintf("bench/%d", <-numbers), payload); err != nil {
						b.Error(err)
						return
					}
				}
			})
			var ended syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ended); err != nil {
				b.Fatal(err)
			}
			used := seconds(ended.Utime) + seconds(ended.Stime) - seconds(started.Utime) - seconds(started.Stime)
			b.ReportMetric(used/(float64(b.N)*float64(payload.Size())/(1<<30)), "cpu-s/GiB")
		})
	}
}

func seconds(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
