package segment

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// tailBytes is how much of an object's end ReadFooter asks for at first: the trailer and a footer of some 1,100 batches.
const tailBytes = 64 << 10

// ReadFooter reads the extents of an object of size bytes without its batches: one ranged GET of the object's end, and a
// second only for a footer that is longer than 64 KiB. Errors are the store's, base.ErrVersion, and base.ErrCorrupt, also
// for an object that is shorter than size.
func ReadFooter(ctx context.Context, store objstore.Store, key string, size int64) ([]Extent, error) {
	tail := make([]byte, min(max(size, 0), tailBytes))
	if err := readEnd(ctx, store, key, size, tail); err != nil {
		return nil, err
	}
	t, err := readTrailer(tail, size)
	if err != nil {
		return nil, fmt.Errorf("read the footer of %s: %w", key, err)
	}
	if missing := size - int64(len(tail)) - t.position; missing > 0 {
		// The trailer was compared with size: the footer lies within the object.
		whole := make([]byte, missing, missing+int64(len(tail)))
		if err := readRange(ctx, store, key, t.position, whole); err != nil {
			return nil, err
		}
		tail = append(whole, tail...)
	}
	footer := tail[int64(len(tail))-TrailerSize-t.length : len(tail)-TrailerSize]
	extents, err := parseFooter(footer, t)
	if err != nil {
		return nil, fmt.Errorf("read the footer of %s: %w", key, err)
	}
	return extents, nil
}

func readEnd(ctx context.Context, store objstore.Store, key string, size int64, tail []byte) error {
	if len(tail) == 0 {
		return fmt.Errorf("read the footer of %s: the object has %d bytes: %w", key, size, base.ErrCorrupt)
	}
	return readRange(ctx, store, key, size-int64(len(tail)), tail)
}

func readRange(ctx context.Context, store objstore.Store, key string, offset int64, dst []byte) error {
	err := store.GetRange(ctx, key, offset, dst)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the footer of %s: the object is shorter than it should be: %w: %w", key, base.ErrCorrupt, err)
	}
	if err != nil {
		return fmt.Errorf("read the footer of %s: %w", key, err)
	}
	return nil
}
