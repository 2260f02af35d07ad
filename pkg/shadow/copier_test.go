package shadow

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/fault"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// mixedObject is an object of three extents, of which the link of b wants those named by prefix, and the job to copy it.
func mixedObject(t *testing.T, prefix string) (a, b *region, job CopyJob) {
	a, b, m := machine(t, prefix)
	a.topic("x")
	a.topic("y")
	a.produce(to{"x", 0, 3, 'a'}) // so that chains do not begin at their first value
	a.produce(to{"x", 0, 2, 'b'}, to{"y", 0, 1, 'c'}, to{"x", 1, 4, 'd'}, to{"x", 0, 1, 'e'})
	jobs := offerAll(t, m, a)
	return a, b, jobs[len(jobs)-1]
}

func (r *region) copy(src *region, job CopyJob) (*metalogpb.Placement, error) {
	c := &ObjectCopier{Cluster: r.cluster(), Bucket: r.bucket}
	return c.Copy(r.t.Context(), src.bucket, job, base.ObjectID{Session: 77, Number: 5})
}

var localKey = base.ObjectID{Session: 77, Number: 5}.Key()

// L2: an object that is wanted whole keeps every byte, under a name of this region's.
func TestCopyWhole(t *testing.T) {
	a, b, job := mixedObject(t, "*")
	p, err := b.copy(a, job)
	if err != nil || !job.Whole {
		t.Fatal(err)
	}
	if !bytes.Equal(b.get(localKey), a.get(job.Object.Key())) {
		t.Error("the bytes are not the source's")
	}
	if p.SourceNumber != uint64(job.Object.Number) || p.Number != 5 || p.Size != job.Size || len(p.Spans) != 0 {
		t.Errorf("placement %v", p)
	}
}

// L2: of a mixed object the wanted batches are copied, byte for byte, each where the placement says, and nothing else.
func TestCopySubset(t *testing.T) {
	a, b, job := mixedObject(t, "x")
	p, err := b.copy(a, job)
	if err != nil || job.Whole {
		t.Fatal(err)
	}
	from, to := a.get(job.Object.Key()), b.get(localKey)
	h, extents, err := segment.Verify(to)
	if err != nil || h.Cluster != b.cluster() || h.Session != 77 || h.Number != 5 || p.Size != int64(len(to)) {
		t.Fatalf("object %+v, %v", h, err)
	}
	if len(extents) != 2 || len(p.Spans) != 2 {
		t.Fatalf("%d extents, %d spans", len(extents), len(p.Spans))
	}
	for i, sp := range p.Spans {
		s := job.Spans[i]
		if sp.Length != s.Length || sp.BaseOffset != int64(s.Base) || sp.Partition != s.Partition || !bytes.Equal(sp.TopicId, s.Topic[:]) {
			t.Errorf("span %v of %+v", sp, s)
		}
		if !bytes.Equal(to[sp.Position:sp.Position+sp.Length], from[s.Position:s.Position+s.Length]) {
			t.Errorf("span %d has other bytes", i)
		}
	}
	if bytes.Contains(to, []byte{1, 2, 'c'}) {
		t.Error("a record of a topic that is not wanted was copied")
	}
}

// unprotected tells whether a byte of an object is the base offset or the leader epoch of a batch: Kafka's CRC and the digest
// leave them out, and they are set anew whenever a batch is served.
func unprotected(t *testing.T, object []byte, at int) bool {
	t.Helper()
	_, extents, err := segment.Verify(object)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range extents {
		start := int(e.Position)
		for _, x := range e.Batches {
			if in := at - start; in >= 0 && in < int(x.Length) {
				return in < 8 || in >= 12 && in < 16
			}
			start += int(x.Length)
		}
	}
	return false
}

// L2: one flipped bit anywhere in the source's object is found, and nothing is written. Wanted whole or in part is the same.
func TestCopyProvesBytes(t *testing.T) {
	for _, prefix := range []string{"*", "x"} {
		a, b, job := mixedObject(t, prefix)
		good := a.get(job.Object.Key())
		for at := range good {
			if unprotected(t, good, at) {
				continue
			}
			a.flip(job.Object.Key(), at, 1<<(at%8))
			if _, err := b.copy(a, job); !errors.Is(err, base.ErrCorrupt) && !errors.Is(err, base.ErrVersion) {
				t.Errorf("a bit of byte %d of %d: %v", at, len(good), err)
			}
			a.flip(job.Object.Key(), at, 1<<(at%8))
		}
		if keys := b.keys(); len(keys) != 0 {
			t.Errorf("written: %v", keys)
		}
	}
}

