package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, limit int64) (content []byte, err error) {
	f, size, err := s.openObject(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size > limit {
		return nil, fmt.Errorf("get %s: %d bytes, the limit is %d: %w", key, size, limit, base.ErrTooLarge)
	}
	content = make([]byte, size)
	if _, err := io.ReadFull(f, content); err != nil {
		return nil, wrap("get", key, err)
	}
	return content, nil
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) (err error) {
	if err := objstore.ValidateRange(key, offset); err != nil {
		return err
	}
	f, size, err := s.openObject(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if offset > size || int64(len(dst)) > size-offset {
		return fmt.Errorf("get %s, %d bytes from %d on: the object has %d: %w",
			key, len(dst), offset, size, io.ErrUnexpectedEOF)
	}
	if len(dst) == 0 {
		return nil
	}
	if _, err := f.ReadAt(dst, offset); err != nil {
		return wrap("get", key, err)
	}
	return nil
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	if err := s.check(ctx, "head", key); err != nil {
		return objstore.Info{}, err
	}
	info, err := s.root.Lstat(key)
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return objstore.Info{}, wrap("head", key, err)
	}
	return objstore.Info{Key: key, Size: info.Size()}, nil
}

// Delete implements objstore.Store. The folders are synced, so that what was deleted does not come back.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := s.check(ctx, "delete", key); err != nil {
			return err
		}
	}
	touched := make(map[string]bool)
	for _, key := range keys {
		if err := s.usable(ctx, "delete", key); err != nil {
			return err
		}
		info, err := s.root.Lstat(key)
		if err == nil && info.IsDir() {
			continue // no object
		}
		if err == nil {
			err = s.root.Remove(key)
		}
		if err != nil {
			if err = wrap("delete", key, err); errors.Is(err, base.ErrNotFound) {
				continue
			}
			return err
		}
		touched[parent(key)] = true
	}
	for dir := range touched {
		if err := s.syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrap("delete from", dir, err)
		}
	}
	return nil
}

func (s *Store) openObject(ctx context.Context, key string) (*os.File, int64, error) {
	if err := s.check(ctx, "get", key); err != nil {
		return nil, 0, err
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, 0, wrap("get", key, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, wrap("get", key, errors.Join(err, f.Close()))
	}
	return f, info.Size(), nil
}
