package objstore

import (
	"context"
	"errors"
	"io"
)

// ErrExists says that a Put found the key taken; what is there is untouched.
var ErrExists = errors.New("object exists")

// ErrAmbiguous says that it is unknown whether a Put stored the object: settle it by Head (see PutSettled).
var ErrAmbiguous = errors.New("it is unknown whether the object was stored")

// Payload is an object's content as a list of slices, so that a segment is uploaded without being copied together. The
// store reads it, possibly more than once, only until Put returns.
type Payload [][]byte

// Info describes an object.
type Info struct {
	Key  string
	Size int64
}

// Store is a bucket, or a prefix of one. Objects are immutable. All methods may be called concurrently.
//
// Errors: base.ErrNotFound for a key that is not there; ErrExists; ErrAmbiguous; base.ErrUnavailable for whatever may
// pass by itself (timeouts, 5xx, SlowDown); anything else is final. Each wraps its cause and names the key.
type Store interface {
	// Put stores p under key if the key is free, else ErrExists. It must not return nil before the object is durable;
	// a crash leaves the whole object or none.
	Put(ctx context.Context, key string, p Payload) error

	// Get returns the whole object; base.ErrTooLarge when it is above limit bytes.
	Get(ctx context.Context, key string, limit int64) ([]byte, error)

	// GetRange fills dst from offset on. An object that ends before gives io.ErrUnexpectedEOF (wrapped).
	GetRange(ctx context.Context, key string, offset int64, dst []byte) error

	// Head describes the object.
	Head(ctx context.Context, key string) (Info, error)

	// List returns up to limit objects whose key starts with prefix and is above after, in byte order of keys.
	List(ctx context.Context, prefix, after string, limit int) ([]Info, error)

	// Delete removes the keys; one that is not there is no error.
	Delete(ctx context.Context, keys ...string) error

	io.Closer
}