// L2: sound bytes of another history are no copy either: the digests must lead from chain head to chain head, and every
// number of the job must be the object's.
func TestCopyProvesHistory(t *testing.T) {
	a, b, job := mixedObject(t, "*")
	for name, change := range map[string]func(*SpanJob){
		"another head before":      func(s *SpanJob) { s.Before[0] ^= 1 },
		"another head after":       func(s *SpanJob) { s.After[15] ^= 1 },
		"another base offset":      func(s *SpanJob) { s.Base++; s.Last++ },
		"one record more":          func(s *SpanJob) { s.Last++ },
		"another partition":        func(s *SpanJob) { s.Partition++ },
		"another topic":            func(s *SpanJob) { s.Topic[3] ^= 1 },
		"an extent that is not":    func(s *SpanJob) { s.Extent = 9 },
		"a negative extent":        func(s *SpanJob) { s.Extent = -1 },
		"a batch beyond the last":  func(s *SpanJob) { s.Batches = 9 },
		"a negative batch":         func(s *SpanJob) { s.FirstBatch = -1 },
		"no batch":                 func(s *SpanJob) { s.Batches = 0 },
		"another position":         func(s *SpanJob) { s.Position++ },
		"another length":           func(s *SpanJob) { s.Length-- },
		"a count that wraps round": func(s *SpanJob) { s.FirstBatch, s.Batches = 1<<31-1, 1 },
	} {
		bad := job
		bad.Spans = append([]SpanJob(nil), job.Spans...)
		change(&bad.Spans[1])
		if _, err := b.copy(a, bad); !errors.Is(err, base.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another object in its place, sound in itself.
	other := a.produce(to{"x", 0, 2, 'z'}, to{"y", 0, 1, 'c'}, to{"x", 1, 4, 'd'}, to{"x", 0, 1, 'e'})
	value := a.get(other.Key())
	a.remove(job.Object.Key())
	a.put(job.Object.Key(), value)
	if _, err := b.copy(a, job); !errors.Is(err, base.ErrCorrupt) {
		t.Errorf("another object under its name: %v", err)
	}
	if keys := b.keys(); len(keys) != 0 {
		t.Errorf("written: %v", keys)
	}
}

// What the runner does next depends on the kind of an error: gone for good, try again, take another number.
func TestCopyErrors(t *testing.T) {
	a, b, job := mixedObject(t, "*")
	gone := job
	gone.Object.Number = 99
	if _, err := b.copy(a, gone); !errors.Is(err, base.ErrNotFound) {
		t.Errorf("an object that the source no longer has: %v", err)
	}
	away := fault.New(a.bucket, fault.Options{Hook: func(objstore.Op, string, fault.Phase) error { return fault.ErrInjected }})
	c := &ObjectCopier{Cluster: b.cluster(), Bucket: b.bucket}
	if _, err := c.Copy(t.Context(), away, job, base.ObjectID{Session: 77, Number: 5}); !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("a source that is away: %v", err)
	}
	b.put(localKey, []byte("of an earlier attempt"))
	if _, err := b.copy(a, job); !errors.Is(err, base.ErrUnavailable) {
		t.Errorf("a number that is taken: %v", err)
	}
}

// A put whose answer was lost is settled: the object is there once, and placed.
func TestCopySettlesLostAnswer(t *testing.T) {
	a, b, job := mixedObject(t, "*")
	lost := 0
	bucket := fault.New(b.bucket, fault.Options{Hook: func(op objstore.Op, _ string, phase fault.Phase) error {
		if lost == 0 && op == objstore.OpPut && phase == fault.After {
			lost++
			return fault.ErrInjected
		}
		return nil
	}})
	c := &ObjectCopier{Cluster: b.cluster(), Bucket: bucket}
	if _, err := c.Copy(t.Context(), a.bucket, job, base.ObjectID{Session: 77, Number: 5}); err != nil || lost != 1 {
		t.Fatalf("%v after %d lost answers", err, lost)
	}
	if !bytes.Equal(b.get(localKey), a.get(job.Object.Key())) {
		t.Error("the bytes are not the source's")
	}
}
