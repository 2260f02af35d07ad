package bucket

import (
	"context"
	"fmt"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/lifecycle"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/s3"
)

const (
	ruleID = "gnomon-aborted-uploads"
	// uploadDays is how long an upload may take: a day, the least that S3 knows.
	uploadDays = 1
)

// rules sets the rule for uploads that never end and refuses a bucket whose objects expire; it returns how such uploads end.
func rules(ctx context.Context, client *minio.Client, o s3.Options) (string, error) {
	have, err := client.GetBucketLifecycle(ctx, o.Bucket)
	switch code := minio.ToErrorResponse(err).Code; {
	case err == nil:
	case code == "NoSuchLifecycleConfiguration":
		have = lifecycle.NewConfiguration()
	case code == minio.NotImplemented || code == minio.AccessDenied:
		return "left to the store: its rules cannot be read (" + code + ")", nil
	default:
		return "", fmt.Errorf("read the rules of bucket %s: %w", o.Bucket, err)
	}
	prefix, ours := strings.Trim(o.Prefix, "/"), false
	for _, r := range have.Rules {
		if expires(r) && overlap(rulePrefix(r), prefix) {
			return "", fmt.Errorf("rule %q of bucket %s lets objects under %q expire: records would be lost; remove it, or take another bucket",
				r.ID, o.Bucket, rulePrefix(r))
		}
		ours = ours || r.ID == ruleID
	}
	if ours {
		return "removed by the bucket's rule " + ruleID, nil
	}
	have.Rules = append(have.Rules, lifecycle.Rule{
		ID: ruleID, Status: "Enabled", RuleFilter: lifecycle.Filter{Prefix: prefix},
		AbortIncompleteMultipartUpload: lifecycle.AbortIncompleteMultipartUpload{DaysAfterInitiation: uploadDays},
	})
	if err := client.SetBucketLifecycle(ctx, o.Bucket, have); transient(err) {
		return "", fmt.Errorf("set the rules of bucket %s: %w", o.Bucket, err)
	} else if err != nil {
		// MinIO takes no rule for uploads alone, and removes them by itself after a day.
		return fmt.Sprintf("left to the store: it takes no rule for them (%s)", minio.ToErrorResponse(err).Code), nil
	}
	return "removed by the bucket's rule " + ruleID, nil
}

// expires tells whether a rule deletes objects such as Gnomon's, which have no tags. Rules for versions that a delete of ours leaves
// behind are no harm.
func expires(r lifecycle.Rule) bool {
	tagged := !r.RuleFilter.Tag.IsEmpty() || len(r.RuleFilter.And.Tags) > 0
	return r.Status == "Enabled" && !tagged && (r.Expiration.Days > 0 || !r.Expiration.Date.IsZero())
}

func rulePrefix(r lifecycle.Rule) string {
	switch {
	case r.RuleFilter.Prefix != "":
		return r.RuleFilter.Prefix
	case r.RuleFilter.And.Prefix != "":
		return r.RuleFilter.And.Prefix
	}
	return r.Prefix
}

// overlap tells whether a rule's prefix and the region's have keys in common.
func overlap(rule, region string) bool {
	return strings.HasPrefix(region, rule) || strings.HasPrefix(rule, region)
}
