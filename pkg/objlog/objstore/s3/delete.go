package s3

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
)

// Delete implements objstore.Store, by batches of 1,000.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := objstore.ValidateKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	for batch := range slices.Chunk(keys, deleteBatch) {
		err := s.again(ctx, "delete", batch[0], func() error { return s.deleteBatch(ctx, batch) })
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteBatch deletes the keys; those of them that are gone already are no error, so all may be repeated.
func (s *Store) deleteBatch(ctx context.Context, keys []string) error {
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = s.path(key)
	}
	out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: aws.String(s.bucket),
		Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	})
	if err != nil {
		return err
	}
	// One answer covers the batch, with an error a key. A final one is reported before one that may pass.
	var passing error
	for _, e := range out.Errors {
		code := aws.ToString(e.Code)
		err := fmt.Errorf("%s: %s: %s", aws.ToString(e.Key), code, aws.ToString(e.Message))
		switch {
		case code == "NoSuchKey":
		case code == "InternalError" || code == "ServiceUnavailable" || repeatCodes[code]:
			passing = classified{fmt.Errorf("%w: %w", base.ErrUnavailable, err)}
		default:
			return classified{err}
		}
	}
	return passing
}
