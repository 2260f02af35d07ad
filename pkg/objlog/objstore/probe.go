package objstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// ErrUnconditional says that a store overwrites objects although it was asked not to: Gnomon would lose data on it.
var ErrUnconditional = errors.New("the object store ignores If-None-Match: a second PUT of one key was accepted; " +
	"Gnomon needs a store with conditional writes")

// probeAttempts bounds each step of the probe, so that a start does not hang on a store that is away.
const probeAttempts = 6

// ProbeConditionalPut finds out whether the store refuses to overwrite an object: ErrUnconditional if it does not. It
// puts two contents of equal size under key, which must be new for each probe, and deletes it again. A store that
// cannot be reached gives base.ErrUnavailable.
func ProbeConditionalPut(ctx context.Context, s Store, key string) error {
	return Backoff{Attempts: probeAttempts}.ProbeConditionalPut(ctx, s, key)
}

// ProbeConditionalPut is the function of that name with this backoff; Attempts bounds each step.
func (b Backoff) ProbeConditionalPut(ctx context.Context, s Store, key string) (err error) {
	first, second := []byte("probe: the first content\n"), []byte("probe: the other content\n")
	if err := b.PutSettled(ctx, s, key, Payload{first}); err != nil {
		return fmt.Errorf("probe %s for conditional writes: %w", Describe(s), err)
	}
	defer func() {
		if deleteErr := s.Delete(ctx, key); deleteErr != nil && err == nil {
			err = fmt.Errorf("probe %s: remove the probe: %w", Describe(s), deleteErr)
		}
	}()

	accepted, err := b.putAgain(ctx, s, key, second)
	if err != nil {
		return fmt.Errorf("probe %s for conditional writes: %w", Describe(s), err)
	}
	// The answer alone proves little: a store may say no and overwrite, or say yes and keep the first.
	content, err := s.Get(ctx, key, int64(len(first)))
	if err != nil {
		return fmt.Errorf("probe %s: read the probe: %w", Describe(s), err)
	}
	if accepted || !bytes.Equal(content, first) {
		return fmt.Errorf("%s: %w", Describe(s), ErrUnconditional)
	}
	return nil
}

// putAgain puts other content under a taken key until the store answers, and tells whether it accepted.
func (b Backoff) putAgain(ctx context.Context, s Store, key string, content []byte) (bool, error) {
	for failures := 1; ; failures++ {
		err := s.Put(ctx, key, Payload{content})
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, ErrExists):
			return false, nil
		case !errors.Is(err, ErrAmbiguous) && !errors.Is(err, base.ErrUnavailable), b.Spent(failures):
			return false, err
		}
		if waitErr := b.Wait(ctx, failures); waitErr != nil {
			return false, fmt.Errorf("%w (%w)", err, waitErr)
		}
	}
}
