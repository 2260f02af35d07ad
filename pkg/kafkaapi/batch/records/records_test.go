package records

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
)

const limit = 1 << 20

// plain are n records with keys, null keys, null values and headers.
func plain(n int) []byte {
	var out []byte
	for i := range n {
		r := kmsg.Record{TimestampDelta64: int64(10 * i), OffsetDelta: int32(i), Value: fmt.Appendf(nil, "value %d %d %d", i, i, i)}
		if i%3 > 0 {
			r.Key = fmt.Appendf(nil, "key %d", i)
		}
		if i%5 == 4 {
			r.Value = nil
		}
		if i%2 > 0 {
			r.Headers = []kmsg.Header{{Key: "h", Value: []byte("v")}, {Key: "null"}}
		}
		r.Length = int32(len(r.AppendTo(nil)) - 1) // the length itself takes a byte while it is 0
		out = r.AppendTo(out)
	}
	return out
}

// seal makes a batch of records under a codec.
func seal(t testing.TB, records []byte, n int, codec Codec) ([]byte, batch.Header) {
	t.Helper()
	b := make([]byte, batch.HeaderSize)
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[27:], 1000)
	binary.BigEndian.PutUint64(b[35:], 2000)
	binary.BigEndian.PutUint64(b[43:], 77)
	binary.BigEndian.PutUint16(b[51:], 3)
	binary.BigEndian.PutUint32(b[53:], 4)
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	b[16] = 2
	b, err := codec.compress(b, records)
	if err != nil {
		t.Fatal(err)
	}
	b[22] = byte(codec.Type)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	h, _, err := batch.Parse(b)
	if err != nil || !batch.CheckCRC(h, b) {
		t.Fatal(err)
	}
	return b, h
}

// allCodecs are all codecs, with levels of all kinds.
var allCodecs = []Codec{
	{Type: None}, {Gzip, -1}, {Gzip, 9}, {Type: Snappy}, {LZ4, 9}, {LZ4, 1}, {LZ4, 17}, {Zstd, 3}, {Zstd, -100}, {Zstd, 22},
}

// R2: a batch under another codec has the same records and says the same of them; and a client reads it.
func TestRecode(t *testing.T) {
	for _, n := range []int{1, 2, 3000} {
		want := plain(n)
		for _, from := range allCodecs {
			b, h := seal(t, want, n, from)
			open, err := Open(h, b, limit)
			if err != nil || !bytes.Equal(open, want) {
				t.Fatalf("%v: %d bytes, %v; want %d", from, len(open), err, len(want))
			}
			for _, to := range allCodecs {
				out, h2, err := Recode(h, b, open, to, limit)
				if err != nil {
					t.Fatalf("%v to %v: %v", from, to, err)
				}
				if again, _, err := batch.Parse(out); err != nil || again != h2 || !batch.CheckCRC(h2, out) || h2.Codec() != to.Type {
					t.Fatalf("%v to %v: %+v, %v", from, to, again, err)
				}
				h2.Length, h2.CRC, h2.Attributes = h.Length, h.CRC, h.Attributes
				if h2 != h {
					t.Fatalf("%v to %v: header %+v, want %+v", from, to, h2, h)
				}
				got, err := kgo.DefaultDecompressor().Decompress(out[batch.HeaderSize:], kgo.CompressionCodecType(to.Type))
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%v to %v: a client reads %d bytes, %v", from, to, len(got), err)
				}
			}
		}
	}
}

// What clients compress is read, each in its own form.
func TestOpenWhatClientsWrite(t *testing.T) {
	want := plain(500)
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		c, err := kgo.DefaultCompressor(codec)
		if err != nil {
			t.Fatal(err)
		}
		src, used := c.Compress(bytes.NewBuffer(nil), want)
		if got, err := Decompress(int16(used), src, limit); err != nil || !bytes.Equal(got, want) {
			t.Errorf("codec %d: %d bytes, %v", used, len(got), err)
		}
	}
}

// R1: a bomb costs what the caller allows, and no more.
func TestBombs(t *testing.T) {
	bomb := make([]byte, 64<<20)
	for _, c := range allCodecs[1:] {
		src, err := c.compress(nil, bomb)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := Decompress(c.Type, src, limit)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, base.ErrTooLarge) || got != nil {
			t.Errorf("%v: %d bytes, %v", c, len(got), err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*limit+2*zstdWindow {
			t.Errorf("%v: %d bytes were allocated for a limit of %d", c, n, limit)
		}
	}
	if _, err := Decompress(None, make([]byte, limit+1), limit); !errors.Is(err, base.ErrTooLarge) {
		t.Error(err)
	}
	b, h := seal(t, plain(100), 100, Codec{Type: None})
	if _, _, err := Recode(h, b, plain(100), Codec{Type: Snappy}, 100); !errors.Is(err, base.ErrTooLarge) {
		t.Error(err)
	}
}

// R3: what is cut, changed, or not what the header says is corrupt.
func TestCorrupt(t *testing.T) {
	for _, c := range allCodecs[1:] {
		src, err := c.compress(nil, plain(100))
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"cut": src[:len(src)/2], "empty": {}, "garbage": []byte("this is not compressed at all, is it?"),
			"a block that claims much": append(append([]byte{}, xerialHeader...), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0x3f, 0, 0),
		} {
			plain, err := Decompress(c.Type, b, limit)
			if err == nil {
				err = Walk(plain, 100, func(Record) (bool, error) { return true, nil })
			}
			if !errors.Is(err, base.ErrCorrupt) {
				t.Errorf("%v, %s: %v", c, name, err)
			}
		}
	}
	if _, err := Decompress(5, nil, limit); !errors.Is(err, base.ErrCorrupt) {
		t.Error("a codec that there is not:", err)
	}
}

func TestWalk(t *testing.T) {
	b := plain(7)
	var seen []Record
	if err := Walk(b, 7, func(r Record) (bool, error) { seen = append(seen, r); return true, nil }); err != nil || len(seen) != 7 {
		t.Fatalf("%d records, %v", len(seen), err)
	}
	if r := seen[4]; r != (Record{OffsetDelta: 4, TimestampDelta: 40, HasKey: true}) || seen[3].HasKey {
		t.Errorf("%+v", seen)
	}
	stop := errors.New("stop")
	if err := Walk(b, 7, func(Record) (bool, error) { return true, stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	calls := 0
	if err := Walk(b, 7, func(Record) (bool, error) { calls++; return false, nil }); err != nil || calls != 1 {
		t.Error(calls, err)
	}
	all := func(Record) (bool, error) { return true, nil }
	for name, err := range map[string]error{
		"too few":       Walk(b, 8, all),
		"too many":      Walk(b, 6, all),
		"other offsets": Walk(append(plain(1), plain(1)...), 2, all),
		"cut":           Walk(b[:len(b)-1], 7, all),
	} {
		if !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R1, R3 for any bytes.
func FuzzOpen(f *testing.F) {
	for _, c := range allCodecs {
		src, err := c.compress(nil, plain(20))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.Type, src, int32(20))
	}
	f.Fuzz(func(t *testing.T, codec int16, src []byte, count int32) {
		got, err := Decompress(codec, src, 64<<10)
		switch {
		case err == nil && len(got) > 64<<10:
			t.Fatalf("%d bytes", len(got))
		case err == nil:
			err = Walk(got, count, func(Record) (bool, error) { return true, nil })
		}
		if err != nil && !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrTooLarge) {
			t.Fatalf("unnamed error %v", err)
		}
	})
}
