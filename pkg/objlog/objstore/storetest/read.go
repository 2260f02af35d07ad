package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

func testNotFound(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	mustPut(t, s, "there/a", []byte("x"))
	for _, key := range []string{"not-there", "there", "there/b", "there/a/below", "no/such/folder"} {
		if _, err := s.Get(ctx, key, 1); !errors.Is(err, base.ErrNotFound) {
			t.Errorf("get %s: %v, want ErrNotFound", key, err)
		}
		if err := s.GetRange(ctx, key, 0, make([]byte, 1)); !errors.Is(err, base.ErrNotFound) {
			t.Errorf("get a range of %s: %v, want ErrNotFound", key, err)
		}
		_, err := s.Head(ctx, key)
		if !errors.Is(err, base.ErrNotFound) {
			t.Errorf("head %s: %v, want ErrNotFound", key, err)
		}
		if err != nil && !strings.Contains(err.Error(), key) {
			t.Errorf("head %s: the error does not name the key: %v", key, err)
		}
	}
}

func testGetLimit(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	mustPut(t, s, "limit/a", []byte("12345"))
	mustHold(t, s, "limit/a", []byte("12345")) // with a limit of 5
	if got, err := s.Get(ctx, "limit/a", 4); !errors.Is(err, base.ErrTooLarge) || got != nil {
		t.Fatalf("get with a limit of 4: %q, %v; want ErrTooLarge", got, err)
	}
}

func testGetRange(t *testing.T, s objstore.Store) {
	want := pattern(3, 100_000)
	mustPut(t, s, "range/a", want)
	for _, r := range []struct{ offset, n int }{
		{0, 1}, {0, 100_000}, {99_999, 1}, {1, 99_998}, {4096, 4096}, {50_000, 50_000}, {100_000, 0}, {0, 0},
	} {
		got := make([]byte, r.n)
		if err := s.GetRange(context.Background(), "range/a", int64(r.offset), got); err != nil {
			t.Fatalf("%d bytes from %d on: %v", r.n, r.offset, err)
		}
		if !bytes.Equal(got, want[r.offset:r.offset+r.n]) {
			t.Fatalf("%d bytes from %d on are wrong", r.n, r.offset)
		}
	}

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			got := make([]byte, 1000)
			if err := s.GetRange(context.Background(), "range/a", int64(i*1000), got); err != nil {
				t.Errorf("concurrently: %v", err)
			}
			if !bytes.Equal(got, want[i*1000:(i+1)*1000]) {
				t.Errorf("concurrently: %d is wrong", i)
			}
		})
	}
	wg.Wait()
}

func testGetRangeBeyond(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	mustPut(t, s, "range/short", []byte("0123456789"))
	mustPut(t, s, "range/empty")
	for _, r := range []struct {
		key       string
		offset, n int
	}{
		{"range/short", 0, 11}, {"range/short", 9, 2}, {"range/short", 10, 1}, {"range/short", 11, 0},
		{"range/short", 1 << 40, 1}, {"range/empty", 0, 1},
	} {
		err := s.GetRange(ctx, r.key, int64(r.offset), make([]byte, r.n))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of %s from %d on: %v, want io.ErrUnexpectedEOF", r.n, r.key, r.offset, err)
		}
	}
	if err := s.GetRange(ctx, "range/short", -1, make([]byte, 1)); err == nil {
		t.Error("a negative offset is no error")
	}
}

func testHead(t *testing.T, s objstore.Store) {
	mustPut(t, s, "head/a", []byte("12"), []byte("345"))
	info, err := s.Head(context.Background(), "head/a")
	if want := (objstore.Info{Key: "head/a", Size: 5}); err != nil || info != want {
		t.Fatalf("head: %v, %v; want %v", info, err, want)
	}
}

// testListOrder has keys that sort otherwise when folders are read one by one, or by another collation than bytes.
func testListOrder(t *testing.T, s objstore.Store) {
	keys := []string{
		"a-b", "a/c", "a/c-d", "a/d/e", "a0", "a.x/y", "A", "Z/a", "b", "a/c!", "_x", "a-b-c/d", "a~", "data/1/2", "data/10",
		"data/1-", "x=1/y=2",
	}
	for _, key := range keys {
		mustPut(t, s, key, []byte(key))
	}
	slices.Sort(keys)
	mustList(t, s, "", "", 1000, keys...)
	for i, key := range keys { // "after" is any key, there or not
		mustList(t, s, "", key, 1000, keys[i+1:]...)
		mustList(t, s, "", key+"!", 3, first(3, above(keys, key+"!"))...)
		mustList(t, s, "", key+"/", 1000, above(keys, key+"/")...)
	}
	infos, err := s.List(context.Background(), "a/", "", 1)
	if err != nil || len(infos) != 1 || infos[0] != (objstore.Info{Key: "a/c", Size: 3}) {
		t.Fatalf("list: %v, %v", infos, err)
	}
}

