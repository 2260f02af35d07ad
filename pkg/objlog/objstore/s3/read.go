package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

var errNoLength = classified{errors.New("the store does not say the object's length")}

// Get implements objstore.Store. What the store keeps a checksum of is checked against it.
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	var content []byte
	err := s.again(ctx, "get", key, func() (err error) {
		content, err = s.get(ctx, key, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return content, nil
}

func (s *Store) get(ctx context.Context, key string, limit int64) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket:       aws.String(s.bucket),
		Key:          s.path(key),
		ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }() // what was read is checked; a failure to hang up changes nothing
	if out.ContentLength == nil {
		return nil, errNoLength
	}
	size := *out.ContentLength
	if size > limit {
		return nil, classified{fmt.Errorf("%d bytes, the limit is %d: %w", size, limit, base.ErrTooLarge)}
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(out.Body, content); err != nil {
		return nil, broken(err)
	}
	// The checksum is compared at the end of the stream, so the end must be asked for.
	if _, err := io.Copy(io.Discard, out.Body); err != nil {
		return nil, broken(err)
	}
	return content, nil
}

// GetRange implements objstore.Store.
func (s *Store) GetRange(ctx context.Context, key string, offset int64, dst []byte) error {
	if err := objstore.ValidateRange(key, offset); err != nil {
		return err
	}
	if len(dst) == 0 {
		// HTTP has no empty range. The object must be there, and reach up to offset, as on every backend.
		info, err := s.Head(ctx, key)
		if err == nil && info.Size < offset {
			err = fmt.Errorf("get %s from %d on: the object has %d: %w", key, offset, info.Size, io.ErrUnexpectedEOF)
		}
		return err
	}
	return s.again(ctx, "get", key, func() error { return s.getRange(ctx, key, offset, dst) })
}

func (s *Store) getRange(ctx context.Context, key string, offset int64, dst []byte) error {
	last := offset + int64(len(dst)) - 1
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String(s.bucket),
		Key:    s.path(key),
		Range:  aws.String(fmt.Sprintf("bytes=%d-%d", offset, last)),
	})
	if err != nil {
		return err
	}
	defer func() { _ = out.Body.Close() }() // what was read is checked; a failure to hang up changes nothing
	if r := aws.ToString(out.ContentRange); !strings.HasPrefix(r, fmt.Sprintf("bytes %d-", offset)) {
		return classified{fmt.Errorf("the store sent the range %q instead of bytes %d-%d", r, offset, last)}
	}
	if n := aws.ToInt64(out.ContentLength); n < int64(len(dst)) {
		return classified{fmt.Errorf("%d bytes from %d on, the object has only %d: %w",
			len(dst), offset, n, io.ErrUnexpectedEOF)}
	}
	if _, err := io.ReadFull(out.Body, dst); err != nil {
		return broken(err)
	}
	return nil
}

// Head implements objstore.Store.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return objstore.Info{}, fmt.Errorf("head: %w", err)
	}
	var out *s3.HeadObjectOutput
	err := s.again(ctx, "head", key, func() (err error) {
		out, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(s.bucket), Key: s.path(key)})
		if err == nil && out.ContentLength == nil {
			err = errNoLength
		}
		return err
	})
	if err != nil {
		return objstore.Info{}, err
	}
	return objstore.Info{Key: key, Size: *out.ContentLength}, nil
}

// List implements objstore.Store, by pages of 1,000.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, error) {
	if err := objstore.ValidatePrefix(prefix); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	var infos []objstore.Info
	for len(infos) < limit {
		page, more, err := s.listPage(ctx, prefix, after, min(limit-len(infos), listPage))
		if err != nil {
			return nil, err
		}
		infos = append(infos, page...)
		if !more || len(page) == 0 {
			break
		}
		after = page[len(page)-1].Key
	}
	return infos, nil
}

// listPage lists by StartAfter and not by a continuation token, so that a page that is asked for again is the same.
func (s *Store) listPage(ctx context.Context, prefix, after string, limit int) ([]objstore.Info, bool, error) {
	in := &s3.ListObjectsV2Input{
		Bucket:  aws.String(s.bucket),
		Prefix:  aws.String(s.prefix + prefix),
		MaxKeys: aws.Int32(int32(limit)),
	}
	if after != "" {
		in.StartAfter = s.path(after)
	}
	var out *s3.ListObjectsV2Output
	err := s.again(ctx, "list", strconv.Quote(prefix), func() (err error) {
		out, err = s.client.ListObjectsV2(ctx, in)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	infos := make([]objstore.Info, 0, len(out.Contents))
	for _, o := range out.Contents {
		key := strings.TrimPrefix(aws.ToString(o.Key), s.prefix)
		infos = append(infos, objstore.Info{Key: key, Size: aws.ToInt64(o.Size)})
	}
	return infos, aws.ToBool(out.IsTruncated), nil
}
