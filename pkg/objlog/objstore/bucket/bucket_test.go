package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/minio/minio-go/v7"
	miniocredentials "github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/bucket"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/open"
	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

// newBucket is a bucket that is not there, on the store that GNOMON_TEST_S3 names, and a client of that store.
func newBucket(t *testing.T) (s3.Options, *minio.Client) {
	t.Helper()
	rawURL := os.Getenv("GNOMON_TEST_S3")
	if rawURL == "" {
		t.Skip("skipped: GNOMON_TEST_S3 names no bucket (s3://…); tests/s3/run.sh starts one and sets it")
	}
	o, err := open.S3Options(t.Context(), rawURL, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Bucket, o.Prefix = fmt.Sprintf("init-%d", time.Now().UnixNano()), "cluster"
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(u.Host, &minio.Options{Creds: miniocredentials.NewStaticV4(c.AccessKeyID, c.SecretAccessKey, ""), Region: o.Region})
	if err != nil {
		t.Fatal(err)
	}
	return o, client
}

// Several at once and one after the other: one has made the bucket, all find it fit.
func TestInit(t *testing.T) {
	o, _ := newBucket(t)
	var mu sync.Mutex
	var all sync.WaitGroup
	made := 0
	for range 4 {
		all.Go(func() {
			r, err := bucket.Init(t.Context(), o)
			if err != nil || r.Bucket != o.Bucket || r.AbortedUploads == "" {
				t.Errorf("%+v, %v", r, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Created {
				made++
			}
		})
	}
	all.Wait()
	if made != 1 {
		t.Fatalf("%d have made it", made)
	}
	r, err := bucket.Init(t.Context(), o)
	if err != nil || r.Created {
		t.Fatalf("again: %+v, %v", r, err)
	}
	t.Log("uploads that never end:", r.AbortedUploads)
}

// A rule under which our objects expire is refused, and named; one for other keys stays as it is.
func TestRules(t *testing.T) {
	for prefix, bad := range map[string]bool{"": true, "clu": true, "cluster/segments": true, "logs/": false} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			o, client := newBucket(t)
			if err := client.MakeBucket(t.Context(), o.Bucket, minio.MakeBucketOptions{Region: o.Region}); err != nil {
				t.Fatal(err)
			}
			rules := lifecycle.NewConfiguration()
			// The rule of an earlier run, in a form that MinIO takes, and one with tags, hide nothing and harm nothing.
			rules.Rules = []lifecycle.Rule{{
				ID: "gnomon-aborted-uploads", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: "elsewhere/"}, Expiration: lifecycle.Expiration{Days: 7},
			}, {
				ID: "tagged", Status: "Enabled", RuleFilter: lifecycle.Filter{Tag: lifecycle.Tag{Key: "k", Value: "v"}}, Expiration: lifecycle.Expiration{Days: 7},
			}, {
				ID: "theirs", Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: prefix}, Expiration: lifecycle.Expiration{Days: 7},
			}}
			if err := client.SetBucketLifecycle(t.Context(), o.Bucket, rules); minio.ToErrorResponse(err).Code == "NotImplemented" {
				t.Skip("skipped: the store that GNOMON_TEST_S3 names has no lifecycle rules")
			} else if err != nil {
				t.Fatal(err)
			}
			_, err := bucket.Init(t.Context(), o)
			if bad != (err != nil) || bad && !strings.Contains(err.Error(), `"theirs"`) {
				t.Fatalf("%v", err)
			}
			after, err := client.GetBucketLifecycle(t.Context(), o.Bucket)
			if err != nil || len(after.Rules) != 3 || after.Rules[2].ID != "theirs" {
				t.Fatalf("the rules are now %+v, %v", after, err)
			}
		})
	}
}

// Wrong keys are an answer at once; a store that is away is waited for.
func TestInitFails(t *testing.T) {
	o, _ := newBucket(t)
	o.Credentials = credentials.NewStaticCredentialsProvider("nobody", "nothing-at-all", "")
	_, err := bucket.Init(t.Context(), o)
	if err == nil || errors.Is(err, bucket.ErrUnreachable) || strings.Contains(err.Error(), "nothing-at-all") {
		t.Fatalf("wrong keys: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, err := bucket.Init(ctx, s3.Options{
		Bucket: "b", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", PathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
	if !errors.Is(err, bucket.ErrUnreachable) {
		t.Fatalf("%v", err)
	}
}
