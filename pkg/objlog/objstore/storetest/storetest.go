// Package storetest is the acceptance suite of objstore.Store: each test holds an invariant of package objstore on
// whatever backend it is given.
package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Run runs the suite. open returns an empty store for each test; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) objstore.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s objstore.Store)
	}{
		{"PutGet", testPutGet},
		{"PayloadShapes", testPayloadShapes},
		{"LargeObject", testLargeObject},
		{"WriteOnce", testWriteOnce},
		{"WriteOnceConcurrent", testWriteOnceConcurrent},
		{"PayloadIsTheCallersAgain", testPayloadReuse},
		{"ReadersSeeWholeObjects", testReadersSeeWhole},
		{"NotFound", testNotFound},
		{"GetLimit", testGetLimit},
		{"GetRange", testGetRange},
		{"GetRangeBeyond", testGetRangeBeyond},
		{"Head", testHead},
		{"ListOrder", testListOrder},
		{"ListPages", testListPages},
		{"ListPrefixes", testListPrefixes},
		{"Delete", testDelete},
		{"DeleteMany", testDeleteMany},
		{"PutAfterDelete", testPutAfterDelete},
		{"Keys", testKeys},
		{"EndedContext", testEndedContext},
		{"PutSettled", testPutSettled},
		{"ProbeConditionalPut", testProbe},
		{"ClaimBucket", testClaim},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.run(t, s)
		})
	}
}

// pattern returns n bytes that differ with the seed, in no short period.
func pattern(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		word := random.Uint64()
		for j := i; j < min(i+8, n); j++ {
			b[j] = byte(word)
			word >>= 8
		}
	}
	return b
}

func mustPut(t *testing.T, s objstore.Store, key string, content ...[]byte) {
	t.Helper()
	if err := s.Put(context.Background(), key, content); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func mustHold(t *testing.T, s objstore.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Get(context.Background(), key, int64(len(want)))
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s holds %s, want %s", key, shorten(got), shorten(want))
	}
}

func mustList(t *testing.T, s objstore.Store, prefix, after string, limit int, want ...string) {
	t.Helper()
	infos, err := s.List(context.Background(), prefix, after, limit)
	if err != nil {
		t.Fatalf("list %q after %q: %v", prefix, after, err)
	}
	got := make([]string, 0, len(infos))
	for _, info := range infos {
		got = append(got, info.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("list %q after %q limit %d:\ngot  %q\nwant %q", prefix, after, limit, got, want)
	}
}

func shorten(b []byte) string {
	const shown = 32
	if len(b) <= shown {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes beginning with %q", len(b), b[:shown])
}
