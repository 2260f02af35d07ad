package batch

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// sample returns a valid batch of n empty records.
func sample(n int32) []byte {
	b := make([]byte, HeaderSize, HeaderSize+int(n)*7)
	for i := range n {
		b = append(b, 12, 0, 0, byte(i<<1), 1, 1, 0)
	}
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-lengthPrefix))
	b[16] = magicV2
	binary.BigEndian.PutUint32(b[23:], uint32(n-1))
	binary.BigEndian.PutUint64(b[27:], 1)
	binary.BigEndian.PutUint64(b[35:], 1)
	binary.BigEndian.PutUint64(b[43:], ^uint64(0))
	binary.BigEndian.PutUint32(b[57:], uint32(n))
	return seal(b)
}

func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[crcFrom:], castagnoli))
	return b
}

func TestValidate(t *testing.T) {
	if h, err := Validate(sample(3), Limits{MaxBytes: 1 << 20}); err != nil || h.Records != 3 || h.ProducerID != -1 {
		t.Fatalf("valid batch: %+v, %v", h, err)
	}
	cases := []struct {
		name  string
		spoil func(b []byte) []byte
		want  error
	}{
		{"bit flip", func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, kerr.CorruptMessage},
		{"truncated", func(b []byte) []byte { return b[:len(b)-1] }, kerr.CorruptMessage},
		{"empty", func([]byte) []byte { return nil }, kerr.InvalidRecord},
		{"negative length", func(b []byte) []byte { b[8] = 0xff; return b }, kerr.CorruptMessage},
		{"magic 1", func(b []byte) []byte { b[16] = 1; return b }, kerr.InvalidRecord},
		{"base offset", func(b []byte) []byte { b[7] = 5; return b }, kerr.InvalidRecord},
		{"two batches", func(b []byte) []byte { return append(b, sample(1)...) }, kerr.InvalidRecord},
		{"lying count", func(b []byte) []byte { b[60] = 9; return seal(b) }, kerr.InvalidRecord},
		{"no records", func(b []byte) []byte { copy(b[57:61], []byte{0, 0, 0, 0}); return seal(b) }, kerr.InvalidRecord},
		{"codec 5", func(b []byte) []byte { b[22] |= 5; return seal(b) }, kerr.UnsupportedCompressionType},
		{"control", func(b []byte) []byte { b[22] |= Control; return seal(b) }, kerr.InvalidRecord},
		{"transaction without producer", func(b []byte) []byte { b[22] |= Transactional; return seal(b) }, kerr.InvalidRecord},
		{"length past the end", func(b []byte) []byte { b[11]++; return b }, kerr.CorruptMessage},
		{"sequence missing", func(b []byte) []byte { copy(b[43:], make([]byte, 8)); b[53] = 0xff; return seal(b) }, kerr.InvalidRecord},
		{"append time of its own", func(b []byte) []byte { b[22] |= LogAppendTime; return seal(b) }, kerr.InvalidTimestamp},
		{"too late", func(b []byte) []byte { b[41] = 4; return seal(b) }, kerr.InvalidTimestamp},
		{"too early", func(b []byte) []byte { b[34] = 0; return seal(b) }, kerr.InvalidTimestamp},
		{"too large", func(b []byte) []byte { return seal(sample(2000)) }, kerr.MessageTooLarge},
	}
	for _, c := range cases {
		if _, err := Validate(c.spoil(sample(3)), Limits{MaxBytes: 4096, OldestTimestamp: 1, NewestTimestamp: 1000}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// B1: what a partition does to a batch does not change its digest; any other change does.
func TestDigestOutlivesPatch(t *testing.T) {
	b := sample(2)
	before := Digest(b)
	PatchOffsets(b, 1_000_000, 9)
	if Digest(b) != before {
		t.Fatal("the digest changed with offset and epoch")
	}
	h, _, err := Parse(b)
	if err != nil || h.BaseOffset != 1_000_000 || h.LeaderEpoch != 9 || !CheckCRC(h, b) {
		t.Fatalf("patched header %+v, %v", h, err)
	}
	b[len(b)-1] ^= 1
	if Digest(b) == before {
		t.Fatal("the digest did not see a changed byte")
	}
}

func TestStampAppendTime(t *testing.T) {
	b := sample(2)
	h, _, _ := Parse(b)
	stamped := StampAppendTime(h, b, 77)
	again, _, err := Parse(b)
	if err != nil || again != stamped || again.MaxTimestamp != 77 || !CheckCRC(again, b) {
		t.Fatalf("stamped %+v, parsed %+v, %v", stamped, again, err)
	}
	if _, err := Validate(b, Limits{}); !errors.Is(err, kerr.InvalidTimestamp) {
		t.Fatalf("a client's own append time: %v", err)
	}
}

// B2: parsing and validating touch no heap, whatever the bytes say.
func TestValidateAllocatesNothing(t *testing.T) {
	b := sample(3)
	if n := testing.AllocsPerRun(100, func() { _, _ = Validate(b, Limits{}) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample(3))
	f.Add(append(sample(1), sample(2)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			h, rest, err := Parse(b)
			if err != nil {
				if !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrVersion) {
					t.Fatalf("unnamed error %v", err)
				}
				return
			}
			if len(rest)+h.Length != len(b) {
				t.Fatalf("batch of %d and rest of %d in %d bytes", h.Length, len(rest), len(b))
			}
			_, _ = Validate(b[:h.Length], Limits{MaxBytes: 1 << 20})
			b = rest
		}
	})
}
