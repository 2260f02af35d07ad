package s3

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Put implements objstore.Store by one request: see the package's comment on what its failures say.
func (s *Store) Put(ctx context.Context, key string, p objstore.Payload) error {
	if err := objstore.ValidateKey(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put %s: %w: %w", key, base.ErrUnavailable, err)
	}
	size := p.Size()
	if size > putBytesMax {
		return fmt.Errorf("put %s: %d bytes, the limit is %d: %w", key, size, int64(putBytesMax), base.ErrTooLarge)
	}
	b := newBody(p)
	defer b.release()
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         aws.String(s.bucket),
		Key:            s.path(key),
		Body:           b,
		ContentLength:  aws.Int64(size),
		ChecksumCRC32C: aws.String(checksum(p)),
		IfNoneMatch:    aws.String("*"),
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, classifyPut(err))
	}
	return nil
}
