package recovery

import (
	"context"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/segment"
)

// HeldBatch is a batch out of quarantine, proved by its digest and CRC.
type HeldBatch struct {
	Object    string
	Topic     base.TopicID
	Partition int32
	Bytes     []byte
}

// Export calls fn for each batch of the quarantined objects: objects in the order of their session and number, in each by partition. A
// damaged object is an error, after the batches of those before it.
func Export(ctx context.Context, bucket objstore.Store, objects []HeldObject, fn func(HeldBatch) error) error {
	for _, o := range objects {
		whole, err := bucket.Get(ctx, o.Key, o.Bytes)
		if err != nil {
			return fmt.Errorf("read a quarantined object: %w", err)
		}
		_, extents, err := segment.Verify(whole)
		if err != nil {
			return fmt.Errorf("quarantined object %s: %w", o.Key, err)
		}
		for _, e := range extents {
			at := e.Position
			for _, b := range e.Batches {
				if err := fn(HeldBatch{Object: o.Key, Topic: e.Topic, Partition: e.Partition, Bytes: whole[at : at+int64(b.Length)]}); err != nil {
					return err
				}
				at += int64(b.Length)
			}
		}
	}
	return nil
}
