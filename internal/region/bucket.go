package region

import (
	"context"
	"strings"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/bucket"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
)

// onNetwork tells whether a bucket's requests go over a network, so that some take long for no reason of their own.
func onNetwork(bucketURL string) bool { return strings.HasPrefix(bucketURL, "s3:") }

// BucketReport is what InitBucket found and did.
type BucketReport = bucket.Report

// Why InitBucket has done nothing.
var (
	ErrStoreUnreachable = bucket.ErrUnreachable
	ErrDirectoryBucket  = open.ErrNotS3
)

// InitBucket makes the bucket that a URL names ready for a region; see package bucket.
func InitBucket(ctx context.Context, rawURL string) (BucketReport, error) {
	o, err := open.S3Options(ctx, rawURL, open.Options{})
	if err != nil {
		return BucketReport{}, err
	}
	return bucket.Init(ctx, o)
}
