package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

func testPutGet(t *testing.T, s objstore.Store) {
	mustPut(t, s, "data/0000000000000001/0000000000000001", []byte("hello"))
	mustHold(t, s, "data/0000000000000001/0000000000000001", []byte("hello"))
}

func testPayloadShapes(t *testing.T, s objstore.Store) {
	many := make([][]byte, 5000)
	for i := range many {
		many[i] = fmt.Appendf(nil, "slice %d;", i)
	}
	for name, payload := range map[string]objstore.Payload{
		"nil":         nil,
		"no-bytes":    {{}, nil, {}},
		"one-byte":    {{42}},
		"holes":       {nil, []byte("a"), {}, {}, []byte("bc"), nil},
		"many-slices": many,
	} {
		mustPut(t, s, "shape/"+name, payload...)
		mustHold(t, s, "shape/"+name, payload.Bytes())
	}
}

// testLargeObject crosses every buffer and block size on the way, by slices that align with none.
func testLargeObject(t *testing.T, s objstore.Store) {
	for _, size := range []int{256 << 10, 1<<20 - 1, 1 << 20, 1<<20 + 1, 9<<20 + 4097} {
		want := pattern(uint64(size), size)
		var p objstore.Payload
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 77_773)
			p, rest = append(p, rest[:n]), rest[n:]
		}
		key := fmt.Sprintf("large/%d", size)
		mustPut(t, s, key, p...)
		mustHold(t, s, key, want)
		part := make([]byte, 100_001)
		if err := s.GetRange(context.Background(), key, int64(size-len(part)), part); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(part, want[size-len(part):]) {
			t.Fatalf("the end of %s is wrong", key)
		}
	}
}

func testWriteOnce(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	mustPut(t, s, "once/a", []byte("first"))
	for _, content := range []string{"other", "first", "of another length", ""} {
		if err := s.Put(ctx, "once/a", objstore.Payload{[]byte(content)}); !errors.Is(err, objstore.ErrExists) {
			t.Fatalf("second put of %q: %v, want ErrExists", content, err)
		}
		mustHold(t, s, "once/a", []byte("first"))
	}
	mustList(t, s, "", "", 10, "once/a")
}

// testWriteOnceConcurrent: of many Puts at once exactly one wins, and what is there is the winner's.
func testWriteOnceConcurrent(t *testing.T, s objstore.Store) {
	const rounds, writers = 4, 8
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		errs := make([]error, writers)
		contents := make([][]byte, writers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for w := range writers {
			contents[w] = pattern(uint64(round*writers+w), 300_000)
			wg.Go(func() {
				<-start
				errs[w] = putUntilAnswered(s, key, contents[w])
			})
		}
		close(start)
		wg.Wait()

		winner := -1
		for w, err := range errs {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("%s: both %d and %d won", key, winner, w)
			case err == nil:
				winner = w
			case !errors.Is(err, objstore.ErrExists):
				t.Fatalf("%s: writer %d: %v, want ErrExists", key, w, err)
			}
		}
		if winner < 0 {
			t.Fatalf("%s: nobody won", key)
		}
		mustHold(t, s, key, contents[winner])
	}
}

// putUntilAnswered repeats what a store may say under contention (S3's 409), and settles what it does not say: versitygw refuses before it
// has read the body, and its answer can be lost with the connection. Each writer has a content of its own.
func putUntilAnswered(s objstore.Store, key string, content []byte) error {
	ctx := context.Background()
	for failures := 1; ; failures++ {
		err := s.Put(ctx, key, objstore.Payload{content})
		if errors.Is(err, objstore.ErrAmbiguous) {
			switch there, getErr := s.Get(ctx, key, int64(len(content))); {
			case getErr == nil && bytes.Equal(there, content):
				return nil
			case getErr == nil:
				return objstore.ErrExists
			}
		}
		if !errors.Is(err, base.ErrUnavailable) && !errors.Is(err, objstore.ErrAmbiguous) || failures == 10 {
			return err
		}
		if err := (objstore.Backoff{}).Wait(ctx, failures); err != nil {
			return err
		}
	}
}

// testPayloadReuse: what the caller does to its buffers after Put has returned does not reach the object.
func testPayloadReuse(t *testing.T, s objstore.Store) {
	content := pattern(7, 500_000)
	want := bytes.Clone(content)
	mustPut(t, s, "reuse/a", content[:250_000], content[250_000:])
	clear(content)
	mustHold(t, s, "reuse/a", want)

	got, err := s.Get(context.Background(), "reuse/a", int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	mustHold(t, s, "reuse/a", want)
}

// testReadersSeeWhole: while objects appear, whoever finds one finds all of it.
func testReadersSeeWhole(t *testing.T, s objstore.Store) {
	const objects, size = 12, 400_000
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		for i := range objects {
			if err := s.Put(ctx, fmt.Sprintf("whole/%02d", i), objstore.Payload{pattern(uint64(i), size)}); err != nil {
				t.Errorf("put: %v", err)
				return
			}
		}
	})
	for ctx.Err() == nil {
		infos, err := s.List(context.Background(), "whole/", "", objects)
		if err != nil {
			t.Errorf("list: %v", err)
			break
		}
		for i, info := range infos {
			if info.Size != size {
				t.Errorf("%s is listed with %d bytes, want %d", info.Key, info.Size, size)
			}
			if i == len(infos)-1 {
				mustHold(t, s, info.Key, pattern(uint64(i), size))
			}
		}
	}
	cancel()
	wg.Wait()
	mustHold(t, s, fmt.Sprintf("whole/%02d", objects-1), pattern(objects-1, size))
}

func testPutAfterDelete(t *testing.T, s objstore.Store) {
	mustPut(t, s, "again/a", []byte("one"))
	if err := s.Delete(context.Background(), "again/a"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "again/a", []byte("two"))
	mustHold(t, s, "again/a", []byte("two"))
}

func testPutSettled(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	if err := objstore.PutSettled(ctx, s, "settled/a", objstore.Payload{[]byte("abc")}); err != nil {
		t.Fatal(err)
	}
	err := objstore.PutSettled(ctx, s, "settled/a", objstore.Payload{[]byte("abc")})
	if !errors.Is(err, objstore.ErrExists) {
		t.Fatalf("a key that somebody used: %v, want ErrExists", err)
	}
}

func testProbe(t *testing.T, s objstore.Store) {
	if err := objstore.ProbeConditionalPut(context.Background(), s, "meta/probe/1"); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "", "", 10)
}

func testClaim(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	if _, err := objstore.ReadClaim(ctx, s); !errors.Is(err, base.ErrNotFound) {
		t.Fatalf("claim of a new bucket: %v, want ErrNotFound", err)
	}
	mine := objstore.Claim{ClusterID: base.ClusterID{1}, KafkaClusterID: "abc", Region: 1}
	for range 2 {
		if err := objstore.ClaimBucket(ctx, s, mine); err != nil {
			t.Fatal(err)
		}
	}
	other := mine
	other.Region = 2
	if err := objstore.ClaimBucket(ctx, s, other); !errors.Is(err, objstore.ErrClaimed) {
		t.Fatalf("a claimed bucket: %v, want ErrClaimed", err)
	}
	if have, err := objstore.ReadClaim(ctx, s); err != nil || have != mine {
		t.Fatalf("claim is %v, %v; want %v", have, err, mine)
	}
}
