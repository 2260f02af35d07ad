package region

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/coordinator"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
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

// bucketWait is how a store that does not answer is waited for.
type bucketWait struct {
	now      func() time.Time
	logger   *slog.Logger
	patience time.Duration // 0: until ctx ends
}

// bucketBackoff is the pause between two looks at a store that does not answer. Each look is some ten requests, with pauses of their own.
var bucketBackoff = objstore.Backoff{First: 500 * time.Millisecond, Max: 10 * time.Second}

// openBucket proves that the bucket can be used, and claims it for this cluster. A store that is away, or asks to slow down as many processes
// start at once, is waited for; what it refuses is final.
func openBucket(ctx context.Context, url string, id coordinator.Identity, w bucketWait) (objstore.Store, error) {
	bucket, err := open.Open(ctx, url, open.Options{})
	if err != nil {
		return nil, err
	}
	if w.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.patience)
		defer cancel()
	}
	for failures := 1; ; failures++ {
		err = proveBucket(ctx, bucket, id, w.now())
		if err == nil {
			return bucket, nil
		}
		passing := errors.Is(err, base.ErrUnavailable) || errors.Is(err, objstore.ErrAmbiguous)
		if !passing || ctx.Err() != nil || bucketBackoff.Wait(ctx, failures) != nil {
			return nil, errors.Join(err, bucket.Close())
		}
		w.logger.Warn("waits for the bucket", "bucket", objstore.Describe(bucket), "error", err)
	}
}

func proveBucket(ctx context.Context, bucket objstore.Store, id coordinator.Identity, now time.Time) error {
	err := objstore.ProbeConditionalPut(ctx, bucket, fmt.Sprintf("meta/probe/%d-%d", id.Region, now.UnixNano()))
	if err != nil {
		return err
	}
	return objstore.ClaimBucket(ctx, bucket, objstore.Claim{ClusterID: id.ClusterID, KafkaClusterID: id.KafkaClusterID, Region: id.Region})
}
