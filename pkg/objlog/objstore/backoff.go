package objstore

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff says how failed requests are repeated. The zero value repeats until ctx ends, waits 50 ms after the first
// failure, doubles up to 3 s, and takes a random part of the upper half of each wait, so that agents that failed
// together do not return together.
type Backoff struct {
	// First is the wait after the first failure; 0 means 50 ms.
	First time.Duration
	// Max bounds a wait; 0 means 3 s.
	Max time.Duration
	// Attempts bounds the number of requests; 0 means until ctx ends.
	Attempts int
	// Sleep waits for d or until ctx ends, and then returns its error; nil means real time.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random gives numbers in [0,1); nil means math/rand.
	Random func() float64
}

const (
	backoffFirst = 50 * time.Millisecond
	backoffMax   = 3 * time.Second
)

// Wait waits after the given number of failures, from 1 on. It returns ctx's error if that ends before.
func (b Backoff) Wait(ctx context.Context, failures int) error {
	sleep, random := b.Sleep, b.Random
	if sleep == nil {
		sleep = Sleep
	}
	if random == nil {
		random = rand.Float64
	}
	d := b.limit(failures)
	return sleep(ctx, d/2+time.Duration(random()*float64(d/2)))
}

// Spent tells whether that many failures use up the attempts.
func (b Backoff) Spent(failures int) bool { return b.Attempts > 0 && failures >= b.Attempts }

// limit is the longest wait after that many failures.
func (b Backoff) limit(failures int) time.Duration {
	d, most := b.First, b.Max
	if d <= 0 {
		d = backoffFirst
	}
	if most <= 0 {
		most = backoffMax
	}
	for i := 1; i < failures && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}

// Sleep waits for d or until ctx ends, and then returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return ctx.Err()
	}
}
