package objstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// PutSettled is Backoff{}.PutSettled: it repeats until ctx ends.
func PutSettled(ctx context.Context, s Store, key string, p Payload) error {
	return Backoff{}.PutSettled(ctx, s, key, p)
}

// PutSettled stores p under a key that only this caller ever uses, and only for these bytes. It repeats what may pass
// by itself and finds out what became of an attempt whose answer was lost.
//
// It returns nil once the object is durable; ErrExists when somebody else has used the key; ErrAmbiguous when ctx ended
// (or the attempts were used up) while an attempt was unsettled: the object may then be there, or appear later, so
// the key must never be used for other bytes; base.ErrUnavailable when they were and nothing is stored.
//
// The race, as a walk:
//
//  1. Put #1 leaves and its answer is lost. The store has the object, or will get it, or never will.
//  2. Head: the object is there with our size. It is ours, because nobody else writes this key, and it is whole,
//     because a store has whole objects only. Done.
//  3. Head: there with another size. Somebody broke the rule of one writer: ErrExists.
//  4. Head: not there. Put #2 leaves. If #1 lands first, #2 gets ErrExists, and step 2 settles it. If #2 lands first,
//     #1 is refused by its own condition. Either way one of two equal objects is stored, once.
//  5. Head: no answer. Nothing is known yet; after a wait, Head again.
//
// ErrExists before any attempt of ours was unsettled cannot be our own doing (invariant 4: a Put that failed otherwise
// has stored nothing), so it is an error even if the sizes are equal.
func (b Backoff) PutSettled(ctx context.Context, s Store, key string, p Payload) error {
	unsettled := false // an attempt of ours may have stored the object, or may still do so
	for failures := 1; ; failures++ {
		err := s.Put(ctx, key, p)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrAmbiguous), unsettled && errors.Is(err, ErrExists):
			unsettled = true
			var done bool
			if done, failures, err = b.settle(ctx, s, key, p.Size(), failures, err); done {
				return err
			}
		case !errors.Is(err, base.ErrUnavailable):
			return fmt.Errorf("store %s: %w", key, markUnsettled(unsettled, err))
		}
		if b.Spent(failures) || ctx.Err() != nil {
			return fmt.Errorf("store %s, %d attempts: %w", key, failures, markUnsettled(unsettled, err))
		}
		if waitErr := b.Wait(ctx, failures); waitErr != nil {
			return fmt.Errorf("store %s, %d attempts: %w (%w)", key, failures, markUnsettled(unsettled, err), waitErr)
		}
	}
}

// settle looks for the object until it knows. It is done without an error when ours is there, done with one when
// nothing more can be found out, and not done (cause is handed back) when the object is not there and is to be put
// again. failures goes on counting.
func (b Backoff) settle(ctx context.Context, s Store, key string, size int64, failures int, cause error) (bool, int, error) {
	for {
		info, err := s.Head(ctx, key)
		switch {
		case err == nil && info.Size == size:
			return true, failures, nil
		case err == nil:
			return true, failures, fmt.Errorf("store %s: it holds %d bytes, ours are %d: %w", key, info.Size, size, ErrExists)
		case errors.Is(err, base.ErrNotFound):
			return false, failures, cause
		case !errors.Is(err, base.ErrUnavailable):
			return true, failures, fmt.Errorf("settle %s after %w: %w", key, markUnsettled(true, cause), err)
		}
		failures++
		if b.Spent(failures) || ctx.Err() != nil {
			return true, failures, fmt.Errorf("settle %s, %d attempts, after %w: %w", key, failures, markUnsettled(true, cause), err)
		}
		if waitErr := b.Wait(ctx, failures); waitErr != nil {
			return true, failures, fmt.Errorf("settle %s, %d attempts, after %w: %w (%w)", key, failures, markUnsettled(true, cause), err, waitErr)
		}
	}
}

// markUnsettled makes err an ErrAmbiguous when an attempt is unsettled: what the last request said does not tell what
// an earlier one did. An ErrExists that could not be settled must not reach the caller as a stranger's object.
func markUnsettled(unsettled bool, err error) error {
	if !unsettled {
		return err
	}
	if errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: the key is taken, by an earlier attempt of ours or not", ErrAmbiguous)
	}
	if errors.Is(err, ErrAmbiguous) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAmbiguous, err)
}
