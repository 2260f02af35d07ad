package objstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/pkg/metastore/archive"
)

// AsObjects lends a store to the metalog's archive.
func AsObjects(s Store) archive.Objects { return objects{s} }

type objects struct{ s Store }

func (o objects) PutIfAbsent(ctx context.Context, key string, value []byte) error {
	err := o.s.Put(ctx, key, Payload{value})
	switch {
	case errors.Is(err, ErrExists):
		return fmt.Errorf("%w: %w", archive.ErrTaken, err)
	case errors.Is(err, ErrAmbiguous):
		// The archive compares contents when a key is taken, so a second Put settles the first.
		if err = o.s.Put(ctx, key, Payload{value}); errors.Is(err, ErrExists) {
			return fmt.Errorf("%w: %w", archive.ErrTaken, err)
		}
	}
	return err
}

func (o objects) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	return o.s.Get(ctx, key, limit)
}

func (o objects) List(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	infos, err := o.s.List(ctx, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(infos))
	for i, info := range infos {
		keys[i] = info.Key
	}
	return keys, nil
}