// testListPages has more objects than an S3 page.
func testListPages(t *testing.T, s objstore.Store) {
	const objects = 1050
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < objects; i += 8 {
				if err := s.Put(context.Background(), fmt.Sprintf("page/%05d", i), nil); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for _, limit := range []int{objects - 1, objects, objects + 1, 5000} {
		infos, err := s.List(context.Background(), "page/", "", limit)
		if err != nil || len(infos) != min(limit, objects) {
			t.Fatalf("list %d: got %d, %v", limit, len(infos), err)
		}
		for i, info := range infos {
			if info.Key != fmt.Sprintf("page/%05d", i) {
				t.Fatalf("list %d: number %d is %s", limit, i, info.Key)
			}
		}
	}
	mustList(t, s, "page/", "page/01047", 10, "page/01048", "page/01049")
}

func testListPrefixes(t *testing.T, s objstore.Store) {
	for _, key := range []string{"p/a", "p/b/c", "p/bb", "pp", "q"} {
		mustPut(t, s, key, nil)
	}
	mustList(t, s, "p", "", 10, "p/a", "p/b/c", "p/bb", "pp")
	mustList(t, s, "p/", "", 10, "p/a", "p/b/c", "p/bb")
	mustList(t, s, "p/b", "", 10, "p/b/c", "p/bb")
	mustList(t, s, "p/b/", "", 10, "p/b/c")
	mustList(t, s, "p/b/c", "", 10, "p/b/c")
	mustList(t, s, "p/b/c/", "", 10)
	mustList(t, s, "p/x/y", "", 10)
	mustList(t, s, "p/", "a", 10, "p/a", "p/b/c", "p/bb") // after is below the prefix
	mustList(t, s, "p/", "q", 10)                         // after is above it
	mustList(t, s, "p/", "p/a", 1, "p/b/c")
	mustList(t, s, "p/", "", 0)
	for _, prefix := range []string{"/", "../", "p/../q", "p//", ".gnomon", "p\\"} {
		if _, err := s.List(context.Background(), prefix, "", 10); !errors.Is(err, objstore.ErrKey) {
			t.Errorf("list %q: %v, want ErrKey", prefix, err)
		}
	}
}

func testDelete(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	if err := s.Delete(ctx); err != nil {
		t.Fatalf("delete nothing: %v", err)
	}
	mustPut(t, s, "gone/a", []byte("x"))
	mustPut(t, s, "gone/b", []byte("x"))
	for range 2 { // the second time they are not there
		if err := s.Delete(ctx, "gone/a", "gone/never", "never/folder/x", "gone"); err != nil {
			t.Fatal(err)
		}
		mustList(t, s, "", "", 10, "gone/b")
	}
	if _, err := s.Get(ctx, "gone/a", 1); !errors.Is(err, base.ErrNotFound) {
		t.Fatalf("get after delete: %v, want ErrNotFound", err)
	}
}

// testDeleteMany has more keys than one S3 request takes.
func testDeleteMany(t *testing.T, s objstore.Store) {
	keys := make([]string, 2100)
	for i := range keys {
		keys[i] = fmt.Sprintf("many/%d", i)
	}
	there := []string{keys[0], keys[999], keys[1000], keys[2099]}
	for _, key := range there {
		mustPut(t, s, key, nil)
	}
	mustPut(t, s, "stays", nil)
	if err := s.Delete(context.Background(), keys...); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "", "", 10, "stays")
}

func testKeys(t *testing.T, s objstore.Store) {
	ctx := context.Background()
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a/.", ".gnomon/tmp/x", "a b", "a\x00", "a\n",
		"ä", "a\\b", strings.Repeat("k", objstore.KeyBytesMax+1), strings.Repeat("s", 256),
	} {
		errs := map[string]error{
			"put":    s.Put(ctx, key, nil),
			"range":  s.GetRange(ctx, key, 0, make([]byte, 1)),
			"delete": s.Delete(ctx, "fine", key),
		}
		_, errs["get"] = s.Get(ctx, key, 1)
		_, errs["head"] = s.Head(ctx, key)
		for op, err := range errs {
			if !errors.Is(err, objstore.ErrKey) {
				t.Errorf("%s %q: %v, want ErrKey", op, key, err)
			}
		}
	}
	longest := strings.Repeat("d", 255) + "/" + strings.Repeat("e", 200) + "/"
	longest += strings.Repeat("k", objstore.KeyBytesMax-len(longest))
	mustPut(t, s, longest, []byte("x"))
	mustHold(t, s, longest, []byte("x"))
	mustList(t, s, "", "", 10, longest)
}

func testEndedContext(t *testing.T, s objstore.Store) {
	mustPut(t, s, "ctx/a", []byte("x"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	errs := map[string]error{
		"put":    s.Put(ctx, "ctx/b", objstore.Payload{[]byte("x")}),
		"range":  s.GetRange(ctx, "ctx/a", 0, make([]byte, 1)),
		"delete": s.Delete(ctx, "ctx/a"),
	}
	_, errs["get"] = s.Get(ctx, "ctx/a", 1)
	_, errs["head"] = s.Head(ctx, "ctx/a")
	_, errs["list"] = s.List(ctx, "ctx/", "", 10)
	for op, err := range errs {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, base.ErrUnavailable) {
			t.Errorf("%s: %v, want context.Canceled and ErrUnavailable", op, err)
		}
	}
	mustList(t, s, "", "", 10, "ctx/a")
}

func above(keys []string, after string) []string {
	at, found := slices.BinarySearch(keys, after)
	if found {
		at++
	}
	return keys[at:]
}

func first(n int, keys []string) []string { return keys[:min(n, len(keys))] }
