package objstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// ClaimKey is the object that says whose bucket (or prefix) this is. It is written once and never changes.
const ClaimKey = "meta/claim.json"

// claimVersion is the format that this build writes and reads.
const claimVersion = 1

// claimBytesMax bounds what is read as a claim.
const claimBytesMax = 64 << 10

// ErrClaimed says that the bucket belongs to another cluster or region.
var ErrClaimed = errors.New("use another bucket or prefix")

// Claim says whose bucket it is.
type Claim struct {
	ClusterID base.ClusterID
	// KafkaClusterID is the id that Kafka clients see; both regions of a pair have the same.
	KafkaClusterID string
	Region         base.RegionNumber
}

// claimFile is the claim as it stands in the bucket.
type claimFile struct {
	Version        int               `json:"version"`
	ClusterID      string            `json:"clusterId"`
	KafkaClusterID string            `json:"kafkaClusterId"`
	Region         base.RegionNumber `json:"region"`
}

// String gives the claim for people: "cluster 00ff… (Kafka cluster id abc), region 1".
func (c Claim) String() string {
	return fmt.Sprintf("cluster %s (Kafka cluster id %s), region %d", c.ClusterID, c.KafkaClusterID, c.Region)
}

// ClaimBucket makes the bucket c's own if it is nobody's, and returns nil if it is c's. A bucket of somebody else gives
// ErrClaimed, in one sentence that names both.
//
// The race of two clusters that are both started on one new bucket, as a walk:
//
//  1. Both read that there is no claim. Both put theirs. The store keeps one (invariant 1).
//  2. What an answer says is not trusted, since a lost answer is settled by size only, and the claims of two clusters
//     may be of one size. Both read the claim again, and only the one that finds its own goes on.
func ClaimBucket(ctx context.Context, s Store, c Claim) error {
	return Backoff{Attempts: probeAttempts}.ClaimBucket(ctx, s, c)
}

// ClaimBucket is the function of that name with this backoff.
func (b Backoff) ClaimBucket(ctx context.Context, s Store, c Claim) error {
	have, err := ReadClaim(ctx, s)
	if errors.Is(err, base.ErrNotFound) {
		content, encodeErr := encodeClaim(c)
		if encodeErr != nil {
			return encodeErr
		}
		putErr := b.PutSettled(ctx, s, ClaimKey, Payload{content})
		if putErr != nil && !errors.Is(putErr, ErrExists) {
			return fmt.Errorf("claim %s: %w", Describe(s), putErr)
		}
		have, err = ReadClaim(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("claim %s: %w", Describe(s), err)
	}
	if have != c {
		return fmt.Errorf("%s belongs to %s, but this is %s: %w", Describe(s), have, c, ErrClaimed)
	}
	return nil
}

// ReadClaim returns the bucket's claim; base.ErrNotFound if it has none, base.ErrVersion if a newer build wrote it.
func ReadClaim(ctx context.Context, s Store) (Claim, error) {
	content, err := s.Get(ctx, ClaimKey, claimBytesMax)
	if err != nil {
		return Claim{}, fmt.Errorf("read the claim of %s: %w", Describe(s), err)
	}
	c, err := decodeClaim(content)
	if err != nil {
		return Claim{}, fmt.Errorf("read the claim of %s: %w", Describe(s), err)
	}
	return c, nil
}

func encodeClaim(c Claim) ([]byte, error) {
	content, err := json.MarshalIndent(claimFile{
		Version:        claimVersion,
		ClusterID:      c.ClusterID.String(),
		KafkaClusterID: c.KafkaClusterID,
		Region:         c.Region,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the claim: %w", err)
	}
	return append(content, '\n'), nil
}

func decodeClaim(content []byte) (Claim, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(content, &version); err != nil {
		return Claim{}, fmt.Errorf("%w: %s is no JSON object: %w", base.ErrCorrupt, ClaimKey, err)
	}
	if version.Version != claimVersion {
		return Claim{}, fmt.Errorf("%w: %s has version %d, this build knows %d",
			base.ErrVersion, ClaimKey, version.Version, claimVersion)
	}
	var f claimFile
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Claim{}, fmt.Errorf("%w: decode %s: %w", base.ErrCorrupt, ClaimKey, err)
	}
	id, err := hex.DecodeString(f.ClusterID)
	if err != nil || len(id) != len(base.ClusterID{}) {
		return Claim{}, fmt.Errorf("%w: the cluster id in %s is not 32 hex digits", base.ErrCorrupt, ClaimKey)
	}
	return Claim{ClusterID: base.ClusterID(id), KafkaClusterID: f.KafkaClusterID, Region: f.Region}, nil
}
