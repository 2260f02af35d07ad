// Package bucket prepares the bucket of a region: what an operator does once, and no agent or coordinator ever does.
//
//  1. A bucket that is not there is made. One that is there is left with all that is in it.
//  2. Uploads that were begun and never ended are removed by a rule of the bucket after a day, where the store takes such a rule.
//     Gnomon itself begins none; tools that copy a bucket do.
//  3. A rule of the bucket that lets objects expire under the region's prefix is an error: Gnomon deletes what is not needed, and a
//     store that deletes for it loses records. Rules that have nothing to do with the prefix are left alone.
//  4. The store must refuse to overwrite on If-None-Match (objstore.ProbeConditionalPut), or it is not fit.
//
// It speaks to the store through minio-go, which knows administration where the data path knows objects only.
package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

// Report is what Init found and did.
type Report struct {
	Bucket  string
	Created bool
	// AbortedUploads says how uploads that never end are removed.
	AbortedUploads string
}

// ErrUnreachable says that the store gave no answer until the context ended.
var ErrUnreachable = errors.New("the store does not answer")

// retryEach is the pause between two attempts to reach a store that is still starting.
const retryEach = 500 * time.Millisecond

// Init makes the bucket ready for a region. It may run again at any time, and by several at once. A store that does not answer is
// asked until ctx ends: ErrUnreachable then.
func Init(ctx context.Context, o s3.Options) (Report, error) {
	client, err := connect(ctx, o)
	if err != nil {
		return Report{}, err
	}
	r := Report{Bucket: o.Bucket}
	if r.Created, err = ensure(ctx, client, o); err != nil {
		return r, err
	}
	if r.AbortedUploads, err = rules(ctx, client, o); err != nil {
		return r, err
	}
	store, err := s3.New(o)
	if err != nil {
		return r, err
	}
	return r, objstore.ProbeConditionalPut(ctx, store, "probe/init-"+rand.Text())
}

// connect makes a client; it sends nothing.
func connect(ctx context.Context, o s3.Options) (*minio.Client, error) {
	c, err := o.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials of the bucket: %w", err)
	}
	host, secure := "s3.amazonaws.com", true
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil {
			return nil, errors.New("the endpoint of the bucket's URL cannot be parsed")
		}
		host, secure = u.Host, u.Scheme == "https"
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	return minio.New(host, &minio.Options{
		Creds:  credentials.NewStaticV4(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
		Secure: secure, Region: o.Region, BucketLookup: lookup,
		MaxRetries: 1, // ensure repeats, and says why it waits
	})
}

// ensure makes the bucket if it is not there, and tells whether it did.
func ensure(ctx context.Context, client *minio.Client, o s3.Options) (created bool, err error) {
	for {
		there, err := client.BucketExists(ctx, o.Bucket)
		switch {
		case err == nil && there:
			return false, nil
		case err == nil:
			err = client.MakeBucket(ctx, o.Bucket, minio.MakeBucketOptions{Region: o.Region})
			if err == nil {
				return true, nil
			}
			if minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
				return false, nil // somebody else was faster
			}
		}
		if !transient(err) {
			return false, fmt.Errorf("make the bucket %s: %w", o.Bucket, err)
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", ErrUnreachable, err)
		case <-time.After(retryEach):
		}
	}
}

// transient tells whether to ask again: there was no answer, or one that speaks of the moment.
func transient(err error) bool {
	if err == nil {
		return false
	}
	answer := minio.ToErrorResponse(err)
	return answer.StatusCode == 0 || answer.StatusCode >= 500
}
