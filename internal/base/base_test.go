package base

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
)

// Epochs of two regions are never equal, only rise, and name their region.
func TestNextEpoch(t *testing.T) {
	for _, c := range []struct {
		region RegionNumber
		above  []Epoch
		want   Epoch
	}{
		{1, nil, 1}, {2, nil, 2}, {2, []Epoch{2, 1}, 10}, {1, []Epoch{1, 10}, 17}, {1, []Epoch{17, 10}, 25}, {7, []Epoch{8}, 15}, {1, []Epoch{7}, 9},
	} {
		got := NextEpoch(c.region, c.above...)
		if got != c.want || got.Region() != c.region {
			t.Errorf("region %d above %v: %d of region %d, want %d", c.region, c.above, got, got.Region(), c.want)
		}
	}
	// A failover back and forth, each side knowing what it saw of the other.
	seen := []Epoch{}
	for i := range 40 {
		e := NextEpoch(RegionNumber(1+i%3), seen...)
		if len(seen) > 0 && e <= slices.Max(seen) {
			t.Fatalf("epoch %d after %v", e, seen)
		}
		seen = append(seen, e)
	}
}

// Ids carry their epoch, so that two regions never hand out the same one, and are positive, as Kafka's producer ids are.
func TestStripedID(t *testing.T) {
	for _, e := range []Epoch{1, 2, 10, 1<<23 - 1} {
		for _, n := range []uint64{0, 1, 1<<40 - 1} {
			id := StripedID(e, n)
			if id < 0 || EpochOfID(id) != e || uint64(id)&(1<<40-1) != n {
				t.Errorf("epoch %d, counter %d: %x", e, n, id)
			}
		}
	}
	if StripedID(1, 1<<40-1) >= StripedID(2, 0) {
		t.Error("stripes overlap")
	}
}

// The chain is SHA-256 over what came before, the base offset and the digest: pinned, as every region computes it for ever.
func TestChain(t *testing.T) {
	one := Chain{}.Next(0, DigestOf([]byte("batch")))
	var in []byte
	in = append(in, make([]byte, 16+8)...)
	digest := sha256.Sum256([]byte("batch"))
	in = append(in, digest[:16]...)
	want := sha256.Sum256(in)
	if one.String() != hex.EncodeToString(want[:16]) || one.String() != "03b7664dde6be837aa054622b7397696" {
		t.Errorf("chain %s, want %x", one, want[:16])
	}
	if one.Next(5, DigestOf(nil)) == one.Next(6, DigestOf(nil)) || one.Next(5, DigestOf(nil)) == one.Next(5, DigestOf([]byte{0})) {
		t.Error("offset or digest does not count")
	}
	if _, err := ChainFromBytes(make([]byte, 15)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("15 bytes: %v", err)
	}
	if _, err := TopicIDFromBytes(make([]byte, 17)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("17 bytes: %v", err)
	}
}

// Names of objects sort as sessions and numbers do, and are pinned: they are in buckets.
func TestObjectKey(t *testing.T) {
	id := ObjectID{Session: 0x20000000001, Number: 0x1f}
	if id.Key() != "data/0000020000000001/000000000000001f" || id.String() != "20000000001/1f" {
		t.Errorf("key %s, %s", id.Key(), id)
	}
	ids := []ObjectID{{1, 2}, {1, 10}, {1, 256}, {2, 1}, {16, 1}}
	for i := 1; i < len(ids); i++ {
		if ids[i-1].Compare(ids[i]) >= 0 || ids[i-1].Key() >= ids[i].Key() {
			t.Errorf("%s is not before %s", ids[i-1], ids[i])
		}
	}
}
