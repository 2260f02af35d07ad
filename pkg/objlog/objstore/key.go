package objstore

import (
	"errors"
	"fmt"
	"strings"
)

// KeyBytesMax is the length of the longest key. S3 allows 1,024 bytes; the rest is left for the store's prefix.
const KeyBytesMax = 512

// segmentBytesMax is what file systems allow for one name.
const segmentBytesMax = 255

// ErrKey says that a key is not of the form that ValidateKey asks for.
var ErrKey = errors.New("invalid object key")

// ValidateKey refuses a key that is not the same thing on every backend. A key is one or more segments joined by "/";
// a segment is of printable ASCII without space and backslash, and does not begin with a dot. So no key leaves the
// bucket ("..", a leading "/"), and none collides with the directory backend's own files.
func ValidateKey(key string) error {
	if len(key) == 0 || len(key) > KeyBytesMax {
		return fmt.Errorf("%w: %q has %d bytes, want 1 to %d", ErrKey, clip(key), len(key), KeyBytesMax)
	}
	if err := validateBytes(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("%w: %q has an empty segment", ErrKey, key)
		case segment[0] == '.':
			return fmt.Errorf("%w: a segment of %q begins with a dot", ErrKey, key)
		case len(segment) > segmentBytesMax:
			return fmt.Errorf("%w: a segment of %q has more than %d bytes", ErrKey, clip(key), segmentBytesMax)
		}
	}
	return nil
}

// ValidatePrefix refuses what cannot be the beginning of a key. The empty prefix is valid.
func ValidatePrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if len(prefix) > KeyBytesMax {
		return fmt.Errorf("%w: the prefix %q has %d bytes, want at most %d", ErrKey, clip(prefix), len(prefix), KeyBytesMax)
	}
	if err := validateBytes(prefix); err != nil {
		return err
	}
	if prefix[0] == '/' || prefix[0] == '.' || strings.Contains(prefix, "//") || strings.Contains(prefix, "/.") {
		return fmt.Errorf("%w: nothing can begin with %q", ErrKey, prefix)
	}
	return nil
}

func validateBytes(key string) error {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c > '~' || c == '\\' {
			return fmt.Errorf("%w: byte %#x in %q", ErrKey, c, clip(key))
		}
	}
	return nil
}

// clip keeps an absurd key out of log lines.
func clip(key string) string {
	const shown = 64
	if len(key) <= shown {
		return key
	}
	return key[:shown] + "…"
}

// ValidateRange refuses an invalid key or a negative offset. For backends.
func ValidateRange(key string, offset int64) error {
	if err := ValidateKey(key); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if offset < 0 {
		return fmt.Errorf("get %s: the offset %d is negative", key, offset)
	}
	return nil
}
