package base

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

func compareBytes(a, b []byte) int { return bytes.Compare(a, b) }

// Digest is a SHA-256 cut to its first 128 bits. A batch's digest covers the batch from its magic byte on, that is
// without baseOffset, batchLength and partitionLeaderEpoch: it is the same for ever and in every region, whatever
// offset the batch got.
type Digest [16]byte

// Chain is the running digest of a partition's accepted batches: equal chains prove equal history.
type Chain [16]byte

// String gives the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// String gives the chain head in hex.
func (c Chain) String() string { return hex.EncodeToString(c[:]) }

// Next returns SHA-256(chain ‖ base offset, big endian ‖ batch digest), cut to 128 bits.
func (c Chain) Next(baseOffset Offset, batch Digest) Chain {
	var buf [16 + 8 + 16]byte
	copy(buf[:16], c[:])
	binary.BigEndian.PutUint64(buf[16:24], uint64(baseOffset))
	copy(buf[24:], batch[:])
	sum := sha256.Sum256(buf[:])
	return Chain(sum[:16])
}

// ChainFromBytes converts a 16-byte slice.
func ChainFromBytes(b []byte) (Chain, error) {
	if len(b) != 16 {
		return Chain{}, fmt.Errorf("chain head has %d bytes, want 16: %w", len(b), ErrCorrupt)
	}
	return Chain(b), nil
}

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest(sum[:16])
}
