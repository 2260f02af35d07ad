package shadow

import (
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// copied is a shadow of a source with two objects, one of which is copied in part.
func copied(t *testing.T, prefix string) (a, b *region) {
	a, b = newRegion(t, 1), newRegion(t, 2)
	b.shadow(a, prefix)
	a.topic("x")
	a.topic("y")
	a.produce(to{"x", 0, 2, 'a'}, to{"y", 0, 1, 'b'})
	a.produce(to{"x", 0, 1, 'c'}, to{"x", 1, 3, 'd'}, to{"x", 0, 2, 'e'})
	b.copyAll(a)
	b.sameImage(a)
	return a, b
}

func (r *region) deep() *adminpb.VerifyResponse {
	r.t.Helper()
	got, err := VerifyDeep(r.t.Context(), r.bucket, r.With, "l")
	if err != nil {
		r.t.Fatal(err)
	}
	if got.Equal != (len(got.Mismatches) == 0) {
		r.t.Fatalf("equal is %v with %d mismatches", got.Equal, len(got.Mismatches))
	}
	return got
}

// flipOver makes r the primary.
func (r *region) flipOver() {
	r.t.Helper()
	image := r.link().Image()
	r.emit(&metalogpb.Event{Kind: &metalogpb.Event_RegionFlipped{RegionFlipped: &metalogpb.RegionFlipped{
		Link: "l", Epoch: int32(base.NextEpoch(r.number, r.seq.State().Region().Epoch, image.Region().Epoch)), CutSeq: uint64(image.Head().Seq),
	}}})
}

// Deep verification needs the bucket only. It reads everything that the link shows, and finds one flipped bit anywhere in it,
// before a failover and after.
func TestDeepFindsOneBit(t *testing.T) {
	for _, prefix := range []string{"*", "x"} {
		for _, flipped := range []bool{false, true} {
			_, b := copied(t, prefix)
			if flipped {
				b.flipOver()
			}
			got := b.deep()
			if !got.Equal || got.BytesRead == 0 || got.Partitions != map[string]int32{"*": 4, "x": 2}[prefix] {
				t.Fatalf("of a sound bucket: %v", got)
			}
			for _, key := range b.keys() {
				good := b.get(key)
				for at := range good {
					if unprotected(t, good, at) {
						continue
					}
					b.flip(key, at, 1<<(at%8))
					if b.deep().Equal {
						t.Errorf("%q, flipped over %v: a bit of byte %d of %s is not found", prefix, flipped, at, key)
					}
					b.flip(key, at, 1<<(at%8))
				}
			}
			if !b.deep().Equal {
				t.Fatal("the bucket is sound again")
			}
		}
	}
}

// The report says where: topic, partition, offset.
func TestDeepNamesThePlace(t *testing.T) {
	_, b := copied(t, "*")
	key := b.keys()[1]
	object := b.get(key)
	b.flip(key, strings.Index(string(object), "\x01\x02d")+2, 1) // the value of a record of x-1
	got := b.deep()
	if len(got.Mismatches) != 1 || got.Mismatches[0].Topic != "x" || got.Mismatches[0].Partition != 1 || got.Mismatches[0].Offset != 0 {
		t.Fatalf("mismatches %v", got.Mismatches)
	}
}

// An object that is gone, and one that is sound but another's, are found.
func TestDeepFindsOtherObjects(t *testing.T) {
	_, b := copied(t, "*")
	keys := b.keys()
	first, second := b.get(keys[0]), b.get(keys[1])
	b.remove(keys[0])
	if got := b.deep(); got.Equal || len(got.Mismatches) != 2 {
		t.Errorf("an object of two partitions is gone: %v", got.Mismatches)
	}
	b.put(keys[0], second)
	if b.deep().Equal {
		t.Error("another object in its place is not found")
	}
	b.remove(keys[0])
	b.put(keys[0], first)
	if !b.deep().Equal {
		t.Error("the bucket is sound again")
	}
}

// Bytes that never came are no mismatch to be silent about.
func TestDeepTellsWhatIsNotHere(t *testing.T) {
	a, b := copied(t, "*")
	id := a.produce(to{"x", 1, 1, 'f'})
	a.remove(id.Key())
	b.copyAll(a)
	got := b.deep()
	if len(got.Mismatches) != 1 || !strings.Contains(got.Mismatches[0].Reason, "not in this region's bucket") || got.Mismatches[0].Offset != 3 {
		t.Fatalf("mismatches %v", got.Mismatches)
	}
}

// A chain head in the state that the bytes do not give is found, though each object is sound in itself.
func TestDeepChains(t *testing.T) {
	_, b := copied(t, "*")
	payload, err := b.seq.State().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	chain := b.link().Image().TopicByName("x").Partition(1).Chain
	at := strings.Index(string(payload), string(chain[:]))
	payload[at] ^= 1
	st, err := state.Restore(payload)
	if err != nil {
		t.Fatal(err)
	}
	got, err := VerifyDeep(t.Context(), b.bucket, func(fn func(*state.State)) { fn(st) }, "l")
	if err != nil || len(got.Mismatches) != 1 || !strings.Contains(got.Mismatches[0].Reason, "chain head") {
		t.Fatalf("%v, %v", got, err)
	}
}
