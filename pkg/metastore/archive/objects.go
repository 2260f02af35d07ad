package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Objects is what the archive needs of a bucket.
type Objects interface {
	// PutIfAbsent stores value under key. ErrTaken when the key holds something already.
	PutIfAbsent(ctx context.Context, key string, value []byte) error
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	// List returns up to limit keys that start with prefix and are above after, in byte order.
	List(ctx context.Context, prefix, after string, limit int) ([]string, error)
}

// ErrTaken says that a key holds something already.
var ErrTaken = errors.New("key is taken")

// Limits of objects, bytes.
const (
	logObjectMax  = 64 << 20
	snapshotMax   = 4 << 30
	blobMax       = 4 << 30
	formatVersion = 1
)

const (
	magicLog      = "GNOMLOG\x00"
	magicSnapshot = "GNOMSNP\x00"
)

// put stores an object that may be there already, with the same content (A1).
func put(ctx context.Context, o Objects, key string, value []byte) error {
	err := o.PutIfAbsent(ctx, key, value)
	if !errors.Is(err, ErrTaken) {
		return err
	}
	there, err := o.Get(ctx, key, int64(len(value))+1)
	if err != nil {
		return fmt.Errorf("compare with what is there: %w", err)
	}
	if !bytes.Equal(there, value) {
		return fmt.Errorf("object %s is there with another content: %w", key, base.ErrCorrupt)
	}
	return nil
}

// BlobKey names a blob.
func BlobKey(h metastore.Hash) string { return "meta/blob/" + hex.EncodeToString(h[:]) }

// PutBlob stores a payload under its hash.
func PutBlob(ctx context.Context, o Objects, payload []byte) (metastore.Hash, error) {
	h := metastore.Hash(sha256.Sum256(payload))
	return h, put(ctx, o, BlobKey(h), payload)
}

// GetBlob returns a payload by its hash.
func GetBlob(ctx context.Context, o Objects, h metastore.Hash) ([]byte, error) {
	b, err := o.Get(ctx, BlobKey(h), blobMax)
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(b) != h {
		return nil, fmt.Errorf("blob %x: wrong SHA-256: %w", h, base.ErrCorrupt)
	}
	return b, nil
}

// PutSnapshot stores an encoded state and returns its pointer.
func PutSnapshot(ctx context.Context, o Objects, incarnation string, seq base.Seq, hash metastore.Hash, payload []byte) (*metalogpb.Pointer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	value := binary.BigEndian.AppendUint16([]byte(magicSnapshot), formatVersion)
	value = enc.EncodeAll(payload, value)
	sum := sha256.Sum256(value)
	key := fmt.Sprintf("meta/snapshot/%s/%016x-%x", incarnation, uint64(seq), sum[:8])
	if err := put(ctx, o, key, value); err != nil {
		return nil, err
	}
	return &metalogpb.Pointer{Seq: uint64(seq), Object: key, Sha256: sum[:], Hash: hash[:]}, nil
}

// GetSnapshot returns the encoded state that a pointer names.
func GetSnapshot(ctx context.Context, o Objects, p *metalogpb.Pointer) ([]byte, error) {
	value, err := o.Get(ctx, p.Object, snapshotMax)
	if err != nil {
		return nil, err
	}
	const header = len(magicSnapshot) + 2
	if sum := sha256.Sum256(value); !bytes.Equal(sum[:], p.Sha256) {
		return nil, fmt.Errorf("snapshot %s: wrong SHA-256: %w", p.Object, base.ErrCorrupt)
	}
	if len(value) < header || string(value[:8]) != magicSnapshot {
		return nil, fmt.Errorf("object %s is no snapshot: %w", p.Object, base.ErrCorrupt)
	}
	if v := binary.BigEndian.Uint16(value[8:]); v != formatVersion {
		return nil, fmt.Errorf("snapshot of format version %d, this build knows %d: %w", v, formatVersion, base.ErrVersion)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(snapshotMax))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	payload, err := dec.DecodeAll(value[header:], nil)
	if err != nil {
		return nil, fmt.Errorf("decompress snapshot %s: %w: %w", p.Object, err, base.ErrCorrupt)
	}
	return payload, nil
}
